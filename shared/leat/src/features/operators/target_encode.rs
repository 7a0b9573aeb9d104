//! `target_encode`: the mean label of a category, drawn towards the mean of all by `smooth`.
//!
//! - Takes: a column of text, whole numbers or booleans, and the field whose role is label: a number, or a boolean as 0
//!   and 1. This is the only operator that reads the label, and `fit` alone reads it: serving needs none.
//! - Gives: a column of doubles, (sum + m·g) / (n + m): n labels of the category and their sum, g the mean of all labels,
//!   m `smooth`. With `smooth: 0` it is the category's own mean.
//! - Modes: a row that serves gets the value of all labels. A row to train on gets that of the labels outside its own
//!   fold (g, too), so that it never sees its own: else a rare category would tell the label. The fold is the row's
//!   identity (a hash of its id, else of its coordinates) modulo `folds`: the same on every machine and in every run.
//!   Steps that read the column learn from what training rows get. The fitted state names the columns that differ.
//! - Edges: missing, which blank text is too, is a category of its own. A category without labels gives g. Rows without
//!   a label, or with an infinite one, are skipped in `fit`. A training row outside whose fold no label is gives null.
//! - State: by category, the number of labels, what serves, and what trains by fold. The sums behind them are exact, so
//!   parts of the data are fitted and merged in any order.
//! - Errors: no field has the role label, or it is text; no labels in `fit`; labels whose sum is beyond the greatest
//!   double; more than 100,000 different categories.
//! - Source: scikit-learn `TargetEncoder(smooth=m)` with a binary or continuous target. Departs: `smooth: auto`, which
//!   gives a category of one row its bare label, is not there; folds go by identity, not by place; the target is never
//!   multiclass.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::features::counts::{Label, Tallies, Tally};
use crate::features::folds::{Folds, Sum, fold_of};
use crate::features::lookup::{Found, Lookup};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};
use crate::record::Identity;

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "target_encode",
    summary: "The mean label of a category; out of fold for training rows.",
    manual: manual!("target_encode.rs"),
    version: 1,
    fitted: true,
    supervised: true,
    takes: &[Type::String, Type::Long, Type::Bool],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "smooth",
            kind: ParameterKind::Number { min: 0.0, max: 1e15 },
            default: "20",
            required: false,
            help: "So many labels of the mean of all are added to those of each category.",
        },
        Parameter {
            name: "folds",
            kind: ParameterKind::Integer { min: 2, max: 100 },
            default: "5",
            required: false,
            help: "Training rows are cut into so many parts; each part's values come from the others.",
        },
    ],
    outputs: fitted_outputs::<TargetEncode>,
};

/// The parameters.
#[derive(Debug)]
pub struct TargetEncode {
    kind: Type,
    smooth: f64,
    folds: usize,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    categories: Tallies<Folds>,
    missing: Folds,
    all: Folds,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    smooth: f64,
    folds: usize,
    categories: Vec<(Label, Encoded)>,
    /// None if no missing one had a label.
    missing: Option<Encoded>,
    /// Of all labels: for categories that `fit` did not see.
    unseen: Encoded,
}

/// What a category gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoded {
    /// How many labels it comes from.
    count: u64,
    serve: f64,
    /// By fold; null where no label is outside of it.
    train: Vec<Option<f64>>,
}

/// Ready to run.
#[derive(Debug)]
pub struct Ready {
    folds: usize,
    categories: Lookup<Encoded>,
    missing: Encoded,
    unseen: Encoded,
}

