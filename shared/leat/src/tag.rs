//! `_leat`: what a landed line says of itself, and the code that vouches for it.
//!
//! A landed line is one JSON object whose last member is `_leat`:
//!
//! ```json
//! {"amount":3.5,"_leat":{"v":1,"source":"…","shard":"…","seq":"…","sub":0,"line":0,"arrival":0,"verdict":{"rules":"…","failed":[]},"protected":{"card_number":{"method":"tokenize","key":1}},"mac":"…"}}
//! ```
//!
//! `arrival`, `verdict` and `protected` are left out where there is nothing to say. `mac` is the first 32 hexadecimal
//! digits of HMAC-SHA-256 under the landing key of (`{"v":1,…` up to the comma before `"mac"`, NUL, the line up to the
//! comma before `"_leat"`). It covers bytes, not meaning: a line that was changed in any way is not ours.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::protect::Keys;
use crate::record::{Coordinates, Position, ProtectedFields, Reason, Row, Sequence, Verdict};

/// The member's name.
pub const NAME: &str = "_leat";
/// What a member of that name is called in a line that is not ours: it stays an ordinary unknown field and can never
/// be taken for the real one later.
pub const UNTRUSTED: &str = "_leat_untrusted";

const VERSION: u32 = 1;
const MAC_DIGITS: usize = 32;

/// The member but for its `mac`, in the order in which it is written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tag<'a> {
    v: u32,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    shard: Cow<'a, str>,
    #[serde(borrow)]
    seq: Cow<'a, str>,
    sub: u64,
    line: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arrival: Option<i64>,
    /// What the row rules said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Cow<'a, Verdict>>,
    /// Which fields are protected already, and how.
    #[serde(default, skip_serializing_if = "is_none")]
    pub protected: Cow<'a, ProtectedFields>,
}

fn is_none(protected: &ProtectedFields) -> bool {
    protected.is_empty()
}

impl<'a> Tag<'a> {
    /// What a row says of itself.
    pub fn of(row: &'a Row) -> Self {
        Tag {
            verdict: row.verdict.as_ref().map(Cow::Borrowed),
            protected: Cow::Borrowed(&row.protected),
            ..Tag::at(&row.coordinates)
        }
    }

    /// What a line says of its place alone.
    pub fn at(coordinates: &'a Coordinates) -> Self {
        let Coordinates { source, shard, position, arrival } = coordinates;
        Tag {
            v: VERSION,
            source: Cow::Borrowed(source),
            shard: Cow::Borrowed(shard),
            seq: Cow::Borrowed(position.sequence.as_str()),
            sub: position.sub,
            line: position.line,
            arrival: *arrival,
            verdict: None,
            protected: Cow::default(),
        }
    }

    /// Ends the object that `line` begins (`{` or `{"a":1`, without a comma) with this member.
    pub fn seal(&self, keys: &Keys, line: &mut Vec<u8>) {
        let mut tag = serde_json::to_vec(self).unwrap_or_default();
        tag.pop(); // its brace: `mac` comes last
        let mac = keys.landing_mac(&tag, line);
        if line.last() != Some(&b'{') {
            line.push(b',');
        }
        line.extend_from_slice(b"\"_leat\":");
        line.extend_from_slice(&tag);
        line.extend_from_slice(b",\"mac\":\"");
        line.extend_from_slice(mac.as_bytes());
        line.extend_from_slice(b"\"}}");
    }

    /// Reads the member whose value is the part `value` of `line`, if the code vouches for the line.
    pub fn open(line: &'a str, value: &'a str, keys: Option<&Keys>) -> Result<Self, Reason> {
        let keys = keys.ok_or_else(|| refused("cannot be checked: no keys were given"))?;
        let (rest, tag, mac) = parts(line, value).ok_or_else(|| {
            refused("is not the last member, or not of the form that Leat writes")
        })?;
        if !same(keys.landing_mac(tag.as_bytes(), rest.as_bytes()).as_bytes(), mac.as_bytes()) {
            return Err(refused(
                "has a `mac` that does not vouch for the line: forged, changed, or another secret",
            ));
        }
        let tag: Tag<'a> = serde_json::from_str(value)
            .ok()
            .filter(|tag: &Tag<'_>| tag.v == VERSION)
            .ok_or_else(|| refused("is of a version that this Leat does not know"))?;
        Ok(tag)
    }

    /// Where the event came from. `near` is the row before, whose source and shard are shared if they are the same.
    pub fn coordinates(&self, near: Option<&Coordinates>) -> Coordinates {
        let near = |part: fn(&Coordinates) -> &std::sync::Arc<str>, text: &str| {
            near.map(part).filter(|near| &***near == text).cloned().unwrap_or_else(|| text.into())
        };
        Coordinates {
            source: near(|c| &c.source, &self.source),
            shard: near(|c| &c.shard, &self.shard),
            position: Position {
                sequence: Sequence::new(&self.seq),
                sub: self.sub,
                line: self.line,
            },
            arrival: self.arrival,
        }
    }
}

/// Splits a line into (the line before the member, the member before `mac`, the digits of `mac`).
fn parts<'a>(line: &'a str, value: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    // `value` is a part of `line`, so their addresses say where.
    let start = (value.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    if line.get(start + value.len()..)? != "}" {
        return None;
    }
    let rest = line.get(..start)?.strip_suffix("\"_leat\":")?;
    let rest = rest.strip_suffix(',').or_else(|| (rest == "{").then_some(rest))?;
    let (tag, mac) = value.strip_suffix("\"}")?.rsplit_once(",\"mac\":\"")?;
    (mac.len() == MAC_DIGITS).then_some((rest, tag, mac))
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn refused(what: &str) -> Reason {
    Reason { rule: "leat".into(), message: format!("`_leat` {what}") }
}
