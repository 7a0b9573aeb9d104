//! `impute`: put a value where one is missing.
//!
//! - Takes: a column of numbers, text or booleans. Missing is null, NaN, an infinite number, and text that is blank.
//! - Gives: a column without missing values. `mean`, `median`, `min` and `max` give doubles, `constant` and `mode`
//!   the type of the input.
//! - Strategies: `mean`, `median`, `min`, `max` of numbers; `mode` of text, booleans and whole numbers, the least of
//!   those seen equally often; `constant` puts `value` and learns nothing.
//! - Edges: if `fit` saw no value at all, `value` is put where it is given. The median of more than 100,000 different
//!   values is that of a histogram and within 0.1 % of the true one.
//! - State: the strategy, the value, how many values it comes from, and for the median whether it is `exact`. Sums
//!   are exact and counts are by value, so parts of the data are fitted and merged in any order.
//! - Errors: nothing seen in `fit` and no `value`; a mean beyond the greatest double; for `mode` more than 100,000
//!   different values.
//! - Source: scikit-learn `SimpleImputer`, whose `most_frequent` is `mode`. Departs: a column without values, dropped
//!   there, is an error; infinities, refused there, are missing. Spark's `Imputer` has an approximate median.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type, Value};
use crate::features::columnwise::of_doubles;
use crate::features::counts::{Counts, Label};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::features::spread::Spread;
use crate::number::Moments;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "impute",
    summary: "Put a value where one is missing.",
    manual: manual!("impute.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::Double, Type::Long, Type::String, Type::Bool],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "strategy",
            kind: ParameterKind::Word(&["mean", "median", "min", "max", "mode", "constant"]),
            default: "",
            required: false,
            help: "What is put: `mean`, `median`, `min`, `max` of numbers, `mode` of anything but doubles, or the \
                   `constant` `value`. By default `mean` of numbers and `mode` of text and booleans.",
        },
        Parameter {
            name: "value",
            kind: ParameterKind::Scalar,
            default: "",
            required: false,
            help: "What `constant` puts; for the other strategies what is put if `fit` sees no value at all.",
        },
    ],
    outputs: fitted_outputs::<Impute>,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    Mean,
    Median,
    Min,
    Max,
    Mode,
    Constant,
}

/// The value that is put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Fill {
    Label(Label),
    Number(f64),
}

impl Fill {
    fn value(&self) -> Value<'_> {
        match self {
            Fill::Label(label) => label.value(),
            Fill::Number(x) => Value::Double(*x),
        }
    }
}

/// The parameters.
#[derive(Debug)]
pub struct Impute {
    strategy: Strategy,
    /// The type of the result.
    gives: Type,
    value: Option<Fill>,
}

/// What was seen: of the later fields only the one that the strategy needs is filled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    count: u64,
    moments: Moments,
    spread: Spread,
    min: Option<f64>,
    max: Option<f64>,
    labels: Counts,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    strategy: Strategy,
    value: Fill,
    count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    gives: Type,
    value: Fill,
}

impl Impute {
    /// `value` as the column's type has it.
    fn fill(setting: &Setting<'_>, gives: Type) -> Result<Option<Fill>, Wrong> {
        let Some(value) = setting.value("value") else { return Ok(None) };
        let fill = match gives {
            Type::Double => value.as_f64().map(Fill::Number),
            Type::Long => value.as_i64().map(|v| Fill::Label(Label::Long(v))),
            Type::Bool => value.as_bool().map(|v| Fill::Label(Label::Bool(v))),
            _ => value
                .as_str()
                .filter(|v| !v.trim().is_empty())
                .map(|v| Fill::Label(Label::Text(v.to_owned()))),
        };
        let expected = match gives {
            Type::Double => "a number",
            Type::Long => "a whole number",
            Type::Bool => "true or false",
            _ => "a text that is not blank",
        };
        match fill {
            None => Err(Wrong::at(
                "value",
                format!("`value` is no value of a {gives} column"),
                format!("write {expected}"),
            )),
            fill => Ok(fill),
        }
    }
}

