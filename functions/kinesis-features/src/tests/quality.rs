//! What is counted for the rules about the data set: each row once, whatever is delivered again.

use std::time::{Duration, SystemTime};

use leat::quality::{Evaluation, Method};
use leat_aws::{Call, Deadline};
use leat_batch::hour::MOST_VALUES;
use leat_batch::{Hour, HourPart};
use proptest::prelude::*;

use super::laws::{Dice, lines, run};
use super::world::{ARRIVAL, Fault, Op, RECIPE, Record, World, event, failed, line, model, record};
use crate::quality::{Quality, Settled};

const RULES: &str = r#"---
Rules = [
    IsUnique "id", RowCount > 0, Completeness "amount" > 0.5, Mean "amount" > 0,
    Completeness "amount" > 0.9 labels = ["over" = "batch"],
    RowCount > 1000 labels = ["over" = "run"]
]"#;

fn world() -> World {
    let mut world = World::new();
    world.model = model(&format!("{RECIPE}{RULES}"), "endpoint");
    world
}

fn call(id: &str) -> Call {
    Call { request_id: id.into(), deadline: Deadline::after(Duration::from_secs(60)) }
}

async fn take(world: &World, quality: &Quality, id: &str, settled: &Settled) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(ARRIVAL + world.now);
    let store = Some(&world.ports.aside);
    quality.take(&world.model.engine, settled, store, &call(id), now).await;
}

async fn invoke(world: &World, quality: &Quality, id: &str, event: &str) -> Option<u64> {
    let handled = world.invoke(event).await.unwrap();
    take(world, quality, id, &handled.settled).await;
    failed(&handled)
}

/// The parts that were put of the hour that begins so many hours after the first record, by name.
fn parts(world: &World, hours: i64) -> Vec<(String, HourPart)> {
    let hour = Hour::of((ARRIVAL * 1000) as i64).before(-hours);
    let folder = format!("quality/world/hours/{hour}/");
    let objects = world.ports.aside.objects.borrow();
    let of = objects.iter().filter_map(|(key, bytes)| {
        let name = key.strip_prefix(&folder)?.split('.').next()?;
        Some((name.to_owned(), serde_json::from_slice(bytes).unwrap()))
    });
    of.collect()
}

fn merged(world: &World) -> Option<HourPart> {
    parts(world, 0).into_iter().map(|(_, part)| part).reduce(|mut all, part| {
        all.merge(part).unwrap();
        all
    })
}

fn three() -> String {
    event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("b1", "B", 1, 2.0)),
        record("s-0", 3, line("a2", "A", 2, 3.0)),
    ])
}

#[tokio::test]
async fn a_row_counts_once() {
    let (mut world, quality) = (world(), Quality::new(None));
    for now in [100, 130, 200] {
        world.now = now;
        invoke(&world, &quality, "e-1", &three()).await;
    }
    let [(name, part)] = &parts(&world, 0)[..] else { panic!("one environment, one part") };
    assert_eq!(*name, format!("e-1-{}", &world.model.engine.hash()[..16]));
    assert_eq!((part.rows, part.repeats, part.rejects.count()), (3, 0, 0));
    // A producer's retry is a repeat, and not a row.
    let again = event(&[
        record("s-0", 4, line("a2", "A", 2, 3.0)),
        record("s-0", 5, line("b2", "B", 3, 1.0)),
        record("s-0", 6, "{"),
    ]);
    invoke(&world, &quality, "e-2", &again).await;
    let part = &parts(&world, 0)[0].1;
    assert_eq!((part.rows, part.repeats, part.rejects.count()), (4, 1, 1));
    assert_eq!(parts(&world, 0).len(), 1, "named by the request that began it");
}

#[tokio::test]
async fn a_row_that_a_sink_refuses_counts_when_it_is_committed() {
    let (world, quality) = (world(), Quality::new(None));
    world.ports.sinks.refuses.borrow_mut().insert("a1".into());
    let settled = world.invoke(&three()).await.unwrap().settled;
    assert_eq!(settled.new, [0, 1, 2]);
    take(&world, &quality, "e-1", &settled).await;
    world.ports.sinks.refuses.borrow_mut().clear();
    let settled = world.invoke(&three()).await.unwrap().settled;
    assert!(settled.new.is_empty() && settled.repeats == 0);
    assert_eq!(parts(&world, 0)[0].1.rows, 3);
}

