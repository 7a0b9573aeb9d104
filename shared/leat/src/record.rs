//! What stays with an event from its first byte to its last: where it came from, who it is, and what was found.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A sequence number of a shard: a decimal number of up to about 56 digits, compared as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(Box<str>);

impl Sequence {
    /// Leading zeros are taken off, so that equal numbers are equal texts. Other characters are kept: what is no
    /// number still has a place, after all numbers of fewer characters.
    pub fn new(text: &str) -> Self {
        Sequence(text.trim_start_matches('0').into())
    }

    /// The digits; `0` for zero.
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "0" } else { &self.0 }
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &*self.0).cmp(&(other.0.len(), &*other.0))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A place within a shard, in the order in which a stream is read. A shard's *mark* is the last place applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The stream's number of the outer record.
    pub sequence: Sequence,
    /// The place of a user record within an aggregated (KPL) record; 0 in a plain one.
    pub sub: u64,
    /// The line within the user record, from 0. In a file: the line within the file.
    pub line: u64,
}

/// Where an event came from. They stay with its row to the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// The stream's name, or an object's URL.
    pub source: Arc<str>,
    /// The shard; empty for a file.
    pub shard: Arc<str>,
    /// The place within the shard or file.
    pub position: Position,
    /// When the service took the event in, in milliseconds since 1970 UTC. None where nobody said.
    pub arrival: Option<i64>,
}

/// An event's identity: 128 bits of its `role: id`, else of its coordinates.
pub type Identity = u128;

/// The identity of an event that has a `role: id`.
pub fn identity_of_id(id: &str) -> Identity {
    xxh3_128(id.as_bytes())
}

/// The identity of an event without a `role: id`: its coordinates but for the arrival.
pub fn identity_of(coordinates: &Coordinates) -> Identity {
    let Position { sequence, sub, line } = &coordinates.position;
    let text = format!(
        "{}\u{0}{}\u{0}{}\u{0}{sub}\u{0}{line}",
        coordinates.source,
        coordinates.shard,
        sequence.as_str()
    );
    xxh3_128(text.as_bytes())
}

/// The entity's bucket: XXH3 (64 bits, seed 0) of its UTF-8 text, modulo `buckets`; 0 of no buckets.
pub fn bucket_of(entity: &str, buckets: u32) -> u32 {
    u32::try_from(xxh3_64(entity.as_bytes()) % u64::from(buckets.max(1))).unwrap_or_default()
}

/// How a field of a landed line was protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// The method's word: `drop`, `mask`, `tokenize`.
    pub method: String,
    /// The version of the key, where the method has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
}

/// What the row rules said of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The hash of the ruleset that judged.
    pub rules: String,
    /// The rules that the row failed, as text; empty for a good row. Those that halt a run stand first.
    pub failed: Vec<String>,
    /// The rules that it failed and that only warn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned: Vec<String>,
}

/// What a batch knows of a row beside its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it came from.
    pub coordinates: Coordinates,
    /// Who it is.
    pub identity: Identity,
    /// What the rules said; none before the check, and where the recipe has no ruleset.
    pub verdict: Option<Verdict>,
    /// Which fields are protected already, and how.
    pub protected: BTreeMap<String, Protected>,
    /// Fields that the schema does not name, where it says `keep`: a JSON object's inside, `"a":1,"b":[]`, each
    /// value as it came.
    pub unknown: Option<Box<str>>,
}

/// Why an event cannot go on. `rule` is short and stable, `message` is for people and holds no value of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// `decode`, `type`, `required`, `ahead`, `oversize`, `kpl`, `gzip`, …, or a row rule's DQDL text.
    pub rule: String,
    /// What is wrong, where (field, byte), and what to do.
    pub message: String,
}

/// An event that cannot go on: it goes to quarantine, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Where it came from.
    pub coordinates: Coordinates,
    /// Why it cannot go on.
    pub reason: Reason,
    /// The line as it came. It can hold personal data: it goes to quarantine and nowhere else.
    pub payload: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_numbers() {
        let mut numbers: Vec<_> =
            ["10", "9", "", "007", "49590338271490256608559692538361571095921575989136588898"]
                .map(Sequence::new)
                .to_vec();
        numbers.sort();
        let texts: Vec<_> = numbers.iter().map(Sequence::as_str).collect();
        assert_eq!(texts[..4], ["0", "7", "9", "10"]);
        assert_eq!(Sequence::new("00"), Sequence::new("0"));
    }

    #[test]
    fn buckets() {
        assert_eq!(bucket_of("c-1", 0), 0);
        assert!((0..100).all(|i| bucket_of(&format!("c-{i}"), 7) < 7));
    }
}
