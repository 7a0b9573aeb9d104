//! What stands at each place of texts that all have one length: the form of ids and codes, however many there are.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::mask::Class;

/// Longer texts have no form that is kept.
const MOST: usize = 64;

/// The classes of characters at each place; nothing more once texts differ in length or are longer than 64 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// No text yet.
    #[default]
    None,
    /// The places, in order.
    Fixed(Vec<Place>),
    /// There is no form.
    Free,
}

/// What was seen at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    digit: bool,
    upper: bool,
    lower: bool,
    /// A sign or a blank, where it is always the same one.
    sign: Option<char>,
    /// A letter without case, or different signs.
    other: bool,
}

impl Place {
    fn of(c: char) -> Place {
        let mut place = Place::default();
        match Class::of(c) {
            Class::Digit => place.digit = true,
            Class::Upper if c.is_ascii() => place.upper = true,
            Class::Lower if c.is_ascii() => place.lower = true,
            Class::Sign(_) | Class::Blank if !c.is_control() => place.sign = Some(c),
            _ => place.other = true,
        }
        place
    }

    fn merge(&mut self, theirs: &Place) {
        self.other |= theirs.other;
        match (self.sign, theirs.sign) {
            (Some(a), Some(b)) if a != b => (self.sign, self.other) = (None, true),
            (mine, sign) => self.sign = mine.or(sign),
        }
        // Which of two signs came first must not be seen.
        if self.other {
            self.sign = None;
        }
        self.digit |= theirs.digit;
        self.upper |= theirs.upper;
        self.lower |= theirs.lower;
    }

    /// As a regular expression of one character.
    fn regex(&self) -> Option<String> {
        let class = [(self.digit, "0-9"), (self.upper, "A-Z"), (self.lower, "a-z")];
        let class: String = class.iter().filter(|(has, _)| *has).map(|(_, range)| *range).collect();
        match (self.other, self.sign) {
            (true, _) => None,
            (false, None) => Some(format!("[{class}]")),
            (false, Some(sign)) if class.is_empty() => Some(regex_sign(sign)),
            (false, Some(sign)) => Some(format!("[{class}{}]", regex_sign(sign))),
        }
    }
}

/// A sign that stands for itself in a regular expression, also within brackets.
pub fn regex_sign(sign: char) -> String {
    match "\\.+*?()|[]{}^$-&~#".contains(sign) {
        true => format!("\\{sign}"),
        false => sign.to_string(),
    }
}

impl Positions {
    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        if matches!(self, Positions::Free) {
            return;
        }
        let places: Vec<Place> = text.chars().take(MOST + 1).map(Place::of).collect();
        let theirs = match places.len() <= MOST {
            true => Positions::Fixed(places),
            false => Positions::Free,
        };
        self.merge(&theirs);
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Positions) {
        match (&mut *self, other) {
            (_, Positions::None) | (Positions::Free, _) => {}
            (Positions::None, _) => *self = other.clone(),
            (Positions::Fixed(mine), Positions::Fixed(theirs)) if mine.len() == theirs.len() => {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
            }
            _ => *self = Positions::Free,
        }
    }

    /// A regular expression that every text matches as a whole; none if there is no form.
    pub fn regex(&self) -> Option<String> {
        let Positions::Fixed(places) = self else { return None };
        let mut runs: Vec<(String, usize)> = Vec::new();
        for place in places {
            let class = place.regex()?;
            match runs.last_mut().filter(|(last, _)| *last == class) {
                Some((_, length)) => *length += 1,
                None => runs.push((class, 1)),
            }
        }
        let mut out = String::new();
        for (class, length) in runs {
            out += &class;
            if length > 1 {
                // Writing to a text cannot fail.
                let _ = write!(out, "{{{length}}}");
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Positions {
        let mut positions = Positions::default();
        texts.iter().for_each(|text| positions.add(text));
        positions
    }

    #[test]
    fn forms() {
        for (texts, expected) in [
            (&["AB-12", "CD-99"][..], Some("[A-Z]{2}\\-[0-9]{2}")),
            (&["a1f0", "00ff", "9c9c"][..], Some("[0-9a-z]{4}")),
            (&["x.y", "x y"][..], None),
            (&["ab", "abc"][..], None),
            (&["é", "e"][..], None),
            (&[""][..], None),
            (&[][..], None),
        ] {
            assert_eq!(of(texts).regex().as_deref(), expected, "{texts:?}");
        }
        assert_eq!(of(&[&"a".repeat(65)]), Positions::Free);
    }

    proptest::proptest! {
        #[test]
        fn in_any_order_and_every_text_matches(
            texts in proptest::collection::vec("[a-bA0-1 .\\-_\\]é]{3}", 0..6), cut in 0usize..6,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (left, right) = texts.split_at(cut.min(texts.len()));
            let mut merged = of(right);
            merged.merge(&of(left));
            assert_eq!(merged, of(&texts));
            if let Some(regex) = merged.regex() {
                let regex = regex::Regex::new(&format!("^(?:{regex})$")).unwrap();
                assert!(texts.iter().all(|text| regex.is_match(text)), "{regex} {texts:?}");
            }
        }
    }
}
