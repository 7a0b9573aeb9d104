//! How far a run's data has moved: limits that lie beside the recipe (`drift.yaml`), held against what an earlier run saw, or
//! against a fitted state.
//!
//! `snapshot` freezes the limits and names what they are held against; `measure` counts a profile of the columns that have
//! limits; `decide` merges the profiles and judges. The profile of a run that goes on is kept for later runs, without
//! texts of values: `<artifacts>/quality/<data set>/profiles/<time>-<run>.json`. A run that was halted is nothing to
//! compare with: what halted it would be the measure of all that comes.

use leat::column::Type;
use leat::decode::Batch;
use leat::drift::{self, Drift, DriftResult, Limits, Mismatch};
use leat::engine::Engine;
use leat::features::FittedState;
use leat::profile::Profile;
use leat::timestamp;
use leat_lake::{Lake, split};
use serde::{Deserialize, Serialize};

use crate::error::damaged;
use crate::{BatchError, Job, Run, Snapshot, history, run};

/// The limits' name beside a recipe.
pub const LIMITS: &str = "drift.yaml";

/// The limits of a run, and what they are held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftSource {
    /// The limits as they stood.
    pub limits: String,
    /// What the data is compared with; none where no earlier run went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// What data is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The URL of an earlier run's profile.
    Profile(String),
    /// The URL of a fitted state of the recipe.
    State(String),
}

/// What an earlier run saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The version of this form: 1.
    pub leat: u32,
    /// The run.
    pub run: String,
    /// Its logical time (RFC 3339).
    pub now: String,
    /// All fields and their types, be they profiled or not.
    pub fields: Vec<(String, Type)>,
    /// The columns that had limits.
    pub profile: Profile,
}

/// The limits that lie beside the recipe at `url`, as they stand there; none where there are none.
pub async fn beside(lake: &Lake, url: &str) -> Result<Option<String>, BatchError> {
    let folder = lake.folder(split(url).0)?;
    let Some(bytes) = folder.get(LIMITS).await? else { return Ok(None) };
    let text = String::from_utf8(bytes.to_vec());
    Ok(Some(text.map_err(|why| damaged(folder.url(LIMITS), why))?))
}

/// Reads `text` as limits.
pub fn read(text: &str) -> Result<Limits, BatchError> {
    Ok(Limits::read(LIMITS, text)?)
}

/// An empty profile of those of `columns` that have `limits`, and their slots.
pub fn limited(limits: &Limits, columns: &[(String, Type)]) -> (Profile, Vec<usize>) {
    let slots = limits.slots(columns);
    let limited: Vec<(String, Type)> = slots.iter().map(|slot| columns[*slot].clone()).collect();
    (Profile::new(&limited), slots)
}

impl DriftSource {
    /// The limits beside the recipe at `url`, checked against its fields; none where there are none. They are held against
    /// the fitted state at `state`, or else against the newest run before `of` over its data set that went on.
    pub async fn find(
        run: &Run,
        url: &str,
        engine: &Engine,
        state: Option<&str>,
        of: &Snapshot,
    ) -> Result<Option<Self>, BatchError> {
        let Some(limits) = beside(run.lake(), url).await? else { return Ok(None) };
        let source = DriftSource {
            limits,
            against: match state {
                Some(url) => Some(Against::State(url.to_owned())),
                None => {
                    let folder = run.profiles(&of.dataset)?;
                    let newest = history::keys_before(&folder, of.as_of).await?.into_iter().next();
                    newest.map(|key| Against::Profile(folder.url(&key)))
                }
            },
        };
        read(&source.limits)?.check(&engine.recipe().columns())?;
        Ok(Some(source))
    }
}

/// The profile of `batch`, of its columns that have limits. None where there are no limits.
pub fn profile(job: &Job, batch: &Batch) -> Result<Option<Profile>, BatchError> {
    let Some(source) = &job.snapshot.drift else { return Ok(None) };
    let columns = job.engine.recipe().columns();
    let (mut profile, slots) = limited(&read(&source.limits)?, &columns);
    profile.update_at(&batch.columns, &slots, batch.len());
    Ok(Some(profile))
}

