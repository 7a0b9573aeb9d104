//! Each case is an interleaving that once broke a draft of the protocol.

use std::time::Duration;

use leat_aws::Accounts;
use leat_stream::store::TakeOver;

use super::world::{Fault, Op, World, event, failed, line, record};

fn accounts(received: u64, written: u64, already_applied: u64, handed_back: u64) -> Accounts {
    Accounts { received, written, already_applied, handed_back, ..Accounts::default() }
}

#[tokio::test]
async fn all_is_well() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("b1", "B", 1, 2.0)),
        record("s-0", 3, line("a2", "A", 2, 3.0)),
    ]);
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(3, 3, 0, 0)));
    let rows = world.rows();
    assert_eq!(rows.len(), 3);
    assert!(rows["a2"].contains(r#""count_1h":2"#), "{}", rows["a2"]);
    assert!(rows["a2"].contains(r#""endpoint":"endpoint""#), "{}", rows["a2"]);
    assert_eq!(*world.ports.endpoint.calls.borrow(), 1);
    // The same once more: nothing is computed again.
    let states = world.states();
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(3, 0, 3, 0)));
    assert_eq!((world.rows(), world.states()), (rows, states));
    assert_eq!(*world.ports.endpoint.calls.borrow(), 1);
}

#[tokio::test]
async fn nothing_came() {
    let world = World::new();
    let handled = world.invoke(r#"{"Records":[]}"#).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, Accounts::default()));
}

#[tokio::test]
async fn nothing_serves() {
    let mut world = World::new();
    world.model.fitted = None;
    world.invoke(&event(&[record("s-0", 1, line("a1", "A", 0, 1.0))])).await.unwrap();
    let row = &world.rows()["a1"];
    assert!(row.contains(r#""prediction":null,"features":null"#), "{row}");
    assert!(!world.item("A").windows.is_empty());
}

#[tokio::test]
async fn three_lines_in_one_record_one_bad() {
    let world = World::new();
    let lines =
        [line("a1", "A", 0, 1.0), r#"{"id":"secret"#.into(), line("a2", "A", 1, 2.0)].join("\n");
    let batch = event(&[record("s-0", 7, lines)]);
    for applied in [false, true] {
        let handled = world.invoke(&batch).await.unwrap();
        assert_eq!(failed(&handled), None);
        let expected = if applied { accounts(3, 0, 2, 0) } else { accounts(3, 2, 0, 0) };
        assert_eq!(handled.accounts, Accounts { quarantined: 1, ..expected });
        assert_eq!(world.rows().len(), 2);
        let quarantined = world.aside("quarantine/world/date=2026-01-01/s-0-7.jsonl");
        assert_eq!(quarantined.len(), 1);
        assert!(quarantined[0].contains(r#""line":1"#) && !quarantined[0].contains("secret"));
    }
}

#[tokio::test]
async fn a_record_that_is_not_base64() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 1.0)),
    ]);
    let data = base64_simd::STANDARD.encode_to_string(line("a1", "A", 0, 1.0));
    let handled = world.invoke(&batch.replacen(&data, "!", 1)).await.unwrap();
    assert_eq!(handled.accounts, Accounts { quarantined: 1, ..accounts(2, 1, 0, 0) });
}

#[tokio::test]
async fn a_sentinel_is_dropped_by_its_rule() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, leat::sentinel::record("h-1").unwrap()),
        record("s-0", 2, line("a1", "A", 0, 1.0)),
    ]);
    for already in [0, 1] {
        let handled = world.invoke(&batch).await.unwrap();
        assert_eq!(failed(&handled), None);
        let expected = accounts(2, 1 - already, already, 0);
        assert_eq!(handled.accounts, Accounts { dropped: 1, ..expected });
    }
    // Alone it is no reason to come again, and no mark.
    let alone = event(&[record("s-0", 3, leat::sentinel::record("h-1").unwrap())]);
    let handled = world.invoke(&alone).await.unwrap();
    assert_eq!(handled.accounts, Accounts { dropped: 1, ..accounts(1, 0, 0, 0) });
    assert!(world.aside("quarantine").is_empty());
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let world = World::new();
    let engine = &world.model.engine;
    for bad in ["", "[]", r#"{"Records":[{}]}"#] {
        let why = crate::intake::read(engine, bad, 1).unwrap_err();
        assert_eq!(why.word(), "Input.Invalid");
    }
}

