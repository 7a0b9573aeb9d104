//! The golden table of expressions, and laws.

use super::*;
use crate::column::Value;
use Type::{Bool, Double, Long, Timestamp};

/// Three rows: values, nulls, edges.
fn batch() -> (Vec<(String, Type)>, Vec<Column>) {
    let mut flag = Column::new(Bool);
    let mut time = Column::new(Timestamp);
    for value in [Value::Bool(true), Value::Null, Value::Bool(false)] {
        flag.push(value);
    }
    for value in [Value::Timestamp(1_767_225_600_500_000), Value::Null, Value::Timestamp(-1)] {
        time.push(value);
    }
    let columns = [
        ("a", Column::longs([Some(7), None, Some(i64::MIN)])),
        ("b", Column::longs([Some(-2), Some(3), Some(0)])),
        ("x", Column::doubles([Some(2.5), None, Some(f64::INFINITY)])),
        ("y", Column::doubles([Some(-0.5), Some(4.0), Some(0.0)])),
        ("s", Column::strings([Some("web"), None, Some(" 12 ")])),
        ("flag", flag),
        ("date", time),
        ("odd name", Column::longs([Some(1), Some(2), Some(3)])),
    ];
    columns.into_iter().map(|(name, column)| ((name.to_owned(), column.kind()), column)).unzip()
}

/// What `text` gives, as `type: value, value, value`.
fn run(text: &str) -> String {
    let (names, columns) = batch();
    match compile(text, &names) {
        Err(e) => format!(
            "{}: {}{}",
            e.offset,
            e.message,
            e.hint.map_or(String::new(), |h| format!(" ({})", h.replace(sql::ALLOWED, "…")))
        ),
        Ok(program) => {
            let out = program.evaluate(&columns, 3);
            assert_eq!(out.kind(), program.kind());
            assert_eq!(out, out.clone().canonical(), "{text}");
            let values: Vec<_> = (0..3)
                .map(|row| match out.get(row) {
                    Value::Null => "null".to_owned(),
                    Value::Bool(x) => x.to_string(),
                    Value::Long(x) => x.to_string(),
                    Value::Double(x) => crate::number::to_text(x),
                    Value::String(x) => format!("'{x}'"),
                    Value::Timestamp(x) => crate::timestamp::to_text(x),
                })
                .collect();
            format!("{}: {}", out.kind(), values.join(", "))
        }
    }
}

