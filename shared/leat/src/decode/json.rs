//! One line of JSON → one row.
//!
//! Strict: RFC 8259, UTF-8, one object and nothing after it, no lone surrogate, numbers exact. The last of equal names
//! wins. Values of known fields are read straight into their types; others are kept as they were written. A line can
//! also be a [`Sentinel`], which becomes no row.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decoder::{Decoder, Found};
use super::value::Raw;
use super::{Batch, reason};
use crate::record::{Coordinates, Reason};
use crate::sentinel::{self, Sentinel};
use crate::tag::{self, Tag};

/// Decodes a line that is not blank: into a row of `batch`, or into the sentinel that it is. Where the line itself
/// vouches for its coordinates, they are put in place of those given.
pub(super) fn line(
    decoder: &Decoder,
    coordinates: &mut Coordinates,
    line: &[u8],
    landed: bool,
    batch: &mut Batch,
) -> Result<Option<Sentinel>, Reason> {
    let limits = &decoder.limits;
    let line = text(line, if landed { limits.landed_line } else { limits.line })?;
    let mut members = members(decoder, line)?;
    let id = members.sentinel(landed);
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
    if let Some(id) = id {
        return Ok(Some(Sentinel { id, coordinates: coordinates.clone() }));
    }
    let unknown = members.unknown.into_iter().map(|(name, value)| (name, value.get().into()));
    let unknown = decoder.unknown(unknown.collect())?;
    let coordinates = coordinates.clone();
    let found = Found { coordinates, values: members.values, unknown, verdict, protected };
    decoder.push(found, batch).map(|()| None)
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

impl Members<'_> {
    /// The id of a sentinel, if there is no other member than its own, but for `_leat` where that is `trusted`.
    fn sentinel(&self, trusted: bool) -> Option<Box<str>> {
        let [(name, value)] = self.unknown.as_slice() else { return None };
        let count = 1 + usize::from(trusted && self.tag.is_some());
        if name.as_ref() != sentinel::NAME || self.count != count {
            return None;
        }
        let id: Cow<'_, str> = serde_json::from_str(value.get()).ok()?;
        sentinel::is_id(&id).then(|| id.into())
    }
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

#[cfg(test)]
mod tests {
    use crate::column::{Column, Value};
    use crate::decode::Limits;
    use crate::decode::fixture::{decoder, decoder_of, recipe, record};
    use crate::recipe::UnknownFields;
    use crate::record::{identity_of, identity_of_id};

    /// An event with these members after the required ones.
    fn event(members: &str) -> String {
        format!("{{\"id\":\"e\",\"who\":\"c\",\"at\":0{members}}}")
    }

    #[track_caller]
    fn check(members: &str, slot: usize, value: Value<'_>) {
        let (batch, rejects) = record(&decoder(), event(members).as_bytes());
        assert!(rejects.is_empty(), "{members}: {:?}", rejects[0].reason);
        assert_eq!(batch.columns[slot].get(0), value, "{members}");
    }

    #[track_caller]
    fn refused(line: &str, rule: &str) {
        let (batch, rejects) = record(&decoder(), line.as_bytes());
        assert!(batch.is_empty() && rejects.len() == 1, "{line}");
        assert_eq!(rejects[0].reason.rule, rule, "{line}: {}", rejects[0].reason.message);
        assert_eq!(rejects[0].payload, line.as_bytes());
        assert!(batch.columns.iter().all(Column::is_empty));
    }

    #[test]
    fn values() {
        const AMOUNT: usize = 3;
        const N: usize = 4;
        const PHONE: usize = 7;
        check(",\"amount\":1", AMOUNT, Value::Double(1.0));
        check(",\"amount\":-0.0", AMOUNT, Value::Double(0.0));
        check(",\"amount\":0.30000000000000004", AMOUNT, Value::Double(0.1 + 0.2));
        check(",\"amount\":9007199254740993", AMOUNT, Value::Double(9007199254740992.0));
        check(
            ",\"amount\":123456789012345678901234567890",
            AMOUNT,
            Value::Double(1.2345678901234568e29),
        );
        check(",\"amount\":null", AMOUNT, Value::Null);
        check("", AMOUNT, Value::Null);
        check(",\"amount\":1,\"amount\":2", AMOUNT, Value::Double(2.0)); // the last one wins
        check(",\"amount\":1,\"amount\":null", AMOUNT, Value::Null);
        check(",\"amount\":[1],\"amount\":2", AMOUNT, Value::Double(2.0));
        check(",\"\\u0061mount\":7", AMOUNT, Value::Double(7.0)); // an escaped name
        check(",\"n\":3.0", N, Value::Long(3));
        check(",\"n\":-9223372036854775808", N, Value::Long(i64::MIN));
        check(",\"ok\":true", 5, Value::Bool(true));
        check(",\"card\":4111111111111111", 6, Value::String("4111111111111111")); // text to be
        check(",\"card\":1e3", 6, Value::String("1000"));
        check(",\"phone\":\"\"", PHONE, Value::String(""));
        check(",\"phone\":\"\\ud83d\\ude00\\u0000\"", PHONE, Value::String("\u{1F600}\0"));
        check(",\"at\":\"2026-01-01T00:00:00.5Z\"", 2, Value::Timestamp(1_767_225_600_500_000));
        check(" , \"n\" : 1 ", N, Value::Long(1));
    }

    #[test]
    fn refusals() {
        for (members, rule) in [
            (",\"n\":3.5", "type"),
            (",\"n\":9223372036854775808", "type"),
            (",\"n\":\"3\"", "type"),
            (",\"amount\":\"3\"", "type"),
            (",\"amount\":{}", "type"),
            (",\"ok\":1", "type"),
            (",\"phone\":1", "type"),
            (",\"card\":\"4111\"", "type"), // a long until it is protected
            (",\"at\":\"2023-02-29T00:00:00Z\"", "type"),
            (",\"at\":null", "required"),
            (",\"who\":\"\"", "required"),
            (",\"id\":null", "required"),
            (",\"amount\":1e999", "decode"),
            (",\"amount\":NaN", "decode"),
            (",\"amount\":01", "decode"),
            (",\"amount\":1,", "decode"),
            (",\"phone\":\"\\ud83d\"", "decode"),
            (",\"x\":\"\\ud83d\"", "decode"),
            (",\"x\":\"\\ude00\\ud83d\"", "decode"),
            (",\"x\":\"\\ud83d\\u0041\"", "decode"),
            (",\"\\ud83d\":1", "decode"),
            (",\"x\":\"\t\"", "decode"),
        ] {
            refused(&event(members), rule);
        }
        refused("{\"id\":\"e\"} {}", "decode");
        refused("[1]", "decode");
        refused("\"text\"", "decode");
        refused("null", "decode");
        refused("{", "decode");
        refused("{}", "required");
    }

    #[test]
    fn reasons_hold_no_value_and_bad_bytes_are_placed() {
        let (_, rejects) = record(&decoder(), event(",\"n\":\"4111-1111\"").as_bytes());
        assert_eq!(
            rejects[0].reason.message,
            "field `n` holds text where `long` takes a whole number of 64 bits, exact"
        );
        let (_, rejects) = record(&decoder(), b"{\"id\":\"\xFF\"}");
        assert_eq!(rejects[0].reason.message, "not UTF-8 at byte 7");
    }

    #[test]
    fn one_bad_line_of_three() {
        let line =
            |id: &str, n: &str| format!("{{\"id\":\"{id}\",\"who\":\"c\",\"at\":0,\"n\":{n}}}");
        let data = [line("a", "1"), line("b", "oops"), line("c", "3")].join("\n");
        let (batch, rejects) = record(&decoder(), data.as_bytes());
        assert_eq!(batch.columns[4], Column::longs([Some(1), Some(3)]));
        let places: Vec<_> = batch.rows.iter().map(|r| r.coordinates.position.line).collect();
        assert_eq!(places, [0, 2]);
        assert_eq!(rejects[0].coordinates.position.line, 1);
        assert_eq!(rejects[0].payload, line("b", "oops").as_bytes());
    }

    #[test]
    fn identity_is_the_id_or_the_place() {
        let (batch, _) = record(&decoder(), event("").as_bytes());
        assert_eq!(batch.rows[0].identity, identity_of_id("e"));
        let mut recipe = recipe();
        recipe.schema.fields[0].role = None;
        let (batch, _) = record(&decoder_of(&recipe), event("").as_bytes());
        assert_eq!(batch.rows[0].identity, identity_of(&batch.rows[0].coordinates));
    }

    #[test]
    fn unknown_fields() {
        let line = event(",\"z\": {\"b\" : [1 ,2]},\"a\\\"\":1e999,\"z\":2.50");
        let kept = |policy| {
            let mut recipe = recipe();
            recipe.schema.unknown_fields = policy;
            let (batch, rejects) = record(&decoder_of(&recipe), line.as_bytes());
            (
                batch.rows.first().and_then(|row| row.unknown.clone()),
                rejects.first().map(|reject| reject.reason.rule.clone()),
            )
        };
        assert_eq!(kept(UnknownFields::Keep), (Some("\"a\\\"\":1e999,\"z\":2.50".into()), None));
        assert_eq!(kept(UnknownFields::Drop), (None, None));
        assert_eq!(kept(UnknownFields::Quarantine), (None, Some("unknown".into())));
    }

    #[test]
    fn a_foreign_leat_is_an_unknown_field_of_another_name() {
        let (batch, _) = record(&decoder(), event(",\"_leat\":{\"v\":1}").as_bytes());
        assert_eq!(batch.rows[0].unknown.as_deref(), Some("\"_leat_untrusted\":{\"v\":1}"));
        assert!(batch.rows[0].protected.is_empty());
        // What came under that name is not ours either: ours, the later of the two, stays.
        let line = event(",\"_leat_untrusted\":1,\"_leat\":2");
        let (batch, _) = record(&decoder(), line.as_bytes());
        assert_eq!(batch.rows[0].unknown.as_deref(), Some("\"_leat_untrusted\":2"));
    }

    #[test]
    fn limits() {
        let nested =
            |depth: usize| event(&format!(",\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
        let (batch, _) = record(&decoder(), nested(63).as_bytes());
        assert_eq!(batch.len(), 1);
        refused(&nested(64), "decode");
        refused(&nested(100_000), "decode");
        refused(&event(&format!(",\"n\":{}", "[".repeat(100_000))), "decode");
        refused(&event(&format!(",\"phone\":\"{}\"", "x".repeat((256 << 10) + 1))), "oversize");
        refused(&event(&" ".repeat(1 << 20)), "oversize");
        let many: String = (0..1_000).map(|i| format!(",\"f{i}\":0")).collect();
        refused(&event(&many), "oversize");
        let brackets = event(&format!(",\"x\":\"{}\\\"[\"", "[".repeat(100)));
        assert_eq!(record(&decoder(), brackets.as_bytes()).0.len(), 1);
        assert_eq!(Limits::default().depth, 64);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_half(text in "\\PC*", bytes: Vec<u8>, members in "[\\[\\]{}\",:\\\\ua-f0-9.eE+-]*") {
            for data in [text.as_bytes(), &bytes, event(&format!(",\"x\":{members}")).as_bytes()] {
                let (batch, rejects) = record(&decoder(), data);
                assert!(batch.columns.iter().all(|column| column.len() == batch.len()));
                assert!(batch.len() + rejects.len() > 0);
            }
        }
    }
}
