//! Parquet files to columns and back.
//!
//! [`Reader`] and [`Writer`] go through a file from its start to its end. [`File`] and [`Groups`] read and encode the columns
//! apart from one another, so that it can be done on many threads; the answer and the bytes do not depend on how many.

use std::io::Write;
use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use leat::column::{Column, Type};
use leat::quality::Tally;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

/// Rows that are read at a time.
const ROWS: usize = 8192;
/// A row group of more rows is not read at once: 16 MiB of numbers in a dictionary.
const MOST_AT_ONCE: usize = 1 << 22;

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
        let metadata = footer(&file)?;
        let (columns, roots) = pick(&metadata, wanted)?;
        let rows = rows_of(metadata.metadata().file_metadata().num_rows());
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(ROWS)
            .build()
            .map_err(unreadable)?;
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
            Err(why) => return Some(Err(unreadable(why))),
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

/// A Parquet file whose footer was read: each column of each row group can be read by itself, on any thread.
pub struct File {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    /// The same, with texts as numbers of a dictionary, if they can be read so.
    coded: Option<ArrowReaderMetadata>,
    columns: Vec<(String, Type)>,
    roots: Vec<usize>,
}

impl File {
    /// Reads the footer of the file `bytes`; `wanted` as for [`Reader::new`].
    pub fn open(bytes: Bytes, wanted: Option<&[&str]>) -> Result<Self, ParquetError> {
        let metadata = footer(&bytes)?;
        let (columns, roots) = pick(&metadata, wanted)?;
        let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Ok(File { bytes, coded: with_texts(&metadata, &coded), metadata, columns, roots })
    }

    /// As [`File::open`], to count rows by: with the first column that has a type of ours, if there is one.
    pub fn to_count(bytes: Bytes) -> Result<Self, ParquetError> {
        let metadata = footer(&bytes)?;
        let of_ours = |field: &&FieldRef| leat_arrow::kind_of(field.data_type()).is_some();
        let first =
            metadata.schema().fields().iter().find(of_ours).map(|field| field.name().clone());
        let (columns, roots) =
            pick(&metadata, Some(&first.iter().map(String::as_str).collect::<Vec<_>>()))?;
        Ok(File { bytes, metadata, coded: None, columns, roots })
    }

    /// Names and types of the columns, in the order wanted.
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    /// The rows of each row group, as the file says itself.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = u64> {
        self.metadata.metadata().row_groups().iter().map(|group| rows_of(group.num_rows()))
    }

    /// The bytes that the column at `column`, of those wanted, has in the row group `group`: what reading it costs.
    pub fn bytes_of(&self, group: usize, column: usize) -> u64 {
        let group = self.metadata.metadata().row_groups().get(group);
        let column = self.roots.get(column).and_then(|&root| group?.columns().get(root));
        column.map_or(0, |column| rows_of(column.uncompressed_size()))
    }

    /// The values of the column at `column`, of those wanted, in the row group `group`, in pieces of `rows` rows, of
    /// which the last has what is left.
    pub fn column(
        &self,
        group: usize,
        column: usize,
        rows: usize,
    ) -> Result<Vec<Column>, ParquetError> {
        let mut pieces = Vec::new();
        for batch in self.batches(&self.metadata, group, column, rows)? {
            let found = leat_arrow::from_batch(batch.map_err(unreadable)?)?;
            pieces.extend(found.into_iter().map(|(_, column)| column));
        }
        Ok(pieces)
    }

    /// How often each value of the column at `column`, of those wanted, stands in the row group `group`; none if its values are
    /// no texts that are kept in a dictionary, or cannot be read as such: [`File::column`] says why.
    pub fn tally(&self, group: usize, column: usize) -> Option<Tally> {
        let of_group = self.metadata.metadata().row_groups().get(group)?;
        let root = self.roots.get(column).filter(|_| self.is_text(column))?;
        if !is_coded(of_group.columns().get(*root)?) {
            return None;
        }
        // A dictionary is that of a row group, which is read at once.
        let rows = usize::try_from(of_group.num_rows()).ok()?;
        if !(1..=MOST_AT_ONCE).contains(&rows) {
            return None;
        }
        let mut batches = self.batches(self.coded.as_ref()?, group, column, rows).ok()?;
        let batch = batches.next()?.ok()?;
        let whole = batches.next().is_none() && batch.num_rows() == rows;
        leat_arrow::tally(batch.column(0)).ok().flatten().filter(|_| whole)
    }

    fn is_text(&self, column: usize) -> bool {
        // A column within others stands not where its root does.
        let flat =
            self.metadata.schema().fields().len() == self.metadata.parquet_schema().num_columns();
        flat && self.columns.get(column).is_some_and(|(_, kind)| *kind == Type::String)
    }

    fn batches(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        column: usize,
        rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let roots = self.roots.get(column).copied();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(rows)
            .build()
            .map_err(unreadable)
    }
}

