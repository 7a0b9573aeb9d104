//! What earlier runs measured: a folder with a JSON file for each run.

use std::collections::BTreeMap;

use leat::quality::{History, Report};
use leat::timestamp;
use leat_lake::Folder;
use serde::{Deserialize, Serialize};

use crate::answer::Refusal;
use crate::places::{self, Places};

/// So many of the newest runs are read.
const MOST: usize = 1000;

/// What a run measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// The version of this form: 1.
    leat: u32,
    /// The engine's version.
    engine: String,
    /// The run's logical time.
    now: String,
    ruleset_hash: String,
    rows: u64,
    passed: bool,
    /// By the names that `last(k)` and `DetectAnomalies` ask for.
    metrics: BTreeMap<String, f64>,
}

/// A folder of runs.
pub struct Runs<'p> {
    places: &'p Places,
    folder: Folder,
    now: i64,
}

impl<'p> Runs<'p> {
    /// The runs in `place`, seen from a run at `now`, in milliseconds.
    pub fn open(places: &'p Places, place: &str, now: i64) -> Result<Self, Refusal> {
        let url = match places::is_url(place) {
            true => place.to_owned(),
            false => format!("file:{}", places::path(place).display()),
        };
        Ok(Runs { places, folder: places.folder(&url)?, now })
    }

    /// What the runs before this one measured, the newest first. A run is its logical time: one that is repeated does
    /// not see itself.
    pub fn read(&self) -> Result<History, Refusal> {
        let mut keys: Vec<String> = self
            .places
            .wait(self.folder.list(""))?
            .into_iter()
            .map(|object| object.key)
            .filter(|key| key.ends_with(".json") && !key.contains('/'))
            .collect();
        // Names begin with the time.
        keys.sort_unstable_by(|a, b| b.cmp(a));
        let mut runs = Vec::new();
        for key in keys {
            let broken = |why: &str| {
                Refusal::new(format!("cannot read the history {}: {why}", self.folder.url(&key)))
                    .hint("remove the file, or name another folder")
            };
            let Some(bytes) = self.places.wait(self.folder.get(&key))? else { continue };
            let run: Run =
                serde_json::from_slice(&bytes).map_err(|why| broken(&why.to_string()))?;
            if run.leat != 1 {
                return Err(broken("it was written by another version"));
            }
            let time = timestamp::parse(&run.now).ok_or_else(|| broken("it has no time"))?;
            if time.div_euclid(1000) < self.now {
                runs.push((time, run.metrics));
            }
            if runs.len() == MOST {
                break;
            }
        }
        runs.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        Ok(History::new(runs.into_iter().map(|(_, metrics)| metrics)))
    }

    /// Keeps what this run measured, also if rules failed. A repeat of the run takes its place.
    pub fn write(
        &self,
        report: &Report,
        ruleset_hash: &str,
        rows: u64,
        passed: bool,
    ) -> Result<(), Refusal> {
        let now = timestamp::to_text(self.now.saturating_mul(1000));
        let key =
            format!("{}-{}.json", now.replace(':', "-"), ruleset_hash.get(..8).unwrap_or_default());
        let run = Run {
            leat: 1,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            now,
            ruleset_hash: ruleset_hash.to_owned(),
            rows,
            passed,
            metrics: report.measured.clone(),
        };
        let text = serde_json::to_string_pretty(&run)
            .map_err(|why| Refusal::new(format!("cannot write the history: {why}")))?;
        self.places.wait(self.folder.put(&key, text + "\n"))
    }
}
