//! Rules over decoded columns: what each row is told, and what is counted of a data set. Ten thousand rows.

#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat::column::{Column, Type, Value};
use leat::quality::{self, Evaluation, Method, RowRules, Ruleset};
use leat::record::{Coordinates, Position, Row};

const ROWS: usize = 10_000;

/// Twelve rules that each row passes or fails by itself.
const OF_ROWS: &str = r#"Rules = [
    IsComplete "transaction_id",
    IsComplete "event_time",
    IsComplete "customer_id",
    IsComplete "merchant_id",
    IsComplete "amount",
    IsComplete "currency",
    (ColumnValues "amount" between 0 and 1000000) or (ColumnValues "amount" = NULL),
    (ColumnValues "customer_age" between 17 and 121) or (ColumnValues "customer_age" = NULL),
    ColumnValues "currency" in ["HKD", "USD", "CNY", "EUR", "GBP", "JPY", "SGD", "AUD", NULL],
    ColumnValues "channel" in ["pos", "web", "atm", "app", NULL],
    ColumnValues "transaction_id" matches "t-[0-9]{8}",
    ColumnValues "event_time" <= "2027-04-05"
]"#;

/// The sixteen rules that `bench/quality.py` gives to the command line, too.
const OF_A_DATA_SET: &str = include_str!("../../../bench/quality.dqdl");

fn ruleset(text: &str) -> Ruleset {
    quality::parse("rules.dqdl", text).expect("a ruleset")
}

fn columns() -> (Vec<(String, Type)>, Vec<Column>) {
    let text = |of: &dyn Fn(usize) -> Option<String>| {
        let mut column = Column::new(Type::String);
        (0..ROWS)
            .for_each(|row| column.push(of(row).as_deref().map_or(Value::Null, Value::String)));
        column
    };
    let times = || {
        let mut column = Column::new(Type::Timestamp);
        let first = 1_767_225_600_000_000;
        (0..ROWS as i64).for_each(|row| column.push(Value::Timestamp(first + row * 2_592_000)));
        column
    };
    let seldom = |row: usize| !row.is_multiple_of(97);
    let named: Vec<(&str, Column)> = vec![
        ("transaction_id", text(&|row| Some(format!("t-{row:08}")))),
        ("event_time", times()),
        ("customer_id", text(&|row| Some(format!("c-{:06}", row * 7919 % 1000)))),
        ("merchant_id", text(&|row| Some(format!("m-{:05}", row * 31 % 500)))),
        ("amount", Column::doubles((0..ROWS).map(|row| Some((row * 37 % 90_000) as f64 / 100.0)))),
        ("currency", text(&|row| Some(["HKD", "USD", "EUR", "JPY"][row % 4].to_owned()))),
        (
            "customer_age",
            Column::longs((0..ROWS).map(|row| seldom(row).then_some(18 + row as i64 % 60))),
        ),
        ("channel", text(&|row| Some(["web", "pos", "app", "atm"][row / 3 % 4].to_owned()))),
        ("country", text(&|row| seldom(row).then(|| ["HK", "GB", "JP"][row / 5 % 3].to_owned()))),
        (
            "lat",
            Column::doubles((0..ROWS).map(|row| seldom(row).then_some((row % 180) as f64 / 2.0))),
        ),
        (
            "lon",
            Column::doubles((0..ROWS).map(|row| seldom(row).then_some((row % 359) as f64 / 2.0))),
        ),
    ];
    named.into_iter().map(|(name, column)| ((name.to_owned(), column.kind()), column)).unzip()
}

fn rows() -> Vec<Row> {
    let row = |_| Row {
        coordinates: Coordinates {
            source: "s".into(),
            shard: "".into(),
            position: Position::default(),
            arrival: Some(1_767_225_600_000),
        },
        identity: 0,
        verdict: None,
        protected: Default::default(),
        unknown: None,
    };
    (0..ROWS).map(row).collect()
}

fn rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rules");
    group.throughput(Throughput::Elements(ROWS as u64));
    let (names, columns) = columns();
    let rows = rows();
    let of_rows = RowRules::compile(&ruleset(OF_ROWS), &names).expect("rules of rows");
    assert_eq!(of_rows.texts().len(), 12);
    group.bench_function("12 of rows", |bencher| {
        bencher.iter(|| of_rows.judge(black_box(&columns), &rows).len());
    });
    let of_a_data_set = ruleset(OF_A_DATA_SET);
    assert_eq!(of_a_data_set.rules.len(), 16);
    let of_a_data_set =
        Evaluation::compile(&of_a_data_set, &names, Some(0), Method::Column).expect("rules");
    group.bench_function("16 of a data set", |bencher| {
        bencher.iter(|| {
            let mut metrics = of_a_data_set.start();
            of_a_data_set.update(&mut metrics, black_box(&columns), ROWS);
            metrics.rows()
        });
    });
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
