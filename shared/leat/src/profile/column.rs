//! What was seen of one column.

use serde::{Deserialize, Serialize};

use super::labels::Labels;
use super::numbers::Numbers;
use super::personal::{self, Personal};
use super::texts::Texts;
use crate::column::{Column, Type, Value};
use crate::quality::frequencies::{Frequencies, ValueHasher};
use crate::{number, timestamp};

/// From this share of the values on a column holds what they look like.
const MOST_LOOK: f64 = 0.8;

/// What was seen of one column: mergeable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnProfile {
    /// The column's name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Type,
    /// How many rows were seen.
    pub rows: u64,
    /// How many of them are null.
    pub nulls: u64,
    /// How often each value stands.
    frequencies: Frequencies,
    labels: Labels,
    /// Of numbers, and of timestamps as microseconds since 1970 UTC.
    pub numbers: Numbers,
    /// Of text.
    pub texts: Texts,
    /// How many values look like personal data, by kind.
    personal: personal::Counts,
}

impl ColumnProfile {
    /// Nothing seen yet.
    pub fn new(name: &str, kind: Type) -> Self {
        ColumnProfile {
            name: name.to_owned(),
            kind,
            rows: 0,
            nulls: 0,
            frequencies: Frequencies::default(),
            labels: Labels::default(),
            numbers: Numbers::default(),
            texts: Texts::default(),
            personal: personal::Counts::default(),
        }
    }

    /// Counts the first `rows` rows of the column in `slot`.
    pub(super) fn update(
        &mut self,
        columns: &[Column],
        slot: usize,
        rows: usize,
        hasher: &mut ValueHasher,
    ) {
        self.rows = self.rows.saturating_add(rows as u64);
        let column = columns.get(slot).filter(|column| column.kind() == self.kind);
        for row in 0..rows {
            let value = column.map_or(Value::Null, |column| column.get(row));
            if value == Value::Null {
                self.nulls = self.nulls.saturating_add(1);
                continue;
            }
            let (hash, _) = hasher.row(columns, &[slot], row);
            self.frequencies.add(hash);
            match value {
                Value::Null => {}
                Value::Bool(x) => self.labels.add(hash, || x.to_string()),
                Value::Long(x) => {
                    self.labels.add(hash, || x.to_string());
                    self.numbers.add(x as f64);
                    self.personal.add(Personal::of_number(x));
                }
                Value::Double(x) => {
                    self.labels.add(hash, || match x.is_finite() {
                        true => number::to_text(x),
                        false => if x > 0.0 { "inf" } else { "-inf" }.to_owned(),
                    });
                    self.numbers.add(x);
                }
                Value::Timestamp(x) => {
                    self.labels.add(hash, || timestamp::to_text(x));
                    self.numbers.add(x as f64);
                }
                Value::String(text) => {
                    self.labels.add(hash, || text.to_owned());
                    self.texts.add(text);
                    self.personal.add(Personal::of(text));
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &ColumnProfile) {
        self.rows = self.rows.saturating_add(other.rows);
        self.nulls = self.nulls.saturating_add(other.nulls);
        self.frequencies.merge(&other.frequencies);
        self.labels.merge(&other.labels);
        self.numbers.merge(&other.numbers);
        self.texts.merge(&other.texts);
        self.personal.merge(&other.personal);
    }

    /// Keeps about half of the values by their hash.
    pub(super) fn thin(&mut self) {
        self.frequencies.thin();
    }

    /// Forgets what values and their patterns look like.
    pub(super) fn forget_texts(&mut self) {
        self.labels = Labels::none();
        self.texts = Texts::default();
        self.personal = personal::Counts::default();
    }

    /// How many rows are not null.
    pub fn present(&self) -> u64 {
        self.rows.saturating_sub(self.nulls)
    }

    /// The share of rows that are null; 0 of no rows.
    pub fn missing(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.nulls as f64 / self.rows as f64 }
    }

    /// How often values stand, by hash.
    pub(crate) fn frequencies(&self) -> &Frequencies {
        &self.frequencies
    }

    /// The number of distinct values, null left out, and whether it is exact.
    pub fn distinct(&self) -> (f64, bool) {
        (self.frequencies.distinct(), self.frequencies.is_exact())
    }

    /// Whether every value stands once, as far as is surely known.
    pub fn is_unique(&self) -> bool {
        self.frequencies.is_exact() && self.present() > 0 && !self.frequencies.repeats()
    }

    /// The values and how often each stands, the most frequent first, of equals the least first; false if they are those
    /// of a sample. Texts beyond 100 characters are cut.
    pub fn top(&self) -> (Vec<(&str, u64)>, bool) {
        let mut top: Vec<(&str, u64)> = self
            .labels
            .iter()
            .filter_map(|(hash, text)| Some((text, self.frequencies.count(hash)?)))
            .collect();
        let number = |text: &str| number::parse(text);
        top.sort_by(|a, b| {
            let by_value = match (self.kind.is_numeric(), number(a.0), number(b.0)) {
                (true, Some(x), Some(y)) => x.total_cmp(&y),
                _ => a.0.cmp(b.0),
            };
            b.1.cmp(&a.1).then(by_value)
        });
        (top, self.labels.are_all() && self.frequencies.is_exact())
    }

    /// What kind of personal data the column may hold, and how many of its values have that form: at least 80 % of them, or
    /// none is said where the column's name alone tells.
    pub fn personal(&self) -> Option<(Personal, Option<u64>)> {
        let by_form = self.personal.most();
        let most = |count: u64| count as f64 >= MOST_LOOK * self.present() as f64;
        if let Some((kind, count)) = by_form.filter(|(_, count)| most(*count)) {
            return Some((kind, Some(count)));
        }
        let kind = Personal::of_name(&self.name)?;
        // A name says nothing where values of the type cannot be it.
        let can = match self.kind {
            Type::String => true,
            Type::Timestamp => kind == Personal::Birth,
            // A number of a few digits is none of these; `channel_phone` of 0 and 1 is not.
            Type::Long => {
                matches!(kind, Personal::CardNumber | Personal::Phone | Personal::NationalId)
                    && self.numbers.extent().is_some_and(|(_, high)| high >= 100_000.0)
            }
            Type::Bool | Type::Double => false,
        };
        can.then_some((kind, None))
    }
}
