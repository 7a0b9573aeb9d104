//! `min_max_scale`: move a column to 0..1 by the least and the greatest value that `fit` saw.
//!
//! - Takes: a column of numbers. Null, NaN and infinite values are skipped in `fit`.
//! - Gives: a column of doubles: low + (x − min) / (max − min) · (high − low). Null or not finite in, null out; so is a
//!   result that is not finite.
//! - Edges: values beyond the fitted range go beyond `low` and `high`, so that drift stays visible; with `clip` they are
//!   `low` or `high`. A range below 10 eps counts as 1 in dialect `sklearn`, so that a constant column gives `low`; in
//!   `spark` a constant column gives the middle of `low` and `high`. Nothing fitted gives null.
//! - State: count, least and greatest value. Merging is min and max, so parts of the data are fitted in any order.
//! - Errors: `high` not above `low`; a range beyond the greatest double.
//! - Source: scikit-learn `MinMaxScaler`; Spark `MinMaxScaler`. Departs: infinities, refused there, are null; scikit-learn
//!   adds to x·scale an offset, which loses digits where values are great beside their range.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::features::columnwise::of_doubles;
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::recipe::Dialect;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "min_max_scale",
    summary: "Move a column to 0..1 by its least and greatest value.",
    manual: manual!("min_max_scale.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::Double, Type::Long],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "low",
            kind: ParameterKind::Number { min: -1e15, max: 1e15 },
            default: "0",
            required: false,
            help: "What the least value gives.",
        },
        Parameter {
            name: "high",
            kind: ParameterKind::Number { min: -1e15, max: 1e15 },
            default: "1",
            required: false,
            help: "What the greatest value gives.",
        },
        Parameter {
            name: "clip",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Give `low` or `high` for what lies beyond them.",
        },
    ],
    outputs: fitted_outputs::<MinMaxScale>,
};

/// The parameters.
#[derive(Debug)]
pub struct MinMaxScale {
    low: f64,
    high: f64,
    clip: bool,
    dialect: Dialect,
}

/// What was seen, which is also what was learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
}

/// Ready to run: low + (x − `min`) / `span` · `width`.
#[derive(Debug)]
pub struct Ready {
    low: f64,
    width: f64,
    clip: Option<(f64, f64)>,
    range: Option<(f64, f64)>,
}

