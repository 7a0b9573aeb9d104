//! DATA: files, folders, URLs, standard input; JSON Lines, CSV, Parquet; plain or gzip; a piece at a time.

mod find;
mod read;
mod rejects;

use std::collections::BTreeMap;

use clap::Args;
use leat::column::Type;
use leat::decode::{Batch, Decoder};
use leat::engine::Engine;
use leat::recipe::{Format, Recipe};
use leat::record::Reject;

use crate::answer::Refusal;
use crate::places::Places;
use crate::progress::Progress;
use find::{Item, Place};
pub use rejects::Rejects;

/// What to read.
#[derive(Clone, Debug, Args)]
pub struct DataArguments {
    /// Files, folders, URLs, or `-` for standard input. JSON Lines, CSV or Parquet by their names, else as the recipe
    /// says; plain or gzip.
    #[arg(required = true)]
    data: Vec<String>,
    /// Believe `_leat` in the lines, if --keys verifies it: the data was landed by Leat's own Firehose.
    #[arg(long)]
    landed: bool,
}

/// The most that is held in memory at once. Beyond it the work is Spark's.
const MAX_BYTES: u64 = 1 << 31;
const MAX_ROWS: usize = 20_000_000;

/// Data that was found.
pub struct Data<'p> {
    places: &'p Places,
    items: Vec<Item>,
    landed: bool,
}

/// A piece of the data.
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
    fn new(decoder: &Decoder) -> Self {
        Piece { batch: decoder.batch(), rejects: Vec::new(), sentinels: 0 }
    }
}

impl DataArguments {
    /// Finds the data. `format` is that of what has no telling name.
    pub fn find<'p>(
        &self,
        places: &'p Places,
        format: Format,
        keys: bool,
    ) -> Result<Data<'p>, Refusal> {
        if self.landed && !keys {
            return Err(Refusal::new(
                "--landed needs --keys: `_leat` is believed only if it verifies",
            )
            .hint("give the secret that the Firehose transform has: --keys file:PATH"));
        }
        let items = find::all(places, &self.data, format)?;
        Ok(Data { places, items, landed: self.landed })
    }
}

impl Data<'_> {
    /// Gives the data to `visit`, piece by piece; `what` is being done, for the progress bar.
    pub fn each(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        mut visit: impl FnMut(Piece) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let progress = Progress::bytes(what, self.items.iter().map(|item| item.size).sum());
        for item in &self.items {
            let source = read::Source { item, landed: self.landed, progress: &progress };
            source.read(self.places, recipe, decoder, &mut visit)?;
        }
        progress.finish();
        Ok(())
    }

    /// As [`Data::each`], without Parquet, and with the format of each piece.
    pub fn each_line(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        mut visit: impl FnMut(Piece, Format) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let items = || self.items.iter().filter(|item| item.format != Format::Parquet);
        let progress = Progress::bytes(what, items().map(|item| item.size).sum());
        for item in items() {
            let source = read::Source { item, landed: false, progress: &progress };
            source.read(self.places, recipe, decoder, &mut |piece| visit(piece, item.format))?;
        }
        progress.finish();
        Ok(())
    }

    /// The columns of all Parquet files and their types; a column of several types is text.
    pub fn parquet_columns(&self) -> Result<BTreeMap<String, Type>, Refusal> {
        let mut columns = BTreeMap::new();
        for item in self.items.iter().filter(|item| item.format == Format::Parquet) {
            let progress = Progress::bytes("looking", item.size);
            let source = read::Source { item, landed: false, progress: &progress };
            for (name, kind) in source.parquet_columns(self.places)? {
                let known = columns.entry(name).or_insert(kind);
                if *known != kind {
                    *known = Type::String;
                }
            }
        }
        Ok(columns)
    }

    /// Takes what comes from standard input into memory, to be read more than once.
    pub fn keep_stdin(&mut self) -> Result<(), Refusal> {
        for item in &mut self.items {
            if let Place::Stdin = item.place {
                item.place = Place::Memory(read::whole(&item.name, std::io::stdin())?);
            }
        }
        Ok(())
    }

    /// All rows that `engine` admits, in memory, with derived columns; and what it does not admit.
    pub fn admit(&self, engine: &Engine) -> Result<(Batch, Rejects), Refusal> {
        let mut all = engine.decoder().batch();
        engine.derive(&mut all);
        let (mut rejects, mut bytes) = (Rejects::default(), 0);
        self.each("reading", engine.recipe(), engine.decoder(), |piece| {
            rejects.add(&piece.rejects);
            rejects.drop_sentinels(piece.sentinels);
            let (mut batch, refused) =
                engine.admit(piece.batch).map_err(|why| Refusal::new(why.to_string()))?;
            rejects.add(&refused);
            for row in &mut batch.rows {
                // Of no use from here on, and as large as the rest.
                row.verdict = None;
                row.unknown = None;
                row.protected.clear();
            }
            bytes += text_bytes(&batch);
            all.append(batch);
            if bytes > MAX_BYTES || all.len() > MAX_ROWS {
                return Err(Refusal::new(format!(
                    "the data is more than the command line holds in memory: {MAX_ROWS} rows, or 2 GiB of text"
                ))
                .hint("take a part of the entities, or run the Spark job on all of them"));
            }
            Ok(())
        })?;
        Ok((all, rejects))
    }
}

/// The bytes of text in a batch: what a column holds of it has a bound.
fn text_bytes(batch: &Batch) -> u64 {
    let of_row = |row| batch.columns.iter().filter_map(move |c| c.text(row)).map(str::len);
    (0..batch.len()).flat_map(of_row).map(|bytes| bytes as u64).sum()
}
