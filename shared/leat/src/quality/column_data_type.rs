//! `ColumnDataType`: each value can be read as a type.
//!
//! - Takes: `=`, `!=`, `in`, `not in` of `Boolean`, `Date`, `Timestamp`, `Integer`, `Long`, `Float`, `Double`,
//!   `Decimal(p,s)`. A value that is no text counts by its text as Leat prints it. `with format` is for `Date`:
//!   `dd-MM-yyyy`, `MM-dd-yyyy`, `yyyy-MM-dd`, `MM-yyyy`, `yyyy-MM`, `dd-MM`, `MM-dd`, and the same with `/`.
//! - Gives: a verdict for each row; over a data set `Column.<c>.ColumnDataType.Compliance`, the share of rows that pass.
//! - Names of types are read whatever their case.
//! - Null: fails, `!=` too.
//! - `Integer` has 32 bits, `Long` 64: blanks around are allowed, a fraction is cut off, so `12.5` counts; `1e3` does
//!   not. `Float`, `Double` take any decimal number. `Decimal(p,s)` is rounded to `s` digits and must have no more
//!   than `p`. `Boolean` is `true false t f yes no y n 1 0`, whatever the case. `Date` is `yyyy`, `yyyy-M`, `yyyy-M-d`,
//!   or that with a time after it; `Timestamp` that with a time that can be read. Both must be in the calendar.
//! - Errors: a type or a format that is none is refused when the ruleset is loaded.
//! - Source: AWS Glue's documentation of ColumnDataType; for what converts, Spark's casts as awslabs/deequ uses them.

use std::borrow::Cow;

use super::row_test::Finding;
use super::tree::{Comparison, Condition, Ruleset, Single, Test, Text, VariableValue};
use crate::column::Value;
use crate::diagnostic::nearest;
use crate::{number, timestamp};

/// The types of a rule, ready for values.
#[derive(Debug)]
pub struct DataTypes {
    not: bool,
    types: Vec<DataType>,
}

#[derive(Debug, PartialEq)]
enum DataType {
    Boolean,
    Date(Option<Vec<Part>>),
    Timestamp,
    Integer,
    Long,
    Double,
    /// Digits in all, and after the point.
    Decimal(i64, i64),
}

/// A part of a date format.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Year,
    Month,
    Day,
    Sign(u8),
}

const NAMES: [&str; 8] =
    ["Boolean", "Date", "Timestamp", "Integer", "Long", "Float", "Double", "Decimal"];
const FORMATS: [&str; 7] =
    ["dd-MM-yyyy", "MM-dd-yyyy", "yyyy-MM-dd", "MM-yyyy", "yyyy-MM", "dd-MM", "MM-dd"];

impl DataTypes {
    /// Readies `single`, or says why it cannot be evaluated.
    pub fn new(ruleset: &Ruleset, single: &Single) -> Result<Self, String> {
        let listed;
        let (not, values) = match &single.condition {
            Some(Condition::Text(Test::Compare(Comparison::Equal, text))) => (false, vec![text]),
            Some(Condition::Text(Test::Compare(Comparison::Unequal, text))) => (true, vec![text]),
            Some(Condition::Text(Test::In { not, values })) => (*not, values.iter().collect()),
            Some(Condition::InVariable { not, name }) => match ruleset.variable(name) {
                Some(VariableValue::List(values)) => {
                    listed = values.clone();
                    (*not, listed.iter().collect())
                }
                _ => (*not, Vec::new()),
            },
            _ => {
                return Err(
                    "`ColumnDataType` compares with the name of a type: `= \"Date\"`".into()
                );
            }
        };
        let format = single.tags.iter().find(|(tag, _)| tag == "format").map(|(_, f)| f.as_str());
        let types = values.into_iter().map(|text| match text {
            Text::Value(name) => data_type(name, format),
            Text::Variable(name) => match ruleset.variable(name) {
                Some(VariableValue::One(Text::Value(name))) => data_type(name, format),
                _ => Err(format!("`${name}` is no type")),
            },
            other => Err(format!("{other} is no type")),
        });
        Ok(DataTypes { not, types: types.collect::<Result<_, _>>()? })
    }

