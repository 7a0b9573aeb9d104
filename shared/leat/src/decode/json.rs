//! One line of JSON → one row.
//!
//! Strict: RFC 8259, UTF-8, one object and nothing after it, no lone surrogate, numbers exact. The last of equal names
//! wins. Values of known fields are read straight into their types; others are kept as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decoder::{Decoder, Found};
use super::value::Raw;
use super::{Batch, reason};
use crate::record::{Coordinates, Reason};
use crate::tag::{self, Tag};

/// Decodes a line that is not blank. Where the line itself vouches for its coordinates, they are put in place of
/// those given.
pub(super) fn line(
    decoder: &Decoder,
    coordinates: &mut Coordinates,
    line: &[u8],
    landed: bool,
    batch: &mut Batch,
) -> Result<(), Reason> {
    let limits = &decoder.limits;
    let line = text(line, if landed { limits.landed_line } else { limits.line })?;
    let mut members = members(decoder, line)?;
    let (mut verdict, mut protected) = Default::default();
    match members.tag.take() {
        Some(value) if landed => {
            let tag = Tag::open(line, value.get(), decoder.keys.as_ref())?;
            *coordinates = tag.coordinates(batch.rows.last().map(|row| &row.coordinates));
            verdict = tag.verdict.map(Cow::into_owned);
            protected = tag.protected.into_owned();
        }
        // Not ours: an ordinary unknown field, under a name that is never ours.
        Some(value) => members.unknown.push((tag::UNTRUSTED.into(), value)),
        None => {}
    }
    let unknown = members.unknown.into_iter().map(|(name, value)| (name, value.get().into()));
    let unknown = decoder.unknown(unknown.collect())?;
    let coordinates = coordinates.clone();
    decoder.push(Found { coordinates, values: members.values, unknown, verdict, protected }, batch)
}

/// The line as text that begins an object.
fn text(line: &[u8], limit: usize) -> Result<&str, Reason> {
    if line.len() > limit {
        return Err(reason("oversize", format!("the line is longer than {limit} bytes")));
    }
    let text = std::str::from_utf8(line)
        .map_err(|e| reason("decode", format!("not UTF-8 at byte {}", e.valid_up_to())))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(reason("decode", "not a JSON object: a line must begin with `{`"));
    }
    Ok(text)
}

/// The members of a line's object.
struct Members<'a> {
    /// By slot.
    values: Vec<Raw<'a>>,
    unknown: Vec<(Cow<'a, str>, &'a RawValue)>,
    tag: Option<&'a RawValue>,
    count: usize,
}

fn members<'a>(decoder: &Decoder, line: &'a str) -> Result<Members<'a>, Reason> {
    let mut json = serde_json::Deserializer::from_str(line);
    let members = json
        .deserialize_map(Line(decoder))
        .and_then(|members| json.end().map(|()| members))
        // Syntax errors are fixed words and a column; no other error is made here.
        .map_err(|e| reason("decode", format!("not JSON: {e}")))?;
    if members.count > decoder.limits.fields {
        let limit = decoder.limits.fields;
        return Err(reason("oversize", format!("the event has more than {limit} fields")));
    }
    for value in members.unknown.iter().map(|(_, value)| value).chain(&members.tag) {
        strict(value.get(), decoder.limits.depth)
            .map_err(|what| reason("decode", format!("a field beside the schema's {what}")))?;
    }
    Ok(members)
}

/// What serde_json does not check in a value that it only skips: depth, lone surrogates, and line breaks, which would
/// cut the line in two where it is written again.
fn strict(value: &str, depth: usize) -> Result<(), &'static str> {
    let bytes = value.as_bytes();
    let (mut open, mut at, mut in_text) = (1, 0, false); // the event itself is one level
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' => at += escaped(&bytes[at..])?,
            b'\n' => return Err("holds a line break"),
            b'{' | b'[' if !in_text => {
                open += 1;
                if open > depth {
                    return Err("is nested too deeply");
                }
            }
            b'}' | b']' if !in_text => open -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// How many bytes an escape has after its backslash.
fn escaped(rest: &[u8]) -> Result<usize, &'static str> {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 5)?.strip_prefix(b"u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(0) {
        Some(0xD800..=0xDBFF)
            if rest.get(5) == Some(&b'\\') && matches!(unit(6), Some(0xDC00..=0xDFFF)) =>
        {
            Ok(11)
        }
        Some(0xD800..=0xDFFF) => Err("holds a lone surrogate"),
        Some(_) => Ok(5),
        None => Ok(1),
    }
}

/// Visits the object of a line.
struct Line<'d>(&'d Decoder);

impl<'de> Visitor<'de> for Line<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members {
            values: std::iter::repeat_with(|| Raw::Missing).take(self.0.fields.len()).collect(),
            unknown: Vec::new(),
            tag: None,
            count: 0,
        };
        let mut near = 0;
        while let Some(name) = map.next_key_seed(Name { decoder: self.0, near })? {
            members.count += 1;
            match name {
                Named::Field(slot) => {
                    members.values[slot] = map.next_value_seed(AnyValue)?;
                    near = slot + 1;
                }
                Named::Tag => members.tag = Some(map.next_value()?),
                Named::Unknown(name) => members.unknown.push((name, map.next_value()?)),
            }
        }
        Ok(members)
    }
}

/// A member's name.
enum Named<'a> {
    Field(usize),
    Tag,
    Unknown(Cow<'a, str>),
}

struct Name<'d> {
    decoder: &'d Decoder,
    near: usize,
}

impl Name<'_> {
    fn known<'a>(&self, name: &str) -> Option<Named<'a>> {
        if name == tag::NAME {
            return Some(Named::Tag);
        }
        self.decoder.slot(name, self.near).map(Named::Field)
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Named<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, name: D) -> Result<Named<'de>, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Named<'de>, E> {
        Ok(self.known(name).unwrap_or(Named::Unknown(name.into())))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Named<'de>, E> {
        Ok(self.known(name).unwrap_or_else(|| Named::Unknown(name.to_string().into())))
    }
}

/// Any value of a known field.
struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Raw<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, value: D) -> Result<Raw<'de>, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw<'de>, E> {
        Ok(Raw::Missing)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw<'de>, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw<'de>, E> {
        Ok(Raw::Long(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw<'de>, E> {
        Ok(i64::try_from(value).map_or(Raw::Big(value), Raw::Long))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw<'de>, E> {
        Ok(Raw::Double(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(text.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(text.to_string().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Raw<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Raw::Nested)
    }
}
