//! Columns to features: a thousand rows.

#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn features(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("features");
    group.throughput(Throughput::Elements(common::ROWS as u64));
    let engine = common::engine();
    let (batch, features) = common::fitted(&engine);
    group.bench_function("apply", |bencher| {
        bencher.iter(|| features.apply(black_box(&batch.columns), batch.len()));
    });
    group.finish();
}

criterion_group!(benches, features);
criterion_main!(benches);
