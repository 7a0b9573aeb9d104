//! A hand-over to another state plan, from the stream's side: whatever was applied, committed, handed back or still in an
//! outbox when the mapping was disabled, each event counts once, and windows are those of the new recipe from the start.

use std::collections::{BTreeMap, HashMap};

use leat::engine::{Admitted, Engine, order};
use leat::windows::item::{Item, state_key};
use leat_aws::{Accounts, Failure};
use leat_stream::store::{Stored, TakeOver};
use leat_stream::take_over::{HandOver, Loaded, Past, Sentinels, abandon, load};
use proptest::prelude::*;

use super::laws::{Dice, deliver, lines, run, trouble};
use super::world::{
    Fault, Op, RECIPE, Record, World, engine_of, event, failed, line, model, one_pass_of, record,
};

/// Other windows.
fn wider() -> String {
    RECIPE.replace("over: [1h]", "over: [1h, 24h]")
}

/// The same, with a rule that refuses many of a test's events, and of some entities all.
fn stricter() -> String {
    format!("{}---\nRules = [ ColumnValues \"amount\" <= 40 ]", wider())
}

/// What lies in landing, in the order of a replay.
fn past(engine: &Engine, records: &[Record]) -> Past {
    let landed = crate::intake::read(&engine_of(RECIPE), &event(records), 1).unwrap().batch;
    let Admitted { batch, refused, .. } = engine.admit(landed).unwrap();
    let (rows, _) = order(engine, &batch);
    Past { batch: batch.gather(&rows), refused }
}

/// The same lines as a file has them: a history from before the stream.
fn history(engine: &Engine, lines: &[String]) -> Past {
    let records: Vec<Record> =
        lines.iter().zip(1..).map(|(line, n)| record("s-9", n, line.clone())).collect();
    let mut past = past(engine, &records);
    for row in &mut past.batch.rows {
        row.coordinates.source = "file:history.jsonl".into();
        row.coordinates.shard = "".into();
    }
    past
}

/// Sentinels at `sequence` of both shards.
fn sentinels(sequence: u64) -> Sentinels {
    let shards = ["s-0", "s-1"].map(|shard| (shard.to_owned(), sequence.to_string()));
    Sentinels { id: "h".into(), shards: shards.into(), at: i64::MAX }
}

/// Hands the world's entities over to `to`, without the switch.
async fn hand_over(
    world: &World,
    id: &str,
    to: &Engine,
    landed: &[Record],
) -> Result<Loaded, Failure> {
    let (sentinels, from) = (sentinels(1_000_000), &world.model.engine.plan().state_plan);
    let over = HandOver { id, from, to, sentinels: Some(&sentinels) };
    load(&world.ports.store, &over, &past(to, landed)).await
}

fn items(world: &World) -> HashMap<String, Stored> {
    world.ports.store.inner.items()
}

/// The windows of the entities of one plan, by name.
fn windows_of(world: &World, engine: &Engine) -> BTreeMap<String, Vec<u8>> {
    let prefix = state_key(&engine.plan().state_plan, "x").replace('x', "");
    let of = |(key, stored): (String, Stored)| {
        let name = key.strip_prefix(&prefix)?.to_owned();
        Some((name, Item::decode(&stored.bytes).unwrap().windows))
    };
    items(world).into_iter().filter_map(of).collect()
}

/// The windows after one pass over all of `records`, by name.
fn expected(engine: &Engine, records: &[Record]) -> BTreeMap<String, Vec<u8>> {
    let lines: Vec<String> = records.iter().map(|r| r.data.clone()).collect();
    one_pass_of(engine, &lines).iter().map(|(who, state)| (who.clone(), state.encode())).collect()
}

fn accounts(received: u64, written: u64, already_applied: u64, handed_back: u64) -> Accounts {
    Accounts { received, written, already_applied, handed_back, ..Accounts::default() }
}

