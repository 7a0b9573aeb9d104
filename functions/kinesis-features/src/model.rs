//! The recipe and the fitted state that serve, bound and ready: one snapshot for an invocation.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use leat::encode::jsonl;
use leat::engine::Engine;
use leat::features::{Features, FittedState};
use leat::protect::Keys;
use leat_aws::{Aws, Failure};
use leat_lake::{Lake, RecipeError, read_recipe, recipe_of_hash};
use leat_stream::serving::{Serving, ServingUrl};

use crate::config::Config;

/// What serves is read at most so often, by the wall clock: a sandbox may have slept.
const FRESH: Duration = Duration::from_secs(30);

/// What an invocation works with.
#[derive(Debug)]
pub struct Model {
    /// The recipe.
    pub engine: Rc<Engine>,
    /// The fitted state; none while nothing serves.
    pub fitted: Option<Fitted>,
}

/// A fitted state, bound.
#[derive(Debug)]
pub struct Fitted {
    /// The features.
    pub features: Features,
    /// Their names, as a row has them.
    pub names: jsonl::Rows,
    /// The first digits of the state's hash.
    pub hash: String,
    /// The endpoint; none: features without predictions.
    pub endpoint: Option<String>,
    /// The state's URL; none where it was made here.
    pub url: Option<Rc<str>>,
}

/// Reads what serves, and keeps it while it is fresh.
#[derive(Debug)]
pub struct Models<'a> {
    recipe_url: String,
    serving: ServingUrl,
    keys: Option<Keys>,
    lake: &'a Lake,
    aws: &'a Aws,
    deployed: Rc<Engine>,
    current: RefCell<Option<Current>>,
}

#[derive(Clone, Debug)]
struct Current {
    serving: Option<Serving>,
    model: Rc<Model>,
    read: SystemTime,
}

impl<'a> Models<'a> {
    /// Reads and checks the deployed recipe with its keys: what is wrong there shows at start.
    pub async fn start(config: &Config, lake: &'a Lake, aws: &'a Aws) -> Result<Self, Failure> {
        let keys = leat_aws::keys(config.keys.as_ref(), aws).await?;
        let deployed = Rc::new(read_engine(lake, &config.recipe, keys.clone()).await?);
        Ok(Models {
            recipe_url: config.recipe.clone(),
            serving: config.serving.clone(),
            keys,
            lake,
            aws,
            deployed,
            current: RefCell::new(None),
        })
    }

    /// What serves at `now`, read at most 30 s before.
    pub async fn current(&self, now: SystemTime) -> Result<Rc<Model>, Failure> {
        let known = self.current.borrow().clone();
        if let Some(known) = &known {
            // A clock that went back says nothing of the age.
            if now.duration_since(known.read).is_ok_and(|age| age < FRESH) {
                return Ok(known.model.clone());
            }
        }
        let serving = self.serving.read(&self.deployed.recipe().name, self.aws).await?;
        let model = match known {
            Some(known) if known.serving == serving => known.model,
            _ => Rc::new(self.bind(serving.as_ref()).await?),
        };
        *self.current.borrow_mut() = Some(Current { serving, model: model.clone(), read: now });
        Ok(model)
    }

    /// Reads what serves anew next time.
    pub fn forget(&self) {
        self.current.borrow_mut().take();
    }

    async fn bind(&self, serving: Option<&Serving>) -> Result<Model, Failure> {
        let Some(serving) = serving else {
            return Ok(Model { engine: self.deployed.clone(), fitted: None });
        };
        let engine = if serving.recipe_hash == self.deployed.hash() {
            self.deployed.clone()
        } else {
            Rc::new(
                read_engine(self.lake, &self.of_hash(&serving.recipe_hash)?, self.keys.clone())
                    .await?,
            )
        };
        let wrong = |why: String| Failure::Recipe(format!("what serves is not whole: {why}"));
        if engine.hash() != serving.recipe_hash {
            return Err(wrong(format!(
                "its recipe's hash is {}, not {}",
                engine.hash(),
                serving.recipe_hash
            )));
        }
        if engine.plan().state_plan != serving.state_plan {
            return Err(wrong(format!(
                "its recipe's state plan is {}, not {}",
                engine.plan().state_plan,
                serving.state_plan
            )));
        }
        let text = self.lake.read_text(&serving.state).await;
        let text = text.map_err(|why| Failure::service(&why, why.is_transient()))?;
        let state = FittedState::from_json(&text, engine.hash())
            .map_err(|why| wrong(format!("{}: {why}", serving.state)))?;
        if state.hash != serving.state_hash {
            return Err(wrong(format!(
                "{} has the hash {}, not {}",
                serving.state, state.hash, serving.state_hash
            )));
        }
        let features = Features::bind(engine.recipe(), engine.plan(), &state)
            .map_err(|why| wrong(format!("{}: {why}", serving.state)))?;
        tracing::info!(
            endpoint = serving.endpoint,
            state = short(&state.hash),
            recipe = short(engine.hash()),
            "this serves"
        );
        let fitted = Fitted::new(features, &state.hash, serving.endpoint.clone());
        let url = Some(serving.state.as_str().into());
        Ok(Model { engine, fitted: Some(Fitted { url, ..fitted }) })
    }

    /// The URL of the recipe of another hash: beside the deployed one.
    fn of_hash(&self, hash: &str) -> Result<String, Failure> {
        recipe_of_hash(&self.recipe_url, hash).ok_or_else(|| {
            Failure::Recipe(format!("what serves names the recipe `{hash}`, which is no hash"))
        })
    }
}

impl Fitted {
    /// Features with the hash of their state and the endpoint that takes them.
    pub fn new(features: Features, hash: &str, endpoint: Option<String>) -> Self {
        let names = jsonl::Rows::new(features.names().iter().map(String::as_str));
        Fitted { features, names, hash: short(hash).into(), endpoint, url: None }
    }
}

/// The first digits of a hash, as a row carries them.
pub fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

async fn read_engine(lake: &Lake, url: &str, keys: Option<Keys>) -> Result<Engine, Failure> {
    let engine = read_recipe(lake, url, keys).await.map_err(|why| match &why {
        RecipeError::Lake(error) => Failure::service(&why, error.is_transient()),
        RecipeError::Wrong(_) => Failure::Recipe(why.to_string()),
    })?;
    engine.ready().map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))?;
    Ok(engine)
}