/// Judges `profile`, that of all buckets, by the run's limits; none where there are none.
pub async fn judge(
    job: &Job,
    profile: Option<&Profile>,
) -> Result<Option<DriftResult>, BatchError> {
    let (Some(source), Some(now)) = (&job.snapshot.drift, profile) else { return Ok(None) };
    let limits = read(&source.limits)?;
    let result = match &source.against {
        None => {
            let reason =
                "no earlier run over the data set went on: there is nothing to compare with";
            DriftResult::nothing(&limits, reason)
        }
        Some(Against::State(url)) => {
            let text = job.lake.read_text(url).await?;
            let state = FittedState::from_json(&text, job.engine.hash())
                .map_err(|why| BatchError::Input(format!("{url}: {why}")))?;
            let recipe = job.engine.recipe();
            let drift = drift::against(&state, |field| recipe.method(field).is_some(), now);
            DriftResult::new(&limits, url, &drift)
        }
        Some(Against::Profile(url)) => {
            let before = Baseline::read(&job.lake, url).await?;
            let (drift, unknown) = before.compare(&job.engine.recipe().columns(), now);
            let mut result = DriftResult::new(&limits, &before.run, &drift);
            result.reason = (!unknown.is_empty())
                .then(|| format!("run {} has no profile of {}", before.run, unknown.join(", ")));
            result
        }
    };
    Ok(Some(result))
}

/// Keeps what a run that goes on saw, for later runs.
pub async fn keep(job: &Job, profile: Profile) -> Result<(), BatchError> {
    let (as_of, name) = (job.snapshot.as_of, job.run.name());
    let baseline = Baseline {
        leat: 1,
        run: name.to_owned(),
        now: timestamp::to_text(as_of),
        fields: job.engine.recipe().columns(),
        profile: profile.without_texts(),
    };
    let (folder, key) = (job.run.profiles(&job.snapshot.dataset)?, history::key(as_of, name));
    // Named by the run and its time: what stands there is this run's.
    folder.put_new(&key, run::to_json(&baseline, &folder.url(&key))?).await?;
    Ok(())
}

impl Baseline {
    async fn read(lake: &Lake, url: &str) -> Result<Self, BatchError> {
        let bytes = lake.read(url).await?;
        let baseline: Baseline =
            serde_json::from_slice(&bytes).map_err(|why| damaged(url.to_owned(), why))?;
        match baseline.leat {
            1 => Ok(baseline),
            other => {
                let why = format!("it is a profile of version {other}; this Leat reads version 1");
                Err(damaged(url.to_owned(), why))
            }
        }
    }

    /// How far `now`, of data with these `fields`, has moved, and which of its columns the earlier run had but did not
    /// profile. How the columns differ is told of all fields, profiled or not.
    fn compare(&self, fields: &[(String, Type)], now: &Profile) -> (Drift, Vec<String>) {
        let mut drift = drift::compare(&self.profile, now);
        let find = |fields: &[(String, Type)], name: &str| -> Option<Type> {
            fields.iter().find(|(other, _)| other == name).map(|(_, kind)| *kind)
        };
        let gone_or_other = self.fields.iter().filter_map(|(name, was)| {
            let (column, was) = (name.clone(), *was);
            match find(fields, name) {
                None => Some(Mismatch::Gone { column }),
                Some(is) => (is != was).then_some(Mismatch::Type { column, was, is }),
            }
        });
        let new = fields.iter().filter(|(name, _)| find(&self.fields, name).is_none());
        let new = new.map(|(name, _)| Mismatch::New { column: name.clone() });
        drift.schema = gone_or_other.chain(new).collect();
        let unknown = now.columns().iter().map(|column| &column.name).filter(|name| {
            self.profile.column(name).is_none() && find(&self.fields, name).is_some()
        });
        (drift, unknown.map(|name| format!("`{name}`")).collect())
    }
}
