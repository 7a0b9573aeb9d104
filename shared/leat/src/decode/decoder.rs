//! What a recipe asks of a line, and a line's way into a batch.

use std::borrow::Cow;

use super::cursor::Name;
use super::names::Names;
use super::plain::Taken;
use super::value::{Raw, Typed};
use super::{Batch, Limits, Piece, RawRecord, expand, json, plain, reason};
use crate::column::{Type, Value};
use crate::protect::Keys;
use crate::recipe::{Recipe, Role, UnknownFields};
use crate::record::{
    Coordinates, ProtectedFields, Reason, Reject, Row, Verdict, identity_of, identity_of_id,
};
use crate::sentinel::Sentinel;

/// Turns lines into rows as one recipe's schema says. Made once; decoding changes nothing in it.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub(super) fields: Vec<Target>,
    pub(super) names: Names,
    /// True if lines can be [`plain`].
    pub(super) plain: bool,
    unknown: UnknownFields,
    pub(super) keys: Option<Keys>,
    /// The bounds on what is read.
    pub limits: Limits,
}

/// A field of the schema.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub name: String,
    /// The type of its values as they come.
    pub kind: Type,
    /// The type of its column: text where the field is masked or tokenized.
    pub column: Type,
    pub role: Option<Role>,
    /// The name as it mostly stands in a line, with its quotes and the colon.
    pub quoted: Name,
}

/// All that a line gave.
pub(super) struct Found<'a> {
    pub coordinates: Coordinates,
    /// A value for each field of the schema, in order.
    pub values: Vec<Raw<'a>>,
    pub unknown: Option<Box<str>>,
    pub verdict: Option<Verdict>,
    pub protected: ProtectedFields,
}

impl Target {
    /// True if an event without it is refused.
    pub fn required(&self) -> bool {
        matches!(self.role, Some(Role::Id | Role::Entity | Role::EventTime))
    }
}

impl Decoder {
    /// A decoder for `recipe`. Without `keys` no landed line that carries `_leat` can be read.
    pub fn new(recipe: &Recipe, keys: Option<Keys>, limits: Limits) -> Self {
        let fields: Vec<Target> = recipe
            .schema
            .fields
            .iter()
            .map(|field| Target {
                name: field.name.clone(),
                kind: field.kind,
                column: recipe.kind(field),
                role: field.role,
                quoted: Name::new(&format!("\"{}\":", field.name)),
            })
            .collect();
        let names = Names::new(fields.iter().map(|field| field.name.as_str()));
        let is_plain = |field: &Target| {
            let escaped = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            // An id of any other type has a text of its own.
            let id =
                field.role != Some(Role::Id) || matches!(field.kind, Type::String | Type::Long);
            id && !field.name.bytes().any(escaped)
        };
        let plain = fields.len() <= plain::MOST_FIELDS && fields.iter().all(is_plain);
        Decoder { fields, names, plain, unknown: recipe.schema.unknown_fields, keys, limits }
    }

    /// An empty batch with a column for each field.
    pub fn batch(&self) -> Batch {
        Batch::new(self.fields.iter().map(|field| field.column))
    }

    /// The slot of the field named `name`. `near` is tried first: lines mostly keep the schema's order.
    pub(super) fn slot(&self, name: &str, near: usize) -> Option<usize> {
        match self.fields.get(near) {
            Some(field) if field.name == name => Some(near),
            _ => self.names.slot(name),
        }
    }

    /// Decodes a record of a stream: each of its lines becomes a row of `batch` or one of `rejects`, but for the
    /// sentinels among them, which come back.
    pub fn record(
        &self,
        record: &RawRecord<'_>,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> Vec<Sentinel> {
        let mut sentinels = Vec::new();
        expand(record, &self.limits, &mut |coordinates, piece| match piece {
            Piece::Line(line) => {
                sentinels.extend(self.line(coordinates, line, record.landed, batch, rejects));
            }
            Piece::Damaged(data, reason) => {
                rejects.push(Reject { coordinates, reason, payload: data.to_vec() });
            }
        });
        sentinels
    }

