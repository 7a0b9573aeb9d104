//! A CSV file with a header → rows, a piece at a time.
//!
//! RFC 4180, with LF or CRLF. An empty cell is missing; other cells are read by the schema's type: booleans are
//! true/false in any case or 1/0; numbers and timestamps may have blanks around them; text is taken as it is. Columns that
//! the schema does not name are unknown fields, as text. A row's place is its number in the file; the header is 0.

use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read};
use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader};

use super::decoder::Found;
use super::value::Raw;
use super::{BOM, Batch, Decoder, reason};
use crate::record::{Coordinates, Position, Reason, Reject};
use crate::tag;

/// Reads a file row by row and holds one row at a time.
#[derive(Debug)]
pub struct Csv<R> {
    input: Chain<Cursor<Vec<u8>>, R>,
    source: Arc<str>,
    parser: Box<Reader>,
    /// The header as it came: a reject's payload begins with it, so that it can be read by itself.
    header: Vec<u8>,
    columns: Vec<Target>,
    number: u64,
    /// The row's cells, one after another, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// The row as it came.
    raw: Vec<u8>,
}

/// Where a column goes.
#[derive(Debug)]
enum Target {
    Field(usize),
    Unknown(String),
}

/// A CSV file that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The input failed.
    #[error(transparent)]
    Input(#[from] io::Error),
    /// The header does not fit the schema.
    #[error("{}", .0.message)]
    Header(Reason),
}

/// What a row was found to be.
enum Next {
    End,
    Row,
    Oversize,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header of `input`. A file without any row has none, and gives no rows.
    pub fn open(decoder: &Decoder, mut input: R, source: Arc<str>) -> Result<Self, CsvError> {
        let mut start = Vec::new();
        input.by_ref().take(BOM.len() as u64).read_to_end(&mut start)?;
        if start == BOM {
            start = b"\n".to_vec(); // a blank line, which counts for nothing
        }
        let mut csv = Csv {
            input: Cursor::new(start).chain(input),
            source,
            parser: Box::new(Reader::new()),
            header: Vec::new(),
            columns: Vec::new(),
            number: 0,
            cells: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
            raw: Vec::new(),
        };
        let refused = |what: String| CsvError::Header(reason("csv", what));
        match csv.next(decoder)? {
            Next::End => return Ok(csv),
            Next::Oversize => {
                return Err(refused("the header is too long or has too many columns".into()));
            }
            Next::Row => {}
        }
        for index in 0..csv.count {
            let name = std::str::from_utf8(csv.cell(index))
                .map_err(|_| refused(format!("column {} of the header is not UTF-8", index + 1)))?;
            let target = match decoder.slot(name, index) {
                Some(slot) => Target::Field(slot),
                None if name == tag::NAME => Target::Unknown(tag::UNTRUSTED.to_string()),
                None => Target::Unknown(name.to_string()),
            };
            csv.columns.push(target);
        }
        for (slot, field) in decoder.fields.iter().enumerate() {
            let count =
                csv.columns.iter().filter(|c| matches!(c, Target::Field(s) if *s == slot)).count();
            if count > 1 || (count == 0 && field.required()) {
                let name = &field.name;
                return Err(refused(format!(
                    "the header has {count} columns `{name}`; it needs one"
                )));
            }
        }
        csv.header = csv.row_text().to_vec();
        Ok(csv)
    }

    /// Decodes at most `rows` rows. False once the file has ended. An error of the input ends the reading; what was
    /// decoded before it stands.
    pub fn read(
        &mut self,
        decoder: &Decoder,
        rows: usize,
        batch: &mut Batch,
        rejects: &mut Vec<Reject>,
    ) -> io::Result<bool> {
        for _ in 0..rows {
            let whole = match self.next(decoder)? {
                Next::End => return Ok(false),
                Next::Row => true,
                Next::Oversize => false,
            };
            self.number += 1;
            let coordinates = Coordinates {
                source: self.source.clone(),
                shard: "".into(),
                position: Position { line: self.number, ..Position::default() },
                arrival: None,
            };
            let done = if whole {
                self.row(decoder, coordinates.clone(), batch)
            } else {
                Err(reason(
                    "oversize",
                    "the row is too long or has too many cells; is a quote left open?",
                ))
            };
            if let Err(reason) = done {
                let payload = [&self.header, &b"\n"[..], self.row_text()].concat();
                rejects.push(Reject { coordinates, reason, payload });
            }
        }
        Ok(true)
    }

