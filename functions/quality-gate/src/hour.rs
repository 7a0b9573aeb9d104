//! The step `hour`: what the rules say of an hour of the stream that is over.

use std::time::{SystemTime, UNIX_EPOCH};

use leat::quality::QualityResult;
use leat::quality::result::RuleStatus;
use leat_aws::{Failure, hour_metrics};
use leat_batch::hour::judge;
use leat_batch::{Hour, JudgedHour, Workshop};
use serde_json::{Value, json};

use crate::config::Config;
use crate::handler::{FUNCTION, event, failed, named};

/// Judges the hour that `hour` names, or else the one before that of `scheduled`, a time in microseconds.
pub async fn handle(
    config: &Config,
    shop: &Workshop,
    hour: Option<&str>,
    scheduled: Option<i64>,
) -> Result<Value, Failure> {
    let hour = which(hour, scheduled, SystemTime::now())?;
    let judged = judge(shop, &config.artifacts, &config.recipe, hour).await?;
    let Some(JudgedHour { result, url, ruleset }) = judged else {
        return Ok(json!({"hour": hour.to_string(), "quality": null, "event": null}));
    };
    let rules = [
        result.rules(RuleStatus::Passed),
        result.rules_failed(),
        result.rules(RuleStatus::Skipped),
    ];
    let recipe = result.recipe.as_deref().unwrap_or_default();
    hour_metrics(FUNCTION, recipe, &result.dataset, rules, result.score, &drift(&result));
    Ok(json!({
        "hour": result.run,
        "quality": url,
        "passed": result.passed,
        "rows": result.rows,
        "failed": named(&failed(&result)),
        "event": event(&result, "LEAT_HOUR", &url, ruleset.as_deref()),
    }))
}

/// The hour that is asked for. One that is named and not over at `now` is refused: its record stands once it is written, and
/// would leave out what comes until then. Scheduler's time is believed: it never comes early.
fn which(hour: Option<&str>, scheduled: Option<i64>, now: SystemTime) -> Result<Hour, Failure> {
    let refuse = |why: &str| Err(Failure::Input(why.to_owned()));
    match (hour, scheduled) {
        (Some(text), _) => match Hour::parse(text) {
            Some(hour) if hour.is_over(millis(now)) => Ok(hour),
            Some(hour) => refuse(&format!("the hour {hour} is not over")),
            None => refuse("`hour` is no hour such as 2026-11-23T06"),
        },
        (None, Some(time)) => Ok(Hour::of(time.div_euclid(1000)).before(1)),
        (None, None) => refuse("the step `hour` needs `hour` or `scheduled`"),
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// Of each measure of drift its greatest size over the columns, and how many limits were judged and do not hold.
fn drift(result: &QualityResult) -> Vec<(String, f64)> {
    let Some(drift) = &result.drift else { return Vec::new() };
    let (judged, failed) = (drift.judged.len(), drift.failed().count());
    let mut told = vec![
        ("drift_judged".to_owned(), judged as f64),
        ("drift_failed".to_owned(), failed as f64),
    ];
    let mut of_measures = std::collections::BTreeMap::<String, f64>::new();
    for (measure, value) in drift.judged.iter().filter_map(|limit| limit.measure.zip(limit.value)) {
        let most = of_measures.entry(format!("drift_{measure}")).or_default();
        *most = most.max(value.abs());
    }
    told.extend(of_measures);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat_aws::{Aws, Vars};
    use leat_batch::hour::folder;
    use leat_lake::Lake;

    const EVENT: &str = include_str!("../../../events/quality-gate.hour.json");
    const RECIPE: &str = include_str!("../../../recipes/card-transactions/recipe.yaml");
    const RULES: &str = include_str!("../../../recipes/card-transactions/quality.dqdl");

    async fn answer(lake: &Lake, rules: &str, event: &str) -> Result<Value, Failure> {
        let vars = [
            ("LEAT_RECIPE", "memory:lake/recipes/recipe.yaml"),
            ("LEAT_CLEANSED", "memory:lake/cleansed/card-transactions/"),
            ("LEAT_ARTIFACTS", "memory:lake/artifacts"),
        ];
        let vars: Vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let config = Config::from_vars(&vars, &Aws::default())?;
        let rules = RULES.replace("RowCount > 0", rules);
        for (name, text) in [("recipe.yaml", RECIPE), ("quality.dqdl", &rules)] {
            let url = format!("memory:lake/recipes/{name}");
            lake.write(&url, text.to_owned()).await.unwrap();
        }
        let earlier =
            format!("memory:lake/artifacts/{}2026-11-22T01/e.json", folder("card-transactions"));
        lake.write(&earlier, "{}").await.unwrap();
        let shop = Workshop::new(lake.clone(), None).within(&config.artifacts);
        crate::handler::handle(&config, &shop, event).await
    }

    #[tokio::test]
    async fn an_hour_is_told_the_same_however_often_it_is_asked() {
        let lake = Lake::new(&Default::default());
        let warns = "RowCount > 0 labels = [\"action\" = \"warn\"], Mean \"amount\" > 0";
        let first = answer(&lake, warns, EVENT).await.unwrap();
        assert_eq!((&first["hour"], &first["passed"]), (&"2026-11-23T06".into(), &false.into()));
        let event = &first["event"];
        assert_eq!(event["context"]["contextType"], "LEAT_HOUR");
        assert_eq!((&event["alarm"], &event["decision"]), (&true.into(), &"proceed".into()));
        assert_eq!((&event["rulesFailed"], &event["rulesSkipped"]), (&1.into(), &1.into()));
        let url = format!(
            "memory:lake/artifacts/{}2026-11-23T06/result.json",
            folder("card-transactions")
        );
        assert_eq!(first["quality"], url.as_str());
        let record = lake.read(&url).await.unwrap();
        // By name, and after the recipe has changed.
        let named = "{\"step\":\"hour\",\"hour\":\"2026-11-23T06\"}";
        for event in [EVENT, named] {
            assert_eq!(answer(&lake, "RowCount > 5", event).await.unwrap(), first);
            assert_eq!(lake.read(&url).await.unwrap(), record);
        }
    }

    #[tokio::test]
    async fn a_recipe_may_ask_nothing_of_an_hour() {
        let rules = "RowCount > 0 labels = [\"over\" = \"run\"]";
        let lake = Lake::new(&Default::default());
        let said = answer(&lake, rules, EVENT).await.unwrap();
        assert_eq!(said, json!({"hour": "2026-11-23T06", "quality": null, "event": null}));
        for (event, words) in [
            ("{\"step\":\"hour\"}", "needs `hour` or `scheduled`"),
            ("{\"step\":\"hour\",\"hour\":\"../x\"}", "no hour such as"),
            ("{\"step\":\"hour\",\"scheduled\":\"now\"}", "RFC 3339"),
            ("{\"step\":\"hour\",\"hour\":\"9998-12-31T23\"}", "9998-12-31T23 is not over"),
        ] {
            let why = answer(&lake, rules, event).await.unwrap_err();
            assert_eq!(why.word(), "Input.Invalid", "{why}");
            assert!(why.to_string().contains(words), "{why}");
        }
    }
}
