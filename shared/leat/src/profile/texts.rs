//! What was seen of texts: lengths, patterns, and what else they could be read as.

use serde::{Deserialize, Serialize};

use super::mask::Masks;
use super::positions::Positions;
use crate::number::{self, Moments};
use crate::quality::counter::Extent;
use crate::quality::dates::day_of_date;
use crate::timestamp;

/// What was seen of texts: mergeable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    lengths: Extent,
    length: Moments,
    /// The patterns.
    pub masks: Masks,
    /// What stands at each place of texts of one length.
    pub positions: Positions,
    readings: [u64; Reading::ALL.len()],
}

/// What a text can be read as, blanks around it left out. A text can have several readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing but blanks, or no character.
    Blank,
    /// A word for what is missing: `null`, `none`, `nil`, `na`, `n/a`, `nan`, in any case.
    Nullish,
    /// A number.
    Number,
    /// A whole number of 64 bits.
    Whole,
    /// `true` or `false`, in any case.
    Bool,
    /// A time: see [`timestamp::parse`].
    Timestamp,
    /// A date as `2026-01-31`.
    Date,
}

impl Reading {
    /// All readings.
    pub const ALL: [Reading; 7] = [
        Reading::Blank,
        Reading::Nullish,
        Reading::Number,
        Reading::Whole,
        Reading::Bool,
        Reading::Timestamp,
        Reading::Date,
    ];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Reading::Blank => "blank",
            Reading::Nullish => "nullish",
            Reading::Number => "number",
            Reading::Whole => "whole",
            Reading::Bool => "bool",
            Reading::Timestamp => "timestamp",
            Reading::Date => "date",
        }
    }

    /// Whether `text` has this reading.
    pub fn takes(self, text: &str) -> bool {
        let text = text.trim();
        let any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        match self {
            Reading::Blank => text.is_empty(),
            Reading::Nullish => any(&["null", "none", "nil", "na", "n/a", "nan"]),
            Reading::Number => number::parse(text).is_some_and(f64::is_finite),
            Reading::Whole => text.parse::<i64>().is_ok(),
            Reading::Bool => any(&["true", "false"]),
            Reading::Timestamp => timestamp::parse(text).is_some(),
            Reading::Date => day_of_date(text).is_some(),
        }
    }
}

impl Texts {
    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        let length = text.chars().count() as f64;
        self.lengths.add(length);
        self.length.add(length);
        self.masks.add(text);
        self.positions.add(text);
        for (reading, count) in Reading::ALL.into_iter().zip(&mut self.readings) {
            *count = count.saturating_add(u64::from(reading.takes(text)));
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Texts) {
        self.lengths.merge(&other.lengths);
        self.length.merge(&other.length);
        self.masks.merge(&other.masks);
        self.positions.merge(&other.positions);
        self.readings
            .iter_mut()
            .zip(&other.readings)
            .for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
    }

    /// How many texts were added.
    pub fn count(&self) -> u64 {
        self.length.count
    }

    /// How many characters the shortest and the longest have; none of nothing.
    pub fn lengths(&self) -> Option<(u64, u64)> {
        self.lengths.0.map(|(least, most)| (least as u64, most as u64))
    }

    /// How many characters a text has in the mean.
    pub fn mean_length(&self) -> Option<f64> {
        self.length.mean()
    }

    /// How many texts have this reading.
    pub fn reading(&self, reading: Reading) -> u64 {
        let counts = Reading::ALL.into_iter().zip(self.readings);
        counts.filter(|(of, _)| *of == reading).map(|(_, count)| count).sum()
    }
}
