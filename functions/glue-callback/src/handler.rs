//! Follows the manifest of a job that ended, then starts what waits for that job.

use leat_aws::{Call, Failure, metrics};
use leat_jobs::jobs::Jobs;
use leat_jobs::starter::{self, Starter};
use leat_jobs::table::Table;
use serde_json::{Value, json};

const FUNCTION: &str = "glue-callback";
/// No new work is begun with less time than this left, in milliseconds.
const MARGIN: i64 = 10_000;
/// How a run ends, in the words of Glue and of Step Functions.
const ENDS: [&str; 8] =
    ["SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED", "TIMED_OUT", "ABORTED"];

/// What an event says: this run of this job, or state machine, is in this state.
#[derive(Debug, PartialEq)]
struct Change<'a> {
    target: &'a str,
    run: &'a str,
    state: &'a str,
}

/// Handles one event. A failure is one to try again: Lambda does, and the hourly start finds what it gives up on.
pub async fn handle<T: Table, J: Jobs, C: Fn() -> i64 + Sync>(
    starter: &Starter<T, J, C>,
    event: &str,
    call: Call,
) -> Result<Value, Failure> {
    let event: Value = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("the event is no JSON: {why}")))?;
    let change = read(&event)?;
    if !ENDS.contains(&change.state) {
        return Ok(json!({"ignored": "the run goes on"}));
    }
    let now = (starter.clock)();
    let left = i64::try_from(call.deadline.left().as_millis()).unwrap_or(i64::MAX);
    let until = now.saturating_add((left - MARGIN).min(starter::LEASE));
    let own = starter::Call { by: format!("{}-{now}", call.request_id), until, ask: false };
    let reports = starter.ended(change.target, change.run, change.state, &own).await?;
    let mut worst = None;
    for (set, report) in &reports {
        metrics(FUNCTION, &set.name, &report.counts());
        worst = worst.or(report.worst().cloned());
    }
    match worst {
        Some(why) => Err(why),
        None => Ok(json!({"data_sets": reports.len()})),
    }
}

fn read(event: &Value) -> Result<Change<'_>, Failure> {
    let detail = &event["detail"];
    let (target, run, state) = match event["detail-type"].as_str() {
        Some("Glue Job State Change") => ("jobName", "jobRunId", "state"),
        Some("Step Functions Execution Status Change") => {
            ("stateMachineArn", "executionArn", "status")
        }
        _ => {
            return Err(Failure::Input(
                "this is neither `Glue Job State Change` nor `Step Functions Execution Status Change`: check the rule that calls this function".into(),
            ));
        }
    };
    let text = |name: &str| {
        detail[name]
            .as_str()
            .ok_or_else(|| Failure::Input(format!("`detail.{name}` of the event is no text")))
    };
    Ok(Change { target: text(target)?, run: text(run)?, state: text(state)? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leat_aws::{Aws, Deadline, Vars};
    use leat_jobs::config::Config;

    use super::*;

    const EVENT: &str = include_str!("../../../events/glue-callback.json");

    async fn handled(event: &str) -> Result<Value, Failure> {
        let vars = [
            ("LEAT_LEDGER", "memory:"),
            ("LEAT_MANIFESTS", "memory:lake/manifests/"),
            ("LEAT_GLUE", "log:"),
            (
                "LEAT_DATASETS",
                r#"[{"name": "cards", "bucket": "lake", "prefixes": [{"prefix": "landing/cards/"}],
                    "cleansed": "memory:lake/cleansed/cards/", "start": {"glue": {"job": "leat-cleanse"}}}]"#,
            ),
        ];
        let vars: Vars = vars.map(|(name, value)| (name.into(), value.into())).into();
        let aws = Aws::default();
        let starter = Config::from_vars(&vars).unwrap().starter(&aws).await.unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        handle(&starter, event, Call { request_id: "r".into(), deadline }).await
    }

    #[tokio::test]
    async fn events() {
        assert_eq!(handled(EVENT).await, Ok(json!({"data_sets": 1})));
        let other = EVENT.replace("leat-cleanse", "other");
        assert_eq!(handled(&other).await, Ok(json!({"data_sets": 0})));
        let running = EVENT.replace("SUCCEEDED", "RUNNING");
        assert_eq!(handled(&running).await, Ok(json!({"ignored": "the run goes on"})));
        for bad in
            ["{", "{}", r#"{"detail-type": "Glue Job State Change", "detail": {"jobName": 1}}"#]
        {
            assert_eq!(handled(bad).await.unwrap_err().word(), "Input.Invalid", "{bad}");
        }
    }

    #[test]
    fn executions() {
        let event = json!({"detail-type": "Step Functions Execution Status Change", "detail":
            {"executionArn": "e", "stateMachineArn": "m", "status": "TIMED_OUT"}});
        assert_eq!(read(&event), Ok(Change { target: "m", run: "e", state: "TIMED_OUT" }));
    }
}
