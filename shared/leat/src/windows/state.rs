//! All that one entity's past has left behind, and its bytes.
//!
//! Version 2, in this order: the version (1 byte); the first 8 bytes of a hash of the recipe's `windows`; the
//! greatest event time; the counters; tiles by hop; exact windows; open sessions; recent ids; a checksum (4 bytes).
//! Times are differences from their neighbours, whole numbers are varints, doubles are their bits. The order of
//! everything is fixed, so that equal states have equal bytes.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::recipe::Recipe;

use super::Windows;
use super::bytes::{Reader, Writer};
use super::exact::Events;
use super::recent::Ids;
use super::sawtooth::{Tile, Tiles};
use super::session::Open;
use super::tally::{EventValues, Keeps, Tallies, Tally};

pub(super) const VERSION: u8 = 2;
const CHECKSUM: usize = 4;

/// The past of one entity, as far as windows and dedupe need it. `default()` has seen no event.
#[derive(Clone, Debug, Default)]
pub struct EntityState {
    /// Which windows made it; 0 before the first event.
    pub(super) shape: u64,
    pub(super) greatest: Option<i64>,
    pub(super) late: u64,
    pub(super) truncated: u64,
    pub(super) tiles: Vec<Tiles>,
    // Mostly one of each, and then it is where the state is.
    pub(super) events: SmallVec<[Events; 1]>,
    pub(super) sessions: SmallVec<[Open; 1]>,
    pub(super) recent: Ids,
}

/// Why bytes are no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Written by a version of Leat that this one does not know.
    #[error("the entity state is of version {0}; this Leat reads version {VERSION}")]
    Version(u8),
    /// The bytes are not those that were written.
    #[error("the entity state is damaged: its checksum does not match")]
    Checksum,
    /// The bytes end too early.
    #[error("the entity state is damaged: it ends too early")]
    Short,
    /// The bytes say what cannot be.
    #[error("the entity state is damaged: {0}")]
    Invalid(&'static str),
}

impl EntityState {
    pub(super) fn empty(recipe: &Recipe, windows: &Windows) -> Self {
        let text = serde_json::to_string(&recipe.windows).unwrap_or_default();
        EntityState {
            shape: xxh3_64(text.as_bytes()),
            tiles: windows.groups.iter().map(|group| group.empty()).collect(),
            events: windows.rings.iter().map(|ring| ring.empty()).collect(),
            sessions: windows.sessions.iter().map(|_| Open::default()).collect(),
            ..EntityState::default()
        }
    }

    /// Reads a little of all that [`Windows::apply`] will read, so that it is on its way from memory: of any value.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        let own = self.shape ^ self.late ^ self.greatest.unwrap_or_default() as u64;
        let sessions = self.sessions.iter().fold(own, |sum, open| sum ^ open.count);
        self.events.iter().fold(sessions, |sum, events| sum ^ events.touch())
    }

    /// The greatest event time that was applied, in microseconds: the entity's clock.
    pub fn greatest(&self) -> Option<i64> {
        self.greatest
    }

    /// How many events came so late that a window could not take them in.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many events had an exact window that missed events of its span.
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    /// The state's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.0.extend_from_slice(&self.shape.to_le_bytes());
        self.write(&mut out);
        let checksum = xxh3_64(&out.0).to_le_bytes();
        out.0.extend_from_slice(&checksum[..CHECKSUM]);
        out.0
    }

    /// The state whose bytes these are.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let version = *bytes.first().ok_or(StateError::Short)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(StateError::Short)?;
        if xxh3_64(body).to_le_bytes()[..CHECKSUM] != *checksum {
            return Err(StateError::Checksum);
        }
        Self::read(body.get(1..).ok_or(StateError::Short)?)
    }

    fn write(&self, out: &mut Writer) {
        out.option(self.greatest);
        out.unsigned(self.late);
        out.unsigned(self.truncated);
        out.length(self.tiles.len());
        self.tiles.iter().for_each(|tiles| write_tiles(tiles, out));
        out.length(self.events.len());
        self.events.iter().for_each(|events| write_events(events, out));
        out.length(self.sessions.len());
        for open in &self.sessions {
            out.unsigned(open.count);
            out.signed(open.start);
            out.unsigned(open.number);
        }
        out.length(self.recent.0.len());
        let mut previous = 0i64;
        for (time, identity) in &self.recent.0 {
            out.signed(time.wrapping_sub(previous));
            out.0.extend_from_slice(&identity.to_le_bytes());
            previous = *time;
        }
    }

    /// All after the version and before the checksum.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader(bytes);
        let input = &mut reader;
        let shape = u64::from_le_bytes(input.array()?);
        let greatest = input.option()?;
        let (late, truncated) = (input.unsigned()?, input.unsigned()?);
        let tiles = input.list(read_tiles)?;
        let events = input.list(read_events)?;
        let sessions = input.list(|input| {
            let (count, start) = (input.unsigned()?, input.signed()?);
            Ok(Open { count, start, number: input.unsigned()? })
        })?;
        let mut previous = 0i64;
        let recent = input.list(|input| {
            previous = previous.wrapping_add(input.signed()?);
            Ok((previous, u128::from_le_bytes(input.array()?)))
        })?;
        if !recent.is_sorted_by_key(|(time, _)| *time) {
            return Err(StateError::Invalid("recent ids are not in the order of their times"));
        }
        if !input.0.is_empty() {
            return Err(StateError::Invalid("bytes follow its end"));
        }
        Ok(EntityState {
            shape,
            greatest,
            late,
            truncated,
            tiles,
            events: events.into_iter().collect(),
            sessions: sessions.into_iter().collect(),
            recent: Ids(recent),
        })
    }
}

