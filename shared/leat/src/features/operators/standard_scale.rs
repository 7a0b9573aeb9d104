//! `standard_scale`: take off the mean and divide by the standard deviation that `fit` saw.
//!
//! - Takes: a column of numbers. Null, NaN and infinite values are skipped in `fit`.
//! - Gives: a column of doubles, without unit. Null or not finite in, null out; so is a result that is not finite.
//! - Dialects: `ddof` is 0 (divide by n) in `sklearn` and 1 (by n − 1) in `spark`; `center` is true in `sklearn` and
//!   false in `spark`. Both can be written.
//! - Edges: a constant column is divided by 1 in `sklearn` (so it gives 0.0 if centred) and gives 0.0 in `spark`. As in
//!   scikit-learn, `sklearn` also takes a column for constant whose variance is within the rounding error of its
//!   values: n·ε·variance + (n·mean·ε)². Nothing fitted gives null.
//! - State: count, mean, standard deviation, `ddof`, and whether the column is constant. The sums behind them are
//!   exact, so parts of the data are fitted and merged in any order.
//! - Errors: a mean or deviation beyond the greatest double.
//! - Source: scikit-learn `StandardScaler`; Spark `StandardScaler`. Departs: infinities, refused there, are null. Spark
//!   multiplies by the reciprocal, this divides: a result can differ in its last bit.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::features::columnwise::of_doubles;
use crate::features::manual::manual;
use crate::features::operator::{Apply, Fitted, Lesson, fitted_outputs};
use crate::number::Moments;
use crate::recipe::Dialect;
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "standard_scale",
    summary: "Take off the mean and divide by the standard deviation.",
    manual: manual!("standard_scale.rs"),
    version: 1,
    fitted: true,
    supervised: false,
    takes: &[Type::Double, Type::Long],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "center",
            kind: ParameterKind::Bool,
            default: "",
            required: false,
            help: "Take off the mean. By default true in dialect sklearn, false in spark.",
        },
        Parameter {
            name: "scale",
            kind: ParameterKind::Bool,
            default: "true",
            required: false,
            help: "Divide by the standard deviation.",
        },
        Parameter {
            name: "ddof",
            kind: ParameterKind::Integer { min: 0, max: 1 },
            default: "",
            required: false,
            help: "The variance is divided by n − ddof. By default 0 in dialect sklearn, 1 in spark.",
        },
    ],
    outputs: fitted_outputs::<StandardScale>,
};

/// The parameters.
#[derive(Debug)]
pub struct StandardScale {
    center: bool,
    scale: bool,
    ddof: u64,
    dialect: Dialect,
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    count: u64,
    mean: Option<f64>,
    std: Option<f64>,
    ddof: u64,
    constant: bool,
}

/// Ready to run: (x − `mean`) / `divisor`.
#[derive(Debug)]
pub struct Ready {
    mean: f64,
    divisor: Divisor,
}

#[derive(Debug)]
enum Divisor {
    By(f64),
    /// Every number gives 0.
    Zero,
    /// Nothing was fitted.
    Null,
}

impl Fitted for StandardScale {
    type Partial = Moments;
    type State = State;
    type Ready = Ready;

    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let sklearn = setting.dialect == Dialect::Sklearn;
        Ok(StandardScale {
            center: setting.bool("center").unwrap_or(sklearn),
            scale: setting.bool("scale").unwrap_or(true),
            ddof: setting.whole("ddof").unwrap_or(u64::from(!sklearn)),
            dialect: setting.dialect,
        })
    }

    fn outputs(&self) -> Option<Vec<Output>> {
        Some(vec![Output::plain(Type::Double)])
    }

    fn update(&self, moments: &mut Moments, column: &Column, _: &Lesson<'_>) {
        (0..column.len()).filter_map(|row| column.number(row)).for_each(|x| moments.add(x));
    }

    fn merge(&self, moments: &mut Moments, other: &Moments) {
        moments.merge(other);
    }

    fn finish(&self, moments: &Moments) -> Result<State, String> {
        let (count, ddof) = (moments.count, self.ddof);
        let Some(mean) = moments.mean() else {
            return Ok(State { count, mean: None, std: None, ddof, constant: true });
        };
        let variance = moments.variance(ddof).unwrap_or(0.0);
        if !mean.is_finite() || !variance.is_finite() {
            return Err(
                "its mean or deviation is beyond the greatest double; scale it down first, \
                        with `derive` or `log`"
                    .into(),
            );
        }
        let constant = match self.dialect {
            Dialect::Sklearn => {
                let error = count as f64 * mean * f64::EPSILON;
                variance <= count as f64 * f64::EPSILON * variance + error * error
            }
            Dialect::Spark => variance == 0.0,
        };
        Ok(State { count, mean: Some(mean), std: Some(variance.sqrt()), ddof, constant })
    }

    fn ready(self, state: State) -> Result<Ready, String> {
        if state.ddof != self.ddof {
            return Err(format!("it was learnt with `ddof: {}`", state.ddof));
        }
        let divisor = match (state.std, self.dialect) {
            (None, _) => Divisor::Null,
            _ if !self.scale => Divisor::By(1.0),
            (Some(_), Dialect::Sklearn) if state.constant => Divisor::By(1.0),
            (Some(_), Dialect::Spark) if state.constant => Divisor::Zero,
            (Some(std), _) => Divisor::By(std),
        };
        let mean = if self.center { state.mean.unwrap_or_default() } else { 0.0 };
        Ok(Ready { mean, divisor })
    }
}