    /// What is found of `value`.
    pub fn find(&self, value: Value<'_>) -> Finding {
        let text: Cow<'_, str> = match value {
            Value::Null => return Finding::Null,
            Value::String(text) => text.into(),
            Value::Bool(x) => Cow::Borrowed(if x { "true" } else { "false" }),
            Value::Long(x) => x.to_string().into(),
            Value::Double(x) => number::to_text(x).into(),
            Value::Timestamp(x) => timestamp::to_text(x).into(),
        };
        Finding::of(self.types.iter().any(|kind| kind.takes(&text)) != self.not)
    }
}

/// Whatever the case of its name, as the published examples write it.
fn data_type(name: &str, format: Option<&str>) -> Result<DataType, String> {
    let lower = name.to_ascii_lowercase();
    if lower != "date" && format.is_some() {
        return Err(format!("the tag `format` is for `Date`, not for `{name}`"));
    }
    Ok(match lower.as_str() {
        "boolean" => DataType::Boolean,
        "date" => DataType::Date(format.map(date_format).transpose()?),
        "timestamp" => DataType::Timestamp,
        "integer" => DataType::Integer,
        "long" => DataType::Long,
        "float" | "double" => DataType::Double,
        _ => match decimal(&lower) {
            Some((precision, scale)) => DataType::Decimal(precision, scale),
            None => {
                let near = nearest(name, NAMES).unwrap_or("Integer");
                return Err(format!(
                    "there is no type `{name}`; the nearest is `{near}`, all are {}(p,s)",
                    NAMES.join(", ")
                ));
            }
        },
    })
}

/// The digits of `Decimal(p,s)`.
fn decimal(name: &str) -> Option<(i64, i64)> {
    let inside = name.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inside.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && (0..=precision).contains(&scale))
        .then_some((precision, scale))
}

fn date_format(format: &str) -> Result<Vec<Part>, String> {
    let dashed = format.replace('/', "-");
    let mixed = format.contains('-') && format.contains('/');
    if mixed || !FORMATS.contains(&dashed.as_str()) {
        return Err(format!(
            "`{format}` is no format of dates: there are {}, and the same with `/`",
            FORMATS.join(", ")
        ));
    }
    let mut parts = Vec::new();
    for piece in format.split_inclusive(['-', '/']) {
        let (word, sign) = match piece.strip_suffix(['-', '/']) {
            Some(word) => (word, piece.bytes().last()),
            None => (piece, None),
        };
        parts.push(match word {
            "yyyy" => Part::Year,
            "MM" => Part::Month,
            _ => Part::Day,
        });
        parts.extend(sign.map(Part::Sign));
    }
    Ok(parts)
}

impl DataType {
    fn takes(&self, text: &str) -> bool {
        let trimmed = text.trim_ascii();
        match self {
            DataType::Boolean => matches!(
                trimmed.to_ascii_lowercase().as_str(),
                "true" | "false" | "t" | "f" | "yes" | "no" | "y" | "n" | "1" | "0"
            ),
            DataType::Integer => whole(trimmed).is_some_and(|x| i32::try_from(x).is_ok()),
            DataType::Long => whole(trimmed).is_some(),
            DataType::Double => number::parse(trimmed).is_some(),
            DataType::Decimal(precision, scale) => fits(trimmed, *precision, *scale),
            DataType::Date(None) => date_part(trimmed).is_some(),
            DataType::Date(Some(parts)) => formatted(trimmed, parts),
            DataType::Timestamp => {
                date_part(trimmed).is_some_and(|rest| rest.is_empty() || is_time(&rest[1..]))
            }
        }
    }
}

