//! What earlier runs measured: a folder with a JSON file for each run.

use leat::quality::{PastRun, QualityResult};
use leat_batch::{BatchError, history};
use leat_lake::Folder;

use crate::answer::Refusal;
use crate::places::{self, Places};

/// So many of the newest runs are read.
const MOST: usize = 1000;

/// A folder of runs.
pub struct Runs<'p> {
    places: &'p Places,
    folder: Folder,
    /// In microseconds.
    now: i64,
}

impl<'p> Runs<'p> {
    /// The runs in `place`, seen from a run at `now`, in milliseconds.
    pub fn open(places: &'p Places, place: &str, now: i64) -> Result<Self, Refusal> {
        let url = match places::is_url(place) {
            true => place.to_owned(),
            false => format!("file:{}", places::path(place).display()),
        };
        Ok(Runs { places, folder: places.folder(&url)?, now: now.saturating_mul(1000) })
    }

    /// What the runs before this one measured, the newest first. A run is its logical time: one that is repeated does
    /// not see itself.
    pub fn read(&self) -> Result<Vec<PastRun>, Refusal> {
        let found = self.places.block_on(history::before(&self.folder, self.now, MOST))?;
        found.map_err(|why: BatchError| {
            Refusal::new(format!("cannot read the history: {why}"))
                .hint("remove the file, or name another folder")
        })
    }

    /// Keeps what this run measured, also if rules failed. A repeat of the run takes its place.
    pub fn write(&self, result: &QualityResult) -> Result<(), Refusal> {
        let hash = result.ruleset_hash.as_deref().unwrap_or_default();
        let key = history::key(self.now, hash.get(..8).unwrap_or_default());
        let text = result.past().to_json();
        let text = text.map_err(|why| Refusal::new(format!("cannot write the history: {why}")))?;
        self.places.wait(self.folder.put(&key, text))
    }
}
