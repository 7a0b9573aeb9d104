//! `ColumnValues`: each value of a column meets a condition.
//!
//! - Null: fails, but for `!= x`, `not in [x]`, `= NULL`, `in [NULL]`. It fails `!= NULL`, `!= EMPTY`,
//!   `!= WHITESPACES_ONLY` and `not in` lists with one of them, as SQL's three-valued logic has it.
//! - Number conditions compare doubles exactly. A text counts by the number it spells (blanks around it are allowed),
//!   a boolean as 0 or 1; what is no number fails, `!=` and `not in` too.
//! - Text conditions compare texts as they are. A number column is compared by the number that a text spells, a
//!   timestamp by the date or the timestamp that it spells. `WHITESPACES_ONLY` is Unicode's white space.
//! - `matches` must match the whole value: numbers as they are printed, timestamps as RFC 3339 has them.
//! - Date conditions compare days in UTC; the time of day is cut off. A text counts if it is `yyyy-MM-dd` or a
//!   timestamp; what is no date fails, `!=` and `not in` too. `now()` is an argument, cut to the minute.
//! - Source: AWS Glue's documentation of ColumnValues; where it is silent, awslabs/deequ.

use std::collections::HashSet;

use super::dates;
use super::numbers::NumberTest;
use super::row_test::Finding;
use super::tree::{
    Comparison, Condition, Date, Number, Ruleset, Test, Text, TimeUnit, VariableValue,
};
use crate::column::{self, Column, Type, Value, Values};
use crate::pattern::Pattern;
use crate::record::Row;
use crate::{number, timestamp};

/// A condition ready for the values of one column.
#[derive(Debug)]
pub struct ColumnValues {
    null_passes: bool,
    test: ValueTest,
}

#[derive(Debug)]
enum ValueTest {
    /// Only NULL was asked for: any other value passes or fails.
    Any(bool),
    Number(NumberTest),
    /// True for the complement.
    Members(bool, Members),
    Matches(bool, Pattern),
    /// True if `now()` is among its operands.
    Date(Test<Day>, bool),
}

/// The values that a text condition names, as the column's type reads them.
#[derive(Debug)]
enum Members {
    Texts(Texts),
    /// Ascending.
    Numbers(Vec<f64>),
    Times {
        days: HashSet<i64>,
        micros: HashSet<i64>,
    },
}

/// Texts to be found in constant time.
#[derive(Debug)]
struct Texts {
    /// Those of at most seven bytes, as [`word`] has them: mostly all, and mostly few.
    short: Vec<u64>,
    texts: HashSet<String>,
    empty: bool,
    blank: bool,
}

/// How many short texts are looked through one by one.
const FEW: usize = 16;

/// A text of at most seven bytes as a number that no other text has.
fn word(text: &[u8]) -> Option<u64> {
    column::short_text(text).and_then(of_short)
}

/// [`word`] of what [`column::short_text`] made of a text.
#[inline]
fn of_short(short: u128) -> Option<u64> {
    let length = (short >> 120) as u64;
    (length < 8).then_some(short as u64 | length << 56)
}

impl Texts {
    fn new<'a>(texts: impl Iterator<Item = &'a str>, empty: bool, blank: bool) -> Self {
        let texts: HashSet<String> = texts.map(str::to_owned).collect();
        let short: Vec<u64> = texts.iter().filter_map(|text| word(text.as_bytes())).collect();
        let short = if short.len() > FEW { Vec::new() } else { short };
        Texts { short, texts, empty, blank }
    }

    fn contain(&self, text: &str) -> bool {
        let is_named = match word(text.as_bytes()) {
            Some(word) if !self.short.is_empty() => self.short.contains(&word),
            _ => self.texts.contains(text),
        };
        is_named || self.is_blank(text)
    }

    /// [`Texts::contain`] of the text at `at`.
    #[inline]
    fn contain_at(&self, texts: &column::Texts, at: usize) -> bool {
        let word = texts.short(at).and_then(of_short);
        match word.filter(|_| !self.short.is_empty()) {
            Some(word) => self.short.contains(&word) || self.is_blank(texts.get(at)),
            None => self.contain(texts.get(at)),
        }
    }

    /// Whether a text is one of the kinds of blank ones that were named.
    fn is_blank(&self, text: &str) -> bool {
        self.empty && text.is_empty() || self.blank && !text.is_empty() && text.trim().is_empty()
    }
}

