//! One step of a hand-over. All that the steps pass on lies in the folder of the attempt, and each step may be done again.

use leat::engine::Engine;
use leat::protect::Keys;
use leat_aws::{Aws, Failure, metrics};
use leat_batch::Run;
use leat_jobs::config::Clock;
use leat_jobs::dataset::Dataset;
use leat_jobs::starter::Starter;
use leat_lake::Lake;
use leat_stream::shards::Shards;
use leat_stream::store::TakeOver;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;
use crate::load::{self, Live, To};
use crate::{land, mark, sealed};

/// The world, as far as a step needs it.
pub struct Ports<'a, S, K, T, J> {
    /// Where entities' items lie.
    pub store: S,
    /// The stream.
    pub shards: K,
    /// The ledger of what landed.
    pub starter: Starter<T, J, Clock>,
    /// The deployed recipe. Without `serving` its plan is that of the live items.
    pub deployed: Engine,
    /// What tokens are made with.
    pub keys: Option<Keys>,
    /// Where all else lies.
    pub lake: Lake,
    /// The way to what serves.
    pub aws: &'a Aws,
    /// The settings.
    pub config: &'a Config,
}

impl<S, K, T, J> Ports<'_, S, K, T, J> {
    /// The data set of the stream: it has the recipe's name.
    pub fn dataset(&self) -> Result<&Dataset, Failure> {
        let name = &self.deployed.recipe().name;
        self.starter.datasets.get(name).ok_or_else(|| {
            Failure::Config(format!(
                "LEAT_DATASETS has no data set `{name}`, as the recipe is named"
            ))
        })
    }
}

/// A step, as a workflow asks for it. `run_folder` is the attempt's own.
#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Step {
    /// Put a sentinel into each open shard. The mapping is disabled, and its last call has ended.
    Mark { run_folder: String },
    /// Has all landed that came before the sentinels? If so, list it.
    Sealed { run_folder: String },
    /// List what is published, where the mapping was never enabled.
    Snapshot { run_folder: String },
    /// Make the items of a bucket's entities.
    Load { run_folder: String, bucket: u32, from: Option<Live>, to: To },
    /// Land what failed in Firehose: no step of a promotion, and of no attempt.
    Land {},
    /// Open what `load` closed: what serves goes on serving.
    Abandon { run_folder: String, bucket: u32, from: Option<Live>, to: To },
}

/// Does one step.
pub async fn handle<S, K, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    event: &str,
    now: i64,
) -> Result<Value, Failure>
where
    S: TakeOver,
    K: Shards,
    T: leat_jobs::table::Table,
{
    let step: Step = serde_json::from_str(event).map_err(|why| {
        Failure::Input(format!(
            "not a step of a hand-over (mark, sealed, snapshot, load, abandon, land): {why}"
        ))
    })?;
    let recipe = ports.deployed.recipe().name.as_str();
    let open = |url: &str| -> Result<Run, Failure> {
        let run = Run::open(&ports.lake, url)?;
        if run.recipe() != recipe {
            return Err(Failure::Input(format!(
                "{url} is of the recipe `{}`, and this function is `{recipe}`'s",
                run.recipe()
            )));
        }
        Ok(run)
    };
    match step {
        Step::Mark { run_folder } => {
            json(&mark::mark(&ports.shards, &open(&run_folder)?, now).await?)
        }
        Step::Sealed { run_folder } => {
            json(&sealed::sealed(ports, &open(&run_folder)?, now).await?)
        }
        Step::Snapshot { run_folder } => {
            json(&sealed::snapshot(ports, &open(&run_folder)?, now).await?)
        }
        Step::Load { run_folder, bucket, from, to } => {
            let loaded = load::load(ports, &open(&run_folder)?, bucket, from, &to).await?;
            let counts = [
                ("loaded", loaded.counts.loaded),
                ("taken_over", loaded.counts.taken_over),
                ("already", loaded.counts.already),
            ];
            metrics("hand-over", recipe, &counts);
            json(&loaded)
        }
        Step::Land {} => {
            let done = land::land(ports).await?;
            let counts = [("landed_again", done.lines), ("failed_left", done.left)];
            metrics("hand-over", recipe, &counts);
            json(&done)
        }
        Step::Abandon { run_folder, bucket, from, to } => {
            let done = load::abandon(ports, &open(&run_folder)?, bucket, from, &to).await?;
            metrics("hand-over", recipe, &[("reopened", done.reopened)]);
            json(&done)
        }
    }
}

fn json(answer: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|why| Failure::Config(why.to_string()))
}