/// A sign, digits, and a fraction that is cut off.
fn whole(text: &str) -> Option<i64> {
    let (head, tail) = text.split_once('.').unwrap_or((text, ""));
    let digits = head.strip_prefix(['+', '-']).unwrap_or(head);
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !plain(digits) || !plain(tail) || digits.len() + tail.len() == 0 {
        return None;
    }
    if digits.is_empty() { Some(0) } else { head.parse().ok() }
}

/// Whether a decimal number, rounded to `scale` digits after the point, has no more than `precision` digits.
fn fits(text: &str, precision: i64, scale: i64) -> bool {
    if number::parse(text).is_none() {
        return false;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(i64::MAX / 4)),
        None => (text, 0),
    };
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (head, tail) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !head.bytes().chain(tail.bytes()).all(|b| b.is_ascii_digit()) {
        return false;
    }
    // 0.d₁d₂… × 10^point, and d₁ is not 0.
    let digits: Vec<u8> = head.bytes().chain(tail.bytes()).map(|b| b - b'0').collect();
    let zeros = digits.iter().take_while(|d| **d == 0).count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return true;
    }
    let exponent = exponent.clamp(-1_000_000, 1_000_000);
    let point = head.len() as i64 - zeros as i64 + exponent;
    // Halves away from zero; all nines carry into one more digit.
    let keep = point + scale;
    let up = usize::try_from(keep).is_ok_and(|keep| digits.get(keep).is_some_and(|d| *d >= 5));
    let nines = usize::try_from(keep)
        .is_ok_and(|keep| keep <= digits.len() && digits[..keep].iter().all(|d| *d == 9));
    point + i64::from(up && nines) <= precision - scale
}

/// What follows a date at the beginning of `text`, with its separator; none if there is no date of the calendar.
fn date_part(text: &str) -> Option<&str> {
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let mut parts = date.split('-');
    let mut number = |digits: std::ops::RangeInclusive<usize>| match parts.next() {
        None => Some(1),
        Some(part) => plain_number(part, digits),
    };
    let (year, month, day) = (number(4..=4)?, number(1..=2)?, number(1..=2)?);
    (parts.next().is_none() && in_calendar(year, month, day)).then_some(rest)
}

fn plain_number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn in_calendar(year: u32, month: u32, day: u32) -> bool {
    super::dates::day_of_date(&format!("{year:04}-{month:02}-{day:02}")).is_some()
}

/// `h[:m[:s[.f]]]` and a zone: none, `Z`, `UTC`, `±h[h][:mm]`.
fn is_time(text: &str) -> bool {
    let text = text.trim_ascii();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let mut below = |limit: u32, needed: bool| match parts.next() {
        None => !needed,
        Some(part) => plain_number(part, 1..=2).is_some_and(|x| x < limit),
    };
    let clock = below(24, true) && below(60, true) && below(60, false);
    let fraction = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    clock && fraction && parts.next().is_none() && is_zone(zone.trim_ascii())
}

fn is_zone(zone: &str) -> bool {
    let Some(offset) = zone.strip_prefix(['+', '-']) else {
        return matches!(zone, "" | "Z" | "z" | "UTC" | "GMT");
    };
    let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "0"));
    plain_number(hours, 1..=2).is_some_and(|x| x <= 18)
        && plain_number(minutes, 1..=2).is_some_and(|x| x < 60)
}

