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

pub use leat_bucket::{Counts, RECIPE_HASH, SLICE, STATE_HASH, SliceCounts, TRAIN};
use leat_bucket::{Curation, Fitted};
use leat_lake::parquet::Writer;

use crate::error::damaged;
use crate::{BatchError, Bucket, Decision, Job, Slice, Workshop, labels, names};

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
    fitted: Arc<Fitted>,
    name: String,
    slices: Vec<Slice>,
    /// The URL of the folder of its Parquet files.
    folder: String,
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
        self.fitted.recipe_hash()
    }

    /// The hash of the fitted state.
    pub fn state_hash(&self) -> &str {
        self.fitted.state_hash()
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
    let fitted = Fitted::bind(engine, &text)
        .map_err(|why| BatchError::Recipe(format!("{}: {why}", wanted.state)))?;
    Ok(Bound {
        fitted: Arc::new(fitted),
        name: wanted.name.to_owned(),
        slices: wanted.slices.to_vec(),
        folder: folder(job, wanted.curated, wanted.name),
    })
}

/// Makes the features of the rows of `bucket`, and writes them and their counts.
pub async fn bucket(job: &Job, bound: &Bound, bucket: u32) -> Result<Counts, BatchError> {
    let engine = bound.fitted.engine();
    let slices = Decision::slices(job).await?;
    let rows = Bucket::read(&job.lake, &job.snapshot, bucket, engine).await?;
    let rejects = rows.rejects.clone();
    let mut replayed = rows.replay(engine);
    let labels = labels::join(&job.lake, &job.snapshot, engine, &mut replayed.batch).await?;
    let (fitted, wanted) = (bound.fitted.clone(), &bound.slices);
    let mut curation =
        Curation::new(fitted, replayed, labels, rejects, slices, wanted, &bound.folder);
    let url = format!("{}{}", bound.folder, file(bucket));
    let wrong = |why| damaged(url.clone(), why);
    let mut parquet = Writer::new(Vec::new(), bound.fitted.columns()).map_err(wrong)?;
    let mut channels = BTreeMap::<Slice, Vec<u8>>::new();
    for part in curation.by_ref() {
        parquet.write(part.columns).map_err(wrong)?;
        channels.entry(part.slice).or_default().extend(part.csv);
    }
    for (slice, csv) in channels {
        if !csv.is_empty() {
            job.run.write(&format!("{}{bucket}.csv", channel(&bound.name, slice)), csv).await?;
        }
    }
    job.lake.write(&url, parquet.finish().map_err(wrong)?).await?;
    let counts = curation.counts();
    job.run.write_json(&counts_key(&bound.name, bucket), counts).await?;
    Ok(counts.clone())
}
