//! JSON Lines: an object a row, in the columns' order; a missing value is null.

use super::json;
use crate::column::Column;

/// Writes rows of columns of the same names.
#[derive(Clone, Debug)]
pub struct Rows {
    /// `"name":`, escaped once.
    names: Vec<Vec<u8>>,
}

impl Rows {
    /// Rows of columns of these names, in order.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let member = |name: &str| {
            let mut member = Vec::with_capacity(name.len() + 3);
            json::plain(name, &mut member);
            member.push(b':');
            member
        };
        Rows { names: names.into_iter().map(member).collect() }
    }

    /// Appends the row `row` of `columns` as one line.
    pub fn row<'a>(
        &self,
        columns: impl IntoIterator<Item = &'a Column>,
        row: usize,
        out: &mut Vec<u8>,
    ) {
        self.object(columns, row, out);
        out.push(b'\n');
    }

    /// Appends the row's object, without a line break.
    pub(super) fn object<'a>(
        &self,
        columns: impl IntoIterator<Item = &'a Column>,
        row: usize,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        for (index, (name, column)) in self.names.iter().zip(columns).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            json::value(column.get(row), out);
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let columns = [
            Column::doubles([Some(3.0)]),
            Column::strings([Some("\"\u{1}é")]),
            Column::longs([None]),
        ];
        let mut out = Vec::new();
        Rows::new(["a", "b\"", "c"]).row(&columns, 0, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":3.0,\"b\\\"\":\"\\\"\\u0001é\",\"c\":null}\n"
        );
    }
}
