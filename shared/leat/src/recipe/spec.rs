//! What an operator says of itself: from this come the checker, `leat operators`, the JSON Schema and the hints.

use serde_json::Value;

use super::{Dialect, Step};
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
    /// True if it learns from the label, which must be a number or a boolean.
    pub supervised: bool,
    /// The types that it reads.
    pub takes: &'static [Type],
    /// How many inputs: each is transformed by itself, or all together.
    pub arity: Arity,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Checks a step's parameters against each other and against the type of an input, and names the columns that the
    /// step makes of it; `None` if `fit` decides them.
    pub outputs: fn(&Setting<'_>) -> Result<Option<Vec<Output>>, Wrong>,
}

/// What an operator is set to for one of its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The operator.
    pub spec: &'a OperatorSpec,
    /// Whose conventions hold where a parameter does not say.
    pub dialect: Dialect,
    /// The type of the input, or of the first: one of those that the operator takes.
    pub kind: Type,
    /// The types of all inputs that the operator reads at once: one, or each of the step's if it takes them
    /// [`Together`](Arity::Together).
    pub kinds: &'a [Type],
    /// The step.
    pub step: &'a Step,
}

/// What is wrong with a setting that each parameter by itself does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The parameter, if one is to blame.
    pub parameter: Option<&'static str>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Wrong {
    /// An error at `parameter`.
    pub fn at(
        parameter: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Wrong { parameter: Some(parameter), message: message.into(), hint: Some(hint.into()) }
    }
}

impl Setting<'_> {
    /// The parameter as it was written, or its default; `None` if it has neither.
    pub fn value(&self, name: &str) -> Option<Value> {
        let default = || {
            let parameter = self.spec.parameters.iter().find(|p| p.name == name)?;
            serde_json::from_str(parameter.default).ok()
        };
        self.step.parameters.get(name).cloned().or_else(default)
    }

    /// A [`ParameterKind::Bool`].
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// A [`ParameterKind::Integer`] that is not below 0.
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    /// A [`ParameterKind::Range`] that is not below 0.
    pub fn range(&self, name: &str) -> Option<(u64, u64)> {
        let value = self.value(name)?;
        Some((value.get(0)?.as_u64()?, value.get(1)?.as_u64()?))
    }

    /// A [`ParameterKind::Number`].
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    /// A text or a word.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    /// A list of texts or words; empty if there is none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let Some(Value::Array(items)) = self.value(name) else { return Vec::new() };
        items.iter().filter_map(|i| i.as_str().map(str::to_owned)).collect()
    }
}

/// A column that a step gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What follows the step's `out` name after `_`; empty: the column is named as `out` says.
    pub suffix: String,
    /// Its type.
    pub kind: Type,
    /// The length of the vector, if each text of the column is a sparse one: see [`Output::terms`].
    pub terms: Option<u32>,
}

impl Output {
    /// A column named as the step's `out` says.
    pub fn plain(kind: Type) -> Self {
        Output { suffix: String::new(), kind, terms: None }
    }

    /// A sparse vector of `length` numbers, named as the step's `out` says. A row is a text `place:value place:value …`
    /// of the places, from 0 and rising, whose value is not 0; without any it is an empty text. A value is printed as
    /// any double: what it reads back to is the value, to the bit. Every format that carries text carries it, and a
    /// feature may be one.
    pub fn terms(length: u32) -> Self {
        Output { suffix: String::new(), kind: Type::String, terms: Some(length) }
    }

    /// A column named `{out}_{suffix}`.
    pub fn suffixed(suffix: impl Into<String>, kind: Type) -> Self {
        Output { suffix: suffix.into(), kind, terms: None }
    }

    /// The column's name under the step's `out` name.
    pub fn name(&self, out: &str) -> String {
        if self.suffix.is_empty() { out.to_owned() } else { format!("{out}_{}", self.suffix) }
    }
}

/// How an operator reads several inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// `in: [a, b]` is the same as two steps.
    Each,
    /// All inputs make one result, which is named by `out`; without it as the inputs are, with `_x_` between them.
    Together,
}

impl Arity {
    /// The names that `step` gives to what it makes.
    pub fn names(self, step: &Step) -> Vec<String> {
        match (self, step.outputs.as_slice()) {
            (Arity::Together, []) => vec![step.inputs.join("_x_")],
            (Arity::Together, [name, ..]) => vec![name.clone()],
            (Arity::Each, outs) => {
                let inputs = step.inputs.iter().enumerate();
                inputs.map(|(i, input)| outs.get(i).unwrap_or(input).clone()).collect()
            }
        }
    }
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
    /// A list of two whole numbers within bounds, the second not below the first.
    Range {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
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
