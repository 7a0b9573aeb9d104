//! A replay of many entities on all cores. An entity's windows are its own: shares of the entities are replayed apart, and
//! what comes out is the same, in the same order, whatever the number of cores.

use std::collections::HashMap;
use std::vec;

use leat::decode::Batch;
use leat::engine::{self, Engine, Order, Outcomes, Replayed, compare};
use leat::record::{Coordinates, bucket_of};
use leat::windows::EntityState;
use leat_bucket::{PART, joined};

use crate::Cores;

/// Rows that go through the windows together, unless a part has more.
pub const ROUND: usize = 1 << 17;

/// Shares of entities for each core, if there are several: some entities have many more events than others.
const SHARES: usize = 8;

/// Takes rows through the windows of an engine, in the order of a replay, and leaves out repeats of an identity. As an
/// iterator it gives the rows a round at a time, each in parts of some thousand rows.
pub struct Replay<'e> {
    engine: &'e Engine,
    cores: Cores,
    parts: vec::IntoIter<Batch>,
    order: Order,
    /// For each share of the entities their states.
    replays: Vec<engine::Replay<'e>>,
    /// Where the last row came from.
    before: Option<Coordinates>,
    repeats: u64,
    late: u64,
}

impl<'e> Replay<'e> {
    /// A replay of the rows of `parts`, which `engine` admitted.
    pub fn new(engine: &'e Engine, cores: Cores, parts: Vec<Batch>) -> Self {
        let (parts, order) = in_order(engine, cores, parts);
        let shares = if cores == Cores::ONE { 1 } else { cores.count().saturating_mul(SHARES) };
        let replays = (0..shares).map(|_| engine::Replay::new(engine)).collect();
        let (before, repeats, late) = Default::default();
        Replay { engine, cores, parts: parts.into_iter(), order, replays, before, repeats, late }
    }

    /// In which order the replay goes.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many rows had been applied before, so far.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    /// How many rows came too late for a window, so far.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// What the events that were taken so far have left behind, by entity.
    pub fn into_states(self) -> HashMap<Box<str>, EntityState> {
        self.replays.into_iter().flat_map(engine::Replay::into_states).collect()
    }

    /// Takes the rows of `round` into the states: for each share and each part what became of its rows.
    fn apply(&mut self, round: &[Batch], owned: &[Vec<Vec<usize>>]) -> Vec<Vec<Outcomes>> {
        let befores = befores(self.before.as_ref(), round);
        let own = |(mine, replay): (usize, &mut engine::Replay<'_>)| -> Vec<Outcomes> {
            let parts = round.iter().zip(owned).zip(&befores);
            parts.map(|((part, owned), before)| replay.rows(part, &owned[mine], *before)).collect()
        };
        self.cores.map(self.replays.iter_mut().enumerate().collect(), own)
    }

    /// Takes the rows of `round` into the states and fills their window columns: for each part what became of its rows.
    fn fill(&mut self, round: &mut [Batch]) -> Vec<Replayed> {
        if let [replay] = &mut self.replays[..] {
            let mut before = self.before.clone();
            let apply = |part: &mut Batch| {
                let replayed = replay.apply_after(part, before.as_ref());
                before = last(part).cloned().or(before.take());
                replayed
            };
            return round.iter_mut().map(apply).collect();
        }
        let (engine, count) = (self.engine, self.replays.len());
        let shares = self.cores.map(round.iter().collect(), |part| shares(engine, part, count));
        let owned = self.cores.map(shares.iter().collect(), |shares| owned(shares, count));
        let outcomes = self.apply(round, &owned);
        let mut of_part: Vec<Vec<Outcomes>> = round.iter().map(|_| Vec::new()).collect();
        for of_share in outcomes {
            of_part.iter_mut().zip(of_share).for_each(|(of_part, made)| of_part.push(made));
        }
        let parts = round.iter_mut().zip(shares).zip(of_part).collect();
        self.cores.map(parts, |((part, shares), outcomes): ((&mut Batch, Vec<u32>), _)| {
            engine::fill(engine, part, &shares, &outcomes)
        })
    }
}

