//! Follows the manifest of a job that ended, then starts what waits for that job.

use leat_aws::{Call, Failure};
use leat_jobs::dataset::Start;
use leat_jobs::jobs::{Jobs, Run};
use leat_jobs::starter::{self, Starter};
use leat_jobs::table::Table;
use serde_json::{Value, json};

const FUNCTION: &str = "glue-callback";
/// How a run ends, in the words of Glue and of Step Functions.
const ENDS: [&str; 8] =
    ["SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED", "TIMED_OUT", "ABORTED"];

/// What an event says: this run of this job, or state machine, is in this state.
#[derive(Debug, PartialEq)]
struct Change<'a> {
    target: Start,
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
    // What the event says is asked for: it may be late, or about a run whose id is not stored yet.
    let told = starter.jobs.run(&change.target, change.run).await?.unwrap_or_default();
    let told = Run { end: told.end.or(Some(change.state.into())), ..told };
    let own = starter::Call::new(&call, (starter.clock)(), false);
    let reports = starter.ended(&change.target, change.run, &told, &own).await?;
    let worst =
        reports.iter().filter_map(|(set, report)| report.tell(FUNCTION, set)).reduce(|a, _| a);
    match worst {
        Some(why) => Err(why),
        None => Ok(json!({"data_sets": reports.len()})),
    }
}

fn read(event: &Value) -> Result<Change<'_>, Failure> {
    let detail = &event["detail"];
    let text = |name: &str| {
        detail[name]
            .as_str()
            .ok_or_else(|| Failure::Input(format!("`detail.{name}` of the event is no text")))
    };
    match event["detail-type"].as_str() {
        Some("Glue Job State Change") => Ok(Change {
            target: Start::job(text("jobName")?),
            run: text("jobRunId")?,
            state: text("state")?,
        }),
        Some("Step Functions Execution Status Change") => Ok(Change {
            target: Start::StateMachine(text("stateMachineArn")?.into()),
            run: text("executionArn")?,
            state: text("status")?,
        }),
        _ => Err(Failure::Input(
            "this is neither `Glue Job State Change` nor `Step Functions Execution Status Change`: check the rule that calls this function".into(),
        )),
    }
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
        let target = Start::StateMachine("m".into());
        assert_eq!(read(&event), Ok(Change { target, run: "e", state: "TIMED_OUT" }));
    }
}
