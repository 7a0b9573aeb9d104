//! Slices of a run's rows, by event time. Windows are replayed over all events; what is learnt is learnt of the training
//! slice alone.

use serde::{Deserialize, Serialize};

/// A slice of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slice {
    /// What the state and the model learn from.
    Train,
    /// What models are compared on.
    Evaluate,
}

impl Slice {
    /// Both, in order of time.
    pub const ALL: [Slice; 2] = [Slice::Train, Slice::Evaluate];

    /// Its word, in keys and documents.
    pub const fn word(self) -> &'static str {
        match self {
            Slice::Train => "train",
            Slice::Evaluate => "evaluate",
        }
    }
}

/// Where the slices end, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    /// The training slice has the events before this time.
    pub train_until: i64,
    /// The evaluation slice has those from there on and before this time.
    pub evaluate_until: i64,
}

impl Slices {
    /// The slice of an event; none if it lies beyond both.
    pub const fn of(&self, event_time: i64) -> Option<Slice> {
        if event_time < self.train_until {
            Some(Slice::Train)
        } else if event_time < self.evaluate_until {
            Some(Slice::Evaluate)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_excluded() {
        let slices = Slices { train_until: 10, evaluate_until: 20 };
        let found = [9, 10, 19, 20].map(|time| slices.of(time));
        assert_eq!(found, [Some(Slice::Train), Some(Slice::Evaluate), Some(Slice::Evaluate), None]);
    }
}
