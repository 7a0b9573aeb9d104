//! What became of each event, the answer that follows from it, and the accounts.

use leat::record::Coordinates;
use leat_aws::Accounts;
use serde::Serialize;

/// What became of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Not both applied and emitted: it comes again.
    #[default]
    HandedBack,
    /// Applied by this invocation, and taken by every sink.
    Written,
    /// Applied before, or a repeat of an id.
    AlreadyApplied,
    /// Applied, refused by a sink until it was too old, and put aside as an exact row.
    Undelivered,
}

/// The answer to the mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Empty, or the one record from which on all come again.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// One record of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Its sequence number.
    pub item_identifier: String,
}

impl Answer {
    /// The answer that hands back from the lowest of `records` on; none: all is done.
    pub fn from<'a>(records: impl IntoIterator<Item = &'a (String, Coordinates)>) -> Self {
        let lowest = records.into_iter().min_by(|(_, a), (_, b)| a.position.cmp(&b.position));
        let failure = lowest.map(|(number, _)| ItemFailure { item_identifier: number.clone() });
        Answer { batch_item_failures: failure.into_iter().collect() }
    }
}

/// The accounts of events with these fates, and of those that had none: `quarantined`, and `sentinels`, which a rule drops.
pub fn accounts(fates: &[Fate], quarantined: usize, sentinels: usize) -> Accounts {
    let count = |fate| fates.iter().filter(|&&f| f == fate).count() as u64;
    Accounts {
        received: (fates.len() + quarantined + sentinels) as u64,
        written: count(Fate::Written),
        dropped: sentinels as u64, // the other rules quarantine; none drops
        quarantined: quarantined as u64,
        already_applied: count(Fate::AlreadyApplied),
        handed_back: count(Fate::HandedBack),
        undelivered: count(Fate::Undelivered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat::record::{Position, Sequence};

    #[test]
    fn the_lowest_number_is_answered() {
        let record = |number: &str| {
            let position = Position { sequence: Sequence::new(number), ..Position::default() };
            let coordinates =
                Coordinates { source: "s".into(), shard: "0".into(), position, arrival: None };
            (number.to_owned(), coordinates)
        };
        let records = ["100", "99", "101"].map(record);
        let answer = serde_json::to_string(&Answer::from(&records)).unwrap();
        assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"99"}]}"#);
        assert_eq!(
            serde_json::to_string(&Answer::from([])).unwrap(),
            r#"{"batchItemFailures":[]}"#
        );
    }

    #[test]
    fn every_event_is_in_one_account() {
        let fates = [
            Fate::Written,
            Fate::HandedBack,
            Fate::AlreadyApplied,
            Fate::Undelivered,
            Fate::Written,
        ];
        let accounts = accounts(&fates, 2, 1);
        assert_eq!((accounts.received, accounts.written, accounts.quarantined), (8, 2, 2));
        assert_eq!(accounts.dropped, 1);
        assert!(accounts.balance());
    }
}
