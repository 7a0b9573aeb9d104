//! `ordinal`: the place of a label among those that `fit` saw.
//!
//! - Takes: a column of text, whole numbers or booleans. Missing is null, and text that is blank.
//! - Gives: a column of whole numbers, 0 for the first label.
//! - Order: with `order: value` labels rise by value (text by its bytes in UTF-8); with `frequency` the most frequent
//!   comes first, the least value of those equally frequent; with `given` they stand as in `labels`, and `fit` only
//!   counts. By default `given` if there are `labels`, else `value` in dialect `sklearn` and `frequency` in `spark`.
//! - Edges: a label that is not among them gives with `unseen: keep` the number of labels, with `minus_one` −1, with
//!   `missing` null. A missing value gives null with `missing: missing`, −1 with `minus_one`, and with `keep` the number
//!   of labels and 1.
//! - State: the labels, in order, and how many values they come from. Counts are by label, so parts of the data are
//!   fitted and merged in any order.
//! - Errors: nothing seen in `fit` where no labels are given; more than 100,000 different labels; `labels` of a column
//!   that is no text, or without `order: given`.
//! - Source: scikit-learn `OrdinalEncoder` and `LabelEncoder`; Spark `StringIndexer`. Departs: an unseen label is never
//!   an error, as a stream cannot stop for one; places are whole numbers, not doubles.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::features::counts::{Counts, Label};
use crate::features::lookup::{Found, Lookup};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::recipe::Dialect;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

const POLICIES: &[&str] = &["keep", "minus_one", "missing"];

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "ordinal",
    summary: "The place of a label among those that were seen.",
    manual: manual!("ordinal.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::String, Type::Long, Type::Bool],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "order",
            kind: ParameterKind::Word(&["value", "frequency", "given"]),
            default: "",
            required: false,
            help: "How labels are ordered. By default `given` if there are `labels`, else by value in dialect sklearn, \
                   by frequency in spark.",
        },
        Parameter {
            name: "labels",
            kind: ParameterKind::Texts,
            default: "",
            required: false,
            help: "With `order: given`: the labels, of a column of text, in order.",
        },
        Parameter {
            name: "unseen",
            kind: ParameterKind::Word(POLICIES),
            default: "\"keep\"",
            required: false,
            help: "What a label gives that is not among them: `keep` the place after the last, `minus_one` −1, \
                   `missing` null.",
        },
        Parameter {
            name: "missing",
            kind: ParameterKind::Word(POLICIES),
            default: "\"missing\"",
            required: false,
            help: "What a missing value gives: `keep` the second place after the last, `minus_one` −1, `missing` null.",
        },
    ],
    outputs: fitted_outputs::<Ordinal>,
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    Value,
    Frequency,
    Given(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Keep,
    MinusOne,
    Missing,
}

/// The parameters.
#[derive(Debug)]
pub struct Ordinal {
    kind: Type,
    order: Order,
    unseen: Policy,
    missing: Policy,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    labels: Vec<Label>,
    count: u64,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    places: Lookup<i64>,
    unseen: Option<i64>,
    missing: Option<i64>,
}

fn policy(setting: &Setting<'_>, name: &str) -> Policy {
    match setting.text(name).as_deref() {
        Some("keep") => Policy::Keep,
        Some("minus_one") => Policy::MinusOne,
        _ => Policy::Missing,
    }
}

