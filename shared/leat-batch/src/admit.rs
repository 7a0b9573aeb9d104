//! Piece by piece into one batch: what an engine admits of the data, within what a machine holds.

use leat::decode::Batch;
use leat::engine::Engine;
use leat::protect::MissingKeys;

use crate::{BatchError, Piece, Rejects};

/// The most that is held in memory at once. Beyond it the work is Spark's.
const MAX_BYTES: u64 = 1 << 31;
const MAX_ROWS: usize = 20_000_000;

/// Rows that an engine admits, all in memory, with derived columns; and what it does not admit.
pub struct Admission<'e> {
    engine: &'e Engine,
    batch: Batch,
    rejects: Rejects,
    bytes: u64,
}

/// Why no more can be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// There is more than is held in memory.
    #[error("the data is more than is held in memory at once: {MAX_ROWS} rows, or 2 GiB of text")]
    Memory,
    /// See [`MissingKeys`].
    #[error(transparent)]
    Keys(#[from] MissingKeys),
}

impl<'e> Admission<'e> {
    /// Nothing yet.
    pub fn new(engine: &'e Engine) -> Self {
        let mut batch = engine.decoder().batch();
        engine.derive(&mut batch);
        Admission { engine, batch, rejects: Rejects::default(), bytes: 0 }
    }

    /// Checks, protects and derives the rows of `piece`, and keeps the good ones.
    pub fn add(&mut self, piece: Piece) -> Result<(), TooMuch> {
        self.rejects.add(&piece.rejects);
        let (mut batch, refused) = self.engine.admit(piece.batch)?;
        self.rejects.add(&refused);
        for row in &mut batch.rows {
            // Of no use from here on, and as large as the rest.
            row.verdict = None;
            row.unknown = None;
            row.protected.clear();
        }
        self.bytes += text_bytes(&batch);
        self.batch.append(batch);
        if self.bytes > MAX_BYTES || self.batch.len() > MAX_ROWS {
            return Err(TooMuch::Memory);
        }
        Ok(())
    }

    /// The good rows, and what was left out.
    pub fn finish(self) -> (Batch, Rejects) {
        (self.batch, self.rejects)
    }
}

impl From<TooMuch> for BatchError {
    fn from(why: TooMuch) -> Self {
        match why {
            TooMuch::Memory => {
                BatchError::Input(format!("{why}; cleanse into more buckets, or run the Spark job"))
            }
            TooMuch::Keys(why) => BatchError::Keys(why),
        }
    }
}

/// The bytes of text in a batch: what a column holds of it has a bound.
fn text_bytes(batch: &Batch) -> u64 {
    let of_row = |row| batch.columns.iter().filter_map(move |c| c.text(row)).map(str::len);
    (0..batch.len()).flat_map(of_row).map(|bytes| bytes as u64).sum()
}
