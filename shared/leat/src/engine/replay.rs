//! Replays of data that lies in files: their order, the windows of all entities in memory, and how far each goes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Engine;
use crate::decode::Batch;
use crate::record::Coordinates;
use crate::windows::item::{Mark, is_applied};
use crate::windows::{Cells, EntityState, Filling};

/// In which order a replay goes, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That of the stream: sequence, sub-sequence, line. The answer equals the stream's.
    Stream,
    /// By event time, then identity: rows without coordinates of a stream. Deterministic, not the stream's.
    EventTime,
    /// Rows without coordinates by event time first, then the stream's: a history that seeded the windows before it.
    HistoryThenStream,
}

/// Which of two rows comes first in a replay. Sequence numbers rise from a parent shard to its children, so their order is
/// that of the lineage.
pub fn compare(engine: &Engine, (a, x): (&Batch, usize), (b, y): (&Batch, usize)) -> Ordering {
    let (one, other) = (&a.rows[x], &b.rows[y]);
    let (at, beside) = (&one.coordinates, &other.coordinates);
    let of_stream = |at: &Coordinates| !at.shard.is_empty();
    of_stream(at).cmp(&of_stream(beside)).then_with(|| {
        if of_stream(at) {
            return (&at.position, &at.shard, &at.source).cmp(&(
                &beside.position,
                &beside.shard,
                &beside.source,
            ));
        }
        let slot = engine.roles.event_time;
        let time = |batch: &Batch, row| slot.and_then(|slot| batch.columns[slot].timestamp(row));
        let by_time = (time(a, x), one.identity).cmp(&(time(b, y), other.identity));
        by_time.then_with(|| (&at.source, &at.position).cmp(&(&beside.source, &beside.position)))
    })
}

/// The order in which `batch` is replayed.
pub fn order(engine: &Engine, batch: &Batch) -> (Vec<usize>, Order) {
    let mut rows: Vec<usize> = (0..batch.len()).collect();
    rows.sort_by(|&a, &b| compare(engine, (batch, a), (batch, b)));
    let of_stream = |row: usize| !batch.rows[row].coordinates.shard.is_empty();
    let streamed = rows.iter().filter(|&&row| of_stream(row)).count();
    let order = Order::of(streamed, rows.len());
    (rows, order)
}

impl Order {
    /// The order of so many rows, of which `streamed` have coordinates of a stream.
    pub const fn of(streamed: usize, rows: usize) -> Self {
        match streamed {
            0 if rows > 0 => Order::EventTime,
            n if n == rows => Order::Stream,
            _ => Order::HistoryThenStream,
        }
    }
}

/// By entity, how far the stream's function has applied its events: the marks of its live item.
pub type Marks = HashMap<Box<str>, Vec<Mark>>;

/// Replays events through the windows, with every entity's state in memory.
#[derive(Debug)]
pub struct Replay<'e> {
    engine: &'e Engine,
    /// The place of each entity's state, by the hash of its text: of entities with one hash that of the first.
    places: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    /// The places of the others.
    others: HashMap<Box<str>, usize>,
    /// By the entity's text; most are short, and then they lie beside their state.
    states: Vec<(SmallVec<[u8; 16]>, EntityState)>,
    /// The seed of the hash, which no sender of events knows.
    seed: u64,
    until: Option<Marks>,
    /// Of the rows that come next: where their states are.
    next: Vec<Result<usize, Skipped>>,
}

/// So many rows have their states looked up, and fetched from memory, before the first of them is applied: waiting for
/// one state is as long as waiting for several.
const AHEAD: usize = 16;

/// What became of the rows of a batch that was replayed.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// The rows whose identity, or whose place in the stream, had been applied before: each counts as already applied,
    /// and has no features.
    pub repeats: Vec<usize>,
    /// The rows beyond their entity's marks: the stream will bring them. They were not applied and have no features.
    pub beyond: Vec<usize>,
    /// Which rows came too late for at least one window.
    pub late: Vec<bool>,
}

