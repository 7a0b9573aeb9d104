//! Rows of features into a file: CSV, JSON Lines, Parquet.

use std::cmp::Reverse;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use leat::column::{Column, Type, Values};
use leat::encode::{csv, jsonl};
use leat_batch::Cores;
use leat_lake::parquet::{Encoder, Groups, ParquetError};
use serde_json::Value;

use crate::answer::Refusal;
use crate::output::Output;

/// How OUT is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With a header.
    Csv,
    /// An object a line.
    Jsonl,
    /// Parquet.
    Parquet,
    /// A folder, with a Parquet file in it.
    Folder,
}

impl Kind {
    /// The kind that the name of OUT tells.
    pub fn of(path: &Path) -> Result<Self, Refusal> {
        if path == Path::new("-") {
            return Ok(Kind::Jsonl);
        }
        let folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        match path.extension().and_then(|end| end.to_str()) {
            _ if folder => Ok(Kind::Folder),
            Some("csv") => Ok(Kind::Csv),
            Some("jsonl") => Ok(Kind::Jsonl),
            Some("parquet") => Ok(Kind::Parquet),
            None => Ok(Kind::Folder),
            Some(other) => {
                Err(Refusal::new(format!("--output: `.{other}` is no format of features"))
                    .hint("take .csv, .jsonl, .parquet, a folder, or `-`"))
            }
        }
    }
}

/// Bytes of text that room is made for, for each value.
const CELL: usize = 12;

/// A file of features that is being written.
pub struct Table {
    path: PathBuf,
    kind: Kind,
    form: Form,
    /// Buffers of text that was written: new ones would be pages that the kernel has to clear.
    spare: Mutex<Vec<Vec<u8>>>,
}

enum Form {
    Csv(Output),
    Jsonl(Output, jsonl::Rows),
    Parquet(Box<Groups<Output>>),
}

/// Some rows, in columns.
pub struct Rows {
    /// Their columns: those of the table.
    pub columns: Vec<Column>,
    /// How many they are.
    pub count: usize,
}

impl Table {
    /// Begins the file at `path`.
    pub fn create(path: &Path, kind: Kind, columns: &[(String, Type)]) -> Result<Self, Refusal> {
        let file = match kind {
            Kind::Folder => path.join("part-00000.parquet"),
            _ => path.to_owned(),
        };
        let mut output = Output::create(&file)?;
        let names = columns.iter().map(|(name, _)| name.as_str());
        let form = match kind {
            Kind::Csv => {
                let mut header = Vec::new();
                csv::header(names, &mut header);
                output.write_all(&header).map_err(|why| output.failed(&why))?;
                Form::Csv(output)
            }
            Kind::Jsonl => Form::Jsonl(output, jsonl::Rows::new(names)),
            Kind::Parquet | Kind::Folder => {
                let groups = Groups::new(output, columns).map_err(|why| failed(path, &why))?;
                Form::Parquet(Box::new(groups))
            }
        };
        Ok(Table { path: path.to_owned(), kind, form, spare: Mutex::default() })
    }

    /// Appends the rows that `make` makes of each of `parts`, in their order: a row group of Parquet. Works on all of `cores`.
    pub fn write<P: Send>(
        &mut self,
        cores: Cores,
        parts: Vec<P>,
        make: impl Fn(P) -> Rows + Sync,
    ) -> Result<(), Refusal> {
        match &mut self.form {
            Form::Csv(output) => {
                let print = |part, text: &mut Vec<u8>| {
                    let Rows { columns, count } = make(part);
                    text.reserve(count * columns.len() * CELL);
                    csv::rows(&columns, text);
                };
                append(output, &self.spare, cores, parts, print)
            }
            Form::Jsonl(output, names) => {
                let names = &*names;
                let print = |part, text: &mut Vec<u8>| {
                    let Rows { columns, count } = make(part);
                    text.reserve(2 * count * columns.len() * CELL);
                    (0..count).for_each(|row| names.row(&columns, row, text));
                };
                append(output, &self.spare, cores, parts, print)
            }
            Form::Parquet(groups) => {
                let made = cores.map(parts, make);
                write_group(groups, cores, made).map_err(|why| failed(&self.path, &why))
            }
        }
    }

