//! Bytes → columns. One bad record, or line, becomes a reject with its reason and its coordinates; its neighbours
//! are unharmed.

#[cfg(test)]
mod conformance;
pub mod csv;
mod cursor;
mod decoder;
mod expand;
#[cfg(test)]
pub(crate) mod fixture;
mod json;
pub mod kinesis;
mod kpl;
mod limits;
mod lines;
mod names;
mod plain;
mod value;

use crate::column::{Column, Type};
use crate::record::{Coordinates, Identity, Reason, Row};

pub use csv::Csv;
pub use decoder::Decoder;
pub use expand::{Piece, expand};
pub use limits::Limits;
pub use lines::{JsonLines, Lines};

/// The byte order mark that some programs put at the start of a text.
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

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

    /// Makes room for `rows` more rows.
    pub fn reserve(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.reserve(rows));
        self.rows.reserve(rows);
    }

    /// Who each row is.
    pub fn identities(&self) -> Vec<Identity> {
        self.rows.iter().map(|row| row.identity).collect()
    }

    /// The rows at `rows`, in that order; those past the end are left out.
    pub fn gather(&self, rows: &[usize]) -> Batch {
        let rows: Vec<usize> = rows.iter().copied().filter(|&row| row < self.len()).collect();
        Batch {
            columns: self.columns.iter().map(|column| column.gather(&rows)).collect(),
            rows: rows.iter().map(|&row| self.rows[row].clone()).collect(),
        }
    }

    /// The rows at `rows` alone, which rise.
    pub fn keep(mut self, rows: &[usize]) -> Batch {
        if rows.len() < self.len() {
            let runs = rows.chunk_by(|row, next| row + 1 == *next);
            let runs: Vec<_> = runs.map(|run| run[0]..run[0] + run.len()).collect();
            self.columns.iter_mut().for_each(|column| *column = column.ranges(&runs));
            let (mut at, mut wanted) = (0, rows.iter().peekable());
            self.rows.retain(|_| {
                let is_wanted = wanted.next_if(|&&row| row == at).is_some();
                at += 1;
                is_wanted
            });
        }
        self
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

/// An event time further ahead of its arrival than `max_ahead` microseconds cannot touch state. `event_time` is in
/// microseconds, `arrival` in milliseconds; where either bound or arrival is unknown, nothing is ahead.
pub fn ahead(event_time: i64, arrival: Option<i64>, max_ahead: Option<i64>) -> Option<Reason> {
    let latest = arrival?.saturating_mul(1000).saturating_add(max_ahead?);
    (event_time > latest).then(|| {
        let seconds = max_ahead.unwrap_or_default() / 1_000_000;
        reason(
            "ahead",
            format!("the event time is more than {seconds} s ahead of arrival: look at the producer's clock"),
        )
    })
}

fn reason(rule: &str, message: impl Into<String>) -> Reason {
    Reason { rule: rule.to_string(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_ahead_of_their_arrival() {
        for (event_time, arrival, max_ahead, is_ahead) in [
            (5_000_001, Some(0), Some(5_000_000), true),
            (5_000_000, Some(0), Some(5_000_000), false),
            (5_000_001, None, Some(5_000_000), false),
            (5_000_001, Some(0), None, false),
            (i64::MAX, Some(i64::MAX), Some(i64::MAX), false),
            (i64::MIN, Some(i64::MIN), Some(0), false),
        ] {
            assert_eq!(ahead(event_time, arrival, max_ahead).is_some(), is_ahead, "{event_time}");
        }
    }

    #[test]
    fn batches_are_gathered_and_appended() {
        let (mut batch, _) = fixture::record(
            &fixture::decoder(),
            b"{\"id\":\"a\",\"who\":\"x\",\"at\":0}\n{\"id\":\"b\",\"who\":\"y\",\"at\":0}",
        );
        assert_eq!(batch.clone().keep(&[1]), batch.gather(&[1]));
        assert_eq!(batch.clone().keep(&[]), batch.gather(&[]));
        assert_eq!(batch.clone().keep(&[0, 1]), batch);
        let back = batch.gather(&[1, 0, 9]);
        assert_eq!(back.len(), 2);
        assert_eq!(back.columns[0], Column::strings([Some("b"), Some("a")]));
        assert_eq!(back.rows[0].coordinates.position.line, 1);
        batch.append(back);
        assert_eq!((batch.len(), batch.columns[8].len()), (4, 4));
        batch.clear();
        assert!(batch.is_empty() && batch.columns[0].is_empty());
    }
}
