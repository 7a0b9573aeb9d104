//! From a Parquet file to rows.

use std::sync::Arc;

use bytes::Bytes;
use leat::cleansed::{self, CleansedError};
use leat::column::Column;
use leat::decode::Decoder;
use leat::encode::jsonl::Rows;
use leat::recipe::Recipe;
use leat::record::{Coordinates, Position};
use leat_bucket::Piece;
use leat_lake::parquet::{ParquetError, Reader};

/// Why a Parquet file gives no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read.
    #[error("{0}")]
    File(#[from] ParquetError),
    /// Its rows are no cleansed rows of the recipe.
    #[error("{0}")]
    Cleansed(#[from] CleansedError),
}

/// The rows of a Parquet file, some thousand at a time. A file with the columns of the cleansed zone is read as it was
/// written; of any other the rows go the way of a line, and columns that the schema does not name are not read.
pub struct ParquetRows<'e> {
    recipe: &'e Recipe,
    decoder: &'e Decoder,
    reader: Reader,
    foreign: Option<Foreign>,
}

/// How the rows of a file that Leat did not make become lines.
struct Foreign {
    name: Arc<str>,
    names: Rows,
    number: u64,
}

impl<'e> ParquetRows<'e> {
    /// The rows of `file`, which is called `name` in their coordinates.
    pub fn open(
        file: Bytes,
        name: &str,
        recipe: &'e Recipe,
        decoder: &'e Decoder,
    ) -> Result<Self, RowsError> {
        let wanted = cleansed::columns(recipe);
        let wanted: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        match Reader::new(file.clone(), Some(&wanted)) {
            Ok(reader) => Ok(ParquetRows { recipe, decoder, reader, foreign: None }),
            Err(ParquetError::NoColumn(_)) => {
                let (reader, wanted) = foreign(&file, recipe)?;
                let foreign = Foreign { name: name.into(), names: Rows::new(wanted), number: 0 };
                Ok(ParquetRows { recipe, decoder, reader, foreign: Some(foreign) })
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Whether the file has the columns of the cleansed zone.
    pub fn is_cleansed(&self) -> bool {
        self.foreign.is_none()
    }

    /// How many rows the file says that it has.
    pub fn rows(&self) -> u64 {
        self.reader.rows()
    }
}

/// A reader of those fields of the schema that are in the file, and their names.
fn foreign<'r>(file: &Bytes, recipe: &'r Recipe) -> Result<(Reader, Vec<&'r str>), ParquetError> {
    let mut wanted: Vec<&str> = recipe.schema.fields.iter().map(|f| f.name.as_str()).collect();
    loop {
        match Reader::new(file.clone(), Some(&wanted)) {
            Err(ParquetError::NoColumn(name)) => wanted.retain(|wanted| *wanted != name),
            found => return Ok((found?, wanted)),
        }
    }
}

impl Iterator for ParquetRows<'_> {
    type Item = Result<Piece, RowsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let columns = match self.reader.next()? {
            Ok(columns) => columns,
            Err(why) => return Some(Err(why.into())),
        };
        Some(match &mut self.foreign {
            Some(foreign) => Ok(foreign.piece(&columns, self.decoder)),
            None => cleansed::read(self.recipe, columns)
                .map(|batch| Piece { batch, ..Piece::default() })
                .map_err(Into::into),
        })
    }
}

impl Foreign {
    fn piece(&mut self, columns: &[Column], decoder: &Decoder) -> Piece {
        let mut piece = Piece::new(decoder);
        let mut line = Vec::new();
        for row in 0..columns.first().map_or(0, Column::len) {
            line.clear();
            self.names.row(columns, row, &mut line);
            let coordinates = Coordinates {
                source: self.name.clone(),
                shard: "".into(),
                position: Position { line: self.number, ..Position::default() },
                arrival: None,
            };
            self.number += 1;
            let text = line.trim_ascii_end();
            decoder.line(coordinates, text, false, &mut piece.batch, &mut piece.rejects);
        }
        piece
    }
}
