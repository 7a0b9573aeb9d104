//! A replay of many entities on all cores. An entity's windows are its own: shares of the entities are replayed apart, and
//! what comes out is the same, in the same order, whatever the number of cores.

use std::collections::HashMap;
use std::vec;

use leat::decode::Batch;
use leat::engine::{self, Engine, Order, Outcome, compare};
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

    /// For each part of `round` and each row the share that has its entity; nothing where there is but one.
    fn shares(&self, round: &[Batch]) -> Vec<Vec<u32>> {
        let count = u32::try_from(self.replays.len()).unwrap_or(u32::MAX);
        self.cores.map(round.iter().collect(), |part| match count {
            1 => Vec::new(),
            _ => {
                let share = |row| bucket_of(&self.engine.entity(part, row), count);
                (0..part.len()).map(share).collect()
            }
        })
    }

    /// Takes the rows of `round` into the states: for each share and each part what became of its rows.
    fn apply(&mut self, round: &[Batch], shares: &[Vec<u32>]) -> Vec<vec::IntoIter<Vec<Outcome>>> {
        let first = self.before.as_ref();
        let ends = round.iter().map(|part| part.rows.last().map(|row| &row.coordinates));
        let befores: Vec<_> = std::iter::once(first).chain(ends).collect();
        let own = |(mine, replay): (u32, &mut engine::Replay<'_>)| -> Vec<Vec<Outcome>> {
            let parts = round.iter().zip(shares).zip(&befores);
            parts
                .map(|((part, shares), end)| {
                    let is_own = |row: &usize| shares.get(*row).is_none_or(|share| *share == mine);
                    let rows = (0..part.len()).filter(is_own);
                    rows.map(|row| {
                        let before = row.checked_sub(1).map(|row| &part.rows[row].coordinates);
                        replay.row(part, row, before.or(*end))
                    })
                    .collect()
                })
                .collect()
        };
        let made = self.cores.map((0..).zip(&mut self.replays).collect(), own);
        made.into_iter().map(Vec::into_iter).collect()
    }
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
        let last = round.last()?.rows.last().map(|row| row.coordinates.clone());
        let shares = self.shares(&round);
        let mut outcomes = self.apply(&round, &shares);
        let parts = round.into_iter().zip(shares).map(|(part, shares)| {
            let of_part = outcomes.iter_mut().map(|of_share| of_share.next().unwrap_or_default());
            (part, shares, of_part.map(Vec::into_iter).collect())
        });
        let parts = parts.collect();
        let engine = self.engine;
        let filled =
            self.cores.map(parts, |(part, shares, outcomes)| fill(engine, part, &shares, outcomes));
        self.before = last.or(self.before.take());
        let filled = filled.into_iter().map(|(part, repeats, late)| {
            self.repeats += repeats;
            self.late += late;
            part
        });
        Some(filled.collect())
    }
}

/// `part` with its window columns and without repeats; how many were repeats, and how many late. `outcomes` are those of each
/// share.
fn fill(
    engine: &Engine,
    mut part: Batch,
    shares: &[u32],
    mut outcomes: Vec<vec::IntoIter<Outcome>>,
) -> (Batch, u64, u64) {
    let (mut values, mut new, mut late) = (Vec::with_capacity(part.len()), Vec::new(), 0);
    for row in 0..part.len() {
        let share = shares.get(row).copied().unwrap_or_default() as usize;
        values.push(match outcomes.get_mut(share).and_then(Iterator::next) {
            Some(Outcome::New { values, late: is_late }) => {
                late += u64::from(is_late);
                new.push(row);
                Some(values)
            }
            _ => None,
        });
    }
    engine.windows().fill(&mut part.columns, &values);
    let repeats = (part.len() - new.len()) as u64;
    (part.keep(&new), repeats, late)
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
