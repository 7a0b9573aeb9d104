//! What is known of labels, found by a column's own bytes: no text is copied to be looked up.

use xxhash_rust::xxh3::xxh3_64;

use super::columnwise::Key;
use super::counts::Label;
use crate::column::{Column, SHORT_TEXT, Type, Values, short_text};

/// Labels of one kind, each with what is known of it.
#[derive(Debug)]
pub(super) struct Lookup<T> {
    kind: Type,
    entries: Vec<(Box<[u8]>, T)>,
    /// Where entries are, by hash: at least as many are free as are not, and their number is a power of two.
    slots: Vec<Slot>,
}

/// The [`word`] of a label, and its place among the entries, from 1; 0 where none is.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    word: u128,
    place: u32,
}

/// The bytes of a label as a number: a short one's are all in it, and no other has it; a longer one's are hashed.
#[inline]
fn word(bytes: &[u8]) -> u128 {
    short_text(bytes).unwrap_or_else(|| u128::from(xxh3_64(bytes)) | LONG)
}

/// What a number of [`short_text`] never has.
const LONG: u128 = u128::MAX << 120;
const _: () = assert!(SHORT_TEXT < 0xff);

/// What a row's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// Missing.
    Missing,
    /// Not among the labels.
    Unseen,
    /// A label, of which this is known.
    Known(T),
}

impl<T> Lookup<T> {
    /// Of `labels`, which must be of `kind` and each there once; at most [`MOST_LABELS`](super::counts::MOST_LABELS)
    /// of them. An error says what is wrong with them, where they are called `what`.
    pub fn new(
        kind: Type,
        labels: impl IntoIterator<Item = (Label, T)>,
        what: &str,
    ) -> Result<Self, String> {
        let mut lookup = Lookup { kind, entries: Vec::new(), slots: vec![Slot::default(); 4] };
        for (label, known) in labels {
            if label.kind() != kind {
                return Err(format!("its {what} `{label}` is no {kind}"));
            }
            let bytes: Box<[u8]> = match &label {
                Label::Text(text) => text.as_bytes().into(),
                Label::Long(x) => x.to_le_bytes().into(),
                Label::Bool(x) => [u8::from(*x)].into(),
            };
            if lookup.get(word(&bytes), &bytes).is_some() {
                return Err(format!("its {what} `{label}` is there twice"));
            }
            lookup.entries.push((bytes, known));
            if lookup.entries.len() * 2 > lookup.slots.len() {
                lookup.slots = vec![Slot::default(); lookup.slots.len() * 2];
                (0..lookup.entries.len()).for_each(|entry| lookup.place(entry));
            } else {
                lookup.place(lookup.entries.len() - 1);
            }
        }
        Ok(lookup)
    }

    /// What is known of the value at `row` of a column of the labels' kind.
    #[inline]
    pub fn find(&self, column: &Column, row: usize) -> Found<&T> {
        debug_assert_eq!(column.kind(), self.kind);
        if let (Values::String(texts), true) = (column.values(), column.is_valid(row))
            && let Some(word) = texts.short(row)
            && let Some(known) = self.get(word, &[])
        {
            return if Key::at(column, row).is_some() {
                Found::Known(known)
            } else {
                Found::Missing
            };
        }
        match Key::at(column, row) {
            None => Found::Missing,
            Some(key) => {
                self.get(word(key.bytes()), key.bytes()).map_or(Found::Unseen, Found::Known)
            }
        }
    }

    /// What is known of the label of this `word`; `bytes` are read of a long one only.
    #[inline]
    fn get(&self, word: u128, bytes: &[u8]) -> Option<&T> {
        let mut at = self.first(word);
        loop {
            let slot = self.slots.get(at)?;
            let (label, known) = self.entries.get((slot.place as usize).checked_sub(1)?)?;
            if slot.word == word && (word < LONG || **label == *bytes) {
                return Some(known);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn place(&mut self, entry: usize) {
        let word = word(&self.entries[entry].0);
        let mut at = self.first(word);
        while self.slots[at].place != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot { word, place: u32::try_from(entry + 1).unwrap_or(u32::MAX) };
    }

    /// Where the label of this `word` is looked for first.
    #[inline]
    fn first(&self, word: u128) -> usize {
        let (low, high) = (word as u64, (word >> 64) as u64);
        let mixed = u128::from(low ^ 0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(u128::from(high ^ 0xc2b2_ae3d_27d4_eb4f));
        (mixed as u64 ^ (mixed >> 64) as u64) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(labels: &[&str]) -> Result<Lookup<usize>, String> {
        let labels = labels.iter().enumerate().map(|(i, text)| (Label::Text((*text).into()), i));
        Lookup::new(Type::String, labels, "label")
    }

    #[test]
    fn each_label_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 5, 1000] {
            let long = "x".repeat(if count % 2 == 0 { 0 } else { 14 });
            let names: Vec<String> = (0..count).map(|i| format!("m-{long}{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let lookup = texts(&names).unwrap();
            let column = Column::strings(names.iter().copied().map(Some));
            for row in 0..count {
                assert_eq!(lookup.find(&column, row), Found::Known(&row));
            }
            let others = Column::strings([Some("m"), Some("m-1000"), Some(" "), None]);
            let found: Vec<_> = (0..4).map(|row| lookup.find(&others, row)).collect();
            assert_eq!(found, [Found::Unseen, Found::Unseen, Found::Missing, Found::Missing]);
        }
    }

    #[test]
    fn other_kinds() {
        let longs = (-2..2).map(|i| (Label::Long(i), i));
        let lookup = Lookup::new(Type::Long, longs, "label").unwrap();
        let column = Column::longs([Some(-2), Some(2), None]);
        assert_eq!(lookup.find(&column, 0), Found::Known(&-2));
        assert_eq!(lookup.find(&column, 1), Found::Unseen);
        assert_eq!(lookup.find(&column, 2), Found::Missing);
    }

    #[test]
    fn wrong_labels() {
        assert!(texts(&["a", "b", "a"]).unwrap_err().contains("`a` is there twice"));
        let mixed = [(Label::Text("a".into()), 0), (Label::Long(1), 1)];
        assert!(
            Lookup::new(Type::String, mixed, "label").unwrap_err().contains("`1` is no string")
        );
    }
}