#[tokio::test]
async fn what_comes_again_is_rejected_again() {
    let world = world();
    world.ports.sinks.refuses.borrow_mut().insert("b1".into());
    let batch = event(&[
        record("s-0", 1, "{"),
        record("s-0", 2, line("b1", "B", 1, 2.0)),
        record("s-0", 3, "{"),
    ]);
    let rejected = |settled: &Settled| -> Vec<String> {
        let sequence =
            |r: &leat::record::Reject| r.coordinates.position.sequence.as_str().to_owned();
        settled.rejects.iter().map(sequence).collect()
    };
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), rejected(&handled.settled)), (Some(2), vec!["1".to_owned()]));
    world.ports.sinks.refuses.borrow_mut().clear();
    let rest = event(&[record("s-0", 2, line("b1", "B", 1, 2.0)), record("s-0", 3, "{")]);
    let handled = world.invoke(&rest).await.unwrap();
    assert_eq!((failed(&handled), rejected(&handled.settled)), (None, vec!["3".to_owned()]));
}

#[tokio::test]
async fn it_is_put_once_a_minute_and_again_where_that_failed() {
    let (mut world, quality) = (world(), Quality::new(None));
    let one = |n: u64| event(&[record("s-0", n, line(&format!("a{n}"), "A", n, 1.0))]);
    world.faults(&[(Op::Aside, Fault::Fail)]);
    for (n, now, rows) in [
        (1, 100, None),    // the put fails
        (2, 101, Some(2)), // and is tried again by the next
        (3, 130, Some(2)), // a minute is not over
        (4, 161, Some(4)),
        (5, 170, Some(4)),
        (5, 222, Some(5)), // nothing new came, but something is not put
        (5, 400, Some(5)),
    ] {
        world.now = now;
        assert_eq!(
            invoke(&world, &quality, "e-1", &one(n)).await,
            None,
            "the batch is not held up"
        );
        assert_eq!(parts(&world, 0).first().map(|(_, part)| part.rows), rows, "at {now}");
    }
}

#[tokio::test]
async fn when_the_hour_turns_the_last_part_is_put_first() {
    let (mut world, quality) = (world(), Quality::new(None));
    let one = |n: u64| event(&[record("s-0", n, line(&format!("a{n}"), "A", n, 1.0))]);
    for (n, now) in [(1, 3540), (2, 3599)] {
        world.now = now;
        invoke(&world, &quality, "e-1", &one(n)).await;
    }
    assert_eq!(parts(&world, 0)[0].1.rows, 1);
    world.faults(&[(Op::Aside, Fault::Fail), (Op::Aside, Fault::Fail)]);
    for (n, now, rows) in
        [(3, 3600, [1, 0]), (4, 3601, [2, 2]), (5, 3599, [2, 3]), (6, 3700, [2, 4])]
    {
        world.now = now;
        invoke(&world, &quality, &format!("e-{n}"), &one(n)).await;
        let found = [0, 1].map(|hour| parts(&world, hour).first().map_or(0, |(_, part)| part.rows));
        assert_eq!(found, rows, "at {now}: a clock that goes back opens no hour again");
    }
    assert!(parts(&world, 1)[0].0.starts_with("e-3-"));
}

#[tokio::test]
async fn values_are_kept_up_to_a_bound() {
    let (world, few, many) = (world(), Quality::bounded(None, 8), Quality::new(None));
    let records: Vec<Record> =
        (1..200).map(|n| record("s-0", n, line(&format!("a{n}"), "A", 0, 1.0))).collect();
    let settled = world.invoke(&event(&records)).await.unwrap().settled;
    take(&world, &few, "few", &settled).await;
    take(&world, &many, "many", &settled).await;
    let [few, many] = ["few", "many"].map(|id| {
        let parts = parts(&world, 0);
        parts.into_iter().find(|(name, _)| name.starts_with(id)).unwrap().1
    });
    assert_eq!((few.rows, many.rows), (199, 199));
    let bytes = |part: &HourPart| part.to_json().unwrap().len();
    assert!(bytes(&few) + 3000 < bytes(&many), "{} {}", bytes(&few), bytes(&many));
}

#[tokio::test]
async fn a_recipe_that_asks_nothing_keeps_nothing() {
    let (world, quality) = (World::new(), Quality::new(None));
    invoke(&world, &quality, "e-1", &three()).await;
    assert!(world.ports.aside.objects.borrow().is_empty());
}

