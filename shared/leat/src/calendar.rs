//! The Gregorian calendar and a clock, by arithmetic alone: what they show at a time.

/// Microseconds of an hour.
pub const HOUR: i64 = 3_600_000_000;
/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// What a clock and a calendar show: microseconds since they showed 1970-01-01T00:00:00. In UTC it is the timestamp, in
/// a zone that and its offset. Every `i64` is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub i64);

/// Year, month and day of 1970-01-01 and so many days. Source: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms".
fn date_of(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468; // since 0000-03-01
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100); // since the first of March
    let month = (5 * day + 2) / 153;
    let first = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, first)
}

/// The day of the first of January.
fn new_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

impl Moment {
    /// Days since 1970-01-01.
    fn days(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The year.
    pub fn year(self) -> i64 {
        date_of(self.days()).0
    }

    /// 1 to 4.
    pub fn quarter(self) -> i64 {
        (self.month() + 2) / 3
    }

    /// 1 to 12.
    pub fn month(self) -> i64 {
        date_of(self.days()).1
    }

    /// ISO 8601, 1 to 53: a week belongs to the year of its Thursday.
    pub fn week(self) -> i64 {
        let thursday = self.days() - self.day_of_week() + 4;
        (thursday - new_year(date_of(thursday).0)) / 7 + 1
    }

    /// Of the month, from 1.
    pub fn day(self) -> i64 {
        date_of(self.days()).2
    }

    /// 1 for Monday to 7.
    pub fn day_of_week(self) -> i64 {
        (self.days() + 3).rem_euclid(7) + 1
    }

    /// From 1.
    pub fn day_of_year(self) -> i64 {
        self.days() - new_year(self.year()) + 1
    }

    /// 0 to 23.
    pub fn hour(self) -> i64 {
        self.0.rem_euclid(DAY) / HOUR
    }

    /// 0 to 59.
    pub fn minute(self) -> i64 {
        self.0.rem_euclid(HOUR) / (HOUR / 60)
    }

    /// 0 to 59.
    pub fn second(self) -> i64 {
        self.0.rem_euclid(HOUR / 60) / 1_000_000
    }

    /// True on the last day of a month.
    pub fn is_month_end(self) -> bool {
        date_of(self.days() + 1).2 == 1
    }

    /// The beginning of the `unit` that it is in; none before all time.
    pub fn floor(self, unit: Unit) -> Option<Moment> {
        let span = |micros: i64| self.0.checked_sub(self.0.rem_euclid(micros));
        let day = |day: i64| day.checked_mul(DAY);
        let days = self.days();
        let micros = match unit {
            Unit::Second => span(1_000_000),
            Unit::Minute => span(HOUR / 60),
            Unit::Hour => span(HOUR),
            Unit::Day => day(days),
            Unit::Week => day(days + 1 - self.day_of_week()),
            Unit::Month => day(days + 1 - self.day()),
            Unit::Quarter => {
                // At most 31 days before the first of a month is the month before.
                let mut first = days + 1 - self.day();
                for _ in 0..(self.month() - 1) % 3 {
                    first -= date_of(first - 1).2;
                }
                day(first)
            }
            Unit::Year => day(new_year(self.year())),
        };
        micros.map(Moment)
    }
}

/// A stretch of the calendar or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// From Monday.
    Week,
    /// A month.
    Month,
    /// Three months, from January, April, July or October.
    Quarter,
    /// A year.
    Year,
}

impl Unit {
    /// All, with their words.
    pub const ALL: [(&'static str, Unit); 8] = [
        ("second", Unit::Second),
        ("minute", Unit::Minute),
        ("hour", Unit::Hour),
        ("day", Unit::Day),
        ("week", Unit::Week),
        ("month", Unit::Month),
        ("quarter", Unit::Quarter),
        ("year", Unit::Year),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    /// Every day of a thousand years, and some beyond, is that of jiff's calendar.
    #[test]
    fn the_calendar_is_the_gregorian_one() {
        for day in (-4_000_000..=0).step_by(9973).chain(-150_000..250_000) {
            let moment = Moment(day * DAY + 5 * HOUR + 61_000_001);
            let time = Timestamp::from_microsecond(moment.0).unwrap();
            let date = TimeZone::UTC.to_datetime(time).date();
            let (year, month) = (i64::from(date.year()), i64::from(date.month()));
            assert_eq!((moment.year(), moment.month()), (year, month), "{date}");
            assert_eq!(moment.day(), i64::from(date.day()), "{date}");
            assert_eq!(moment.week(), i64::from(date.iso_week_date().week()), "{date}");
            assert_eq!(moment.day_of_year(), i64::from(date.day_of_year()), "{date}");
            let weekday = i64::from(date.weekday().to_monday_one_offset());
            assert_eq!(moment.day_of_week(), weekday, "{date}");
            assert_eq!(moment.is_month_end(), date.day() == date.days_in_month(), "{date}");
            assert_eq!((moment.hour(), moment.minute(), moment.second()), (5, 1, 1));
            for (word, unit) in Unit::ALL {
                let floor = moment.floor(unit).unwrap();
                assert!(
                    floor.0 <= moment.0 && floor.floor(unit) == Some(floor),
                    "{word} of {date}"
                );
                let before = Moment(floor.0 - 1).floor(unit).unwrap();
                assert!(before.0 < floor.0, "{word} of {date}");
            }
            let quarter = moment.floor(Unit::Quarter).unwrap();
            assert_eq!((quarter.quarter(), quarter.day()), (moment.quarter(), 1), "{date}");
            assert_eq!(quarter.month() % 3, 1, "{date}");
        }
    }

    #[test]
    fn the_ends_of_time() {
        for end in [i64::MIN, i64::MAX] {
            let moment = Moment(end);
            assert!((1..=12).contains(&moment.month()) && (1..=53).contains(&moment.week()));
            assert!((0..=23).contains(&moment.hour()) && moment.day_of_year() >= 1);
        }
        assert_eq!(Moment(i64::MIN).floor(Unit::Day), None);
        assert!(Moment(i64::MAX).floor(Unit::Year).is_some());
    }
}
