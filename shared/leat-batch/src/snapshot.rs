//! Which files a run reads: made once, never changed, so that every worker of the run and every repeat reads the same.

use std::collections::BTreeMap;

use leat::engine::Engine;
use leat::quality::{PastRun, Ruleset};
use leat::recipe::{Recipe, Role};
use leat_lake::units::{self, Unit, UnitFile};
use leat_lake::{Folder, Put};
use serde::{Deserialize, Serialize};

use crate::error::damaged;
use crate::{BatchError, DriftSource, Run, history, names, time};

/// Its key in the run's folder.
const KEY: &str = "snapshot.json";

/// The published files that a run reads, by entity bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of this form: 1.
    pub leat: u32,
    /// The data set.
    pub dataset: String,
    /// The run.
    pub run: String,
    /// The run's logical time: labels that became known later, and events of a later time, are not there yet.
    #[serde(with = "time")]
    pub as_of: i64,
    /// The data set's folder in the cleansed zone.
    pub cleansed: String,
    /// The recipe: a copy that nobody changes.
    pub recipe_url: String,
    /// Its hash.
    pub recipe_hash: String,
    /// The state plan of the recipe.
    pub state_plan: String,
    /// The units.
    pub units: Vec<String>,
    /// How many buckets entities are spread over: all events of an entity are in one of them.
    pub buckets: u32,
    /// The files of each bucket that has any; paths are relative to `cleansed`.
    pub files: BTreeMap<u32, Vec<UnitFile>>,
    /// The rows of all files, as their units say.
    pub rows: u64,
    /// The labels that came later than their events.
    pub labels: Option<LabelFiles>,
    /// What earlier runs over the data set measured, the newest first; empty where no rule asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
    /// The limits of drift that lie beside the recipe, and what they are held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSource>,
}

/// The published files of a data set of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelFiles {
    /// The data set's folder in the cleansed zone.
    pub cleansed: String,
    /// The column of the event's id.
    pub id: String,
    /// The column of the time since when the label is known.
    pub known_at: String,
    /// The column of the label.
    pub label: String,
    /// The units.
    pub units: Vec<String>,
    /// The files; paths are relative to `cleansed`.
    pub files: Vec<UnitFile>,
}

/// What a snapshot is made of.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The run's logical time, in microseconds.
    pub as_of: i64,
    /// The data set's folder in the cleansed zone.
    pub cleansed: &'a Folder,
    /// The recipe.
    pub engine: &'a Engine,
    /// Where it lies.
    pub recipe_url: &'a str,
    /// Labels that come later than their events.
    pub labels: Option<LabelSource<'a>>,
}

/// Where labels lie that come later than their events, and the recipe that cleansed them: its entity is the event's id,
/// its event time is when the label became known, and it has a field with the name of the event's label.
#[derive(Clone, Copy, Debug)]
pub struct LabelSource<'a> {
    /// The data set's folder in the cleansed zone.
    pub cleansed: &'a Folder,
    /// The labels' own recipe.
    pub recipe: &'a Recipe,
}

impl Snapshot {
    /// Lists what is published now.
    pub async fn make(run: &Run, wanted: Wanted<'_>) -> Result<Self, BatchError> {
        let Wanted { as_of, cleansed, engine, recipe_url, labels } = wanted;
        let url = names::folder(&cleansed.url(""));
        let recipe = engine.recipe();
        if recipe.name != run.recipe() {
            return Err(BatchError::Input(format!(
                "{} is the folder of a run of `{}`, and the recipe {recipe_url} is `{}`",
                run.url(),
                run.recipe(),
                recipe.name
            )));
        }
        let live = live(cleansed).await?;
        let buckets = live.iter().map(|unit| unit.buckets).fold(0, gcd).max(1);
        let mut files = BTreeMap::<u32, Vec<UnitFile>>::new();
        for unit in &live {
            for file in &unit.files {
                let bucket = bucket_in(&file.path).filter(|bucket| *bucket < unit.buckets);
                let bucket = bucket.ok_or_else(|| {
                    let why = format!(
                        "unit {} says that it has {} buckets; the path names none of them (bucket=<number>)",
                        unit.unit, unit.buckets
                    );
                    damaged(cleansed.url(&file.path), why)
                })?;
                files.entry(bucket % buckets).or_default().push(file.clone());
            }
        }
        let rows = live.iter().flat_map(|unit| &unit.files).map(|file| file.rows).sum();
        let dataset = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let dataset = names::check("data set", dataset)?;
        let asks = engine.ruleset().is_some_and(Ruleset::asks_for_history);
        Ok(Snapshot {
            leat: 1,
            history: match asks {
                true => history::before(&run.history(dataset)?, as_of, history::MOST).await?,
                false => Vec::new(),
            },
            dataset: dataset.to_owned(),
            run: run.name().to_owned(),
            as_of,
            recipe_url: recipe_url.to_owned(),
            recipe_hash: engine.hash().to_owned(),
            state_plan: engine.plan().state_plan.clone(),
            units: live.into_iter().map(|unit| unit.unit).collect(),
            buckets,
            files,
            rows,
            labels: match labels {
                Some(labels) => Some(label_files(recipe, labels).await?),
                None => None,
            },
            drift: None,
            cleansed: url,
        })
    }

    /// The same with the limits of drift that lie beside the recipe at `url`, where there are some. They are held against the
    /// fitted state at `state`, or without one against the newest earlier run over the data set that went on.
    pub async fn drifting(
        self,
        run: &Run,
        url: &str,
        engine: &Engine,
        state: Option<&str>,
    ) -> Result<Self, BatchError> {
        let drift = DriftSource::find(run, url, engine, state, &self).await?;
        Ok(Snapshot { drift, ..self })
    }