#[test]
fn values() {
    for (text, expected) in [
        // Columns and literals.
        ("a", "long: 7, null, -9223372036854775808"),
        ("x", "double: 2.5, null, null"),
        ("\"odd name\"", "long: 1, 2, 3"),
        ("`odd name` + 1", "long: 2, 3, 4"),
        ("date", "timestamp: 2026-01-01T00:00:00.500000Z, null, 1969-12-31T23:59:59.999999Z"),
        ("1", "long: 1, 1, 1"),
        (
            "-9223372036854775808",
            "long: -9223372036854775808, -9223372036854775808, -9223372036854775808",
        ),
        (
            "9223372036854775808",
            "double: 9.223372036854776e+18, 9.223372036854776e+18, 9.223372036854776e+18",
        ),
        (".5", "double: 0.5, 0.5, 0.5"),
        ("1e3", "double: 1000.0, 1000.0, 1000.0"),
        ("'it''s'", "string: 'it's', 'it's', 'it's'"),
        ("TRUE", "bool: true, true, true"),
        ("cast(null as double)", "double: null, null, null"),
        // Arithmetic.
        ("a + b", "long: 5, null, -9223372036854775808"),
        ("a + -1", "long: 6, null, null"),
        ("a - b", "long: 9, null, -9223372036854775808"),
        ("a * 2", "long: 14, null, null"),
        ("-a", "long: -7, null, null"),
        ("+a", "long: 7, null, -9223372036854775808"),
        ("a / b", "double: -3.5, null, null"),
        ("a / 2", "double: 3.5, null, -4.611686018427388e+18"),
        ("a % b", "long: 1, null, null"),
        ("-7 % 3", "long: -1, -1, -1"),
        ("a % -1", "long: 0, null, 0"),
        ("7.5 % b", "double: 1.5, 1.5, null"),
        ("a + x", "double: 9.5, null, null"),
        ("x * y", "double: -1.25, null, null"),
        ("1 / y", "double: -2.0, 0.25, null"),
        ("1e308 * 10", "double: null, null, null"),
        ("0.0 / 0", "double: null, null, null"),
        ("-y * 0", "double: 0.0, 0.0, 0.0"),
        ("1 + 2 * 3 - 4", "long: 3, 3, 3"),
        ("(1 + 2) * 3", "long: 9, 9, 9"),
        ("a + null", "long: null, null, null"),
        // Comparison and logic.
        ("a > b", "bool: true, null, false"),
        ("a >= 7.0", "bool: true, null, false"),
        ("y = 0", "bool: false, false, true"),
        ("y == 0", "bool: false, false, true"),
        ("y <> 0", "bool: true, true, false"),
        ("y != 0", "bool: true, true, false"),
        ("s < 'x'", "bool: true, null, true"),
        ("date > cast('2026-01-01T00:00:00Z' as timestamp)", "bool: true, null, false"),
        ("flag = true", "bool: true, null, false"),
        ("a = null", "bool: null, null, null"),
        ("flag and false", "bool: false, false, false"),
        ("flag and true", "bool: true, null, false"),
        ("flag and null", "bool: null, null, false"),
        ("flag or true", "bool: true, true, true"),
        ("flag or null", "bool: true, null, null"),
        ("not flag", "bool: false, null, true"),
        ("not a = 7 and b < 0 or flag", "bool: true, null, false"),
        ("a is null", "bool: false, true, false"),
        ("s is not null", "bool: true, false, true"),
        ("null is null", "bool: true, true, true"),
        // In, between.
        ("b in (3, -2)", "bool: true, true, false"),
        ("b in (3, null)", "bool: null, true, null"),
        ("b not in (3, null)", "bool: null, false, null"),
        ("s in ('web', 'app')", "bool: true, null, false"),
        ("y in (4, 0.0)", "bool: false, true, true"),
        ("a between b and 7", "bool: true, null, false"),
        ("b not between 0 and 3", "bool: true, false, false"),
        ("x between null and 2", "bool: false, null, null"),
        // Case.
        (
            "case when a > 0 then 'up' when a is null then 'none' else 'down' end",
            "string: 'up', 'none', 'down'",
        ),
        ("case when flag then 1 end", "long: 1, null, null"),
        ("case when flag then 1 else y end", "double: 1.0, 4.0, 0.0"),
        ("case when null then 1 else null end", "long: null, null, null"),
        ("case s when 'web' then 1 when null then 2 else 3 end", "long: 1, 3, 3"),
        ("case b when 3.0 then a else b end", "long: -2, null, 0"),
        ("CASE b WHEN 0 THEN case when flag then 1 else 2 end ELSE 0 END", "long: 0, 0, 2"),
        // Functions.
        ("abs(a)", "long: 7, null, null"),
        ("ABS(y)", "double: 0.5, 4.0, 0.0"),
        ("coalesce(a, b)", "long: 7, 3, -9223372036854775808"),
        ("coalesce(x, a, 0)", "double: 2.5, 0.0, -9.223372036854776e+18"),
        ("coalesce(null, s, 'none')", "string: 'web', 'none', ' 12 '"),
        ("nullif(b, 0)", "long: -2, 3, null"),
        ("nullif(b, 3.0)", "long: -2, null, 0"),
        ("nullif(s, null)", "string: 'web', null, ' 12 '"),
        ("x / nullif(b, 0)", "double: -1.25, null, null"),
        ("greatest(a, b, null)", "long: 7, 3, 0"),
        ("least(a, y)", "double: -0.5, 4.0, -9.223372036854776e+18"),
        ("greatest(s, 'app')", "string: 'web', 'app', 'app'"),
        ("ceil(y)", "double: 0.0, 4.0, 0.0"),
        ("floor(y)", "double: -1.0, 4.0, 0.0"),
        ("round(y - 2)", "double: -3.0, 2.0, -2.0"),
        ("round(a)", "long: 7, null, -9223372036854775808"),
        ("sign(b)", "double: -1.0, 1.0, 0.0"),
        ("sqrt(y)", "double: null, 2.0, 0.0"),
        ("cbrt(8)", "double: 2.0, 2.0, 2.0"),
        ("ln(y)", "double: null, 1.3862943611198906, null"),
        ("log1p(y) + log2(8) + log10(100)", "double: 4.306852819440055, 6.6094379124341005, 5.0"),
        ("exp(1000)", "double: null, null, null"),
        ("pow(y, 2)", "double: 0.25, 16.0, 0.0"),
        ("pow(y, null)", "double: null, null, null"),
        ("sin(0) + cos(0)", "double: 1.0, 1.0, 1.0"),
        ("year(date)", "long: 2026, null, 1969"),
        ("month(date) * 100 + day(date)", "long: 101, null, 1231"),
        ("hour(date) * 10000 + minute(date) * 100 + second(date)", "long: 0, null, 235959"),
        ("day_of_week(date)", "long: 4, null, 3"),
        ("day_of_year(date) + 1000 * quarter(date)", "long: 1001, null, 4365"),
        ("week(date)", "long: 1, null, 1"),
        ("date_trunc('hour', date)", "timestamp: 2026-01-01T00:00:00Z, null, 1969-12-31T23:00:00Z"),
        ("date_trunc('week', date)", "timestamp: 2025-12-29T00:00:00Z, null, 1969-12-29T00:00:00Z"),
        ("seconds_between(date, cast(0 as timestamp))", "double: -1767225600.5, null, 1e-6"),
        ("upper(s)", "string: 'WEB', null, ' 12 '"),
        ("lower('ÉA')", "string: 'éa', 'éa', 'éa'"),
        ("length(trim(s))", "long: 3, null, 2"),
        ("concat(s, '-', upper(s))", "string: 'web-WEB', null, ' 12 - 12 '"),
        ("substring('mühle', 2, 3)", "string: 'ühl', 'ühl', 'ühl'"),
        ("substring(s, 0, 2)", "string: 'we', null, ' 1'"),
        ("substr(s, -2)", "string: 'eb', null, '2 '"),
        ("substr('web', -5, 4)", "string: 'we', 'we', 'we'"),
        ("substring(s, a)", "string: '', null, ' 12 '"),
        ("substring(s, 1, -1)", "string: '', null, ''"),
        ("isnull(s)", "bool: false, true, false"),
        ("isnull(null)", "bool: true, true, true"),
        ("nvl(a, 1)", "long: 7, 1, -9223372036854775808"),
        ("to_date(date)", "timestamp: 2026-01-01T00:00:00Z, null, 1969-12-31T00:00:00Z"),
        ("s like 'w%'", "bool: true, null, false"),
        ("s not like '_e_'", "bool: false, null, true"),
        ("s rlike '[0-9]'", "bool: false, null, true"),
        ("not s rlike 'e' or a = 7", "bool: true, null, true"),
        ("null like 'a'", "bool: null, null, null"),
        // Casts.
        ("cast(a as double)", "double: 7.0, null, -9.223372036854776e+18"),
        ("cast(x as long)", "long: 2, null, null"),
        ("cast(-2.9 as long)", "long: -2, -2, -2"),
        ("cast(9223372036854775808.0 as long)", "long: null, null, null"),
        ("cast(s as long)", "long: null, null, 12"),
        ("cast('3.0' as long)", "long: 3, 3, 3"),
        ("cast('3.5' as long)", "long: null, null, null"),
        ("cast(s as double)", "double: null, null, 12.0"),
        ("cast('1e999' as double)", "double: null, null, null"),
        ("cast('nan' as double)", "double: null, null, null"),
        ("cast(x as string)", "string: '2.5', null, null"),
        ("cast(a as string)", "string: '7', null, '-9223372036854775808'"),
        ("cast(flag as long)", "long: 1, null, 0"),
        ("cast(b as bool)", "bool: true, true, false"),
        ("cast('Yes' as bool)", "bool: true, true, true"),
        ("cast(s as bool)", "bool: null, null, null"),
        ("cast(date as long)", "long: 1767225600, null, -1"),
        ("cast(date as double)", "double: 1767225600.5, null, -1e-6"),
        (
            "cast(date as string)",
            "string: '2026-01-01T00:00:00.500000Z', null, '1969-12-31T23:59:59.999999Z'",
        ),
        (
            "cast(1767225600000 as timestamp)",
            "timestamp: 2026-01-01T00:00:00Z, 2026-01-01T00:00:00Z, 2026-01-01T00:00:00Z",
        ),
        ("cast(s as timestamp)", "timestamp: null, null, null"),
        // Layout.
        ("a -- the rest is a comment\n + 1", "long: 8, null, -9223372036854775807"),
        ("a /* so is this */ + 1", "long: 8, null, -9223372036854775807"),
    ] {
        assert_eq!(run(text), expected, "{text}");
    }
}

