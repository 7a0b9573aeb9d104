//! Comma separated values, as endpoints read them (no header) and as files have them (a header).
//!
//! A missing value and an infinity are empty cells, booleans are 1 and 0, doubles the shortest text that reads back,
//! timestamps RFC 3339. Text is quoted where RFC 4180 asks for it, and where it is empty, to be told from missing.

use std::ops::Range;

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
    let mut cells: Vec<Cells<'_>> = columns.iter().map(Cells::new).collect();
    for row in 0..columns.first().map_or(0, Column::len) {
        if row.is_multiple_of(Cells::TOGETHER) {
            // Nothing hangs on the answer: it is asked for so that the columns are fetched from memory together.
            std::hint::black_box(cells.iter().fold(0, |sum, cells| sum ^ cells.touch(row)));
        }
        let mut last = Last::default();
        line(&mut cells, out, |cells, out| cells.write(row, &mut last, out));
    }
}

/// A column as its rows are written.
struct Cells<'c> {
    values: &'c Values,
    /// None if no value is missing.
    valid: Option<&'c Bits>,
    /// True if no text wants quotes but an empty one.
    plain: bool,
    printed: Printed,
}

/// The double that was written last in a row, and where: the sum, the mean and the greatest of one value are the same.
#[derive(Default)]
struct Last {
    bits: u64,
    text: Range<usize>,
}

impl<'c> Cells<'c> {
    /// So many values the processor fetches at once.
    const TOGETHER: usize = 8;

    /// Reads a value a little after `row`, if there is one.
    #[inline]
    fn touch(&self, row: usize) -> u64 {
        let at = row + Cells::TOGETHER;
        match self.values {
            Values::Double(values) => values.get(at).map_or(0, |x| x.to_bits()),
            Values::Long(values) | Values::Timestamp(values) => {
                values.get(at).map_or(0, |x| *x as u64)
            }
            Values::Bool(_) | Values::String(_) => 0,
        }
    }

    fn new(column: &'c Column) -> Self {
        let valid = column.validity();
        let (mut plain, mut printed) = (true, Printed::default());
        match column.values() {
            Values::String(texts) => plain = !is_special(texts.all()),
            Values::Double(values) => printed = Printed::new(values.len()),
            _ => {}
        }
        let valid = (!valid.all()).then_some(valid);
        Cells { values: column.values(), valid, plain, printed }
    }

    #[inline]
    fn write(&mut self, row: usize, last: &mut Last, out: &mut Vec<u8>) {
        if self.valid.is_some_and(|valid| !valid.get(row)) {
            return;
        }
        match self.values {
            Values::Double(values) => {
                let (x, start) = (values[row], out.len());
                if x.to_bits() == last.bits && !last.text.is_empty() {
                    return out.extend_from_within(last.text.clone());
                }
                self.printed.print(x, out);
                *last = Last { bits: x.to_bits(), text: start..out.len() };
            }
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

/// How the doubles of a column are printed: what pays is asked of each column, and no longer once it does not.
#[derive(Default)]
struct Printed {
    /// The texts of some of them, by [`Printed::place`]: many columns hold few values. Empty where it does not pay.
    texts: Vec<Text>,
    found: Trust,
    /// Whether they are [`number::print_short`].
    short: Trust,
}

/// Rises with each time that something pays, and falls with each that it does not.
struct Trust(u32);

impl Default for Trust {
    fn default() -> Self {
        Trust(24)
    }
}

impl Trust {
    #[inline]
    fn is_there(&self) -> bool {
        self.0 > 0
    }

    #[inline]
    fn add(&mut self, pays: bool) {
        self.0 = if pays { (self.0 + 2).min(96) } else { self.0.saturating_sub(1) };
    }
}

/// A double and its text.
#[derive(Clone, Copy, Default)]
struct Text {
    bits: u64,
    /// 0: there is none.
    length: u8,
    bytes: [u8; Text::MOST],
}

impl Text {
    /// No double has a longer text.
    const MOST: usize = 24;
}

impl Printed {
    const PLACES: usize = 64;

    /// For so many rows.
    fn new(rows: usize) -> Self {
        let places = if rows < Printed::PLACES { 0 } else { Printed::PLACES };
        Printed { texts: vec![Text::default(); places], ..Printed::default() }
    }

    /// Appends the text of `x`.
    #[inline]
    fn print(&mut self, x: f64, out: &mut Vec<u8>) {
        let (bits, start) = (x.to_bits(), out.len());
        let Some(known) = self.texts.get_mut(Printed::place(bits)) else {
            return Printed::anew(&mut self.short, x, out);
        };
        let is_found = known.bits == bits && known.length > 0;
        self.found.add(is_found);
        if is_found {
            // Of a fixed length, as that is a few stores, and cut off.
            out.extend_from_slice(&known.bytes);
            return out.truncate(start + usize::from(known.length));
        }
        Printed::anew(&mut self.short, x, out);
        let printed = out.get(start..).unwrap_or_default();
        if let Some(bytes) = known.bytes.get_mut(..printed.len()) {
            bytes.copy_from_slice(printed);
            (known.bits, known.length) = (bits, printed.len() as u8);
        }
        if !self.found.is_there() {
            self.texts.clear();
        }
    }

    #[inline]
    fn anew(short: &mut Trust, x: f64, out: &mut Vec<u8>) {
        if short.is_there() {
            let is_short = number::print_short(x, out);
            short.add(is_short);
            if is_short {
                return;
            }
        }
        number::print(x, out);
    }

    /// Where the text of a double is, if it is there: by bits that each bit of the double changes.
    #[inline]
    fn place(bits: u64) -> usize {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        (bits.wrapping_mul(GOLDEN) >> 58) as usize
    }
}

fn line<T>(
    cells: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
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
    memchr::memchr3(b',', b'"', b'\n', text).is_some() || memchr::memchr(b'\r', text).is_some()
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

    #[test]
    fn doubles_that_come_again_have_the_same_text() {
        let few = |row: u64| Some((row % 7) as f64 / 7.0);
        let many = |row: u64| Some(f64::from_bits(row.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let some = |row: u64| {
            Some([-1.5e-300, 0.0, 1e300][row as usize % 3]).filter(|_| !row.is_multiple_of(5))
        };
        let column = |value: &dyn Fn(u64) -> Option<f64>| Column::doubles((0..500).map(value));
        let short = |row: u64| {
            Some((row as f64 - 250.0) / 8.0 + if row.is_multiple_of(9) { 0.1 } else { 0.0 })
        };
        let columns = [
            column(&few),
            column(&few),
            column(&many),
            column(&some),
            column(&some),
            column(&short),
        ];
        let (mut each, mut all) = (Vec::new(), Vec::new());
        (0..500).for_each(|at| row(&columns, at, &mut each));
        rows(&columns, &mut all);
        assert_eq!(each, all);
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
