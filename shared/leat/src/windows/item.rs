//! What is stored for an entity: its windows, the mark of each shard, and the outbox. One value, one conditional
//! write: they change together or not at all.

use std::sync::Arc;

use super::StateError;
use super::bytes::{Reader, Writer};
use crate::record::{Coordinates, Identity, Position, Sequence, identity_of_id};

const VERSION: u8 = 1;

/// What is stored for an entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The bytes of the windows' state; empty if no event was applied.
    pub windows: Vec<u8>,
    /// For each shard, the last place that was applied.
    pub marks: Vec<Mark>,
    /// Rows that were committed and that some sink may still lack.
    pub outbox: Vec<OutboxRow>,
}

/// How far a shard's records are applied to an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The stream.
    pub source: Arc<str>,
    /// The shard.
    pub shard: Arc<str>,
    /// The last place that was applied.
    pub position: Position,
    /// When that record arrived, in milliseconds.
    pub arrival: Option<i64>,
}

/// A row as the sinks get it, byte for byte, however often.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Where its event came from.
    pub coordinates: Coordinates,
    /// Who its event is.
    pub identity: Identity,
    /// Its key in a table: the event's id, else its coordinates.
    pub key: String,
    /// The row: a JSON line.
    pub bytes: Vec<u8>,
}

/// The mark of a shard among those of an entity.
fn mark<'m>(marks: &'m [Mark], source: &str, shard: &str) -> Option<&'m Mark> {
    marks.iter().find(|m| &*m.source == source && &*m.shard == shard)
}

/// True if the event at `coordinates` was applied to the entity whose marks these are.
pub fn is_applied(marks: &[Mark], coordinates: &Coordinates) -> bool {
    mark(marks, &coordinates.source, &coordinates.shard)
        .is_some_and(|mark| coordinates.position <= mark.position)
}

impl Item {
    /// The mark of a shard.
    pub fn mark(&self, source: &str, shard: &str) -> Option<&Mark> {
        mark(&self.marks, source, shard)
    }

    /// Moves the mark of the shard of `coordinates` there.
    pub fn set_mark(&mut self, coordinates: &Coordinates) {
        let Coordinates { source, shard, position, arrival } = coordinates;
        let mark = Mark {
            source: source.clone(),
            shard: shard.clone(),
            position: position.clone(),
            arrival: *arrival,
        };
        match self.marks.iter_mut().find(|m| m.source == *source && m.shard == *shard) {
            Some(found) => *found = mark,
            None => self.marks.push(mark),
        }
    }

    /// True if the event at `coordinates` was applied.
    pub fn is_applied(&self, coordinates: &Coordinates) -> bool {
        is_applied(&self.marks, coordinates)
    }

    /// The item's bytes. Equal items have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.bytes(&self.windows);
        let mut shards: Vec<(&Arc<str>, &Arc<str>)> = Vec::new();
        let marked = self.marks.iter().map(|m| (&m.source, &m.shard));
        let waiting = self.outbox.iter().map(|r| (&r.coordinates.source, &r.coordinates.shard));
        for pair in marked.chain(waiting) {
            if !shards.contains(&pair) {
                shards.push(pair);
            }
        }
        let number_of = |source, shard| {
            shards.iter().position(|&pair| pair == (source, shard)).unwrap_or_default()
        };
        out.length(shards.len());
        for (source, shard) in &shards {
            out.bytes(source.as_bytes());
            out.bytes(shard.as_bytes());
        }
        out.length(self.marks.len());
        for Mark { source, shard, position, arrival } in &self.marks {
            out.length(number_of(source, shard));
            write_place(position, *arrival, &mut out);
        }
        out.length(self.outbox.len());
        for OutboxRow { coordinates, identity, key, bytes } in &self.outbox {
            out.length(number_of(&coordinates.source, &coordinates.shard));
            write_place(&coordinates.position, coordinates.arrival, &mut out);
            out.0.extend_from_slice(&identity.to_le_bytes());
            out.bytes(key.as_bytes());
            out.bytes(bytes);
        }
        out.0
    }

    /// The item whose bytes these are.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader(bytes);
        let input = &mut reader;
        match input.byte()? {
            VERSION => {}
            other => return Err(StateError::Version(other)),
        }
        let windows = input.bytes()?.to_vec();
        let shards: Vec<(Arc<str>, Arc<str>)> =
            input.list(|input| Ok((input.text()?.into(), input.text()?.into())))?;
        let shard_at = |input: &mut Reader<'_>| {
            let at = usize::try_from(input.unsigned()?).unwrap_or(usize::MAX);
            shards
                .get(at)
                .cloned()
                .ok_or(StateError::Invalid("it names a shard that it does not list"))
        };
        let marks = input.list(|input| {
            let (source, shard) = shard_at(input)?;
            let (position, arrival) = read_place(input)?;
            Ok(Mark { source, shard, position, arrival })
        })?;
        let outbox = input.list(|input| {
            let (source, shard) = shard_at(input)?;
            let (position, arrival) = read_place(input)?;
            Ok(OutboxRow {
                coordinates: Coordinates { source, shard, position, arrival },
                identity: Identity::from_le_bytes(input.array()?),
                key: input.text()?.into(),
                bytes: input.bytes()?.to_vec(),
            })
        })?;
        if !input.0.is_empty() {
            return Err(StateError::Invalid("bytes follow its end"));
        }
        Ok(Item { windows, marks, outbox })
    }
}

