//! From a file to rows.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use leat::column::Type;
use leat::decode::{Csv, Decoder, JsonLines, Lines};
use leat::recipe::{Format, Recipe};
use leat_batch::{Cores, ParquetRows, Part, Piece, ROWS, Round, RowsError};
use leat_lake::parquet::Reader;

use super::find::{Item, Place};
use crate::answer::Refusal;
use crate::places::{self, Places};
use crate::progress::Progress;

/// Pieces of text that are decoded before they are worked on together.
const AHEAD: usize = 32;
/// The most bytes of a file that is read whole.
const MAX_BYTES: u64 = 1 << 31;

/// The longest line that is read as it stands: a record of Kinesis (10 MiB) in base64, several times over.
const MAX_LINE: u64 = 1 << 26;

/// A file and how it is read.
pub struct Source<'a> {
    pub item: &'a Item,
    pub landed: bool,
    pub progress: &'a Progress,
}

type Visit<'v> = &'v mut dyn FnMut(Piece) -> Result<(), Refusal>;

impl Source<'_> {
    /// Gives the file's rows to `visit`, piece by piece.
    pub fn read(
        &self,
        places: &Places,
        recipe: &Recipe,
        decoder: &Decoder,
        visit: Visit<'_>,
    ) -> Result<(), Refusal> {
        match self.item.format {
            Format::Json => self.json(places, decoder, visit),
            Format::Csv => self.csv(places, decoder, visit),
            Format::Parquet => {
                self.parquet(places, recipe, decoder, Cores::ONE, |piece| piece, visit)
            }
        }
    }

    /// Gives what `work` makes of each piece of the file to `take`, in the order of the file. `work` runs on all of `cores`.
    pub fn each<R: Send>(
        &self,
        places: &Places,
        recipe: &Recipe,
        decoder: &Decoder,
        cores: Cores,
        work: impl Fn(Piece) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.item.format == Format::Parquet {
            return self.parquet(places, recipe, decoder, cores, work, take);
        }
        if self.item.format == Format::Json {
            return self.json_rounds(places, decoder, cores, work, |made| {
                made.into_iter().try_for_each(&mut take)
            });
        }
        let mut pieces = Vec::new();
        let mut done = |pieces: &mut Vec<Piece>| {
            cores.map(std::mem::take(pieces), &work).into_iter().try_for_each(&mut take)
        };
        self.read(places, recipe, decoder, &mut |piece| {
            pieces.push(piece);
            if pieces.len() < AHEAD { Ok(()) } else { done(&mut pieces) }
        })?;
        done(&mut pieces)
    }

    /// Gives the file's rows to `take`, without what belongs to a single one, some hundred thousand at once, in the order of
    /// the file; the fields in the slots `tallied` as tallies where the file has any. Works on all of `cores`.
    pub fn rounds(
        &self,
        places: &Places,
        recipe: &Recipe,
        decoder: &Decoder,
        cores: Cores,
        tallied: &BTreeSet<usize>,
        mut take: impl FnMut(Round) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.item.format == Format::Parquet {
            let (pieces, size) = self.parquet_rows(places, recipe, decoder)?;
            let (before, rows, mut done) = (self.progress.position(), pieces.rows().max(1), 0);
            return pieces.each_round(cores, tallied, |round| {
                let round = round.map_err(|why| self.refused(why))?;
                done +=
                    round.parts.iter().map(|part| part.rows + part.rejects.len()).sum::<usize>();
                self.progress.set(before + size * done as u64 / rows);
                take(round)
            });
        }
        let mut take = |parts| take(Round { parts, ..Round::default() });
        if self.item.format == Format::Json {
            return self.json_rounds(places, decoder, cores, Part::from, take);
        }
        let mut round = Vec::new();
        self.read(places, recipe, decoder, &mut |piece| {
            round.push(Part::from(piece));
            if round.len() < AHEAD { Ok(()) } else { take(std::mem::take(&mut round)) }
        })?;
        take(round)
    }

    fn json(&self, places: &Places, decoder: &Decoder, visit: Visit<'_>) -> Result<(), Refusal> {
        let mut lines = JsonLines::new(self.unpacked(places)?, self.name(), self.landed);
        let mut more = true;
        while more {
            let mut piece = Piece::new(decoder);
            more = lines
                .read(decoder, ROWS, &mut piece.batch, &mut piece.rejects)
                .map_err(|why| self.failed(&why))?;
            piece.sentinels = lines.sentinels().len() as u64;
            visit(piece)?;
        }
        Ok(())
    }

    /// Gives what `work` makes of each piece of a file of lines to `take`, some pieces at once, in the order of the file. Lines
    /// are decoded, and `work` runs, on all of `cores`.
    fn json_rounds<R: Send>(
        &self,
        places: &Places,
        decoder: &Decoder,
        cores: Cores,
        work: impl Fn(Piece) -> R + Sync,
        mut take: impl FnMut(Vec<R>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut file = JsonLines::new(self.unpacked(places)?, self.name(), self.landed);
        let decode = |lines: Lines| {
            let mut piece = Piece::new(decoder);
            let found = lines.decode(decoder, &mut piece.batch, &mut piece.rejects);
            piece.sentinels = found.len() as u64;
            work(piece)
        };
        loop {
            let mut round = Vec::new();
            while round.len() < AHEAD {
                match file.cut(decoder, ROWS).map_err(|why| self.failed(&why))? {
                    Some(lines) => round.push(lines),
                    None => break,
                }
            }
            if round.is_empty() {
                return Ok(());
            }
            take(cores.map(round, decode))?;
        }
    }

    fn csv(&self, places: &Places, decoder: &Decoder, visit: Visit<'_>) -> Result<(), Refusal> {
        let input = self.unpacked(places)?;
        let mut rows = Csv::open(decoder, input, self.name())
            .map_err(|why| Refusal::new(format!("cannot read {}: {why}", self.item.name)))?;
        let mut more = true;
        while more {
            let mut piece = Piece::new(decoder);
            more = rows
                .read(decoder, ROWS, &mut piece.batch, &mut piece.rejects)
                .map_err(|why| self.failed(&why))?;
            visit(piece)?;
        }
        Ok(())
    }

    fn parquet<R: Send>(
        &self,
        places: &Places,
        recipe: &Recipe,
        decoder: &Decoder,
        cores: Cores,
        work: impl Fn(Piece) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let (pieces, size) = self.parquet_rows(places, recipe, decoder)?;
        let (before, rows, mut done) = (self.progress.position(), pieces.rows().max(1), 0);
        let counted = |piece: Piece| (piece.batch.len() + piece.rejects.len(), work(piece));
        pieces.each(cores, counted, |made| {
            let (count, made) = made.map_err(|why| self.refused(why))?;
            done += count;
            self.progress.set(before + size * done as u64 / rows);
            take(made)
        })
    }

    /// The rows of a Parquet file, and how many bytes it has.
    fn parquet_rows<'e>(
        &self,
        places: &Places,
        recipe: &'e Recipe,
        decoder: &'e Decoder,
    ) -> Result<(ParquetRows<'e>, u64), Refusal> {
        let file = self.bytes(places)?;
        let size = file.len() as u64;
        let rows = ParquetRows::open(file, &self.item.name, recipe, decoder);
        Ok((rows.map_err(|why| self.refused(why))?, size))
    }

    fn refused(&self, why: RowsError) -> Refusal {
        Refusal::new(format!("cannot read {}: {why}", self.item.name))
    }

    fn name(&self) -> Arc<str> {
        self.item.name.as_str().into()
    }

    fn failed(&self, why: &io::Error) -> Refusal {
        Refusal::new(format!("cannot read {} to its end: {}", self.item.name, places::why_of(why)))
            .hint("the file may have been cut off: nothing of it was used")
    }

    /// The file's bytes as they are.
    pub fn open(&self, places: &Places) -> Result<Box<dyn Read>, Refusal> {
        match &self.item.place {
            Place::Stdin => Ok(Box::new(io::stdin())),
            Place::File(path) => {
                let file = File::open(path).map_err(|why| self.failed(&why))?;
                Ok(Box::new(file))
            }
            Place::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Place::Object(folder, key) => {
                let bytes = places.wait(folder.get(key))?.ok_or_else(|| {
                    Refusal::new(format!(
                        "cannot read the data {}: there is no such object",
                        self.item.name
                    ))
                })?;
                Ok(Box::new(Cursor::new(bytes)))
            }
        }
    }

    /// The file's text, unpacked if it is a gzip, whatever its name.
    fn unpacked(&self, places: &Places) -> Result<Box<dyn BufRead>, Refusal> {
        let input = Counted { input: self.open(places)?, progress: self.progress.clone() };
        let mut input = BufReader::with_capacity(1 << 16, input);
        let head = input.fill_buf().map_err(|why| self.failed(&why))?;
        Ok(match head.starts_with(&[0x1f, 0x8b]) {
            true => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input))),
            false => Box::new(input),
        })
    }

    /// Gives each line that is not empty to `visit`, without its end, with its number from 1.
    pub fn lines(
        &self,
        places: &Places,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let (mut input, mut line) = (self.unpacked(places)?, Vec::new());
        for number in 1.. {
            line.clear();
            let read = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(|why| self.failed(&why))? == 0 {
                break;
            }
            if line.len() as u64 == MAX_LINE {
                return Err(Refusal::new(format!(
                    "{}, line {number} is longer than 64 MiB",
                    self.item.name
                )));
            }
            let text = line.trim_ascii_end();
            if !text.is_empty() {
                visit(number, text)?;
            }
        }
        Ok(())
    }

    /// The first `rows` lines of a file of text, or rows of CSV with its header.
    pub fn head(&self, places: &Places, rows: u64) -> Result<Bytes, Refusal> {
        let csv = self.item.format == Format::Csv;
        let mut input = self.unpacked(places)?.take(MAX_BYTES);
        let (mut head, mut left) = (Vec::new(), rows.saturating_add(u64::from(csv)));
        // Within quotes a line of CSV goes on.
        let mut quotes = 0usize;
        while left > 0 {
            let before = head.len();
            let read = input.read_until(b'\n', &mut head).map_err(|why| self.failed(&why))?;
            if read == 0 {
                break;
            }
            if csv {
                quotes += head[before..].iter().filter(|byte| **byte == b'"').count();
            }
            left -= u64::from(quotes.is_multiple_of(2));
        }
        Ok(head.into())
    }

    /// The file's bytes: Parquet is read from its end.
    fn bytes(&self, places: &Places) -> Result<Bytes, Refusal> {
        whole(&self.item.name, self.open(places)?)
    }

    /// The columns of a Parquet file that Leat has types for.
    pub fn parquet_columns(&self, places: &Places) -> Result<Vec<(String, Type)>, Refusal> {
        let reader = match &self.item.place {
            // Its end is enough.
            Place::File(path) => {
                Reader::new(File::open(path).map_err(|why| self.failed(&why))?, None)
            }
            _ => Reader::new(self.bytes(places)?, None),
        };
        let reader =
            reader.map_err(|why| Refusal::new(format!("cannot read {}: {why}", self.item.name)))?;
        Ok(reader.columns().to_vec())
    }
}

/// All of `input`, which is `name`.
pub fn whole(name: &str, input: impl Read) -> Result<Bytes, Refusal> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|why| {
        Refusal::new(format!("cannot read {name} to its end: {}", places::why_of(&why)))
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal::new(format!("cannot read {name}: it has more than 2 GiB"))
            .hint("write the data as several files"));
    }
    Ok(bytes.into())
}

/// Tells the progress bar what was read.
struct Counted {
    input: Box<dyn Read>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}
