//! DATA: files, folders, URLs, standard input; JSON Lines, CSV, Parquet; plain or gzip; a piece at a time.

mod find;
mod left_out;
pub mod listing;
mod read;

use std::collections::BTreeSet;

use clap::Args;
use leat::column::Type;
use leat::decode::{Batch, Decoder};
use leat::engine::Engine;
use leat::recipe::{Format, Recipe};
use leat_batch::{Admission, Admitted, Cores, Judged, Part, Piece, Round, TooMuch};

use crate::answer::Refusal;
use crate::places::Places;
use crate::progress::Progress;
use find::{Item, Place};
pub use left_out::LeftOut;

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

/// Data that was found.
pub struct Data<'p> {
    places: &'p Places,
    items: Vec<Item>,
    landed: bool,
    /// So many rows of a Parquet file are given, rounded up to a piece.
    most: Option<u64>,
}

impl DataArguments {
    /// What lies at `places`.
    pub fn of(places: impl IntoIterator<Item = impl Into<String>>) -> Self {
        DataArguments { data: places.into_iter().map(Into::into).collect(), landed: false }
    }

    /// The places as they were given.
    pub fn names(&self) -> &[String] {
        &self.data
    }

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
        Ok(Data { places, items, landed: self.landed, most: None })
    }
}

impl Data<'_> {
    /// The files that are read.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Gives the data to `visit`, piece by piece; `what` is being done, for the progress bar.
    pub fn each(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        mut visit: impl FnMut(Piece) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let progress = self.progress(what);
        for item in &self.items {
            let source = read::Source { item, landed: self.landed, progress: &progress };
            let mut rows = 0;
            source.read(self.places, recipe, decoder, &mut |piece| {
                if self.most.is_some_and(|most| rows >= most) {
                    return Ok(());
                }
                rows += piece.batch.len() as u64;
                visit(piece)
            })?;
        }
        progress.finish();
        Ok(())
    }

    /// Gives the data to `visit` as columns, some hundred thousand rows at once. Works on all of `cores`.
    pub fn columns(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        cores: Cores,
        mut visit: impl FnMut(Vec<Part>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let none = BTreeSet::new();
        self.rounds(what, recipe, decoder, cores, &none, |round| visit(round.parts))
    }

    /// As [`Data::columns`]. Of the fields in the slots `tallied` it is enough to know how often each value stands: where a
    /// file tells, they come as tallies.
    pub fn rounds(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        cores: Cores,
        tallied: &BTreeSet<usize>,
        mut visit: impl FnMut(Round) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let progress = self.progress(what);
        for item in &self.items {
            let source = read::Source { item, landed: self.landed, progress: &progress };
            source.rounds(self.places, recipe, decoder, cores, tallied, &mut visit)?;
        }
        progress.finish();
        Ok(())
    }

    /// As [`Data::each`], until `visit` has enough.
    pub fn until(
        &self,
        what: &'static str,
        recipe: &Recipe,
        decoder: &Decoder,
        mut visit: impl FnMut(Piece) -> Result<bool, Refusal>,
    ) -> Result<(), Refusal> {
        let mut enough = false;
        let read = self.each(what, recipe, decoder, |piece| {
            enough = visit(piece)?;
            // What reads goes on until something stops it.
            if enough { Err(Refusal::new("there is enough")) } else { Ok(()) }
        });
        if enough { Ok(()) } else { read }
    }

    /// Whether nothing of it comes from standard input that was not kept: see [`Data::keep_stdin`].
    pub fn can_be_read_again(&self) -> bool {
        self.items.iter().all(|item| !matches!(item.place, Place::Stdin))
    }

    /// Whether all of it is Parquet, whose columns have types of their own.
    pub fn is_parquet(&self) -> bool {
        self.items.iter().all(|item| item.format == Format::Parquet)
    }

    /// What it is called: its first file, and how many more there are.
    pub fn name(&self) -> String {
        let first = self.items.first().map_or("", |item| item.name.as_str());
        match self.items.len() {
            0 | 1 => first.to_owned(),
            count => format!("{first} and {} more", count - 1),
        }
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

    /// Gives each line that is not empty to `visit`, with its file and its number in it; Parquet has none.
    pub fn lines(
        &self,
        what: &'static str,
        mut visit: impl FnMut(&str, u64, &[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let progress = self.progress(what);
        for item in &self.items {
            let source = read::Source { item, landed: false, progress: &progress };
            source.lines(self.places, |number, line| visit(&item.name, number, line))?;
        }
        progress.finish();
        Ok(())
    }

    /// The columns of all Parquet files, in their order, and their types; a column of several types is text.
    pub fn parquet_columns(&self) -> Result<Vec<(String, Type)>, Refusal> {
        let mut columns: Vec<(String, Type)> = Vec::new();
        for item in self.items.iter().filter(|item| item.format == Format::Parquet) {
            let progress = Progress::bytes("looking", item.size);
            let source = read::Source { item, landed: false, progress: &progress };
            for (name, kind) in source.parquet_columns(self.places)? {
                match columns.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) if *known != kind => *known = Type::String,
                    Some(_) => {}
                    None => columns.push((name, kind)),
                }
            }
        }
        Ok(columns)
    }

    /// Leaves the first rows of each file, some `rows` in all: of text they are taken into memory, of Parquet they are whole
    /// pieces.
    pub fn sample(&mut self, rows: u64) -> Result<(), Refusal> {
        let most = rows.div_ceil(self.items.len().max(1) as u64).max(1);
        let progress = Progress::bytes("sampling", None);
        for item in self.items.iter_mut().filter(|item| item.format != Format::Parquet) {
            let source = read::Source { item, landed: false, progress: &progress };
            let head = source.head(self.places, most)?;
            item.size = Some(head.len() as u64);
            item.place = Place::Memory(head);
        }
        progress.finish();
        self.most = Some(most);
        Ok(())
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

    /// All rows that `engine` admits, in memory, with derived columns; and what was left out, of which standard error tells.
    /// Works on all of `cores`.
    pub fn admit(&self, engine: &Engine, cores: Cores) -> Result<(Vec<Batch>, LeftOut), Refusal> {
        let (mut admission, mut sentinels) = (Admission::new(engine), 0);
        let refuse = |why: TooMuch| {
            let refusal = Refusal::new(why.to_string());
            match why {
                TooMuch::Memory => {
                    refusal.hint("take a part of the entities, or run the Spark job on all of them")
                }
                TooMuch::Keys(_) => refusal,
            }
        };
        let (recipe, decoder) = (engine.recipe(), engine.decoder());
        let progress = self.progress("reading");
        for item in &self.items {
            let source = read::Source { item, landed: self.landed, progress: &progress };
            let judge = |piece: Piece| (piece.sentinels, Judged::new(engine, piece));
            source.each(self.places, recipe, decoder, cores, judge, |(count, judged)| {
                sentinels += count;
                admission.take(judged.map_err(|why| refuse(why.into()))?).map_err(refuse)
            })?;
        }
        progress.finish();
        let Admitted { parts, rejects, .. } = admission.finish();
        let left_out = LeftOut { rejects, sentinels };
        left_out.tell();
        Ok((parts, left_out))
    }

    fn progress(&self, what: &'static str) -> Progress {
        Progress::bytes(what, self.items.iter().map(|item| item.size).sum())
    }
}
