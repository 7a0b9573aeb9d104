//! Many workers give what one process gives, to the bit, however the entities are spread over buckets and units.

use leat::decode::Batch;
use leat::encode::csv;
use leat::engine::Engine;
use leat::features::{Features, Fit, FittedState, Mode};
use leat_batch::{Bucket, Cores, Criteria, Replay, Slice, Slices};
use leat_bucket::joined;
use leat_lake::parquet;
use proptest::prelude::*;

use crate::world::{Event, HOUR, World, events, start};

/// What one process gives of `events`.
struct OneProcess {
    /// The state's text.
    state: String,
    /// The lines of both channels.
    train: Vec<String>,
    evaluate: Vec<String>,
    /// What the Parquet files have of [`STORED`].
    stored: Vec<String>,
}

/// The event, its slice, and the feature that goes back to labels: as it is served, and as a model is trained on it.
const STORED: [&str; 4] = ["transaction_id", "_slice", "merchant_fraud", "_train_merchant_fraud"];

async fn one_process(world: &World, slices: Slices) -> OneProcess {
    let job = world.job().await.unwrap();
    let engine: &Engine = &job.engine;
    let mut all = engine.decoder().batch();
    engine.derive(&mut all);
    for bucket in job.snapshot.numbers() {
        all.append(Bucket::read(world.lake(), &job.snapshot, bucket, engine).await.unwrap().batch);
    }
    let batch = joined(engine, Replay::new(engine, Cores::ONE, vec![all]).flatten().collect());
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
    let fraud = features.names().iter().position(|name| name == "merchant_fraud").unwrap();
    let rows = |batch: &Batch, slice: Slice| -> Vec<String> {
        let of = |mode| {
            let columns = features.apply_in(mode, &batch.columns, &batch.identities());
            (0..batch.len()).map(|row| columns[fraud].number(row)).collect::<Vec<_>>()
        };
        let (serve, train) = (of(Mode::Serve), of(Mode::Train));
        let row = |row: usize| {
            let train = train[row].filter(|_| slice == Slice::Train);
            let id = engine.id(batch, row).unwrap();
            format!("{id} {} {:?} {train:?}", slice.word(), serve[row])
        };
        (0..batch.len()).map(row).collect()
    };
    let mut stored = rows(&train, Slice::Train);
    stored.extend(rows(&evaluate, Slice::Evaluate));
    stored.sort();
    OneProcess {
        state: state.to_json(),
        train: lines(&train, Mode::Train),
        evaluate: lines(&evaluate, Mode::Serve),
        stored,
    }
}

/// What lies in the curated zone.
async fn stored(world: &World) -> Vec<String> {
    let mut rows = Vec::new();
    for bytes in world.objects("memory:lake/curated/").await.into_values() {
        for columns in parquet::Reader::new(bytes::Bytes::from(bytes), Some(&STORED)).unwrap() {
            let [id, slice, serve, train] = &columns.unwrap()[..] else { unreachable!() };
            rows.extend((0..id.len()).map(|row| {
                let (id, slice) = (id.text(row).unwrap(), slice.text(row).unwrap());
                format!("{id} {slice} {:?} {:?}", serve.number(row), train.number(row))
            }));
        }
    }
    rows.sort();
    rows
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
            let one = one_process(&world, slices).await;
            assert_eq!(world.lake().read_text(&state).await.unwrap(), one.state);
            assert_eq!(world.channel("train").await, one.train);
            assert_eq!(world.channel("evaluate").await, one.evaluate);
            assert_eq!(stored(&world).await, one.stored);
            assert!(one.train.len() > 10 && !one.evaluate.is_empty());
            assert!(slices.train_until > start() && slices.train_until < start() + 400 * HOUR);
        });
    }
}
