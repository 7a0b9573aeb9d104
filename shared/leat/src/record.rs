//! What stays with an event from its first byte to its last: where it came from, who it is, and what was found.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A sequence number of a shard: a decimal number of up to about 56 digits, compared as a number.
#[derive(Clone)]
pub struct Sequence(Digits);

/// A text that is stored in place, as nearly all sequence numbers are, so that rows are made without an allocation.
#[derive(Clone)]
enum Digits {
    Short { len: u8, bytes: [u8; Digits::SHORT] },
    Long(Box<str>),
}

impl Digits {
    /// The most bytes that are stored in place. AWS's numbers have 56 digits.
    const SHORT: usize = 62;

    fn new(text: &str) -> Self {
        let mut bytes = [0; Digits::SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Digits::Short { len, bytes }
            }
            _ => Digits::Long(text.into()),
        }
    }

    fn text(&self) -> &str {
        match self {
            // Only a whole `str` is ever stored.
            Digits::Short { len, bytes } => {
                let bytes = bytes.get(..usize::from(*len)).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
            Digits::Long(text) => text,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Digits::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Digits::Long(text) => text.as_bytes(),
        }
    }
}

impl Sequence {
    /// Leading zeros are taken off, so that equal numbers are equal texts. Other characters are kept: what is no
    /// number still has a place, after all numbers of fewer characters.
    pub fn new(text: &str) -> Self {
        Sequence(Digits::new(text.trim_start_matches('0')))
    }

    /// The digits; `0` for zero.
    pub fn as_str(&self) -> &str {
        match self.0.text() {
            "" => "0",
            text => text,
        }
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Sequence::new("")
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sequence").field(&self.0.text()).finish()
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
}

impl Eq for Sequence {}

impl std::hash::Hash for Sequence {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.bytes().hash(state);
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text())
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Sequence(Digits::new(&String::deserialize(deserializer)?)))
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, another) = (self.0.bytes(), other.0.bytes());
        (one.len(), one).cmp(&(another.len(), another))
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
    /// The hash of the ruleset that judged: all rows of a batch share it.
    #[serde(serialize_with = "write_shared", deserialize_with = "read_shared")]
    pub rules: Arc<str>,
    /// The rules that the row failed, as text; empty for a good row. Those that halt a run stand first.
    pub failed: Vec<String>,
    /// The rules that it failed and that only warn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned: Vec<String>,
}

fn write_shared<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn read_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Arc::from)
}

/// Which fields of a row are protected already, and how, by name. Rows that say the same share it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "BTreeMap<String, Protected>")]
pub struct ProtectedFields(Option<Arc<BTreeMap<String, Protected>>>);

impl ProtectedFields {
    /// Adds the field named `field`.
    pub fn insert(&mut self, field: String, protected: Protected) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(field, protected);
    }

    /// True if both are one and the same in memory: what holds of one holds of the other.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (one, another) => one.is_none() && another.is_none(),
        }
    }
}

impl std::ops::Deref for ProtectedFields {
    type Target = BTreeMap<String, Protected>;

    fn deref(&self) -> &Self::Target {
        static NONE: BTreeMap<String, Protected> = BTreeMap::new();
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl PartialEq for ProtectedFields {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ProtectedFields {}

impl From<BTreeMap<String, Protected>> for ProtectedFields {
    fn from(fields: BTreeMap<String, Protected>) -> Self {
        ProtectedFields((!fields.is_empty()).then(|| Arc::new(fields)))
    }
}

impl Serialize for ProtectedFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl FromIterator<(String, Protected)> for ProtectedFields {
    fn from_iter<I: IntoIterator<Item = (String, Protected)>>(fields: I) -> Self {
        fields.into_iter().collect::<BTreeMap<_, _>>().into()
    }
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
    pub protected: ProtectedFields,
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
    fn a_long_text_is_a_sequence_too() {
        let texts: Vec<String> = (1..70).map(|n| "é9"[..2].repeat(n)).collect();
        for text in &texts {
            assert_eq!(Sequence::new(text).as_str(), text);
            let json = serde_json::to_string(&Sequence::new(text)).unwrap();
            assert_eq!(serde_json::from_str::<Sequence>(&json).unwrap(), Sequence::new(text));
        }
        assert!(texts.windows(2).all(|w| Sequence::new(&w[0]) < Sequence::new(&w[1])));
        assert_eq!(format!("{:?}", Sequence::new("0495")), "Sequence(\"495\")");
    }

    #[test]
    fn protected_fields_are_shared_until_they_differ() {
        let protected = Protected { method: "mask".into(), key: None };
        let mut one = ProtectedFields::default();
        assert!(one.is_empty() && one.is_shared_with(&ProtectedFields::default()));
        one.insert("a".into(), protected.clone());
        let mut other = one.clone();
        assert!(one.is_shared_with(&other));
        other.insert("b".into(), protected.clone());
        assert_eq!((one.len(), other.len()), (1, 2));
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(json, r#"{"a":{"method":"mask"}}"#);
        assert_eq!(serde_json::from_str::<ProtectedFields>(&json).unwrap(), one);
    }

    #[test]
    fn buckets() {
        assert_eq!(bucket_of("c-1", 0), 0);
        assert!((0..100).all(|i| bucket_of(&format!("c-{i}"), 7) < 7));
    }
}
