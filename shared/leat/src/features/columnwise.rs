//! Columns read and made in one pass, with the type looked at once and nothing allocated for a row.

use crate::column::{Column, Value, Values};

/// What columns of features hold.
pub(super) trait Cell: Sized {
    /// A column of cells; none is missing.
    fn column(cells: impl Iterator<Item = Option<Self>>) -> Column;
}

impl Cell for f64 {
    fn column(cells: impl Iterator<Item = Option<f64>>) -> Column {
        Column::doubles(cells)
    }
}

impl Cell for i64 {
    fn column(cells: impl Iterator<Item = Option<i64>>) -> Column {
        Column::longs(cells)
    }
}

/// What `function` makes of each number of `column`, as [`Column::number`] reads it; of none where it is missing.
pub(super) fn of_numbers<T: Cell>(
    column: &Column,
    function: impl Fn(Option<f64>) -> Option<T>,
) -> Column {
    let valid = column.validity();
    match column.values() {
        Values::Double(v) => {
            T::column(v.iter().enumerate().map(|(row, &x)| function(valid.get(row).then_some(x))))
        }
        Values::Long(v) => {
            let number = |(row, &x): (usize, &i64)| valid.get(row).then_some(x as f64);
            T::column(v.iter().enumerate().map(|cell| function(number(cell))))
        }
        _ => T::column((0..column.len()).map(|row| function(column.number(row)))),
    }
}

/// The bytes that stand for a value where it is hashed or looked up: a text's own in UTF-8; the eight of a whole number
/// or of a double (its bits), least significant first; 0 or 1 for a boolean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'c> {
    Text(&'c [u8]),
    Number([u8; 8]),
    Flag([u8; 1]),
}

impl<'c> Key<'c> {
    /// The key of the value at `row`; `None` if it is missing, which a blank text is too.
    #[inline]
    pub fn at(column: &'c Column, row: usize) -> Option<Key<'c>> {
        if let Values::String(texts) = column.values() {
            let bytes = texts.bytes(row);
            // Mostly the first byte tells: what is below is a blank, a control character or the end.
            let plain = bytes.first().is_some_and(|byte| (b'!'..0x7f).contains(byte));
            let there = column.is_valid(row) && (plain || !texts.get(row).trim().is_empty());
            return there.then_some(Key::Text(bytes));
        }
        match column.get(row) {
            Value::Long(x) => Some(Key::Number(x.to_le_bytes())),
            Value::Double(x) if x.is_finite() => Some(Key::Number(x.to_bits().to_le_bytes())),
            Value::Bool(x) => Some(Key::Flag([u8::from(x)])),
            _ => None,
        }
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Key::Text(bytes) => bytes,
            Key::Number(bytes) => bytes,
            Key::Flag(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Type;
    use crate::features::counts::Label;

    #[test]
    fn numbers() {
        let twice = |x: Option<f64>| x.map(|x| 2.0 * x);
        let mut flags = Column::new(Type::Bool);
        [Value::Bool(true), Value::Null].into_iter().for_each(|v| flags.push(v));
        for (column, expected) in [
            (Column::doubles([Some(1.5), None, Some(-0.0)]), vec![Some(3.0), None, Some(0.0)]),
            (Column::longs([Some(4), None]), vec![Some(8.0), None]),
            (flags, vec![Some(2.0), None]),
            (Column::strings([Some("7")]), vec![None]),
            (Column::doubles([]), vec![]),
        ] {
            assert_eq!(of_numbers(&column, twice), Column::doubles(expected));
        }
        let many = Column::longs((0..100).map(|i| (i % 3 > 0).then_some(i)));
        let found = of_numbers(&many, |x| x.map(|x| x as i64 + 1));
        assert_eq!(found, Column::longs((0..100).map(|i| (i % 3 > 0).then_some(i + 1))));
    }

    #[test]
    fn a_key_is_there_where_a_label_is() {
        let texts = ["a", "", " ", " a", "\u{a0}", "\u{3000}x", "é", "\u{1}", "\t"];
        let column = Column::strings(texts.into_iter().map(Some).chain([None]));
        for row in 0..column.len() {
            let label = Label::at(&column, row).map(|label| label.to_string().into_bytes());
            assert_eq!(Key::at(&column, row).map(|key| key.bytes().to_vec()), label, "{row}");
        }
        let longs = Column::longs([Some(258), None]);
        assert_eq!(Key::at(&longs, 0).unwrap().bytes(), [2, 1, 0, 0, 0, 0, 0, 0]);
        assert!(Key::at(&longs, 1).is_none());
        let doubles = Column::doubles([Some(1.0), Some(f64::INFINITY)]);
        assert_eq!(Key::at(&doubles, 0).unwrap().bytes(), 1f64.to_bits().to_le_bytes());
        assert!(Key::at(&doubles, 1).is_none());
    }
}