/// What became of some rows of a batch, in their order: for [`fill`].
#[derive(Clone, Debug)]
pub struct Outcomes {
    rows: Vec<Outcome>,
    /// The window columns of the new ones.
    cells: Cells,
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is in its entity's state.
    New {
        /// True if it came too late for at least one window.
        late: bool,
    },
    /// As in [`Replayed::repeats`].
    Repeat,
    /// As in [`Replayed::beyond`].
    Beyond,
}

/// Fills the window columns of `batch`, whose rows several replays took: that of row `at` is the one with the number
/// `shares[at]`, and `outcomes` has what each of them made of its own rows.
pub fn fill(engine: &Engine, batch: &mut Batch, shares: &[u32], outcomes: &[Outcomes]) -> Replayed {
    let mut replayed = Replayed { late: vec![false; batch.len()], ..Replayed::default() };
    let mut filling = Filling::new(&engine.windows, batch.len());
    // For each replay the next row, and the next of its new ones.
    let mut next = vec![(0, 0); outcomes.len()];
    for (row, share) in (0..batch.len()).zip(shares) {
        let share = *share as usize;
        let Some((outcomes, (at, new))) = outcomes.get(share).zip(next.get_mut(share)) else {
            filling.skip();
            continue;
        };
        match outcomes.rows.get(*at) {
            Some(Outcome::New { late }) => {
                filling.copy(outcomes.cells.of(*new));
                replayed.late[row] = *late;
                *new += 1;
            }
            Some(Outcome::Repeat) => {
                filling.skip();
                replayed.repeats.push(row);
            }
            _ => {
                filling.skip();
                replayed.beyond.push(row);
            }
        }
        *at += 1;
    }
    filling.finish(&mut batch.columns);
    replayed
}

/// Why a row is not applied, whatever its entity's state.
#[derive(Clone, Copy, Debug)]
enum Skipped {
    Repeat,
    Beyond,
}

impl<'e> Replay<'e> {
    /// No entity has a past.
    pub fn new(engine: &'e Engine) -> Self {
        Replay {
            engine,
            places: HashMap::default(),
            others: HashMap::new(),
            states: Vec::new(),
            seed: RandomState::new().hash_one(0),
            until: None,
            next: Vec::with_capacity(AHEAD),
        }
    }

    /// For a hand-over: each entity goes as far as its own marks and no further, so that what the stream applied is in
    /// its state and what it was handed back, or will still bring, is not. Nothing of the stream is applied to an
    /// entity without marks; rows without coordinates of a stream, a history, always are.
    pub fn up_to(engine: &'e Engine, marks: Marks) -> Self {
        Replay { until: Some(marks), ..Replay::new(engine) }
    }

    /// Takes the rows of `batch`, in its order, into the states, and fills its window columns.
    pub fn apply(&mut self, batch: &mut Batch) -> Replayed {
        self.apply_after(batch, None)
    }

    /// As [`Replay::apply`]; `before` is where the row came from that stands before them all in the replay.
    pub fn apply_after(&mut self, batch: &mut Batch, before: Option<&Coordinates>) -> Replayed {
        let mut replayed = Replayed { late: vec![false; batch.len()], ..Replayed::default() };
        let mut filling = Filling::new(&self.engine.windows, batch.len());
        for first in (0..batch.len()).step_by(AHEAD) {
            let rows = first..batch.len().min(first + AHEAD);
            self.look_up(batch, rows.clone(), before);
            for (row, state) in rows.zip(&self.next) {
                let taken = state.map(|at| {
                    let identity = batch.rows[row].identity;
                    filling.apply(&mut self.states[at].1, &batch.columns, row, identity)
                });
                match taken {
                    Ok(Some(taken)) => replayed.late[row] = taken.late,
                    Ok(None) => replayed.repeats.push(row),
                    Err(skipped) => {
                        filling.skip();
                        match skipped {
                            Skipped::Repeat => replayed.repeats.push(row),
                            Skipped::Beyond => replayed.beyond.push(row),
                        }
                    }
                }
            }
        }
        filling.finish(&mut batch.columns);
        replayed
    }