/// An operand of a date condition.
#[derive(Clone, Copy, Debug)]
enum Day {
    Fixed(i64),
    /// `now()` and so many milliseconds.
    Now(i64),
    Null,
}

impl ColumnValues {
    /// Readies `condition` for a column of `kind`, or says why it cannot be evaluated.
    pub fn new(ruleset: &Ruleset, condition: &Condition, kind: Type) -> Result<Self, String> {
        let values;
        let (null_passes, test) = match condition {
            Condition::Number(test) => {
                let null = |x: &Number| matches!(x, Number::Null);
                (
                    null_passes(test, null, |_| false),
                    match only_null(test, null) {
                        Some(any) => ValueTest::Any(any),
                        None => ValueTest::Number(NumberTest::new(test)?),
                    },
                )
            }
            Condition::Date(test) => {
                let null = |x: &Date| matches!(x, Date::Null);
                (
                    null_passes(test, null, |_| false),
                    match only_null(test, null) {
                        Some(any) => ValueTest::Any(any),
                        None => {
                            let test = test.try_map(day)?;
                            let now = |day: &&Day| matches!(day, Day::Now(_));
                            let wants_now = test.operands().iter().any(now);
                            ValueTest::Date(test, wants_now)
                        }
                    },
                )
            }
            Condition::Text(test) => {
                values = test.try_map(|text| Ok::<_, String>(resolved(ruleset, text).clone()))?;
                texts(&values, kind)
            }
            Condition::InVariable { not, name } => {
                let list = match ruleset.variable(name) {
                    Some(VariableValue::List(list)) => list.clone(),
                    _ => Vec::new(),
                };
                values = Test::In { not: *not, values: list };
                texts(&values, kind)
            }
            Condition::Matches { not, pattern } => {
                (false, ValueTest::Matches(*not, Pattern::new(pattern)?))
            }
            Condition::Duration(_) | Condition::Size(_) => {
                return Err(format!("`ColumnValues` has no condition `{condition}`"));
            }
        };
        Ok(ColumnValues { null_passes, test })
    }

    /// What is found of `value`. `now` is in milliseconds since 1970 UTC.
    pub fn find(&self, value: Value<'_>, now: Option<i64>) -> Finding {
        if value == Value::Null {
            return if self.null_passes { Finding::Passes } else { Finding::Null };
        }
        let passes = match &self.test {
            ValueTest::Any(passes) => *passes,
            ValueTest::Number(test) => match number_of(value) {
                Some(x) => test.holds(x),
                None => return Finding::NoNumber,
            },
            ValueTest::Members(not, members) => members.contain(value) != *not,
            ValueTest::Matches(not, pattern) => matches(pattern, value) != *not,
            ValueTest::Date(test, wants_now) => return find_day(test, *wants_now, value, now),
        };
        Finding::of(passes)
    }

    /// Whether each value of `column` passes: [`ColumnValues::find`] of all, without a detour where the column's type is
    /// the one that the condition is about. `passed` has a place for each of `rows`, whose arrival is `now()`.
    pub fn judge(&self, column: &Column, rows: &[Row], passed: &mut [bool]) {
        match (&self.test, column.values()) {
            (ValueTest::Any(passes), _) => self.each(column, passed, |_| *passes),
            (ValueTest::Number(test), Values::Double(x)) => {
                self.each(column, passed, |at| test.holds(x[at]));
            }
            (ValueTest::Number(test), Values::Long(x)) => {
                self.each(column, passed, |at| test.holds(x[at] as f64));
            }
            (ValueTest::Members(not, Members::Texts(texts)), Values::String(x)) => {
                self.each(column, passed, |at| texts.contain_at(x, at) != *not);
            }
            (ValueTest::Matches(not, pattern), Values::String(x)) => {
                self.each(column, passed, |at| pattern.matches(x.get(at)) != *not);
            }
            (
                ValueTest::Date(Test::Compare(comparison, Day::Fixed(day)), _),
                Values::Timestamp(x),
            ) => {
                self.each(column, passed, |at| comparison.holds(dates::day_of_micros(x[at]), *day));
            }
            _ => {
                for (at, (passed, row)) in passed.iter_mut().zip(rows).enumerate() {
                    let found = self.find(column.get(at), row.coordinates.arrival);
                    *passed = found == Finding::Passes;
                }
            }
        }
    }

