//! The words of failure: state machines match on them in `Retry` and `Catch`.

use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use lambda_runtime::Diagnostic;
use leat_batch::BatchError;
use leat_lake::LakeError;

/// Why a function could not do what it was asked. Its message holds no payload, key or personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The data failed a rule whose action is `halt`.
    #[error("{0}")]
    DataQuality(String),
    /// The event is not what this function is called with.
    #[error("{0}")]
    Input(String),
    /// The recipe, its ruleset or its fitted state is wrong.
    #[error("{0}")]
    Recipe(String),
    /// A service is busy, slow or away: the same call may succeed later.
    #[error("{0}")]
    Busy(String),
    /// A variable, a permission or a resource is wrong: a person must change something.
    #[error("{0}")]
    Config(String),
}

impl Failure {
    /// [`Failure::Busy`] for what may succeed later, [`Failure::Config`] for what a person must mend.
    pub fn service(text: impl ToString, is_transient: bool) -> Self {
        if is_transient {
            Failure::Busy(text.to_string())
        } else {
            Failure::Config(text.to_string())
        }
    }

    /// All words.
    pub const WORDS: [&str; 5] =
        ["DataQuality.Failed", "Input.Invalid", "Recipe.Invalid", "Service.Busy", "Config.Invalid"];

    /// The failure of this word; none if it is no word of ours.
    pub fn of_word(word: &str, text: String) -> Option<Self> {
        match word {
            "DataQuality.Failed" => Some(Failure::DataQuality(text)),
            "Input.Invalid" => Some(Failure::Input(text)),
            "Recipe.Invalid" => Some(Failure::Recipe(text)),
            "Service.Busy" => Some(Failure::Busy(text)),
            "Config.Invalid" => Some(Failure::Config(text)),
            _ => None,
        }
    }

    /// The word that a state machine matches.
    pub const fn word(&self) -> &'static str {
        match self {
            Failure::DataQuality(_) => "DataQuality.Failed",
            Failure::Input(_) => "Input.Invalid",
            Failure::Recipe(_) => "Recipe.Invalid",
            Failure::Busy(_) => "Service.Busy",
            Failure::Config(_) => "Config.Invalid",
        }
    }

    /// True if the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Failure::Busy(_))
    }
}

/// A step's error: what is in the lake and cannot be read is wrong input, what may not be read is configuration.
impl From<BatchError> for Failure {
    fn from(why: BatchError) -> Self {
        let text = why.to_string();
        match why {
            BatchError::Lake(LakeError::Busy { .. }) => Failure::Busy(text),
            BatchError::Lake(LakeError::Damaged { .. }) | BatchError::Input(_) => {
                Failure::Input(text)
            }
            BatchError::Lake(_) => Failure::Config(text),
            BatchError::Recipe(_) => Failure::Recipe(text),
            BatchError::Keys(_) => Failure::Config(format!("LEAT_KEYS: {text}")),
        }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Diagnostic { error_type: failure.word().into(), error_message: failure.to_string() }
    }
}

/// A service's error in words: `what` was tried, and why it failed. What a person must mend (a missing permission,
/// resource or credential, a request that the service calls invalid) is [`Failure::Config`]; all else is
/// [`Failure::Busy`].
pub fn from_sdk<E, R>(what: &str, error: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("UnknownError"),
        SdkError::ConstructionFailure(_) => "ConstructionFailure",
        _ => "",
    };
    let text = format!("{what}: {}", DisplayErrorContext(error));
    if to_mend(code) { Failure::Config(text) } else { Failure::Busy(text) }
}

fn to_mend(code: &str) -> bool {
    [
        "AccessDenied",
        "ConstructionFailure",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignature",
        "KMSAccessDenied",
        "KMSDisabled",
        "KMSNotFound",
        "MissingAuthentication",
        "NotAuthorized",
        "ResourceNotFound",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "Validation",
    ]
    .iter()
    .any(|start| code.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let failure = Failure::Config("LEAT_RECIPE is missing".into());
        let diagnostic: Diagnostic = failure.into();
        assert_eq!(diagnostic.error_type, "Config.Invalid");
        assert_eq!(diagnostic.error_message, "LEAT_RECIPE is missing");
        for word in Failure::WORDS {
            assert_eq!(Failure::of_word(word, "why".into()).unwrap().word(), word);
        }
        assert_eq!(Failure::of_word("Model.Worse", String::new()), None);
    }

    #[test]
    fn words_of_a_step() {
        let url = || "s3://b/k".to_owned();
        let why = || "x".to_owned();
        for (error, word) in [
            (BatchError::Input(why()), "Input.Invalid"),
            (BatchError::Recipe(why()), "Recipe.Invalid"),
            (LakeError::Damaged { url: url(), why: why() }.into(), "Input.Invalid"),
            (LakeError::Busy { url: url(), why: why() }.into(), "Service.Busy"),
            (LakeError::Denied { url: url(), why: why() }.into(), "Config.Invalid"),
            (LakeError::Missing { url: url() }.into(), "Config.Invalid"),
            (BatchError::Keys(leat::protect::MissingKeys), "Config.Invalid"),
        ] {
            assert_eq!(Failure::from(error.clone()).word(), word, "{error:?}");
        }
    }

    #[test]
    fn codes() {
        assert!(to_mend("AccessDeniedException"));
        assert!(to_mend("ResourceNotFoundException"));
        assert!(!to_mend("ProvisionedThroughputExceededException"));
        assert!(!to_mend("InternalServerError"));
        assert!(!to_mend(""));
    }
}