/// A pack of 500 rows, so that the rows after it are asked for in a second call.
fn fillers() -> Vec<super::world::Record> {
    (0..499)
        .map(|i| record("s-0", 10 + i, line(&format!("f{i}"), &format!("F{i}"), 0, 1.0)))
        .collect()
}

#[tokio::test]
async fn a_failed_call_cuts_the_prefix_and_a_crash_follows_the_commit() {
    let world = World::new();
    let mut records = vec![record("s-0", 1, line("a1", "A", 0, 1.0))];
    records.extend(fillers());
    records.push(record("s-0", 900, line("a2", "A", 1, 503.0)));
    records.push(record("s-0", 901, line("a3", "A", 2, 4.0)));
    // A1 and the fillers are committed; then the process ends.
    world.faults(&[(Op::Emit, Fault::CrashBefore)]);
    assert!(world.invoke(&event(&records)).await.is_none());
    assert!(world.rows().is_empty());
    assert_eq!(world.item("A").outbox.len(), 1);
    // Again: A1's row comes from the outbox, A2 fails once more, A3 must not overtake it.
    world.faults(&[]);
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(900), accounts(502, 0, 500, 2)));
    assert_eq!(world.rows().len(), 500);
    assert!(world.rows().contains_key("a1"));
    // The endpoint is well again (another amount stands for it): the rest is applied in order.
    let rest =
        [record("s-0", 900, line("a2", "A", 1, 5.0)), record("s-0", 901, line("a3", "A", 2, 4.0))];
    let handled = world.invoke(&event(&rest)).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 2, 0, 0)));
    assert!(world.rows()["a3"].contains(r#""count_1h":3"#));
}

#[tokio::test]
async fn a_refused_row_is_applied_with_its_reason() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 400.0)),
        record("s-0", 3, line("a3", "A", 2, 2.0)),
    ]);
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(3, 3, 0, 0)));
    let rows = world.rows();
    assert!(
        rows["a2"].contains(r#""prediction":null,"reason":"status 400","features":{"#),
        "{}",
        rows["a2"]
    );
    assert!(rows["a3"].contains(r#""count_1h":3"#));
}

#[tokio::test]
async fn an_entity_in_two_shards_and_a_crash_between_commit_and_emit() {
    let world = World::new();
    let one = event(&[record("s-0", 10, line("a1", "A", 0, 1.0))]);
    let other = event(&[record("s-1", 5, line("a2", "A", 1, 2.0))]);
    world.faults(&[(Op::Emit, Fault::CrashBefore)]);
    assert!(world.invoke(&one).await.is_none());
    // The other shard's commit keeps the first one's row.
    world.faults(&[]);
    let handled = world.invoke(&other).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 1, 0, 0));
    assert_eq!(world.item("A").outbox.len(), 2);
    // Even when the other shard goes on and on.
    world.invoke(&event(&[record("s-1", 6, line("a3", "A", 2, 2.0))])).await.unwrap();
    assert_eq!(world.times("a1"), 0);
    let handled = world.invoke(&one).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(1, 0, 1, 0)));
    assert_eq!(world.times("a1"), 1);
    assert!(world.rows()["a3"].contains(r#""count_1h":3"#));
    assert_eq!(world.item("A").marks.len(), 2);
}

#[tokio::test]
async fn rows_of_another_shard_go_when_no_record_of_that_age_comes() {
    let mut world = World::new();
    world.faults(&[(Op::Emit, Fault::CrashBefore)]);
    assert!(world.invoke(&event(&[record("s-0", 10, line("a1", "A", 0, 1.0))])).await.is_none());
    world.faults(&[]);
    world.now = 21_600 + 3_600 + 9; // the record arrived 10 s after the beginning
    world.invoke(&event(&[record("s-1", 5, line("a2", "A", 1, 2.0))])).await.unwrap();
    assert_eq!(world.item("A").outbox.len(), 2);
    world.now += 2;
    world.invoke(&event(&[record("s-1", 6, line("a3", "A", 1, 2.0))])).await.unwrap();
    assert_eq!(world.item("A").outbox.len(), 1);
}

#[tokio::test]
async fn a_batch_is_halved_between_two_records_of_an_entity() {
    let world = World::new();
    let records: Vec<_> =
        (1..=4).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, 1.0))).collect();
    world.faults(&[(Op::Emit, Fault::CrashBefore)]);
    assert!(world.invoke(&event(&records)).await.is_none());
    world.faults(&[]);
    // The first half's commit (there is none: all is applied) must not drop the second half's rows.
    let handled = world.invoke(&event(&records[..2])).await.unwrap();
    assert_eq!(handled.accounts, accounts(2, 0, 2, 0));
    assert_eq!(world.rows().len(), 2);
    let handled = world.invoke(&event(&records[2..])).await.unwrap();
    assert_eq!(handled.accounts, accounts(2, 0, 2, 0));
    assert_eq!(world.rows().len(), 4);
}

