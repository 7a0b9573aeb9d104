//! From data to rows with their windows, in the order of a replay.

use leat::decode::Batch;
use leat::engine::{Engine, Order, Replay, order};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::data::{Data, Rejects};

/// Rows whose windows are filled.
pub struct Replayed {
    /// The rows, in the order of the replay, without repeats.
    pub batch: Batch,
    /// What could not go on.
    pub rejects: Rejects,
    /// How many had been applied before.
    pub repeats: u64,
    /// How many came too late for a window.
    pub late: u64,
    order: Order,
}

/// Reads `data` and takes it through the windows of `engine`. Says on standard error what is to be known.
pub fn replay(engine: &Engine, data: &Data<'_>) -> Result<Replayed, Refusal> {
    let (batch, rejects) = data.admit(engine)?;
    rejects.tell();
    if batch.is_empty() {
        return Err(Refusal::new("the data has no row that the recipe takes"));
    }
    let (rows, order) = order(engine, &batch);
    let mut batch = batch.gather(&rows);
    let replayed = Replay::new(engine).apply(&mut batch);
    let late = replayed.late.iter().filter(|late| **late).count() as u64;
    let repeats = replayed.repeats.len() as u64;
    if repeats > 0 {
        let mut new = vec![true; batch.len()];
        replayed.repeats.iter().for_each(|&row| new[row] = false);
        let new: Vec<usize> = (0..batch.len()).filter(|&row| new[row]).collect();
        batch = batch.gather(&new);
        eprintln!("note: {repeats} rows are repeats of an id and were left out");
    }
    if !engine.recipe().windows.is_empty() {
        eprintln!("note: {}", reason(order));
    }
    Ok(Replayed { batch, rejects, repeats, late, order })
}

impl Replayed {
    /// The rows in and out, for a document.
    pub fn counts(&self) -> Value {
        json!({
            "rows": self.batch.len(),
            "rejected": self.rejects.count(),
            "rejected_by": self.rejects.document(),
            "dropped_by": self.rejects.dropped(),
            "already_applied": self.repeats,
            "late": self.late,
            "order": match self.order {
                Order::Stream => "stream",
                Order::EventTime => "event_time",
                Order::HistoryThenStream => "history_then_stream",
            },
        })
    }

    /// The same for a person.
    pub fn summary(&self) -> String {
        let mut text = format!("{} rows", self.batch.len());
        for (count, what) in [
            (self.rejects.count(), "rejected"),
            (self.repeats, "already applied"),
            (self.late, "late"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text
    }
}

const fn reason(order: Order) -> &'static str {
    match order {
        Order::Stream => {
            "windows were replayed in the order of the stream, by the rows' coordinates"
        }
        Order::EventTime => {
            "the rows have no coordinates of a stream: windows were replayed by event time, then id"
        }
        Order::HistoryThenStream => {
            "windows were replayed by event time for rows without coordinates, then in the order of the stream"
        }
    }
}