impl Fitted for MinMaxScale {
    type Partial = Range;
    type State = Range;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let low = setting.number("low").unwrap_or(0.0);
        let high = setting.number("high").unwrap_or(1.0);
        if high <= low {
            return Err(Wrong::at("high", "`high` is not above `low`", "write a greater one"));
        }
        let clip = setting.bool("clip").unwrap_or(false);
        Ok(MinMaxScale { low, high, clip, dialect: setting.dialect })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::plain(Type::Double)])
    }

    fn update(&self, range: &mut Range, column: &Column, _: &Lesson<'_>) {
        let numbers = (0..column.len()).filter_map(|row| column.number(row));
        for x in numbers.filter(|x| x.is_finite()) {
            range.count = range.count.saturating_add(1);
            range.min = Some(range.min.map_or(x, |min| min.min(x)));
            range.max = Some(range.max.map_or(x, |max| max.max(x)));
        }
    }

    fn merge(&self, range: &mut Range, other: &Range) {
        range.count = range.count.saturating_add(other.count);
        range.min = range.min.into_iter().chain(other.min).reduce(f64::min);
        range.max = range.max.into_iter().chain(other.max).reduce(f64::max);
    }

    fn finish(&self, range: &Range) -> Result<Range, String> {
        match range.min.zip(range.max) {
            Some((min, max)) if !(max - min).is_finite() => {
                Err("its range is beyond the greatest double; scale it down first, with `derive` \
                     or `log`"
                    .into())
            }
            _ => Ok(*range),
        }
    }

    fn ready(self, state: Range) -> Result<Ready, String> {
        let range = match (state.min, state.max) {
            (Some(min), Some(max)) if max >= min => Some((min, max - min)),
            (None, None) => None,
            _ => return Err("its `max` is not above its `min`".into()),
        };
        let (mut low, mut width) = (self.low, self.high - self.low);
        let range = range.map(|(min, span)| match self.dialect {
            Dialect::Sklearn if span < 10.0 * f64::EPSILON => (min, 1.0),
            Dialect::Spark if span == 0.0 => {
                (low, width) = (0.5 * (self.low + self.high), 0.0);
                (min, 1.0)
            }
            _ => (min, span),
        });
        Ok(Ready { low, width, clip: self.clip.then_some((self.low, self.high)), range })
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Double)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let Some((min, span)) = self.range else {
            return vec![Column::nulls(Type::Double, column.len())];
        };
        let (low, width) = (self.low, self.width);
        let scaled = |x: f64| low + (x - min) / span * width;
        let there = |x: f64, y: f64| if x.is_finite() && y.is_finite() { y } else { f64::NAN };
        vec![match self.clip {
            None => of_doubles(column, |x| there(x, scaled(x))),
            Some((low, high)) => of_doubles(column, |x| there(x, scaled(x).max(low).min(high))),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{
        LESSON, fit_apply, fit_apply_in, json, law, number, wrong,
    };
    use proptest::prelude::*;

    #[track_caller]
    fn check(
        dialect: Dialect,
        parameters: &str,
        fit: &[f64],
        state: &str,
        of: &[Option<f64>],
        expected: &[Option<f64>],
    ) {
        let fit = Column::doubles(fit.iter().copied().map(Some));
        let of = Column::doubles(of.iter().copied());
        let (learnt, columns) = fit_apply_in(dialect, &SPEC, parameters, &fit, &of).unwrap();
        assert_eq!(learnt, json(state));
        assert_eq!(columns, [("x".to_owned(), Column::doubles(expected.iter().copied()))]);
    }

    #[test]
    fn values() {
        use Dialect::{Sklearn, Spark};
        let seen = [2.0, f64::NAN, 6.0, f64::INFINITY];
        let state = r#"{"count":2,"min":2.0,"max":6.0}"#;
        let of = [Some(3.0), Some(8.0), Some(1.0), None, Some(f64::NEG_INFINITY)];
        check(
            Sklearn,
            "{}",
            &seen,
            state,
            &of,
            &[Some(0.25), Some(1.5), Some(-0.25), None, None], // beyond the range: not clipped
        );
        let clipped = [Some(0.25), Some(1.0), Some(0.0), None, None];
        check(Sklearn, r#"{"clip":true}"#, &seen, state, &of, &clipped);
        let wide = [Some(-0.5), Some(2.0), Some(-1.5), None, None];
        check(Spark, r#"{"low":-1}"#, &seen, state, &of, &wide);
        let constant = r#"{"count":2,"min":5.0,"max":5.0}"#;
        let of = [Some(5.0), Some(7.0)];
        check(Sklearn, r#"{"low":-1}"#, &[5.0, 5.0], constant, &of, &[Some(-1.0), Some(3.0)]);
        check(Spark, r#"{"low":-1}"#, &[5.0, 5.0], constant, &of, &[Some(0.0), Some(0.0)]);
        let nothing = r#"{"count":0,"min":null,"max":null}"#;
        check(Sklearn, "{}", &[], nothing, &[Some(1.0), None], &[None, None]);
    }

    #[test]
    fn whole_numbers() {
        let longs = Column::longs([Some(0), Some(4), None]);
        let (_, columns) = fit_apply(&SPEC, "{}", &longs, &longs).unwrap();
        assert_eq!(columns[0].1, Column::doubles([Some(0.0), Some(1.0), None]));
    }

    #[test]
    fn beyond_the_greatest_double() {
        let huge = Column::doubles([Some(f64::MAX), Some(-f64::MAX)]);
        assert!(fit_apply(&SPEC, "{}", &huge, &huge).unwrap_err().contains("greatest double"));
        let small = Column::doubles([Some(0.0), Some(1e-10)]);
        let (_, columns) = fit_apply(&SPEC, "{}", &small, &huge).unwrap();
        assert_eq!(columns[0].1, Column::doubles([None, None]));
    }

    #[test]
    fn wrong_parameters_and_states() {
        wrong(&SPEC, Type::Double, r#"{"low":1}"#);
        wrong(&SPEC, Type::Long, r#"{"low":2,"high":1}"#);
        let operator = || MinMaxScale { low: 0.0, high: 1.0, clip: false, dialect: Dialect::Spark };
        for (min, max) in [(Some(2.0), Some(1.0)), (None, Some(1.0))] {
            assert!(operator().ready(Range { count: 1, min, max }).is_err());
        }
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(number(), 0..30), cuts in proptest::collection::vec(0usize..30, 0..4),
            turn in 0usize..5,
        ) {
            law::<MinMaxScale>(&SPEC, "{}", &Column::doubles(values), &LESSON, &cuts, turn)?;
        }
    }
}