#[tokio::test]
async fn a_halved_batch_with_a_commit_keeps_the_second_half() {
    let world = World::new();
    let records: Vec<_> =
        (1..=3).map(|n| record("s-0", n, line(&format!("a{n}"), "A", n, 1.0))).collect();
    world.ports.sinks.refuses.borrow_mut().insert("a3".into());
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(3), accounts(3, 2, 0, 1)));
    // What lies before the next batch's first record may go, what no sink took stays.
    let next = [records[2].clone(), record("s-0", 4, line("a4", "A", 4, 1.0))];
    let handled = world.invoke(&event(&next)).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(3), accounts(2, 0, 0, 2)));
    assert_eq!(world.item("A").outbox.len(), 3);
    world.ports.sinks.refuses.borrow_mut().clear();
    let handled = world.invoke(&event(&next)).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 1, 1, 0)));
    let left: Vec<_> = world.item("A").outbox.into_iter().map(|row| row.key).collect();
    assert_eq!(left, ["a4"]);
}

#[tokio::test]
async fn a_commit_times_out_after_its_effect() {
    let world = World::new();
    world.faults(&[(Op::Put, Fault::FailAfter)]);
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 1.0)),
    ]);
    let handled = world.invoke(&batch).await.unwrap();
    // Read again: it was applied, and its rows come from the outbox.
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 0, 2, 0)));
    assert_eq!(world.rows().len(), 2);
    assert!(world.rows()["a2"].contains(r#""count_1h":2"#));
}

#[tokio::test]
async fn a_commit_fails_before_its_effect() {
    let world = World::new();
    world.faults(&[(Op::Put, Fault::Fail), (Op::Put, Fault::Fail)]);
    let handled = world.invoke(&event(&[record("s-0", 1, line("a1", "A", 0, 1.0))])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(1, 1, 0, 0)));
}

#[tokio::test]
async fn a_store_that_stays_away_hands_back() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 8, line("a1", "A", 0, 1.0)),
        record("s-0", 9, line("b1", "B", 0, 1.0)),
    ]);
    world.plan(|op| (op == Op::Put).then_some(Fault::Fail));
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(8), accounts(2, 0, 0, 2)));
    world.plan(|op| (op == Op::Get).then_some(Fault::Fail));
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(8), accounts(2, 0, 0, 2)));
    assert!(world.rows().is_empty());
}

#[tokio::test]
async fn a_zombie_with_an_old_read() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 1.0)),
    ]);
    world.invoke(&batch).await.unwrap();
    let states = world.states();
    // It read before the other committed; its own commit loses, and it starts the entity again.
    world.faults(&[(Op::Get, Fault::Old)]);
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 0, 2, 0)));
    assert_eq!(world.states(), states);
}

#[tokio::test]
async fn a_sink_that_is_down_only_hands_back() {
    let world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("b1", "B", 0, 1.0)),
    ]);
    world.plan(|op| (op == Op::Emit).then_some(Fault::Fail));
    for _ in 0..3 {
        let handled = world.invoke(&batch).await.unwrap();
        assert_eq!((failed(&handled), handled.accounts), (Some(1), accounts(2, 0, 0, 2)));
    }
    // New records of the entity wait: its outbox must not grow.
    let more = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 3, line("a2", "A", 1, 1.0)),
    ]);
    world.invoke(&more).await.unwrap();
    assert_eq!(world.item("A").outbox.len(), 1);
    world.faults(&[]);
    let handled = world.invoke(&more).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 1, 1, 0)));
    assert!(world.aside("undelivered").is_empty());
}

