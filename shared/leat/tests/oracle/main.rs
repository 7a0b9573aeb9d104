//! The slow oracle: the whole engine once more, row by row and as plain as can be, written from what the manuals say
//! and not from the engine's code. Random recipes, events, cuts into batches and bit patterns go through both; every
//! fate, window, flag and feature must be the same, to the bit.
//!
//! `LEAT_ORACLE_CASES=100000 cargo test --profile fast -p leat --test oracle` runs longer; a failure names its seed and
//! the least events that show it, and `LEAT_ORACLE_SEED=<seed>` begins there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// Plain loops read best here; and without its star `pick` would be asked for a `str`.
#![allow(clippy::explicit_auto_deref, clippy::needless_range_loop)]

mod events;
mod expression;
mod model;
mod random;
mod recipe;
mod steps;
mod through;
mod value;

use events::Event;
use random::Random;
use recipe::Recipe;

/// As many as take a few seconds.
const CASES: u64 = 3_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told how long to run")]
fn the_engine_gives_what_the_oracle_gives() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect(name));
    let (mut features, mut rows, mut last_held) = (0, 0, 0);
    let (from, cases) = (number("LEAT_ORACLE_SEED"), number("LEAT_ORACLE_CASES"));
    let cases = cases.unwrap_or(if from.is_some() { 1 } else { CASES });
    let from = from.unwrap_or_default();
    let seeds = from..from + cases;
    for seed in seeds {
        let recipe = Recipe::random(&mut Random::new(seed));
        let events = events::random(&mut Random::new(!seed), &recipe);
        match compare(&recipe, &events, seed) {
            Ok(met) => {
                features += usize::from(met.features);
                rows += met.rows;
                last_held += met.last_held;
            }
            Err(why) => {
                let (least, why) = reduce(&recipe, events, seed, why);
                let lines: Vec<_> = least.iter().map(Event::show).collect();
                panic!(
                    "seed {seed}: {why}\n\n{}\n{}\n\n{}",
                    recipe.yaml(),
                    recipe.dqdl(),
                    lines.join("\n")
                );
            }
        }
    }
    // A comparison of nothing would pass as well.
    assert!(
        cases < 100 || features * 3 > cases as usize,
        "{features} of {cases} cases had features"
    );
    assert!(cases < 100 || rows > cases as usize * 5, "{rows} rows in {cases} cases");
    // Ids that come again when they are held for the last time.
    assert!(cases < 1000 || last_held * 100 > cases as usize, "{last_held} in {cases} cases");
}

/// What came about in a comparison.
struct Met {
    features: bool,
    rows: usize,
    last_held: usize,
}

fn compare(recipe: &Recipe, events: &[Event], seed: u64) -> Result<Met, String> {
    let fast = through::engine(recipe, events, seed)?;
    let slow = model::oracle(recipe, events, &fast.fitted)?;
    if fast.fates != slow.fates {
        let at = fast.fates.iter().zip(&slow.fates).position(|(a, b)| a != b).unwrap_or_default();
        let (a, b) = (fast.fates.get(at), slow.fates.get(at));
        return Err(format!("event {at}: the engine says {a:?}, the oracle {b:?}"));
    }
    for (fast, slow) in fast.rows.iter().zip(&slow.rows) {
        for (name, value) in &fast.cells {
            let other = slow.cells.get(name).unwrap_or(&value::V::Null);
            if !value.same(other) {
                return Err(format!(
                    "event {}, `{name}`: the engine gives {value:?}, the oracle {other:?}",
                    fast.event
                ));
            }
        }
        if (fast.event, fast.late, fast.repeat) != (slow.event, slow.late, slow.repeat) {
            return Err(format!(
                "event {}: (late, repeat) is {:?} by the engine, {:?} by the oracle",
                fast.event,
                (fast.late, fast.repeat),
                (slow.late, slow.repeat)
            ));
        }
    }
    if fast.rows.len() != slow.rows.len() {
        return Err(format!(
            "{} rows by the engine, {} by the oracle",
            fast.rows.len(),
            slow.rows.len()
        ));
    }
    let (features, rows) = (fast.fitted.is_some(), fast.rows.len());
    Ok(Met { features, rows, last_held: slow.last_held })
}

/// Leaves out events as long as what is left still differs.
fn reduce(
    recipe: &Recipe,
    mut events: Vec<Event>,
    seed: u64,
    mut why: String,
) -> (Vec<Event>, String) {
    let mut part = events.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < events.len() {
            let mut fewer = events.clone();
            fewer.drain(at..(at + part).min(events.len()));
            match compare(recipe, &fewer, seed) {
                Err(other) => (events, why) = (fewer, other),
                Ok(_) => at += part,
            }
        }
        part /= 2;
    }
    (events, why)
}