impl Fitted for Ordinal {
    type Partial = Counts;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let labels = setting.texts("labels");
        let order = match (setting.text("order").as_deref(), labels.is_empty()) {
            (Some("given") | None, false) => Order::Given(labels),
            (Some("given"), true) => {
                return Err(Wrong::at("order", "`given` needs `labels`", "add `labels: [a, b]`"));
            }
            (Some(_), false) => {
                let hint = "leave `order` out, or the labels";
                return Err(Wrong::at("labels", "`labels` have their order by `given`", hint));
            }
            (Some("value"), true) => Order::Value,
            (Some("frequency"), true) => Order::Frequency,
            _ if setting.dialect == Dialect::Spark => Order::Frequency,
            _ => Order::Value,
        };
        if let Order::Given(labels) = &order {
            if setting.kind != Type::String {
                let message = format!("`labels` are text, and the column holds {}", setting.kind);
                return Err(Wrong::at("labels", message, "order it by value or frequency"));
            }
            if let Some(blank) = labels.iter().find(|label| label.trim().is_empty()) {
                let message = format!("the label `{blank}` is blank, which counts as missing");
                return Err(Wrong::at("labels", message, "leave it out"));
            }
        }
        let (unseen, missing) = (policy(setting, "unseen"), policy(setting, "missing"));
        Ok(Ordinal { kind: setting.kind, order, unseen, missing })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::plain(Type::Long)])
    }

    fn update(&self, seen: &mut Counts, column: &Column, _: &Lesson<'_>) {
        let labels = (0..column.len()).filter_map(|row| Label::at(column, row));
        labels.for_each(|label| seen.add(label, 1));
    }

    fn merge(&self, seen: &mut Counts, other: &Counts) {
        seen.merge(other);
    }

    fn finish(&self, seen: &Counts) -> Result<State, String> {
        let counts = seen.labels()?;
        let count = counts.values().fold(0u64, |sum, count| sum.saturating_add(*count));
        let mut labels: Vec<Label> = counts.keys().cloned().collect();
        match &self.order {
            Order::Given(given) => {
                labels = given.iter().map(|label| Label::Text(label.clone())).collect();
            }
            _ if labels.is_empty() => {
                return Err("`fit` saw no value in it, so there is no label to learn; leave the \
                            column out, or give `labels`"
                    .into());
            }
            Order::Value => {}
            // Stable: equals rise by value.
            Order::Frequency => labels.sort_by_key(|label| Reverse(counts.get(label))),
        }
        Ok(State { labels, count })
    }

    fn ready(self, State { labels, .. }: State) -> Result<Ready, String> {
        if let Order::Given(given) = &self.order {
            let same = |(label, given): (&Label, &String)| *label == Label::Text(given.clone());
            if labels.len() != given.len() || !labels.iter().zip(given).all(same) {
                return Err("its labels are not those that the recipe gives".into());
            }
        }
        let next = labels.len() as i64;
        let places = Lookup::new(self.kind, labels.into_iter().zip(0..), "label")?;
        let place = |policy, kept| match policy {
            Policy::Keep => Some(kept),
            Policy::MinusOne => Some(-1),
            Policy::Missing => None,
        };
        let (unseen, missing) = (place(self.unseen, next), place(self.missing, next + 1));
        Ok(Ready { places, unseen, missing })
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Long)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let place = |row| match self.places.find(column, row) {
            Found::Known(place) => Some(*place),
            Found::Unseen => self.unseen,
            Found::Missing => self.missing,
        };
        vec![Column::longs((0..column.len()).map(place))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{
        LESSON, fit_apply, fit_apply_in, json, law, setting, wrong,
    };
    use proptest::prelude::*;

    const SEEN: [Option<&str>; 7] =
        [Some("web"), Some("pos"), None, Some("web"), Some(" "), Some("app"), Some("pos")];

    #[track_caller]
    fn check(dialect: Dialect, parameters: &str, labels: &str, expected: &[Option<i64>]) {
        let of = Column::strings([Some("app"), Some("pos"), Some("web"), Some("atm"), Some("")]);
        let seen = Column::strings(SEEN);
        let (state, columns) = fit_apply_in(dialect, &SPEC, parameters, &seen, &of).unwrap();
        assert_eq!(state["labels"], json(labels), "{parameters}");
        assert_eq!(state["count"], 5);
        let expected = Column::longs(expected.iter().copied());
        assert_eq!(columns, [("x".to_owned(), expected)], "{parameters}");
    }

    #[test]
    fn places() {
        use Dialect::{Sklearn, Spark};
        let risen = r#"["app","pos","web"]"#;
        check(Sklearn, "{}", risen, &[Some(0), Some(1), Some(2), Some(3), None]);
        // Two are seen twice: the least of them is first.
        let by_count = r#"["pos","web","app"]"#;
        check(Spark, "{}", by_count, &[Some(2), Some(0), Some(1), Some(3), None]);
        let parameters = r#"{"order":"frequency","unseen":"missing","missing":"minus_one"}"#;
        check(Sklearn, parameters, by_count, &[Some(2), Some(0), Some(1), None, Some(-1)]);
        let parameters = r#"{"order":"value","unseen":"minus_one","missing":"keep"}"#;
        check(Spark, parameters, risen, &[Some(0), Some(1), Some(2), Some(-1), Some(4)]);
        let parameters = r#"{"labels":["web","atm"],"missing":"keep"}"#;
        let given = r#"["web","atm"]"#;
        check(Sklearn, parameters, given, &[Some(2), Some(2), Some(0), Some(1), Some(3)]);
    }

    #[test]
    fn other_types() {
        let longs = Column::longs([Some(10), Some(-3), Some(9), None]);
        let (_, columns) = fit_apply(&SPEC, "{}", &longs, &longs).unwrap();
        assert_eq!(columns[0].1, Column::longs([Some(2), Some(0), Some(1), None]));
    }

    #[test]
    fn nothing_seen() {
        let none = Column::strings([None, Some("")]);
        assert!(fit_apply(&SPEC, "{}", &none, &none).unwrap_err().contains("no label to learn"));
        let (_, columns) = fit_apply(&SPEC, r#"{"labels":["a"]}"#, &none, &none).unwrap();
        assert_eq!(columns[0].1, Column::longs([None, None]));
    }

    #[test]
    fn wrong_parameters() {
        for (kind, parameters, message) in [
            (Type::String, r#"{"order":"given"}"#, "needs `labels`"),
            (Type::String, r#"{"order":"value","labels":["a"]}"#, "by `given`"),
            (Type::String, r#"{"labels":["a"," "]}"#, "is blank"),
            (Type::Long, r#"{"labels":["a"]}"#, "holds long"),
        ] {
            let found = wrong(&SPEC, kind, parameters);
            assert!(found.message.contains(message), "{parameters}: {found:?}");
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        for (parameters, state) in [
            ("{}", r#"{"labels":["a","a"],"count":2}"#),
            ("{}", r#"{"labels":[1],"count":2}"#),
            (r#"{"labels":["a"]}"#, r#"{"labels":["b"],"count":2}"#),
        ] {
            let step = setting(&SPEC, parameters);
            let (dialect, kind) = (Dialect::Sklearn, Type::String);
            let setting = Setting { spec: &SPEC, dialect, kind, kinds: &[kind], step: &step };
            let operator = Ordinal::read(&setting).unwrap();
            assert!(operator.ready(serde_json::from_str(state).unwrap()).is_err(), "{state}");
        }
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(proptest::option::of("[a-d]?"), 0..30),
            cuts in proptest::collection::vec(0usize..30, 0..4), turn in 0usize..5,
        ) {
            let column = Column::strings(values.iter().map(Option::as_deref));
            for parameters in ["{}", r#"{"order":"frequency"}"#] {
                law::<Ordinal>(&SPEC, parameters, &column, &LESSON, &cuts, turn)?;
            }
        }
    }
}
