//! `leat curate`: the features of a training run's rows, all buckets on all cores. It is what the function
//! `feature-transform` does for one bucket, and SageMaker Processing's entry point.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use clap::Args;
use leat_batch::curate::{self, Bound, Counts, Wanted};
use leat_batch::{BatchError, Job, Slice, Workshop};
use leat_lake::Lake;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::answer::{Answer, Refusal};
use crate::data::LeftOut;
use crate::fit::short;
use crate::places;
use crate::progress::Progress;
use crate::recipe::KeysArgument;

/// See `leat curate --help`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The run's folder, `…/artifacts/runs/<recipe>/<run>/`, with its snapshot and decision.
    #[arg(long, value_name = "FOLDER")]
    run_folder: String,
    /// The fitted state.
    #[arg(long, value_name = "STATE.json")]
    state: String,
    /// The fitted state's recipe, if it is not the run's.
    #[arg(long)]
    recipe: Option<String>,
    /// The features' name within the run.
    #[arg(long, default_value = leat_batch::CANDIDATE)]
    name: String,
    /// The slices to make features of; both without it.
    #[arg(long = "slice", value_name = "SLICE", value_enum)]
    slices: Vec<SliceArgument>,
    /// The buckets; all without it.
    #[arg(long = "bucket", value_name = "N")]
    buckets: Vec<u32>,
    /// The curated zone; without it `curated/` beside `artifacts/`.
    #[arg(long, value_name = "FOLDER")]
    curated: Option<String>,
    #[command(flatten)]
    keys: KeysArgument,
}

/// As [`Slice`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SliceArgument {
    /// What is learnt of.
    Train,
    /// What models are compared on.
    Evaluate,
}

/// Runs the command.
pub fn run(args: &Arguments) -> Result<Answer, Refusal> {
    let lake = || Lake::new(&std::env::vars().collect());
    let shop = Workshop::new(lake(), args.keys.secret()?);
    let main = runtime()?;
    let job = main.block_on(shop.job(&url(&args.run_folder))).map_err(refuse)?;
    let slices: Vec<Slice> = match args.slices.is_empty() {
        true => Slice::ALL.to_vec(),
        false => args.slices.iter().map(|slice| Slice::from(*slice)).collect(),
    };
    let curated = match &args.curated {
        Some(curated) => url(curated),
        None => beside(job.run.artifacts()),
    };
    let (state, recipe) = (url(&args.state), args.recipe.as_deref().map(url));
    let wanted = Wanted {
        name: &args.name,
        state: &state,
        recipe: recipe.as_deref(),
        slices: &slices,
        curated: &curated,
    };
    let bound = main.block_on(curate::bind(&shop, &job, wanted)).map_err(refuse)?;
    let buckets = match args.buckets.is_empty() {
        true => job.snapshot.numbers().collect(),
        false => args.buckets.clone(),
    };
    let all = on_all_cores(&buckets, || job.through(lake()).map_err(refuse), &bound)?;
    Ok(answer(args, &job, &bound, &all))
}

/// The counts of `buckets`, in their order.
fn on_all_cores(
    buckets: &[u32],
    job: impl Fn() -> Result<Job, Refusal> + Sync,
    bound: &Bound,
) -> Result<Vec<Counts>, Refusal> {
    let progress = Progress::rows("curating (buckets)", Some(buckets.len() as u64));
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::new());
    let work = || -> Result<(), Refusal> {
        let (runtime, job) = (runtime()?, job()?);
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&bucket) = buckets.get(at) else { break };
            let counts = runtime.block_on(curate::bucket(&job, bound, bucket));
            let counts =
                counts.map_err(refuse).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, counts));
            progress.add(1);
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(buckets.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(Refusal::new("a worker ended early: this is a bug")))
        });
        // All of them, then the first error.
        ended.collect::<Vec<_>>().into_iter().collect::<Result<(), Refusal>>()
    })?;
    progress.finish();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, counts)| counts).collect())
}

fn answer(args: &Arguments, job: &Job, bound: &Bound, all: &[Counts]) -> Answer {
    let mut left_out = LeftOut::default();
    all.iter().for_each(|counts| left_out.rejects.merge(counts.rejects.clone()));
    left_out.tell();
    let slices = || all.iter().flat_map(|counts| counts.slices.values());
    let rows: u64 = slices().map(|slice| slice.rows).sum();
    let labelled: u64 = slices().map(|slice| slice.labelled).sum();
    let text = format!(
        "curated {rows} rows ({labelled} labelled) of {} buckets of run {} with state {} of recipe {}: {}",
        all.len(),
        job.run.name(),
        short(bound.state_hash()),
        short(bound.recipe_hash()),
        bound.folder(),
    );
    let document = json!({
        "run": job.run.name(), "name": args.name, "recipe_hash": bound.recipe_hash(),
        "state_hash": bound.state_hash(), "buckets": all.len(), "rows": rows, "labelled": labelled,
        "rejected": left_out.rejected(), "rejected_by": left_out.rejected_by(), "curated": bound.folder(),
    });
    Answer::good(text, document)
}

impl From<SliceArgument> for Slice {
    fn from(slice: SliceArgument) -> Self {
        match slice {
            SliceArgument::Train => Slice::Train,
            SliceArgument::Evaluate => Slice::Evaluate,
        }
    }
}

fn runtime() -> Result<Runtime, Refusal> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Refusal::new(format!("cannot start: {why}")))
}

fn refuse(why: BatchError) -> Refusal {
    let refusal = Refusal::new(why.to_string());
    match why {
        BatchError::Keys(_) => refusal.hint("give the secret: --keys file:PATH"),
        _ => refusal,
    }
}

/// A path or URL as a URL. What is written names it: a path is whole.
fn url(place: &str) -> String {
    if places::is_url(place) {
        return place.to_owned();
    }
    let path = places::path(place);
    format!("file:{}", std::path::absolute(path).unwrap_or_else(|_| path.into()).display())
}

/// The folder `curated/` beside the folder of artifacts.
fn beside(artifacts: &str) -> String {
    let folder = artifacts.trim_end_matches('/');
    let parent = folder.rfind(['/', ':']).map_or("", |at| &folder[..=at]);
    format!("{parent}curated/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(url("/a/b"), "file:/a/b");
        assert_eq!(url("file:///a/b"), "file:/a/b");
        assert!(url("a/b").ends_with("/a/b") && url("a/b").starts_with("file:/"));
        assert_eq!(url("s3://b/k"), "s3://b/k");
        assert_eq!(beside("s3://b/artifacts/"), "s3://b/curated/");
        assert_eq!(beside("file:artifacts/"), "file:curated/");
    }
}
