//! What a bucket's rows say to the rules about the data set: mergeable counts, and when its events were.

use std::collections::BTreeMap;

use leat::profile::Profile;
use leat::quality::history::asks_for_history;
use leat::quality::result::SAMPLES;
use leat::quality::tree::Rule;
use leat::quality::{Context, Evaluation, Method, Metrics, OtherMetrics, Place, Ruleset, Status};
use serde::{Deserialize, Serialize};

use crate::{BatchError, Bucket, Job, Rejects, drift, history};

/// What was counted of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The version of this form: 1.
    pub leat: u32,
    /// The hash of the recipe and its ruleset.
    pub recipe_hash: String,
    /// The rows of the files.
    pub read: u64,
    /// The rows that the recipe admits, without repeats.
    pub rows: u64,
    /// The rows that repeat an identity.
    pub repeats: u64,
    /// The rows whose event time is not before the run's logical time: they are in no slice.
    pub ahead: u64,
    /// The rows that the recipe does not admit.
    pub rejects: Rejects,
    /// By rule that only warns, how many of the rows that it admits, repeats among them, fail it.
    #[serde(default)]
    pub warned: BTreeMap<String, u64>,
    /// The least event time before the run's logical time, in microseconds.
    pub first: Option<i64>,
    /// The greatest.
    pub last: Option<i64>,
    /// What the rules count; none where the recipe has no ruleset.
    pub metrics: Option<Metrics>,
    /// Where the first rows stand that fail a rule about the data set which does not hold of the bucket, by its index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<usize, Vec<Place>>,
    /// The columns that have limits of drift; none where there are no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// The key of the measures of a bucket.
fn key(bucket: u32) -> String {
    format!("measures/{bucket}.json")
}

/// Counts the rows of `bucket`, and writes the counts into the run's folder.
pub async fn measure(job: &Job, bucket: u32) -> Result<Measures, BatchError> {
    let engine = &*job.engine;
    let evaluation = evaluation(job)?;
    let rows = Bucket::read(&job.lake, &job.snapshot, bucket, engine).await?;
    let (read, rejects, warned) = (rows.read, rows.rejects.clone(), rows.warned.clone());
    let replayed = rows.replay(engine);
    let batch = &replayed.batch;
    let (mut metrics, mut samples) = (None, BTreeMap::new());
    if let Some(evaluation) = evaluation {
        let mut counted = evaluation.start();
        evaluation.update(&mut counted, &batch.columns, batch.len());
        let refuse = |why: OtherMetrics| BatchError::Input(why.to_string());
        let outcomes = evaluation.finish(&counted).map_err(refuse)?;
        let most: Vec<usize> = outcomes
            .iter()
            .map(|rule| if rule.outcome == Status::Passed { 0 } else { SAMPLES })
            .collect();
        let failing =
            evaluation.failing(&counted, &batch.columns, batch.len(), &most).map_err(refuse)?;
        for (rule, rows) in failing.into_iter().enumerate() {
            let rows = rows.unwrap_or_default().into_iter();
            let places: Vec<Place> =
                rows.map(|row| Place::from(&batch.rows[row].coordinates)).collect();
            if !places.is_empty() {
                samples.insert(rule, places);
            }
        }
        metrics = Some(counted);
    }
    let profile = drift::profile(job, batch)?;
    let times = (0..batch.len()).map(|row| engine.event_time(batch, row));
    let times: Vec<i64> = times.filter(|time| *time < job.snapshot.as_of).collect();
    let measures = Measures {
        leat: 1,
        recipe_hash: engine.hash().to_owned(),
        read,
        rows: batch.len() as u64,
        repeats: replayed.repeats,
        ahead: (batch.len() - times.len()) as u64,
        rejects,
        warned,
        first: times.iter().min().copied(),
        last: times.iter().max().copied(),
        metrics,
        samples,
        profile,
    };
    job.run.write_json(&key(bucket), &measures).await?;
    Ok(measures)
}

/// The rules about the data set, ready for its fields; `now()` is the run's logical time, and `last(k)` speaks of what
/// earlier runs measured when the run began. Without those that [`elsewhere`] names.
pub fn evaluation(job: &Job) -> Result<Option<Evaluation>, BatchError> {
    let Some(ruleset) = job.engine.ruleset() else { return Ok(None) };
    let fields = job.engine.recipe().columns();
    let history = history::measured(&job.snapshot.history);
    let now = Some(job.snapshot.as_of.div_euclid(1000));
    let context = Context { history: Some(&history), ..Context::new(now, Method::default()) };
    let mut asked = ruleset.about_the_data_set();
    asked.rules.retain(|rule| elsewhere(ruleset, rule).is_none());
    asked.analyzers.retain(|analyzer| !ruleset.asks_sql(&Rule::Single(analyzer.clone().into())));
    Ok(Some(Evaluation::within(&asked, &fields, &context)?))
}

/// Why a run is not asked `rule`, one about the data set; none if it is. A query in SQL that compares with earlier runs is
/// answered nowhere, as `cleanse` knows none: it stays among the rules of the run, which are refused for it.
pub fn elsewhere(ruleset: &Ruleset, rule: &Rule) -> Option<&'static str> {
    (ruleset.asks_sql(rule) && !asks_for_history(rule)).then_some(
        "`cleanse` asks it of each unit before it is published: there is Spark's SQL, and none here",
    )
}

impl Measures {
    /// The sums over all buckets of a run.
    pub async fn of_all(job: &Job) -> Result<Self, BatchError> {
        let mut all: Option<Measures> = None;
        for bucket in job.snapshot.numbers() {
            let key = key(bucket);
            let part: Measures =
                job.run.need(&key, &format!("the step `measure` of bucket {bucket}")).await?;
            if part.recipe_hash != job.engine.hash() {
                return Err(BatchError::Recipe(format!(
                    "{} was measured by a recipe with hash {}, and the run's has {}",
                    job.run.url_of(&key),
                    part.recipe_hash,
                    job.engine.hash()
                )));
            }
            match &mut all {
                None => all = Some(part),
                Some(all) => all
                    .merge(part)
                    .map_err(|why| BatchError::Input(format!("{}: {why}", job.run.url_of(&key))))?,
            }
        }
        all.ok_or_else(|| BatchError::Input(format!("run {} has no bucket", job.run.name())))
    }

    fn merge(&mut self, other: Measures) -> Result<(), String> {
        let sum = |a: u64, b: u64| a.saturating_add(b);
        self.read = sum(self.read, other.read);
        self.rows = sum(self.rows, other.rows);
        self.repeats = sum(self.repeats, other.repeats);
        self.ahead = sum(self.ahead, other.ahead);
        self.rejects.merge(other.rejects);
        for (rule, count) in other.warned {
            let known = self.warned.entry(rule).or_default();
            *known = sum(*known, count);
        }
        for (rule, places) in other.samples {
            let known = self.samples.entry(rule).or_default();
            known.extend(places);
            known.truncate(SAMPLES);
        }
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
        match (&mut self.profile, &other.profile) {
            (Some(mine), Some(theirs)) => mine.merge(theirs).map_err(|why| why.to_string())?,
            (None, None) => {}
            _ => {
                return Err(
                    "some buckets were measured by limits of drift, and some without".into()
                );
            }
        }
        match (&mut self.metrics, &other.metrics) {
            (Some(mine), Some(theirs)) => mine.merge(theirs).map_err(|why| why.to_string()),
            (None, None) => Ok(()),
            _ => Err("some buckets were measured by a ruleset, and some without".to_owned()),
        }
    }
}
