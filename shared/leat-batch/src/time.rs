//! A time as documents have it, RFC 3339, in microseconds here.

use leat::timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// As text.
pub fn serialize<S: Serializer>(time: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&timestamp::to_text(*time))
}

/// From text.
pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<i64, D::Error> {
    parse(&String::deserialize(from)?)
}

fn parse<E: Error>(text: &str) -> Result<i64, E> {
    timestamp::parse(text).ok_or_else(|| {
        E::custom(format!("`{text}` is no RFC 3339 time such as 2026-01-01T00:00:00Z"))
    })
}

/// A time that may be left out.
pub mod option {
    use serde::{Deserialize, Deserializer};

    /// From text; null is none.
    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<i64>, D::Error> {
        Option::<String>::deserialize(from)?.as_deref().map(super::parse).transpose()
    }
}
