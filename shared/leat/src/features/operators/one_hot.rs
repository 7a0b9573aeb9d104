//! `one_hot`: a column of 0 and 1 for each label that `fit` saw.
//!
//! - Takes: a column of text, whole numbers or booleans. Missing is null, and text that is blank.
//! - Gives: a column `{out}_{label}` of whole numbers for each frequent label, then, if there is a bucket,
//!   `{out}_infrequent`, then with `missing: keep` `{out}_missing`. The columns are frozen by `fit`.
//! - Order: labels rise by value in dialect `sklearn`; in `spark` the most frequent comes first, the least value of those
//!   equally frequent.
//! - Infrequent: labels below `min_frequency`, and all but the most frequent `max_categories` − 1. Of labels equally
//!   frequent the greater stays. They share the bucket.
//! - Drop: `first` or `last` leaves out that label's column; `if_binary` the first label's, if there are just two
//!   columns; its rows are zeros. The bucket stays.
//! - Edges: a label that `fit` did not see gives zeros with `unseen: ignore`, nulls with `missing`, and with `keep`
//!   counts to the bucket, which then is always there. A missing value gives zeros with `missing: ignore`, nulls with
//!   `missing`, and with `keep` a column of its own.
//! - State: frequent and infrequent labels, in order, and how many values they come from. Counts are by label, so parts
//!   of the data are fitted and merged in any order.
//! - Errors: nothing seen in `fit`; more than 100,000 different labels; more than 1,000 columns.
//! - Source: scikit-learn `OneHotEncoder`; Spark `StringIndexer` and `OneHotEncoder`. Departs: an unseen label is never
//!   an error, as a stream cannot stop for one; a missing value is no label, so it is not counted as infrequent; a
//!   missing value's column is there whether or not `fit` saw one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::column::{Bits, Column, Type, Values};
use crate::features::counts::{Counts, Label};
use crate::features::lookup::{Found, Lookup};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::recipe::Dialect;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// So many columns at most.
const MOST_COLUMNS: usize = 1_000;
const POLICIES: &[&str] = &["ignore", "keep", "missing"];

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "one_hot",
    summary: "A column of 0 and 1 for each label.",
    manual: manual!("one_hot.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::String, Type::Long, Type::Bool],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "drop",
            kind: ParameterKind::Word(&["none", "first", "last", "if_binary"]),
            default: "",
            required: false,
            help: "Which label's column is left out. By default none in dialect sklearn, last in spark.",
        },
        Parameter {
            name: "unseen",
            kind: ParameterKind::Word(POLICIES),
            default: "\"keep\"",
            required: false,
            help: "What a label gives that `fit` did not see: `ignore` zeros, `keep` the bucket \
                   `{out}_infrequent`, `missing` nulls.",
        },
        Parameter {
            name: "missing",
            kind: ParameterKind::Word(POLICIES),
            default: "\"ignore\"",
            required: false,
            help: "What a missing value gives: `ignore` zeros, `keep` a column `{out}_missing`, `missing` nulls.",
        },
        Parameter {
            name: "max_categories",
            kind: ParameterKind::Integer { min: 1, max: MOST_COLUMNS as i64 },
            default: "",
            required: false,
            help: "So many columns at most, with the bucket of infrequent labels.",
        },
        Parameter {
            name: "min_frequency",
            kind: ParameterKind::Number { min: 0.0, max: 1e15 },
            default: "",
            required: false,
            help: "Labels seen less often share the bucket: a share of all rows below 1, a count from 1 on.",
        },
    ],
    outputs: fitted_outputs::<OneHot>,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Ignore,
    Keep,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drop {
    None,
    First,
    Last,
    IfBinary,
}

/// The parameters.
#[derive(Debug)]
pub struct OneHot {
    kind: Type,
    dialect: Dialect,
    drop: Drop,
    unseen: Policy,
    missing: Policy,
    max_categories: Option<u64>,
    min_frequency: Option<f64>,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    rows: u64,
    labels: Counts,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    labels: Vec<Label>,
    infrequent: Vec<Label>,
    count: u64,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    outputs: Vec<Output>,
    hits: Lookup<Hit>,
    unseen: Hit,
    missing: Hit,
}

