//! Parquet files to columns and back.

use std::io::Write;

use bytes::Bytes;
use leat::column::{Column, Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// Why a file could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParquetError {
    /// The file is no Parquet file, or is damaged.
    #[error("the Parquet file cannot be read: {0}")]
    File(String),
    /// A column of the file has a type that has no counterpart.
    #[error("the Parquet file: {0}")]
    Column(#[from] leat_arrow::Error),
    /// A column that is wanted is not in the file.
    #[error("the Parquet file has no column `{0}`")]
    NoColumn(String),
    /// The file could not be written.
    #[error("the Parquet file cannot be written: {0}")]
    Write(String),
}

/// Reads a Parquet file, some thousand rows at a time.
pub struct Reader {
    batches: ParquetRecordBatchReader,
    /// The columns that are read, in the order wanted.
    columns: Vec<(String, Type)>,
    rows: u64,
}

impl Reader {
    /// A reader of `file` (bytes, or an open file). `wanted` names the columns to read, in that order; none reads
    /// all. Columns of other types than ours are refused if they are wanted.
    pub fn new(
        file: impl ChunkReader + 'static,
        wanted: Option<&[&str]>,
    ) -> Result<Self, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|why| ParquetError::File(why.to_string()))?;
        let fields = builder.schema().fields().clone();
        let names: Vec<&str> = match wanted {
            Some(wanted) => wanted.to_vec(),
            None => fields.iter().map(|f| f.name().as_str()).collect(),
        };
        let (mut columns, mut roots) = (Vec::new(), Vec::new());
        for name in names {
            let (root, field) =
                fields.find(name).ok_or_else(|| ParquetError::NoColumn(name.into()))?;
            let kind = leat_arrow::kind_of(field.data_type()).ok_or_else(|| {
                let why = leat_arrow::Error::Type(field.data_type().clone());
                leat_arrow::Error::Column(name.into(), Box::new(why))
            })?;
            columns.push((name.to_owned(), kind));
            roots.push(root);
        }
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder
            .with_projection(mask)
            .with_batch_size(ROWS)
            .build()
            .map_err(|why| ParquetError::File(why.to_string()))?;
        Ok(Reader { batches, columns, rows })
    }

    /// Names and types of the columns, in the order of those that [`Reader`] gives.
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    /// The rows of the file, as it says itself.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<Column>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(why) => return Some(Err(ParquetError::File(why.to_string()))),
        };
        Some(leat_arrow::from_batch(batch).map_err(Into::into).and_then(|mut found| {
            let pick = |(name, _): &(String, Type)| {
                let at = found.iter().position(|(n, _)| n == name);
                at.map(|at| found.swap_remove(at).1)
                    .ok_or_else(|| ParquetError::NoColumn(name.clone()))
            };
            self.columns.iter().map(pick).collect()
        }))
    }
}

/// Writes a Parquet file, compressed by zstd.
pub struct Writer<W: Write + Send> {
    names: Vec<String>,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Writer<W> {
    /// A writer of a file with `columns` to `out`.
    pub fn new(out: W, columns: &[(String, Type)]) -> Result<Self, ParquetError> {
        let schema = leat_arrow::schema(columns.iter().map(|(name, kind)| (name.as_str(), *kind)));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("leat ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let writer = ArrowWriter::try_new(out, schema.into(), Some(properties))
            .map_err(|why| ParquetError::Write(why.to_string()))?;
        Ok(Writer { names: columns.iter().map(|(name, _)| name.clone()).collect(), writer })
    }

    /// Appends rows. The columns are of the types given before.
    pub fn write(&mut self, columns: Vec<Column>) -> Result<(), ParquetError> {
        let batch = leat_arrow::to_batch(self.names.iter().cloned().zip(columns))?;
        self.writer.write(&batch).map_err(|why| ParquetError::Write(why.to_string()))
    }

    /// Writes the end of the file and gives back what it was written to.
    pub fn finish(self) -> Result<W, ParquetError> {
        self.writer.into_inner().map_err(|why| ParquetError::Write(why.to_string()))
    }
}

/// A whole file in memory.
pub fn to_bytes(columns: &[(String, Type)], values: Vec<Column>) -> Result<Bytes, ParquetError> {
    let mut writer = Writer::new(Vec::new(), columns)?;
    writer.write(values)?;
    writer.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat::column::Value;

    fn file() -> (Vec<(String, Type)>, Vec<Column>) {
        let mut times = Column::new(Type::Timestamp);
        let mut bools = Column::new(Type::Bool);
        for row in 0..20_000 {
            times.push(if row == 9 { Value::Null } else { Value::Timestamp(row * 1_000_001) });
            bools.push(Value::Bool(row % 3 == 0));
        }
        let texts: Vec<String> = (0..20_000).map(|i| format!("c-{}", i % 100)).collect();
        let columns = vec![
            times,
            bools,
            Column::longs((0..20_000).map(|i| (i % 5 != 0).then_some(i))),
            Column::doubles((0..20_000).map(|i| Some(f64::from(i) / 7.0))),
            Column::strings(texts.iter().map(|t| Some(t.as_str()))),
        ];
        let names = ["time", "bool", "long", "double", "text"];
        (names.iter().zip(&columns).map(|(n, c)| ((*n).into(), c.kind())).collect(), columns)
    }

    fn read(reader: Reader) -> Vec<Column> {
        let mut out: Vec<Column> =
            reader.columns().iter().map(|(_, kind)| Column::new(*kind)).collect();
        for batch in reader {
            out.iter_mut().zip(batch.unwrap()).for_each(|(column, more)| column.append(&more));
        }
        out
    }

    #[test]
    fn there_and_back() {
        let (columns, values) = file();
        let bytes = to_bytes(&columns, values.clone()).unwrap();
        let reader = Reader::new(bytes.clone(), None).unwrap();
        assert_eq!(reader.columns(), columns);
        assert_eq!(reader.rows(), 20_000);
        assert!(read(reader) == values);
        let some = read(Reader::new(bytes.clone(), Some(&["text", "time"])).unwrap());
        assert!(some == [values[4].clone(), values[0].clone()]);
        let error = Reader::new(bytes, Some(&["nothing"])).err().unwrap();
        assert_eq!(error, ParquetError::NoColumn("nothing".into()));
    }

    #[test]
    fn what_is_no_parquet_is_refused() {
        for bytes in [b"".as_slice(), b"PAR1", b"PAR1 not at all PAR1"] {
            assert!(matches!(
                Reader::new(Bytes::copy_from_slice(bytes), None),
                Err(ParquetError::File(_))
            ));
        }
    }
}
