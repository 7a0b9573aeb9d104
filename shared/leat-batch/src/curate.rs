//! Features of a run's rows under a fitted state: Parquet for people and the Feature Store, CSV for SageMaker.
//!
//! - `<curated>/<recipe>/run=<run>/name=<name>/bucket=<nn>/part.parquet`: id, entity, event time and label under the names
//!   that the recipe gives them, `_slice`, the features as they are served, and of every row the hashes of the recipe and
//!   the fitted state that made it, `_recipe_hash` and `_state_hash`. A feature that goes back to labels has a second
//!   column, `_train_<feature>`: what a model is trained on, out of fold; null outside of the training slice.
//! - `channels/<name>/<slice>/<bucket>.csv` in the run's folder: the label, then the features; no header; only rows whose
//!   label is known. A bucket without such rows has no file: SageMaker's containers do not read empty ones.
//! - `counts/<name>/<bucket>.json`: what [`finish`](crate::finish()) sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use leat::column::{Column, Type, Value};
use leat::decode::Batch;
use leat::encode::csv;
use leat::engine::Engine;
use leat::features::{Features, FittedState, Mode};
use leat::recipe::Role;
use leat_lake::parquet::Writer;
use serde::{Deserialize, Serialize};

use crate::error::damaged;
use crate::{
    BatchError, Bucket, Decision, Job, LabelCounts, Rejects, Slice, Workshop, labels, names,
};

/// The column of the slice.
pub const SLICE: &str = "_slice";
/// The column of the recipe's hash.
pub const RECIPE_HASH: &str = "_recipe_hash";
/// The column of the fitted state's hash.
pub const STATE_HASH: &str = "_state_hash";
/// What stands before the name of a feature's second column.
pub const TRAIN: &str = "_train_";
/// Rows that become features at a time.
const ROWS: usize = 8192;

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The features' name within the run: `candidate` or `serving`.
    pub name: &'a str,
    /// The URL of the fitted state.
    pub state: &'a str,
    /// The URL of its recipe; the run's without it.
    pub recipe: Option<&'a str>,
    /// Of which slices.
    pub slices: &'a [Slice],
    /// The URL of the curated zone.
    pub curated: &'a str,
}

/// A fitted state bound to its recipe, and where its features go.
#[derive(Debug)]
pub struct Bound {
    engine: Arc<Engine>,
    state_hash: String,
    features: Features,
    /// For each feature, whether it goes back to labels.
    of_labels: Vec<bool>,
    name: String,
    slices: Vec<Slice>,
    /// The URL of the folder of its Parquet files.
    folder: String,
}

/// What was made of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// The version of this form: 1.
    pub leat: u32,
    /// See [`RECIPE_HASH`].
    pub recipe_hash: String,
    /// See [`STATE_HASH`].
    pub state_hash: String,
    /// Where the Parquet files lie.
    pub curated: String,
    /// The rows of the slices that were wanted.
    pub slices: BTreeMap<Slice, SliceCounts>,
    /// Where the labels of all rows of the bucket came from.
    pub labels: LabelCounts,
    /// The rows that repeat an identity.
    pub repeats: u64,
    /// The rows that came too late for a window.
    pub late: u64,
    /// The rows that the recipe does not admit.
    pub rejects: Rejects,
}

/// The rows of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceCounts {
    /// All.
    pub rows: u64,
    /// Those whose label is known.
    pub labelled: u64,
    /// Those whose label is above 0.
    pub positives: u64,
    /// The least label.
    pub least: Option<f64>,
    /// The greatest.
    pub greatest: Option<f64>,
}

/// The folder of the Parquet files of `name`, which ends in `/`.
pub fn folder(job: &Job, curated: &str, name: &str) -> String {
    let (recipe, run) = (job.run.recipe(), job.run.name());
    format!("{}{recipe}/run={run}/name={name}/", names::folder(curated))
}

/// The key of the Parquet file of `bucket` within [`folder`].
pub fn file(bucket: u32) -> String {
    format!("bucket={bucket:02}/part.parquet")
}

/// The key of the folder of a channel's files in the run's folder; it ends in `/`.
pub fn channel(name: &str, slice: Slice) -> String {
    format!("channels/{name}/{}/", slice.word())
}