/// What a row gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    /// 1 in this column, 0 in the others.
    Column(usize),
    Zeros,
    Nulls,
}

fn policy(setting: &Setting<'_>, name: &str) -> Policy {
    match setting.text(name).as_deref() {
        Some("keep") => Policy::Keep,
        Some("missing") => Policy::Missing,
        _ => Policy::Ignore,
    }
}

impl Fitted for OneHot {
    type Partial = Seen;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let min_frequency = setting.number("min_frequency");
        if min_frequency.is_some_and(|f| f >= 1.0 && f != libm::trunc(f)) {
            return Err(Wrong::at(
                "min_frequency",
                "`min_frequency` is neither a share nor a count",
                "write a number below 1, or a whole one",
            ));
        }
        Ok(OneHot {
            kind: setting.kind,
            dialect: setting.dialect,
            drop: match (setting.text("drop").as_deref(), setting.dialect) {
                (Some("first"), _) => Drop::First,
                (Some("if_binary"), _) => Drop::IfBinary,
                (Some("last"), _) | (None, Dialect::Spark) => Drop::Last,
                _ => Drop::None,
            },
            unseen: policy(setting, "unseen"),
            missing: policy(setting, "missing"),
            max_categories: setting.whole("max_categories"),
            min_frequency,
        })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        None
    }

    fn update(&self, seen: &mut Seen, column: &Column, _: &Lesson<'_>) {
        seen.rows += column.len() as u64;
        let labels = (0..column.len()).filter_map(|row| Label::at(column, row));
        labels.for_each(|label| seen.labels.add(label, 1));
    }

    fn merge(&self, seen: &mut Seen, other: &Seen) {
        seen.rows = seen.rows.saturating_add(other.rows);
        seen.labels.merge(&other.labels);
    }

    fn finish(&self, seen: &Seen) -> Result<State, String> {
        let counts = seen.labels.labels()?;
        if counts.is_empty() {
            return Err(
                "`fit` saw no value in it, so there is no label to learn; leave the column out"
                    .into(),
            );
        }
        let infrequent = self.infrequent(counts, seen.rows);
        let (mut labels, mut rest) = (Vec::new(), Vec::new());
        for label in counts.keys() {
            if infrequent.contains(label) { &mut rest } else { &mut labels }.push(label.clone());
        }
        if self.dialect == Dialect::Spark {
            labels.sort_by_key(|label| Reverse(counts.get(label))); // stable: equals rise by value
        }
        if labels.len() > MOST_COLUMNS {
            return Err(format!(
                "it holds {} labels, and {MOST_COLUMNS} columns are the most; set `max_categories` or `min_frequency`",
                labels.len()
            ));
        }
        let count = counts.values().fold(0u64, |sum, count| sum.saturating_add(*count));
        Ok(State { labels, infrequent: rest, count })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        let State { labels, infrequent, .. } = state;
        if labels.len() > MOST_COLUMNS {
            return Err(format!("it has {} labels; {MOST_COLUMNS} are the most", labels.len()));
        }
        let bucket = !infrequent.is_empty() || self.unseen == Policy::Keep;
        let dropped = match self.drop {
            Drop::None => None,
            Drop::First => Some(0),
            Drop::Last => labels.len().checked_sub(1),
            Drop::IfBinary => {
                (labels.len() + usize::from(!infrequent.is_empty()) == 2).then_some(0)
            }
        };
        let (mut outputs, mut hits) = (Vec::new(), Vec::new());
        for (index, label) in labels.into_iter().enumerate() {
            let hit = if Some(index) == dropped { Hit::Zeros } else { Hit::Column(outputs.len()) };
            if hit != Hit::Zeros {
                outputs.push(Output::suffixed(label.to_string(), Type::Long));
            }
            hits.push((label, hit));
        }
        let mut extra = |wanted: bool, suffix: &str| {
            if wanted {
                outputs.push(Output::suffixed(suffix, Type::Long));
                Hit::Column(outputs.len() - 1)
            } else {
                Hit::Zeros
            }
        };
        let others = extra(bucket, "infrequent");
        let none = extra(self.missing == Policy::Keep, "missing");
        hits.extend(infrequent.into_iter().map(|label| (label, others)));
        let hits = Lookup::new(self.kind, hits, "label")?;
        let hit = |policy, kept| match policy {
            Policy::Ignore => Hit::Zeros,
            Policy::Keep => kept,
            Policy::Missing => Hit::Nulls,
        };
        let (unseen, missing) = (hit(self.unseen, others), hit(self.missing, none));
        Ok(Ready { outputs, hits, unseen, missing })
    }
}