/// For each row of `part` the share, of `count`, that has its entity.
fn shares(engine: &Engine, part: &Batch, count: usize) -> Vec<u32> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (0..part.len()).map(|row| bucket_of(&engine.entity(part, row), count)).collect()
}

/// The rows of each share, of `count`.
fn owned(shares: &[u32], count: usize) -> Vec<Vec<usize>> {
    let mut owned = vec![Vec::new(); count];
    for (row, share) in shares.iter().enumerate() {
        owned[*share as usize].push(row);
    }
    owned
}

/// Where the last row of `part` came from.
fn last(part: &Batch) -> Option<&Coordinates> {
    part.rows.last().map(|row| &row.coordinates)
}

/// For each part of `round` where the row came from that stands before it; `first` before the first.
fn befores<'b>(first: Option<&'b Coordinates>, round: &'b [Batch]) -> Vec<Option<&'b Coordinates>> {
    let mut before = first;
    let next = |part: &'b Batch| {
        let after = last(part).or(before);
        std::mem::replace(&mut before, after)
    };
    round.iter().map(next).collect()
}

impl Iterator for Replay<'_> {
    type Item = Vec<Batch>;

    fn next(&mut self) -> Option<Vec<Batch>> {
        let (mut round, mut rows) = (Vec::new(), 0);
        while rows < ROUND {
            let Some(part) = self.parts.next() else { break };
            rows += part.len();
            round.push(part);
        }
        if round.is_empty() {
            return None;
        }
        let replayed = self.fill(&mut round);
        let ends = round.iter().rev().find_map(last).cloned();
        self.before = ends.or(self.before.take());
        for Replayed { repeats, late, .. } in &replayed {
            self.repeats += repeats.len() as u64;
            self.late += late.iter().filter(|late| **late).count() as u64;
        }
        let parts = round.into_iter().zip(replayed).collect();
        Some(self.cores.map(parts, |(part, replayed)| new_rows(part, &replayed.repeats)))
    }
}

/// `part` without the rows `repeats`, which ascend.
fn new_rows(part: Batch, repeats: &[usize]) -> Batch {
    let mut repeats = repeats.iter().peekable();
    let rows = (0..part.len()).filter(|row| repeats.next_if_eq(&row).is_none());
    let new: Vec<usize> = rows.collect();
    part.keep(&new)
}

/// The rows of `parts` in the order of a replay.
fn in_order(engine: &Engine, cores: Cores, parts: Vec<Batch>) -> (Vec<Batch>, Order) {
    let of_stream =
        |part: &Batch| part.rows.iter().filter(|row| !row.coordinates.shard.is_empty()).count();
    let order = Order::of(parts.iter().map(of_stream).sum(), parts.iter().map(Batch::len).sum());
    if are_in_order(engine, cores, &parts) {
        return (parts, order);
    }
    let all = joined(engine, parts);
    let runs = all.len().div_ceil(cores.count()).max(1);
    let runs = (0..all.len()).step_by(runs).map(|start| start..(start + runs).min(all.len()));
    let by_place = |a: &usize, b: &usize| compare(engine, (&all, *a), (&all, *b));
    let sorted = cores.map(runs.collect(), |run| {
        let mut rows: Vec<usize> = run.collect();
        rows.sort_by(by_place);
        rows
    });
    // Stable, and quick to see that there are sorted runs.
    let mut rows = sorted.concat();
    rows.sort_by(by_place);
    (cores.map(rows.chunks(PART).collect(), |rows| all.gather(rows)), order)
}

/// True if the rows of `parts` are in the order of a replay as they stand.
fn are_in_order(engine: &Engine, cores: Cores, parts: &[Batch]) -> bool {
    let follows =
        |before: (&Batch, usize), after: (&Batch, usize)| compare(engine, before, after).is_le();
    let is_sorted = |at: usize| {
        let part = &parts[at];
        let within = (1..part.len()).all(|row| follows((part, row - 1), (part, row)));
        let ends = part.len().checked_sub(1).zip(parts.get(at + 1).filter(|next| !next.is_empty()));
        within && ends.is_none_or(|(last, next)| follows((part, last), (next, 0)))
    };
    cores.map((0..parts.len()).collect(), is_sorted).into_iter().all(|sorted| sorted)
}
