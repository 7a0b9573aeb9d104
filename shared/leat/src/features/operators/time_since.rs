//! `time_since`: how long it is from one time to another.
//!
//! - Takes: a column of timestamps and `from`, a fixed time; or two columns of timestamps, of which the second is the
//!   earlier one by meaning: `in: [event_time, opened_at]`.
//! - Gives: one column of doubles, the time of the first less the other, in `unit`s: negative if the first is earlier.
//!   Null in either, null out.
//! - Edges: with `clip` what would be negative is 0. A day has 24 hours and a week 7 days, whatever a clock on a wall
//!   shows.
//! - State: none.
//! - Errors: one column without `from`, two with it, more than two; a `from` that is no time with a zone, such as
//!   `2026-01-01T00:00:00Z`.
//! - Source: the difference in microseconds, divided by those of the unit: what pandas gives for
//!   `(t - from) / pandas.Timedelta("1s")`.

use crate::column::{Column, Type, Values};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Local, local_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};
use crate::timestamp;

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "time_since",
    summary: "How long it is from a fixed time, or from another column's, to a time.",
    manual: manual!("time_since.rs"),
    version: 1,
    fitted: false,
    supervised: false,
    takes: &[Type::Timestamp],
    arity: Arity::Together,
    parameters: &[
        Parameter {
            name: "from",
            kind: ParameterKind::Text,
            default: "",
            required: false,
            help: "The fixed time from which it is counted, in quotes: \"2026-01-01T00:00:00Z\".",
        },
        Parameter {
            name: "unit",
            kind: ParameterKind::Word(&UNITS),
            default: "\"second\"",
            required: false,
            help: "What is counted.",
        },
        Parameter {
            name: "clip",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Give 0 for what would be negative.",
        },
    ],
    outputs: local_outputs::<TimeSince>,
};

const UNITS: [&str; 6] = ["millisecond", "second", "minute", "hour", "day", "week"];
/// Microseconds of each of [`UNITS`].
const MICROS: [f64; 6] = [1e3, 1e6, 60e6, 3_600e6, 86_400e6, 604_800e6];

/// The parameters; ready to run.
#[derive(Debug)]
pub struct TimeSince {
    from: Option<i64>,
    unit: f64,
    clip: bool,
}

impl Local for TimeSince {
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let text = setting.text("from");
        match (setting.kinds.len(), &text) {
            (1, Some(_)) | (2, None) => {}
            (1, None) => {
                let hint = "add `from: \"2026-01-01T00:00:00Z\"`, or a second column to `in`";
                return Err(Wrong::at("in", "it needs a time to count from", hint));
            }
            (2, Some(_)) => {
                let message = "two columns are the two times: `from` has no place";
                return Err(Wrong::at("from", message, "leave it out, or read one column"));
            }
            (count, _) => {
                let message = format!("it reads one column or two; these are {count}");
                return Err(Wrong::at("in", message, "write a step for each"));
            }
        }
        let read = |text: &String| {
            timestamp::parse(text).ok_or_else(|| {
                let hint = "write it as \"2026-01-01T00:00:00Z\", with its zone";
                Wrong::at("from", format!("`{text}` is no time"), hint)
            })
        };
        let unit = setting.text("unit").and_then(|word| UNITS.iter().position(|u| *u == word));
        Ok(TimeSince {
            from: text.as_ref().map(read).transpose()?,
            unit: MICROS[unit.unwrap_or(1)],
            clip: setting.bool("clip").unwrap_or(false),
        })
    }
}

impl TimeSince {
    fn between(&self, from: i64, to: i64) -> f64 {
        let micros = match to.checked_sub(from) {
            Some(micros) => micros as f64,
            None => (i128::from(to) - i128::from(from)) as f64,
        };
        let count = micros / self.unit;
        if self.clip { count.max(0.0) } else { count }
    }
}

/// The times of a column, whatever lies under a null.
fn times(column: &Column) -> &[i64] {
    match column.values() {
        Values::Timestamp(times) => times,
        _ => &[],
    }
}

