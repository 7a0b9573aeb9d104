//! How often each label was seen, within bounds.

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

/// Counts by label, or the knowledge that there are too many: which it is depends on the labels alone, never on the
/// order of adding and merging.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
pub struct Counts {
    counts: BTreeMap<Label, u64>,
    bytes: usize,
    too_many: bool,
}

/// JSON has no keys but texts: counts are pairs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    too_many: bool,
    counts: Vec<(Label, u64)>,
}

impl From<Counts> for Packed {
    fn from(counts: Counts) -> Packed {
        Packed { too_many: counts.too_many, counts: counts.counts.into_iter().collect() }
    }
}

impl From<Packed> for Counts {
    fn from(packed: Packed) -> Counts {
        let mut out = Counts { too_many: packed.too_many, ..Counts::default() };
        packed.counts.into_iter().for_each(|(label, count)| out.add(label, count));
        out
    }
}

impl Counts {
    /// Counts `label` as seen `count` times.
    pub fn add(&mut self, label: Label, count: u64) {
        if self.too_many {
            return;
        }
        if let Some(total) = self.counts.get_mut(&label) {
            *total = total.saturating_add(count);
            return;
        }
        self.bytes += label.bytes();
        self.counts.insert(label, count);
        if self.counts.len() > MOST_LABELS || self.bytes > MOST_BYTES {
            *self = Counts { too_many: true, ..Counts::default() };
        }
    }

    /// Counts all that was counted in `other`.
    pub fn merge(&mut self, other: &Counts) {
        if other.too_many {
            *self = other.clone();
        }
        other.counts.iter().for_each(|(label, &count)| self.add(label.clone(), count));
    }

    /// Labels in ascending order and their counts. An error if there were too many.
    pub fn labels(&self) -> Result<&BTreeMap<Label, u64>, String> {
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