#[tokio::test]
async fn a_shard_with_a_record_handed_back_and_a_later_one_applied() {
    let mut world = World::new();
    let records = [
        record("s-0", 5, line("a5", "A", 0, 1.0)),
        record("s-0", 10, line("a10", "A", 1, 2.0)),
        record("s-0", 15, line("b15", "B", 2, 4.0)),
    ];
    world.invoke(&event(&records[..1])).await.unwrap();
    // A's commit fails, again and again; B's does not.
    let mut puts = 0;
    world.plan(move |op| {
        puts += u32::from(op == Op::Put);
        (op == Op::Put && puts != 2).then_some(Fault::Fail)
    });
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(10), accounts(2, 1, 0, 1)));
    world.faults(&[]);

    // All of it has landed; each entity is replayed up to its own marks.
    let to = engine_of(&wider());
    let loaded = hand_over(&world, "h-1", &to, &records).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 2, taken_over: 2, already: 0 });
    assert_eq!(windows_of(&world, &to)["A"], expected(&to, &records[..1])["A"]);
    world.model = model(&wider(), "two");
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 1, 1, 0)));
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
    let rows = world.rows();
    assert!(rows["a10"].contains(r#""endpoint":"two""#), "{}", rows["a10"]);
    assert!(rows["b15"].contains(r#""endpoint":"endpoint""#), "{}", rows["b15"]);
}

#[tokio::test]
async fn a_sandbox_that_slept_through_the_switch() {
    let mut world = World::new();
    let records = [
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 1.0)),
        record("s-0", 3, line("n1", "N", 1, 1.0)), // an entity that nobody has seen
    ];
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&wider());
    hand_over(&world, "h-1", &to, &records[..1]).await.unwrap();
    // It still holds the pair of before: nothing of the batch is made with it.
    let before = items(&world);
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert!(handled.superseded);
    assert_eq!((failed(&handled), handled.accounts), (Some(2), accounts(2, 0, 0, 2)));
    assert_eq!(items(&world), before);
    // It reads what serves, and goes on.
    world.model = model(&wider(), "two");
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 2, 0, 0)));
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
}

#[tokio::test]
async fn a_commit_that_began_before_the_close_is_lost() {
    let world = World::new();
    let records =
        [record("s-0", 1, line("a1", "A", 0, 1.0)), record("s-0", 2, line("a2", "A", 1, 1.0))];
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&wider());
    hand_over(&world, "h-1", &to, &records[..1]).await.unwrap();
    // It read the item as it was before.
    world.faults(&[(Op::Get, Fault::Old)]);
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert!(handled.superseded);
    assert_eq!((failed(&handled), handled.accounts), (Some(2), accounts(1, 0, 0, 1)));
}

#[tokio::test]
async fn a_promotion_while_a_batch_is_retried() {
    let mut world = World::new();
    let records: Vec<Record> =
        (1..=4).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, n as f64))).collect();
    world.ports.sinks.refuses.borrow_mut().extend(["a2".to_owned(), "a3".to_owned()]);
    let handled = world.invoke(&event(&records[..3])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(2), accounts(3, 1, 0, 2)));
    let before = world.item("A");
    assert_eq!(before.outbox.len(), 3);

    let to = engine_of(&wider());
    hand_over(&world, "h-1", &to, &records).await.unwrap();
    world.model = model(&wider(), "two");
    // Marks and outbox are as they were, byte for byte; windows are those of the new recipe, up to the marks.
    let after = world.item("A");
    assert_eq!((&after.marks, &after.outbox), (&before.marks, &before.outbox));
    assert_eq!(after.windows, expected(&to, &records[..3])["A"]);
    world.ports.sinks.refuses.borrow_mut().clear();
    let handled = world.invoke(&event(&records[1..])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(3, 1, 2, 0)));
    let rows = world.rows();
    for row in &before.outbox {
        assert_eq!(rows[&row.key].as_bytes(), row.bytes);
    }
    assert!(rows["a4"].contains(r#""count_1h":4"#), "{}", rows["a4"]);
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
}

#[tokio::test]
async fn two_promotions_at_once() {
    let mut world = World::new();
    let records: Vec<Record> = [("a1", "A"), ("b1", "B"), ("c1", "C"), ("a2", "A"), ("b2", "B")]
        .into_iter()
        .zip(1..)
        .map(|((id, who), n)| record("s-0", n, line(id, who, n, 1.0)))
        .collect();
    world.invoke(&event(&records[..3])).await.unwrap();
    let one = engine_of(&wider());
    let other_text = RECIPE.replace("over: [1h]", "over: [2h]").replace("_1h", "_2h");
    let other = engine_of(&other_text);
    // The other one closes some items first, and is through with all of them; the one that is switched to finds them closed.
    hand_over(&world, "h-2", &other, &records[1..2]).await.unwrap();
    let loaded = hand_over(&world, "h-1", &one, &records[..3]).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 3, taken_over: 3, already: 0 });
    hand_over(&world, "h-2", &other, &records[..3]).await.unwrap();
    let first = world.model.engine.clone();
    world.model = model(&wider(), "two");
    // The other's switch fails: it opens what it closed, which nobody reads any more.
    let marks = sentinels(100);
    let over =
        HandOver { id: "h-2", from: &first.plan().state_plan, to: &other, sentinels: Some(&marks) };
    assert_eq!(abandon(&world.ports.store, &over, &past(&other, &records[..3])).await, Ok(1));
    let handled = world.invoke(&event(&records[3..])).await.unwrap();
    assert_eq!(handled.accounts, accounts(2, 2, 0, 0));
    assert_eq!(windows_of(&world, &one), expected(&one, &records));
    // Promoted once more, the other takes over what is live now; its items of before are written over.
    hand_over(&world, "h-3", &other, &records).await.unwrap();
    world.model = model(&other_text, "three");
    assert_eq!(windows_of(&world, &other), expected(&other, &records));
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!(handled.accounts, accounts(5, 0, 5, 0));
    assert_eq!(world.rows().len(), 5);
}

