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

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::calendar::{DAY, HOUR, Moment};
use crate::column::{Column, Type, Values};
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
    /// So many microseconds of a clock, from a full one on, show the same.
    span: i64,
    read: Read,
}

#[derive(Clone, Copy)]
enum Read {
    Number(fn(Moment) -> i64),
    Flag(fn(Moment) -> bool),
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

const fn number(word: &'static str, period: Option<(i64, i64)>, read: fn(Moment) -> i64) -> Part {
    Part { word, period, span: DAY, read: Read::Number(read) }
}

const fn of_clock(word: &'static str, greatest: i64, span: i64, read: fn(Moment) -> i64) -> Part {
    Part { word, period: Some((0, greatest)), span, read: Read::Number(read) }
}

const fn flag(word: &'static str, read: fn(Moment) -> bool) -> Part {
    Part { word, period: None, span: DAY, read: Read::Flag(read) }
}

const PARTS: [Part; 12] = [
    number("year", None, Moment::year),
    number("quarter", Some((1, 4)), Moment::quarter),
    number("month", Some((1, 12)), Moment::month),
    number("week", Some((1, 53)), Moment::week),
    number("day", Some((1, 31)), Moment::day),
    number("day_of_week", Some((1, 7)), Moment::day_of_week),
    number("day_of_year", Some((1, 366)), Moment::day_of_year),
    of_clock("hour", 23, HOUR, Moment::hour),
    of_clock("minute", 59, HOUR / 60, Moment::minute),
    of_clock("second", 59, 1_000_000, Moment::second),
    flag("is_weekend", |moment| moment.day_of_week() >= 6),
    flag("is_month_end", Moment::is_month_end),
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
    parts: Vec<(Part, Option<Circle>)>,
    /// None: UTC.
    zone: Option<TimeZone>,
}

/// Where each value of a part lies on its circle, from the least.
#[derive(Debug)]
struct Circle {
    least: i64,
    sines: Vec<f64>,
    cosines: Vec<f64>,
}

impl Circle {
    fn new((least, greatest): (i64, i64)) -> Self {
        let count = 1 + greatest - least;
        let angle = |x: i64| 2.0 * std::f64::consts::PI * x as f64 / count as f64;
        let of = |function: fn(f64) -> f64| (0..count).map(|x| function(angle(x))).collect();
        Circle { least, sines: of(libm::sin), cosines: of(libm::cos) }
    }
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
        let cyclic = setting.bool("cyclic").unwrap_or(false);
        let part = |word: &String| {
            let part = PARTS.into_iter().find(|part| part.word == word)?;
            Some((part, part.period.filter(|_| cyclic).map(Circle::new)))
        };
        let zone = (name != "UTC").then_some(zone);
        Ok(DateParts { parts: words.iter().filter_map(part).collect(), zone })
    }
}

impl DateParts {
    /// What the zone shows at the time of each row; none where no calendar has it.
    fn local(&self, column: &Column) -> Vec<Option<Moment>> {
        let known = Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond();
        let times = match column.values() {
            Values::Timestamp(times) => times.as_slice(),
            _ => &[],
        };
        let valid = column.validity();
        let local = |(row, &time): (usize, &i64)| {
            if !valid.get(row) || !known.contains(&time) {
                return None;
            }
            let offset = match &self.zone {
                None => 0,
                Some(zone) => zone.to_offset(Timestamp::from_microsecond(time).ok()?).seconds(),
            };
            Some(Moment(time + i64::from(offset) * 1_000_000))
        };
        times.iter().enumerate().map(local).collect()
    }
}

impl Apply for DateParts {
    fn outputs(&self) -> Vec<Output> {
        let outputs = |(part, circle): &(Part, Option<Circle>)| match (circle, part.read) {
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
        let times = self.local(column);
        let columns = |(part, circle): &(Part, Option<Circle>)| match (part.read, circle) {
            (Read::Number(read), Some(Circle { least, sines, cosines })) => {
                let of = |table: &[f64]| {
                    let place = |t| usize::try_from(read(t) - least).ok();
                    Column::doubles(shown(&times, part.span, |t| table.get(place(t)?).copied()))
                };
                vec![of(sines), of(cosines)]
            }
            (Read::Number(read), None) => {
                vec![Column::longs(shown(&times, part.span, |t| Some(read(t))))]
            }
            (Read::Flag(read), _) => {
                let flags = || shown(&times, part.span, |t| Some(read(t)));
                let values = flags().map(|flag| flag.unwrap_or_default()).collect();
                let valid = flags().map(|flag| flag.is_some()).collect();
                Column::from_parts(Values::Bool(values), valid).into_iter().collect()
            }
        };
        self.parts.iter().flat_map(columns).collect()
    }
}

/// What `read` makes of each of `times`, asked again only where the clock shows another `span`: times near one another
/// mostly follow one another.
fn shown<T: Copy>(
    times: &[Option<Moment>],
    span: i64,
    read: impl Fn(Moment) -> Option<T>,
) -> impl Iterator<Item = Option<T>> {
    let mut last: Option<(i64, Option<T>)> = None;
    times.iter().map(move |time| {
        let time = (*time)?;
        match last {
            Some((start, value)) if (start..start.saturating_add(span)).contains(&time.0) => value,
            _ => {
                let value = read(time);
                last = Some((time.0.saturating_sub(time.0.rem_euclid(span)), value));
                value
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Value;
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

    proptest::proptest! {
        /// What a time shows does not hang on the times before it.
        #[test]
        fn each_time_shows_its_own(
            steps in proptest::collection::vec((0usize..6, -1i64..=1), 1..30), first in -10i64..10,
        ) {
            let spans = [0, 1_000_000, HOUR / 60, HOUR, DAY, 27 * DAY];
            let mut at = first * DAY;
            let mut column = Column::new(Type::Timestamp);
            for (span, more) in steps {
                at += spans[span] - at.rem_euclid(spans[span].max(1)) + more;
                column.push(Value::Timestamp(at));
            }
            let words: Vec<_> = PARTS.iter().map(|p| p.word).collect();
            let parameters = serde_json::json!({"parts": words}).to_string();
            let together = apply(&SPEC, &parameters, &column).unwrap();
            for row in 0..column.len() {
                let alone = apply(&SPEC, &parameters, &column.gather(&[row])).unwrap();
                for ((name, alone), (_, together)) in alone.iter().zip(&together) {
                    proptest::prop_assert_eq!(alone.get(0), together.get(row), "{} of {}", name, row);
                }
            }
        }
    }
}
