//! Whether a run goes on: what the rules about the data set say of all its buckets, and where its slices end.
//!
//! The decision is written once. What the rules said is kept apart from the run, as the audit trail:
//! `<artifacts>/quality/<data set>/<run>.json`, a page for people beside it, `<run>.html`, and what they measured for later runs: [`crate::history`]. Where limits of
//! drift lie beside the recipe, they are judged with the rules: [`crate::DriftSource`].

use leat::drift::DriftResult;
use leat::profile::Profile;
use leat::quality::report::{self, DRAWN, Page};
use leat::quality::result::{Findings, RuleResult, of_sorted_rows};
use leat::quality::tree::Rule;
use leat::quality::{Outcome, QualityResult, Report, Status};
use leat::timestamp;
use leat_lake::Put;
use serde::{Deserialize, Serialize};

use crate::error::damaged;
use crate::measure::{elsewhere, evaluation};
use crate::{BatchError, Job, Measures, Rejected, Slices, drift, history, time};

/// Its key in the run's folder.
const KEY: &str = "decision.json";
/// The share of the time that models are compared on, if nobody says.
const SHARE: f64 = 0.2;

/// Where the slices shall end, as far as somebody says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Criteria {
    /// See [`Slices::train_until`], in microseconds. Without it, `evaluation_share` decides.
    pub train_until: Option<i64>,
    /// See [`Slices::evaluate_until`]. Without it, all events from `train_until` on.
    pub evaluate_until: Option<i64>,
    /// Which share of the time between the first and the last event models are compared on: 0.2 without it.
    pub evaluation_share: Option<f64>,
}

/// Whether a run goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The version of this form: 1.
    pub leat: u32,
    /// The run.
    pub run: String,
    /// False if a rule or a limit of drift halts it.
    pub passed: bool,
    /// The rules and limits that halt it, with what was measured.
    pub failed: Vec<String>,
    /// See [`Slices::train_until`].
    #[serde(with = "time")]
    pub train_until: i64,
    /// See [`Slices::evaluate_until`].
    #[serde(with = "time")]
    pub evaluate_until: i64,
    /// What the rules said.
    pub quality: String,
}

/// Whether a run goes on, and what the rules said.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Whether it goes on.
    pub decision: Decision,
    /// What the rules said.
    pub result: QualityResult,
}

/// Merges the measures of all buckets, judges them, and writes the decision and the record. A repeat finds them.
pub async fn decide(job: &Job, criteria: Criteria) -> Result<Decided, BatchError> {
    let mut measures = Measures::of_all(job).await?;
    let slices = slices(job, &measures, criteria)?;
    let profile = measures.profile.take();
    let drift = drift::judge(job, profile.as_ref()).await?;
    let result = result(job, measures, drift)?;
    let (name, dataset) = (job.run.name(), &job.snapshot.dataset);
    let (records, key) = (job.run.quality(dataset)?, format!("{name}.json"));
    let quality = records.url(&key);
    let decision = Decision {
        leat: 1,
        run: name.to_owned(),
        passed: !result.halts(),
        failed: result.halted_by.clone(),
        train_until: slices.train_until,
        evaluate_until: slices.evaluate_until,
        quality: quality.clone(),
    };
    let broken = |why: serde_json::Error| damaged(quality.clone(), why);
    let record = result.to_json().map_err(broken)?;
    if records.put_new(&key, record.clone()).await? == Put::Exists
        && records.get(&key).await?.as_deref() != Some(&record[..])
    {
        return Err(BatchError::Input(format!(
            "{quality} stands and says otherwise: start another run"
        )));
    }
    // Named by the run and its time: what stands there is this run's.
    let past = result.past().to_json().map_err(broken)?;
    job.run.history(dataset)?.put_new(&history::key(job.snapshot.as_of, name), past).await?;
    // The first page stands: a repeat may know of more earlier runs.
    let page = page(job, &result, profile.as_ref()).await?;
    records.put_new(&format!("{name}.html"), page.into_bytes()).await?;
    if let Some(profile) = profile.filter(|_| decision.passed) {
        drift::keep(job, profile).await?;
    }
    if job.run.write_new(KEY, &decision).await? == Put::Exists {
        let stands = Decision::read(job).await?;
        if stands != decision {
            return Err(BatchError::Input(format!(
                "{} stands and says otherwise: start another run",
                Decision::url(job)
            )));
        }
    }
    Ok(Decided { decision, result })
}

impl Decision {
    /// The decision of a run, whatever it is.
    pub async fn read(job: &Job) -> Result<Self, BatchError> {
        job.run.need(KEY, "the step `decide`").await
    }

    /// The slices of a run that goes on.
    pub async fn slices(job: &Job) -> Result<Slices, BatchError> {
        let Decision { passed, train_until, evaluate_until, quality, .. } = Self::read(job).await?;
        if passed {
            return Ok(Slices { train_until, evaluate_until });
        }
        Err(BatchError::Input(format!(
            "run {} was halted by its rules, see {quality}: nothing is learnt of it",
            job.run.name()
        )))
    }