#[tokio::test]
async fn a_changed_derive_with_the_same_windows() {
    let with = |factor: &str| {
        let derive = format!("derive:\n  scaled: amount * {factor}\nwindows:");
        RECIPE
            .replace("windows:", &derive)
            .replace("sum: amount", "sum: scaled")
            .replace("amount_sum_1h", "scaled_sum_1h")
    };
    let mut world = World::new();
    world.model = model(&with("2"), "two");
    let records =
        [record("s-0", 1, line("a1", "A", 0, 5.0)), record("s-0", 2, line("a2", "A", 1, 7.0))];
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&with("3"));
    // The states have one shape: each could be read for the other. Their keys tell them apart.
    assert_ne!(to.plan().state_plan, world.model.engine.plan().state_plan);
    hand_over(&world, "h-1", &to, &records[..1]).await.unwrap();
    world.model = model(&with("3"), "three");
    world.invoke(&event(&records[1..])).await.unwrap();
    let row = &world.rows()["a2"];
    assert!(row.contains(r#""scaled_sum_1h":3.6109179126442243"#), "{row}"); // ln(1 + 15 + 21)
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
}

#[tokio::test]
async fn a_load_that_is_killed_and_repeated() {
    let records: Vec<Record> = (1..=12)
        .map(|n| record("s-0", n, line(&format!("e{n}"), &format!("W{}", n % 4), n, 1.0)))
        .collect();
    let to = engine_of(&wider());
    let live = async || {
        let world = World::new();
        world.invoke(&event(&records)).await.unwrap();
        world
    };
    let whole = live().await;
    hand_over(&whole, "h-1", &to, &records).await.unwrap();
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::Fail, Fault::FailAfter] {
        // Four entities, each closed and then written.
        for nth in 0..8 {
            let world = live().await;
            let mut writes = 0;
            world.plan(move |op| {
                writes += u32::from(op == Op::Put);
                (op == Op::Put && writes == nth + 1).then_some(fault)
            });
            let done = world.until_crash(hand_over(&world, "h-1", &to, &records)).await;
            assert!(done.is_none_or(|done| done.is_err()), "{fault:?} {nth}");
            world.faults(&[]);
            let loaded = hand_over(&world, "h-1", &to, &records).await.unwrap();
            assert_eq!(loaded.loaded, 4);
            assert_eq!(items(&world), items(&whole), "{fault:?} {nth}");
            // And once more: nothing is written.
            let loaded = hand_over(&world, "h-1", &to, &records).await.unwrap();
            assert_eq!(loaded, Loaded { loaded: 4, taken_over: 0, already: 4 });
            assert_eq!(items(&world), items(&whole));
        }
    }
}