#[test]
fn errors() {
    for (text, expected) in [
        ("", "0: expected an expression, found the end"),
        ("a +", "3: expected an expression, found the end"),
        ("a + é + nope", "4: there is no column `é` here (did you mean `a`?)"),
        ("aa", "0: there is no column `aa` here (did you mean `a`?)"),
        ("s = \"web\"", "4: there is no column `web` here (text stands in single quotes: 'web')"),
        ("a b", "2: `b` is not expected here (…)"),
        ("s like s", "0: the pattern of `like` is no literal text (write it in single quotes)"),
        (
            "a like 'x'",
            "0: `like` takes a string; this is a long (cast it, as in cast(x as string))",
        ),
        ("s like 'x\\'", "7: nothing follows the last \\ of this pattern"),
        ("s like 'x' escape '!'", "11: `escape` is not expected here (…)"),
        ("s rlike '('", "8: this regular expression does not compile: unclosed group"),
        (
            "hour(s)",
            "0: `hour` takes a timestamp; this is a string (cast it, as in cast(x as timestamp))",
        ),
        (
            "date_trunc('decade', date)",
            "0: the first argument of `date_trunc` is none of 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year' (date_trunc('unit', timestamp) → timestamp)",
        ),
        (
            "greatest(flag, true)",
            "0: `greatest` has no order of bools (for a range write x between a and b, or a < x and x < b)",
        ),
        ("a; b", "1: `;` is not part of an expression (an expression ends without a semicolon)"),
        (
            "a.b",
            "1: `.` is not part of an expression (a column has one name; one with a dot stands in quotes: \"a.b\")",
        ),
        ("a::double", "1: `::` is not part of an expression (write cast(x as double))"),
        ("!flag", "0: `!` is not part of an expression (write not)"),
        ("s || s", "2: `||` is not part of an expression (…)"),
        ("'open", "0: unterminated string literal"),
        ("1 + s", "4: `+` takes numbers; this is a string (cast it, as in cast(x as double))"),
        ("a + flag", "4: `+` takes numbers; this is a bool (cast it, as in cast(x as double))"),
        (
            "flag < true",
            "0: `<` has no order of bools (for a range write x between a and b, or a < x and x < b)",
        ),
        (
            "1 < a < 3",
            "0: `<` has a bool and a long, which have no common type (cast one of them, as cast(x as bool))",
        ),
        (
            "s = 1",
            "0: `=` has a string and a long, which have no common type (cast one of them, as cast(x as string))",
        ),
        (
            "date = '2026-01-01'",
            "0: `=` has a timestamp and a string, which have no common type (cast one of them, as cast(x as timestamp))",
        ),
        ("a and flag", "0: `and` takes a bool; this is a long (compare it, as in x <> 0)"),
        ("not a", "4: `not` takes a bool; this is a long (compare it, as in x <> 0)"),
        (
            "case when a then 1 end",
            "10: `when` takes a bool; this is a long (compare it, as in x <> 0)",
        ),
        (
            "case when flag then 1 else 's' end",
            "0: `case` has a long and a string, which have no common type (cast one of them, as cast(x as long))",
        ),
        ("case flag end", "10: expected WHEN, found end"),
        ("case when flag then", "19: expected an expression, found the end"),
        (
            "coalesce(a, s)",
            "0: `coalesce` has a long and a string, which have no common type (cast one of them, as cast(x as long))",
        ),
        (
            "coalesce()",
            "0: `coalesce` does not take 0 arguments (coalesce(a, b, …) → their common type)",
        ),
        ("abs(a, b)", "0: `abs` does not take 2 arguments (abs(number) → the same type)"),
        ("abs(s)", "0: `abs` takes numbers; this is a string (cast it, as in cast(x as double))"),
        ("absolute(a)", "0: there is no function `absolute` (…)"),
        ("sum(a)", "0: there is no function `sum` (did you mean `sin`?)"),
        ("count(*)", "0: there is no function `count` (did you mean `round`?)"),
        ("abs(distinct a)", "13: expected ), found a"),
        ("sum(a) over (partition by s)", "7: `over` is not expected here (…)"),
        ("(select 1)", "8: expected ), found 1"),
        ("a in (select 1)", "13: expected ), found 1"),
        ("a in ()", "6: expected an expression, found )"),
        ("(a, b)", "0: this is not part of an expression (…)"),
        ("cast(a as int)", "5: there is no type `int` (did you mean `long`?)"),
        ("cast(a as decimal(10, 2))", "5: there is no type `decimal` (did you mean `double`?)"),
        (
            "cast(x as timestamp)",
            "5: a double cannot be cast to timestamp (cast it to long first: seconds, or ms, µs, ns by magnitude)",
        ),
        ("try_cast(a as double)", "11: expected ), found as"),
        (
            "null",
            "0: the expression is missing for every row (give it a type, as cast(null as double), or leave it out)",
        ),
        (
            "nullif(null, a)",
            "0: the expression is missing for every row (give it a type, as cast(null as double), or leave it out)",
        ),
        ("1e999", "0: `1e999` is not a finite number"),
        ("interval '1 day'", "9: `'1 day'` is not expected here (…)"),
        ("a is true", "0: this is not part of an expression (…)"),
        ("a is distinct from b", "5: expected null or not null, found distinct"),
        (
            "concat(a)",
            "0: `concat` takes a string; this is a long (cast it, as in cast(x as string))",
        ),
        ("isnull()", "0: `isnull` does not take 0 arguments (isnull(a) → bool)"),
        ("a <=> 1", "2: `<=>` is not part of an expression (…)"),
        ("exists (a)", "0: there is no function `exists` (…)"),
        ("a\n + nope", "5: there is no column `nope` here"),
        ("$1", "0: `$1` is not part of an expression (…)"),
        ("x'ff'", "0: `X'ff'` is not part of an expression (…)"),
        ("?", "0: `?` is not part of an expression (…)"),
    ] {
        assert_eq!(run(text), expected, "{text}");
    }
}