    /// Takes `rows` of `batch`, those of this replay's own entities, into their states. `before` as in
    /// [`Replay::apply_after`].
    pub fn rows(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        before: Option<&Coordinates>,
    ) -> Outcomes {
        let engine = self.engine;
        let windows = &engine.windows;
        let mut cells = Cells::new(windows, rows.len());
        let mut outcomes = Vec::with_capacity(rows.len());
        for rows in rows.chunks(AHEAD) {
            self.look_up(batch, rows.iter().copied(), before);
            for (&row, state) in rows.iter().zip(&self.next) {
                outcomes.push(match *state {
                    Err(Skipped::Repeat) => Outcome::Repeat,
                    Err(Skipped::Beyond) => Outcome::Beyond,
                    Ok(at) => {
                        let (state, identity) = (&mut self.states[at].1, batch.rows[row].identity);
                        cells
                            .apply(windows, state, &batch.columns, row, identity)
                            .map_or(Outcome::Repeat, |taken| Outcome::New { late: taken.late })
                    }
                });
            }
        }
        Outcomes { rows: outcomes, cells }
    }

    /// Puts into `next` for each of `rows` where its state is, and has the processor fetch these states.
    fn look_up(
        &mut self,
        batch: &Batch,
        rows: impl Iterator<Item = usize> + Clone,
        before: Option<&Coordinates>,
    ) {
        self.next.clear();
        for row in rows.clone() {
            let place = self.place(batch, row, place_before(batch, row).or(before));
            self.next.push(place);
        }
        let mut touched = 0;
        for (at, row) in rows.enumerate() {
            let Some(Ok(place)) = self.next.get(at) else { continue };
            let Some((entity, state)) = self.states.get(*place) else { continue };
            touched ^= state.touch();
            let wanted = self.engine.entity(batch, row);
            if **entity != *wanted.as_bytes() {
                self.next[at] = Ok(self.other(&wanted));
            }
        }
        // Nothing hangs on the answer: it is asked for so that what is asked is read.
        std::hint::black_box(touched);
    }

    /// Where the state is that the row is to be applied to, or that of another entity whose hash is the same; unless the
    /// row's coordinates say that it is not applied.
    fn place(
        &mut self,
        batch: &Batch,
        row: usize,
        before: Option<&Coordinates>,
    ) -> Result<usize, Skipped> {
        let (entity, meta) = (self.engine.entity(batch, row), &batch.rows[row]);
        if !self.reaches(&entity, &meta.coordinates) {
            return Err(Skipped::Beyond);
        }
        if before.is_some_and(|before| same_place(before, &meta.coordinates)) {
            return Err(Skipped::Repeat);
        }
        let next = self.states.len();
        let place = *self.places.entry(self.hash(&entity)).or_insert(next);
        if place == next {
            self.add(&entity);
        }
        Ok(place)
    }

    /// Where the state of an entity is whose hash another one has.
    #[cold]
    fn other(&mut self, entity: &str) -> usize {
        let next = self.states.len();
        let place = *self.others.entry(entity.into()).or_insert(next);
        if place == next {
            self.add(entity);
        }
        place
    }

    fn add(&mut self, entity: &str) {
        self.states.push((SmallVec::from_slice(entity.as_bytes()), EntityState::default()));
    }

    fn hash(&self, entity: &str) -> u64 {
        xxh3_64_with_seed(entity.as_bytes(), self.seed)
    }

    /// True if the event at `coordinates` is to be applied to `entity`.
    fn reaches(&self, entity: &str, coordinates: &Coordinates) -> bool {
        let Some(marks) = self.until.as_ref().filter(|_| !coordinates.shard.is_empty()) else {
            return true;
        };
        marks.get(entity).is_some_and(|marks| is_applied(marks, coordinates))
    }

    /// The state of every entity that had an event.
    pub fn into_states(self) -> HashMap<Box<str>, EntityState> {
        let text = |bytes: &[u8]| Box::from(str::from_utf8(bytes).unwrap_or_default());
        self.states.into_iter().map(|(entity, state)| (text(&entity), state)).collect()
    }
}