impl Fitted for Impute {
    type Partial = Seen;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let kind = setting.kind;
        let strategy = match setting.text("strategy").as_deref() {
            Some("mean") => Strategy::Mean,
            Some("median") => Strategy::Median,
            Some("min") => Strategy::Min,
            Some("max") => Strategy::Max,
            Some("mode") => Strategy::Mode,
            Some("constant") => Strategy::Constant,
            _ if kind.is_numeric() => Strategy::Mean,
            _ => Strategy::Mode,
        };
        let gives = match strategy {
            Strategy::Mode if kind == Type::Double => {
                return Err(Wrong::at(
                    "strategy",
                    "`mode` counts equal values, and the column holds doubles",
                    "use `median` or `mean`",
                ));
            }
            Strategy::Mode | Strategy::Constant => kind,
            _ if !kind.is_numeric() => {
                return Err(Wrong::at(
                    "strategy",
                    format!("the strategy is for numbers, and the column holds {kind}"),
                    "use `mode` or `constant`",
                ));
            }
            _ => Type::Double,
        };
        let value = Self::fill(setting, gives)?;
        if strategy == Strategy::Constant && value.is_none() {
            return Err(Wrong::at("strategy", "`constant` needs a `value`", "add `value: …`"));
        }
        Ok(Impute { strategy, gives, value })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::plain(self.gives)])
    }

    fn update(&self, seen: &mut Seen, column: &Column, _: &Lesson<'_>) {
        for row in 0..column.len() {
            match self.strategy {
                Strategy::Constant => seen.count += u64::from(present(column.get(row)).is_some()),
                Strategy::Mode => {
                    if let Some(label) = Label::at(column, row) {
                        seen.count += 1;
                        seen.labels.add(label, 1);
                    }
                }
                number => {
                    let Some(x) = column.number(row).filter(|x| x.is_finite()) else { continue };
                    seen.count += 1;
                    match number {
                        Strategy::Mean => seen.moments.add(x),
                        Strategy::Median => seen.spread.add(x),
                        Strategy::Min => seen.min = Some(seen.min.map_or(x, |m| m.min(x))),
                        _ => seen.max = Some(seen.max.map_or(x, |m| m.max(x))),
                    }
                }
            }
        }
    }

    fn merge(&self, seen: &mut Seen, other: &Seen) {
        seen.count = seen.count.saturating_add(other.count);
        seen.moments.merge(&other.moments);
        seen.spread.merge(&other.spread);
        seen.min = seen.min.into_iter().chain(other.min).reduce(f64::min);
        seen.max = seen.max.into_iter().chain(other.max).reduce(f64::max);
        seen.labels.merge(&other.labels);
    }

    fn finish(&self, seen: &Seen) -> Result<State, String> {
        let number = |x: Option<f64>| match x {
            Some(x) if !x.is_finite() => Err("the mean is beyond the greatest double".to_owned()),
            x => Ok(x.map(Fill::Number)),
        };
        let learnt = match self.strategy {
            Strategy::Mean => number(seen.moments.mean())?,
            Strategy::Median => number(seen.spread.median())?,
            Strategy::Min => number(seen.min)?,
            Strategy::Max => number(seen.max)?,
            Strategy::Mode => {
                // `max_by_key` takes the last of equals: from the back that is the least label.
                let most = seen.labels.labels()?.iter().rev().max_by_key(|(_, count)| **count);
                most.map(|(label, _)| Fill::Label(label.clone()))
            }
            Strategy::Constant => None,
        };
        let value = learnt.or_else(|| self.value.clone()).ok_or(
            "`fit` saw no value in it, so there is nothing to learn; give `value`, or leave the column out",
        )?;
        let exact = (self.strategy == Strategy::Median).then(|| seen.spread.is_exact());
        Ok(State { strategy: self.strategy, value, count: seen.count, exact })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        let fits = match (&state.value, self.gives) {
            (Fill::Number(_), Type::Double)
            | (Fill::Label(Label::Long(_)), Type::Long)
            | (Fill::Label(Label::Bool(_)), Type::Bool)
            | (Fill::Label(Label::Text(_)), Type::String) => state.strategy == self.strategy,
            _ => false,
        };
        if !fits {
            return Err(format!("it holds no {:?} of a {} column", self.strategy, self.gives));
        }
        Ok(Ready { gives: self.gives, value: state.value })
    }
}

