//! `cross`: one column of several: numbers by arithmetic, labels by a hash of all of them.
//!
//! - Takes: at least two columns. Without `buckets` they are numbers (booleans count as 0 and 1), for arithmetic. With
//!   `buckets` they are of text, whole numbers, doubles or booleans, to be hashed.
//! - Gives: of numbers a column of doubles, from the left: ((a · b) · c). By a hash a column of whole numbers from 0 to
//!   `buckets` − 1. It is named by `out`; without it as the columns are, with `_x_` between them.
//! - Arithmetic: `multiply`, `add`, `subtract`, `divide`. Null or not finite in any, null out; so is a division by 0, and
//!   a result that is not finite.
//! - Hash: MurmurHash3 (x86, 32 bits), seeds and buckets as those of `hash_encode`, of the values one after another with
//!   the byte `|` between them: a text's bytes in UTF-8, the eight of a whole number, or of a double's bits, least
//!   significant first, the one byte 0 or 1 of a boolean. Two texts that hold a `|` can meet.
//! - Edges: by a hash, missing is null, an infinite number, and text that is blank. With `missing: keep` a row with a
//!   missing value has bucket 0, which no other has; with `missing: missing` it gives null.
//! - State: none.
//! - Errors: one column; a column of text without `buckets`; `operation` with `buckets`; `seed` or `missing` without.
//! - Source: TensorFlow's `crossed_column` and scikit-learn's `FeatureHasher` for the hash.

use crate::column::{Column, Type};
use crate::features::columnwise::{Key, numbers};
use crate::features::manual::manual;
use crate::features::murmur3::Buckets;
use crate::features::operator::{Apply, Local, local_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What stands between the values that are hashed.
const BETWEEN: &[u8] = b"|";

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "cross",
    summary: "One column of several: numbers by arithmetic, labels by a hash.",
    manual: manual!("cross.rs"),
    version: 1,
    fitted: false,
    supervised: false,
    takes: &[Type::Double, Type::Long, Type::Bool, Type::String],
    arity: Arity::Together,
    parameters: &[
        Parameter {
            name: "operation",
            kind: ParameterKind::Word(&["multiply", "add", "subtract", "divide"]),
            default: "",
            required: false,
            help: "What is done with numbers. By default they are multiplied.",
        },
        Parameter {
            name: "buckets",
            kind: ParameterKind::Integer { min: 2, max: i32::MAX as i64 },
            default: "",
            required: false,
            help: "Hash the values into so many buckets.",
        },
        Parameter {
            name: "seed",
            kind: ParameterKind::Integer { min: 0, max: u32::MAX as i64 },
            default: "",
            required: false,
            help: "With `buckets`: the seed of the hash. By default 0 in dialect sklearn, 42 in spark.",
        },
        Parameter {
            name: "missing",
            kind: ParameterKind::Word(&["keep", "missing"]),
            default: "",
            required: false,
            help: "With `buckets`: what a row with a missing value gives, by default `keep`: bucket 0, which no other \
                   has then; `missing`: null.",
        },
    ],
    outputs: local_outputs::<Cross>,
};

/// The parameters; ready to run.
#[derive(Debug)]
pub enum Cross {
    /// Arithmetic.
    Numbers(Operation),
    /// Buckets, and what a missing value gives.
    Hash(Hash),
}

/// How numbers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// a · b
    Multiply,
    /// a + b
    Add,
    /// a − b
    Subtract,
    /// a / b
    Divide,
}

/// How labels become a bucket.
#[derive(Debug)]
pub struct Hash {
    buckets: Buckets,
    missing: Option<i64>,
}

impl Local for Cross {
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        if setting.kinds.len() < 2 {
            return Err(Wrong::at("in", "one column makes no cross", "name two or more"));
        }
        let operation = setting.text("operation");
        if let Some(count) = setting.whole("buckets") {
            if operation.is_some() {
                let hint = "leave it out, or leave out `buckets`";
                return Err(Wrong::at("operation", "nothing is calculated by `buckets`", hint));
            }
            let keep = setting.text("missing").as_deref() != Some("missing");
            let count = count - u64::from(keep);
            let buckets = Buckets::new(setting.dialect, setting.whole("seed"), count);
            return Ok(Cross::Hash(Hash { buckets, missing: keep.then_some(0) }));
        }
        if setting.kinds.contains(&Type::String) {
            let message = "a column of text is crossed by its hash: `buckets` says of how many";
            return Err(Wrong::at("in", message, "add `buckets: 1024`"));
        }
        for key in ["seed", "missing"] {
            if setting.value(key).is_some() {
                let message = format!("`{key}` goes with `buckets`");
                return Err(Wrong::at(key, message, "leave it out, or add `buckets: 1024`"));
            }
        }
        Ok(Cross::Numbers(match operation.as_deref() {
            Some("add") => Operation::Add,
            Some("subtract") => Operation::Subtract,
            Some("divide") => Operation::Divide,
            _ => Operation::Multiply,
        }))
    }
}

