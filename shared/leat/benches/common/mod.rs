//! The worked example and events for it, the same in every run.

#![allow(dead_code, clippy::expect_used)]

use leat::decode::RawRecord;
use leat::engine::{self, Engine, Source};
use leat::features::{Features, Fit, FittedState};
use leat::protect::Keys;
use leat::record::{Coordinates, Position, Sequence};

/// Events of a batch.
pub const ROWS: usize = 1000;

pub fn engine() -> Engine {
    const RECIPE: &str = include_str!("../../../../recipes/card-transactions/recipe.yaml");
    const RULES: &str = include_str!("../../../../recipes/card-transactions/quality.dqdl");
    let recipe = engine::read(Source { file: "recipe.yaml", text: RECIPE }).expect("the recipe");
    let keys = Keys::from_secret(&[7; 32]).expect("keys");
    let rules = Source { file: "quality.dqdl", text: RULES };
    Engine::new(recipe, Some(rules), Some(keys)).expect("an engine")
}

/// Lines of JSON: a hundred customers, a minute between events.
pub fn lines() -> Vec<String> {
    (0..ROWS as i64)
        .map(|n| {
            let time = leat::timestamp::to_text((1_767_225_600 + n * 60) * 1_000_000);
            let channel = ["web", "pos", "app", "phone"][n as usize % 4];
            format!(
                r#"{{"transaction_id":"t-{n:08}","customer_id":"c-{:06}","event_time":"{time}","card_number":"4111{:012}","amount":{}.{:02},"customer_age":{},"card_limit":{}.0,"channel":"{channel}","merchant_id":"m-{:04}","merchant_category":"food","country":"HK","is_fraud":{}}}"#,
                n * 7919 % 100,
                n * 104_729 % 1_000_000_007,
                n * 37 % 900,
                n % 100,
                18 + n % 60,
                1000 + n % 9000,
                n * 31 % 500,
                n % 50 / 49,
            )
        })
        .collect()
}

pub fn records(lines: &[String]) -> Vec<RawRecord<'_>> {
    let numbered = lines.iter().zip(1..);
    numbered
        .map(|(line, n): (_, u64)| RawRecord {
            coordinates: Coordinates {
                source: "card-transactions".into(),
                shard: "shardId-000000000006".into(),
                position: Position {
                    sequence: Sequence::new(&format!("4954{n:052}")),
                    sub: 0,
                    line: 0,
                },
                arrival: Some(1_767_225_600_000 + n as i64 * 60_000),
            },
            data: line.as_bytes(),
            landed: false,
        })
        .collect()
}

/// Rows with windows, and the features fitted on them.
pub fn fitted(engine: &Engine) -> (leat::decode::Batch, Features) {
    let lines = lines();
    let mut batch = engine.intake(&records(&lines)).expect("there are keys").batch;
    engine::Replay::new(engine).apply(&mut batch);
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let mut states = Vec::new();
    for level in 1..=plan.passes() {
        let mut fit = Fit::new(recipe, plan, level, &states).expect("a fit");
        fit.update(&batch.columns, &batch.identities());
        states = fit.finish().expect("there is enough to learn from");
    }
    let state =
        FittedState::new(recipe, plan, engine.hash(), ROWS as u64, &states).expect("a state");
    let features = Features::bind(recipe, plan, &state).expect("features");
    (batch, features)
}
