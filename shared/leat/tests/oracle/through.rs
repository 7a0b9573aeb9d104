//! Events through the engine, as its paths call it.

use std::collections::HashMap;

use leat::decode::{Batch, RawRecord};
use leat::engine::{self, Engine, Replay, Source};
use leat::features::{Features, Fit, FittedState};
use leat::record::{Coordinates, Position, Sequence};
use leat::windows::{Applied, EntityState};

use crate::events::Event;
use crate::model::{Cells, Fate, Out, Row};
use crate::random::Random;
use crate::recipe::Recipe;
use crate::value::V;

/// Everything that is to be compared, and the fitted state, if there could be one.
pub fn engine(recipe: &Recipe, events: &[Event], seed: u64) -> Result<Out, String> {
    let mut r = Random::new(seed ^ 0x5EED);
    let said = |errors: Vec<leat::diagnostic::Diagnostic>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let (yaml, dqdl) = (recipe.yaml(), recipe.dqdl());
    let parsed = engine::read(Source { file: "r.yaml", text: &yaml }).map_err(said)?;
    let rules = Source { file: "r.dqdl", text: &dqdl };
    let rules = (!recipe.rules.is_empty()).then_some(rules);
    let engine = Engine::new(parsed, rules, None).map_err(said)?;
    let records: Vec<RawRecord<'_>> = events
        .iter()
        .enumerate()
        .map(|(at, event)| RawRecord {
            coordinates: Coordinates {
                source: "stream".into(),
                shard: "shard".into(),
                position: Position {
                    sequence: Sequence::new(&(at + 1).to_string()),
                    sub: 0,
                    line: 0,
                },
                arrival: event.arrival,
            },
            data: &event.bytes,
            landed: false,
        })
        .collect();

    let mut out = Out { fates: vec![Fate::Malformed; events.len()], ..Out::default() };
    let texts = engine.rules().map_or(&[][..], |rules| rules.texts());
    let event_of = |coordinates: &Coordinates| -> usize {
        coordinates.position.sequence.as_str().parse::<usize>().unwrap_or_default() - 1
    };
    // In memory, or from bytes to bytes between two batches: it must not matter.
    let in_memory = r.one_in(2);
    let mut replay = Replay::new(&engine);
    let mut items: HashMap<String, Vec<u8>> = HashMap::new();
    let mut all = Batch::default();
    let mut rest = &records[..];
    while !rest.is_empty() {
        let (part, others) = rest.split_at(1 + r.below(rest.len()));
        rest = others;
        let taken = engine.intake(part).map_err(|why| why.to_string())?;
        for reject in &taken.rejects {
            let rule = &*reject.reason.rule;
            let by = texts.iter().position(|text| text == rule);
            out.fates[event_of(&reject.coordinates)] = match by {
                Some(rule) => Fate::Rule(rule),
                None if rule == engine::AHEAD => Fate::Ahead,
                None => Fate::Malformed,
            };
        }
        let mut batch = taken.batch;
        let (mut late, mut repeats) = (vec![false; batch.len()], Vec::new());
        if in_memory {
            let replayed = replay.apply(&mut batch);
            (late, repeats) = (replayed.late, replayed.repeats);
        } else {
            let mut values = Vec::new();
            for row in 0..batch.len() {
                let entity = engine.entity(&batch, row).into_owned();
                let mut state = match items.get(&entity) {
                    Some(bytes) => EntityState::decode(bytes).map_err(|why| why.to_string())?,
                    None => EntityState::default(),
                };
                let identity = batch.rows[row].identity;
                values.push(
                    match engine.windows().apply(&mut state, &batch.columns, row, identity) {
                        Applied::New { values, late: is_late, .. } => {
                            late[row] = is_late;
                            Some(values)
                        }
                        Applied::Repeat => {
                            repeats.push(row);
                            None
                        }
                    },
                );
                items.insert(entity, state.encode());
            }
            engine.windows().fill(&mut batch.columns, &values);
        }
        for row in 0..batch.len() {
            let event = event_of(&batch.rows[row].coordinates);
            out.fates[event] = Fate::Good;
            let repeat = repeats.contains(&row);
            out.rows.push(Row {
                event,
                late: late[row],
                repeat,
                cells: cells(&engine, &batch, row),
            });
        }
        let fresh: Vec<usize> = (0..batch.len()).filter(|row| !repeats.contains(row)).collect();
        let batch = batch.gather(&fresh);
        if all.columns.is_empty() { all = batch } else { all.append(batch) }
    }
    // A repeat has no features: what its columns hold is nobody's business.
    out.rows.iter_mut().filter(|row| row.repeat).for_each(|row| row.cells.clear());
    if all.is_empty() || recipe.steps.is_empty() {
        return Ok(out);
    }
    // The first half teaches, all are transformed, in other parts than they came in.
    let half: Vec<usize> = (0..all.len().div_ceil(2)).collect();
    let Some(state) = fit(&engine, &all.gather(&half)) else { return Ok(out) };
    let features =
        Features::bind(engine.recipe(), engine.plan(), &state).map_err(|why| why.to_string())?;
    let mut made: Vec<Cells> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let rows: Vec<usize> = (at..all.len().min(at + 1 + r.below(all.len()))).collect();
        at += rows.len();
        let part = all.gather(&rows);
        let columns = features.apply(&part.columns, part.len());
        for row in 0..part.len() {
            let values = columns.iter().map(|column| v(column.get(row)));
            made.push(features.names().iter().cloned().zip(values).collect());
        }
    }
    let fresh = out.rows.iter_mut().filter(|row| !row.repeat);
    fresh.zip(made).for_each(|(row, made)| row.cells.extend(made));
    out.fitted = Some(state);
    Ok(out)
}

/// None if there is nothing to learn from.
fn fit(engine: &Engine, rows: &Batch) -> Option<FittedState> {
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let mut states = Vec::new();
    for level in 1..=plan.passes() {
        let mut fit = Fit::new(recipe, plan, level, &states).ok()?;
        fit.update(&rows.columns, &rows.identities());
        states = fit.finish().ok()?;
    }
    FittedState::new(recipe, plan, engine.hash(), rows.len() as u64, &states).ok()
}

/// The columns of a row before features.
fn cells(engine: &Engine, batch: &Batch, row: usize) -> Cells {
    let columns = engine.plan().columns.iter().zip(&batch.columns);
    columns.map(|(column, values)| (column.name.clone(), v(values.get(row)))).collect()
}

fn v(value: leat::column::Value<'_>) -> V {
    use leat::column::Value;
    match value {
        Value::Null => V::Null,
        Value::Bool(x) => V::Bool(x),
        Value::Long(x) => V::Long(x),
        Value::Double(x) => V::Double(x),
        Value::String(x) => V::Text(x.to_owned()),
        Value::Timestamp(x) => V::Time(x),
    }
}
