//! Bytes → columns. One bad record, or line, becomes a reject with its reason and its coordinates; its neighbours
//! are unharmed.

mod limits;

use crate::column::{Column, Type};
use crate::record::{Coordinates, Row};

pub use limits::Limits;

/// A record as a service or a file gave it: plain, compressed or aggregated, one line or many.
#[derive(Clone, Debug)]
pub struct RawRecord<'a> {
    /// Where it came from; sub and line are counted from those given here.
    pub coordinates: Coordinates,
    /// Its bytes.
    pub data: &'a [u8],
    /// True if it lies where only our own Firehose may write: there `_leat` is believed, if its code verifies.
    pub landed: bool,
}

/// Rows in columns. After decode there is a column for each field of the schema, in order; later stages append
/// theirs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The columns, all of the same length.
    pub columns: Vec<Column>,
    /// What is known of each row beside its columns.
    pub rows: Vec<Row>,
}

impl Batch {
    /// An empty batch with columns of `kinds`.
    pub fn new(kinds: impl IntoIterator<Item = Type>) -> Self {
        Batch { columns: kinds.into_iter().map(Column::new).collect(), rows: Vec::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows at `rows`, in that order; those past the end are left out.
    pub fn gather(&self, rows: &[usize]) -> Batch {
        let rows: Vec<usize> = rows.iter().copied().filter(|&row| row < self.len()).collect();
        Batch {
            columns: self.columns.iter().map(|column| column.gather(&rows)).collect(),
            rows: rows.iter().map(|&row| self.rows[row].clone()).collect(),
        }
    }

    /// Appends all rows of `other`, whose columns must be of the same types.
    pub fn append(&mut self, other: Batch) {
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.append(more);
        }
        self.rows.extend(other.rows);
    }

    /// Removes all rows and keeps the columns' buffers.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.rows.clear();
    }
}
