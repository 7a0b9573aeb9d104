//! Features to text: a thousand rows.

#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat::encode::csv as encode;

fn csv(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("csv");
    group.throughput(Throughput::Elements(common::ROWS as u64));
    let engine = common::engine();
    let (batch, features) = common::fitted(&engine);
    let made = features.apply(&batch.columns, batch.len());
    let mut text = Vec::new();
    group.bench_function("rows", |bencher| {
        bencher.iter(|| {
            text.clear();
            (0..batch.len()).for_each(|row| encode::row(black_box(&made), row, &mut text));
            text.len()
        });
    });
    group.finish();
}

criterion_group!(benches, csv);
criterion_main!(benches);
