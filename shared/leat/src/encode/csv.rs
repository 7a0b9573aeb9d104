//! Comma separated values, as endpoints read them (no header) and as files have them (a header).
//!
//! A missing value and an infinity are empty cells, booleans are 1 and 0, doubles the shortest text that reads back,
//! timestamps RFC 3339. Text is quoted where RFC 4180 asks for it, and where it is empty, to be told from missing.

use crate::column::{Column, Value};
use crate::{number, timestamp};

/// Appends the header.
pub fn header<'a>(names: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    line(names, out, text);
}

/// Appends the row `row` of `columns`.
pub fn row<'a>(columns: impl IntoIterator<Item = &'a Column>, row: usize, out: &mut Vec<u8>) {
    line(columns, out, |column, out| cell(column.get(row), out));
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

fn text(text: &str, out: &mut Vec<u8>) {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']);
    if plain {
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
        let mut out = Vec::new();
        row(columns, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn rows() {
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
}
