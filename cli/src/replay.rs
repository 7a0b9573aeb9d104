//! What `fit`, `transform` and `seed` begin with: a recipe, data, and the rows of the data with their windows.

use clap::Args;
use leat::engine::{Engine, Order};
use leat_batch::order_word;
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
}

/// Rows whose windows are filled, and what was left out.
pub struct Replayed {
    /// The rows, in the order of the replay, without repeats; and what they have left behind.
    pub rows: leat_batch::Replayed,
    /// What was left out.
    pub left_out: LeftOut,
}

impl Arguments {
    /// The recipe, ready to run.
    pub fn engine(&self, places: &Places) -> Result<Engine, Refusal> {
        recipe::load(places, &self.recipe, &self.keys)
    }

    /// Reads the data and takes it through the windows of `engine`. Says on standard error what is to be known.
    pub fn replay(&self, places: &Places, engine: &Engine) -> Result<Replayed, Refusal> {
        let recipe = engine.recipe();
        let data = self.data.find(places, recipe.schema.format, self.keys.given())?;
        let (batch, left_out) = data.admit(engine)?;
        if batch.is_empty() {
            return Err(Refusal::new("the data has no row that the recipe takes"));
        }
        let rows = leat_batch::replay(engine, &batch);
        if rows.repeats > 0 {
            eprintln!("note: {} rows are repeats of an id and were left out", rows.repeats);
        }
        if !recipe.windows.is_empty() {
            eprintln!("note: {}", reason(rows.order));
        }
        Ok(Replayed { rows, left_out })
    }
}

impl Replayed {
    /// The rows in and out, for a document.
    pub fn counts(&self) -> Value {
        json!({
            "rows": self.rows.batch.len(),
            "rejected": self.left_out.rejected(),
            "rejected_by": self.left_out.rejected_by(),
            "dropped_by": self.left_out.dropped_by(),
            "already_applied": self.rows.repeats,
            "late": self.rows.late,
            "order": order_word(self.rows.order),
        })
    }

    /// The same for a person.
    pub fn summary(&self) -> String {
        let mut text = format!("{} rows", self.rows.batch.len());
        for (count, what) in [
            (self.left_out.rejected(), "rejected"),
            (self.rows.repeats, "already applied"),
            (self.rows.late, "late"),
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
