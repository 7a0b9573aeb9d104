//! What `fit`, `transform` and `seed` begin with: a recipe, data, and the rows of the data with their windows.

use std::collections::HashMap;
use std::num::NonZero;

use clap::Args;
use leat::decode::Batch;
use leat::engine::{Engine, Order};
use leat::windows::EntityState;
use leat_batch::{Cores, Replay, order_word};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::data::{DataArguments, LeftOut};
use crate::places::Places;
use crate::recipe::{self, KeysArgument};

/// A recipe and data.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// The recipe.
    pub recipe: String,
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    keys: KeysArgument,
    /// How many cores to work on, at most; all without it. What comes out does not depend on it.
    #[arg(long, value_name = "N")]
    cores: Option<NonZero<usize>>,
}

/// Rows that are ready for their windows, and what was left out.
pub struct Admitted<'e> {
    /// The rows, in the order of the replay.
    pub rows: Replay<'e>,
    /// How many they are, with repeats.
    pub count: usize,
    /// What was left out.
    pub left_out: LeftOut,
}

/// What became of the data.
pub struct Replayed {
    rows: u64,
    repeats: u64,
    late: u64,
    order: Order,
    left_out: LeftOut,
}

impl Arguments {
    /// The recipe, ready to run.
    pub fn engine(&self, places: &Places) -> Result<Engine, Refusal> {
        recipe::load(places, &self.recipe, &self.keys)
    }

    /// The cores to work on.
    pub fn cores(&self) -> Cores {
        self.cores.map_or_else(Cores::all, Cores::new)
    }

    /// Reads the data, to be taken through the windows of `engine`.
    pub fn admit<'e>(&self, places: &Places, engine: &'e Engine) -> Result<Admitted<'e>, Refusal> {
        let format = engine.recipe().schema.format;
        let data = self.data.find(places, format, self.keys.given())?;
        let (parts, left_out) = data.admit(engine, self.cores())?;
        if parts.is_empty() {
            return Err(Refusal::new("the data has no row that the recipe takes"));
        }
        let count = parts.iter().map(Batch::len).sum();
        Ok(Admitted { rows: Replay::new(engine, self.cores(), parts), count, left_out })
    }
}

impl Admitted<'_> {
    /// Takes all rows through their windows, at once. Says on standard error what is to be known.
    pub fn replay(self, engine: &Engine) -> (Vec<Batch>, HashMap<Box<str>, EntityState>, Replayed) {
        let Admitted { mut rows, left_out, .. } = self;
        let parts: Vec<Batch> = rows.by_ref().flatten().collect();
        let count = parts.iter().map(Batch::len).sum::<usize>() as u64;
        let replayed = Replayed::new(count, &rows, left_out);
        replayed.tell(engine);
        (parts, rows.into_states(), replayed)
    }
}

impl Replayed {
    /// What became of the data, of which `rows` went through the windows of `replay`.
    pub fn new(rows: u64, replay: &Replay<'_>, left_out: LeftOut) -> Self {
        let (repeats, late, order) = (replay.repeats(), replay.late(), replay.order());
        Replayed { rows, repeats, late, order, left_out }
    }

    /// Says on standard error what is to be known.
    pub fn tell(&self, engine: &Engine) {
        if self.repeats > 0 {
            eprintln!("note: {} rows are repeats of an id and were left out", self.repeats);
        }
        if !engine.recipe().windows.is_empty() {
            eprintln!("note: {}", reason(self.order));
        }
    }

    /// What was left out.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The rows in and out, for a document.
    pub fn counts(&self) -> Value {
        json!({
            "rows": self.rows,
            "rejected": self.left_out.rejected(),
            "rejected_by": self.left_out.rejected_by(),
            "dropped_by": self.left_out.dropped_by(),
            "already_applied": self.repeats,
            "late": self.late,
            "order": order_word(self.order),
        })
    }

    /// The same for a person.
    pub fn summary(&self) -> String {
        let mut text = format!("{} rows", self.rows);
        for (count, what) in [
            (self.left_out.rejected(), "rejected"),
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