    /// Whether each value of `column` passes `test`, which is asked of those that are there.
    #[inline]
    fn each(&self, column: &Column, passed: &mut [bool], test: impl Fn(usize) -> bool) {
        let valid = column.validity();
        if valid.all() {
            passed.iter_mut().enumerate().for_each(|(at, passed)| *passed = test(at));
            return;
        }
        for (at, passed) in passed.iter_mut().enumerate() {
            *passed = if valid.get(at) { test(at) } else { self.null_passes };
        }
    }
}

/// Whether null passes. `blank` tells EMPTY and WHITESPACES_ONLY, to which null compares as null.
fn null_passes<T>(test: &Test<T>, null: impl Fn(&T) -> bool, blank: impl Fn(&T) -> bool) -> bool {
    match test {
        Test::Compare(Comparison::Equal, x) => null(x),
        Test::Compare(Comparison::Unequal, x) => !null(x) && !blank(x),
        Test::Compare(..) | Test::Between { .. } => false,
        Test::In { not: false, values } => values.iter().any(null),
        Test::In { not: true, values } => !values.iter().any(|x| null(x) || blank(x)),
    }
}

/// What any other value than null does, if `test` names nothing but NULL.
fn only_null<T>(test: &Test<T>, null: impl Fn(&T) -> bool) -> Option<bool> {
    let not = matches!(test, Test::Compare(Comparison::Unequal, _) | Test::In { not: true, .. });
    test.operands().into_iter().all(null).then_some(not)
}

fn number_of(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Double(x) => Some(x),
        Value::Long(x) => Some(x as f64),
        Value::Bool(x) => Some(f64::from(u8::from(x))),
        Value::String(text) => number::parse(text),
        Value::Null | Value::Timestamp(_) => None,
    }
}

fn matches(pattern: &Pattern, value: Value<'_>) -> bool {
    match value {
        Value::String(text) => pattern.matches(text),
        Value::Long(x) => pattern.matches(&x.to_string()),
        Value::Double(x) => pattern.matches(&number::to_text(x)),
        Value::Bool(x) => pattern.matches(if x { "true" } else { "false" }),
        Value::Timestamp(x) => pattern.matches(&timestamp::to_text(x)),
        Value::Null => false,
    }
}

fn resolved<'a>(ruleset: &'a Ruleset, text: &'a Text) -> &'a Text {
    match text {
        Text::Variable(name) => match ruleset.variable(name) {
            Some(VariableValue::One(value)) => value,
            _ => text,
        },
        _ => text,
    }
}

/// A text condition whose variables are resolved. Parsing lets only `=`, `!=` and lists through.
fn texts(test: &Test<Text>, kind: Type) -> (bool, ValueTest) {
    let null = |x: &Text| matches!(x, Text::Null);
    let blank = |x: &Text| matches!(x, Text::Empty | Text::WhitespacesOnly);
    let not = matches!(test, Test::Compare(Comparison::Unequal, _) | Test::In { not: true, .. });
    let members = match only_null(test, null) {
        Some(any) => ValueTest::Any(any),
        None => ValueTest::Members(not, Members::new(&test.operands(), kind)),
    };
    (null_passes(test, null, blank), members)
}