/// Of what is a hash nothing more is to be hashed.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where the row before `row` came from, if it is of the same batch.
fn place_before(batch: &Batch, row: usize) -> Option<&Coordinates> {
    row.checked_sub(1).map(|before| &batch.rows[before].coordinates)
}

/// True if both are the same event of a stream: it landed twice. A replay's order brings them together.
fn same_place(a: &Coordinates, b: &Coordinates) -> bool {
    !a.shard.is_empty() && (&a.position, &a.shard, &a.source) == (&b.position, &b.shard, &b.source)
}

#[cfg(test)]
mod tests {
    use super::super::{Source, read};
    use super::*;
    use crate::decode::RawRecord;
    use crate::record::{Position, Sequence};
    use crate::windows::item::Item;

    const RECIPE: &str = "{leat: 1, name: r, schema: {fields: [
        {name: id, type: string, role: id}, {name: who, type: string, role: entity},
        {name: at, type: timestamp, role: event_time}]}, windows: [{count: '*', over: 1h}]}";

    fn engine() -> Engine {
        let recipe = read(Source { file: "r.yaml", text: RECIPE }).unwrap();
        Engine::new(recipe, None, None).unwrap()
    }

    /// Where the event `n` lies; in a file if there is no shard.
    fn place(shard: &str, n: u64) -> Coordinates {
        Coordinates {
            source: "events".into(),
            shard: shard.into(),
            position: Position { sequence: Sequence::new(&n.to_string()), sub: 0, line: 0 },
            arrival: None,
        }
    }

    /// The events `(entity, shard, sequence)`, in the order of a replay.
    fn batch(engine: &Engine, events: &[(&str, &str, u64)]) -> Batch {
        let lines: Vec<String> = events
            .iter()
            .map(|(who, shard, n)| {
                format!("{{\"id\":\"{who}{shard}{n}\",\"who\":\"{who}\",\"at\":{n}}}")
            })
            .collect();
        let records: Vec<RawRecord<'_>> = events
            .iter()
            .zip(&lines)
            .map(|((_, shard, n), line)| RawRecord {
                coordinates: place(shard, *n),
                data: line.as_bytes(),
                landed: false,
            })
            .collect();
        let batch = engine.intake(&records).unwrap().batch;
        assert_eq!(batch.len(), events.len());
        batch.gather(&order(engine, &batch).0)
    }

    #[test]
    fn entities_of_one_hash_are_apart() {
        let engine = engine();
        let counts = |batch: &Batch| -> Vec<Option<f64>> {
            (0..batch.len()).map(|row| batch.columns[3].number(row)).collect()
        };
        let events: Vec<(&str, &str, u64)> =
            (1..=40).map(|n| (["a", "b", "c"][n as usize % 3], "s", n)).collect();
        let mut apart = batch(&engine, &events);
        let mut replay = Replay::new(&engine);
        // As if each had the hash of the first one.
        replay.add("a");
        replay.places = ["a", "b", "c"].map(|who| (replay.hash(who), 0)).into_iter().collect();
        let states = |replay: Replay<'_>| -> std::collections::BTreeMap<Box<str>, Vec<u8>> {
            replay.into_states().into_iter().map(|(who, state)| (who, state.encode())).collect()
        };
        let mut plain = Replay::new(&engine);
        let mut expected = apart.clone();
        plain.apply(&mut expected);
        replay.apply(&mut apart);
        assert_eq!(apart, expected);
        assert!(counts(&expected).iter().flatten().any(|count| *count > 1.0));
        assert_eq!(states(replay), states(plain));
    }

    /// Marks as the stream's function leaves them: `(entity, shard, sequence)`.
    fn marks(at: &[(&str, &str, u64)]) -> Marks {
        let mut items = HashMap::<Box<str>, Item>::new();
        for (who, shard, n) in at {
            items.entry((*who).into()).or_default().set_mark(&place(shard, *n));
        }
        items.into_iter().map(|(who, item)| (who, item.marks)).collect()
    }

    /// What `count_1h` is for each row; `-` of a row that was not applied.
    fn counts(engine: &Engine, marks: Option<Marks>, mut batch: Batch) -> (String, Replayed) {
        let replay = |marks| Replay::up_to(engine, marks);
        let replayed = marks.map_or_else(|| Replay::new(engine), replay).apply(&mut batch);
        let slot = engine.plan().slot("count_1h").unwrap();
        let count = |row| batch.columns[slot].number(row).map_or("-".into(), |n| n.to_string());
        ((0..batch.len()).map(count).collect(), replayed)
    }

    #[test]
    fn what_was_handed_back_at_the_switch_is_left_to_the_stream() {
        let engine = engine();
        // In one shard A10 was handed back while B15 was applied; A9 and B8 had been before.
        let events = [("a", "s", 9), ("b", "s", 8), ("a", "s", 10), ("b", "s", 15), ("a", "s", 16)];
        let at = marks(&[("a", "s", 9), ("b", "s", 15)]);
        let (found, replayed) = counts(&engine, Some(at.clone()), batch(&engine, &events));
        assert_eq!(found, "11-2-"); // B8, A9, A10, B15, A16
        assert_eq!((replayed.beyond, replayed.repeats.len()), (vec![2, 4], 0));
        // Then the stream brings A10 and A16 to the states that were loaded: as if there had been no switch.
        let mut replay = Replay::up_to(&engine, at);
        replay.apply(&mut batch(&engine, &events));
        let mut loaded = Replay { until: None, ..replay };
        loaded.apply(&mut batch(&engine, &[("a", "s", 10), ("a", "s", 16)]));
        let mut never = Replay::new(&engine);
        never.apply(&mut batch(&engine, &events));
        let bytes = |replay: Replay<'_>| -> std::collections::BTreeMap<Box<str>, Vec<u8>> {
            let states = replay.into_states().into_iter();
            states.map(|(who, state)| (who, state.encode())).collect()
        };
        assert_eq!(bytes(loaded), bytes(never));
    }

    #[test]
    fn marks_are_of_an_entity_and_a_shard() {
        let engine = engine();
        let events = [
            ("a", "s", 1),
            ("a", "t", 2),
            ("a", "s", 3),
            ("b", "s", 4),
            ("c", "s", 5),
            ("a", "t", 6),
        ];
        for (at, expected) in [
            (&[("a", "s", 3)][..], "1-2---"), // nothing of another shard, or of an entity without marks
            (&[("a", "s", 1), ("a", "t", 6)], "12---3"),
            (&[("b", "s", 99)], "---1--"),
            (&[], "------"),
        ] {
            let found = counts(&engine, Some(marks(at)), batch(&engine, &events)).0;
            assert_eq!(found, expected, "{at:?}");
        }
        assert_eq!(counts(&engine, None, batch(&engine, &events)).0, "123114");
    }

    #[test]
    fn what_landed_twice_counts_once() {
        let engine = engine(); // without `dedupe`: an id may come again, a place may not
        let events = [("a", "s", 1), ("a", "s", 2), ("a", "s", 1), ("a", "t", 1), ("a", "s", 1)];
        let (found, replayed) = counts(&engine, None, batch(&engine, &events));
        assert_eq!((found.as_str(), replayed.repeats), ("1--23", vec![1, 2])); // s1 three times, t1, s2
        let events = [("a", "", 1), ("a", "", 1)]; // in files, where a place says nothing
        assert_eq!(counts(&engine, None, batch(&engine, &events)).0, "12");
    }

    #[test]
    fn a_history_from_files_is_always_applied() {
        let engine = engine();
        let events = [("a", "", 1), ("b", "", 2), ("a", "s", 3), ("b", "s", 4)];
        let found = counts(&engine, Some(marks(&[("a", "s", 3)])), batch(&engine, &events)).0;
        assert_eq!(found, "112-");
    }
}