/// The key of the counts of `bucket`.
pub fn counts_key(name: &str, bucket: u32) -> String {
    format!("counts/{name}/{bucket}.json")
}

impl Bound {
    /// The hash of the recipe.
    pub fn recipe_hash(&self) -> &str {
        self.engine.hash()
    }

    /// The hash of the fitted state.
    pub fn state_hash(&self) -> &str {
        &self.state_hash
    }

    /// The URL of the folder of its Parquet files.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// Reads the fitted state and binds it to its recipe.
pub async fn bind(shop: &Workshop, job: &Job, wanted: Wanted<'_>) -> Result<Bound, BatchError> {
    names::check("set of features", wanted.name)?;
    if wanted.slices.is_empty() {
        return Err(BatchError::Input("no slice is named: `train`, `evaluate`, or both".into()));
    }
    let engine = match wanted.recipe {
        Some(url) => shop.read_engine(url).await?,
        None => job.engine.clone(),
    };
    let text = shop.lake().read_text(wanted.state).await?;
    let wrong = |why: String| BatchError::Recipe(format!("{}: {why}", wanted.state));
    let state =
        FittedState::from_json(&text, engine.hash()).map_err(|why| wrong(why.to_string()))?;
    let features = Features::bind(engine.recipe(), engine.plan(), &state)
        .map_err(|why| wrong(why.to_string()))?;
    let mut slices = wanted.slices.to_vec();
    slices.sort_unstable();
    slices.dedup();
    Ok(Bound {
        engine,
        state_hash: state.hash,
        features,
        of_labels: state.columns.iter().map(|column| column.out_of_fold).collect(),
        name: wanted.name.to_owned(),
        slices,
        folder: folder(job, wanted.curated, wanted.name),
    })
}

/// Makes the features of the rows of `bucket`, and writes them and their counts.
pub async fn bucket(job: &Job, bound: &Bound, bucket: u32) -> Result<Counts, BatchError> {
    let engine = &*bound.engine;
    let slices = Decision::slices(job).await?;
    let rows = Bucket::read(&job.lake, &job.snapshot, bucket, engine).await?;
    let rejects = rows.rejects.clone();
    let mut replayed = rows.replay(engine);
    let labels = labels::join(&job.lake, &job.snapshot, engine, &mut replayed.batch).await?;
    let batch = &replayed.batch;
    let url = format!("{}{}", bound.folder, file(bucket));
    let table = Table::of(bound);
    let mut parquet =
        Writer::new(Vec::new(), &table.columns).map_err(|why| damaged(url.clone(), why))?;
    let mut counts = BTreeMap::new();
    for &slice in &bound.slices {
        let of_slice: Vec<usize> = (0..batch.len())
            .filter(|&row| slices.of(engine.event_time(batch, row)) == Some(slice))
            .collect();
        // What a model learns of holds no label of a row's own; what it is judged by is what it would be served.
        let mode = match slice {
            Slice::Train => Mode::Train,
            Slice::Evaluate => Mode::Serve,
        };
        let (mut csv, mut count) = (Vec::new(), SliceCounts::default());
        for part in of_slice.chunks(ROWS) {
            let part = batch.gather(part);
            let features = bound.features.apply_in(mode, &part.columns, &part.identities());
            table.csv(&part, &features, &mut count, &mut csv);
            let (served, trained) = match mode {
                Mode::Serve => (features, None),
                Mode::Train if !bound.of_labels.contains(&true) => (features, None),
                Mode::Train => (bound.features.apply(&part.columns, part.len()), Some(features)),
            };
            let rows = table.rows(&part, served, trained, slice);
            parquet.write(rows).map_err(|why| damaged(url.clone(), why))?;
        }
        if !csv.is_empty() {
            job.run.write(&format!("{}{bucket}.csv", channel(&bound.name, slice)), csv).await?;
        }
        counts.insert(slice, count);
    }
    let bytes = parquet.finish().map_err(|why| damaged(url.clone(), why))?;
    job.lake.write(&url, bytes).await?;
    let counts = Counts {
        leat: 1,
        recipe_hash: engine.hash().to_owned(),
        state_hash: bound.state_hash.clone(),
        curated: bound.folder.clone(),
        slices: counts,
        labels,
        repeats: replayed.repeats,
        late: replayed.late,
        rejects,
    };
    job.run.write_json(&counts_key(&bound.name, bucket), &counts).await?;
    Ok(counts)
}

/// Which columns the Parquet files have.
struct Table<'b> {
    bound: &'b Bound,
    /// Id, entity, event time, label, as far as the recipe has them.
    slots: Vec<usize>,
    label: Option<usize>,
    /// Which features are no columns of the row itself.
    keep: Vec<bool>,
    columns: Vec<(String, Type)>,
}