#[tokio::test]
async fn a_load_that_wakes_late_writes_over_nothing() {
    let mut world = World::new();
    let records =
        [record("s-0", 1, line("a1", "A", 0, 1.0)), record("s-0", 2, line("a2", "A", 1, 1.0))];
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&wider());
    let from = world.model.engine.clone();
    hand_over(&world, "h-1", &to, &records[..1]).await.unwrap();
    world.model = model(&wider(), "two");
    world.invoke(&event(&records[1..])).await.unwrap();
    let before = items(&world);
    let marks = sentinels(1);
    let over =
        HandOver { id: "h-1", from: &from.plan().state_plan, to: &to, sentinels: Some(&marks) };
    let loaded = load(&world.ports.store, &over, &past(&to, &records[..1])).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 1, taken_over: 0, already: 1 });
    assert_eq!(items(&world), before);
}

#[tokio::test]
async fn an_entity_without_an_item_gets_nothing_of_the_stream() {
    let mut world = World::new();
    let records =
        [record("s-0", 1, line("a1", "A", 0, 1.0)), record("s-0", 2, line("n1", "N", 1, 1.0))];
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&wider());
    // N's event has landed, and was never applied.
    let loaded = hand_over(&world, "h-1", &to, &records).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 1, taken_over: 1, already: 0 });
    world.model = model(&wider(), "two");
    world.invoke(&event(&records[1..])).await.unwrap();
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
    assert!(world.rows()["n1"].contains(r#""count_1h":1"#));
}

#[tokio::test]
async fn an_entity_of_which_the_new_recipe_refuses_every_row() {
    let mut world = World::new();
    let records = [
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("b2", "B", 1, 200.0)),
        record("s-0", 3, line("b3", "B", 2, 4.0)),
    ];
    // B's row is committed, and no sink takes it.
    world.ports.sinks.refuses.borrow_mut().insert("b2".into());
    world.invoke(&event(&records[..2])).await.unwrap();
    let from = world.model.engine.clone();
    let before = world.item("B");
    assert_eq!(before.outbox.len(), 1);
    let to = engine_of(&stricter());
    let closed = |world: &World| items(world).values().filter(|item| item.closed.is_some()).count();
    let loaded = hand_over(&world, "h-1", &to, &records[..2]).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 2, taken_over: 2, already: 0 });
    assert_eq!(closed(&world), 2);
    let marks = sentinels(100);
    let over =
        HandOver { id: "h-1", from: &from.plan().state_plan, to: &to, sentinels: Some(&marks) };
    assert_eq!(abandon(&world.ports.store, &over, &past(&to, &records[..2])).await, Ok(2));
    assert_eq!(closed(&world), 0);

    let loaded = hand_over(&world, "h-2", &to, &records[..2]).await.unwrap();
    assert_eq!(loaded, Loaded { loaded: 2, taken_over: 2, already: 0 });
    // What served can commit to neither any more, and the new recipe starts B with its marks, its outbox, and no event.
    let handled = world.invoke(&event(&records[2..])).await.unwrap();
    assert!(handled.superseded);
    world.model = model(&stricter(), "two");
    assert_eq!(world.item("B"), Item { windows: Vec::new(), ..before });
    world.invoke(&event(&records[2..])).await.unwrap();
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
    assert!(world.rows()["b3"].contains(r#""count_1h":1"#), "{}", world.rows()["b3"]);
}

#[tokio::test]
async fn what_landed_twice_counts_once() {
    // Nothing but its place tells a repeat of Firehose's.
    let plain = |text: &str| text.replace("  dedupe: {within: 1h}\n", "");
    let mut world = World::new();
    world.model = model(&plain(RECIPE), "one");
    let records: Vec<Record> =
        (1..=3).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, n as f64))).collect();
    world.invoke(&event(&records)).await.unwrap();
    let to = engine_of(&plain(&wider()));
    let landed = [&records[1..], &records, &records[..1]].concat();
    hand_over(&world, "h-1", &to, &landed).await.unwrap();
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
}

