//! Learning the fitted state of a run: each level is learnt of the training slice, bucket by bucket, and merged. The state
//! is the same, to the bit, as if one process had learnt of all rows.

use leat::engine::Engine;
use leat::features::{FeatureError, Fit, FittedState, StepState};
use leat_lake::Put;
use serde::{Deserialize, Serialize};

use crate::{BatchError, Bucket, Decision, Job, Slice, labels};

/// What the levels up to one have learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    leat: u32,
    recipe_hash: String,
    level: usize,
    /// The rows that were learnt of.
    rows: u64,
    /// By step of the recipe.
    steps: Vec<Option<StepState>>,
}

/// What a merge comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The level that was merged.
    pub level: usize,
    /// How many there are.
    pub levels: usize,
    /// The rows that were learnt of.
    pub rows: u64,
    /// The fitted state; none before the last level.
    pub state: Option<State>,
}

/// A fitted state that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where it lies.
    pub url: String,
    /// Its hash.
    pub hash: String,
}

/// How many levels a recipe has: at least one, in which the rows are counted.
pub fn levels(engine: &Engine) -> usize {
    engine.plan().passes().max(1)
}

fn level_key(level: usize) -> String {
    format!("fit/level-{level}.json")
}

fn part_key(level: usize, bucket: u32) -> String {
    format!("fit/level-{level}/{bucket}.json")
}

/// Learns `level` of the training rows of `bucket`, and writes what was learnt into the run's folder. Answers how many rows
/// there are.
pub async fn partial(job: &Job, level: usize, bucket: u32) -> Result<u64, BatchError> {
    let slices = Decision::slices(job).await?;
    let mut fit = begin(job, level).await?;
    let engine = &*job.engine;
    let rows = Bucket::read(&job.lake, &job.snapshot, bucket, engine).await?;
    let mut batch = rows.replay(engine).batch;
    labels::join(&job.lake, &job.snapshot, engine, &mut batch).await?;
    let train: Vec<usize> = (0..batch.len())
        .filter(|&row| slices.of(engine.event_time(&batch, row)) == Some(Slice::Train))
        .collect();
    let batch = batch.gather(&train);
    fit.update(&batch.columns, &batch.identities());
    let learnt = fit.to_json().map_err(|why| BatchError::Recipe(why.to_string()))?;
    job.run.write(&part_key(level, bucket), learnt).await?;
    Ok(fit.rows())
}

/// Merges what was learnt of all buckets. After the last level it writes the fitted state:
/// `<artifacts>/states/<recipe>/<hash>.json`.
pub async fn merge(job: &Job, level: usize) -> Result<Merged, BatchError> {
    let mut fit = begin(job, level).await?;
    for bucket in job.snapshot.numbers() {
        let key = part_key(level, bucket);
        let step = format!("the step `partial` of level {level} and bucket {bucket}");
        let learnt = job.run.need_text(&key, &step).await?;
        fit.merge_json(&learnt)
            .map_err(|why| BatchError::Input(format!("{}: {why}", job.run.url_of(&key))))?;
    }
    let Decision { train_until, .. } = Decision::read(job).await?;
    let train_until = leat::timestamp::to_text(train_until);
    if fit.rows() == 0 {
        let why = format!("there is no row to learn of before {train_until}");
        return Err(BatchError::Input(why));
    }
    let steps = fit.finish().map_err(|errors| {
        let told = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let of_data = |why: &FeatureError| matches!(why, FeatureError::Data { .. });
        match errors.iter().all(of_data) {
            true => BatchError::Input(format!(
                "{told} (learnt of the {} rows before {train_until}, with {})",
                fit.rows(),
                job.snapshot.labels_told()
            )),
            false => BatchError::Recipe(told),
        }
    })?;
    let recipe_hash = job.engine.hash().to_owned();
    let done = Level { leat: 1, recipe_hash, level, rows: fit.rows(), steps };
    job.run.write_json(&level_key(level), &done).await?;
    let levels = levels(&job.engine);
    let state = if level == levels { Some(state(job, &done).await?) } else { None };
    Ok(Merged { level, levels, rows: done.rows, state })
}

/// A fit of `level` that has seen no row.
async fn begin(job: &Job, level: usize) -> Result<Fit, BatchError> {
    let levels = levels(&job.engine);
    if !(1..=levels).contains(&level) {
        return Err(BatchError::Input(format!(
            "there is no level {level}: recipe `{}` is learnt in levels 1 to {levels}",
            job.engine.recipe().name
        )));
    }
    let so_far = match level {
        1 => Vec::new(),
        _ => {
            let key = level_key(level - 1);
            let step = format!("the step `merge` of level {}", level - 1);
            let before: Level = job.run.need(&key, &step).await?;
            if before.recipe_hash != job.engine.hash() {
                return Err(BatchError::Recipe(format!(
                    "{} is of a recipe with hash {}, and the run's has {}",
                    job.run.url_of(&key),
                    before.recipe_hash,
                    job.engine.hash()
                )));
            }
            before.steps
        }
    };
    Fit::new(job.engine.recipe(), job.engine.plan(), level, &so_far)
        .map_err(|why| BatchError::Recipe(why.to_string()))
}

async fn state(job: &Job, last: &Level) -> Result<State, BatchError> {
    let (recipe, plan) = (job.engine.recipe(), job.engine.plan());
    let state = FittedState::new(recipe, plan, job.engine.hash(), last.rows, &last.steps)
        .map_err(|why| BatchError::Recipe(why.to_string()))?;
    let folder = format!("{}states/{}/", job.run.artifacts(), recipe.name);
    let url = format!("{folder}{}.json", state.hash);
    // Named by its content: what stands is the same.
    let (Put::Created | Put::Exists) = job.lake.write_new(&url, state.to_json()).await?;
    Ok(State { url, hash: state.hash })
}
