//! How often each value of a column stands in some rows: what is there of a column whose file keeps it as numbers of a dictionary.

use crate::column::Column;

/// How often each value of a column stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// How many rows there are, those with null among them.
    pub rows: usize,
    /// The values, in no order. One that stands here twice stands as often as both together.
    pub values: Column,
    /// In how many rows each of them stands.
    pub counts: Vec<u64>,
}

impl Tally {
    /// The places of the values that stand in some row, and in how many.
    pub(super) fn there(&self) -> impl Iterator<Item = (usize, u64)> {
        let there = |(at, count): &(usize, u64)| *count > 0 && self.values.is_valid(*at);
        self.counts.iter().copied().enumerate().filter(there)
    }
}
