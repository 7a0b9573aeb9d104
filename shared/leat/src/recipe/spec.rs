//! What an operator says of itself: from this come the checker, `leat operators`, the JSON Schema and the hints.

use serde_json::Value;

use super::Step;
use crate::column::Type;

/// The face of an operator. How it computes stands behind it, in `features/operators/`.
#[derive(Clone, Copy, Debug)]
pub struct OperatorSpec {
    /// The recipe's word, the file's name.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The manual: the operator's own header (takes, gives, edges, state, errors, source).
    pub manual: &'static str,
    /// Its version: part of the fitted state and refused if it differs.
    pub version: u32,
    /// True if it learns in `fit`.
    pub fitted: bool,
    /// The types that it reads.
    pub takes: &'static [Type],
    /// How many inputs: each is transformed by itself, or all together.
    pub arity: Arity,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What is wrong with a step beyond what [`OperatorSpec::parameters`] says, for an input of this type.
    pub check: fn(&Step, Type) -> Result<(), Fault>,
    /// The columns that a step makes of one input (of all, if they go together): given are the name that the step
    /// gives it (`out`, else the input's own) and the input's type.
    pub gives: fn(&Step, &str, Type) -> Vec<Made>,
}

impl OperatorSpec {
    /// The parameter's value: as written in `step`, else the default; `None` where there is neither.
    pub fn parameter(&self, step: &Step, name: &str) -> Option<Value> {
        let default = || {
            let parameter = self.parameters.iter().find(|p| p.name == name)?;
            serde_json::from_str(parameter.default).ok()
        };
        step.parameters.get(name).cloned().or_else(default)
    }
}

/// A column that a step makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name, or how it begins.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// True if `name` is how the names of several columns begin (`channel_`): the data decide the rest.
    pub open: bool,
}

impl Made {
    /// The column `name`.
    pub fn column(name: impl Into<String>, kind: Type) -> Self {
        Made { name: name.into(), kind, open: false }
    }

    /// Columns whose names begin with `prefix` and end as the data decide.
    pub fn prefix(prefix: impl Into<String>, kind: Type) -> Self {
        Made { name: prefix.into(), kind, open: true }
    }
}

/// What an operator finds wrong with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The parameter that is wrong; none: the step as a whole.
    pub parameter: Option<&'static str>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// How an operator reads several inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// `in: [a, b]` is the same as two steps.
    Each,
    /// All inputs make one result.
    Together,
}

/// A parameter of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterKind,
    /// The default as JSON; empty if the parameter must be written or has none.
    pub default: &'static str,
    /// True if it must be written.
    pub required: bool,
    /// What it does.
    pub help: &'static str,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterKind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A finite number within bounds.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// A number, a text or a boolean: the type of the column it goes to decides.
    Scalar,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words, each once, not empty.
    Words(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A name of the IANA time zone database.
    TimeZone,
}