    /// Decodes one line of JSON, without its line break: it becomes a row of `batch` or one of `rejects`; a blank one
    /// becomes nothing; if it is a sentinel, that comes back. `landed` as in [`RawRecord`].
    pub fn line(
        &self,
        mut coordinates: Coordinates,
        line: &[u8],
        landed: bool,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> Option<Sentinel> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let limit = if landed { self.limits.landed_line } else { self.limits.line };
        // A landed line mostly ends with `_leat`, which is not for the plain way.
        let is_plain = !(landed && line.ends_with(b"\"}}"));
        if let Some(taken) = is_plain.then(|| plain::line(self, line, limit, batch)).flatten() {
            let identity = match taken {
                Taken::Id(identity) => identity,
                Taken::NoId => identity_of(&coordinates),
            };
            let (verdict, protected, unknown) = Default::default();
            batch.rows.push(Row { coordinates, identity, verdict, protected, unknown });
            return None;
        }
        json::line(self, &mut coordinates, line, landed, batch).unwrap_or_else(|reason| {
            rejects.push(Reject { coordinates, reason, payload: line.to_vec() });
            None
        })
    }

    /// What is kept of the fields that the schema does not name, given as JSON: the inside of an object, by name, the
    /// last of equal names.
    pub(super) fn unknown(
        &self,
        mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)>,
    ) -> Result<Option<Box<str>>, Reason> {
        if fields.is_empty() || self.unknown == UnknownFields::Drop {
            return Ok(None);
        }
        if self.unknown == UnknownFields::Quarantine {
            let count = fields.len();
            let message =
                format!("{count} field(s) are not in the schema, which quarantines such events");
            return Err(reason("unknown", message));
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let mut inside = String::new();
        for (name, value) in fields {
            if !inside.is_empty() {
                inside.push(',');
            }
            inside.push_str(&serde_json::Value::from(name).to_string());
            inside.push(':');
            inside.push_str(&value);
        }
        Ok(Some(inside.into_boxed_str()))
    }

    /// Appends a row, or says why not and leaves the batch as it was.
    pub(super) fn push(&self, found: Found<'_>, batch: &mut Batch) -> Result<(), Reason> {
        let mut id = None;
        let mut typed = Vec::with_capacity(self.fields.len());
        for (field, raw) in self.fields.iter().zip(found.values) {
            let value = self.value(field, raw, found.protected.contains_key(&field.name))?;
            if field.role == Some(Role::Id) {
                id = value.text().map(|id| identity_of_id(&id));
            }
            typed.push(value);
        }
        for (column, value) in batch.columns.iter_mut().zip(&typed) {
            column.push(value.value());
        }
        batch.rows.push(Row {
            identity: id.unwrap_or_else(|| identity_of(&found.coordinates)),
            coordinates: found.coordinates,
            verdict: found.verdict,
            protected: found.protected,
            unknown: found.unknown,
        });
        Ok(())
    }

    /// The value of one field as its column takes it.
    fn value<'a>(
        &self,
        field: &Target,
        raw: Raw<'a>,
        protected: bool,
    ) -> Result<Typed<'a>, Reason> {
        let named = |rule: &str, what: &str| Reason {
            rule: rule.to_string(),
            message: format!("field `{}` {what}", field.name),
        };
        if raw.text_len() > self.limits.text {
            let limit = self.limits.text;
            return Err(named("oversize", &format!("holds a text of more than {limit} bytes")));
        }
        // What was protected before it landed is text, whatever type the raw value was of.
        let kind =
            if protected && field.column == Type::String { Type::String } else { field.kind };
        let value = raw.typed(kind).map_err(|what| named("type", &what))?;
        let value = match field.column {
            Type::String => value.into_text(),
            _ => value,
        };
        if field.required() && matches!(value.value(), Value::Null | Value::String("")) {
            return Err(named("required", "is missing: every event needs it"));
        }
        Ok(value)
    }
}
