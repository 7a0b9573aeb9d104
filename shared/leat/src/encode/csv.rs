//! Comma separated values, as endpoints read them (no header) and as files have them (a header).
//!
//! A missing value and an infinity are empty cells, booleans are 1 and 0, doubles the shortest text that reads back,
//! timestamps RFC 3339. Text is quoted where RFC 4180 asks for it, and where it is empty, to be told from missing.

use crate::column::{Bits, Column, Value, Values};
use crate::{number, timestamp};

/// Appends the header.
pub fn header<'a>(names: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    line(names, out, text);
}

/// Appends the row `row` of `columns`.
pub fn row<'a>(columns: impl IntoIterator<Item = &'a Column>, row: usize, out: &mut Vec<u8>) {
    line(columns, out, |column, out| cell(column.get(row), out));
}

/// Appends all rows of `columns`: [`row`] of each.
pub fn rows(columns: &[Column], out: &mut Vec<u8>) {
    let cells: Vec<Cells<'_>> = columns.iter().map(Cells::new).collect();
    for row in 0..columns.first().map_or(0, Column::len) {
        line(&cells, out, |cells, out| cells.write(row, out));
    }
}

/// A column as its rows are written.
struct Cells<'c> {
    values: &'c Values,
    /// None if no value is missing.
    valid: Option<&'c Bits>,
    /// True if no text wants quotes but an empty one.
    plain: bool,
}

impl<'c> Cells<'c> {
    fn new(column: &'c Column) -> Self {
        let valid = column.validity();
        let plain = match column.values() {
            Values::String(texts) => !is_special(texts.all()),
            _ => true,
        };
        Cells { values: column.values(), valid: (!valid.all()).then_some(valid), plain }
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.valid.is_some_and(|valid| !valid.get(row)) {
            return;
        }
        match self.values {
            Values::Double(values) => number::print(values[row], out),
            Values::Long(values) => number::print_whole(values[row], out),
            Values::Bool(values) => cell(Value::Bool(values.get(row)), out),
            Values::String(values) => match values.bytes(row) {
                bytes @ [_, ..] if self.plain => out.extend_from_slice(bytes),
                _ => text(values.get(row), out),
            },
            Values::Timestamp(values) => timestamp::print(values[row], out),
        }
    }
}

fn line<T>(cells: impl IntoIterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    let start = out.len();
    let mut count = 0;
    for cell in cells {
        if count > 0 {
            out.push(b',');
        }
        write(cell, out);
        count += 1;
    }
    // The one cell of a line cannot be nothing at all: readers skip blank lines.
    if count == 1 && out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}

fn cell(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(if value { b'1' } else { b'0' }),
        Value::Long(value) => number::print_whole(value, out),
        Value::Double(value) => number::print(value, out),
        Value::String(value) => text(value, out),
        Value::Timestamp(value) => timestamp::print(value, out),
    }
}

/// True if quotes are wanted around it.
fn is_special(text: &[u8]) -> bool {
    let special =
        |b: u8| u8::from(b == b',') | u8::from(b == b'"') | u8::from((b == b'\n') | (b == b'\r'));
    // Without a branch, so that sixteen are looked at once.
    let (chunks, rest) = text.as_chunks::<16>();
    let mut found = [0u8; 16];
    for chunk in chunks {
        for (found, byte) in found.iter_mut().zip(chunk) {
            *found |= special(*byte);
        }
    }
    found != [0; 16] || rest.iter().any(|byte| special(*byte) != 0)
}

fn text(text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() && !is_special(text.as_bytes()) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Type;

    #[track_caller]
    fn check(columns: &[Column], expected: &str) {
        let (mut out, mut all) = (Vec::new(), Vec::new());
        row(columns, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        if !columns.is_empty() {
            rows(columns, &mut all);
            assert_eq!(String::from_utf8(all).unwrap(), expected);
        }
    }

    #[test]
    fn cells() {
        let mut boolean = Column::new(Type::Bool);
        boolean.push(Value::Bool(true));
        let mut time = Column::new(Type::Timestamp);
        time.push(Value::Timestamp(1));
        let text = |text| Column::strings([Some(text)]);
        check(
            &[
                Column::doubles([Some(0.1)]),
                Column::doubles([None]),
                Column::doubles([Some(f64::INFINITY)]),
                boolean,
                Column::longs([Some(-7)]),
                time,
            ],
            "0.1,,,1,-7,1970-01-01T00:00:00.000001Z\n",
        );
        check(&[text("a\"b"), text("c,d"), text(""), text("é f")], "\"a\"\"b\",\"c,d\",\"\",é f\n");
        check(&[Column::doubles([None])], "\"\"\n"); // one column: no blank line
        check(&[Column::doubles([None]), Column::doubles([None])], ",\n");
        check(&[], "\n");
    }

    #[test]
    fn header_names_are_quoted() {
        let mut out = Vec::new();
        header(["a", "b,c"], &mut out);
        assert_eq!(out, b"a,\"b,c\"\n");
    }

    proptest::proptest! {
        /// A text is quoted if anything in it, wherever it stands, wants quotes; and all rows are each row.
        #[test]
        fn rows_are_each_row(texts in proptest::collection::vec(proptest::option::of("[a-c,\"\r\n]{0,3}[a-f ]{0,40}[a,\"\r\n]{0,1}"), 0..20)) {
            let numbers = texts.iter().map(|text| Some(text.as_ref()?.len() as i64));
            let columns = [
                Column::strings(texts.iter().map(Option::as_deref)),
                Column::longs(numbers.clone()),
                Column::doubles(numbers.map(|n| Some(n? as f64 / 7.0))),
            ];
            let (mut each, mut all) = (Vec::new(), Vec::new());
            (0..texts.len()).for_each(|at| row(&columns, at, &mut each));
            rows(&columns, &mut all);
            proptest::prop_assert_eq!(&each, &all);
            for text in texts.into_iter().flatten() {
                let mut cell = Vec::new();
                super::text(&text, &mut cell);
                let quoted = text.is_empty() || text.contains([',', '"', '\n', '\r']);
                proptest::prop_assert_eq!(cell.starts_with(b"\"") && cell.len() > text.len(), quoted);
            }
        }
    }
}
