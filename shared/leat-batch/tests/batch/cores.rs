//! A replay comes to the same whatever the number of cores.

use std::collections::BTreeMap;
use std::num::NonZero;

use leat::decode::{Batch, RawRecord};
use leat::engine::{self, Engine, Order, Source};
use leat::record::{Coordinates, Position, Sequence};
use leat_batch::{Cores, Replay, Replayed};
use leat_bucket::{PART, joined};
use proptest::prelude::*;

const RECIPE: &str = "{leat: 1, name: r, schema: {dedupe: {within: 1h}, fields: [
    {name: id, type: string, role: id}, {name: who, type: string, role: entity},
    {name: at, type: timestamp, role: event_time}, {name: amount, type: double}]},
    derive: {twice: amount * 2}, windows: [
    {count: '*', sum: amount, max: twice, over: [1h, 24h]}, {mean: amount, over: 1h, exact: true, max_events: 5},
    {session: 10m, emit: [id, count, since_previous]}]}";

fn engine() -> Engine {
    let recipe = engine::read(Source { file: "r.yaml", text: RECIPE }).unwrap();
    Engine::new(recipe, None, None).unwrap()
}

/// An event: its id, its entity, its minute, and its sequence number if it is of a stream.
type Event = (u8, u8, u16, Option<u8>);

fn part(engine: &Engine, first: usize, events: &[Event]) -> Batch {
    let lines: Vec<String> = events
        .iter()
        .map(|(id, who, minute, _)| {
            let (at, amount) = (i64::from(*minute) * 60, f64::from(*minute) / 7.0);
            format!(r#"{{"id":"i-{id}","who":"c-{who}","at":{at},"amount":{amount:?}}}"#)
        })
        .collect();
    let records: Vec<RawRecord<'_>> = events
        .iter()
        .zip(&lines)
        .enumerate()
        .map(|(n, ((.., number), line))| {
            let sequence = number.map_or_else(|| "0".to_owned(), |number| number.to_string());
            let line_of_file = if number.is_some() { 0 } else { (first + n) as u64 };
            let coordinates = Coordinates {
                source: "events".into(),
                shard: if number.is_some() { "s" } else { "" }.into(),
                position: Position {
                    sequence: Sequence::new(&sequence),
                    sub: 0,
                    line: line_of_file,
                },
                arrival: None,
            };
            RawRecord { coordinates, data: line.as_bytes(), landed: false }
        })
        .collect();
    engine.intake(&records).unwrap().batch
}

/// All that a replay gives, comparable.
type Shown = (Batch, u64, u64, Order, BTreeMap<Box<str>, Vec<u8>>);

fn shown(replayed: Replayed) -> Shown {
    let Replayed { batch, repeats, late, order, states } = replayed;
    let states = states.into_iter().map(|(who, state)| (who, state.encode())).collect();
    (batch, repeats, late, order, states)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn as_many_cores_as_there_are(
        events in proptest::collection::vec((0u8..60, 0u8..9, 0u16..3_000, proptest::option::of(0u8..40)), 0..120),
        streamed in 0u8..3,
        in_order in any::<bool>(),
        size in 1usize..40,
    ) {
        let engine = engine();
        let mut events = events;
        for (.., minute, number) in &mut events {
            match streamed {
                0 => *number = None,
                1 => *number = Some(number.unwrap_or(*minute as u8 % 40)),
                _ => {}
            }
        }
        if in_order {
            events.sort_by_key(|(.., minute, number)| (*number, *minute));
        }
        let parts = || -> Vec<Batch> {
            events.chunks(size).enumerate().map(|(n, some)| part(&engine, n * size, some)).collect()
        };
        let (batch, order) = leat_bucket::in_order(&engine, parts());
        let expected = shown(leat_bucket::windows(&engine, batch, order));
        for count in 1..4 {
            let cores = Cores::new(NonZero::new(count).unwrap());
            let mut replay = Replay::new(&engine, cores, parts());
            let batch = joined(&engine, replay.by_ref().flatten().collect());
            let (repeats, late, order) = (replay.repeats(), replay.late(), replay.order());
            let states = replay.into_states();
            let found = shown(Replayed { batch, repeats, late, order, states });
            prop_assert_eq!(&found, &expected, "{} cores", count);
        }
    }
}

#[test]
fn rounds_are_of_some_size() {
    let engine = engine();
    let cores = Cores::new(NonZero::new(2).unwrap());
    let events: Vec<Event> = (0..PART).map(|n| (0, n as u8 % 7, 0, None)).collect();
    let one = part(&engine, 0, &events);
    let parts = (0..40).map(|_| one.clone()).collect();
    let rounds: Vec<usize> = Replay::new(&engine, cores, parts)
        .map(|round| round.iter().map(Batch::len).sum())
        .collect();
    // An entity's id is applied once: the rest are repeats.
    assert_eq!(rounds, [7, 0]);
    assert_eq!(Replay::new(&engine, cores, Vec::new()).count(), 0);
}