impl Apply for Ready {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Double)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let mean = self.mean;
        vec![match self.divisor {
            Divisor::By(divisor) => of_doubles(column, |x| {
                let y = (x - mean) / divisor;
                if x.is_finite() && y.is_finite() { y } else { f64::NAN }
            }),
            Divisor::Zero => of_doubles(column, |x| if x.is_finite() { 0.0 } else { f64::NAN }),
            Divisor::Null => Column::nulls(Type::Double, column.len()),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{LESSON, fit_apply, fit_apply_in, json, law, number};
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
        check(
            Sklearn,
            "{}",
            &[1.0, f64::NAN, 3.0, f64::INFINITY],
            r#"{"count":2,"mean":2.0,"std":1.0,"ddof":0,"constant":false}"#,
            &[Some(4.0), None, Some(f64::INFINITY)],
            &[Some(2.0), None, None],
        );
        check(
            Spark,
            "{}",
            &[1.0, 2.0, 3.0],
            r#"{"count":3,"mean":2.0,"std":1.0,"ddof":1,"constant":false}"#,
            &[Some(4.0)],
            &[Some(4.0)], // not centred
        );
        let constant = r#"{"count":2,"mean":5.0,"std":0.0,"ddof":0,"constant":true}"#;
        check(Sklearn, "{}", &[5.0, 5.0], constant, &[Some(7.0)], &[Some(2.0)]);
        check(Spark, r#"{"ddof":0}"#, &[5.0, 5.0], constant, &[Some(7.0)], &[Some(0.0)]);
        check(
            Sklearn,
            r#"{"scale":false,"ddof":1}"#,
            &[5.0],
            r#"{"count":1,"mean":5.0,"std":0.0,"ddof":1,"constant":true}"#,
            &[Some(7.0)],
            &[Some(2.0)],
        );
        let nothing = r#"{"count":0,"mean":null,"std":null,"ddof":0,"constant":true}"#;
        check(Sklearn, "{}", &[], nothing, &[Some(7.0), None], &[None, None]);
        // A sum of rounded values: constant, as scikit-learn has it.
        check(
            Sklearn,
            "{}",
            &[0.1 + 0.2, 0.3],
            r#"{"count":2,"mean":0.30000000000000004,"std":2.7755575615628914e-17,"ddof":0,"constant":true}"#,
            &[Some(1.0)],
            &[Some(1.0 - 0.30000000000000004)],
        );
    }

    #[test]
    fn beyond_the_greatest_double() {
        let huge = Column::doubles([Some(f64::MAX), Some(-f64::MAX)]);
        assert!(fit_apply(&SPEC, "{}", &huge, &huge).unwrap_err().contains("greatest double"));
        let small = Column::doubles([Some(0.0), Some(1e-150)]);
        let (_, columns) = fit_apply(&SPEC, "{}", &small, &huge).unwrap();
        assert_eq!(columns[0].1, Column::doubles([None, None]));
    }

    proptest! {
        #[test]
        fn merged_is_one_pass(
            values in proptest::collection::vec(number(), 0..30), cuts in proptest::collection::vec(0usize..30, 0..4),
            turn in 0usize..5,
        ) {
            law::<StandardScale>(&SPEC, "{}", &Column::doubles(values), &LESSON, &cuts, turn)?;
        }
    }
}
