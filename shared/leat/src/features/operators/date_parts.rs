//! `date_parts`: what a calendar and a clock show at a time, in a time zone.
//!
//! - Takes: a column of timestamps.
//! - Gives: for each part, in the order of `parts`, a column `{out}_{part}` of whole numbers. `is_weekend` (Saturday,
//!   Sunday) and `is_month_end` are booleans. Null in, null out.
//! - Parts: year, quarter 1–4, month 1–12, week 1–53 (ISO 8601), day 1–31, day_of_week 1–7 (Monday is 1), day_of_year
//!   1–366, hour 0–23, minute 0–59, second 0–59.
//! - Cyclic: a part with a period becomes two columns of doubles, `{out}_{part}_sin` and `{out}_{part}_cos`, of
//!   2π·(x − least)/(1 + greatest − least), so that midnight is near 23 o'clock. The year and the booleans stay as they are.
//! - Edges: a time that no calendar here has (beyond the years −9999 to 9999) gives null. Week 1 of a year can begin
//!   in December of the year before.
//! - State: none. Time zones are those of the IANA database compiled in, with their daylight saving and history.
//! - Errors: none. A name that is no time zone is refused when the recipe is read.
//! - Source: SageMaker Data Wrangler's date-time featurizer for the periods; sine and cosine by `libm`.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};

use crate::column::{Column, Type, Value};
use crate::features::manual::manual;
use crate::features::operator::{Apply, Local, local_outputs};
use crate::recipe::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Setting, Wrong};

/// What the operator says of itself.
pub const SPEC: OperatorSpec = OperatorSpec {
    name: "date_parts",
    summary: "Year, month, hour and other parts of a time, as numbers or on a circle.",
    manual: manual!("date_parts.rs"),
    version: 1,
    fitted: false,
    supervised: false,
    takes: &[Type::Timestamp],
    arity: Arity::Each,
    parameters: &[
        Parameter {
            name: "parts",
            kind: ParameterKind::Words(&WORDS),
            default: "",
            required: true,
            help: "The parts, in the order of their columns.",
        },
        Parameter {
            name: "cyclic",
            kind: ParameterKind::Bool,
            default: "false",
            required: false,
            help: "Give sine and cosine of each part that comes around.",
        },
        Parameter {
            name: "time_zone",
            kind: ParameterKind::TimeZone,
            default: "\"UTC\"",
            required: false,
            help: "The zone whose calendar and clock are read.",
        },
    ],
    outputs: local_outputs::<DateParts>,
};

/// A part: its word, its least and greatest value if it comes around, and how it is read.
#[derive(Clone, Copy)]
struct Part {
    word: &'static str,
    period: Option<(i64, i64)>,
    read: Read,
}