    /// Its URL.
    pub fn url(job: &Job) -> String {
        job.run.url_of(KEY)
    }
}

/// The record for people, with the columns that have limits of drift.
async fn page(
    job: &Job,
    result: &QualityResult,
    profile: Option<&Profile>,
) -> Result<String, BatchError> {
    let recipe = job.engine.recipe();
    let hidden =
        |name: &str| recipe.method(name).is_some() || recipe.field(name).is_some_and(|f| f.pii);
    let columns = profile.map(|profile| profile.finish(hidden)).unwrap_or_default();
    let past = match &job.snapshot.history[..] {
        [] => {
            let folder = job.run.history(&job.snapshot.dataset)?;
            // A page without a past is still one, and no reason to stop a run.
            history::before(&folder, job.snapshot.as_of, DRAWN).await.unwrap_or_default()
        }
        past => past.to_vec(),
    };
    Ok(report::html(Page { result, past: &past, columns: &columns }))
}

fn slices(job: &Job, measures: &Measures, criteria: Criteria) -> Result<Slices, BatchError> {
    let refuse = |why: String| Err(BatchError::Input(why));
    let as_of = timestamp::to_text(job.snapshot.as_of);
    if measures.rows == 0 && measures.rejects.count() > 0 {
        let by = |(rule, r): (&str, &Rejected)| format!("{} by `{rule}` ({})", r.count, r.message);
        return refuse(format!(
            "every row of run {} was rejected: {}; the first at {}",
            job.run.name(),
            measures.rejects.iter().map(by).collect::<Vec<_>>().join(", "),
            measures.rejects.iter().next().map_or("", |(_, rejected)| &rejected.first)
        ));
    }
    let (Some(first), Some(last)) = (measures.first, measures.last) else {
        return refuse(format!(
            "no row of run {} has an event time before its logical time {as_of}: {} rows were read, {} not admitted, \
             {} are later",
            job.run.name(),
            measures.read,
            measures.rejects.count(),
            measures.ahead
        ));
    };
    let share = criteria.evaluation_share.unwrap_or(SHARE);
    if !(share > 0.0 && share < 1.0) {
        return refuse(format!("the evaluation share is {share}: it lies between 0 and 1"));
    }
    let evaluate_until = criteria.evaluate_until.unwrap_or(last.saturating_add(1));
    let span = evaluate_until.min(last).saturating_sub(first);
    // Nearer than a microsecond for spans of below 280 years.
    let train_until = criteria
        .train_until
        .unwrap_or_else(|| first.saturating_add(((1.0 - share) * span as f64) as i64));
    let text = timestamp::to_text;
    if train_until <= first || train_until >= evaluate_until || evaluate_until > job.snapshot.as_of
    {
        return refuse(format!(
            "training until {} and evaluating until {} leaves nothing to learn of or to compare on: the events are from \
             {} to {}, as of {as_of}",
            text(train_until),
            text(evaluate_until),
            text(first),
            text(last)
        ));
    }
    Ok(Slices { train_until, evaluate_until })
}

/// What the rules said, for whoever asks later.
fn result(
    job: &Job,
    measures: Measures,
    drift: Option<DriftResult>,
) -> Result<QualityResult, BatchError> {
    let engine = &job.engine;
    let report = match (evaluation(job)?, &measures.metrics) {
        (Some(rules), Some(metrics)) => {
            rules.report(metrics).map_err(|why| BatchError::Input(why.to_string()))?
        }
        _ => Report::default(),
    };
    let mut samples = measures.samples;
    let of_set = report.outcomes.into_iter().enumerate().map(|(rule, outcome): (_, Outcome)| {
        // Of a rule that holds of the whole there is nothing to look for.
        let fails = outcome.outcome != Status::Passed;
        let places = samples.remove(&rule).filter(|_| fails).unwrap_or_default();
        RuleResult::new(outcome, places)
    });
    let rejected = measures.rejects.recorded();
    let outcomes = engine.ruleset().map(|ruleset| {
        let skipped = |rule: &Rule| elsewhere(ruleset, rule);
        of_sorted_rows(ruleset, &rejected, &measures.warned, of_set, skipped)
    });
    let about = engine.about(&job.snapshot.dataset, job.run.name(), job.snapshot.as_of);
    let counts = [
        ("read", measures.read),
        ("already_applied", measures.repeats),
        ("after_as_of", measures.ahead),
    ];
    let findings = Findings {
        outcomes: outcomes.unwrap_or_default(),
        rows: measures.rows,
        rejected,
        counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
        analyzers: report.analyzers,
        measured: report.measured,
        drift,
        ..Findings::default()
    };
    Ok(QualityResult::new(about, findings))
}
