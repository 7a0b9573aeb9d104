//! Counts by hash, in a table with open addressing.
//!
//! A slot is a hash and a byte: 0 where it is free, else the count, if that is below [`MANY`]. Most values of a column with many
//! stand once or a few times; counts of the others are kept apart. Slots are in the order of the hashes' lower half, so that a
//! table that grows is read and written from its start to its end.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::Hashed;

/// A count from here on is kept apart.
const MANY: u8 = u8::MAX;
/// The first table has so many slots.
const FIRST: usize = 64;
/// So many hashes are looked for at once.
const TOGETHER: usize = 64;

/// Counts by hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// As many as there are hashes: none, or a power of two.
    marks: Vec<u8>,
    hashes: Vec<u128>,
    many: HashMap<u128, u64, BuildHasherDefault<Hashed>>,
    len: usize,
}

impl Table {
    /// How many hashes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where a hash is looked for first; there must be slots.
    #[inline(always)]
    fn home(&self, hash: u128) -> usize {
        // The greatest bits of the lower half.
        (hash as u64 >> 1 >> (63 - self.marks.len().trailing_zeros())) as usize
    }

    /// The slot of `hash`, or the free one where it would stand; none if there are no slots.
    #[inline]
    fn find(&self, hash: u128) -> Option<usize> {
        if self.marks.is_empty() {
            return None;
        }
        let (last, mut at) = (self.marks.len() - 1, self.home(hash));
        loop {
            if self.marks[at] == 0 || self.hashes[at] == hash {
                return Some(at);
            }
            at = (at + 1) & last;
        }
    }

    /// How often `hash` stands, if it does.
    pub(super) fn get(&self, hash: u128) -> Option<u64> {
        let at = self.find(hash)?;
        (self.marks[at] > 0).then(|| self.count_at(at))
    }

    fn count_at(&self, at: usize) -> u64 {
        match self.marks[at] {
            MANY => self.many.get(&self.hashes[at]).copied().unwrap_or_default(),
            count => count.into(),
        }
    }

    /// Adds `count`, which is not 0, to the count of `hash`.
    #[inline]
    pub(super) fn add(&mut self, hash: u128, count: u64) {
        match self.find(hash) {
            Some(at) if self.marks[at] > 0 => self.add_at(at, count),
            Some(at) if self.has_room() => self.put(at, hash, count),
            _ => {
                self.grow();
                if let Some(at) = self.find(hash) {
                    self.put(at, hash, count);
                }
            }
        }
    }

    /// Adds to the counts of `hashes`, to each what `count`, which is never 0, says of its place. They are looked for some at
    /// once: where memory is far it is waited for once.
    #[inline]
    pub(super) fn add_each(&mut self, hashes: &[u128], count: impl Fn(usize) -> u64) {
        for (chunk, some) in hashes.chunks(TOGETHER).enumerate() {
            let mut there = [false; TOGETHER];
            if !self.marks.is_empty() {
                for (hash, there) in some.iter().zip(&mut there) {
                    let at = self.home(*hash);
                    *there = (self.hashes[at] == *hash) & (self.marks[at] > 0);
                }
            }
            let slots = self.marks.len();
            for (at, (hash, there)) in some.iter().zip(there).enumerate() {
                let count = count(chunk * TOGETHER + at);
                // Hashes do not move, but to another table.
                match there && self.marks.len() == slots {
                    true => self.add_at(self.home(*hash), count),
                    false => self.add(*hash, count),
                }
            }
        }
    }

    #[inline]
    fn add_at(&mut self, at: usize, count: u64) {
        let mark = &mut self.marks[at];
        match u8::try_from(count).ok().and_then(|count| mark.checked_add(count)) {
            Some(sum) if sum < MANY => *mark = sum,
            _ => {
                let before = if *mark == MANY { 0 } else { u64::from(*mark) };
                *mark = MANY;
                let many = self.many.entry(self.hashes[at]).or_insert(before);
                *many = many.saturating_add(count);
            }
        }
    }

    /// Puts a new hash into a slot that is free.
    #[inline]
    fn put(&mut self, at: usize, hash: u128, count: u64) {
        self.hashes[at] = hash;
        self.len += 1;
        self.add_at(at, count);
    }

    /// At most five of eight slots are taken.
    #[inline]
    fn has_room(&self) -> bool {
        self.len < self.marks.len() / 8 * 5
    }

    fn grow(&mut self) {
        self.rebuild((self.marks.len() * 2).max(FIRST), |_| true);
    }

    /// Leaves the hashes that `keep` keeps.
    pub(super) fn retain(&mut self, keep: impl Fn(u128) -> bool) {
        self.many.retain(|hash, _| keep(*hash));
        self.rebuild(self.marks.len(), keep);
    }

    fn rebuild(&mut self, slots: usize, keep: impl Fn(u128) -> bool) {
        let marks = std::mem::replace(&mut self.marks, vec![0; slots]);
        let hashes = std::mem::replace(&mut self.hashes, vec![0; slots]);
        self.len = 0;
        for (mark, hash) in marks.into_iter().zip(hashes) {
            if mark > 0
                && keep(hash)
                && let Some(at) = self.find(hash)
            {
                self.marks[at] = mark;
                self.hashes[at] = hash;
                self.len += 1;
            }
        }
    }

    /// The hashes and their counts, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u64)> {
        let taken =
            |(at, mark): (usize, &u8)| (*mark > 0).then(|| (self.hashes[at], self.count_at(at)));
        self.marks.iter().enumerate().filter_map(taken)
    }

    /// How many hashes stand once.
    pub(super) fn once(&self) -> usize {
        self.marks.iter().filter(|mark| **mark == 1).count()
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(hash, count)| other.get(hash) == Some(count))
    }
}

impl Eq for Table {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hashes of which many have one home.
    fn hashes() -> impl Strategy<Value = u128> {
        let low =
            prop_oneof![0u64..4, (u64::MAX - 3)..=u64::MAX, (0u64..200).prop_map(|x| x << 56)];
        (0u64..3, low).prop_map(|(high, low)| u128::from(high) << 64 | u128::from(low))
    }

    proptest! {
        #[test]
        fn a_table_is_a_map(
            added in prop::collection::vec((hashes(), prop_oneof![4 => Just(1u64), 1 => 1u64..300, 1 => Just(u64::MAX)]), 0..400),
            each in prop::collection::vec(hashes(), 0..900),
            kept in 0u64..3,
        ) {
            let (mut table, mut map) = (Table::default(), HashMap::<u128, u64>::new());
            for (hash, count) in added {
                table.add(hash, count);
                let slot = map.entry(hash).or_default();
                *slot = slot.saturating_add(count);
            }
            table.add_each(&each, |at| 1 + at as u64 % 100);
            for (at, hash) in each.into_iter().enumerate() {
                let slot = map.entry(hash).or_default();
                *slot = slot.saturating_add(1 + at as u64 % 100);
            }
            let same = |table: &Table, map: &HashMap<u128, u64>| {
                assert_eq!(&table.iter().collect::<HashMap<_, _>>(), map);
                assert_eq!(table.len(), map.len());
                assert_eq!(table.once(), map.values().filter(|count| **count == 1).count());
                assert!(map.iter().all(|(hash, count)| table.get(*hash) == Some(*count)));
                assert_eq!(table.get(u128::MAX >> 3), None);
            };
            same(&table, &map);
            let whole = table.clone();
            table.retain(|hash| (hash >> 64) as u64 <= kept);
            map.retain(|hash, _| (hash >> 64) as u64 <= kept);
            same(&table, &map);
            prop_assert_eq!(table == whole, table.len() == whole.len());
        }
    }
}
