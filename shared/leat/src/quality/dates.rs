//! Dates: literals, and the day on which a value lies. Date conditions compare days; the time of day is cut off.

use crate::timestamp;

pub const MICROSECONDS_A_DAY: i64 = 86_400_000_000;
const MILLISECONDS_A_DAY: i64 = 86_400_000;

/// Whether `text` looks like `yyyy-MM-dd`.
pub fn is_date_shaped(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, b)| match at {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
}

/// Days since 1970-01-01 of `yyyy-MM-dd`; none if it is not in the calendar.
pub fn day_of_date(text: &str) -> Option<i64> {
    if !is_date_shaped(text) {
        return None;
    }
    timestamp::parse(&format!("{text}T00:00:00Z")).map(day_of_micros)
}

/// The day of a text: `yyyy-MM-dd`, or a timestamp that begins so. One with an offset is taken to UTC.
pub fn day_of_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    let date = text.get(..10)?;
    let day = day_of_date(date)?;
    match text.as_bytes().get(10) {
        None => Some(day),
        Some(b'T' | b't' | b' ') => micros_of_text(text).map(day_of_micros),
        Some(_) => None,
    }
}

/// The microsecond of a timestamp in text; UTC where it has no offset.
pub fn micros_of_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    timestamp::parse(text).or_else(|| timestamp::parse(&format!("{text}Z")))
}

/// The day of a timestamp in microseconds.
pub fn day_of_micros(micros: i64) -> i64 {
    micros.div_euclid(MICROSECONDS_A_DAY)
}

/// The day of an instant in milliseconds.
pub fn day_of_millis(millis: i64) -> i64 {
    millis.div_euclid(MILLISECONDS_A_DAY)
}

/// `yyyy-MM-dd` of a day; none outside of the years 0000 to 9999.
pub fn date_of_day(day: i64) -> Option<String> {
    let micros = day.checked_mul(MICROSECONDS_A_DAY)?;
    let within = (timestamp::MIN..=timestamp::MAX).contains(&micros);
    within.then(|| timestamp::to_text(micros).chars().take(10).collect())
}

/// Whether `text` is `HH:mm` or `h:mm AM`.
pub fn is_time_of_day(text: &str) -> bool {
    time_of_day(text).is_some()
}

/// Hour (0 to 23) and minute of `HH:mm` or `h:mm AM`.
pub fn time_of_day(text: &str) -> Option<(i8, i8)> {
    let (clock, half) = match text.split_once(' ') {
        Some((clock, half)) => (clock, Some(half)),
        None => (text, None),
    };
    let (hour, minute) = clock.split_once(':')?;
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<i8>().ok()).flatten()
    };
    let minute = number(minute, 2..=2).filter(|minute| *minute < 60)?;
    let hour = match half {
        None => number(hour, 2..=2).filter(|hour| *hour < 24)?,
        Some(half) => {
            let hour = number(hour, 1..=2).filter(|hour| (1..=12).contains(hour))? % 12;
            match half {
                "AM" => hour,
                "PM" => hour + 12,
                _ => return None,
            }
        }
    };
    Some((hour, minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        for (text, day) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2024-02-29", Some(19_782)),
            ("2023-02-29", None),
            ("2024-13-45", None),
            ("0000-01-01", Some(-719_528)),
            (" 1970-01-02 ", Some(1)),
            ("1970-01-01T23:00:00-02:00", Some(1)),
            ("1970-01-01T23:59:59Z", Some(0)),
            ("1970-01-01 23:59:59.5", Some(0)),
            ("1970-01-01T25:00:00", None),
            ("1970-01-01x", None),
            ("1970-1-1", None),
            ("é970-01-01é", None),
            ("", None),
        ] {
            assert_eq!(day_of_text(text), day, "{text}");
        }
        assert_eq!(day_of_micros(-1), -1);
        assert_eq!(day_of_millis(MILLISECONDS_A_DAY), 1);
        assert_eq!(date_of_day(19_782).as_deref(), Some("2024-02-29"));
        assert_eq!(date_of_day(i64::MAX), None);
        assert_eq!(date_of_day(i64::MAX / 100_000_000), None);
    }

    #[test]
    fn times_of_day() {
        for text in ["00:00", "09:30", "23:59", "9:30 AM", "09:30 PM", "12:00 AM"] {
            assert!(is_time_of_day(text), "{text}");
        }
        for text in ["24:00", "9:30", "13:50 AM", "0:10 PM", "9:60 AM", "9:30 SM", "9:30  AM", ""] {
            assert!(!is_time_of_day(text), "{text}");
        }
        assert_eq!(time_of_day("9:30 PM"), Some((21, 30)));
        assert_eq!(time_of_day("12:00 AM"), Some((0, 0)));
        assert_eq!(time_of_day("12:05 PM"), Some((12, 5)));
        assert_eq!(time_of_day("00:05"), Some((0, 5)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String) {
            day_of_text(&text);
            is_time_of_day(&text);
        }

        #[test]
        fn a_day_prints_and_reads_back(day in -719_528i64..2_932_896) {
            assert_eq!(date_of_day(day).and_then(|date| day_of_date(&date)), Some(day));
        }
    }
}