#[tokio::test]
async fn a_sink_that_is_down_past_the_maximum_age() {
    let mut world = World::new();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a2", "A", 1, 1.0)),
    ]);
    world.plan(|op| (op == Op::Emit).then_some(Fault::Fail));
    world.now = 21_600 - 15 * 60;
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!(handled.accounts, accounts(2, 0, 0, 2));
    world.now += 3; // within 15 minutes of the age
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!(failed(&handled), None);
    assert_eq!(handled.accounts, Accounts { undelivered: 2, ..accounts(2, 0, 0, 0) });
    let rows: Vec<String> = world
        .item("A")
        .outbox
        .iter()
        .map(|row| String::from_utf8(row.bytes.clone()).unwrap().trim_end().into())
        .collect();
    assert_eq!(world.aside("undelivered/world/date=2026-01-01/s-0-1.jsonl"), rows);
    // Where they cannot be put aside either, they come again.
    world.plan(|op| matches!(op, Op::Emit | Op::Aside).then_some(Fault::Fail));
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!(handled.accounts, accounts(2, 0, 0, 2));
}

#[tokio::test]
async fn the_quarantine_fails_after_another_record_was_committed() {
    let world = World::new();
    world.invoke(&event(&[record("s-0", 1, line("a1", "A", 0, 1.0))])).await.unwrap();
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, "no json"),
        record("s-0", 3, line("a2", "A", 1, 1.0)),
    ]);
    for fault in [Fault::Fail, Fault::FailAfter] {
        world.faults(&[(Op::Aside, fault)]);
        let handled = world.invoke(&batch).await.unwrap();
        assert_eq!((failed(&handled), handled.accounts), (Some(1), accounts(3, 0, 0, 3)));
        assert_eq!(world.rows().len(), 1);
    }
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!(handled.accounts, Accounts { quarantined: 1, ..accounts(3, 1, 1, 0) });
    assert_eq!(world.aside("quarantine").len(), 1);
}

#[tokio::test]
async fn a_reshard_in_the_middle() {
    let world = World::new();
    world.invoke(&event(&[record("s-0", 100, line("a1", "A", 0, 1.0))])).await.unwrap();
    // The child's numbers are greater than its parent's, but the mark is the shard's own.
    let handled =
        world.invoke(&event(&[record("s-2", 90, line("a2", "A", 1, 1.0))])).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 1, 0, 0));
    let handled =
        world.invoke(&event(&[record("s-0", 100, line("a1", "A", 0, 1.0))])).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 0, 1, 0));
    assert!(world.rows()["a2"].contains(r#""count_1h":2"#));
}

#[tokio::test]
async fn the_same_id_again() {
    let world = World::new();
    // In one batch, in a later one, in another shard: a producer's retry.
    let batch = event(&[
        record("s-0", 1, line("a1", "A", 0, 1.0)),
        record("s-0", 2, line("a1", "A", 0, 1.0)),
    ]);
    let handled = world.invoke(&batch).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (None, accounts(2, 1, 1, 0)));
    for (shard, sequence) in [("s-0", 3), ("s-1", 1)] {
        let handled = world
            .invoke(&event(&[record(shard, sequence, line("a1", "A", 0, 1.0))]))
            .await
            .unwrap();
        assert_eq!(handled.accounts, accounts(1, 0, 1, 0), "{shard}");
    }
    // Its place is remembered when its id is not: two hours later, delivered again.
    world.invoke(&event(&[record("s-1", 2, line("a2", "A", 130, 1.0))])).await.unwrap();
    let states = world.states();
    let handled = world.invoke(&event(&[record("s-0", 3, line("a1", "A", 0, 1.0))])).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 0, 1, 0));
    assert_eq!(world.states(), states);
}