/// What the rules count of rows that came once.
fn counted(world: &World, settled: &Settled) -> HourPart {
    let rules = leat_batch::HourRules::of(
        &world.model.engine,
        None,
        Hour::of((ARRIVAL * 1000) as i64),
        &leat::quality::History::NONE,
    );
    let rules = rules.unwrap().unwrap();
    let mut part = rules.start();
    let columns: Vec<_> = settled.batch.columns.iter().map(|c| c.gather(&settled.new)).collect();
    let news = leat_batch::News {
        columns: &columns,
        rows: settled.new.len(),
        repeats: settled.repeats,
        rejects: &settled.rejects,
        warned: Vec::new(),
        state: None,
    };
    rules.count(&mut part, &news, MOST_VALUES);
    part
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever fails, is cut and comes again: environments together count what one pass counts. Where a process ends or
    /// an outcome is unknown rows may be missing, but none counts twice.
    #[test]
    fn environments_count_what_one_pass_counts(seed: u64, crashes: bool) {
        run(async {
            let mut dice = Dice(seed);
            let lines = lines(&mut dice, 60);
            let records: Vec<Record> =
                lines.iter().zip(1..).map(|(l, n)| record("s-0", n * 3, l.clone())).collect();
            let well = world();
            let whole = counted(&well, &well.invoke(&event(&records)).await.unwrap().settled);

            let ill = world();
            let mut bad = Dice(seed ^ 0xfeed);
            ill.plan(move |op| match (op, bad.roll(40)) {
                (_, 0) => Some(Fault::Fail),
                (Op::Get, 1) => Some(Fault::Old),
                (Op::Emit, 1) => Some(Fault::FailAfter),
                (_, 2) if crashes => Some(Fault::CrashBefore),
                (Op::Put | Op::Emit | Op::Aside, 3) if crashes => Some(Fault::CrashAfter),
                (Op::Put, 4) if crashes => Some(Fault::FailAfter),
                _ => None,
            });
            let mut environments = [0, 1].map(|n| (Quality::new(None), n));
            let (mut at, mut tries) = (0, 2);
            let mut invocation = async |batch: &[Record], dice: &mut Dice| {
                tries += 1;
                let (quality, id) = &mut environments[dice.roll(2) as usize];
                let done = match ill.invoke(&event(batch)).await {
                    None => None,
                    Some(handled) => {
                        let name = format!("e-{id}");
                        let take = take(&ill, quality, &name, &handled.settled);
                        ill.until_crash(take).await.map(|()| handled)
                    }
                };
                if done.is_none() {
                    (*quality, *id) = (Quality::new(None), tries);
                }
                done
            };
            while at < records.len() {
                let length = 1 + dice.roll((records.len() - at).min(20) as u64) as usize;
                let batch = &records[at..at + length];
                let Some(handled) = invocation(batch, &mut dice).await else { continue };
                at = match failed(&handled) {
                    Some(number) => at + batch.iter().position(|r| r.sequence == number).unwrap(),
                    None => at + length,
                };
            }
            // Each environment puts what it has: a minute later, at the latest.
            ill.plan(|_| None);
            let mut later = ill;
            later.now += 120;
            for (quality, id) in &environments {
                take(&later, quality, &format!("e-{id}"), &Settled::default()).await;
            }
            let found = merged(&later);
            let rows = found.as_ref().map_or(0, |part| part.rows);
            if !crashes {
                let found = found.unwrap();
                assert_eq!((rows, found.rejects.count()), (whole.rows, whole.rejects.count()));
                assert_eq!(found.metrics, whole.metrics);
            } else if let Some(metrics) = found.and_then(|part| part.metrics) {
                assert!(rows <= whole.rows);
                let ruleset = later.model.engine.ruleset().unwrap();
                let live = ruleset.live(leat::quality::Over::Hour, &later.model.engine.recipe().columns()).unwrap();
                let end = (ARRIVAL as i64 + 3600) * 1000;
                let rules = Evaluation::compile(&live, &later.model.engine.recipe().columns(), Some(end), Method::Column);
                let unique = &rules.unwrap().finish(&metrics).unwrap()[0];
                assert_eq!(unique.outcome, leat::quality::Status::Passed, "{unique:?}");
            }
        });
    }
}
