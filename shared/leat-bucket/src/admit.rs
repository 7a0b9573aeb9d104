//! Piece by piece into one batch: what an engine admits of the data, within what a machine holds.

use std::collections::{BTreeMap, BTreeSet};

use leat::column::{Column, Values};
use leat::decode::{Batch, Decoder};
use leat::engine::{self, Engine};
use leat::protect::MissingKeys;
use leat::record::Reject;

use crate::Rejects;

/// The most that is held in memory at once. Beyond it the work is Spark's.
const MAX_BYTES: u64 = 1 << 31;
const MAX_ROWS: usize = 20_000_000;
/// Rows that are kept together.
pub const PART: usize = 4096;

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
    rows: usize,
}

/// What an engine admits of the data, and what it does not.
#[derive(Debug, Default)]
pub struct Admitted {
    /// The good rows, with derived columns, in parts of at most [`PART`] rows unless a piece had more.
    pub parts: Vec<Batch>,
    /// What was left out.
    pub rejects: Rejects,
    /// The entities of rows that a rule refused; some have good rows, too.
    pub refused: BTreeSet<String>,
    /// By rule that only warns, how many of the good rows fail it.
    pub warned: BTreeMap<String, u64>,
}

/// What an engine says of a piece.
#[derive(Debug)]
pub struct Judged {
    undecoded: Vec<Reject>,
    admitted: engine::Admitted,
    warned: BTreeMap<String, u64>,
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

impl Judged {
    /// Checks, protects and derives the rows of `piece`. No piece depends on another.
    pub fn new(engine: &Engine, piece: Piece) -> Result<Self, MissingKeys> {
        let mut admitted = engine.admit(piece.batch)?;
        let mut warned = BTreeMap::new();
        for row in &mut admitted.batch.rows {
            // But for what is counted of no use from here on, and as large as the rest.
            for rule in row.verdict.take().map_or_else(Vec::new, |verdict| verdict.warned) {
                *warned.entry(rule).or_default() += 1;
            }
            row.unknown = None;
            row.protected = Default::default();
        }
        let bytes = text_bytes(&admitted.batch);
        Ok(Judged { undecoded: piece.rejects, admitted, warned, bytes })
    }
}

impl<'e> Admission<'e> {
    /// Nothing yet.
    pub fn new(engine: &'e Engine) -> Self {
        Admission { engine, so_far: Admitted::default(), bytes: 0, rows: 0 }
    }

    /// Checks, protects and derives the rows of `piece`, and keeps the good ones.
    pub fn add(&mut self, piece: Piece) -> Result<(), TooMuch> {
        self.take(Judged::new(self.engine, piece)?)
    }

    /// Keeps the good rows of a piece that was judged by the same engine.
    pub fn take(&mut self, judged: Judged) -> Result<(), TooMuch> {
        let Judged { undecoded, admitted, warned, bytes } = judged;
        let engine::Admitted { batch, rejects, refused } = admitted;
        self.so_far.rejects.add(&undecoded);
        self.so_far.rejects.add(&rejects);
        for entity in refused {
            let bytes = entity.len() as u64;
            self.bytes += if self.so_far.refused.insert(entity) { bytes } else { 0 };
        }
        for (rule, count) in warned {
            *self.so_far.warned.entry(rule).or_default() += count;
        }
        self.bytes += bytes;
        self.rows += batch.len();
        match self.so_far.parts.last_mut() {
            _ if batch.is_empty() => {}
            Some(last) if last.len() + batch.len() <= PART => last.append(batch),
            _ => self.so_far.parts.push(batch),
        }
        if self.bytes > MAX_BYTES || self.rows > MAX_ROWS {
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
    let bytes = |column: &Column| match column.values() {
        Values::String(texts) => match texts.offsets() {
            [first, .., last] => u64::from(last.abs_diff(*first)),
            _ => 0,
        },
        _ => 0,
    };
    batch.columns.iter().map(bytes).sum()
}
