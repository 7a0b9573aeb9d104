//! A profile: what the columns of a data set hold, counted in one pass.
//!
//! [`Profile`] is a mergeable state, as a fit and as the metrics of rules are: profiles of parts merge into the profile of
//! the whole, in any order, to the bit, and travel as JSON. [`Profile::finish`] makes a [`Summary`] of each column, for
//! people; drift between two data sets is measured on the states themselves ([`crate::drift`]).
//!
//! - Missing is null. Of doubles, infinite values count as values, and have no part in moments, quantiles and extent.
//! - Distinct values are exact up to 1,048,576, then an estimate nearer than 0.3 % as a rule (`quality::frequencies`).
//! - Mean and standard deviation (of the population, as DQDL has it) come from exact sums.
//! - Quantiles are exact up to 100,000 different numbers, then within 0.1 % of the true ones (`features::spread`).
//! - Top values are exact while a column has at most 65,536 different values; above, they are those of a sample of the
//!   values by their hash, each with its exact count, and the summary says so.
//! - A pattern is the text with its characters put into classes: see [`mask`](mod@mask). At most 1,000 are kept.
//! - Memory is bounded by all this: some 100 MB for a column of different texts, far less as a rule.

mod column;
mod labels;
pub mod mask;
mod numbers;
pub mod personal;
mod positions;
mod summary;
mod texts;

pub use column::ColumnProfile;
pub use mask::{Class, Masks, Run};
pub use numbers::{Histogram, Numbers};
pub use personal::Personal;
pub use positions::Positions;
pub use summary::{Summary, TopValue};
pub use texts::{Reading, Texts};

use serde::{Deserialize, Serialize};

use crate::column::{Column, Type};
use crate::quality::frequencies::ValueHasher;

/// What was seen of a data set, column by column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    rows: u64,
    columns: Vec<ColumnProfile>,
}

/// A part of the counting of rows: see [`Profile::counting`].
#[derive(Debug)]
pub struct Counting<'p> {
    slot: usize,
    column: &'p mut ColumnProfile,
    parts: &'p [(&'p [Column], usize)],
}

impl Counting<'_> {
    /// Counts.
    pub fn run(self) {
        let mut hasher = ValueHasher::default();
        for (columns, rows) in self.parts {
            self.column.update(columns, self.slot, *rows, &mut hasher);
        }
    }
}

/// Profiles of different columns do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these profiles are of different columns, and do not merge")]
pub struct OtherColumns;

impl Profile {
    /// Nothing seen yet of these columns.
    pub fn new(columns: &[(String, Type)]) -> Self {
        let column = |(name, kind): &(String, Type)| ColumnProfile::new(name, *kind);
        Profile { rows: 0, columns: columns.iter().map(column).collect() }
    }

    /// Counts the first `rows` rows of `columns`, which are those of [`Profile::new`]. A column of another type (a bug of
    /// the caller) counts as null.
    pub fn update(&mut self, columns: &[Column], rows: usize) {
        self.counting(&[(columns, rows)]).into_iter().for_each(Counting::run);
    }

    /// The same, where the columns of [`Profile::new`] are those of `columns` at `slots`.
    pub fn update_at(&mut self, columns: &[Column], slots: &[usize], rows: usize) {
        self.counting_at(slots, &[(columns, rows)]).into_iter().for_each(Counting::run);
    }

    /// What [`Profile::update`] does with `parts`, one after the other, as works that do not depend on one another: with all
    /// of them done, on any threads, the profile has counted the parts.
    pub fn counting<'p>(&'p mut self, parts: &'p [(&'p [Column], usize)]) -> Vec<Counting<'p>> {
        let slots: Vec<usize> = (0..self.columns.len()).collect();
        self.counting_at(&slots, parts)
    }

    /// The same, where the columns of [`Profile::new`] are those of the parts' at `slots`.
    pub fn counting_at<'p>(
        &'p mut self,
        slots: &[usize],
        parts: &'p [(&'p [Column], usize)],
    ) -> Vec<Counting<'p>> {
        let rows = parts.iter().map(|(_, rows)| *rows as u64).sum();
        self.rows = self.rows.saturating_add(rows);
        let columns = self.columns.iter_mut().zip(slots);
        columns.map(|(column, slot)| Counting { slot: *slot, column, parts }).collect()
    }

    /// The same without texts of values and their patterns: what [`compare`](crate::drift::compare) needs, and no more.
    /// Numbers are still there, and values are counted by hash.
    pub fn without_texts(mut self) -> Self {
        self.columns.iter_mut().for_each(ColumnProfile::forget_texts);
        self
    }

    /// Keeps at most `most` distinct values over all columns, for a place with little memory: where there are more,
    /// samples by hash take their place.
    pub fn bound(&mut self, most: usize) {
        while self.columns.iter().map(|column| column.frequencies().kept()).sum::<usize>() > most {
            let largest = self.columns.iter_mut().max_by_key(|column| column.frequencies().kept());
            largest.into_iter().for_each(ColumnProfile::thin);
        }
    }

    /// Adds all that `other` saw.
    pub fn merge(&mut self, other: &Profile) -> Result<(), OtherColumns> {
        let same = |(a, b): (&ColumnProfile, &ColumnProfile)| a.name == b.name && a.kind == b.kind;
        if self.columns.len() != other.columns.len()
            || !self.columns.iter().zip(&other.columns).all(same)
        {
            return Err(OtherColumns);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.columns.iter_mut().zip(&other.columns).for_each(|(mine, theirs)| mine.merge(theirs));
        Ok(())
    }

    /// How many rows were seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[ColumnProfile] {
        &self.columns
    }

    /// The column `name`.
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// What is to be told of each column; values of the columns that `hides` names, and of those that look like personal
    /// data, are shown by their pattern.
    pub fn finish(&self, hides: impl Fn(&str) -> bool) -> Vec<Summary> {
        self.columns.iter().map(|column| Summary::of(column, hides(&column.name))).collect()
    }
}

#[cfg(test)]
mod tests;
