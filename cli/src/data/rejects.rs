//! What could not go on: how many, why, and where, without any value.

use std::collections::BTreeMap;

use leat::record::Reject;
use leat::sentinel;
use serde_json::{Value, json};

/// Rejects by rule, and what was dropped.
#[derive(Debug, Default)]
pub struct Rejects {
    rules: BTreeMap<String, Rule>,
    sentinels: u64,
}

#[derive(Debug)]
struct Rule {
    count: u64,
    /// The first one's place and message.
    first: String,
    message: String,
}

impl Rejects {
    /// Counts more of them.
    pub fn add(&mut self, rejects: &[Reject]) {
        for reject in rejects {
            let new =
                || Rule { count: 0, first: place(reject), message: reject.reason.message.clone() };
            self.rules.entry(reject.reason.rule.clone()).or_insert_with(new).count += 1;
        }
    }

    /// Counts so many lines that are no events.
    pub fn drop_sentinels(&mut self, count: u64) {
        self.sentinels += count;
    }

    /// How many were dropped, by rule.
    pub fn dropped(&self) -> Value {
        match self.sentinels {
            0 => json!({}),
            count => json!({(sentinel::RULE): count}),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.rules.values().map(|rule| rule.count).sum()
    }

    /// Says on standard error what was left out.
    pub fn tell(&self) {
        for (rule, Rule { count, first, message }) in &self.rules {
            eprintln!("note: {count} rejected by rule `{rule}`; the first is {first}: {message}");
        }
    }

    /// How many by rule.
    pub fn document(&self) -> Value {
        self.rules.iter().map(|(rule, Rule { count, .. })| (rule.clone(), json!(count))).collect()
    }
}

/// Where a reject stands, as an editor counts.
fn place(reject: &Reject) -> String {
    let coordinates = &reject.coordinates;
    let position = &coordinates.position;
    match &*coordinates.shard {
        "" => format!("{}:{}", coordinates.source, position.line + 1),
        shard => format!(
            "{} {shard} {} (line {} of sub-record {})",
            coordinates.source,
            position.sequence.as_str(),
            position.line,
            position.sub
        ),
    }
}