impl Operation {
    fn apply(self, columns: &[&Column]) -> Column {
        let Some((first, rest)) = columns.split_first() else { return Column::new(Type::Double) };
        let mut made = numbers(first);
        for column in rest {
            let others = numbers(column);
            match self {
                Operation::Multiply => join(&mut made, &others, |a, b| a * b),
                Operation::Add => join(&mut made, &others, |a, b| a + b),
                Operation::Subtract => join(&mut made, &others, |a, b| a - b),
                Operation::Divide => join(&mut made, &others, |a, b| a / b), // by 0 it is not finite
            }
        }
        Column::doubles(made.into_iter().map(Some))
    }
}

/// Makes one number of two, NaN if one is missing or what is made is not finite.
fn join(made: &mut [f64], others: &[f64], operation: impl Fn(f64, f64) -> f64) {
    for (a, b) in made.iter_mut().zip(others) {
        let both = operation(*a, *b);
        *a = if both.is_finite() { both } else { f64::NAN };
    }
}

impl Hash {
    fn bucket(&self, columns: &[&Column], row: usize) -> Option<i64> {
        let mut hash = self.buckets.hasher();
        for (at, column) in columns.iter().enumerate() {
            let Some(key) = Key::at(column, row) else { return self.missing };
            if at > 0 {
                hash.add(BETWEEN);
            }
            hash.add(key.bytes());
        }
        let first = i64::from(self.missing.is_some());
        Some(first + i64::from(self.buckets.bucket(hash.finish()).0))
    }
}

impl Apply for Cross {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(match self {
            Cross::Numbers(_) => Type::Double,
            Cross::Hash(_) => Type::Long,
        })]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        self.apply_together(&[column])
    }

    fn apply_together(&self, columns: &[&Column]) -> Vec<Column> {
        let rows = columns.first().map_or(0, |column| column.len());
        vec![match self {
            Cross::Numbers(operation) => operation.apply(columns),
            Cross::Hash(hash) => Column::longs((0..rows).map(|row| hash.bucket(columns, row))),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Value;
    use crate::features::operators::testing::{apply_together, wrong_together};

    #[track_caller]
    fn check(parameters: &str, columns: &[&Column], expected: Column) {
        let made = apply_together(&SPEC, parameters, columns).unwrap();
        assert_eq!(made, [("x".to_owned(), expected)], "{parameters}");
    }

    #[test]
    fn arithmetic() {
        let a = Column::doubles([Some(6.0), Some(1.5), None, Some(f64::INFINITY), Some(1e300)]);
        let b = Column::longs([Some(3), Some(0), Some(1), Some(1), Some(i64::MAX)]);
        for (parameters, expected) in [
            ("{}", [Some(18.0), Some(0.0), None, None, None]),
            (r#"{"operation":"add"}"#, [Some(9.0), Some(1.5), None, None, Some(1e300)]),
            (r#"{"operation":"subtract"}"#, [Some(3.0), Some(1.5), None, None, Some(1e300)]),
            (
                r#"{"operation":"divide"}"#,
                [Some(2.0), None, None, None, Some(1e300 / 9_223_372_036_854_775_807.0)],
            ),
        ] {
            check(parameters, &[&a, &b], Column::doubles(expected));
        }
        let mut flag = Column::new(Type::Bool);
        (0..5).for_each(|i| flag.push(Value::Bool(i == 0)));
        check("{}", &[&a, &b, &flag], Column::doubles([Some(18.0), Some(0.0), None, None, None]));
    }

    #[test]
    fn a_hash_is_that_of_the_joined_text() {
        let a = Column::strings([Some("web"), Some("we"), None, Some("web"), Some(" ")]);
        let b = Column::strings([Some("food"), Some("b|food"), Some("food"), None, Some("x")]);
        let joined = Column::strings([Some("web|food"), Some("we|b|food"), None, None, None]);
        for parameters in [
            r#"{"buckets":1024}"#,
            r#"{"buckets":7,"missing":"missing"}"#,
            r#"{"buckets":1000000,"seed":3}"#,
        ] {
            let expected =
                super::super::testing::apply(&super::super::hash_encode::SPEC, parameters, &joined);
            check(parameters, &[&a, &b], expected.unwrap().remove(0).1);
        }
    }

    #[test]
    fn numbers_too_are_hashed() {
        let (a, b) = (Column::longs([Some(1), Some(2), None]), Column::doubles([Some(0.5); 3]));
        let made = apply_together(&SPEC, r#"{"buckets":1000000}"#, &[&a, &b]).unwrap();
        let bucket = |row| made[0].1.number(row).unwrap();
        assert!(bucket(0) != bucket(1) && bucket(2) == 0.0, "{made:?}");
    }

    #[test]
    fn wrong_parameters() {
        let (text, number) = (Type::String, Type::Double);
        for (kinds, parameters, message) in [
            (&[number][..], "{}", "no cross"),
            (&[number, text], "{}", "`buckets` says"),
            (&[number, number], r#"{"seed":3}"#, "goes with"),
            (&[number, number], r#"{"missing":"keep"}"#, "goes with"),
            (&[text, text], r#"{"buckets":9,"operation":"add"}"#, "nothing is calculated"),
        ] {
            let found = wrong_together(&SPEC, kinds, parameters);
            assert!(found.message.contains(message), "{parameters}: {found:?}");
        }
    }
}
