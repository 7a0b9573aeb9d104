//! `DataFreshness`: each value's age, `now()` less the value, meets a duration condition.
//!
//! - Takes: a column of timestamps, or of text that holds dates (`yyyy-MM-dd`, midnight UTC) or timestamps.
//! - Gives: a verdict for each row; over a data set `Column.<c>.DataFreshness.Compliance`, the share of rows that pass.
//! - Null, and what is no date: fails.
//! - Ages are compared to the millisecond; where all durations are in hours, in hours rounded to two decimals.
//! - `now()` is the record's arrival where single records are judged, else the run's logical time.
//! - Source: AWS Glue's documentation of DataFreshness; the rounding is that of awslabs/deequ.

use super::column_values::shift;
use super::dates;
use super::row_test::Finding;
use super::tree::{Condition, Duration, Test, TimeUnit};
use crate::column::Value;

const HOUR: f64 = 3_600_000.0;

/// A duration condition ready for ages.
#[derive(Debug)]
pub struct Freshness {
    test: Test<Duration>,
    hours: bool,
}

impl Freshness {
    /// Readies `condition`, or says why it cannot be evaluated.
    pub fn new(condition: Option<&Condition>) -> Result<Self, String> {
        match condition {
            Some(Condition::Duration(test)) => {
                let hours = test.operands().iter().all(|d| d.unit == TimeUnit::Hours);
                Ok(Freshness { test: test.clone(), hours })
            }
            _ => Err("`DataFreshness` has no value without a condition".into()),
        }
    }

    /// What is found of `value`. `now` is in milliseconds since 1970 UTC.
    pub fn find(&self, value: Value<'_>, now: Option<i64>) -> Finding {
        let micros = match value {
            Value::Null => return Finding::Null,
            Value::Timestamp(micros) => Some(micros),
            Value::String(text) => match dates::day_of_date(text.trim_ascii()) {
                Some(day) => day.checked_mul(dates::MICROSECONDS_A_DAY),
                None => dates::micros_of_text(text),
            },
            _ => None,
        };
        let Some(micros) = micros else { return Finding::NoDate };
        let Some(now) = now else { return Finding::NoNow };
        let mut age = now.saturating_sub(micros.div_euclid(1000)) as f64;
        if self.hours {
            // Two decimals of an hour, halves away from zero.
            age = (age / HOUR * 100.0).round() / 100.0 * HOUR;
        }
        let length = |d: &Duration| shift(false, d.amount, d.unit) as f64;
        Finding::of(match &self.test {
            Test::Compare(comparison, d) => comparison.holds(age, length(d)),
            Test::Between { not, low, high } => (length(low) < age && age < length(high)) != *not,
            Test::In { not, values } => values.iter().any(|d| length(d) == age) != *not,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::tree::Rule;

    /// 2026-03-02T00:00:00Z in milliseconds.
    const NOW: i64 = 1_772_409_600_000;

    #[track_caller]
    fn check(condition: &str, text: &str, expected: Finding) {
        let rules = format!("Rules = [ DataFreshness \"c\" {condition} ]");
        let ruleset = crate::quality::parse("t", &rules).unwrap();
        let Rule::Single(single) = &ruleset.rules[0] else { panic!("{rules}") };
        let freshness = Freshness::new(single.condition.as_ref()).unwrap();
        let found = freshness.find(Value::String(text), Some(NOW));
        assert_eq!(found, expected, "{condition} {text}");
    }

    #[test]
    fn values() {
        use Finding::{Fails, NoDate, Passes};
        for (condition, text, expected) in [
            ("<= 1 days", "2026-03-01", Passes),
            ("< 1 days", "2026-03-01", Fails),
            ("<= 24 hours", "2026-03-01T00:00:00Z", Passes),
            ("<= 24 hours", "2026-02-28T23:59:50Z", Passes), // 24.00 hours, rounded
            ("<= 24 hours", "2026-02-28T23:59:00Z", Fails),  // 24.02
            ("<= 1440 minutes", "2026-02-28T23:59:59Z", Fails),
            ("between 2 days and 4 days", "2026-02-27", Passes),
            ("between 2 days and 3 days", "2026-02-27", Fails), // the ends are excluded
            ("not between 2 days and 3 days", "2026-02-27", Passes),
            ("< 1 hours", "2026-03-09", Passes), // the future has an age below 0
            ("> 1 days", "yesterday", NoDate),
            ("> 1 days", "", NoDate),
        ] {
            check(condition, text, expected);
        }
        let rules = "Rules = [ DataFreshness \"c\" < 1 days ]";
        let ruleset = crate::quality::parse("t", rules).unwrap();
        let Rule::Single(single) = &ruleset.rules[0] else { panic!("{rules}") };
        let freshness = Freshness::new(single.condition.as_ref()).unwrap();
        assert_eq!(freshness.find(Value::Null, Some(NOW)), Finding::Null);
        assert_eq!(freshness.find(Value::Timestamp(0), None), Finding::NoNow);
        assert_eq!(freshness.find(Value::Timestamp(i64::MIN), Some(i64::MAX)), Fails);
        assert_eq!(freshness.find(Value::Long(3), Some(NOW)), NoDate);
    }
}
