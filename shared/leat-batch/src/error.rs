//! Why a step cannot be done.

use leat::diagnostic::Diagnostic;
use leat::protect::MissingKeys;
use leat_bucket::{LabelError, TooMuch};
use leat_lake::{LakeError, RecipeError};

/// Why a step cannot be done. It says what, where and what to do, and holds nothing of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A store: perhaps it is busy, perhaps it does not let us in.
    #[error("{0}")]
    Lake(#[from] LakeError),
    /// The data, or what was asked for, is wrong.
    #[error("{0}")]
    Input(String),
    /// The recipe, its ruleset or a fitted state is wrong, or is another one.
    #[error("{0}")]
    Recipe(String),
    /// The rows hold what the recipe tokenizes, and there are no keys.
    #[error("{0}")]
    Keys(#[from] MissingKeys),
}

impl From<RecipeError> for BatchError {
    fn from(why: RecipeError) -> Self {
        match why {
            RecipeError::Lake(why) => BatchError::Lake(why),
            RecipeError::Wrong(_) => BatchError::Recipe(why.to_string()),
        }
    }
}

impl From<TooMuch> for BatchError {
    fn from(why: TooMuch) -> Self {
        match why {
            TooMuch::Memory => {
                BatchError::Input(format!("{why}; cleanse into more buckets, or run the Spark job"))
            }
            TooMuch::Keys(why) => BatchError::Keys(why),
        }
    }
}

impl From<LabelError> for BatchError {
    fn from(why: LabelError) -> Self {
        BatchError::Recipe(why.to_string())
    }
}

impl From<Vec<Diagnostic>> for BatchError {
    fn from(errors: Vec<Diagnostic>) -> Self {
        RecipeError::Wrong(errors).into()
    }
}

/// That `url` holds what cannot be understood.
pub fn damaged(url: String, why: impl ToString) -> BatchError {
    LakeError::Damaged { url, why: why.to_string() }.into()
}