    fn row(
        &self,
        decoder: &Decoder,
        coordinates: Coordinates,
        batch: &mut Batch,
    ) -> Result<(), Reason> {
        let (cells, columns) = (self.count, self.columns.len());
        if cells != columns {
            return Err(reason(
                "csv",
                format!("the row has {cells} cells, the header has {columns}"),
            ));
        }
        let mut values: Vec<_> =
            std::iter::repeat_with(|| Raw::Missing).take(decoder.fields.len()).collect();
        let mut unknown = Vec::new();
        for (index, target) in self.columns.iter().enumerate() {
            let text = std::str::from_utf8(self.cell(index))
                .map_err(|_| reason("csv", format!("cell {} is not UTF-8", index + 1)))?;
            match target {
                _ if text.is_empty() => {}
                Target::Field(slot) => values[*slot] = Raw::Cell(text.into()),
                Target::Unknown(name) => {
                    let text = serde_json::Value::from(text).to_string();
                    unknown.push((name.as_str().into(), text.into()));
                }
            }
        }
        let unknown = decoder.unknown(unknown)?;
        let (verdict, protected) = Default::default();
        decoder.push(Found { coordinates, values, unknown, verdict, protected }, batch)
    }

    fn cell(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.cells[start..self.ends[index]]
    }

    /// The row as it came, without line breaks around it.
    fn row_text(&self) -> &[u8] {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = self.raw.iter().position(|byte| !is_break(byte)).unwrap_or(self.raw.len());
        let end = self.raw.iter().rposition(|byte| !is_break(byte)).map_or(start, |last| last + 1);
        &self.raw[start..end]
    }