#[derive(Clone, Copy)]
enum Read {
    Number(fn(civil::DateTime) -> i64),
    Flag(fn(civil::DateTime) -> bool),
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

const fn number(
    word: &'static str,
    period: Option<(i64, i64)>,
    read: fn(civil::DateTime) -> i64,
) -> Part {
    Part { word, period, read: Read::Number(read) }
}

const fn flag(word: &'static str, read: fn(civil::DateTime) -> bool) -> Part {
    Part { word, period: None, read: Read::Flag(read) }
}

fn day_of_week(t: civil::DateTime) -> i64 {
    i64::from(t.weekday().to_monday_one_offset())
}

const PARTS: [Part; 12] = [
    number("year", None, |t| i64::from(t.year())),
    number("quarter", Some((1, 4)), |t| (i64::from(t.month()) + 2) / 3),
    number("month", Some((1, 12)), |t| i64::from(t.month())),
    number("week", Some((1, 53)), |t| i64::from(t.date().iso_week_date().week())),
    number("day", Some((1, 31)), |t| i64::from(t.day())),
    number("day_of_week", Some((1, 7)), day_of_week),
    number("day_of_year", Some((1, 366)), |t| i64::from(t.day_of_year())),
    number("hour", Some((0, 23)), |t| i64::from(t.hour())),
    number("minute", Some((0, 59)), |t| i64::from(t.minute())),
    number("second", Some((0, 59)), |t| i64::from(t.second())),
    flag("is_weekend", |t| day_of_week(t) >= 6),
    flag("is_month_end", |t| t.day() == t.days_in_month()),
];

const WORDS: [&str; PARTS.len()] = {
    let mut words = [""; PARTS.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = PARTS[index].word;
        index += 1;
    }
    words
};

/// The parameters; ready to run.
#[derive(Debug)]
pub struct DateParts {
    parts: Vec<Part>,
    cyclic: bool,
    zone: TimeZone,
}

impl Local for DateParts {
    fn read(setting: &Setting<'_>) -> Result<Self, Wrong> {
        let words = setting.texts("parts");
        let name = setting.text("time_zone").unwrap_or_else(|| "UTC".to_owned());
        let zone = TimeZoneDatabase::bundled().get(&name).map_err(|_| {
            Wrong::at(
                "time_zone",
                format!("no time zone is named `{name}`"),
                "write a name of the IANA database, such as Asia/Hong_Kong",
            )
        })?;
        let part = |word: &String| PARTS.into_iter().find(|part| part.word == word);
        Ok(DateParts {
            parts: words.iter().filter_map(part).collect(),
            cyclic: setting.bool("cyclic").unwrap_or(false),
            zone,
        })
    }
}

impl DateParts {
    /// The clock and the calendar at `micros`.
    fn civil(&self, micros: i64) -> Option<civil::DateTime> {
        Some(self.zone.to_datetime(Timestamp::from_microsecond(micros).ok()?))
    }

    fn period(&self, part: Part) -> Option<(i64, i64)> {
        part.period.filter(|_| self.cyclic)
    }
}

/// Where `x` lies on the circle from `least` to `greatest`, as an angle.
fn angle(x: i64, (least, greatest): (i64, i64)) -> f64 {
    2.0 * std::f64::consts::PI * (x - least) as f64 / (1 + greatest - least) as f64
}

impl Apply for DateParts {
    fn outputs(&self) -> Vec<Output> {
        let outputs = |&part: &Part| match (self.period(part), part.read) {
            (Some(_), _) => vec![
                Output::suffixed(format!("{}_sin", part.word), Type::Double),
                Output::suffixed(format!("{}_cos", part.word), Type::Double),
            ],
            (None, Read::Number(_)) => vec![Output::suffixed(part.word, Type::Long)],
            (None, Read::Flag(_)) => vec![Output::suffixed(part.word, Type::Bool)],
        };
        self.parts.iter().flat_map(outputs).collect()
    }

