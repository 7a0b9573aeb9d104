//! The texts of values, by the hash under which they are counted: all of them, or a sample by hash.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use serde::{Deserialize, Serialize};

use crate::quality::frequencies::Hashed;

/// So many texts are kept.
const MOST: usize = 1 << 16;
/// So many characters of a text are kept.
const MOST_CHARS: usize = 100;

/// The texts of values whose hash begins with `level` zero bits. The level follows from the set of values alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Labels {
    level: u32,
    texts: HashMap<u128, String, BuildHasherDefault<Hashed>>,
}

/// Hashes in hex, ascending, and texts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    level: u32,
    texts: Vec<(String, String)>,
}

impl From<Labels> for Packed {
    fn from(labels: Labels) -> Packed {
        let mut texts: Vec<(u128, String)> = labels.texts.into_iter().collect();
        texts.sort_unstable();
        let hex = |(hash, text)| (format!("{hash:032x}"), text);
        Packed { level: labels.level, texts: texts.into_iter().map(hex).collect() }
    }
}

impl TryFrom<Packed> for Labels {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Labels, Self::Error> {
        let mut labels = Labels { level: packed.level.min(128), ..Labels::default() };
        for (hash, text) in packed.texts {
            let hash =
                u128::from_str_radix(&hash, 16).map_err(|_| "a hash of a value is broken")?;
            labels.add(hash, || text);
        }
        Ok(labels)
    }
}

impl Labels {
    /// A sample of the texts that holds none.
    pub fn none() -> Self {
        Labels { level: 128, ..Labels::default() }
    }

    /// Keeps `text` for `hash`, if it is not there.
    #[inline]
    pub fn add(&mut self, hash: u128, text: impl FnOnce() -> String) {
        if hash.leading_zeros() < self.level || self.texts.contains_key(&hash) {
            return;
        }
        let mut text = text();
        if let Some((end, _)) = text.char_indices().nth(MOST_CHARS) {
            text.truncate(end);
        }
        self.texts.insert(hash, text);
        while self.texts.len() > MOST && self.level < 128 {
            self.raise(self.level + 1);
        }
    }

    /// Adds all that was added to `other`.
    pub fn merge(&mut self, other: &Labels) {
        self.raise(other.level);
        other.texts.iter().for_each(|(hash, text)| self.add(*hash, || text.clone()));
    }

    fn raise(&mut self, level: u32) {
        if level > self.level {
            self.level = level;
            self.texts.retain(|hash, _| hash.leading_zeros() >= level);
        }
    }

    /// True if no text was left out.
    pub fn are_all(&self) -> bool {
        self.level == 0
    }

    /// All texts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u128, &str)> {
        self.texts.iter().map(|(hash, text)| (*hash, text.as_str()))
    }
}
