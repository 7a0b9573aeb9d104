//! The pattern of a text: its characters put into classes, with runs of one class counted.
//!
//! A digit is `9`, a capital letter `A`, a small one `a`, any other letter `x`, a blank a blank; all else stands for itself.
//! `AB-1234` has the pattern `A{2}-9{4}`; a brace always has its count, or it would look like one. Classes are Unicode's for letters, ASCII's for digits. A pattern of more than 40
//! runs is cut, and ends in `…`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::positions::regex_sign;

/// So many patterns of a column are kept.
const MOST: usize = 1000;
/// So many runs of a pattern are kept.
const MOST_RUNS: usize = 40;

/// A form has at most so many parts.
const MOST_PARTS: usize = 16;

/// A class of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// `0` to `9`.
    Digit,
    /// A capital letter.
    Upper,
    /// A small letter.
    Lower,
    /// Any other letter or digit.
    Letter,
    /// A blank of any kind.
    Blank,
    /// A character that stands for itself.
    Sign(char),
}

/// So many characters of one class, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The class.
    pub class: Class,
    /// How many.
    pub length: usize,
}

impl Class {
    /// The class of `c`.
    pub fn of(c: char) -> Class {
        match c {
            '0'..='9' => Class::Digit,
            c if c.is_whitespace() => Class::Blank,
            c if c.is_uppercase() => Class::Upper,
            c if c.is_lowercase() => Class::Lower,
            c if c.is_alphanumeric() => Class::Letter,
            c => Class::Sign(c),
        }
    }

    fn sign(self) -> char {
        match self {
            Class::Digit => '9',
            Class::Upper => 'A',
            Class::Lower => 'a',
            Class::Letter => 'x',
            Class::Blank => ' ',
            Class::Sign(c) => c,
        }
    }
}

/// The runs of `text`; false if there were more than are kept.
pub fn runs(text: &str) -> (Vec<Run>, bool) {
    let mut runs: Vec<Run> = Vec::new();
    for c in text.chars() {
        let class = Class::of(c);
        let full = runs.len() == MOST_RUNS;
        match runs.last_mut() {
            Some(last) if last.class == class => last.length += 1,
            _ if full => return (runs, false),
            _ => runs.push(Run { class, length: 1 }),
        }
    }
    (runs, true)
}

/// The pattern of `text`.
pub fn mask(text: &str) -> String {
    let (runs, whole) = runs(text);
    let mut out = String::new();
    for Run { class, length } in runs {
        out.push(class.sign());
        if length > 1 || class == Class::Sign('{') {
            // Writing to a text cannot fail.
            let _ = write!(out, "{{{length}}}");
        }
    }
    if !whole {
        out.push('…');
    }
    out
}

/// A regular expression that all texts of these patterns match as a whole, if the patterns differ in the lengths of their
/// runs alone, and have a digit or a sign: words have no form. Letters are those of ASCII.
pub fn regex_of_masks<'m>(masks: impl Iterator<Item = &'m str>) -> Option<String> {
    let mut form: Option<Vec<(char, Option<usize>)>> = None;
    for mask in masks {
        let runs = parsed(mask)?;
        match &mut form {
            None => form = Some(runs.into_iter().map(|(c, length)| (c, Some(length))).collect()),
            Some(form) => {
                if form.len() != runs.len() {
                    return None;
                }
                for ((class, length), (c, found)) in form.iter_mut().zip(runs) {
                    if *class != c {
                        return None;
                    }
                    *length = length.filter(|length| *length == found);
                }
            }
        }
    }
    let form = form?;
    let telling = |(c, _): &(char, Option<usize>)| !matches!(c, 'A' | 'a' | ' ');
    if form.len() > MOST_PARTS || !form.iter().any(telling) {
        return None;
    }
    let mut out = String::new();
    for (class, length) in form {
        match class {
            '9' => out.push_str("[0-9]"),
            'A' => out.push_str("[A-Z]"),
            'a' => out.push_str("[a-z]"),
            sign => out.push_str(&regex_sign(sign)),
        }
        match length {
            None => out.push('+'),
            Some(1) => {}
            Some(length) => out.push_str(&format!("{{{length}}}")),
        }
    }
    Some(out)
}