    /// Ends the file, and puts beside it what it was made of: `<OUT>.leat.json`, in a folder `_leat.json`.
    pub fn finish(self, evidence: &Value) -> Result<(), Refusal> {
        match self.form {
            Form::Csv(output) | Form::Jsonl(output, _) => output.finish()?,
            Form::Parquet(groups) => {
                groups.finish().map_err(|why| failed(&self.path, &why))?.finish()?;
            }
        }
        let beside = match self.kind {
            _ if self.path == Path::new("-") => return Ok(()),
            Kind::Folder => self.path.join("_leat.json"),
            _ => {
                let mut name = self.path.into_os_string();
                name.push(".leat.json");
                name.into()
            }
        };
        let mut output = Output::create(&beside)?;
        writeln!(output, "{evidence:#}").map_err(|why| output.failed(&why))?;
        output.finish()
    }
}

/// Appends the text that `print` makes of each of `parts`, while others are made.
fn append<P: Send>(
    output: &mut Output,
    spare: &Mutex<Vec<Vec<u8>>>,
    cores: Cores,
    parts: Vec<P>,
    print: impl Fn(P, &mut Vec<u8>) + Sync,
) -> Result<(), Refusal> {
    let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    let print = |part| {
        let mut text = spare().pop().unwrap_or_default();
        print(part, &mut text);
        text
    };
    let written = cores.each(parts, print, |mut text| {
        output.write_all(&text)?;
        text.clear();
        spare().push(text);
        Ok(())
    });
    written.map_err(|why| output.failed(&why))
}

/// Writes `parts` as a row group, if there are any.
fn write_group(
    groups: &mut Groups<Output>,
    cores: Cores,
    parts: Vec<Rows>,
) -> Result<(), ParquetError> {
    if parts.is_empty() {
        return Ok(());
    }
    let mut parts: Vec<_> = parts.into_iter().map(|rows| rows.columns.into_iter()).collect();
    let columns = groups.encoders()?.into_iter().enumerate().map(|(at, encoder)| {
        let of_parts: Vec<Column> = parts.iter_mut().filter_map(Iterator::next).collect();
        (at, encoder, of_parts)
    });
    let mut columns: Vec<_> = columns.collect();
    // What takes longest first, so that no core waits for another at the end.
    columns.sort_by_cached_key(|(_, _, column)| Reverse(column.iter().map(bytes).sum::<usize>()));
    let encode = |(at, encoder, column): (usize, Encoder, _)| (at, encoder.encode(column));
    let mut encoded = cores.map(columns, encode);
    encoded.sort_by_key(|(at, _)| *at);
    groups.append(encoded.into_iter().map(|(_, column)| column).collect::<Result<_, _>>()?)
}

/// So many bytes the values of `column` have.
fn bytes(column: &Column) -> usize {
    match column.values() {
        Values::Bool(bits) => bits.as_bytes().len(),
        Values::String(texts) => {
            texts.offsets().last().map_or(0, |end| end.unsigned_abs() as usize)
        }
        _ => 8 * column.len(),
    }
}

fn failed(path: &Path, why: &ParquetError) -> Refusal {
    Refusal::new(format!("cannot write {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kind = |path: &str| Kind::of(Path::new(path)).ok();
        assert_eq!(kind("a.csv"), Some(Kind::Csv));
        assert_eq!(kind("a.jsonl"), Some(Kind::Jsonl));
        assert_eq!(kind("-"), Some(Kind::Jsonl));
        assert_eq!(kind("a.parquet"), Some(Kind::Parquet));
        assert_eq!(kind("a.parquet/"), Some(Kind::Folder));
        assert_eq!(kind("a/b"), Some(Kind::Folder));
        assert_eq!(kind("."), Some(Kind::Folder));
        assert_eq!(kind("a.txt"), None);
    }
}