/// The value unless it is missing: null, an infinite number, a blank text.
fn present(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Null => None,
        Value::Double(x) if !x.is_finite() => None,
        Value::String(text) if text.trim().is_empty() => None,
        value => Some(value),
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(self.gives)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        if let (Fill::Number(fill), true) = (&self.value, column.kind().is_numeric()) {
            let fill = *fill;
            return vec![of_doubles(column, |x| if x.is_finite() { x } else { fill })];
        }
        let mut out = Column::new(self.gives);
        for row in 0..column.len() {
            match present(column.get(row)) {
                Some(value) => out.push(value),
                None => out.push(self.value.value()),
            }
        }
        vec![out]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{
        LESSON, fit_apply, json, law, number, setting, wrong,
    };
    use proptest::prelude::*;

    #[track_caller]
    fn check(parameters: &str, fit: &Column, state: &str, of: &Column, expected: &Column) {
        let (learnt, columns) = fit_apply(&SPEC, parameters, fit, of).unwrap();
        assert_eq!(learnt, json(state));
        assert_eq!(columns, [("x".to_owned(), expected.clone())]);
    }

    #[test]
    fn values() {
        let numbers = Column::doubles([Some(1.0), None, Some(2.0), Some(f64::INFINITY), Some(6.0)]);
        let holes = Column::doubles([None, Some(0.5), Some(f64::NEG_INFINITY)]);
        for (parameters, state, put) in [
            ("{}", r#"{"strategy":"mean","value":3.0,"count":3}"#, 3.0),
            (
                r#"{"strategy":"median"}"#,
                r#"{"strategy":"median","value":2.0,"count":3,"exact":true}"#,
                2.0,
            ),
            (r#"{"strategy":"min"}"#, r#"{"strategy":"min","value":1.0,"count":3}"#, 1.0),
            (r#"{"strategy":"max"}"#, r#"{"strategy":"max","value":6.0,"count":3}"#, 6.0),
            (
                r#"{"strategy":"constant","value":-1}"#,
                r#"{"strategy":"constant","value":-1.0,"count":3}"#,
                -1.0,
            ),
        ] {
            let expected = Column::doubles([Some(put), Some(0.5), Some(put)]);
            check(parameters, &numbers, state, &holes, &expected);
        }
    }

    #[test]
    fn whole_numbers() {
        let longs = Column::longs([Some(5), Some(2), Some(5), Some(2), None]);
        let state = r#"{"strategy":"mode","value":2,"count":4}"#; // the least of two seen twice
        let expected = Column::longs([Some(2), Some(7)]);
        let of = Column::longs([None, Some(7)]);
        check(r#"{"strategy":"mode"}"#, &longs, state, &of, &expected);
        let state = r#"{"strategy":"mean","value":3.5,"count":4}"#;
        check("{}", &longs, state, &of, &Column::doubles([Some(3.5), Some(7.0)]));
    }

    #[test]
    fn text() {
        let texts = Column::strings([Some("b"), Some(" "), Some("a"), None, Some("b"), Some("a")]);
        let of = Column::strings([Some(""), None, Some("c")]);
        let expected = Column::strings([Some("a"), Some("a"), Some("c")]);
        check("{}", &texts, r#"{"strategy":"mode","value":"a","count":4}"#, &of, &expected);
    }

    #[test]
    fn nothing_seen() {
        let none = Column::doubles([None, None]);
        let error = fit_apply(&SPEC, "{}", &none, &none).unwrap_err();
        assert!(error.contains("give `value`"), "{error}");
        let state = r#"{"strategy":"mean","value":4.0,"count":0}"#;
        check(r#"{"value":4}"#, &none, state, &none, &Column::doubles([Some(4.0), Some(4.0)]));
    }

    #[test]
    fn a_mean_beyond_the_greatest_double_is_an_error() {
        let huge = Column::doubles([Some(f64::MAX), Some(f64::MAX)]);
        let error = fit_apply(&SPEC, "{}", &huge, &huge).unwrap_err();
        assert!(error.contains("greatest double"), "{error}");
    }

    #[test]
    fn wrong_parameters() {
        for (kind, parameters, message) in [
            (Type::Double, r#"{"strategy":"constant"}"#, "`constant` needs a `value`"),
            (Type::Double, r#"{"strategy":"mode"}"#, "`mode` counts equal values"),
            (Type::String, r#"{"strategy":"mean"}"#, "for numbers"),
            (Type::Bool, r#"{"strategy":"max"}"#, "for numbers"),
            (Type::String, r#"{"strategy":"constant","value":3}"#, "no value of a string column"),
            (Type::Long, r#"{"strategy":"constant","value":3.5}"#, "no value of a long column"),
            (Type::Double, r#"{"value":"a"}"#, "no value of a double column"),
        ] {
            let found = wrong(&SPEC, kind, parameters);
            assert!(found.message.contains(message), "{parameters}: {found:?}");
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let step = setting(&SPEC, "{}");
        let read = || {
            let setting = Setting {
                spec: &SPEC,
                dialect: Default::default(),
                kind: Type::Double,
                kinds: &[Type::Double],
                step: &step,
            };
            Impute::read(&setting).unwrap()
        };
        for state in [
            r#"{"strategy":"median","value":1.0,"count":1}"#,
            r#"{"strategy":"mean","value":"a","count":1}"#,
        ] {
            assert!(read().ready(serde_json::from_str(state).unwrap()).is_err(), "{state}");
        }
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(number(), 0..30), cuts in proptest::collection::vec(0usize..30, 0..4),
            turn in 0usize..5,
        ) {
            let column = Column::doubles(values);
            for strategy in ["mean", "median", "min", "max"] {
                let parameters = format!(r#"{{"strategy":"{strategy}"}}"#);
                law::<Impute>(&SPEC, &parameters, &column, &LESSON, &cuts, turn)?;
            }
        }

        #[test]
        fn merged_is_one_pass_of_text(
            values in proptest::collection::vec(proptest::option::of("[a-c ]{0,2}"), 0..30),
            cuts in proptest::collection::vec(0usize..30, 0..4), turn in 0usize..5,
        ) {
            let column = Column::strings(values.iter().map(Option::as_deref));
            law::<Impute>(&SPEC, "{}", &column, &LESSON, &cuts, turn)?;
        }
    }
}
