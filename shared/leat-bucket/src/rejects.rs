//! What could not go on: how many, why, and where, without any value.

use std::collections::BTreeMap;

use leat::quality::Place;
use leat::quality::result::{RejectedBy, RejectedRows, SAMPLES};
use leat::record::Reject;
use serde::{Deserialize, Serialize};

/// Rejects by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rejects(BTreeMap<String, Rejected>);

/// The rejects of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// How many.
    pub count: u64,
    /// Where the first one stands.
    pub first: String,
    /// Why it was rejected.
    pub message: String,
    /// Where the first [`SAMPLES`] stand.
    #[serde(default)]
    pub samples: Vec<Place>,
}

impl Rejects {
    /// Counts more of them.
    pub fn add(&mut self, rejects: &[Reject]) {
        for reject in rejects {
            let place = || Place::from(&reject.coordinates);
            let new = || Rejected {
                count: 0,
                first: place().to_string(),
                message: reject.reason.message.clone(),
                samples: Vec::new(),
            };
            let known = self.0.entry(reject.reason.rule.clone()).or_insert_with(new);
            known.count += 1;
            if known.samples.len() < SAMPLES {
                known.samples.push(place());
            }
        }
    }

    /// Adds what was counted of another part, which comes after this one.
    pub fn merge(&mut self, other: Rejects) {
        for (rule, rejected) in other.0 {
            match self.0.get_mut(&rule) {
                Some(known) => {
                    known.count = known.count.saturating_add(rejected.count);
                    known.samples.extend(rejected.samples);
                    known.samples.truncate(SAMPLES);
                }
                None => drop(self.0.insert(rule, rejected)),
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, rule| sum.saturating_add(rule.count))
    }

    /// The rules and their rejects, in ascending order of the rules.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rejected)> {
        self.0.iter().map(|(rule, rejected)| (rule.as_str(), rejected))
    }

    /// The rejects of `rule`.
    pub fn of(&self, rule: &str) -> Option<&Rejected> {
        self.0.get(rule)
    }

    /// As the record of a run has them.
    pub fn recorded(&self) -> RejectedBy {
        let rows = |of: &Rejected| RejectedRows {
            count: of.count,
            reason: of.message.clone(),
            samples: of.samples.clone(),
        };
        self.0.iter().map(|(rule, of)| (rule.clone(), rows(of))).collect()
    }
}