fn write_place(position: &Position, arrival: Option<i64>, out: &mut Writer) {
    out.bytes(position.sequence.as_str().as_bytes());
    out.unsigned(position.sub);
    out.unsigned(position.line);
    out.option(arrival);
}

fn read_place(input: &mut Reader<'_>) -> Result<(Position, Option<i64>), StateError> {
    let sequence = Sequence::new(input.text()?);
    let position = Position { sequence, sub: input.unsigned()?, line: input.unsigned()? };
    Ok((position, input.option()?))
}

/// The key of an entity's item under a state plan (its 16 first digits). An entity that is too long for a key, or is
/// empty, is hashed.
pub fn state_key(state_plan: &str, entity: &str) -> String {
    let plan: String = state_plan.chars().take(16).collect();
    if (1..=1024).contains(&entity.len()) {
        format!("{plan}#{entity}")
    } else {
        format!("{plan}~{:032x}", identity_of_id(entity))
    }
}

/// The key of an event's row in a table: its id, else its coordinates. An id that is too long for a key, or is
/// empty, is hashed.
pub fn row_key(id: Option<&str>, coordinates: &Coordinates) -> String {
    match id {
        Some(id) if (1..=1024).contains(&id.len()) => id.into(),
        Some(id) => format!("~{:032x}", identity_of_id(id)),
        None => {
            let Coordinates { source, shard, position, .. } = coordinates;
            format!(
                "{source}/{shard}/{}/{}/{}",
                position.sequence.as_str(),
                position.sub,
                position.line
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coordinates(shard: &str, sequence: u64) -> Coordinates {
        Coordinates {
            source: "events".into(),
            shard: shard.into(),
            position: Position { sequence: Sequence::new(&sequence.to_string()), sub: 1, line: 2 },
            arrival: Some(1_767_225_600_123),
        }
    }

    fn item() -> Item {
        let mut item = Item { windows: vec![1, 2, 3], ..Item::default() };
        item.set_mark(&coordinates("s-0", 10));
        item.set_mark(&coordinates("s-1", 5));
        item.set_mark(&coordinates("s-0", 12));
        for (shard, sequence) in [("s-0", 11), ("s-0", 12), ("s-2", 3)] {
            let coordinates = coordinates(shard, sequence);
            item.outbox.push(OutboxRow {
                key: row_key(None, &coordinates),
                identity: crate::record::identity_of(&coordinates),
                coordinates,
                bytes: format!("{{\"n\":{sequence}}}\n").into_bytes(),
            });
        }
        item
    }

    #[test]
    fn marks() {
        let item = item();
        assert_eq!(item.marks.len(), 2);
        for (shard, sequence, applied) in [
            ("s-0", 12, true),
            ("s-0", 13, false),
            ("s-0", 9, true),
            ("s-1", 6, false),
            ("s-2", 1, false),
        ] {
            assert_eq!(
                item.is_applied(&coordinates(shard, sequence)),
                applied,
                "{shard} {sequence}"
            );
        }
        // A place within a record is a place of its own.
        let mut next_line = coordinates("s-0", 12);
        next_line.position.line += 1;
        assert!(!item.is_applied(&next_line));
    }

    #[test]
    fn there_and_back() {
        for item in [Item::default(), item()] {
            assert_eq!(Item::decode(&item.encode()), Ok(item));
        }
    }

    #[test]
    fn damage_is_named() {
        let bytes = item().encode();
        for cut in 0..bytes.len() {
            assert!(Item::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Item::decode(&[7]), Err(StateError::Version(7)));
        assert!(Item::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn keys() {
        assert_eq!(state_key("0123456789abcdef0123", "c-1"), "0123456789abcdef#c-1");
        assert_eq!(state_key("0123456789abcdef", "").len(), 16 + 1 + 32);
        assert_eq!(state_key("0123456789abcdef", &"x".repeat(5000)).len(), 16 + 1 + 32);
        assert_eq!(row_key(Some("t-1"), &coordinates("s", 1)), "t-1");
        assert_eq!(row_key(None, &coordinates("s", 1)), "events/s/1/1/2");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_item_or_an_error(bytes: Vec<u8>) {
            let with_version: Vec<u8> = [1].into_iter().chain(bytes.iter().copied()).collect();
            for bytes in [bytes, with_version] {
                if let Ok(item) = Item::decode(&bytes) {
                    prop_assert_eq!(Item::decode(&item.encode()), Ok(item));
                }
            }
        }
    }
}
