//! `where` of a rule: an SQL predicate over a row's columns, which says of which rows the rule speaks.
//!
//! - Takes: what an expression of a recipe takes ([`mod@crate::expression`]), with types, names, quotes and `<=>` as
//!   Spark has them: see [`compile_predicate`].
//! - Null: three-valued, as in SQL. A row is kept where the predicate is true; null is not true. A null in the list of
//!   `in` makes `not in` never true.
//! - Errors: what does not parse, or names no column. The rule then fails with the error's text.
//! - Source: AWS Glue's documentation of `where`; Spark SQL for the meaning of operators.

use crate::column::{Bits, Column, Type, Value};
use crate::expression::{Program, compile_predicate};

/// A predicate ready for rows.
#[derive(Debug)]
pub struct Predicate(Program);

impl Predicate {
    /// Compiles `text` over `columns`, whose index is their slot, or says what is wrong with it.
    pub fn new(text: &str, columns: &[(String, Type)]) -> Result<Self, String> {
        compile_predicate(text, columns).map(Predicate).map_err(|error| {
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("`where` cannot be evaluated: {}{hint}", error.message)
        })
    }

    /// The slots that it reads.
    pub fn reads(&self) -> &[usize] {
        self.0.reads()
    }

    /// Which of the first `rows` rows are kept.
    pub fn kept(&self, columns: &[Column], rows: usize) -> Bits {
        let truth = self.0.evaluate(columns, rows);
        let mut kept = Bits::default();
        (0..rows).for_each(|row| kept.push(truth.get(row) == Value::Bool(true)));
        kept
    }

    /// Whether `row` is kept: [`Predicate::kept`] where only this row is looked at.
    pub fn keeps(&self, columns: &[Column], row: usize) -> bool {
        self.0.evaluate_row(columns, row).get(0) == Value::Bool(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp;

    fn columns() -> Vec<(String, Type)> {
        [
            ("a", Type::Long),
            ("B", Type::String),
            ("ok", Type::Bool),
            ("at", Type::Timestamp),
            ("x", Type::Double),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .to_vec()
    }

    fn data() -> [Column; 5] {
        let mut ok = Column::new(Type::Bool);
        [Value::Bool(true), Value::Bool(false), Value::Null].into_iter().for_each(|v| ok.push(v));
        let mut at = Column::new(Type::Timestamp);
        let times = ["2026-01-01T10:00:00Z", "2026-01-02T00:00:00Z"];
        times.iter().for_each(|t| at.push(Value::Timestamp(timestamp::parse(t).unwrap())));
        at.push(Value::Null);
        [
            Column::longs([Some(1), Some(2), None]),
            Column::strings([Some("x1"), Some("7"), None]),
            ok,
            at,
            Column::doubles([Some(1.0), Some(f64::INFINITY), Some(f64::NAN)]),
        ]
    }

    /// A row kept is `+`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let predicate = Predicate::new(text, &columns()).unwrap();
        let data = data();
        let bits = predicate.kept(&data, 3);
        let sign = |kept| if kept { '+' } else { '-' };
        assert_eq!((0..3).map(|row| sign(bits.get(row))).collect::<String>(), expected, "{text}");
        let alone = (0..3).map(|row| sign(predicate.keeps(&data, row)));
        assert_eq!(alone.collect::<String>(), expected, "{text}, row by row");
    }

    #[test]
    fn values() {
        for (text, kept) in [
            ("a > 1", "-+-"),
            ("A >= 1 and a <= 2", "++-"),
            ("a <> 1", "-+-"),
            ("a != 1 or ok", "++-"),
            ("a <=> null", "--+"),
            ("a <=> 1", "+--"),
            ("b = 7", "-+-"), // text with a number: by the number it spells
            ("b = '7'", "-+-"),
            ("b = \"7\"", "-+-"),
            ("`B` is not null", "++-"),
            ("a is null", "--+"),
            ("isnull(a)", "--+"),
            ("a in (1, 3)", "+--"),
            ("a not in (1, 3)", "-+-"),
            ("a not in (1, null)", "---"), // a null in the list
            ("a between 1 and 2", "++-"),  // both ends are included
            ("a not between 2 and 3", "+--"),
            ("b like 'x%'", "+--"),
            ("b like '_'", "-+-"),
            ("b not like 'x_'", "-+-"),
            ("b rlike '[0-9]'", "++-"),
            ("not b rlike '^[0-9]'", "+--"),
            ("ok", "+--"),
            ("not ok", "-+-"),
            ("ok = 'true'", "+--"),
            ("a + 1 = 3", "-+-"),
            ("a * 2 - 1 > 2", "-+-"),
            ("a / 2 = 0.5", "+--"),
            ("a % 2 = 1", "+--"),
            ("a / 0 is null", "+++"),
            ("a % 0 is null", "+++"),
            ("-a = -1", "+--"),
            ("case when a = 1 then 'p' else 'q' end = 'q'", "-++"),
            ("case a when 1 then true end", "+--"),
            ("cast(b as int) = 7", "-+-"),
            ("cast(a as string) = '1'", "+--"),
            ("cast(b as decimal(3, 1)) > 1", "-+-"),
            ("lower(upper(b)) = 'x1'", "+--"),
            ("length(trim(concat(' ', b, ' '))) = 2", "+--"),
            ("substring(b, 1, 1) = 'x'", "+--"),
            ("substr(b, -1) = '1'", "+--"),
            ("coalesce(a, 9) = 9", "--+"),
            ("nvl(a, 9) > 8", "--+"),
            ("abs(-a) = 1", "+--"),
            ("to_date(at) = '2026-01-01'", "+--"),
            ("at > '2026-01-01'", "++-"),
            ("at >= cast('2026-01-02' as date)", "-+-"),
            // Spark's types: results of different types are text; text is cut to a whole number.
            ("coalesce(a, 'x') = 'x'", "--+"),
            ("coalesce(a, '9') > 8", "--+"),
            ("cast('12.9' as int) = 12", "+++"),
            ("b + 1 = 8", "-+-"),
            ("upper(a) = '2'", "-+-"),
            ("a > true", "-+-"),
            ("at > 3", "---"),
            ("at < '2026-01-01T12:00:00+01:00'", "+--"),
            ("concat(to_date(at), '!') = '2026-01-02!'", "-+-"),
            ("year(at) = 2026", "++-"),
            ("b <=> 7", "-+-"),
            ("x is null", "--+"), // infinite is a value, NaN is none
            ("x > 5", "-+-"),
            ("null", "---"),
            ("true", "+++"),
        ] {
            check(text, kept);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("invalid%%clause", "expected"),
            ("c > 1", "there is no column `c`"),
            ("a >", "expected"),
            ("a", "it is a value and no condition"),
            ("a + 1", "it is a value and no condition"),
            ("lowr(b) = 'x'", "there is no function `lowr` (did you mean `lower`?)"),
            ("lower() = 'x'", "`lower` does not take 0 arguments"),
            ("b rlike '('", "does not compile"),
            ("b like a", "the pattern of `like` is no literal text"),
            ("cast(a as uuid) = 1", "there is no type `uuid`"),
            ("a = 1; drop table x", "not part of"),
            ("a = (select 1)", ""),
        ] {
            let error = Predicate::new(text, &columns()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let deep = vec!["a = 1"; 400].join(" and ");
        assert!(Predicate::new(&deep, &columns()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String) {
            if let Ok(predicate) = Predicate::new(&text, &columns()) {
                predicate.kept(&data(), 4);
                (0..4).for_each(|row| { predicate.keeps(&data(), row); });
            }
        }
    }
}
