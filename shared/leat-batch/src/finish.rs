//! The sums over all buckets of a set of features, and whether a model can learn of them.

use serde::Serialize;

use crate::curate::{Counts, SliceCounts, channel, counts_key};
use crate::{BatchError, Job, LabelCounts, Slice, names};

/// The features that a model is trained on: they are refused where it could not be.
pub const CANDIDATE: &str = "candidate";

/// What was made of all buckets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finished {
    /// The rows of the slices.
    pub rows: u64,
    /// Those whose label is known.
    pub labelled: u64,
    /// Those whose label is not.
    pub unlabelled: u64,
    /// The rows of each slice whose label is above 0.
    pub positives: Positives,
    /// The URL of the channel of the training slice.
    pub train: String,
    /// The URL of the channel of the evaluation slice.
    pub evaluate: String,
    /// The URL of the Parquet files.
    pub curated: String,
    /// Where the labels came from.
    pub labels: LabelCounts,
    /// The hash of the recipe.
    pub recipe_hash: String,
    /// The hash of the fitted state.
    pub state_hash: String,
}

/// See [`Finished::positives`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Positives {
    /// Of the training slice.
    pub train: u64,
    /// Of the evaluation slice.
    pub evaluate: u64,
}

/// Sums what was made of all buckets under `name`. A candidate is refused if a slice has no labelled rows, or rows of one
/// class alone: no model learns of that.
pub async fn finish(job: &Job, name: &str) -> Result<Finished, BatchError> {
    names::check("set of features", name)?;
    let mut all: Option<Counts> = None;
    for bucket in job.snapshot.numbers() {
        let key = counts_key(name, bucket);
        let step = format!("the step `bucket` of bucket {bucket}, named `{name}`,");
        let part: Counts = job.run.need(&key, &step).await?;
        match &mut all {
            None => all = Some(part),
            Some(all) => add(all, part)
                .map_err(|why| BatchError::Input(format!("{}: {why}", job.run.url_of(&key))))?,
        }
    }
    let all =
        all.ok_or_else(|| BatchError::Input(format!("run {} has no bucket", job.run.name())))?;
    if name == CANDIDATE {
        Slice::ALL.into_iter().try_for_each(|slice| learnable(job, &all, slice))?;
    }
    let of = |slice| all.slices.get(&slice).copied().unwrap_or_default();
    let sum = |count: fn(&SliceCounts) -> u64| all.slices.values().map(count).sum::<u64>();
    let (rows, labelled) = (sum(|s| s.rows), sum(|s| s.labelled));
    Ok(Finished {
        rows,
        labelled,
        unlabelled: rows.saturating_sub(labelled),
        positives: Positives {
            train: of(Slice::Train).positives,
            evaluate: of(Slice::Evaluate).positives,
        },
        train: job.run.url_of(&channel(name, Slice::Train)),
        evaluate: job.run.url_of(&channel(name, Slice::Evaluate)),
        curated: all.curated,
        labels: all.labels,
        recipe_hash: all.recipe_hash,
        state_hash: all.state_hash,
    })
}

fn add(all: &mut Counts, part: Counts) -> Result<(), String> {
    if (&all.recipe_hash, &all.state_hash) != (&part.recipe_hash, &part.state_hash) {
        return Err(format!(
            "it was made by state {} of recipe {}, and buckets before it by state {} of recipe {}: make all of them anew",
            part.state_hash, part.recipe_hash, all.state_hash, all.recipe_hash
        ));
    }
    if !all.slices.keys().eq(part.slices.keys()) {
        return Err("it has other slices than the buckets before it: make all of them anew".into());
    }
    for (slice, counts) in &part.slices {
        all.slices.entry(*slice).or_default().merge(counts);
    }
    all.labels.joined += part.labels.joined;
    all.labels.inline += part.labels.inline;
    all.labels.none += part.labels.none;
    all.repeats += part.repeats;
    all.late += part.late;
    all.rejects.merge(part.rejects);
    Ok(())
}

/// Refuses a slice that no model learns of, or could be judged by.
fn learnable(job: &Job, all: &Counts, slice: Slice) -> Result<(), BatchError> {
    let counts = all.slices.get(&slice).copied().unwrap_or_default();
    if counts.has_classes() {
        return Ok(());
    }
    let known = job.snapshot.labels_told();
    let word = slice.word();
    let why = match (counts.rows, counts.labelled, counts.least) {
        (0, ..) => format!("the slice `{word}` has no rows"),
        (rows, 0, _) => format!(
            "none of the {rows} rows of the slice `{word}` has a label by {known}: {} rows of the run have one",
            all.labels.joined + all.labels.inline
        ),
        (_, labelled, label) => format!(
            "all {labelled} labelled rows of the slice `{word}` are of one class ({})",
            leat::number::to_text(label.unwrap_or_default())
        ),
    };
    Err(BatchError::Input(format!(
        "{why}: a model has nothing to tell apart; move `train_until`, or wait for labels"
    )))
}
