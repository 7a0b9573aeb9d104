//! One event, one step of a run.

use leat::drift::Judged;
use leat::quality::result::{RuleResult, RuleStatus};
use leat::quality::{QualityResult, RowAction};
use leat::timestamp;
use leat_aws::{Failure, metrics, quality_metrics};
use leat_batch::{
    Criteria, Decided, Decision, LabelSource, Run, Snapshot, Wanted, Workshop, decide, fit,
    measure, time,
};
use leat_lake::{split, units};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::hour;

pub const FUNCTION: &str = "quality-gate";
/// So many rules are named where there is little room, as in a state machine.
const NAMED: usize = 20;
/// And so many characters of each.
const CHARACTERS: usize = 500;

/// A step of a run.
#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
enum Event {
    Snapshot {
        run_folder: String,
        run: String,
        #[serde(with = "time")]
        as_of: i64,
        recipe: Option<String>,
        labels: Option<Labels>,
        state: Option<String>,
    },
    Measure {
        run_folder: String,
        bucket: u32,
    },
    Decide {
        run_folder: String,
        #[serde(default, with = "time::option")]
        train_until: Option<i64>,
        #[serde(default, with = "time::option")]
        evaluate_until: Option<i64>,
        evaluation_share: Option<f64>,
        #[serde(default)]
        answer: Answer,
    },
    Hour {
        hour: Option<String>,
        #[serde(default, with = "time::option")]
        scheduled: Option<i64>,
    },
}

/// Labels that come later than their events: where they lie, and the recipe that cleansed them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Labels {
    Cleansed(String),
    Both { cleansed: String, recipe: String },
}

/// How a run that a rule halts is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    #[default]
    Error,
    Result,
}

/// Does the step that `event` asks for.
pub async fn handle(config: &Config, shop: &Workshop, event: &str) -> Result<Value, Failure> {
    let event = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("this is no step of a quality gate: {why}")))?;
    match event {
        Event::Snapshot { run_folder, run, as_of, recipe, labels, state } => {
            let url = recipe.as_deref().unwrap_or(&config.recipe);
            let of = shop.run(&run_folder)?;
            if of.name() != run {
                let why = format!("{run_folder} is the folder of another run than `{run}`");
                return Err(Failure::Input(why));
            }
            snapshot(config, shop, &of, as_of, url, labels, state.as_deref()).await
        }
        Event::Measure { run_folder, bucket } => {
            let job = shop.job(&run_folder).await?;
            let found = measure(&job, bucket).await?;
            let counts = [
                ("read", found.read),
                ("rows", found.rows),
                ("already_applied", found.repeats),
                ("rejected", found.rejects.count()),
                ("warned", found.warned.values().sum()),
            ];
            metrics(FUNCTION, job.run.recipe(), &counts);
            Ok(json!({"bucket": bucket}))
        }
        Event::Decide { run_folder, train_until, evaluate_until, evaluation_share, answer } => {
            let job = shop.job(&run_folder).await?;
            let criteria = Criteria { train_until, evaluate_until, evaluation_share };
            let decided = decide(&job, criteria).await?;
            let Decided { decision, result } = &decided;
            let halted = u64::from(!decision.passed);
            let recipe = job.run.recipe();
            metrics(FUNCTION, recipe, &[("passed", 1 - halted), ("halted", halted)]);
            let rules = [
                result.rules(RuleStatus::Passed),
                result.rules_failed(),
                result.rules(RuleStatus::Skipped),
            ];
            quality_metrics(FUNCTION, recipe, &result.dataset, rules, result.score);
            if let Some(drift) = &result.drift {
                let (judged, failed) = (drift.judged.len(), drift.failed().count());
                let counts = [("drift_judged", judged as u64), ("drift_failed", failed as u64)];
                metrics(FUNCTION, recipe, &counts);
            }
            let ruleset = job.engine.recipe().quality.as_deref();
            told(&decided, &Decision::url(&job), ruleset, answer)
        }
        Event::Hour { hour, scheduled } => {
            hour::handle(config, shop, hour.as_deref(), scheduled).await
        }
    }
}

