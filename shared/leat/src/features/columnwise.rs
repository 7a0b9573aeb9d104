//! Columns read and made in one pass, with the type looked at once and nothing allocated for a row.

use crate::column::{Column, Value, Values};

/// The whole number that `function` makes of each number of `column`, as [`Column::number`] reads it; of none where it is
/// missing.
pub(super) fn to_longs(column: &Column, function: impl Fn(Option<f64>) -> Option<i64>) -> Column {
    let valid = column.validity();
    match column.values() {
        Values::Double(v) => Column::longs(
            v.iter().enumerate().map(|(row, &x)| function(valid.get(row).then_some(x))),
        ),
        _ => Column::longs((0..column.len()).map(|row| function(column.number(row)))),
    }
}

/// The number that `function` makes of each number of `column`, as [`Column::number`] reads it; NaN is missing, on both
/// sides. A function without a branch is worked out for several numbers at once.
#[inline]
pub(super) fn of_doubles(column: &Column, function: impl Fn(f64) -> f64) -> Column {
    match column.values() {
        Values::Double(v) => Column::map_numbers(v, column.validity(), |x| x, function),
        Values::Long(v) => Column::map_numbers(v, column.validity(), |x| x as f64, function),
        _ => Column::doubles(
            (0..column.len()).map(|row| Some(function(column.number(row).unwrap_or(f64::NAN)))),
        ),
    }
}

/// The numbers of `column`, NaN for one that is missing or infinite.
pub(super) fn numbers(column: &Column) -> Vec<f64> {
    let number = |row| column.number(row).filter(|x| x.is_finite()).unwrap_or(f64::NAN);
    match column.values() {
        Values::Double(v) if column.validity().all() => {
            v.iter().map(|x| if x.is_finite() { *x } else { f64::NAN }).collect()
        }
        Values::Long(v) if column.validity().all() => v.iter().map(|x| *x as f64).collect(),
        _ => (0..column.len()).map(number).collect(),
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
            let there = column.is_valid(row) && (plain || !is_blank(texts.get(row)));
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

/// Apart, so that what mostly happens is short.
#[cold]
#[inline(never)]
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Type;
    use crate::features::counts::Label;

    #[test]
    fn values() {
        let mut flags = Column::new(Type::Bool);
        [Value::Bool(true), Value::Null].into_iter().for_each(|v| flags.push(v));
        for (column, expected) in [
            (Column::doubles([Some(1.5), None, Some(-0.0)]), vec![Some(3.0), None, Some(0.0)]),
            (Column::longs([Some(4), None]), vec![Some(8.0), None]),
            (flags, vec![Some(2.0), None]),
            (Column::strings([Some("7")]), vec![None]),
            (Column::doubles([]), vec![]),
        ] {
            assert_eq!(of_doubles(&column, |x| 2.0 * x), Column::doubles(expected.clone()));
            let whole = expected.iter().map(|x| x.map(|x| x as i64));
            assert_eq!(to_longs(&column, |x| Some((2.0 * x?) as i64)), Column::longs(whole));
            let halves = numbers(&column).into_iter().map(|x| Some(2.0 * x));
            assert_eq!(Column::doubles(halves), Column::doubles(expected));
        }
        assert!(numbers(&Column::doubles([Some(f64::INFINITY)]))[0].is_nan());
    }

    proptest::proptest! {
        /// Eight at a time is one by one.
        #[test]
        fn a_column_is_its_values(
            values in proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 0..40),
            limit: f64,
        ) {
            let column = Column::doubles(values.iter().copied());
            let less = |x: f64| if x < limit { -x } else { f64::NAN };
            let expected = |row| column.number(row).map(less);
            let one_by_one = Column::doubles((0..column.len()).map(expected));
            proptest::prop_assert_eq!(of_doubles(&column, less), one_by_one);
            let filled = of_doubles(&column, |x| if x.is_finite() { x } else { 7.0 });
            let expected = |row| column.number(row).filter(|x: &f64| x.is_finite()).or(Some(7.0));
            proptest::prop_assert_eq!(filled, Column::doubles((0..column.len()).map(expected)));
        }
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
