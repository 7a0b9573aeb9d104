//! What is kept by label, such as how often it was seen, within bounds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type, Value};

/// So many different labels are counted.
pub const MOST_LABELS: usize = 100_000;
/// So many bytes of text the labels hold together.
pub const MOST_BYTES: usize = 16 << 20;

/// A value of a column of text, whole numbers or booleans. Labels of a column are of one kind; they rise by value:
/// text by its bytes in UTF-8, which is by code point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    Text(String),
}

impl Label {
    /// The label at `row`: `None` if it is missing, which a blank text is too.
    pub fn at(column: &Column, row: usize) -> Option<Label> {
        match column.get(row) {
            Value::Bool(v) => Some(Label::Bool(v)),
            Value::Long(v) => Some(Label::Long(v)),
            Value::String(v) if !v.trim().is_empty() => Some(Label::Text(v.to_owned())),
            _ => None,
        }
    }

    /// The label as a column's value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Label::Bool(v) => Value::Bool(*v),
            Label::Long(v) => Value::Long(*v),
            Label::Text(v) => Value::String(v),
        }
    }

    /// The type of the label's column.
    pub fn kind(&self) -> Type {
        match self {
            Label::Bool(_) => Type::Bool,
            Label::Long(_) => Type::Long,
            Label::Text(_) => Type::String,
        }
    }

    fn bytes(&self) -> usize {
        if let Label::Text(v) = self { v.len() } else { 0 }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Bool(v) => v.fmt(f),
            Label::Long(v) => v.fmt(f),
            Label::Text(v) => f.write_str(v),
        }
    }
}

/// What is kept of a label: two of them merge, in any order, to the bit.
pub trait Tally: Clone + Default {
    /// Adds all that was added to `other`.
    fn merge(&mut self, other: &Self);
}

impl Tally for u64 {
    fn merge(&mut self, other: &u64) {
        *self = self.saturating_add(*other);
    }
}

/// A tally by label, or the knowledge that there are too many: which it is depends on the labels alone, never on the
/// order of adding and merging.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    into = "Packed<T>",
    from = "Packed<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Tally + Deserialize<'de>")
)]
pub struct Tallies<T> {
    counts: BTreeMap<Label, T>,
    bytes: usize,
    too_many: bool,
}

/// How often each label was seen.
pub type Counts = Tallies<u64>;

/// JSON has no keys but texts: counts are pairs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed<T> {
    too_many: bool,
    counts: Vec<(Label, T)>,
}

impl<T> From<Tallies<T>> for Packed<T> {
    fn from(tallies: Tallies<T>) -> Packed<T> {
        Packed { too_many: tallies.too_many, counts: tallies.counts.into_iter().collect() }
    }
}

impl<T: Tally> From<Packed<T>> for Tallies<T> {
    fn from(packed: Packed<T>) -> Tallies<T> {
        let mut out = Tallies::<T> { too_many: packed.too_many, ..Tallies::default() };
        for (label, more) in packed.counts {
            if let Some(tally) = out.entry(label) {
                tally.merge(&more);
            }
        }
        out
    }
}

impl Counts {
    /// Counts `label` as seen `count` times.
    pub fn add(&mut self, label: Label, count: u64) {
        if let Some(total) = self.entry(label) {
            total.merge(&count);
        }
    }
}

impl<T: Tally> Tallies<T> {
    /// What is kept of `label`; none once there are too many labels.
    pub fn entry(&mut self, label: Label) -> Option<&mut T> {
        if !self.too_many && !self.counts.contains_key(&label) {
            self.bytes += label.bytes();
            if self.counts.len() >= MOST_LABELS || self.bytes > MOST_BYTES {
                *self = Tallies { too_many: true, ..Tallies::default() };
            }
        }
        if self.too_many { None } else { Some(self.counts.entry(label).or_default()) }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Tallies<T>) {
        if other.too_many {
            *self = other.clone();
        }
        for (label, more) in &other.counts {
            if let Some(tally) = self.entry(label.clone()) {
                tally.merge(more);
            }
        }
    }

    /// Labels in ascending order and what is kept of each. An error if there were too many.
    pub fn labels(&self) -> Result<&BTreeMap<Label, T>, String> {
        if self.too_many {
            return Err(format!(
                "it holds more than {MOST_LABELS} different values, or more than {} MiB of them; group them first, \
                 or leave the column out",
                MOST_BYTES >> 20
            ));
        }
        Ok(&self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_in_any_order() {
        let part = |from: i64, to: i64| {
            let mut out = Counts::default();
            (from..to).for_each(|i| out.add(Label::Long(i), 1));
            out
        };
        let most = MOST_LABELS as i64;
        assert_eq!(part(0, most).labels().unwrap().len(), MOST_LABELS);
        let (mut a, mut b) = (part(0, most), part(most, most + 1));
        a.merge(&part(most, most + 1));
        b.merge(&part(0, most));
        assert_eq!(a, b);
        assert!(a.labels().unwrap_err().contains("100000"));
        a.merge(&part(0, 2));
        assert_eq!(a, b);
    }

    #[test]
    fn text_is_bounded() {
        let mut counts = Counts::default();
        for i in 0..17 {
            counts.add(Label::Text(format!("{i}{}", "x".repeat(1 << 20))), 1);
        }
        assert!(counts.labels().is_err());
    }

    #[test]
    fn json_comes_back() {
        for labels in [
            vec![Label::Bool(false), Label::Bool(true)],
            vec![Label::Long(-3), Label::Long(i64::MAX)],
            vec![Label::Text("é".into()), Label::Text("10".into())],
        ] {
            let mut counts = Counts::default();
            labels.into_iter().for_each(|l| counts.add(l, 2));
            let text = serde_json::to_string(&counts).unwrap();
            assert_eq!(serde_json::from_str::<Counts>(&text).unwrap(), counts, "{text}");
        }
    }

    #[test]
    fn blank_text_is_missing() {
        let column = Column::strings([Some("a"), Some(" "), Some(""), None]);
        let labels: Vec<_> = (0..5).map(|row| Label::at(&column, row)).collect();
        assert_eq!(labels, [Some(Label::Text("a".into())), None, None, None, None]);
    }
}
