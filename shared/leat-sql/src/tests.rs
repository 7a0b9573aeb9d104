//! The case that Spark answers too, and what is this engine's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so when something is not there")]

use leat::column::{Column, Type, Value};
use leat::decode::{Batch, Decoder, Limits};
use leat::engine::{self, Source};
use leat::quality::reference::PRIMARY;
use leat::quality::sql::Answer;
use leat::quality::{Context, Evaluation, Method, Metrics, Outcome, Status, parse};
use leat::record::{Coordinates, Position};

use super::{SqlError, Tables};

const CASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/custom_sql");

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{CASE}/{name}")).unwrap()
}

/// The fields of `recipe`, and `lines` by them.
fn decoded(recipe: &str, lines: &str) -> (Vec<(String, Type)>, Batch) {
    let mut recipe = engine::read(Source { file: "recipe", text: recipe }).unwrap();
    recipe.schema.fields.retain(|field| !field.name.starts_with("unused"));
    let decoder = Decoder::new(&recipe, None, Limits::default());
    let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
    for (line, data) in (0..).zip(lines.lines()) {
        let coordinates = Coordinates {
            source: "case".into(),
            shard: "".into(),
            position: Position { line, ..Position::default() },
            arrival: None,
        };
        decoder.line(coordinates, data.as_bytes(), false, &mut batch, &mut rejects);
    }
    assert!(rejects.is_empty(), "{rejects:?}");
    let fields = recipe.columns();
    (fields, batch)
}

fn evaluation(rules: &str, columns: &[(String, Type)]) -> Evaluation {
    let context = Context { sql: true, ..Context::new(Some(0), Method::Column) };
    Evaluation::within(&parse("q", rules).unwrap(), columns, &context).unwrap()
}

fn answered(tables: &Tables, evaluation: &Evaluation, metrics: &mut Metrics) -> Vec<Outcome> {
    for (query, answer) in tables.answer(evaluation.queries()).unwrap().into_iter().enumerate() {
        evaluation.answer(metrics, query, answer);
    }
    evaluation.finish(metrics).unwrap()
}

#[test]
fn the_case_of_both_engines() {
    let (columns, rows) = decoded(&text("recipe.yaml"), &text("rows.jsonl"));
    let evaluation = evaluation(&text("rules.dqdl"), &columns);
    let mut tables = Tables::default();
    tables.add(PRIMARY, &columns).unwrap();
    let regions = [("region", Type::String), ("manager", Type::String), ("quota", Type::Long)];
    tables.add("regions", &regions.map(|(name, kind)| (name.to_owned(), kind))).unwrap();
    tables.check(evaluation.queries()).unwrap();
    let texts = |values: [Option<&str>; 3]| Column::strings(values);
    let regions = [
        texts([Some("north"), Some("south"), None]),
        texts([Some("Ada"), Some("Bo"), Some("Cy")]),
        Column::longs([Some(10), Some(20), Some(30)]),
    ];
    tables.update("regions", &regions, 3).unwrap();
    let mut metrics = evaluation.start();
    evaluation.update(&mut metrics, &rows.columns, rows.len());
    // In two pieces.
    for piece in [&[0_usize, 1][..], &[2, 3, 4, 5]] {
        tables.update(PRIMARY, &rows.gather(piece).columns, piece.len()).unwrap();
    }
    let found = answered(&tables, &evaluation, &mut metrics);

    let fields = "leat: 1\nname: expected\nschema:\n  format: json\n  fields:\n    \
        - {name: outcome, type: string}\n    - {name: reason, type: string}\n    - {name: value, type: double}\n    \
        - {name: unused_entity, type: string, role: entity}\n    - {name: unused_time, type: timestamp, role: event_time}\n    \
        - {name: passed_rows, type: long}\n    - {name: failed_rows, type: long}\n";
    let (_, expected) = decoded(fields, &text("expected.jsonl"));
    assert_eq!(found.len(), expected.len());
    for (row, outcome) in found.iter().enumerate() {
        let names = ["Dataset.*.CustomSQL", "Dataset.*.CustomSQL.Compliance"];
        let value = names.iter().find_map(|name| outcome.metrics.get(*name).copied());
        let number = |n: Option<u64>| n.map_or(Value::Null, |n| Value::Long(n.cast_signed()));
        let status = format!("{:?}", outcome.outcome);
        let said = [
            Value::String(&status),
            outcome.reason.as_deref().map_or(Value::Null, Value::String),
            value.map_or(Value::Null, Value::Double),
            number(outcome.passed_rows),
            number(outcome.failed_rows),
        ];
        let wanted: Vec<Value<'_>> = expected.columns.iter().map(|c| c.get(row)).collect();
        assert_eq!(said, wanted[..], "{}", outcome.rule);
    }
    let report = evaluation.report(&metrics).unwrap();
    assert_eq!(report.analyzers["Dataset.*.CustomSQL"], 20.25);
}

