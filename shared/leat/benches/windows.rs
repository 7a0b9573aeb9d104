//! The states of a hundred customers take a thousand events in; a state to bytes and back.

#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use criterion::BatchSize;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leat::engine::Replay;
use leat::windows::EntityState;

fn windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("windows");
    group.throughput(Throughput::Elements(common::ROWS as u64));
    let (engine, lines) = (common::engine(), common::lines());
    #[expect(clippy::expect_used, reason = "keys were given")]
    let batch = engine.intake(&common::records(&lines)).expect("there are keys").batch;
    group.bench_function("apply", |bencher| {
        bencher.iter_batched(
            || (Replay::new(&engine), batch.clone()),
            |(mut replay, mut batch)| {
                replay.apply(black_box(&mut batch));
                (replay, batch)
            },
            BatchSize::LargeInput,
        );
    });
    let mut replay = Replay::new(&engine);
    replay.apply(&mut batch.clone());
    let states: Vec<Vec<u8>> = replay.into_states().values().map(EntityState::encode).collect();
    group.throughput(Throughput::Elements(states.len() as u64));
    group.bench_function("state", |bencher| {
        bencher.iter(|| {
            let read = states.iter().filter_map(|bytes| EntityState::decode(black_box(bytes)).ok());
            read.map(|state| state.encode().len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
