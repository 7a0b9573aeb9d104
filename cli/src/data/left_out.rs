//! What of the data was left out: rejects, and what a rule drops.

use std::collections::BTreeMap;

use leat::sentinel;
use leat_batch::{Rejected, Rejects};
use serde_json::{Value, json};

/// What was left out of the data.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// What could not go on.
    pub rejects: Rejects,
    /// Lines that are no events.
    pub sentinels: u64,
}

impl LeftOut {
    /// How many were rejected.
    pub fn rejected(&self) -> u64 {
        self.rejects.count()
    }

    /// How many were rejected, by rule.
    pub fn rejected_by(&self) -> Value {
        self.rejects.iter().map(|(rule, of)| (rule.to_owned(), json!(of.count))).collect()
    }

    /// How many were dropped, by rule.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let count = Some(self.sentinels).filter(|count| *count > 0);
        count.into_iter().map(|count| (sentinel::RULE.to_owned(), count)).collect()
    }

    /// The same, as a document has it.
    pub fn dropped_by(&self) -> Value {
        json!(self.dropped())
    }

    /// Says on standard error what was rejected.
    pub fn tell(&self) {
        for (rule, Rejected { count, first, message, .. }) in self.rejects.iter() {
            eprintln!("note: {count} rejected by rule `{rule}`; the first is {first}: {message}");
        }
    }
}