#[tokio::test]
async fn the_first_launch_seeds_from_files_without_marks() {
    let world = World::new();
    let to = world.model.engine.clone();
    let old = [line("h1", "A", 0, 1.0), line("h2", "A", 1, 2.0), line("h3", "B", 1, 2.0)];
    let stream = [record("s-0", 7, line("a7", "A", 2, 4.0))];
    // What the stream brought has landed as well; the mapping was never enabled.
    let mut landed = history(&to, &old);
    let of_stream = past(&to, &stream);
    landed.batch.append(of_stream.batch);
    let over = HandOver { id: "h-1", from: &to.plan().state_plan, to: &to, sentinels: None };
    for already in [0, 2] {
        let loaded = load(&world.ports.store, &over, &landed).await.unwrap();
        assert_eq!(loaded, Loaded { loaded: 2, taken_over: 0, already });
    }
    assert!(world.item("A").marks.is_empty());
    world.invoke(&event(&stream)).await.unwrap();
    let row = &world.rows()["a7"];
    assert!(row.contains(r#""amount_sum_1h":2.0794415416798357"#), "{row}"); // ln(1 + 1 + 2 + 4)
    // A history that is found later is put before what the stream has brought: the same plan, in place. But not while the
    // mapping may read on.
    let loaded = load(&world.ports.store, &HandOver { id: "h-2", ..over }, &landed).await;
    assert_eq!(loaded.unwrap_err().word(), "Input.Invalid");
    let marks = sentinels(8);
    let over = HandOver { id: "h-3", sentinels: Some(&marks), ..over };
    let before = world.item("A");
    for already in [0, 2] {
        let loaded = load(&world.ports.store, &over, &landed).await.unwrap();
        assert_eq!(loaded, Loaded { loaded: 2, taken_over: 2 - already, already });
    }
    assert_eq!(world.item("A"), before);
}

#[tokio::test]
async fn a_stream_that_was_read_on_after_the_mark() {
    let world = World::new();
    let records = [record("s-0", 7, line("a7", "A", 0, 1.0))];
    world.invoke(&event(&records)).await.unwrap();
    let before = items(&world);
    let (to, marks) = (engine_of(&wider()), sentinels(6));
    let from = &world.model.engine.plan().state_plan;
    let over = HandOver { id: "h-1", from, to: &to, sentinels: Some(&marks) };
    let why = load(&world.ports.store, &over, &past(&to, &records)).await.unwrap_err();
    assert_eq!(why.word(), "Service.Busy");
    assert!(why.to_string().contains("read on after"), "{why}");
    assert_eq!(items(&world), before);
}

#[tokio::test]
async fn a_hand_over_that_fails_leaves_what_serves() {
    let mut world = World::new();
    let records: Vec<Record> =
        (1..=3).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, 1.0))).collect();
    world.invoke(&event(&records[..1])).await.unwrap();
    let to = engine_of(&wider());
    hand_over(&world, "h-1", &to, &records[..1]).await.unwrap();
    // The endpoint of the new pair is gone: nothing is switched, and the mapping is enabled again.
    let from = world.model.engine.plan().state_plan.clone();
    let marks = sentinels(100);
    let over = HandOver { id: "h-1", from: &from, to: &to, sentinels: Some(&marks) };
    for reopened in [1, 0] {
        let done = abandon(&world.ports.store, &over, &past(&to, &records[..1])).await;
        assert_eq!(done, Ok(reopened));
    }
    let handled = world.invoke(&event(&records[1..2])).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 1, 0, 0));
    // The next attempt takes over what is live, and writes over what the first one left.
    hand_over(&world, "h-2", &to, &records[..2]).await.unwrap();
    world.model = model(&wider(), "two");
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!(handled.accounts, accounts(3, 1, 2, 0));
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
}

#[tokio::test]
async fn there_and_back_again() {
    let mut world = World::new();
    let records: Vec<Record> =
        (1..=4).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, n as f64))).collect();
    for (n, (text, id)) in
        [(wider(), "h-1"), (RECIPE.to_owned(), "h-2"), (wider(), "h-3")].into_iter().enumerate()
    {
        world.invoke(&event(&records[n..=n])).await.unwrap();
        hand_over(&world, id, &engine_of(&text), &records[..=n]).await.unwrap();
        world.model = model(&text, id);
    }
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!(handled.accounts, accounts(4, 1, 3, 0));
    let to = engine_of(&wider());
    assert_eq!(windows_of(&world, &to), expected(&to, &records));
    assert_eq!(world.rows().len(), 4);
}