/// The classes and lengths of a pattern; none if it was cut, or could be read in two ways.
fn parsed(mask: &str) -> Option<Vec<(char, usize)>> {
    let (mut rest, mut runs) = (mask, Vec::new());
    while let Some(c) = rest.chars().next() {
        if matches!(c, '…' | 'x') {
            return None;
        }
        rest = &rest[c.len_utf8()..];
        let counted = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let counted = counted.and_then(|(digits, rest)| Some((digits.parse().ok()?, rest)));
        let length = match counted {
            Some((length, after)) => {
                rest = after;
                length
            }
            None => 1,
        };
        runs.push((c, length));
    }
    Some(runs)
}

/// How often each pattern was seen, or the knowledge that there are too many: which it is depends on the texts alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    too_many: bool,
    /// By pattern: a text that has it, with classes for characters, and how often it was seen.
    counts: BTreeMap<String, u64>,
}

impl Masks {
    /// Counts the pattern of `text`.
    pub fn add(&mut self, text: &str) {
        if !self.too_many {
            self.put(mask(text), 1);
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Masks) {
        if other.too_many {
            *self = Masks { too_many: true, ..Masks::default() };
        }
        if !self.too_many {
            other.counts.iter().for_each(|(mask, count)| self.put(mask.clone(), *count));
        }
    }

    fn put(&mut self, mask: String, count: u64) {
        if self.too_many {
            return;
        }
        let slot = self.counts.entry(mask).or_default();
        *slot = slot.saturating_add(count);
        if self.counts.len() > MOST {
            *self = Masks { too_many: true, ..Masks::default() };
        }
    }

    /// All patterns, the most frequent first; none if there are too many.
    pub fn all(&self) -> Option<Vec<(&str, u64)>> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(m, n)| (m.as_str(), *n)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        (!self.too_many).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("", ""),
            ("AB-1234", "A{2}-9{4}"),
            ("Ann Lee", "Aa{2} Aa{2}"),
            ("a@b.co", "a@a.a{2}"),
            ("日本", "x{2}"),
            ("a{2}", "a{{1}9}"),
            ("Éa\u{a0}٣", "Aa x"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
        assert_eq!(mask(&"a1".repeat(21)), format!("{}…", "a9".repeat(20)));
    }

    #[test]
    fn forms() {
        let form = |texts: &[&str]| {
            let masks: Vec<String> = texts.iter().map(|text| mask(text)).collect();
            regex_of_masks(masks.iter().map(String::as_str))
        };
        for (texts, expected) in [
            (&["tx-1", "tx-22"][..], Some("[a-z]{2}\\-[0-9]+")),
            (&["1.2.3.4", "10.0.0.12"][..], Some("[0-9]+\\.[0-9]\\.[0-9]\\.[0-9]+")),
            (&["word", "words"][..], None),
            (&["Ann Lee", "Bo Li"][..], None),
            (&["a1", "1a"][..], None),
            (&["a{2}1", "b{34}1"][..], Some("[a-z]\\{[0-9]+\\}[0-9]")),
            (&["日1"][..], None),
            (&[][..], None),
        ] {
            assert_eq!(form(texts).as_deref(), expected, "{texts:?}");
        }
    }

    #[test]
    fn too_many_in_any_order() {
        let part = |range: std::ops::Range<usize>| {
            let mut masks = Masks::default();
            range.for_each(|i| masks.add(&"a".repeat(i)));
            masks
        };
        assert!(part(0..1000).all().is_some());
        let whole = part(0..1001);
        let (mut a, b) = (part(0..600), part(500..1001));
        a.merge(&b);
        assert_eq!((whole.all(), &a), (None, &whole));
        a.merge(&part(0..3));
        assert_eq!(a, whole);
    }
}
