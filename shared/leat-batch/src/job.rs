//! What a worker has at hand: the lake, the keys, and of a run its snapshot and the recipe.

use std::sync::{Arc, Mutex, PoisonError};

use leat::engine::Engine;
use leat::protect::Keys;
use leat_lake::{Lake, read_recipe, split};

use crate::{BatchError, Run, Snapshot, names};

/// The lake, the keys, and the recipes that were read before.
#[derive(Debug)]
pub struct Workshop {
    lake: Lake,
    keys: Option<Keys>,
    /// Where runs lie; anywhere without it.
    artifacts: Option<String>,
    /// By URL. A run names its recipe by a URL that has its hash, so that what lies there does not change.
    engines: Mutex<Vec<(String, Arc<Engine>)>>,
}

/// A run, ready to be worked on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The lake.
    pub lake: Lake,
    /// The run's folder.
    pub run: Run,
    /// What it reads.
    pub snapshot: Snapshot,
    /// Its recipe.
    pub engine: Arc<Engine>,
}

impl Job {
    /// The same run through `lake`: connections belong to the async runtime that made them, and are still in another.
    pub fn through(&self, lake: Lake) -> Result<Job, BatchError> {
        let (snapshot, engine) = (self.snapshot.clone(), self.engine.clone());
        Ok(Job { run: Run::open(&lake, self.run.url())?, lake, snapshot, engine })
    }
}

/// How many recipes are kept.
const KEPT: usize = 4;

impl Workshop {
    /// A workshop with `keys`, which may be left out where all that is tokenized was tokenized before.
    pub fn new(lake: Lake, keys: Option<Keys>) -> Self {
        Workshop { lake, keys, artifacts: None, engines: Mutex::default() }
    }

    /// The same, for runs in the folder of artifacts at `url` alone: an event does not choose where a function writes.
    pub fn within(self, url: &str) -> Self {
        Workshop { artifacts: Some(names::folder(url)), ..self }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The recipe at `url`, read anew.
    pub async fn read_engine(&self, url: &str) -> Result<Arc<Engine>, BatchError> {
        Ok(Arc::new(read_recipe(&self.lake, url, self.keys.clone()).await?))
    }

    /// The recipe at `url`, where it has the hash `hash`.
    pub async fn engine(&self, url: &str, hash: &str) -> Result<Arc<Engine>, BatchError> {
        let known = |engines: &Vec<(String, Arc<Engine>)>| {
            let of_url = |(at, engine): &&(String, Arc<Engine>)| at == url && engine.hash() == hash;
            engines.iter().find(of_url).map(|(_, engine)| engine.clone())
        };
        if let Some(engine) = known(&self.engines.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(engine);
        }
        let engine = self.read_engine(url).await?;
        if engine.hash() != hash {
            return Err(BatchError::Recipe(format!(
                "the recipe {url} has the hash {}, and the run is of hash {hash}: it was changed since; start another run",
                engine.hash()
            )));
        }
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        engines.truncate(KEPT - 1);
        engines.insert(0, (url.to_owned(), engine.clone()));
        Ok(engine)
    }

    /// The folder of a run.
    pub fn run(&self, url: &str) -> Result<Run, BatchError> {
        let run = Run::open(&self.lake, url)?;
        match &self.artifacts {
            Some(artifacts) if artifacts != run.artifacts() => Err(BatchError::Input(format!(
                "{url} is no folder of a run in {artifacts}: it is {artifacts}runs/<recipe>/<run>/"
            ))),
            _ => Ok(run),
        }
    }

    /// The run whose folder is at `url`, which has a snapshot.
    pub async fn job(&self, url: &str) -> Result<Job, BatchError> {
        let run = self.run(url)?;
        let snapshot = Snapshot::read(&run).await?;
        let engine = self.engine(&snapshot.recipe_url, &snapshot.recipe_hash).await?;
        Ok(Job { lake: self.lake.clone(), run, snapshot, engine })
    }

    /// Copies the recipe at `url` and its ruleset to where `run` and what it makes find them as they are now, whatever is
    /// deployed later: `<artifacts>/recipes/<recipe>/<hash>/`. Answers the copy's URL.
    pub async fn keep_recipe(
        &self,
        run: &Run,
        url: &str,
        engine: &Engine,
    ) -> Result<String, BatchError> {
        let (folder, file) = split(url);
        let of_hash = format!("{}recipes/{}/{}/", run.artifacts(), run.recipe(), engine.hash());
        if folder == of_hash {
            return Ok(url.to_owned());
        }
        let kept = self.lake.folder(&of_hash)?;
        // The ruleset first: who finds the recipe finds it whole.
        for name in engine.recipe().quality.as_deref().into_iter().chain([file]) {
            kept.put_new(name, self.lake.read(&format!("{folder}{name}")).await?).await?;
        }
        let url = kept.url(file);
        self.engine(&url, engine.hash()).await?;
        Ok(url)
    }
}