#[tokio::test]
async fn a_damaged_item_stops_the_load() {
    let world = World::new();
    let records = [record("s-0", 1, line("a1", "A", 0, 1.0))];
    world.ports.store.inner.replace(&world.key("A"), None, b"\x01bad".into(), "t").await.unwrap();
    let to = engine_of(&wider());
    let why = hand_over(&world, "h-1", &to, &records).await.unwrap_err();
    assert_eq!(why.word(), "Config.Invalid");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever goes wrong before, during and after it, at whatever record: the windows are those of a replay of all
    /// events with the new recipe, bit for bit; each event has one row; the row of an event of after the switch is that
    /// of the new recipe. One that is stricter has no row for what it refuses, unless the one before it made it.
    #[test]
    fn a_hand_over_at_any_point_equals_a_replay(seed: u64, strict: bool) {
        run(async {
            let text = if strict { stricter() } else { wider() };
            let mut dice = Dice(seed);
            let lines = lines(&mut dice, 60);
            let records: Vec<Record> =
                lines.iter().zip(1..).map(|(l, n)| record("s-0", n * 3, l.clone())).collect();
            let well = World::new();
            well.invoke(&event(&records)).await.unwrap();
            let mut well_since = World::new();
            well_since.model = model(&text, "two");
            well_since.invoke(&event(&records)).await.unwrap();

            let mut world = World::new();
            trouble(&world, Dice(seed ^ 0xdead));
            let cut = dice.roll(61) as usize;
            deliver(&world, &records[..cut], &mut dice).await;
            // The last batch before the pause comes to whatever it comes to: it will be delivered again.
            let last = (cut + dice.roll(9) as usize).min(60);
            if last > cut {
                world.invoke(&event(&records[cut..last])).await;
            }
            // Landing may have more than that.
            let landed = &records[..(last + dice.roll(20) as usize).min(60)];
            let to = engine_of(&text);
            // All goes wrong but one thing: the mapping is disabled, so no read is older than a write.
            let mut trouble_of_load = Dice(seed ^ 0xbeef);
            world.plan(move |op| match (op, trouble_of_load.roll(20)) {
                (_, 0) => Some(Fault::Fail),
                (_, 1) => Some(Fault::CrashBefore),
                (Op::Put, 2) => Some(Fault::FailAfter),
                (Op::Put, 3) => Some(Fault::CrashAfter),
                _ => None,
            });
            let mut tries = 0;
            loop {
                tries += 1;
                assert!(tries < 1000, "no progress");
                let done = world.until_crash(hand_over(&world, "h-1", &to, landed)).await;
                match done {
                    Some(Ok(_)) => break,
                    Some(Err(why)) => assert_eq!(why.word(), "Service.Busy", "{why}"),
                    None => {}
                }
            }
            world.model = model(&text, "two");
            trouble(&world, Dice(seed ^ 0xcafe));
            deliver(&world, &records[cut..], &mut dice).await;
            world.faults(&[]);
            let mut windows = windows_of(&world, &to);
            windows.retain(|_, windows| !windows.is_empty()); // every row of the entity was refused
            assert_eq!(windows, expected(&to, &records));
            let open = items(&world).into_iter().filter(|(_, item)| item.closed.is_none());
            let old = state_key(&well.model.engine.plan().state_plan, "");
            assert!(open.into_iter().all(|(key, _)| !key.starts_with(&old)));
            let (rows, all, since) = (world.rows(), well.rows(), well_since.rows());
            assert!(since.keys().all(|key| rows.contains_key(key)));
            for (key, row) in &rows {
                // What both recipes have is that of one of them, and equal if they admit the same.
                let of = |row: &str| {
                    let row: serde_json::Value = serde_json::from_str(row).unwrap();
                    (row["features"]["count_1h"].clone(), row["features"]["amount_sum_1h"].clone())
                };
                let (before, after) = (of(&all[key]), since.get(key).map(|row| of(row)));
                assert!(strict || after.as_ref() == Some(&before), "{key}");
                assert!(of(row) == before || Some(of(row)) == after, "{key}");
            }
        });
    }
}