/// A table of the numbers 1 to 4 and of texts.
fn small() -> Tables {
    let mut tables = Tables::default();
    let columns = [("n".to_owned(), Type::Long), ("T x".to_owned(), Type::String)];
    tables.add(PRIMARY, &columns).unwrap();
    let texts = Column::strings([Some("12"), Some("b"), None, Some("")]);
    tables.update(PRIMARY, &[Column::longs((1..5).map(Some)), texts], 4).unwrap();
    tables
}

fn ask(sql: &str) -> Answer {
    let quoted = sql.replace('\\', "\\\\").replace('"', "\\\"");
    let evaluation = evaluation(&format!("Rules = [ CustomSql \"{quoted}\" > 0 ]"), &[]);
    small().answer(evaluation.queries()).unwrap().remove(0)
}

#[test]
fn spark_s_sql() {
    for (sql, value) in [
        ("select 5 / 2", 2.5),
        ("select -5 div 2", -2.0),
        ("select 1 + 7 div 2 * 2 - 1", 6.0),
        ("select coalesce(5 % 0, 7)", 7.0),
        ("select count(*) from primary where `t X` = \"b\" and 'it\\'s' <> ''", 1.0),
        ("select sum(cast(`T x` as int)) from PRIMARY", 12.0),
        ("select count(*) from primary where n == 4 or not (n <=> null and true)", 4.0),
        ("select length(max(upper(trim(`t x`)))) from primary", 1.0),
        ("select max(r) from (select row_number() over (order by n) as r from primary) as q", 4.0),
        ("select count(*) from primary where `t x` rlike '^[0-9]+$'", 1.0),
    ] {
        assert_eq!(ask(sql), Answer::Value(value), "{sql}");
    }
    assert_eq!(ask("select n from primary order by n limit 1"), Answer::Value(1.0));
    // The text that is no number is not told.
    let Answer::Error(why) = ask("select power(n, 2) / arrow_cast(`t x`, 'Int64') from primary")
    else {
        panic!("it has no value");
    };
    assert!(!why.contains("'b'") && !why.contains("string"), "{why}");
}

#[test]
fn only_what_reads_the_tables() {
    for (sql, why) in [
        ("select count(*) from nowhere", "nowhere"),
        ("select zip from primary", "zip"),
        ("select count(*) from '/etc/passwd'", "/etc/passwd"),
        ("select count(*) from information_schema.tables", "information_schema"),
        ("select count(*) form primary group", "form"),
        ("with a as (delete from primary) select 1", "DELETE"),
        ("select 1; select 2", "not expected"),
        ("select nosuch(n) from primary", "nosuch"),
    ] {
        let rules = format!("Rules = [ RowCount > 0,\n CustomSql \"{sql}\" > 0 ]");
        let evaluation = evaluation(&rules, &[]);
        let Err(SqlError::Queries(errors)) = small().check(evaluation.queries()) else {
            panic!("{sql}");
        };
        assert_eq!((errors[0].line, errors[0].column), (2, 2));
        assert!(errors[0].message.contains(why), "{sql}: {}", errors[0].message);
    }
}

#[test]
fn names_that_differ_in_case_alone() {
    let columns = ["a", "A"].map(|name| (name.to_owned(), Type::Long));
    assert!(matches!(Tables::default().add("t", &columns), Err(SqlError::Columns(..))));
    let mut tables = Tables::default();
    tables.add("t", &columns[..1]).unwrap();
    assert!(matches!(tables.add("T", &columns[..1]), Err(SqlError::Aliases(..))));
}

#[test]
fn a_long_chain_is_bounded_and_does_not_break_off() {
    let chain =
        |terms: usize| format!("select {} from primary where n = 1", vec!["n"; terms].join(" + "));
    assert_eq!(ask(&chain(250)), Answer::Value(250.0));
    let Answer::Error(why) = ask(&chain(600)) else { panic!("it is too long") };
    assert!(why.contains("1024"), "{why}");
    let Answer::Error(why) = ask(&format!("select {}1{}", "(".repeat(400), ")".repeat(400))) else {
        panic!("it is too deep");
    };
    assert!(why.contains("levels deep"), "{why}");
}

#[test]
fn the_same_rows_give_the_same_answer_to_the_bit() {
    let mut tables = Tables::default();
    tables.add(PRIMARY, &[("x".to_owned(), Type::Double)]).unwrap();
    for piece in 0..50 {
        let values = (0..2000).map(|n| Some(f64::from(n * 37 % 101) * 0.1 + f64::from(piece)));
        tables.update(PRIMARY, &[Column::doubles(values)], 2000).unwrap();
    }
    let evaluation =
        evaluation("Rules = [ CustomSql \"select sum(x) + avg(x) from primary\" > 0 ]", &[]);
    let first = tables.answer(evaluation.queries()).unwrap();
    for _ in 0..3 {
        assert_eq!(tables.answer(evaluation.queries()).unwrap(), first);
    }
    let mut metrics = evaluation.start();
    assert_eq!(answered(&tables, &evaluation, &mut metrics)[0].outcome, Status::Passed);
}
