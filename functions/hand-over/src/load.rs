//! `load` and `abandon`: the items of one bucket's entities.

use leat::column::Type;
use leat::engine::Engine;
use leat::recipe::{Method, Role};
use leat_aws::Failure;
use leat_batch::{BatchError, Bucket, Rejects, Run, Snapshot};
use leat_lake::{read_recipe, recipe_of_hash};
use leat_stream::store::TakeOver;
use leat_stream::take_over::{self, HandOver, Loaded, Past, Sentinels};
use serde::{Deserialize, Serialize};

use crate::handler::Ports;
use crate::mark;

/// What served when the promotion began, as far as it counts here: `serving` as it is stored.
#[derive(Clone, Debug, Deserialize)]
pub struct Live {
    /// The state plan of the live items.
    state_plan: String,
    /// The hash of its recipe.
    recipe_hash: String,
    /// Where that lies, as in [`To`].
    recipe_url: Option<String>,
}

/// What is to serve: the pair, as far as it counts here.
#[derive(Clone, Debug, Deserialize)]
pub struct To {
    /// The recipe's name.
    recipe: String,
    /// Its hash.
    recipe_hash: String,
    /// Its state plan.
    state_plan: String,
    /// Where it lies; else beside the deployed one, in a folder of its hash.
    recipe_url: Option<String>,
}

/// What `load` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The bucket.
    pub bucket: u32,
    /// What became of its entities.
    #[serde(flatten)]
    pub counts: Loaded,
}

/// What `abandon` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Abandoned {
    /// The bucket.
    pub bucket: u32,
    /// How many items were closed by this attempt and are open again.
    pub reopened: u64,
}

/// Makes the items of the entities of `bucket`.
pub async fn load<S: TakeOver, K, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    run: &Run,
    bucket: u32,
    from: Option<Live>,
    to: &To,
) -> Result<Answer, Failure> {
    if !serves(ports, from.as_ref()).await? {
        return Err(Failure::Input(
            "what serves is not what this promotion began with: another one was quicker; start it again".into(),
        ));
    }
    let sentinels = mark::read(run).await?;
    if from.is_some() && sentinels.is_none() {
        return Err(Failure::Input(format!(
            "{} does not exist, and something serves: `mark` and `sealed` come first",
            run.url_of(mark::KEY)
        )));
    }
    let job = Job::new(ports, from, to, sentinels).await?;
    let (past, rejects) = job.past(ports, run, bucket).await?;
    let counts = take_over::load(&ports.store, &job.over(run), &past).await?;
    if rejects.count() > 0 {
        tracing::warn!(
            bucket,
            rejects = rejects.count(),
            "the new recipe refuses rows of the past"
        );
    }
    Ok(Answer { bucket, counts })
}

/// Opens the items of the entities of `bucket` that this attempt closed, if what served then serves still.
pub async fn abandon<S: TakeOver, K, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    run: &Run,
    bucket: u32,
    from: Option<Live>,
    to: &To,
) -> Result<Abandoned, Failure> {
    if !serves(ports, from.as_ref()).await? {
        return Ok(Abandoned { bucket, reopened: 0 });
    }
    let job = Job::new(ports, from, to, None).await?;
    let (past, _) = job.past(ports, run, bucket).await?;
    let reopened = take_over::abandon(&ports.store, &job.over(run), &past).await?;
    Ok(Abandoned { bucket, reopened })
}

/// True if `from` is of the state plan that serves.
async fn serves<S, K, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    from: Option<&Live>,
) -> Result<bool, Failure> {
    let name = &ports.deployed.recipe().name;
    let serving = ports.config.serving.read(name, ports.aws).await?;
    Ok(serving.map(|serving| serving.state_plan) == from.map(|from| from.state_plan.clone()))
}

/// What `load` and `abandon` work with.
struct Job<'a> {
    /// The state plan of the live items.
    plan: String,
    deployed: &'a Engine,
    /// The recipe that takes over, if it is not the deployed one.
    other: Option<Engine>,
    sentinels: Option<Sentinels>,
}

impl<'a> Job<'a> {
    async fn new<S, K, T, J>(
        ports: &'a Ports<'_, S, K, T, J>,
        from: Option<Live>,
        to: &To,
        sentinels: Option<Sentinels>,
    ) -> Result<Self, Failure> {
        let deployed = &ports.deployed;
        // Where nothing serves, windows are kept by the deployed recipe.
        let (plan, live) = match &from {
            None => (deployed.plan().state_plan.clone(), None),
            Some(Live { state_plan, recipe_hash, recipe_url }) => {
                (state_plan.clone(), recipe(ports, recipe_hash, recipe_url.as_ref()).await?)
            }
        };
        let other = recipe(ports, &to.recipe_hash, to.recipe_url.as_ref()).await?;
        let job = Job { plan, deployed, other, sentinels };
        let engine = job.to();
        let found = [&engine.recipe().name, engine.hash(), &engine.plan().state_plan];
        let wanted = [&to.recipe, &to.recipe_hash, &to.state_plan];
        for ((what, found), wanted) in ["name", "hash", "state plan"].iter().zip(found).zip(wanted)
        {
            if found != wanted {
                return Err(Failure::Recipe(format!(
                    "the recipe that takes over has the {what} {found}, and the pair says {wanted}"
                )));
            }
        }
        let entities = [live.as_ref().unwrap_or(deployed), engine].map(entity);
        if entities[0] != entities[1] {
            return Err(Failure::Recipe(
                "the recipe that takes over has another entity than the one that serves, or protects it otherwise: items \
                 cannot be found again; let it serve under another name, from a history"
                    .into(),
            ));
        }
        Ok(job)
    }

    fn to(&self) -> &Engine {
        self.other.as_ref().unwrap_or(self.deployed)
    }

    fn over<'s>(&'s self, run: &'s Run) -> HandOver<'s> {
        HandOver {
            id: run.name(),
            from: &self.plan,
            to: self.to(),
            sentinels: self.sentinels.as_ref(),
        }
    }

    /// All events of the entities of `bucket`, as the recipe that takes over sees them, and what it refuses of them.
    async fn past<S, K, T, J>(
        &self,
        ports: &Ports<'_, S, K, T, J>,
        run: &Run,
        bucket: u32,
    ) -> Result<(Past, Rejects), Failure> {
        let snapshot = Snapshot::read(run).await?;
        let Bucket { batch, refused, rejects, .. } =
            Bucket::read(&ports.lake, &snapshot, bucket, self.to()).await?;
        Ok((Past { batch, refused }, rejects))
    }
}

/// The recipe of `hash`; none if it is the deployed one.
async fn recipe<S, K, T, J>(
    ports: &Ports<'_, S, K, T, J>,
    hash: &str,
    url: Option<&String>,
) -> Result<Option<Engine>, Failure> {
    if hash == ports.deployed.hash() {
        return Ok(None);
    }
    let url = url.cloned().or_else(|| recipe_of_hash(&ports.config.recipe, hash));
    let url = url.ok_or_else(|| Failure::Input(format!("`{hash}` is no hash of a recipe")))?;
    let read = read_recipe(&ports.lake, &url, ports.keys.clone()).await;
    Ok(Some(read.map_err(BatchError::from)?))
}

/// What decides the names of entities.
fn entity(engine: &Engine) -> Option<(&str, Type, Option<Method>)> {
    let recipe = engine.recipe();
    let field = &recipe.schema.fields[recipe.schema.role(Role::Entity)?];
    Some((&field.name, recipe.kind(field), recipe.method(&field.name)))
}
