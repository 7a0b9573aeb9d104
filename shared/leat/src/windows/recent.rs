//! Recent ids: a producer's retry is found by the identity of its event.
//!
//! An identity is held until the entity's greatest event time passes the event's own time + `within`; at most
//! `max_ids` are held, and the oldest by event time go first (of equal times the one applied first). An event whose
//! identity is held is a repeat, whatever its time.

use crate::recipe::Dedupe;
use crate::record::Identity;

#[derive(Clone, Copy, Debug)]
pub(super) struct Recent(Dedupe);

/// The identities that are held, by event time ascending; of equal times as they were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids(pub Vec<(i64, Identity)>);

impl Ids {
    pub fn holds(&self, identity: Identity) -> bool {
        self.0.iter().rev().any(|(_, held)| *held == identity)
    }
}

impl Recent {
    pub fn new(dedupe: Dedupe) -> Self {
        Recent(dedupe)
    }

    /// Holds the identity of an event that was applied, and lets go of what is no longer to be held.
    pub fn apply(&self, ids: &mut Ids, identity: Identity, time: i64, greatest: i64) {
        let at = ids.0.partition_point(|(held, _)| *held <= time);
        ids.0.insert(at, (time, identity));
        let dead = ids.0.partition_point(|(held, _)| held.saturating_add(self.0.within) < greatest);
        let over = ids.0.len().saturating_sub(self.0.max_ids);
        ids.0.drain(..dead.max(over));
    }
}