fn write_keeps(keeps: &[Keeps], out: &mut Writer) {
    out.length(keeps.len());
    out.0.extend(keeps.iter().map(|k| u8::from(k.sum) | u8::from(k.max) << 1));
}

fn read_keeps(input: &mut Reader<'_>) -> Result<Vec<Keeps>, StateError> {
    input.list(|input| match input.byte()? {
        bits @ 0..4 => Ok(Keeps { sum: bits & 1 != 0, max: bits & 2 != 0 }),
        _ => Err(StateError::Invalid("a column keeps what this version does not know")),
    })
}

fn write_tiles(tiles: &Tiles, out: &mut Writer) {
    write_keeps(&tiles.keeps, out);
    out.length(tiles.tiles.len());
    let mut previous = 0i64;
    for Tile { index, tallies } in &tiles.tiles {
        out.signed(index.wrapping_sub(previous));
        out.unsigned(tallies.rows);
        for (tally, keeps) in tallies.tallies.iter().zip(&tiles.keeps) {
            // Mostly nothing is missing, and the byte is 0.
            out.unsigned(tallies.rows.saturating_sub(tally.count));
            if keeps.sum && tally.count > 0 {
                out.double(tally.sum);
            }
            if keeps.max && tally.count > 0 {
                out.double(tally.max);
            }
        }
        previous = *index;
    }
}

fn read_tiles(input: &mut Reader<'_>) -> Result<Tiles, StateError> {
    let keeps = read_keeps(input)?;
    let mut previous = 0i64;
    let tiles = input.list(|input| {
        previous = previous.wrapping_add(input.signed()?);
        let rows = input.unsigned()?;
        let mut tallies = Tallies { rows, ..Tallies::default() };
        for keeps in &keeps {
            let count = rows.checked_sub(input.unsigned()?);
            let count =
                count.ok_or(StateError::Invalid("a tile lacks more values than it has rows"))?;
            let mut tally = Tally { count, ..Tally::default() };
            if keeps.sum && count > 0 {
                tally.sum = input.double()?;
            }
            if keeps.max && count > 0 {
                tally.max = input.double()?;
            }
            tallies.tallies.push(tally);
        }
        Ok(Tile { index: previous, tallies })
    })?;
    if !tiles.is_sorted_by(|a, b| a.index < b.index) {
        return Err(StateError::Invalid("tiles are not in the order of their times"));
    }
    Ok(Tiles { keeps, tiles })
}

fn write_events(events: &Events, out: &mut Writer) {
    write_keeps(&events.keeps, out);
    out.option(events.forgotten);
    out.length(events.len());
    let mut previous = 0i64;
    for (time, values) in events.iter() {
        out.signed(time.wrapping_sub(previous));
        for (value, keeps) in values.zip(&events.keeps) {
            out.0.push(u8::from(value.is_some()));
            if let Some(x) = value.filter(|_| *keeps != Keeps::default()) {
                out.double(x);
            }
        }
        previous = time;
    }
}

fn read_events(input: &mut Reader<'_>) -> Result<Events, StateError> {
    let keeps = read_keeps(input)?;
    let mut events = Events::new(keeps, input.option()?);
    let (mut previous, mut values) = (0i64, EventValues::new());
    for _ in 0..input.unsigned()? {
        previous = previous.wrapping_add(input.signed()?);
        values.clear();
        for keeps in &events.keeps {
            values.push(match input.byte()? {
                0 => None,
                1 if *keeps == Keeps::default() => Some(0.0),
                1 => match input.double()? {
                    x if x.is_finite() => Some(x),
                    _ => return Err(StateError::Invalid("a value of an event is not finite")),
                },
                _ => return Err(StateError::Invalid("a flag is neither 0 nor 1")),
            });
        }
        events.push(previous, values.drain(..));
    }
    Ok(events)
}
