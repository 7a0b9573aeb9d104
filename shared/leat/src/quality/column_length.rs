//! `ColumnLength`: each value's length meets a number condition.
//!
//! - Takes: a column of any type. Text has as many as it has characters (Unicode scalar values, as Spark counts);
//!   another value the characters of its text as Leat prints it.
//! - Gives: a verdict for each row; over a data set `Column.<c>.MaximumLength`, `Column.<c>.MinimumLength`, and
//!   `Column.<c>.ColumnLength.Compliance`, the share of rows that pass.
//! - Null: has length 0.
//! - Where: as any row rule. Without a row the rule fails; where `where` leaves none it passes.
//! - As an analyzer: the greatest and the least length.
//! - Source: AWS Glue's documentation of ColumnLength. Departs: the open reference leaves null out.

use crate::column::Value;
use crate::{number, timestamp};

/// The length of `value`.
pub fn length(value: Value<'_>) -> usize {
    match value {
        Value::Null => 0,
        Value::String(text) => text.chars().count(),
        Value::Bool(x) => {
            if x {
                4
            } else {
                5
            }
        }
        Value::Long(x) => x.to_string().len(),
        Value::Double(x) => number::to_text(x).len(),
        Value::Timestamp(x) => timestamp::to_text(x).len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, expected) in [
            (Value::Null, 0),
            (Value::String(""), 0),
            (Value::String("añb"), 3),
            (Value::String("👍"), 1),
            (Value::Long(-12), 3),
            (Value::Double(1.5), 3),
            (Value::Bool(true), 4),
            (Value::Bool(false), 5),
            (Value::Timestamp(0), 20),
        ] {
            assert_eq!(length(value), expected, "{value:?}");
        }
    }
}
