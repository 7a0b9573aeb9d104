//! Rows of features into a file: CSV, JSON Lines, Parquet.

use std::io::Write;
use std::path::{Path, PathBuf};

use leat::column::{Column, Type};
use leat::encode::{csv, jsonl};
use leat_lake::parquet::{ParquetError, Writer};
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

/// A file of features that is being written.
pub struct Table {
    path: PathBuf,
    kind: Kind,
    form: Form,
}

enum Form {
    Csv(Output, Vec<u8>),
    Jsonl(Output, jsonl::Rows, Vec<u8>),
    Parquet(Box<Writer<Output>>),
}

impl Table {
    /// Begins the file at `path`.
    pub fn create(path: &Path, kind: Kind, columns: &[(String, Type)]) -> Result<Self, Refusal> {
        let file = match kind {
            Kind::Folder => path.join("part-00000.parquet"),
            _ => path.to_owned(),
        };
        let output = Output::create(&file)?;
        let names = columns.iter().map(|(name, _)| name.as_str());
        let form = match kind {
            Kind::Csv => {
                let mut text = Vec::new();
                csv::header(names, &mut text);
                Form::Csv(output, text)
            }
            Kind::Jsonl => Form::Jsonl(output, jsonl::Rows::new(names), Vec::new()),
            Kind::Parquet | Kind::Folder => {
                let writer = Writer::new(output, columns).map_err(|why| failed(path, &why))?;
                Form::Parquet(Box::new(writer))
            }
        };
        Ok(Table { path: path.to_owned(), kind, form })
    }

    /// Appends rows.
    pub fn write(&mut self, columns: Vec<Column>, rows: usize) -> Result<(), Refusal> {
        match &mut self.form {
            Form::Csv(output, text) => {
                (0..rows).for_each(|row| csv::row(&columns, row, text));
                output.write_all(text).map_err(|why| output.failed(&why))?;
                text.clear();
            }
            Form::Jsonl(output, names, text) => {
                (0..rows).for_each(|row| names.row(&columns, row, text));
                output.write_all(text).map_err(|why| output.failed(&why))?;
                text.clear();
            }
            Form::Parquet(writer) => {
                writer.write(columns).map_err(|why| failed(&self.path, &why))?;
            }
        }
        Ok(())
    }

    /// Ends the file, and puts beside it what it was made of: `<OUT>.leat.json`, in a folder `_leat.json`.
    pub fn finish(self, evidence: &Value) -> Result<(), Refusal> {
        match self.form {
            Form::Csv(mut output, text) => {
                output.write_all(&text).map_err(|why| output.failed(&why))?;
                output.finish()?;
            }
            Form::Jsonl(output, ..) => output.finish()?,
            Form::Parquet(writer) => {
                writer.finish().map_err(|why| failed(&self.path, &why))?.finish()?;
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
