//! Piece by piece into one batch: what an engine admits of the data, within what a machine holds.

use std::collections::{BTreeMap, BTreeSet};

use leat::decode::{Batch, Decoder};
use leat::engine::{self, Engine};
use leat::protect::MissingKeys;
use leat::record::Reject;

use crate::Rejects;

/// The most that is held in memory at once. Beyond it the work is Spark's.
const MAX_BYTES: u64 = 1 << 31;
const MAX_ROWS: usize = 20_000_000;

/// A piece of the data.
#[derive(Debug, Default)]
pub struct Piece {
    /// Rows as decoded.
    pub batch: Batch,
    /// What could not be decoded.
    pub rejects: Vec<Reject>,
    /// How many sentinels lay among the rows.
    pub sentinels: u64,
}

impl Piece {
    /// Without a row.
    pub fn new(decoder: &Decoder) -> Self {
        Piece { batch: decoder.batch(), ..Piece::default() }
    }
}

/// Takes rows that an engine admits, all in memory.
pub struct Admission<'e> {
    engine: &'e Engine,
    so_far: Admitted,
    bytes: u64,
}

/// What an engine admits of the data, and what it does not.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The good rows, with derived columns.
    pub batch: Batch,
    /// What was left out.
    pub rejects: Rejects,
    /// The entities of rows that a rule refused; some have good rows, too.
    pub refused: BTreeSet<String>,
    /// By rule that only warns, how many of the good rows fail it.
    pub warned: BTreeMap<String, u64>,
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
        Admission { engine, so_far: Admitted { batch, ..Admitted::default() }, bytes: 0 }
    }

    /// Checks, protects and derives the rows of `piece`, and keeps the good ones.
    pub fn add(&mut self, piece: Piece) -> Result<(), TooMuch> {
        let Admitted { batch: all, rejects: left_out, refused: entities, warned } =
            &mut self.so_far;
        left_out.add(&piece.rejects);
        let engine::Admitted { mut batch, rejects, refused } = self.engine.admit(piece.batch)?;
        left_out.add(&rejects);
        for entity in refused {
            let bytes = entity.len() as u64;
            self.bytes += if entities.insert(entity) { bytes } else { 0 };
        }
        for row in &mut batch.rows {
            // But for what is counted of no use from here on, and as large as the rest.
            for rule in row.verdict.take().map_or_else(Vec::new, |verdict| verdict.warned) {
                *warned.entry(rule).or_default() += 1;
            }
            row.unknown = None;
            row.protected = Default::default();
        }
        self.bytes += text_bytes(&batch);
        all.append(batch);
        if self.bytes > MAX_BYTES || all.len() > MAX_ROWS {
            return Err(TooMuch::Memory);
        }
        Ok(())
    }

    /// All that was taken.
    pub fn finish(self) -> Admitted {
        self.so_far
    }
}

/// The bytes of text in a batch: what a column holds of it has a bound.
fn text_bytes(batch: &Batch) -> u64 {
    let of_row = |row| batch.columns.iter().filter_map(move |c| c.text(row)).map(str::len);
    (0..batch.len()).flat_map(of_row).map(|bytes| bytes as u64).sum()
}