impl OneHot {
    /// The labels that share the bucket, as scikit-learn's `_identify_infrequent` finds them.
    fn infrequent<'a>(&self, counts: &'a BTreeMap<Label, u64>, rows: u64) -> BTreeSet<&'a Label> {
        let least = match self.min_frequency {
            Some(share) if share < 1.0 => share * rows as f64,
            Some(count) => count,
            None => 0.0,
        };
        let rare = counts.iter().filter(|(_, count)| (**count as f64) < least);
        let mut infrequent: BTreeSet<&Label> = rare.map(|(label, _)| label).collect();
        // The bucket counts as a column even while it is empty.
        let columns = counts.len() - infrequent.len() + 1;
        if let Some(most) = self.max_categories.and_then(|m| usize::try_from(m).ok())
            && most < columns
        {
            let mut rising: Vec<_> = counts.iter().collect();
            rising.sort_by_key(|(_, count)| **count); // stable: equals rise by value
            let few = counts.len() - (most - 1).min(counts.len());
            infrequent.extend(rising.into_iter().take(few).map(|(label, _)| label));
        }
        infrequent
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        self.outputs.clone()
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let rows = column.len();
        let mut ones = vec![vec![0; rows]; self.outputs.len()];
        let mut valid = Bits::filled(rows, true);
        for row in 0..rows {
            let hit = match self.hits.find(column, row) {
                Found::Known(hit) => *hit,
                Found::Unseen => self.unseen,
                Found::Missing => self.missing,
            };
            match hit {
                Hit::Column(at) => {
                    if let Some(one) = ones.get_mut(at).and_then(|ones| ones.get_mut(row)) {
                        *one = 1;
                    }
                }
                Hit::Zeros => {}
                Hit::Nulls => valid.set(row, false),
            }
        }
        let column = |ones| Column::from_parts(Values::Long(ones), valid.clone());
        ones.into_iter().filter_map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{LESSON, fit_apply, fit_apply_in, json, law, wrong};
    use proptest::prelude::*;

    const FIT: [Option<&str>; 8] = [
        Some("web"),
        Some("pos"),
        None,
        Some("web"),
        Some("app"),
        Some("pos"),
        Some("web"),
        Some(" "),
    ];

    /// Names of the columns, then a text of digits for each of the rows "web", "app", "fax" (unseen) and null.
    #[track_caller]
    fn check(dialect: Dialect, parameters: &str, names: &str, rows: [&str; 4]) {
        let fit = Column::strings(FIT);
        let of = Column::strings([Some("web"), Some("app"), Some("fax"), None]);
        let (_, columns) = fit_apply_in(dialect, &SPEC, parameters, &fit, &of).unwrap();
        let found: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found.join(" "), names, "{parameters}");
        for (row, expected) in rows.into_iter().enumerate() {
            let cell = |c: &Column| c.number(row).map_or("-".into(), |x| x.to_string());
            let found: String = columns.iter().map(|(_, column)| cell(column)).collect();
            assert_eq!(found, expected, "{parameters} row {row}");
        }
    }

    #[test]
    fn values() {
        use Dialect::{Sklearn, Spark};
        let plain = "x_app x_pos x_web";
        check(Sklearn, r#"{"unseen":"ignore"}"#, plain, ["001", "100", "000", "000"]);
        check(
            Sklearn,
            r#"{"unseen":"missing","missing":"missing"}"#,
            plain,
            ["001", "100", "---", "---"],
        );
        check(
            Sklearn,
            r#"{"missing":"keep"}"#,
            "x_app x_pos x_web x_infrequent x_missing",
            ["00100", "10000", "00010", "00001"],
        );
        check(Spark, r#"{"unseen":"ignore"}"#, "x_web x_pos", ["10", "00", "00", "00"]);
        check(
            Spark,
            r#"{"unseen":"ignore","drop":"none"}"#,
            "x_web x_pos x_app",
            ["100", "001", "000", "000"],
        );
        check(
            Sklearn,
            r#"{"drop":"first","unseen":"ignore"}"#,
            "x_pos x_web",
            ["01", "00", "00", "00"],
        );
        let infrequent = "x_web x_infrequent";
        for parameters in [
            r#"{"unseen":"ignore","max_categories":2}"#,
            r#"{"unseen":"ignore","min_frequency":3}"#,
            r#"{"unseen":"ignore","min_frequency":0.3}"#,
        ] {
            check(Sklearn, parameters, infrequent, ["10", "01", "00", "00"]);
        }
        check(
            Sklearn,
            r#"{"max_categories":2,"drop":"if_binary"}"#,
            "x_infrequent",
            ["0", "1", "1", "0"],
        );
        check(
            Sklearn,
            r#"{"max_categories":1,"unseen":"ignore"}"#,
            "x_infrequent",
            ["1", "1", "0", "0"],
        );
    }

    #[test]
    fn other_types() {
        let longs = Column::longs([Some(10), Some(9), None]);
        let parameters = r#"{"unseen":"ignore"}"#;
        let (state, columns) = fit_apply(&SPEC, parameters, &longs, &longs).unwrap();
        assert_eq!(state, json(r#"{"labels":[9,10],"infrequent":[],"count":2}"#));
        assert_eq!(columns[0], ("x_9".into(), Column::longs([Some(0), Some(1), Some(0)])));
        let mut bools = Column::new(Type::Bool);
        bools.push(crate::column::Value::Bool(true));
        let (state, columns) = fit_apply(&SPEC, parameters, &bools, &bools).unwrap();
        assert_eq!(state, json(r#"{"labels":[true],"infrequent":[],"count":1}"#));
        assert_eq!(columns[0].0, "x_true");
    }

    #[test]
    fn refusals() {
        let none = Column::strings([None, Some(" ")]);
        assert!(fit_apply(&SPEC, "{}", &none, &none).unwrap_err().contains("no label"));
        let many = Column::longs((0..1001).map(Some));
        assert!(fit_apply(&SPEC, "{}", &many, &many).unwrap_err().contains("max_categories"));
        assert!(fit_apply(&SPEC, r#"{"max_categories":10}"#, &many, &many).is_ok());
        wrong(&SPEC, Type::String, r#"{"min_frequency":1.5}"#);
    }

    #[test]
    fn a_foreign_state_is_refused() {
        for state in [
            r#"{"labels":[1],"infrequent":[],"count":1}"#,
            r#"{"labels":["a","a"],"infrequent":[],"count":1}"#,
        ] {
            let operator = OneHot {
                kind: Type::String,
                dialect: Dialect::Sklearn,
                drop: Drop::None,
                unseen: Policy::Keep,
                missing: Policy::Ignore,
                max_categories: None,
                min_frequency: None,
            };
            assert!(operator.ready(serde_json::from_str(state).unwrap()).is_err(), "{state}");
        }
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(proptest::option::of("[a-e ]{0,2}"), 1..40),
            cuts in proptest::collection::vec(0usize..40, 0..4), turn in 0usize..5,
        ) {
            let column = Column::strings(values.iter().map(Option::as_deref));
            for parameters in ["{}", r#"{"max_categories":3}"#, r#"{"min_frequency":0.1}"#] {
                law::<OneHot>(&SPEC, parameters, &column, &LESSON, &cuts, turn)?;
            }
        }
    }
}