async fn snapshot(
    config: &Config,
    shop: &Workshop,
    run: &Run,
    as_of: i64,
    recipe: &str,
    labels: Option<Labels>,
    state: Option<&str>,
) -> Result<Value, Failure> {
    let engine = shop.read_engine(recipe).await?;
    let kept = shop.keep_recipe(run, recipe, &engine).await?;
    let folder = |url: &str| shop.lake().folder(url).map_err(leat_batch::BatchError::from);
    let cleansed = folder(&config.cleansed)?;
    let labels = match labels {
        None => None,
        Some(labels) => {
            let (url, recipe) = match labels {
                Labels::Both { cleansed, recipe } => (cleansed, recipe),
                Labels::Cleansed(url) => (url, format!("{}labels.yaml", split(recipe).0)),
            };
            let folder = folder(&url)?;
            let live = units::live(&folder).await.map_err(leat_batch::BatchError::from)?;
            match live.is_empty() {
                true => None,
                false => Some((folder, shop.read_engine(&recipe).await?)),
            }
        }
    };
    let wanted = Wanted {
        as_of,
        cleansed: &cleansed,
        engine: &engine,
        recipe_url: &kept,
        labels: labels
            .as_ref()
            .map(|(folder, engine)| LabelSource { cleansed: folder, recipe: engine.recipe() }),
    };
    let snapshot = Snapshot::make(run, wanted).await?.some()?;
    let snapshot = snapshot.drifting(run, recipe, &engine, state).await?.keep(run).await?;
    Ok(json!({
        "snapshot": Snapshot::url(run),
        "buckets": snapshot.numbers().collect::<Vec<_>>(),
        "rows": snapshot.rows,
        "levels": fit::levels(&engine),
        "recipe_hash": snapshot.recipe_hash,
        "recipe_url": snapshot.recipe_url,
        "state_plan": snapshot.state_plan,
    }))
}

fn told(
    decided: &Decided,
    url: &str,
    ruleset: Option<&str>,
    answer: Answer,
) -> Result<Value, Failure> {
    let Decided { decision, .. } = decided;
    let cause = (!decision.passed).then(|| {
        format!(
            "{} rules or limits halt run {}: {}; see {}",
            decision.failed.len(),
            decision.run,
            named(&decision.failed).join("; "),
            decision.quality
        )
    });
    match cause {
        Some(cause) if answer == Answer::Error => Err(Failure::DataQuality(cause)),
        cause => Ok(json!({
            "passed": decision.passed,
            "decision": url,
            "quality": decision.quality,
            "train_until": timestamp::to_text(decision.train_until),
            "evaluate_until": timestamp::to_text(decision.evaluate_until),
            "failed": named(&decision.failed),
            "cause": cause,
            "event": event(&decided.result, "LEAT_RUN", &decision.quality, ruleset),
        })),
    }
}

/// The first [`NAMED`] of `rules`, cut to [`CHARACTERS`], and how many more there are.
pub fn named(rules: &[String]) -> Vec<String> {
    let cut = |rule: &String| match rule.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &rule[..end]),
        None => rule.clone(),
    };
    let mut named: Vec<String> = rules.iter().take(NAMED).map(cut).collect();
    let more = rules.len() - named.len();
    named.extend((more > 0).then(|| format!("{more} more")));
    named
}

/// The rules and the limits of drift that do not hold, or cannot be said to.
pub fn failed(result: &QualityResult) -> Vec<String> {
    let rules = result.outcomes.iter().filter(|rule| rule.outcome.fails()).map(RuleResult::told);
    rules.chain(result.drift_failed().map(Judged::told)).collect()
}