impl Fitted for TargetEncode {
    type Partial = Seen;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let folds = setting.whole("folds").and_then(|folds| usize::try_from(folds).ok());
        Ok(TargetEncode {
            kind: setting.kind,
            smooth: setting.number("smooth").unwrap_or(20.0),
            folds: folds.unwrap_or(5),
        })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::plain(Type::Double)])
    }

    fn update(&self, seen: &mut Seen, column: &Column, lesson: &Lesson<'_>) {
        let Some(labels) = lesson.label else { return };
        for (row, &identity) in lesson.identities.iter().enumerate().take(column.len()) {
            let Some(y) = labels.number(row).filter(|y| y.is_finite()) else { continue };
            let fold = fold_of(identity, self.folds);
            seen.all.add(fold, y);
            match Label::at(column, row) {
                None => seen.missing.add(fold, y),
                Some(category) => {
                    if let Some(folds) = seen.categories.entry(category) {
                        folds.add(fold, y);
                    }
                }
            }
        }
    }

    fn merge(&self, seen: &mut Seen, other: &Seen) {
        seen.categories.merge(&other.categories);
        seen.missing.merge(&other.missing);
        seen.all.merge(&other.all);
    }

    fn finish(&self, seen: &Seen) -> Result<State, String> {
        if seen.all.all().count() == 0 {
            return Err("`fit` saw no row that has a label; give it labelled data".into());
        }
        let too_great = "the sum of its labels is beyond the greatest double; scale the label down";
        let means = Means {
            smooth: self.smooth,
            serve: seen.all.all().mean(),
            train: (0..self.folds).map(|fold| seen.all.but(fold).mean()).collect(),
        };
        let encode = |folds: &Folds| means.encode(folds).ok_or_else(|| too_great.to_owned());
        let categories = seen.categories.labels()?.iter();
        let categories = categories.map(|(label, folds)| Ok((label.clone(), encode(folds)?)));
        let missing = (seen.missing.all().count() > 0).then(|| encode(&seen.missing));
        Ok(State {
            smooth: self.smooth,
            folds: self.folds,
            categories: categories.collect::<Result<_, String>>()?,
            missing: missing.transpose()?,
            unseen: Encoded { count: seen.all.all().count(), ..encode(&Folds::default())? },
        })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        let State { smooth, folds, categories, missing, unseen } = state;
        if (smooth, folds) != (self.smooth, self.folds) {
            return Err(format!("it was learnt with `smooth: {smooth}` and `folds: {folds}`"));
        }
        let whole = |encoded: &Encoded| encoded.train.len() == folds;
        let of_categories = categories.iter().map(|(_, encoded)| encoded);
        if !of_categories.chain(&missing).chain([&unseen]).all(whole) {
            return Err(format!("it has not a value for each of {folds} folds"));
        }
        let known = Lookup::new(self.kind, categories, "category")?;
        let missing = missing.unwrap_or_else(|| unseen.clone());
        Ok(Ready { folds, categories: known, missing, unseen })
    }
}

/// What categories are drawn to: the mean of all labels, and of those outside each fold.
struct Means {
    smooth: f64,
    serve: Option<f64>,
    train: Vec<Option<f64>>,
}

impl Means {
    /// None where a number is beyond the greatest double.
    fn encode(&self, folds: &Folds) -> Option<Encoded> {
        let all = folds.all();
        let train = self.train.iter().enumerate().map(|(fold, mean)| match mean {
            Some(mean) => self.value(&folds.but(fold), *mean).map(Some),
            None => Some(None),
        });
        Some(Encoded {
            count: all.count(),
            serve: self.value(&all, self.serve?)?,
            train: train.collect::<Option<_>>()?,
        })
    }

    fn value(&self, sum: &Sum, mean: f64) -> Option<f64> {
        let weight = sum.count() as f64 + self.smooth;
        let value = if weight > 0.0 { (sum.total() + self.smooth * mean) / weight } else { mean };
        value.is_finite().then_some(value)
    }
}