#[test]
fn functions_are_in_order_documented_and_called() {
    assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    for function in FUNCTIONS {
        assert!(function.signature.starts_with(function.name) && !function.summary.is_empty());
        assert!(sql::ALLOWED.contains(function.name), "{}", function.name);
    }
}

#[test]
fn hostile_texts_are_refused_in_time() {
    let (names, _) = batch();
    for (head, tail) in [
        ("(", ")"),
        ("- ", ""),
        ("not ", ""),
        ("abs(", ")"),
        ("case when ", ""),
        ("case ", " end"),
        ("case when flag then ", " end"),
        ("cast(", " as long)"),
        ("a in (", ")"),
        ("a in ((", "))"),
        ("a between ", ""),
        ("a + ", ""),
        ("flag or ", ""),
        ("a + (", ")"),
        ("interval ", ""),
        ("array(", ")"),
        ("/* ", " */"),
        ("coalesce(a, ", ")"),
    ] {
        for depth in [30, 200, 2000, 5000] {
            let text = format!("{}a{}", head.repeat(depth), tail.repeat(depth));
            if let Err(e) = compile(&text, &names) {
                assert!(e.offset <= text.len() && e.message.len() < 500, "{e}");
            }
        }
    }
    let wide = format!("a in ({})", vec!["1"; 400].join(", "));
    assert!(compile(&wide, &names).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(text in "\\PC{0,60}") {
        let (names, columns) = batch();
        match compile(&text, &names) {
            Ok(program) => assert_eq!(program.evaluate(&columns, 3).len(), 3),
            Err(e) => assert!(text.is_char_boundary(e.offset)),
        }
    }

    #[test]
    fn words_in_any_order_compile_or_are_refused(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "a", "x", "s", "flag", "date", "1", "0.5", "'t'", "null", "true", "(", ")", ",", "+", "-", "*", "/", "%",
            "=", "<", "and", "or", "not", "is", "in", "between", "case", "when", "then", "else", "end", "cast", "as",
            "long", "double", "abs", "coalesce", "nullif", "\n", "--", ".", "é",
        ]), 0..25),
    ) {
        let (names, columns) = batch();
        let text = words.join(" ");
        match compile(&text, &names) {
            Ok(program) => {
                let out = program.evaluate(&columns, 3);
                assert_eq!(out.kind(), program.kind());
                assert_eq!(out, out.clone().canonical());
            }
            Err(e) => assert!(text.is_char_boundary(e.offset)),
        }
    }

    #[test]
    fn a_row_does_not_depend_on_others(x: Option<f64>, y: Option<f64>, z: Option<f64>) {
        let names = [("x".to_owned(), Double)];
        let program = compile("case when x > 0 then x / nullif(x - 1, 0) else coalesce(x, 2) end", &names).unwrap();
        let together = program.evaluate(&[Column::doubles([x, y, z])], 3);
        let apart: Vec<_> = [x, y, z].map(|v| program.evaluate(&[Column::doubles([v])], 1).number(0)).to_vec();
        assert_eq!(together, Column::doubles(apart));
    }
}

#[test]
fn a_column_that_is_not_there_reads_as_missing() {
    let names = [("x".to_owned(), Double), ("n".to_owned(), Long)];
    let program = compile("x + n", &names).unwrap();
    assert_eq!(program.reads(), [0, 1]);
    assert_eq!(program.places(), [0, 4]);
    assert_eq!(program.evaluate(&[], 2), Column::doubles([None, None]));
    let wrong = [Column::strings([Some("1")]), Column::longs([Some(1), Some(2)])];
    assert_eq!(program.evaluate(&wrong, 1), Column::doubles([None]));
}