/// The detail of the event "Data Quality Evaluation Results Available", in the shape that AWS Glue documents for its own;
/// `decision`, `failedRules` and `alarm` are Leat's.
pub fn event(result: &QualityResult, kind: &str, url: &str, ruleset: Option<&str>) -> Value {
    // Rows in quarantine are every day's: a person is called for what halts, and for what somebody wants to be warned of.
    let alarm = |rule: &RuleResult| rule.outcome.fails() && rule.action != RowAction::Quarantine;
    json!({
        "context": {
            "contextType": kind,
            "jobId": result.run,
            "jobName": result.recipe,
            "evaluationContext": result.dataset,
        },
        "resultID": url,
        "rulesetNames": ruleset.into_iter().collect::<Vec<_>>(),
        "state": if result.passed { "SUCCEEDED" } else { "FAILED" },
        // Of no rule none fails.
        "score": result.score.unwrap_or(1.0),
        "rulesSucceeded": result.rules(RuleStatus::Passed),
        "rulesFailed": result.rules_failed(),
        "rulesSkipped": result.rules(RuleStatus::Skipped),
        "decision": result.decision.word(),
        "failedRules": named(&failed(result)),
        "alarm": result.outcomes.iter().any(alarm) || result.drift_failed().next().is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat::drift::{DriftResult, Measure};
    use leat::quality::result::{About, Findings};
    use leat_aws::{Aws, Vars};
    use leat_lake::Lake;

    const RECIPE: &str = include_str!("../../../recipes/card-transactions/recipe.yaml");
    const RULES: &str = include_str!("../../../recipes/card-transactions/quality.dqdl");
    const EVENTS: [&str; 3] = [
        include_str!("../../../events/quality-gate.json"),
        include_str!("../../../events/quality-gate.measure.json"),
        include_str!("../../../events/quality-gate.decide.json"),
    ];

    /// The answer to `event`, whose files lie in memory, over a lake with a recipe and no data.
    async fn answer(event: &str) -> Result<Value, Failure> {
        let vars = [
            ("LEAT_RECIPE", "memory:lake/recipes/recipe.yaml"),
            ("LEAT_CLEANSED", "memory:lake/cleansed/card-transactions/"),
            ("LEAT_ARTIFACTS", "memory:lake/artifacts"),
        ];
        let vars: Vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let config = Config::from_vars(&vars, &Aws::default())?;
        let lake = Lake::new(&vars);
        for (name, text) in [("recipe.yaml", RECIPE), ("quality.dqdl", RULES)] {
            lake.write(&format!("memory:lake/recipes/{name}"), text).await.unwrap();
        }
        let shop = Workshop::new(lake, None).within(&config.artifacts);
        handle(&config, &shop, &event.replace("file:.leat/invoke/", "memory:lake/")).await
    }

    #[tokio::test]
    async fn refusals_have_a_word() {
        let snapshot = EVENTS[0];
        let elsewhere = snapshot.replace("invoke/artifacts", "invoke/elsewhere");
        let other_run = snapshot.replace("\"run\": \"example\"", "\"run\": \"other\"");
        let no_time = snapshot.replace("2027-01-01", "2027-13-01");
        let labels = snapshot.replace("null", "{\"cleansed\": 1}");
        for (event, words) in [
            (snapshot, "no published row in memory:lake/cleansed/card-transactions/"),
            (EVENTS[1], "snapshot.json does not exist"),
            (EVENTS[2], "snapshot.json does not exist"),
            (&elsewhere, "is no folder of a run in memory:lake/artifacts/"),
            (&other_run, "is the folder of another run than `other`"),
            (&no_time, "RFC 3339"),
            (&labels, "no step of a quality gate"),
            ("{\"step\":\"judge\"}", "no step of a quality gate"),
            ("[]", "no step of a quality gate"),
        ] {
            let why = answer(event).await.unwrap_err();
            assert_eq!(why.word(), "Input.Invalid", "{why}");
            assert!(why.to_string().contains(words), "no `{words}` in: {why}");
        }
        let recipe =
            snapshot.replace("\"labels\"", "\"recipe\": \"memory:lake/no.yaml\", \"labels\"");
        assert_eq!(answer(&recipe).await.unwrap_err().word(), "Config.Invalid");
    }

    /// What was decided of a run over data with the one rule `RowCount > 5`, which has `action`.
    fn decided(rows: f64, action: RowAction) -> Decided {
        let fails = rows <= 5.0;
        let rule = RuleResult {
            rule: "RowCount > 5".into(),
            outcome: if fails { RuleStatus::Failed } else { RuleStatus::Passed },
            reason: fails.then(|| "unmet".into()),
            action,
            metrics: [("Dataset.*.RowCount".to_owned(), rows)].into(),
            threshold: Some("> 5".into()),
            evaluated: "RowCount > 5".into(),
            labels: Default::default(),
            passed_rows: None,
            failed_rows: None,
            samples: Vec::new(),
        };
        let about = About {
            dataset: "d".into(),
            run: "r".into(),
            recipe: Some(("cards".into(), "h".into())),
            ..About::default()
        };
        let result =
            QualityResult::new(about, Findings { outcomes: vec![rule], ..Findings::default() });
        let decision = Decision {
            leat: 1,
            run: "r".into(),
            passed: !result.halts(),
            failed: result.halted_by.clone(),
            train_until: 0,
            evaluate_until: 1,
            quality: "s3://b/quality/d/r.json".into(),
        };
        Decided { decision, result }
    }

    #[test]
    fn a_halt_is_an_error_or_an_answer() {
        let halted = decided(3.0, RowAction::Halt);
        let why = told(&halted, "u", None, Answer::Error).unwrap_err();
        assert_eq!(why.word(), "DataQuality.Failed");
        let answer = told(&halted, "u", None, Answer::Result).unwrap();
        assert_eq!((&answer["passed"], &answer["decision"]), (&false.into(), &"u".into()));
        // The state machine fails with the words that the function would have failed with.
        assert_eq!(answer["cause"], why.to_string());
        for word in ["RowCount > 5", "= 3.0, threshold > 5", "s3://b/quality/d/r.json"] {
            assert!(why.to_string().contains(word), "{why}");
        }
        for (rows, action) in [(6.0, RowAction::Halt), (3.0, RowAction::Warn)] {
            let answer = told(&decided(rows, action), "u", None, Answer::Error).unwrap();
            assert_eq!((&answer["passed"], &answer["cause"]), (&true.into(), &Value::Null));
        }
    }

    #[test]
    fn the_event_has_the_shape_of_glues() {
        let event = |rows, action| {
            let Decided { decision, result } = decided(rows, action);
            event(&result, "LEAT_RUN", &decision.quality, Some("quality.dqdl"))
        };
        assert_eq!(
            event(3.0, RowAction::Warn),
            json!({
                "context": {"contextType": "LEAT_RUN", "jobId": "r", "jobName": "cards", "evaluationContext": "d"},
                "resultID": "s3://b/quality/d/r.json",
                "rulesetNames": ["quality.dqdl"],
                "state": "FAILED",
                "score": 0.0,
                "rulesSucceeded": 0,
                "rulesFailed": 1,
                "rulesSkipped": 0,
                "decision": "proceed",
                "failedRules": ["RowCount > 5: unmet (Dataset.*.RowCount = 3.0, threshold > 5)"],
                "alarm": true,
            })
        );
        let quarantined = event(3.0, RowAction::Quarantine);
        assert_eq!(
            (&quarantined["state"], &quarantined["alarm"]),
            (&"FAILED".into(), &false.into())
        );
        let good = event(6.0, RowAction::Halt);
        assert_eq!((&good["state"], &good["score"]), (&"SUCCEEDED".into(), &1.0.into()));
        assert_eq!(good["alarm"], false);
        assert_eq!((&good["rulesSucceeded"], &good["failedRules"]), (&1.into(), &json!([])));
    }

    #[test]
    fn drift_is_told_with_the_rules() {
        for (outcome, action, alarm) in [
            (RuleStatus::Passed, RowAction::Halt, false),
            (RuleStatus::Failed, RowAction::Warn, true),
            (RuleStatus::Error, RowAction::Halt, true),
        ] {
            let limit = Judged {
                column: "amount".into(),
                measure: Some(Measure::Psi),
                value: Some(0.5),
                limit: Some(0.2),
                outcome,
                action,
                reason: outcome.fails().then(|| "`amount`: psi is 0.5, above 0.2".into()),
            };
            let mut moved = decided(6.0, RowAction::Halt);
            moved.result.drift =
                Some(DriftResult { judged: vec![limit], ..DriftResult::default() });
            let event = event(&moved.result, "LEAT_RUN", &moved.decision.quality, None);
            let told =
                if alarm { json!(["drift: `amount`: psi is 0.5, above 0.2"]) } else { json!([]) };
            assert_eq!((&event["alarm"], &event["failedRules"]), (&alarm.into(), &told));
            assert_eq!((&event["rulesFailed"], &event["score"]), (&0.into(), &1.0.into()));
        }
    }

    #[test]
    fn much_is_cut_short() {
        let rules: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        assert_eq!(named(&rules[..20]), rules[..20]);
        let some = named(&rules);
        assert_eq!((some.len(), some[20].as_str()), (21, "3 more"));
        let long = named(&["é".repeat(501)]);
        assert_eq!((long[0].chars().count(), long[0].ends_with('…')), (501, true));
    }
}
