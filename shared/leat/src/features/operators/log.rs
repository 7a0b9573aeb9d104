//! `log`: the logarithm of a column.
//!
//! - Takes: a column of numbers.
//! - Gives: a column of doubles: log_base(x + offset). With `signed` it is sign(x) · log_base(|x| + offset), which keeps
//!   negative values and 0. Null or not finite in, null out.
//! - Edges: x + offset ≤ 0 gives null. An offset of 1 is taken by `log1p`, so small values keep all their digits.
//! - State: none.
//! - Errors: a base of 1 or not above 0; `signed` with an offset below 1, as the result would change its sign.
//! - Source: numpy's `log`, `log1p`, `log2`, `log10`, by `libm`, so that every machine gives the same bits.

use crate::column::{Column, Type};
use crate::features::columnwise::of_doubles;
use crate::features::manual::manual;
use crate::features::operator::{Apply, Local, local_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "log",
    summary: "The logarithm of a column.",
    manual: manual!("log.rs"),
    version: 1,
    fitted: false,
    supervised: false,
    takes: &[Type::Double, Type::Long],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "base",
            kind: ParameterKind::Number { min: f64::MIN_POSITIVE, max: f64::MAX },
            default: "",
            required: false,
            help: "The base of the logarithm. By default e.",
        },
        Parameter {
            name: "offset",
            kind: ParameterKind::Number { min: -f64::MAX, max: f64::MAX },
            default: "",
            required: false,
            help: "What is added first. By default 0; 1 if `signed`.",
        },
        Parameter {
            name: "signed",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Take the logarithm of the size and keep the sign.",
        },
    ],
    outputs: local_outputs::<Log>,
};

/// The parameters; ready to run.
#[derive(Debug)]
pub struct Log {
    base: Option<f64>,
    offset: f64,
    signed: bool,
}

impl Local for Log {
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let (base, signed) = (setting.number("base"), setting.bool("signed").unwrap_or(false));
        let offset = setting.number("offset").unwrap_or(f64::from(u8::from(signed)));
        if base.is_some_and(|base| base <= 0.0 || base == 1.0) {
            return Err(Wrong::at(
                "base",
                "`base` is no base of a logarithm",
                "write one above 0 but 1",
            ));
        }
        if signed && offset < 1.0 {
            return Err(Wrong::at(
                "offset",
                "with `signed` an `offset` below 1 turns the sign of small values around",
                "write 1 or more",
            ));
        }
        Ok(Log { base, offset, signed })
    }
}

impl Log {
    /// NaN where there is none.
    fn log(&self, x: f64) -> f64 {
        let size = if self.signed { x.abs() } else { x };
        let sum = size + self.offset;
        if !sum.is_finite() || sum <= 0.0 {
            return f64::NAN;
        }
        let log = match self.base {
            Some(2.0) => libm::log2(sum),
            Some(10.0) => libm::log10(sum),
            base => {
                let log = if self.offset == 1.0 { libm::log1p(size) } else { libm::log(sum) };
                base.map_or(log, |base| log / libm::log(base))
            }
        };
        if self.signed && x < 0.0 { -log } else { log }
    }
}

impl Apply for Log {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Double)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        vec![of_doubles(column, |x| self.log(x))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{apply, wrong};

    #[track_caller]
    fn check(parameters: &str, x: Option<f64>, expected: Option<f64>) {
        let columns = apply(&SPEC, parameters, &Column::doubles([x])).unwrap();
        assert_eq!(columns, [("x".to_owned(), Column::doubles([expected]))], "{parameters} {x:?}");
    }

    #[test]
    fn values() {
        check("{}", Some(1.0), Some(0.0));
        check("{}", Some(std::f64::consts::E), Some(1.0));
        check("{}", Some(0.0), None);
        check("{}", Some(-1.0), None);
        check("{}", None, None);
        check("{}", Some(f64::INFINITY), None);
        check(r#"{"base":2}"#, Some(8.0), Some(3.0));
        check(r#"{"base":10}"#, Some(1000.0), Some(3.0));
        check(r#"{"base":0.5}"#, Some(4.0), Some(-2.0));
        check(r#"{"offset":1}"#, Some(0.0), Some(0.0));
        check(r#"{"offset":1}"#, Some(1e-20), Some(1e-20));
        check(r#"{"offset":1}"#, Some(-1.0), None);
        check(r#"{"signed":true}"#, Some(0.0), Some(0.0));
        check(r#"{"signed":true,"base":2}"#, Some(-7.0), Some(-3.0));
        check(r#"{"signed":true,"base":2}"#, Some(7.0), Some(3.0));
        check(r#"{"offset":1e308}"#, Some(1e308), None); // the sum is not finite
    }

    #[test]
    fn whole_numbers() {
        let columns = apply(&SPEC, r#"{"base":2}"#, &Column::longs([Some(4), None])).unwrap();
        assert_eq!(columns[0].1, Column::doubles([Some(2.0), None]));
    }

    #[test]
    fn wrong_parameters() {
        for parameters in
            [r#"{"base":1}"#, r#"{"base":0}"#, r#"{"base":-2}"#, r#"{"signed":true,"offset":0.5}"#]
        {
            wrong(&SPEC, Type::Double, parameters);
        }
    }
}