/// Whether the values of a column of a row group are kept in a dictionary: all of them, as far as the footer tells.
fn is_coded(chunk: &ColumnChunkMetaData) -> bool {
    let dictionary = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];
    match chunk.page_encoding_stats_mask() {
        Some(pages) => dictionary.into_iter().any(|encoding| pages.is_only(encoding)),
        // Not every writer tells of its pages. One that gave up its dictionary on the way makes reading slower here, not wrong.
        None => dictionary.into_iter().any(|encoding| chunk.encodings_mask().is_set(encoding)),
    }
}

/// The footer, with texts in the layout of ours, in whatever layout they were when the file was written: they need not be copied
/// to have it.
fn footer(file: &impl ChunkReader) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::default());
    let metadata = metadata.map_err(unreadable)?;
    Ok(with_texts(&metadata, &DataType::Utf8).unwrap_or(metadata))
}

/// `metadata` with columns of text in the layout `layout`; none if they cannot be read so.
fn with_texts(metadata: &ArrowReaderMetadata, layout: &DataType) -> Option<ArrowReaderMetadata> {
    let schema = metadata.schema();
    let of_text = |field: &FieldRef| match leat_arrow::kind_of(field.data_type()) {
        Some(Type::String) => Arc::new(field.as_ref().clone().with_data_type(layout.clone())),
        _ => field.clone(),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(of_text).collect();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).ok()
}

/// The columns `wanted`, all if none are named, and where each stands in the file.
#[allow(clippy::type_complexity, reason = "two lists of equal length")]
fn pick(
    metadata: &ArrowReaderMetadata,
    wanted: Option<&[&str]>,
) -> Result<(Vec<(String, Type)>, Vec<usize>), ParquetError> {
    let fields = metadata.schema().fields();
    let names: Vec<&str> = match wanted {
        Some(wanted) => wanted.to_vec(),
        None => fields.iter().map(|f| f.name().as_str()).collect(),
    };
    let (mut columns, mut roots) = (Vec::new(), Vec::new());
    for name in names {
        let (root, field) = fields.find(name).ok_or_else(|| ParquetError::NoColumn(name.into()))?;
        let kind = leat_arrow::kind_of(field.data_type()).ok_or_else(|| {
            let why = leat_arrow::Error::Type(field.data_type().clone());
            leat_arrow::Error::Column(name.into(), Box::new(why))
        })?;
        columns.push((name.to_owned(), kind));
        roots.push(root);
    }
    Ok((columns, roots))
}

