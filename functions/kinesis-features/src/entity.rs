//! The decisions on one entity, without I/O: what was applied before, what a step commits, what the outbox keeps.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use leat::decode::Batch;
use leat::record::{Coordinates, Position, Row, Sequence};
use leat::windows::item::{Item, OutboxRow};
use leat::windows::{Applied, EntityState, RowValues, Windows};

/// Bytes of new rows that a step commits at most, but for a single row that is larger.
pub const STEP_BYTES: usize = 100_000;

/// A place in a stream: what tells an outbox row from all others.
pub type Place = (Arc<str>, Arc<str>, Position);

/// The place of `coordinates`.
pub fn place(coordinates: &Coordinates) -> Place {
    let Coordinates { source, shard, position, .. } = coordinates;
    (source.clone(), shard.clone(), position.clone())
}

/// An entity's rows of the batch as its item sees them.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// Rows that were applied before, each with its row of the outbox, by index, if it is still there.
    pub applied: Vec<(usize, Option<usize>)>,
    /// Rows that were not.
    pub fresh: Vec<usize>,
    /// The rows of the outbox, by index, that are to be emitted again: those of applied events, and those of events
    /// whose identity came again.
    pub again: Vec<usize>,
}

/// Tells which of `rows` `item` has applied.
pub fn see(item: &Item, batch: &Batch, rows: &[usize]) -> Seen {
    let mut seen = Seen::default();
    for &row in rows {
        let Row { coordinates, identity, .. } = &batch.rows[row];
        let of = |found: &OutboxRow| {
            let Coordinates { source, shard, position, .. } = &found.coordinates;
            *source == coordinates.source
                && *shard == coordinates.shard
                && *position == coordinates.position
        };
        let own = item.outbox.iter().position(of);
        let own = own.or_else(|| item.outbox.iter().position(|found| found.identity == *identity));
        if item.is_applied(coordinates) {
            seen.applied.push((row, own));
        } else {
            seen.fresh.push(row);
        }
        if let Some(own) = own.filter(|own| !seen.again.contains(own)) {
            seen.again.push(own);
        }
    }
    seen
}

/// What windows made of fresh rows.
#[derive(Debug)]
pub struct Windowed {
    /// For each row, its window columns and whether it came late; none for a repeat.
    pub rows: Vec<(usize, Option<(RowValues, bool)>)>,
    /// The state after all of them.
    pub after: EntityState,
}

/// Applies `rows`, in order, to a copy of `state`.
pub fn apply(windows: &Windows, state: &EntityState, batch: &Batch, rows: &[usize]) -> Windowed {
    let mut after = state.clone();
    let rows = rows
        .iter()
        .map(|&row| {
            match windows.apply(&mut after, &batch.columns, row, batch.rows[row].identity) {
                Applied::New { values, late, .. } => (row, Some((values, late))),
                Applied::Repeat => (row, None),
            }
        })
        .collect();
    Windowed { rows, after }
}

/// A row that may be committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// The row of the batch.
    pub row: usize,
    /// What the sinks get; none for a repeat, of which only the mark tells.
    pub out: Option<OutboxRow>,
}

/// How many of the first rows a step commits.
pub fn step(ready: &[Ready]) -> usize {
    let mut bytes = 0;
    let fits = |ready: &&Ready| {
        bytes += ready.out.as_ref().map_or(0, |out| out.bytes.len());
        bytes <= STEP_BYTES
    };
    ready.iter().take_while(fits).count().max(1).min(ready.len())
}

/// Which rows of an outbox may go with the next commit.
#[derive(Debug)]
pub struct Retention<'a> {
    /// The stream and the shard of the batch, and its first sequence number: what lies before was answered.
    pub first: (&'a str, &'a str, &'a Sequence),
    /// Now, in milliseconds.
    pub now: i64,
    /// After so long the mapping gives a record up.
    pub max_record_age: Duration,
}

/// How long rows of other shards, and marks of shards that no record comes from any more, stay beyond the greatest
/// age of a record.
const GRACE: Duration = Duration::from_secs(3600);

/// Marks of so many shards stay, however old: they are what a hand-over replays up to.
const MARKS: usize = 64;

impl Retention<'_> {
    /// True if `row` has to stay: not every sink took it in this invocation (`taken`), and it may come again.
    pub fn keeps(&self, row: &OutboxRow, taken: &HashSet<Place>) -> bool {
        if taken.contains(&place(&row.coordinates)) {
            return false;
        }
        let Coordinates { source, shard, position, arrival } = &row.coordinates;
        let (first_source, first_shard, first) = self.first;
        if &**source == first_source && &**shard == first_shard {
            return position.sequence >= *first;
        }
        !self.is_gone(*arrival)
    }

    /// True if a record that arrived then comes no more, with an hour to spare.
    fn is_gone(&self, arrival: Option<i64>) -> bool {
        let bound = millis(self.max_record_age + GRACE);
        arrival.is_some_and(|arrival| self.now.saturating_sub(arrival) > bound)
    }

    /// True if a record that arrived then comes only for a few minutes more: what no sink took by now is put aside.
    pub fn is_last_call(&self, arrival: Option<i64>) -> bool {
        // A very short age leaves half of itself.
        let quarter = Duration::from_secs(15 * 60).min(self.max_record_age / 2);
        let bound = millis(self.max_record_age - quarter);
        arrival.is_some_and(|arrival| self.now.saturating_sub(arrival) > bound)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The item after a step: the state's bytes, the mark at the last of `ready`, the outbox with its rows.
pub fn next_item(
    item: &Item,
    state: &EntityState,
    ready: &[Ready],
    batch: &Batch,
    retention: &Retention<'_>,
    taken: &HashSet<Place>,
) -> Item {
    let mut next = Item {
        windows: state.encode(),
        marks: item.marks.clone(),
        outbox: item.outbox.iter().filter(|row| retention.keeps(row, taken)).cloned().collect(),
    };
    if let Some(last) = ready.last() {
        next.set_mark(&batch.rows[last.row].coordinates);
    }
    while next.marks.len() > MARKS {
        let gone = next.marks.iter().position(|mark| retention.is_gone(mark.arrival));
        let Some(gone) = gone else { break };
        next.marks.remove(gone);
    }
    next.outbox.extend(ready.iter().filter_map(|ready| ready.out.clone()));
    next
}