    /// Refuses a data set without rows.
    pub fn some(self) -> Result<Self, BatchError> {
        if self.rows > 0 {
            return Ok(self);
        }
        Err(BatchError::Input(format!(
            "there is no published row in {}: land events, and let `cleanse` publish them",
            self.cleansed
        )))
    }

    /// Writes the snapshot into the folder of its run, unless one stands there: then that is the run's, if it is of the
    /// same recipe and data.
    pub async fn keep(self, run: &Run) -> Result<Self, BatchError> {
        if run.write_new(KEY, &self).await? == Put::Created {
            return Ok(self);
        }
        let stands = Self::read(run).await?;
        for (what, stands, wanted) in [
            ("the recipe with hash", &stands.recipe_hash, &self.recipe_hash),
            ("the data in", &stands.cleansed, &self.cleansed),
        ] {
            if stands != wanted {
                return Err(BatchError::Input(format!(
                    "{} is of {what} {stands}, not {wanted}: start another run",
                    run.url_of(KEY)
                )));
            }
        }
        Ok(stands)
    }

    /// The snapshot of a run.
    pub async fn read(run: &Run) -> Result<Self, BatchError> {
        let snapshot: Snapshot = run.need(KEY, "the step `snapshot`").await?;
        match snapshot.leat {
            1 => Ok(snapshot),
            other => Err(damaged(
                run.url_of(KEY),
                format!("it is a snapshot of version {other}; this Leat reads version 1"),
            )),
        }
    }

    /// The URL of the snapshot of `run`.
    pub fn url(run: &Run) -> String {
        run.url_of(KEY)
    }

    /// Where labels come from, for people.
    pub fn labels_told(&self) -> String {
        let as_of = leat::timestamp::to_text(self.as_of);
        match &self.labels {
            Some(labels) => {
                format!("the labels in {} that were known as of {as_of}", labels.cleansed)
            }
            None => "the events' own labels (no data set of labels was given)".to_owned(),
        }
    }

    /// The buckets that have files, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.files.keys().copied()
    }

    /// The files of `bucket`.
    pub fn bucket(&self, bucket: u32) -> Result<&[UnitFile], BatchError> {
        let files = self.files.get(&bucket).ok_or_else(|| {
            BatchError::Input(format!("the snapshot of run {} has no bucket {bucket}", self.run))
        })?;
        Ok(files)
    }
}

/// The units to be read that have rows.
async fn live(folder: &Folder) -> Result<Vec<Unit>, BatchError> {
    let mut units = units::live(folder).await?;
    units.retain(|unit| !unit.files.is_empty());
    match units.iter().find(|unit| unit.buckets == 0) {
        None => Ok(units),
        Some(unit) => Err(damaged(
            folder.url(&format!("{}/{}.json", units::PUBLISHED, unit.unit)),
            "it says that its entities are spread over 0 buckets",
        )),
    }
}

async fn label_files(recipe: &Recipe, labels: LabelSource<'_>) -> Result<LabelFiles, BatchError> {
    let refuse = |why: String| Err(BatchError::Recipe(why));
    let LabelSource { cleansed, recipe: of_labels } = labels;
    let Some(label) = recipe.schema.role(Role::Label).map(|slot| &recipe.schema.fields[slot])
    else {
        return refuse(format!(
            "labels are given, and recipe `{}` has no `role: label`",
            recipe.name
        ));
    };
    if recipe.schema.role(Role::Id).is_none() {
        return refuse(format!(
            "labels are joined by the event's id, and recipe `{}` has no `role: id`",
            recipe.name
        ));
    }
    let (kind, found) =
        (recipe.kind(label), of_labels.field(&label.name).map(|f| of_labels.kind(f)));
    if found != Some(kind) {
        return refuse(format!(
            "the labels' recipe `{}` should have a field `{}` of type {kind}, as recipe `{}` has",
            of_labels.name, label.name, recipe.name
        ));
    }
    let name =
        |role| of_labels.schema.role(role).map(|slot| of_labels.schema.fields[slot].name.clone());
    let (Some(id), Some(known_at)) = (name(Role::Entity), name(Role::EventTime)) else {
        return refuse(format!(
            "the labels' recipe `{}` needs an entity (the event's id) and an event time (since when the label is known)",
            of_labels.name
        ));
    };
    let live = live(cleansed).await?;
    Ok(LabelFiles {
        cleansed: names::folder(&cleansed.url("")),
        id,
        known_at,
        label: label.name.clone(),
        files: live.iter().flat_map(|unit| unit.files.iter().cloned()).collect(),
        units: live.into_iter().map(|unit| unit.unit).collect(),
    })
}

/// The greatest number that divides both: an entity's hash modulo it follows from its hash modulo either.
const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The bucket that a path names.
fn bucket_in(path: &str) -> Option<u32> {
    path.split('/').find_map(|part| part.strip_prefix("bucket=")).and_then(|n| n.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        assert_eq!([16, 24, 16].into_iter().fold(0, gcd), 8);
        assert_eq!([7].into_iter().fold(0, gcd), 7);
        assert_eq!(bucket_in("date=2026-01-01/bucket=07/unit=a/part-0.parquet"), Some(7));
        assert_eq!(bucket_in("date=2026-01-01/unit=a/part-0.parquet"), None);
        assert_eq!(bucket_in("bucket=x/part-0.parquet"), None);
    }
}
