//! From admitted rows to rows with their windows, in the order of a replay.

use std::collections::HashMap;

use leat::decode::Batch;
use leat::engine::{Engine, Order, Replay, order};
use leat::windows::EntityState;

/// Rows whose windows are filled.
#[derive(Debug)]
pub struct Replayed {
    /// The rows, in the order of the replay, without repeats.
    pub batch: Batch,
    /// How many had been applied before.
    pub repeats: u64,
    /// How many came too late for a window.
    pub late: u64,
    /// In which order the replay went.
    pub order: Order,
    /// What the events have left behind, by entity.
    pub states: HashMap<Box<str>, EntityState>,
}

/// The rows of `parts`, which `engine` admitted, in the order of a replay.
pub fn in_order(engine: &Engine, parts: Vec<Batch>) -> (Batch, Order) {
    let batch = joined(engine, parts);
    let (rows, order) = order(engine, &batch);
    match rows.is_sorted() {
        true => (batch, order),
        false => (batch.gather(&rows), order),
    }
}

/// The rows of `parts`, which `engine` admitted, one part after the other.
pub fn joined(engine: &Engine, parts: Vec<Batch>) -> Batch {
    let rows = parts.iter().map(Batch::len).sum::<usize>();
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_else(|| {
        let mut none = engine.decoder().batch();
        engine.derive(&mut none);
        none
    });
    all.reserve(rows - all.len());
    parts.for_each(|part| all.append(part));
    all
}

/// Takes rows that are in the order of a replay through the windows of `engine`, and leaves out repeats of an identity.
pub fn windows(engine: &Engine, mut batch: Batch, order: Order) -> Replayed {
    let mut replay = Replay::new(engine);
    let found = replay.apply(&mut batch);
    let late = found.late.iter().filter(|late| **late).count() as u64;
    let repeats = found.repeats.len() as u64;
    if repeats > 0 {
        let mut new = vec![true; batch.len()];
        found.repeats.iter().for_each(|&row| new[row] = false);
        let new: Vec<usize> = (0..batch.len()).filter(|&row| new[row]).collect();
        batch = batch.gather(&new);
    }
    Replayed { batch, repeats, late, order, states: replay.into_states() }
}

/// The word for an order, in documents.
pub const fn order_word(order: Order) -> &'static str {
    match order {
        Order::Stream => "stream",
        Order::EventTime => "event_time",
        Order::HistoryThenStream => "history_then_stream",
    }
}