fn rows_of(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

fn unreadable(why: impl ToString) -> ParquetError {
    ParquetError::File(why.to_string())
}

fn unwritable(why: impl ToString) -> ParquetError {
    ParquetError::Write(why.to_string())
}

/// A writer of a file with `columns` to `out`. Doubles and timestamps are mostly unlike each other: a dictionary of them is made
/// for nothing.
fn writer<W: Write + Send>(
    out: W,
    columns: &[(String, Type)],
    compression: Compression,
) -> Result<(ArrowWriter<W>, SchemaRef), ParquetError> {
    let schema = leat_arrow::schema(columns.iter().map(|(name, kind)| (name.as_str(), *kind)));
    let schema = Arc::new(schema);
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("leat ", env!("CARGO_PKG_VERSION")).into());
    for (name, kind) in columns {
        if matches!(kind, Type::Double | Type::Timestamp) {
            let path = ColumnPath::new(vec![name.clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties.build()));
    Ok((writer.map_err(unwritable)?, schema))
}

/// Writes a Parquet file, compressed by zstd.
pub struct Writer<W: Write + Send> {
    names: Vec<String>,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> Writer<W> {
    /// A writer of a file with `columns` to `out`.
    pub fn new(out: W, columns: &[(String, Type)]) -> Result<Self, ParquetError> {
        let (writer, _) = writer(out, columns, Compression::ZSTD(ZstdLevel::default()))?;
        Ok(Writer { names: columns.iter().map(|(name, _)| name.clone()).collect(), writer })
    }

    /// Appends rows. The columns are of the types given before.
    pub fn write(&mut self, columns: Vec<Column>) -> Result<(), ParquetError> {
        let batch = leat_arrow::to_batch(self.names.iter().cloned().zip(columns))?;
        self.writer.write(&batch).map_err(unwritable)
    }

    /// Writes the end of the file and gives back what it was written to.
    pub fn finish(self) -> Result<W, ParquetError> {
        self.writer.into_inner().map_err(unwritable)
    }
}

/// Writes a Parquet file a row group at a time, of which each column is encoded by itself. It is compressed by Snappy: by a third
/// larger than zstd's, and written in half the time.
pub struct Groups<W: Write + Send> {
    schema: SchemaRef,
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    written: usize,
}

/// Encodes a column of a row group.
pub struct Encoder {
    field: FieldRef,
    writer: ArrowColumnWriter,
}

/// An encoded column of a row group.
pub struct Encoded(ArrowColumnChunk);

impl<W: Write + Send> Groups<W> {
    /// A writer of a file with `columns` to `out`.
    pub fn new(out: W, columns: &[(String, Type)]) -> Result<Self, ParquetError> {
        let (writer, schema) = writer(out, columns, Compression::SNAPPY)?;
        let (file, factory) = writer.into_serialized_writer().map_err(unwritable)?;
        Ok(Groups { schema, file, factory, written: 0 })
    }

    /// An encoder for each column of the next row group.
    pub fn encoders(&self) -> Result<Vec<Encoder>, ParquetError> {
        let writers = self.factory.create_column_writers(self.written).map_err(unwritable)?;
        let fields = self.schema.fields().iter().cloned();
        Ok(fields.zip(writers).map(|(field, writer)| Encoder { field, writer }).collect())
    }

    /// Appends a row group: what each of its encoders made, in their order.
    pub fn append(&mut self, encoded: Vec<Encoded>) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group().map_err(unwritable)?;
        for Encoded(chunk) in encoded {
            chunk.append_to_row_group(&mut group).map_err(unwritable)?;
        }
        self.written += 1;
        group.close().map(|_| ()).map_err(unwritable)
    }

    /// Writes the end of the file and gives back what it was written to.
    pub fn finish(self) -> Result<W, ParquetError> {
        self.file.into_inner().map_err(unwritable)
    }
}

impl Encoder {
    /// Encodes the column, which comes in parts. They are of the type that was given for it.
    pub fn encode(
        mut self,
        parts: impl IntoIterator<Item = Column>,
    ) -> Result<Encoded, ParquetError> {
        for part in parts {
            let array = leat_arrow::to_array(part)?;
            for leaf in compute_leaves(&self.field, &array).map_err(unwritable)? {
                self.writer.write(&leaf).map_err(unwritable)?;
            }
        }
        self.writer.close().map(Encoded).map_err(unwritable)
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

    /// The parts of each column, and the columns of each part: one from the other.
    fn parts(values: &[Column], cuts: &[usize]) -> Vec<Vec<Column>> {
        let ranges = || cuts.windows(2).map(|cut| (cut[0]..cut[1]).collect::<Vec<_>>());
        values.iter().map(|column| ranges().map(|rows| column.gather(&rows)).collect()).collect()
    }

    #[test]
    fn columns_are_written_and_read_apart() {
        let (columns, values) = file();
        let mut groups = Groups::new(Vec::new(), &columns).unwrap();
        for cuts in [&[0, 7_000, 7_001, 15_000][..], &[15_000, 20_000]] {
            let encoders = groups.encoders().unwrap();
            let encoded = encoders.into_iter().zip(parts(&values, cuts)).rev();
            let mut encoded: Vec<_> =
                encoded.map(|(encoder, parts)| encoder.encode(parts).unwrap()).collect();
            encoded.reverse();
            groups.append(encoded).unwrap();
        }
        let bytes = Bytes::from(groups.finish().unwrap());
        assert!(read(Reader::new(bytes.clone(), None).unwrap()) == values);

        let file = File::open(bytes.clone(), Some(&["text", "bool"])).unwrap();
        assert_eq!(file.columns(), [columns[4].clone(), columns[1].clone()]);
        assert_eq!(file.groups().collect::<Vec<_>>(), [15_000, 5_000]);
        assert!(file.bytes_of(0, 0) > file.bytes_of(1, 0) && file.bytes_of(1, 0) > 0);
        let cuts = [&[0, 4_000, 8_000, 12_000, 15_000][..], &[15_000, 19_000, 20_000]];
        let wanted = [values[4].clone(), values[1].clone()];
        for (group, cuts) in cuts.iter().enumerate() {
            for (column, expected) in parts(&wanted, cuts).iter().enumerate() {
                assert!(file.column(group, column, 4_000).as_ref() == Ok(expected));
            }
        }
        let error = File::open(bytes, Some(&["nothing"])).err().unwrap();
        assert_eq!(error, ParquetError::NoColumn("nothing".into()));
    }

    #[test]
    fn texts_of_a_dictionary_are_counted() {
        let text = |row: usize| (!row.is_multiple_of(4)).then_some(["a", "b", "ä"][row % 3]);
        let some: Vec<Option<&str>> = (0..9_000).map(text).collect();
        let unlike: Vec<String> = (0..200_000).map(|i| format!("{i:x>12}")).collect();
        for (texts, coded) in [
            (Column::strings(some.iter().copied()), true),
            (Column::nulls(Type::String, 5), true),
            // More than a dictionary holds: its first pages have one.
            (Column::strings(unlike.iter().map(|text| Some(text.as_str()))), false),
        ] {
            let columns = [("n".to_owned(), Type::Long), ("text".to_owned(), Type::String)];
            let longs = Column::longs((0..texts.len() as i64).map(Some));
            let bytes = to_bytes(&columns, vec![longs, texts.clone()]).unwrap();
            let file = File::open(bytes, Some(&["text", "n"])).unwrap();
            assert!(file.tally(0, 1).is_none() && file.tally(1, 0).is_none());
            let tally = file.tally(0, 0);
            assert_eq!(tally.is_some(), coded);
            let Some(tally) = tally else { continue };
            assert_eq!(tally.rows, texts.len());
            let count =
                |text| (0..texts.len()).filter(|&row| texts.text(row) == Some(text)).count();
            let values = (0..tally.values.len()).map(|at| tally.values.text(at).unwrap());
            let counts: Vec<u64> = values.map(|text| count(text) as u64).collect();
            assert_eq!(tally.counts, counts);
            assert_eq!(counts.iter().sum::<u64>() as usize, texts.validity().count_ones());
        }
    }

    #[test]
    fn texts_of_any_layout_are_ours() {
        use arrow_array::{ArrayRef, DictionaryArray, LargeStringArray, RecordBatch, types};
        let texts = [Some("a"), None, Some("ä"), Some("a")];
        let large: ArrayRef = Arc::new(LargeStringArray::from(texts.to_vec()));
        let coded: DictionaryArray<types::Int8Type> = texts.into_iter().collect();
        let batch = RecordBatch::try_from_iter([("large", large), ("coded", Arc::new(coded) as _)]);
        let batch = batch.unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let expected = vec![Column::strings(texts); 2];
        assert_eq!(read(Reader::new(bytes.clone(), None).unwrap()), expected);
        let file = File::open(bytes, None).unwrap();
        for (at, column) in expected.iter().enumerate() {
            assert_eq!(file.column(0, at, 4).as_deref(), Ok(std::slice::from_ref(column)));
            let tally = file.tally(0, at).unwrap();
            assert_eq!((tally.rows, tally.counts), (4, vec![2, 1]));
        }
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