impl Members {
    fn new(values: &[&Text], kind: Type) -> Self {
        let texts = values.iter().filter_map(|value| match value {
            Text::Value(text) => Some(text.as_str()),
            _ => None,
        });
        match kind {
            Type::Long | Type::Double => {
                let mut numbers: Vec<f64> = texts.filter_map(number::parse).collect();
                numbers.sort_by(f64::total_cmp);
                Members::Numbers(numbers)
            }
            Type::Timestamp => {
                let (mut days, mut micros) = (HashSet::new(), HashSet::new());
                for text in texts {
                    if dates::is_date_shaped(text) {
                        days.extend(dates::day_of_date(text));
                    } else {
                        micros.extend(dates::micros_of_text(text));
                    }
                }
                Members::Times { days, micros }
            }
            Type::String | Type::Bool => Members::Texts(Texts::new(
                texts,
                values.contains(&&Text::Empty),
                values.contains(&&Text::WhitespacesOnly),
            )),
        }
    }

    fn contain(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Members::Texts(texts), Value::String(text)) => texts.contain(text),
            (Members::Texts(texts), Value::Bool(x)) => {
                texts.contain(if x { "true" } else { "false" })
            }
            (Members::Numbers(numbers), value) => number_of(value)
                .is_some_and(|x| numbers.binary_search_by(|n| n.total_cmp(&x)).is_ok()),
            (Members::Times { days, micros }, Value::Timestamp(x)) => {
                micros.contains(&x) || days.contains(&dates::day_of_micros(x))
            }
            _ => false,
        }
    }
}

fn day(date: &Date) -> Result<Day, String> {
    match date {
        Date::Null => Ok(Day::Null),
        Date::Now => Ok(Day::Now(0)),
        Date::Shifted { back, by } => Ok(Day::Now(shift(*back, by.amount, by.unit))),
        Date::Date(text) => dates::day_of_date(text)
            .map(Day::Fixed)
            .ok_or_else(|| format!("\"{text}\" is not in the calendar")),
        Date::Time(text) => Err(format!("the time of day \"{text}\" is for files alone")),
    }
}

/// So many units in milliseconds, forward or back; beyond 64 bits: as far as they go.
pub fn shift(back: bool, amount: u64, unit: TimeUnit) -> i64 {
    let length = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(unit.milliseconds());
    if back { -length } else { length }
}

/// The day of `now()` and so many milliseconds. `now()` is cut to the minute.
pub fn day_of_now(now: i64, shift: i64) -> i64 {
    let minute = now.div_euclid(60_000).saturating_mul(60_000);
    dates::day_of_millis(minute.saturating_add(shift))
}