impl<'b> Table<'b> {
    fn of(bound: &'b Bound) -> Self {
        let (schema, plan) = (&bound.engine.recipe().schema, bound.engine.plan());
        let roles = [Role::Id, Role::Entity, Role::EventTime, Role::Label];
        let slots: Vec<usize> = roles.iter().filter_map(|role| schema.role(*role)).collect();
        let text = |name: &str| (name.to_owned(), Type::String);
        let mut columns: Vec<(String, Type)> = slots
            .iter()
            .map(|&slot| (plan.columns[slot].name.clone(), plan.columns[slot].kind))
            .collect();
        columns.push(text(SLICE));
        let own: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let features = bound.features.names().iter().zip(bound.features.kinds());
        let keep: Vec<bool> =
            bound.features.names().iter().map(|name| !own.contains(name)).collect();
        let kept = features.zip(&keep).filter(|(_, keep)| **keep);
        columns.extend(kept.map(|((name, kind), _)| (name.clone(), *kind)));
        let kinds = bound.features.names().iter().zip(bound.features.kinds());
        let of_labels = kinds.zip(&bound.of_labels).filter(|(_, of_labels)| **of_labels);
        columns.extend(of_labels.map(|((name, kind), _)| (format!("{TRAIN}{name}"), *kind)));
        columns.extend([text(RECIPE_HASH), text(STATE_HASH)]);
        Table { bound, slots, label: schema.role(Role::Label), keep, columns }
    }

    fn rows(
        &self,
        batch: &Batch,
        served: Vec<Column>,
        trained: Option<Vec<Column>>,
        slice: Slice,
    ) -> Vec<Column> {
        let all = |text: &str| {
            let mut column = Column::new(Type::String);
            (0..batch.len()).for_each(|_| column.push(Value::String(text)));
            column
        };
        let mut columns: Vec<Column> =
            self.slots.iter().map(|&slot| batch.columns[slot].clone()).collect();
        columns.push(all(slice.word()));
        let nulls = || {
            let kinds = self.bound.features.kinds().iter();
            kinds.map(|kind| Column::nulls(*kind, batch.len())).collect()
        };
        let trained = trained.unwrap_or_else(nulls);
        for (some, which) in [(served, &self.keep), (trained, &self.bound.of_labels)] {
            let some = some.into_iter().zip(which).filter(|(_, is_stored)| **is_stored);
            columns.extend(some.map(|(column, _)| column));
        }
        columns.extend([all(self.bound.engine.hash()), all(&self.bound.state_hash)]);
        columns
    }

    /// Counts the rows, and appends those whose label is known.
    fn csv(&self, batch: &Batch, features: &[Column], count: &mut SliceCounts, out: &mut Vec<u8>) {
        count.rows += batch.len() as u64;
        let Some(label) = self.label.map(|slot| &batch.columns[slot]) else { return };
        for row in 0..batch.len() {
            let Some(value) = label.number(row) else { continue };
            count.labelled += 1;
            count.positives += u64::from(value > 0.0);
            count.least = Some(count.least.map_or(value, |least| least.min(value)));
            count.greatest = Some(count.greatest.map_or(value, |greatest| greatest.max(value)));
            csv::row(std::iter::once(label).chain(features), row, out);
        }
    }
}

impl SliceCounts {
    /// Adds what another bucket has.
    pub fn merge(&mut self, other: &SliceCounts) {
        self.rows += other.rows;
        self.labelled += other.labelled;
        self.positives += other.positives;
        let both = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (one, other) => one.or(other),
        };
        self.least = both(self.least, other.least, f64::min);
        self.greatest = both(self.greatest, other.greatest, f64::max);
    }

    /// Whether there are two labels to tell apart.
    pub fn has_classes(&self) -> bool {
        self.least.zip(self.greatest).is_some_and(|(least, greatest)| least < greatest)
    }
}