    fn apply(&self, column: &Column) -> Vec<Column> {
        let times: Vec<_> =
            (0..column.len()).map(|row| self.civil(column.timestamp(row)?)).collect();
        let columns = |&part: &Part| match (part.read, self.period(part)) {
            (Read::Number(read), Some(period)) => {
                let of = |function: fn(f64) -> f64| {
                    Column::doubles(
                        times.iter().map(|t| t.map(|t| function(angle(read(t), period)))),
                    )
                };
                vec![of(libm::sin), of(libm::cos)]
            }
            (Read::Number(read), None) => {
                vec![Column::longs(times.iter().map(|t| t.map(read)))]
            }
            (Read::Flag(read), _) => {
                let mut flags = Column::new(Type::Bool);
                times
                    .iter()
                    .for_each(|t| flags.push(t.map_or(Value::Null, |t| Value::Bool(read(t)))));
                vec![flags]
            }
        };
        self.parts.iter().flat_map(columns).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::operators::testing::{apply, wrong};

    fn times(texts: &[&str]) -> Column {
        let mut column = Column::new(Type::Timestamp);
        for text in texts {
            let time: Timestamp = text.parse().unwrap();
            column.push(Value::Timestamp(time.as_microsecond()));
        }
        column
    }

    /// Each part of a time in a zone, as numbers.
    #[track_caller]
    fn check(zone: &str, time: &str, expected: [i64; 12]) {
        let words: Vec<_> = PARTS.iter().map(|p| p.word).collect();
        let parameters = serde_json::json!({"parts": words, "time_zone": zone}).to_string();
        let columns = apply(&SPEC, &parameters, &times(&[time])).unwrap();
        for ((part, value), (name, column)) in PARTS.iter().zip(expected).zip(columns) {
            assert_eq!(name, format!("x_{}", part.word));
            assert_eq!(column.number(0), Some(value as f64), "{name} of {time} in {zone}");
        }
    }

    #[test]
    fn parts() {
        let utc = "UTC";
        check(utc, "2026-01-01T00:00:00Z", [2026, 1, 1, 1, 1, 4, 1, 0, 0, 0, 0, 0]);
        check(utc, "2021-01-03T23:59:58Z", [2021, 1, 1, 53, 3, 7, 3, 23, 59, 58, 1, 0]);
        check(utc, "2024-02-29T12:30:15Z", [2024, 1, 2, 9, 29, 4, 60, 12, 30, 15, 0, 1]);
        check(utc, "2024-12-31T23:00:00Z", [2024, 4, 12, 1, 31, 2, 366, 23, 0, 0, 0, 1]);
        check(utc, "1969-12-31T23:59:59.5Z", [1969, 4, 12, 1, 31, 3, 365, 23, 59, 59, 0, 1]);
        // The same moment on the other side of midnight, and of New Year.
        check("Asia/Hong_Kong", "2025-12-31T17:05:00Z", [2026, 1, 1, 1, 1, 4, 1, 1, 5, 0, 0, 0]);
        // Daylight saving begins: 01:59:59 is followed by 03:00:00.
        let york = "America/New_York";
        check(york, "2026-03-08T06:59:59Z", [2026, 1, 3, 10, 8, 7, 67, 1, 59, 59, 1, 0]);
        check(york, "2026-03-08T07:00:00Z", [2026, 1, 3, 10, 8, 7, 67, 3, 0, 0, 1, 0]);
    }

    #[test]
    fn cyclic() {
        let parameters = r#"{"parts":["hour","year","is_weekend","month"],"cyclic":true}"#;
        let column = times(&["2026-04-04T06:00:00Z"]);
        let columns = apply(&SPEC, parameters, &column).unwrap();
        let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "x_hour_sin x_hour_cos x_year x_is_weekend x_month_sin x_month_cos"
        );
        for ((_, column), expected) in columns.iter().zip([1.0, 0.0, 2026.0, 1.0, 1.0, 0.0]) {
            assert!((column.number(0).unwrap() - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn missing_and_beyond_the_calendar() {
        let mut column = Column::new(Type::Timestamp);
        [Value::Null, Value::Timestamp(i64::MAX), Value::Timestamp(i64::MIN)]
            .into_iter()
            .for_each(|v| column.push(v));
        let parameters = r#"{"parts":["hour","is_weekend"]}"#;
        for (name, column) in apply(&SPEC, parameters, &column).unwrap() {
            assert!((0..3).all(|row| !column.is_valid(row)), "{name}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar() {
        let mut column = Column::new(Type::Timestamp);
        for (time, inwards) in [(Timestamp::MIN, 1_000_000), (Timestamp::MAX, -1_000_000)] {
            column.push(Value::Timestamp(time.as_microsecond() + inwards));
        }
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let parameters = serde_json::json!({"parts": WORDS, "time_zone": zone}).to_string();
            for (name, column) in apply(&SPEC, &parameters, &column).unwrap() {
                assert!(column.is_valid(0) && column.is_valid(1), "{name} in {zone}");
            }
        }
    }

    #[test]
    fn no_such_zone() {
        let found = wrong(&SPEC, Type::Timestamp, r#"{"parts":["hour"],"time_zone":"Mars/Base"}"#);
        assert!(found.message.contains("Mars/Base"));
    }
}
