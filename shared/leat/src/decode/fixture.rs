//! A recipe and a decoder for tests.

use super::{Batch, Decoder, Limits, RawRecord};
use crate::column::Type;
use crate::protect::Keys;
use crate::recipe::{Field, Method, Protect, Recipe, Role, Schema, UnknownFields};
use crate::record::{Coordinates, Position, Reject, Sequence};

/// A field of each type and role, and one for each way to protect.
pub fn recipe() -> Recipe {
    let field = |name: &str, kind, role| Field {
        name: name.to_string(),
        kind,
        role,
        pii: false,
        place: Default::default(),
    };
    let protect = |field: &str, method| Protect {
        field: field.to_string(),
        method,
        place: Default::default(),
    };
    Recipe {
        file: "recipe.yaml".to_string(),
        name: "test".to_string(),
        dialect: Default::default(),
        schema: Schema {
            format: Default::default(),
            fields: vec![
                field("id", Type::String, Some(Role::Id)),
                field("who", Type::String, Some(Role::Entity)),
                field("at", Type::Timestamp, Some(Role::EventTime)),
                field("amount", Type::Double, None),
                field("n", Type::Long, None),
                field("ok", Type::Bool, None),
                field("card", Type::Long, None),
                field("phone", Type::String, None),
                field("secret", Type::Double, None),
            ],
            unknown_fields: UnknownFields::Keep,
            max_ahead: None,
            dedupe: None,
        },
        quality: None,
        protect: vec![
            protect("card", Method::Tokenize),
            protect("phone", Method::Mask { keep: 2 }),
            protect("secret", Method::Drop),
        ],
        derive: Vec::new(),
        windows: Vec::new(),
        features: Vec::new(),
        output: Vec::new(),
    }
}

pub fn keys() -> Keys {
    Keys::from_secret(b"a secret of thirty-two bytes, or more").unwrap()
}

pub fn decoder() -> Decoder {
    decoder_of(&recipe())
}

pub fn decoder_of(recipe: &Recipe) -> Decoder {
    Decoder::new(recipe, Some(keys()), Limits::default())
}

pub fn coordinates() -> Coordinates {
    Coordinates {
        source: "events".into(),
        shard: "shardId-000000000000".into(),
        position: Position { sequence: Sequence::new("495"), sub: 0, line: 0 },
        arrival: Some(1_767_225_600_000),
    }
}

/// Decodes one record of a stream.
pub fn record(decoder: &Decoder, data: &[u8]) -> (Batch, Vec<Reject>) {
    let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
    let record = RawRecord { coordinates: coordinates(), data, landed: false };
    decoder.record(&record, &mut batch, &mut rejects);
    (batch, rejects)
}

/// Decodes one line that lies under the trusted prefix.
pub fn landed(decoder: &Decoder, line: &[u8]) -> (Batch, Vec<Reject>) {
    let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
    let file = Coordinates {
        source: "file".into(),
        shard: "".into(),
        position: Position::default(),
        arrival: None,
    };
    decoder.line(file, line, true, &mut batch, &mut rejects);
    (batch, rejects)
}