fn find_day(test: &Test<Day>, wants_now: bool, value: Value<'_>, now: Option<i64>) -> Finding {
    let x = match value {
        Value::Timestamp(micros) => Some(dates::day_of_micros(micros)),
        Value::String(text) => dates::day_of_text(text),
        _ => None,
    };
    let Some(x) = x else { return Finding::NoDate };
    if now.is_none() && wants_now {
        return Finding::NoNow;
    }
    let day = |day: &Day| match day {
        Day::Fixed(day) => Some(*day),
        Day::Now(shift) => now.map(|now| day_of_now(now, *shift)),
        Day::Null => None,
    };
    Finding::of(match test {
        Test::Compare(comparison, y) => match day(y) {
            Some(y) => comparison.holds(x, y),
            None => *comparison == Comparison::Unequal,
        },
        Test::Between { not, low, high } => {
            day(low).zip(day(high)).is_some_and(|(low, high)| (low < x && x < high) != *not)
        }
        Test::In { not, values } => values.iter().any(|y| day(y) == Some(x)) != *not,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::Rule;
    use super::*;
    use crate::record::Coordinates;

    /// 2026-03-01T00:30:00Z in milliseconds.
    const NOW: i64 = 1_772_325_000_000;

    fn find(condition: &str, column: &Column, now: Option<i64>) -> Vec<Finding> {
        let text =
            format!("v = \"a\" l = [\"a\", EMPTY] Rules = [ ColumnValues \"c\" {condition} ]");
        let ruleset = crate::quality::parse("t", &text).unwrap();
        let Rule::Single(single) = &ruleset.rules[0] else { panic!("{text}") };
        let condition = single.condition.as_ref().unwrap();
        let values = ColumnValues::new(&ruleset, condition, column.kind()).unwrap();
        let found: Vec<Finding> =
            (0..column.len()).map(|row| values.find(column.get(row), now)).collect();
        let rows = vec![row(now); column.len()];
        let mut passed = vec![false; rows.len()];
        values.judge(column, &rows, &mut passed);
        let each: Vec<bool> = found.iter().map(|found| *found == Finding::Passes).collect();
        assert_eq!(passed, each, "{text}");
        found
    }

    /// A row that arrived at `now`.
    fn row(now: Option<i64>) -> Row {
        let position = Default::default();
        let coordinates =
            Coordinates { source: "s".into(), shard: "".into(), position, arrival: now };
        let (verdict, protected, unknown) = Default::default();
        Row { coordinates, identity: 0, verdict, protected, unknown }
    }

    /// A row's finding a character: `+` passes, `-` fails, `0` null, `#` no number, `d` no date, `n` no now.
    #[track_caller]
    fn check(column: &Column, table: &[(&str, &str)]) {
        for (condition, expected) in table {
            let found: String = find(condition, column, Some(NOW))
                .into_iter()
                .map(|finding| match finding {
                    Finding::Passes => '+',
                    Finding::Skipped => 's',
                    Finding::Fails => '-',
                    Finding::Null => '0',
                    Finding::NoNumber => '#',
                    Finding::NoDate => 'd',
                    Finding::NoNow => 'n',
                })
                .collect();
            assert_eq!(found, *expected, "{condition}");
        }
    }

    #[test]
    fn numbers() {
        let column = Column::doubles([Some(1.0), Some(2.5), Some(3.0), None]);
        check(
            &column,
            &[
                ("= 1", "+--0"),
                ("!= 1", "-+++"),
                ("> 1", "-++0"),
                (">= 1", "+++0"),
                ("< 3", "++-0"),
                ("<= 2.5", "++-0"),
                ("between 1 and 3", "-+-0"),
                ("not between 1 and 3", "+-+0"),
                ("in [1, 3]", "+-+0"),
                ("not in [1, 3]", "-+-+"),
                ("= NULL", "---+"),
                ("!= NULL", "+++0"),
                ("in [1, NULL]", "+--+"),
                ("not in [1, NULL]", "-++0"),
                ("in [NULL]", "---+"),
                ("not in [NULL]", "+++0"),
                ("> NULL", "---0"),
                ("= \"1\"", "+--0"), // a text is read as the column's type
                ("in [\"1.0\", \"x\", EMPTY]", "+--0"),
                ("!= \"x\"", "++++"),
                ("!= EMPTY", "+++0"),
                ("matches \"[0-9]+\\.0\"", "+-+0"), // as it is printed
                ("> \"2024-01-01\"", "ddd0"),
            ],
        );
        let column = Column::longs([Some(1), Some(i64::MAX), None]);
        check(
            &column,
            &[("= 1", "+-0"), ("in [9223372036854775807]", "-+0"), ("matches \"[0-9]\"", "+-0")],
        );
    }

    #[test]
    fn texts() {
        let column = Column::strings([Some("a"), Some(""), Some(" \t"), Some("7"), None]);
        check(
            &column,
            &[
                ("= \"a\"", "+---0"),
                ("!= \"a\"", "-++++"),
                ("= EMPTY", "-+--0"),
                ("!= EMPTY", "+-++0"), // null compares to it as null
                ("= WHITESPACES_ONLY", "--+-0"),
                ("!= WHITESPACES_ONLY", "++-+0"),
                ("= \"\"", "-+--0"),
                ("in [\"a\", NULL, EMPTY, WHITESPACES_ONLY]", "+++-+"),
                ("not in [\"a\"]", "-++++"),
                ("not in [\"a\", EMPTY]", "--++0"),
                ("not in [\"a\", NULL]", "-+++0"),
                ("not in [EMPTY, NULL]", "+-++0"),
                ("in $l", "++--0"),
                ("not in $l", "--++0"),
                ("= $v", "+---0"),
                ("in [$v, \"7\"]", "+--+0"),
                ("matches \"[a-z]\"", "+---0"),
                ("not matches \"[a-z]\"", "-+++0"),
                ("matches \"\\\\s*\"", "-++-0"),
                ("= 7", "###+0"), // a text counts by the number it spells
                ("!= 7", "###-+"),
                ("not in [8]", "###++"),
                ("!= NULL", "++++0"),
            ],
        );
    }

    #[test]
    fn dates_and_times() {
        let texts = Column::strings([
            Some("2026-02-28"),
            Some("2026-03-01T23:59:59Z"),
            Some("2026-03-01T00:30:00+01:00"), // February in UTC
            Some("2026-02-30"),
            None,
        ]);
        check(
            &texts,
            &[
                ("> \"2026-02-28\"", "-+-d0"),
                (">= \"2026-02-28\"", "+++d0"),
                ("between \"2026-02-28\" and \"2026-03-02\"", "-+-d0"),
                ("not between \"2026-02-28\" and \"2026-03-02\"", "+-+d0"),
                ("= now()", "-+-d0"), // the day counts, not the time of day
                ("!= now()", "+-+d+"),
                ("< now()", "+-+d0"),
                ("= (now() - 31 minutes)", "+-+d0"),
                ("= (now() - 30 minutes)", "-+-d0"),
                ("< (now() + 1 days)", "+++d0"),
                ("< (now() - 1000000000000 days)", "---d0"),
                ("in [now(), \"2026-02-28\"]", "+++d0"),
                ("not in [now(), NULL]", "+-+d0"),
                ("in [now(), NULL]", "-+-d+"),
                ("= \"2026-02-28\"", "+---0"), // a text condition: as it is written
            ],
        );
        let micros = |text: &str| match timestamp::parse(text) {
            Some(micros) => Value::Timestamp(micros),
            None => Value::Null,
        };
        let mut column = Column::new(Type::Timestamp);
        column.push(micros("2026-02-28T23:59:59.999999Z"));
        column.push(micros("2026-03-01T00:00:00Z"));
        column.push(Value::Null);
        check(
            &column,
            &[
                ("> \"2026-02-28\"", "-+0"),
                ("= now()", "-+0"),
                ("= \"2026-02-28\"", "+-0"), // a date is a day of a timestamp
                ("!= \"2026-02-28\"", "-++"),
                ("in [\"2026-03-01T00:00:00Z\", \"x\"]", "-+0"),
                ("in [\"2026-03-01 00:00:00\"]", "-+0"),
                ("= 1", "##0"),
                ("matches \".*T00:00:00Z\"", "-+0"),
            ],
        );
    }

    #[test]
    fn booleans() {
        let mut column = Column::new(Type::Bool);
        [Value::Bool(true), Value::Bool(false), Value::Null]
            .into_iter()
            .for_each(|v| column.push(v));
        check(
            &column,
            &[
                ("= \"true\"", "+-0"),
                ("= 1", "+-0"),
                ("in [0, 1]", "++0"),
                ("matches \"f.*\"", "-+0"),
            ],
        );
    }

    #[test]
    fn now_must_be_known() {
        let column = Column::strings([Some("2026-03-01"), Some("x"), None]);
        let found = find("<= now()", &column, None);
        assert_eq!(found, [Finding::NoNow, Finding::NoDate, Finding::Null]);
        assert_eq!(find("<= \"2027-01-01\"", &column, None)[0], Finding::Passes);
    }

    #[test]
    fn refusals() {
        let text = "Rules = [ ColumnValues \"c\" > \"9:30 AM\" ]";
        let ruleset = crate::quality::parse("t", text).unwrap();
        let Rule::Single(single) = &ruleset.rules[0] else { panic!("{text}") };
        let condition = single.condition.as_ref().unwrap();
        let why = ColumnValues::new(&ruleset, condition, Type::String).unwrap_err();
        assert_eq!(why, "the time of day \"9:30 AM\" is for files alone");
    }
}