    /// Reads the next row into the buffers, which grow no further than the limits; what is beyond is read over.
    fn next(&mut self, decoder: &Decoder) -> io::Result<Next> {
        let (most_bytes, most_cells) = (decoder.limits.line, decoder.limits.fields);
        let (mut bytes, mut cells, mut whole) = (0, 0, true);
        self.raw.clear();
        loop {
            let input = match self.input.fill_buf() {
                Ok(input) => input,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut self.cells[bytes..], &mut self.ends[cells..]);
            let room = most_bytes.saturating_sub(self.raw.len()).min(read);
            self.raw.extend_from_slice(&input[..room]);
            self.input.consume(read);
            (bytes, cells) = (bytes + written, cells + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() < most_bytes => {
                    self.cells.resize((self.cells.len() * 2).min(most_bytes), 0);
                }
                ReadRecordResult::OutputFull => (bytes, whole) = (0, false),
                ReadRecordResult::OutputEndsFull if self.ends.len() < most_cells => {
                    self.ends.resize((self.ends.len() * 2).min(most_cells), 0);
                }
                ReadRecordResult::OutputEndsFull => (cells, whole) = (0, false),
                ReadRecordResult::Record => {
                    self.count = cells;
                    whole &= bytes <= most_bytes && cells <= most_cells;
                    return Ok(if whole { Next::Row } else { Next::Oversize });
                }
                ReadRecordResult::End => return Ok(Next::End),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::column::{Column, Value};
    use crate::decode::Limits;
    use crate::decode::fixture::{decoder, recipe};

    fn read_by(
        decoder: &Decoder,
        text: &[u8],
        buffer: usize,
    ) -> Result<(Batch, Vec<Reject>), CsvError> {
        let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
        let input = BufReader::with_capacity(buffer, text);
        let mut csv = Csv::open(decoder, input, "file".into())?;
        while csv.read(decoder, 2, &mut batch, &mut rejects)? {}
        Ok((batch, rejects))
    }

    fn read(text: &str) -> (Batch, Vec<Reject>) {
        let read = read_by(&decoder(), text.as_bytes(), 3).unwrap();
        assert_eq!(read, read_by(&decoder(), text.as_bytes(), 8192).unwrap());
        read
    }

    #[test]
    fn rows() {
        let (batch, rejects) = read(
            "\u{feff}at,id,who,phone,x,amount,_leat\r\n\
             0,a,c,\"5,\"\"0\n1\",u, 1.5 ,\r\n\
             \n2026-01-01 00:00:00,b,c,,,,forged\n\
             1,d,c,,,oops,\n\
             1,,c,,,1,\n\
             1,e,c\n\
             1,f,c, p ,,,",
        );
        assert_eq!(batch.columns[0], Column::strings([Some("a"), Some("b"), Some("f")]));
        assert_eq!(batch.columns[3], Column::doubles([Some(1.5), None, None]));
        assert_eq!(batch.columns[7], Column::strings([Some("5,\"0\n1"), None, Some(" p ")]));
        assert_eq!(batch.columns[2].get(1), Value::Timestamp(1_767_225_600_000_000));
        let unknown: Vec<_> = batch.rows.iter().map(|row| row.unknown.as_deref()).collect();
        assert_eq!(unknown, [Some("\"x\":\"u\""), Some("\"_leat_untrusted\":\"forged\""), None]);
        let places: Vec<_> = batch.rows.iter().map(|row| row.coordinates.position.line).collect();
        assert_eq!(places, [1, 2, 6]);
        let refused: Vec<_> =
            rejects.iter().map(|r| (r.coordinates.position.line, r.reason.rule.as_str())).collect();
        assert_eq!(refused, [(3, "type"), (4, "required"), (5, "csv")]);
        assert_eq!(rejects[2].payload, b"at,id,who,phone,x,amount,_leat\n1,e,c");
    }

    #[test]
    fn headers() {
        assert_eq!(read("").0.len(), 0);
        assert_eq!(read("id,who,at\n").0.len(), 0);
        for (text, what) in [
            ("who,at\n", "0 columns `id`"),
            ("id,who,at,id\n", "2 columns `id`"),
            ("id,who,at,n,n\n", "2 columns `n`"),
        ] {
            let error = read_by(&decoder(), text.as_bytes(), 64).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(matches!(
            read_by(&decoder(), b"id,who,at,\xFF\n", 64),
            Err(CsvError::Header(reason)) if reason.rule == "csv"
        ));
    }

    #[test]
    fn a_bad_cell_spoils_its_row_alone() {
        let (batch, rejects) =
            read_by(&decoder(), b"id,who,at\na,c,0\n\xFF,c,0\nb,c,0\n", 64).unwrap();
        assert_eq!((batch.len(), rejects.len()), (2, 1));
        assert_eq!(rejects[0].payload, b"id,who,at\n\xFF,c,0");
    }

    #[test]
    fn what_is_too_much_is_read_over() {
        let limits = Limits { line: 100, fields: 4, ..Limits::default() };
        let decoder = Decoder::new(&recipe(), None, limits);
        let long = "x".repeat(10_000);
        let many = ",".repeat(500);
        let text =
            format!("id,who,at,phone\na,c,0,{long}\nb,c,0,\n{many}\nd,c,0,\ne,c,0,\"{long}\nf,c,0");
        let (batch, rejects) = read_by(&decoder, text.as_bytes(), 64).unwrap();
        assert_eq!(batch.columns[0], Column::strings([Some("b"), Some("d")]));
        let rules: Vec<_> = rejects.iter().map(|r| r.reason.rule.as_str()).collect();
        assert_eq!(rules, ["oversize", "oversize", "oversize"]);
        assert!(rejects.iter().all(|reject| reject.payload.len() < 120));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_any_cut_reads_the_same(bytes: Vec<u8>, rows in "[a-z0-9,\"\r\n ]*") {
            let _ = read_by(&decoder(), &bytes, 7);
            read(&format!("id,who,at\n{rows}"));
        }
    }
}
