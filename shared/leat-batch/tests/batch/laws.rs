//! Many workers give what one process gives, to the bit, however the entities are spread over buckets and units.

use leat::decode::Batch;
use leat::encode::csv;
use leat::engine::Engine;
use leat::features::{Features, Fit, FittedState, Mode};
use leat_batch::{Bucket, Criteria, Slice, Slices, replay};
use proptest::prelude::*;

use crate::world::{Event, HOUR, World, events, start};

/// What one process gives of `events`: the state's text, and the lines of both channels.
async fn one_process(world: &World, slices: Slices) -> (String, Vec<String>, Vec<String>) {
    let job = world.job().await.unwrap();
    let engine: &Engine = &job.engine;
    let mut all = engine.decoder().batch();
    engine.derive(&mut all);
    for bucket in job.snapshot.numbers() {
        all.append(Bucket::read(world.lake(), &job.snapshot, bucket, engine).await.unwrap().batch);
    }
    let batch = replay(engine, &all).batch;
    let of = |slice| {
        let rows = (0..batch.len())
            .filter(|&row| slices.of(engine.event_time(&batch, row)) == Some(slice));
        batch.gather(&rows.collect::<Vec<_>>())
    };
    let (train, evaluate) = (of(Slice::Train), of(Slice::Evaluate));
    let mut so_far = Vec::new();
    for level in 1..=engine.plan().passes() {
        let mut fit = Fit::new(engine.recipe(), engine.plan(), level, &so_far).unwrap();
        fit.update(&train.columns, &train.identities());
        so_far = fit.finish().unwrap();
    }
    let rows = train.len() as u64;
    let state =
        FittedState::new(engine.recipe(), engine.plan(), engine.hash(), rows, &so_far).unwrap();
    let features = Features::bind(engine.recipe(), engine.plan(), &state).unwrap();
    let label = engine.plan().slot("is_fraud").unwrap();
    let lines = |batch: &Batch, mode| {
        let made = features.apply_in(mode, &batch.columns, &batch.identities());
        let labels = &batch.columns[label];
        let mut lines: Vec<String> = (0..batch.len())
            .filter(|&row| labels.is_valid(row))
            .map(|row| {
                let mut line = Vec::new();
                csv::row(std::iter::once(labels).chain(&made), row, &mut line);
                String::from_utf8(line).unwrap().trim_end().to_owned()
            })
            .collect();
        lines.sort();
        lines
    };
    (state.to_json(), lines(&train, Mode::Train), lines(&evaluate, Mode::Serve))
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn workers_equal_one_process(
        count in 60u64..200,
        customers in 2u64..30,
        cut in 0.0..1.0,
        share in 0.2..0.6,
        buckets in prop::sample::select(vec![(1u32, 1u32), (4, 6), (16, 16), (5, 10), (3, 7)]),
    ) {
        blocking(async {
            let world = World::new().await;
            let all: Vec<Event> = events(count, customers);
            let (one, other) = all.split_at((cut * all.len() as f64) as usize);
            world.publish("a", buckets.0, 1, one).await;
            world.publish("b", buckets.1, 1 + one.len() as u64, other).await;
            let criteria = Criteria { evaluation_share: Some(share), ..Criteria::default() };
            let job = world.begin(false, criteria).await.unwrap();
            let state = world.fit(&job).await.unwrap();
            world.curate(&job, &state).await.unwrap();
            let slices = leat_batch::Decision::slices(&job).await.unwrap();
            let (text, train, evaluate) = one_process(&world, slices).await;
            assert_eq!(world.lake().read_text(&state).await.unwrap(), text);
            assert_eq!(world.channel("train").await, train);
            assert_eq!(world.channel("evaluate").await, evaluate);
            assert!(train.len() > 10 && !evaluate.is_empty());
            assert!(slices.train_until > start() && slices.train_until < start() + 400 * HOUR);
        });
    }
}