#[tokio::test]
async fn a_repeat_emits_the_row_that_was_committed_and_not_emitted() {
    let world = World::new();
    world.faults(&[(Op::Emit, Fault::CrashBefore)]);
    assert!(world.invoke(&event(&[record("s-0", 1, line("a1", "A", 0, 1.0))])).await.is_none());
    world.faults(&[]);
    let handled = world.invoke(&event(&[record("s-1", 1, line("a1", "A", 0, 1.0))])).await.unwrap();
    assert_eq!(handled.accounts, accounts(1, 0, 1, 0));
    assert!(world.rows()["a1"].contains(r#""shard":"s-0""#));
}

#[tokio::test]
async fn a_hot_entity_commits_in_steps() {
    let world = World::new();
    let records: Vec<_> =
        (0..900).map(|n| record("s-0", 1 + n, line(&format!("a{n}"), "A", n / 30, 1.0))).collect();
    // The third step's rows are not taken; what is committed before stands, what follows waits.
    world.faults(&[]);
    let mut emitted = 0;
    world.plan(move |op| {
        emitted += u32::from(op == Op::Emit);
        (op == Op::Emit && emitted == 3).then_some(Fault::Fail)
    });
    let handled = world.invoke(&event(&records)).await.unwrap();
    let done = handled.accounts.written;
    assert!((1..900).contains(&done), "{done}");
    assert_eq!(failed(&handled), Some(done + 1));
    let outbox: usize = world.item("A").outbox.iter().map(|row| row.bytes.len()).sum();
    assert!(outbox <= 100_000, "{outbox}");
    let handled = world.invoke(&event(&records)).await.unwrap();
    assert_eq!(failed(&handled), None);
    assert_eq!(world.rows().len(), 900);
    assert_eq!(*world.ports.endpoint.calls.borrow() % 2, 0);
}

#[tokio::test]
async fn it_leaves_before_the_deadline() {
    let mut world = World::new();
    world.time = Duration::from_millis(50);
    let handled = world.invoke(&event(&[record("s-0", 4, line("a1", "A", 0, 1.0))])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(4), accounts(1, 0, 0, 1)));
    assert!(world.states().is_empty());
}

#[tokio::test]
async fn a_closed_item_asks_for_what_serves() {
    let world = World::new();
    world.invoke(&event(&[record("s-0", 1, line("a1", "A", 0, 1.0))])).await.unwrap();
    world.ports.store.inner.close(&world.key("A"), 1, "h").await.unwrap();
    let batch = event(&[
        record("s-0", 2, line("a2", "A", 1, 1.0)),
        record("s-0", 3, line("b1", "B", 1, 1.0)),
    ]);
    let handled = world.invoke(&batch).await.unwrap();
    assert!(handled.superseded);
    // Nothing is made for B either: its state would be of a plan that no longer serves.
    assert_eq!((failed(&handled), handled.accounts), (Some(2), accounts(2, 0, 0, 2)));
    assert_eq!(world.states().len(), 1);
}

#[tokio::test]
async fn a_damaged_item_is_never_started_anew() {
    use leat_stream::store::EntityStore;
    let world = World::new();
    world.ports.store.inner.put(&world.key("A"), 0, b"\x01garbage".to_vec()).await.unwrap();
    let handled = world.invoke(&event(&[record("s-0", 2, line("a2", "A", 1, 1.0))])).await.unwrap();
    assert_eq!((failed(&handled), handled.accounts), (Some(2), accounts(1, 0, 0, 1)));
}

#[tokio::test]
async fn lanes_need_the_entity_as_partition_key() {
    let mut world = World::new();
    world.limits.lanes = 4;
    let mut one = record("s-0", 5, line("a1", "A", 0, 1.0));
    one.key = "A".into();
    assert_eq!(world.invoke(&event(&[one])).await.unwrap().accounts, accounts(1, 1, 0, 0));
    let other = record("s-0", 6, line("a2", "A", 0, 1.0));
    let why = crate::intake::read(&world.model.engine, &event(&[other]), 4).unwrap_err();
    assert_eq!(why.word(), "Config.Invalid");
    assert!(
        why.to_string().contains("LEAT_LANES") && why.to_string().contains("record 6"),
        "{why}"
    );
}