impl Apply for TimeSince {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::plain(Type::Double)]
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        self.apply_together(&[column])
    }

    fn apply_together(&self, columns: &[&Column]) -> Vec<Column> {
        let made = match (columns, self.from) {
            (&[to], Some(from)) => {
                let valid = to.validity();
                Column::doubles(
                    times(to)
                        .iter()
                        .enumerate()
                        .map(|(row, &time)| valid.get(row).then(|| self.between(from, time))),
                )
            }
            (&[to, from], None) => {
                let (valid, known) = (to.validity(), from.validity());
                let both = times(to).iter().zip(times(from)).enumerate();
                Column::doubles(both.map(|(row, (&to, &from))| {
                    (valid.get(row) && known.get(row)).then(|| self.between(from, to))
                }))
            }
            // Neither was read from a recipe.
            (columns, _) => {
                Column::nulls(Type::Double, columns.first().map_or(0, |column| column.len()))
            }
        };
        vec![made]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Value;
    use crate::features::operators::testing::{apply_together, wrong, wrong_together};

    fn at(times: &[Option<&str>]) -> Column {
        let mut column = Column::new(Type::Timestamp);
        for text in times {
            let time = text.map(|text| timestamp::parse(text).unwrap());
            column.push(time.map_or(Value::Null, Value::Timestamp));
        }
        column
    }

    #[track_caller]
    fn check(parameters: &str, columns: &[&Column], expected: &[Option<f64>]) {
        let made = apply_together(&SPEC, parameters, columns).unwrap();
        let expected = Column::doubles(expected.iter().copied());
        assert_eq!(made, [("x".to_owned(), expected)], "{parameters}");
    }

    #[test]
    fn from_a_fixed_time() {
        let column = at(&[Some("2026-01-02T00:00:01.5Z"), None, Some("2025-12-31T23:00:00Z")]);
        for (more, expected) in [
            ("", [Some(86_401.5), None, Some(-3600.0)]),
            (r#","clip":true"#, [Some(86_401.5), None, Some(0.0)]),
            (r#","unit":"hour""#, [Some(86_401.5 / 3600.0), None, Some(-1.0)]),
            (r#","unit":"day""#, [Some(86_401.5 / 86_400.0), None, Some(-1.0 / 24.0)]),
            (r#","unit":"millisecond""#, [Some(86_401_500.0), None, Some(-3_600_000.0)]),
        ] {
            check(&format!(r#"{{"from":"2026-01-01T00:00:00Z"{more}}}"#), &[&column], &expected);
        }
        check(
            r#"{"from":"2026-01-01T08:00:00+08:00"}"#,
            &[&column],
            &[Some(86_401.5), None, Some(-3600.0)],
        );
    }

    #[test]
    fn from_another_column() {
        let to = at(&[Some("2026-01-02T00:00:00Z"), None, Some("2026-01-02T00:00:00Z")]);
        let from = at(&[Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:00Z"), None]);
        check(r#"{"unit":"minute"}"#, &[&to, &from], &[Some(1440.0), None, None]);
        check(r#"{"unit":"week","clip":true}"#, &[&from, &to], &[Some(0.0), None, None]);
    }

    #[test]
    fn the_ends_of_time() {
        let (mut to, mut from) = (Column::new(Type::Timestamp), Column::new(Type::Timestamp));
        to.push(Value::Timestamp(i64::MAX));
        from.push(Value::Timestamp(i64::MIN));
        check("{}", &[&to, &from], &[Some(18_446_744_073_709_551_616.0 / 1e6)]);
        check("{}", &[&from, &to], &[Some(-18_446_744_073_709_551_616.0 / 1e6)]);
    }

    #[test]
    fn wrong_parameters() {
        wrong(&SPEC, Type::Timestamp, "{}");
        wrong(&SPEC, Type::Timestamp, r#"{"from":"yesterday"}"#);
        let time = Type::Timestamp;
        let found = wrong_together(&SPEC, &[time; 2], r#"{"from":"2026-01-01T00:00:00Z"}"#);
        assert!(found.message.contains("two times"), "{found:?}");
        assert!(wrong_together(&SPEC, &[time; 3], "{}").message.contains("these are 3"));
    }
}
