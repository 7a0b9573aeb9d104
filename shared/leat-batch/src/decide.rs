//! Whether a run goes on: what the rules about the data set say of all its buckets, and where its slices end.
//!
//! The decision is written once. What the rules said is kept apart from the run, as the audit trail:
//! `<artifacts>/quality/<data set>/<run>.json`.

use leat::quality::{Outcome, RowRules, Status};
use leat::timestamp;
use leat_lake::Put;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::measure::evaluation;
use crate::run::to_json;
use crate::{BatchError, Job, Measures, Rejected, Slices, Snapshot, time};

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
    /// False if a rule halts it.
    pub passed: bool,
    /// The rules that halt it, with what was measured.
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

/// Merges the measures of all buckets, judges them, and writes the decision and the audit result. A repeat finds them.
pub async fn decide(job: &Job, criteria: Criteria) -> Result<Decision, BatchError> {
    let measures = Measures::of_all(job).await?;
    let slices = slices(job, &measures, criteria)?;
    let outcomes = match (evaluation(&job.engine, job.snapshot.as_of)?, &measures.metrics) {
        (Some(rules), Some(metrics)) => {
            rules.finish(metrics).map_err(|why| BatchError::Input(why.to_string()))?
        }
        _ => Vec::new(),
    };
    let mut failed: Vec<String> = outcomes.iter().filter(|o| o.halts()).map(told).collect();
    let halting = job.engine.rules().into_iter().flat_map(RowRules::halting);
    failed.extend(halting.filter_map(|rule| {
        let Rejected { count, first, .. } = measures.rejects.of(rule)?;
        Some(format!("{rule}: it rejects {count} rows, the first at {first}"))
    }));
    let dataset = &job.snapshot.dataset;
    let quality = format!("{}quality/{dataset}/{}.json", job.run.artifacts(), job.run.name());
    let decision = Decision {
        leat: 1,
        run: job.run.name().to_owned(),
        passed: failed.is_empty(),
        failed,
        train_until: slices.train_until,
        evaluate_until: slices.evaluate_until,
        quality: quality.clone(),
    };
    let result = to_json(&result(job, &measures, &outcomes, &decision), &quality)?;
    if job.lake.write_new(&quality, result.clone()).await? == Put::Exists
        && job.lake.read(&quality).await? != result
    {
        return Err(BatchError::Input(format!(
            "{quality} stands and says otherwise: start another run"
        )));
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
    Ok(decision)
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

/// A rule that failed, with what was measured and what was wanted; no value of a row.
fn told(outcome: &Outcome) -> String {
    let Outcome { evaluated, reason, metrics, .. } = outcome;
    let metrics: Vec<String> =
        metrics.iter().map(|(name, x)| format!("{name} = {}", leat::number::to_text(*x))).collect();
    let reason = reason.as_deref().unwrap_or_default();
    match metrics.is_empty() {
        true => format!("{evaluated}: {reason}"),
        false => format!("{evaluated}: {reason} ({})", metrics.join(", ")),
    }
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
fn result(job: &Job, measures: &Measures, outcomes: &[Outcome], decision: &Decision) -> Value {
    let engine = &job.engine;
    let rules = engine.rules();
    let of_rows = rules.map(|rules| rules.texts().iter().zip(rules.actions()));
    let row_rules: Vec<Value> = of_rows
        .into_iter()
        .flatten()
        .map(|(rule, action)| {
            let rejected = measures.rejects.of(rule);
            let warned = measures.warned.get(rule).copied().unwrap_or_default();
            json!({
                "rule": rule,
                "action": action,
                "failed_rows": rejected.map_or(warned, |r| r.count),
                "first": rejected.map(|r| &r.first),
            })
        })
        .collect();
    let passed =
        decision.passed && outcomes.iter().all(|outcome| outcome.outcome == Status::Passed);
    let outcomes: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let mut said = json!(outcome);
            said["action"] = outcome.action().word().into();
            said
        })
        .collect();
    json!({
        "leat": 1,
        "engine": env!("CARGO_PKG_VERSION"),
        "dataset": job.snapshot.dataset,
        "run": job.run.name(),
        "as_of": timestamp::to_text(job.snapshot.as_of),
        "snapshot": Snapshot::url(&job.run),
        "recipe": engine.recipe().name,
        "recipe_hash": engine.hash(),
        "ruleset_hash": rules.map(|rules| rules.hash()),
        "counts": {
            "read": measures.read,
            "rows": measures.rows,
            "already_applied": measures.repeats,
            "rejected": measures.rejects.count(),
            "after_as_of": measures.ahead,
        },
        "rejected": measures.rejects,
        "row_rules": row_rules,
        "outcomes": outcomes,
        "verdict": if passed { "passed" } else { "failed" },
        "decision": if decision.passed { "proceed" } else { "halt" },
    })
}
