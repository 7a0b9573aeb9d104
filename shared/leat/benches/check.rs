//! Rules, verdicts, and what is protected once: a thousand decoded rows.

#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use criterion::BatchSize;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(common::ROWS as u64));
    let (engine, lines) = (common::engine(), common::lines());
    let (mut decoded, mut rejects) = (engine.decoder().batch(), Vec::new());
    for record in common::records(&lines) {
        engine.decoder().record(&record, &mut decoded, &mut rejects);
    }
    group.bench_function("admit", |bencher| {
        bencher.iter_batched(
            || decoded.clone(),
            |batch| engine.admit(black_box(batch)).is_ok(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