fn formatted(text: &str, parts: &[Part]) -> bool {
    // A leap year, so that 29 February is one where the year is not said.
    let (mut year, mut month, mut day) = (2024, 1, 1);
    let mut rest = text;
    for part in parts {
        let width = match part {
            Part::Year => 4,
            Part::Month | Part::Day => 2,
            Part::Sign(_) => 1,
        };
        let Some((head, tail)) = rest.split_at_checked(width) else { return false };
        rest = tail;
        match part {
            Part::Sign(sign) if head.as_bytes() == [*sign] => {}
            Part::Sign(_) => return false,
            Part::Year | Part::Month | Part::Day => {
                let Some(number) = plain_number(head, width..=width) else { return false };
                match part {
                    Part::Year => year = number,
                    Part::Month => month = number,
                    _ => day = number,
                }
            }
        }
    }
    rest.is_empty() && in_calendar(year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, format: Option<&str>, takes: &[&str], refuses: &[&str]) {
        let kind = data_type(kind, format).unwrap();
        takes.iter().for_each(|text| assert!(kind.takes(text), "{kind:?} takes {text:?}"));
        refuses.iter().for_each(|text| assert!(!kind.takes(text), "{kind:?} refuses {text:?}"));
    }

    #[test]
    fn values() {
        check(
            "Integer",
            None,
            &["7", " 7 ", "-7", "+7", "12.5", "2147483647", "1.", ".5"],
            &["", " ", ".", "+", "1e3", "2147483648", "x", "1.x", "0x1", "--1"],
        );
        check("Long", None, &["2147483648", "-9223372036854775808"], &["9223372036854775808"]);
        check("Double", None, &["1", "1.5", "1e3", " -.5 "], &["", "x", "1,5", "nan"]);
        check("FLOAT", None, &["1e38"], &["one"]);
        check(
            "Boolean",
            None,
            &["true", "FALSE", "t", "f", "yes", "N", "1", "0"],
            &["2", "", "on"],
        );
        check(
            "Decimal(4,2)",
            None,
            &["12.34", "99.99", "12.345", "-1", "0.001", "1e1", "0", "99.994"],
            &["100", "99.995", "1e2", "x", ""],
        );
        check("Decimal(2,2)", None, &["0.99", "0.994", "0.004"], &["0.995", "1"]);
        check(
            "Decimal(3,0)",
            None,
            &["999.4", "0.5", "1e-99999999999"],
            &["999.5", "1e99999999999"],
        );
        check(
            "Date",
            None,
            &["2024", "2024-2", "2024-02-29", "2024-2-9", "2024-01-31 10:00", "2024-01-31Tx"],
            &["", "24-01-01", "2023-02-29", "2024-13-01", "2024-1-1-1", "2024-", "01/02/2024"],
        );
        check(
            "Timestamp",
            None,
            &["2024", "2024-01-31 10:00", "2024-01-31T10:00:00.123Z", "2024-01-31 1:2:3 +01:00"],
            &[
                "2024-01-31 25:00",
                "2024-01-31Tx",
                "10:00",
                "2024-01-31 10",
                "2024-01-31 10:00 MARS",
            ],
        );
        check(
            "Date",
            Some("dd-MM-yyyy"),
            &["29-02-2024"],
            &["29-02-2023", "2024-02-29", "1-1-2024"],
        );
        check("Date", Some("MM/dd/yyyy"), &["02/29/2024"], &["29/02/2024", "02-29-2024"]);
        check("Date", Some("MM/yyyy"), &["02/2024"], &["13/2024", "02/24"]);
        check("Date", Some("dd-MM"), &["29-02"], &["30-02", "29-02-2024", "é9-02"]);
    }

    #[test]
    fn what_is_none_is_refused() {
        for (kind, format, why) in [
            ("Integr", None, "the nearest is `Integer`"),
            ("Decimal(40,2)", None, "there is no type"),
            ("Decimal(2,3)", None, "there is no type"),
            ("Date", Some("yyyyMMdd"), "is no format of dates"),
            ("Date", Some("dd-MM/yyyy"), "is no format of dates"),
            ("Long", Some("dd-MM"), "is for `Date`"),
        ] {
            let error = data_type(kind, format).unwrap_err();
            assert!(error.contains(why), "{kind}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, digits in "[+-]?[0-9.]{0,12}([eE][+-]?[0-9]{0,20})?") {
            for name in ["Boolean", "Date", "Timestamp", "Integer", "Long", "Double", "Decimal(9,3)"] {
                let kind = data_type(name, None).unwrap();
                kind.takes(&text);
                kind.takes(&digits);
            }
            data_type("Date", Some("dd-MM-yyyy")).unwrap().takes(&text);
        }
    }
}
