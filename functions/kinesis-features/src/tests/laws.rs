//! The laws: whatever goes wrong, and however batches are cut, each event is applied once, and the stored states and
//! the set of rows are those of one pass in which nothing went wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::{Fault, Op, Record, World, event, failed, line, one_pass, record};

/// A small generator of its own, so that a failing seed can be read.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a producer sends: several entities, some out of order, some repeats, some that nobody can read.
pub fn lines(dice: &mut Dice, count: u64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for n in 0..count {
        // A repeat comes within the hour in which its id is held.
        let repeat = (n > 0 && dice.roll(8) == 0)
            .then(|| lines[(n - 1 - dice.roll(n.min(30))) as usize].clone());
        let who = ["A", "B", "C"][dice.roll(3) as usize];
        let minute = (n + 5).saturating_sub(dice.roll(6));
        let amount = if dice.roll(20) == 0 { 400.0 } else { dice.roll(1000) as f64 / 7.0 };
        lines.push(match repeat {
            Some(line) => line,
            None if dice.roll(12) == 0 => "{".into(),
            None => line(&format!("e{n}"), who, minute, amount),
        });
    }
    lines
}

/// Plays the mapping of one shard: batches of random length from the checkpoint, halved or repeated after a crash,
/// some delivered again though they were answered well.
pub async fn deliver(world: &World, records: &[Record], dice: &mut Dice) {
    let (mut at, mut tries) = (0, 0);
    while at < records.len() {
        tries += 1;
        assert!(tries < 10_000, "no progress");
        let most = (records.len() - at) as u64;
        let length = 1 + dice.roll(most.min(20)) as usize;
        let batch = &records[at..at + length];
        let Some(handled) = world.invoke(&event(batch)).await else { continue };
        let again = dice.roll(10) == 0;
        at = match failed(&handled) {
            Some(number) => at + batch.iter().position(|r| r.sequence == number).unwrap(),
            None if again => at,
            None => at + length,
        };
    }
}

pub fn trouble(world: &World, mut dice: Dice) {
    world.plan(move |op| {
        let fault = match (op, dice.roll(40)) {
            (_, 0) => Fault::Fail,
            (Op::Put | Op::Emit | Op::Aside, 1) => Fault::FailAfter,
            (_, 2) => Fault::CrashBefore,
            (Op::Put | Op::Emit | Op::Aside, 3) => Fault::CrashAfter,
            (Op::Get, 1 | 3) => Fault::Old,
            _ => return None,
        };
        Some(fault)
    });
}

pub fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_shard_equals_one_pass(seed: u64) {
        run(async {
            let mut dice = Dice(seed);
            let lines = lines(&mut dice, 60);
            let records: Vec<Record> =
                lines.iter().zip(1..).map(|(l, n)| record("s-0", n * 3, l.clone())).collect();
            let well = World::new();
            let handled = well.invoke(&event(&records)).await.unwrap();
            assert_eq!(failed(&handled), None);

            let ill = World::new();
            trouble(&ill, Dice(seed ^ 0xdead));
            deliver(&ill, &records, &mut dice).await;
            assert_eq!(ill.rows(), well.rows());
            assert_eq!(ill.states(), well.states());
            let bad = |world: &World| {
                let mut places: Vec<String> = world
                    .aside("quarantine")
                    .iter()
                    .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["sequence"].to_string())
                    .collect();
                places.sort();
                places.dedup();
                places
            };
            assert_eq!(bad(&ill), bad(&well));
            // And neither differs from the windows alone.
            let alone: BTreeMap<String, Vec<u8>> =
                one_pass(&lines).iter().map(|(who, state)| (ill.key(who), state.encode())).collect();
            assert_eq!(ill.states(), alone);
        });
    }

    #[test]
    fn two_shards_apply_each_event_once(seed: u64) {
        run(async {
            let mut dice = Dice(seed);
            let world = World::new();
            trouble(&world, Dice(seed ^ 0xbeef));
            // One entity, all within one window: the rows' counts are 1 to n, each once.
            let shards = ["s-0", "s-1"].map(|shard| -> Vec<Record> {
                (1..=15).map(|n| record(shard, n, line(&format!("{shard}-{n}"), "A", 0, 1.0))).collect()
            });
            let mut at = [0usize; 2];
            while at.iter().any(|&at| at < 15) {
                let one = dice.roll(2) as usize;
                let from = at[one];
                if from == 15 {
                    continue;
                }
                let until = (from + 1 + dice.roll(6) as usize).min(15);
                let batch = &shards[one][from..until];
                let Some(handled) = world.invoke(&event(batch)).await else { continue };
                at[one] = match failed(&handled) {
                    Some(number) => from + batch.iter().position(|r| r.sequence == number).unwrap(),
                    None => until,
                };
            }
            let rows = world.rows();
            assert_eq!(rows.len(), 30);
            let mut counts: Vec<u64> = rows
                .values()
                .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["features"]["count_1h"].as_u64().unwrap())
                .collect();
            counts.sort_unstable();
            assert_eq!(counts, (1..=30).collect::<Vec<_>>());
        });
    }
}