impl Ready {
    fn of(&self, column: &Column, row: usize) -> &Encoded {
        match self.categories.find(column, row) {
            Found::Known(encoded) => encoded,
            Found::Unseen => &self.unseen,
            Found::Missing => &self.missing,
        }
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Double)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        vec![Column::doubles((0..column.len()).map(|row| Some(self.of(column, row).serve)))]
    }

    fn apply_train(&self, column: &Column, identities: &[Identity]) -> Vec<Column> {
        let value = |row: usize| {
            let fold = fold_of(*identities.get(row)?, self.folds);
            *self.of(column, row).train.get(fold)?
        };
        vec![Column::doubles((0..column.len()).map(value))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{Taught, json, law, taught};
    use proptest::prelude::*;

    /// Row i is in fold i mod 5.
    fn rows(n: usize) -> Vec<Identity> {
        (0..n as u128).collect()
    }

    const CHANNELS: [Option<&str>; 6] =
        [Some("a"), Some("b"), Some("a"), None, Some("a"), Some(" ")];
    const LABELS: [Option<f64>; 6] = [Some(1.0), Some(0.0), Some(0.0), Some(1.0), None, Some(1.0)];

    fn teach(parameters: &str) -> Result<Taught, String> {
        let (column, labels) = (Column::strings(CHANNELS), Column::doubles(LABELS));
        taught(&SPEC, parameters, &column, &labels, &rows(6))
    }

    #[test]
    fn values() {
        // a: 1 of 2; b: 0 of 1; missing (null and blank): 2 of 2; all: 3 of 5.
        for (parameters, m) in [("{}", 20.0), (r#"{"smooth":1.5}"#, 1.5), (r#"{"smooth":0}"#, 0.0)]
        {
            let of = Column::strings([Some("a"), Some("b"), None, Some(""), Some("new")]);
            let found = teach(parameters).unwrap().serve(&of);
            let value = |sum: f64, n: f64| (sum + m * 0.6) / (n + m);
            let none = value(2.0, 2.0);
            let wanted = [value(1.0, 2.0), value(0.0, 1.0), none, none, 0.6];
            assert_eq!(found, Column::doubles(wanted.map(Some)), "{parameters}");
        }
    }

    #[test]
    fn training_rows_get_what_the_other_folds_say() {
        let found = teach(r#"{"smooth":1}"#).unwrap().train(&Column::strings(CHANNELS), &rows(6));
        // Rows 0 and 5 are in fold 0, outside of which the mean is 1/3; 3/4 outside of folds 1 and 2, 2/4 of fold 3, and
        // 3/5 of fold 4, of which no row has a label.
        let wanted = [
            (0.0 + 1.0 / 3.0) / 2.0,
            0.75,
            (1.0 + 0.75) / 2.0,
            (1.0 + 0.5) / 2.0,
            (1.0 + 0.6) / 3.0,
            { (1.0 + 1.0 / 3.0) / 2.0 },
        ];
        assert_eq!(found, Column::doubles(wanted.map(Some)));
    }

    #[test]
    fn the_state() {
        let state = teach(r#"{"smooth":1,"folds":2}"#).unwrap().state;
        let expected = r#"{
            "smooth": 1.0, "folds": 2,
            "categories": [
                ["a", {"count": 2, "serve": 0.5333333333333333, "train": [0.6666666666666666, 0.5]}],
                ["b", {"count": 1, "serve": 0.3, "train": [0.3333333333333333, 0.5]}]
            ],
            "missing": {"count": 2, "serve": 0.8666666666666667, "train": [0.8888888888888888, 0.5]},
            "unseen": {"count": 5, "serve": 0.6, "train": [0.6666666666666666, 0.5]}
        }"#;
        assert_eq!(state, json(expected));
    }

    #[test]
    fn other_types() {
        let bools = |values: [bool; 3]| {
            let mut column = Column::new(Type::Bool);
            values.iter().for_each(|v| column.push(crate::column::Value::Bool(*v)));
            column
        };
        let whole = Column::longs([Some(7), Some(7), Some(-1)]);
        let parameters = r#"{"smooth":0}"#;
        let labels = bools([true, false, true]);
        let found = taught(&SPEC, parameters, &whole, &labels, &rows(3)).unwrap();
        assert_eq!(found.serve(&whole), Column::doubles([Some(0.5), Some(0.5), Some(1.0)]));
        let amounts = Column::doubles([Some(0.1), Some(0.2), Some(f64::INFINITY)]);
        let of = bools([true, true, false]);
        let found = taught(&SPEC, parameters, &of, &amounts, &rows(3)).unwrap();
        let mean = (0.1 + 0.2) / 2.0;
        assert_eq!(found.serve(&of), Column::doubles([Some(mean), Some(mean), Some(mean)]));
    }

    #[test]
    fn one_labelled_row_tells_nothing_of_itself() {
        let column = Column::strings([Some("a"), Some("b")]);
        let labels = Column::longs([Some(1), None]);
        let found = taught(&SPEC, "{}", &column, &labels, &rows(2)).unwrap();
        assert_eq!(found.train(&column, &rows(2)), Column::doubles([None, Some(1.0)]));
        assert_eq!(found.train(&column, &[]), Column::doubles([None, None])); // a bug of the caller
    }

    #[test]
    fn refusals() {
        let column = Column::strings([Some("a"), Some("b")]);
        let of = |labels| taught(&SPEC, "{}", &column, &labels, &rows(2)).map(|_| ());
        assert!(of(Column::longs([None, None])).unwrap_err().contains("no row that has a label"));
        let great = of(Column::doubles([Some(1.5e308), Some(1.5e308)]));
        assert!(great.unwrap_err().contains("beyond the greatest double"));
        let many = Column::longs((0..100_001).map(Some));
        let found = taught(&SPEC, "{}", &many, &many, &rows(100_001)).map(|_| ());
        assert!(found.unwrap_err().contains("100000"));
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let good = teach("{}").unwrap().state.to_string();
        for (from, to) in [
            ("\"smooth\":20.0", "\"smooth\":2.0"),
            ("\"folds\":5", "\"folds\":4"),
            ("\"b\"", "\"a\""),
            ("\"b\"", "1"),
            ("\"train\":[", "\"train\":[0.5,"),
        ] {
            let state = serde_json::from_str(&good.replace(from, to)).unwrap();
            let operator = TargetEncode { kind: Type::String, smooth: 20.0, folds: 5 };
            assert!(operator.ready(state).is_err(), "{to}");
        }
    }

    fn labels() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            Just(None),
            (0u8..2).prop_map(|y| Some(f64::from(y))),
            (-1e9..1e9).prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec((proptest::option::of("[a-e ]{0,2}"), labels()), 1..40),
            cuts in proptest::collection::vec(0usize..40, 0..4), turn in 0usize..5,
        ) {
            let column = Column::strings(values.iter().map(|(v, _)| v.as_deref()));
            let labels = Column::doubles(values.iter().map(|(_, y)| *y));
            let lesson = Lesson { label: Some(&labels), identities: &rows(values.len()) };
            law::<TargetEncode>(&SPEC, r#"{"folds":3}"#, &column, &lesson, &cuts, turn)?;
        }

        /// Whatever the labels of its fold are, its own among them, a row to train on gets the same.
        #[test]
        fn no_label_of_its_fold_changes_a_row(
            values in proptest::collection::vec((0i64..4, labels(), labels()), 6..30), fold in 0usize..3,
        ) {
            let (rows, folds) = (rows(values.len()), 3);
            let column = Column::longs(values.iter().map(|(v, ..)| Some(*v)));
            let of = |changed: bool| {
                let label = |(row, (_, y, other)): (usize, &(i64, Option<f64>, Option<f64>))| {
                    if changed && fold_of(rows[row], folds) == fold { *other } else { *y }
                };
                let labels = Column::doubles(values.iter().enumerate().map(label));
                let found = taught(&SPEC, r#"{"folds":3}"#, &column, &labels, &rows).ok()?;
                Some(found.train(&column, &rows))
            };
            if let (Some(one), Some(other)) = (of(false), of(true)) {
                for row in (0..values.len()).filter(|&row| fold_of(rows[row], folds) == fold) {
                    prop_assert_eq!(one.get(row), other.get(row));
                }
            }
        }
    }
}
