//! Resumes the workflow that waits for a job that ended, follows its manifest, then starts what waits for that job.

use leat_aws::{Call, Failure, metrics};
use leat_jobs::awaited::{Awaited, Reconciled};
use leat_jobs::dataset::Start;
use leat_jobs::jobs::{Jobs, Run};
use leat_jobs::starter::{self, Starter};
use leat_jobs::table::Table;
use leat_jobs::tasks::Tasks;
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
pub async fn handle<T: Table, J: Jobs, K: Tasks, C: Fn() -> i64 + Sync>(
    starter: &Starter<T, J, C>,
    tasks: &K,
    event: &str,
    call: Call,
) -> Result<Value, Failure> {
    let event: Value = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("the event is no JSON: {why}")))?;
    let awaited =
        Awaited { ledger: &starter.ledger, jobs: &starter.jobs, tasks, clock: &starter.clock };
    if event["leat"] == "reconcile" {
        return reconcile(&awaited, &call).await;
    }
    let change = read(&event)?;
    if !ENDS.contains(&change.state) {
        return Ok(json!({"ignored": "the run goes on"}));
    }
    // What the event says is asked for: it may be late, or about a run whose id is not stored yet.
    let told = starter.jobs.run(&change.target, change.run).await?.unwrap_or_default();
    let told = Run { end: told.end.or(Some(change.state.into())), ..told };
    // The workflow first: it waits, and nothing else tells it.
    let resumed = awaited.ended(change.run, &told, call.deadline).await;
    let own = starter::Call::new(&call, (starter.clock)(), false);
    let reports = starter.ended(&change.target, change.run, &told, &own).await?;
    let worst =
        reports.iter().filter_map(|(set, report)| report.tell(FUNCTION, set)).reduce(|a, _| a);
    match (resumed, worst) {
        (Err(why), _) | (_, Some(why)) => Err(why),
        (Ok(resumed), None) => {
            if resumed {
                metrics(FUNCTION, "workflows", &[("resumed", 1)]);
            }
            Ok(json!({"data_sets": reports.len(), "resumed": resumed}))
        }
    }
}

/// Looks at every run that a workflow waits for: an event may be lost.
async fn reconcile<T: Table, J: Jobs, K: Tasks, C: Fn() -> i64 + Sync>(
    awaited: &Awaited<'_, T, J, K, C>,
    call: &Call,
) -> Result<Value, Failure> {
    let Reconciled { open, ended, problems } = awaited.reconcile(call.deadline).await?;
    let counts = [("open", open), ("resumed", ended), ("problems", problems.len() as u64)];
    metrics(FUNCTION, "workflows", &counts);
    match problems.into_iter().next() {
        Some(why) => Err(why),
        None => Ok(json!({"open": open, "ended": ended})),
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
    use leat_jobs::awaited::Wanted;
    use leat_jobs::config::Config;
    use leat_jobs::tasks::{MemoryTasks, Token, Told};

    use super::*;

    const EVENT: &str = include_str!("../../../events/glue-callback.json");

    fn config() -> Config {
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
        Config::from_vars(&vars).unwrap()
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    fn call() -> Call {
        Call { request_id: "r".into(), deadline: deadline() }
    }

    async fn handled(event: &str) -> Result<Value, Failure> {
        let aws = Aws::default();
        let starter = config().starter(&aws).await.unwrap();
        handle(&starter, &MemoryTasks::default(), event, call()).await
    }

    #[tokio::test]
    async fn events() {
        assert_eq!(handled(EVENT).await, Ok(json!({"data_sets": 1, "resumed": false})));
        let other = EVENT.replace("leat-cleanse", "other");
        assert_eq!(handled(&other).await, Ok(json!({"data_sets": 0, "resumed": false})));
        let running = EVENT.replace("SUCCEEDED", "RUNNING");
        assert_eq!(handled(&running).await, Ok(json!({"ignored": "the run goes on"})));
        let reconcile = include_str!("../../../events/glue-callback.reconcile.json");
        assert_eq!(handled(reconcile).await, Ok(json!({"open": 0, "ended": 0})));
        for bad in
            ["{", "{}", r#"{"detail-type": "Glue Job State Change", "detail": {"jobName": 1}}"#]
        {
            assert_eq!(handled(bad).await.unwrap_err().word(), "Input.Invalid", "{bad}");
        }
    }

    /// One event does both: the workflow goes on, and what waits for the job is started.
    #[tokio::test]
    async fn a_workflow_is_resumed_once() {
        let (aws, tasks) = (Aws::default(), MemoryTasks::default());
        let starter = config().starter(&aws).await.unwrap();
        let wanted = Wanted {
            job: "leat-cleanse".into(),
            arguments: Default::default(),
            name: "run-1".into(),
            token: Some(Token::try_from("A".to_owned()).unwrap()),
        };
        let (ledger, jobs, clock) = (&starter.ledger, &starter.jobs, &starter.clock);
        let awaited = Awaited { ledger, jobs, tasks: &tasks, clock };
        let going = awaited.start(&wanted, "r", deadline()).await.unwrap();
        let run = going.run_id.unwrap();
        let run_of_event =
            serde_json::from_str::<Value>(EVENT).unwrap()["detail"]["jobRunId"].clone();
        let event = EVENT.replace(run_of_event.as_str().unwrap(), &run);
        let answer = handle(&starter, &tasks, &event, call()).await;
        assert_eq!(answer, Ok(json!({"data_sets": 1, "resumed": true})));
        let output = json!({"job": "leat-cleanse", "run_id": run, "state": "SUCCEEDED"});
        assert_eq!(tasks.told(), [Told::Success(output)]);
        let answer = handle(&starter, &tasks, &event, call()).await;
        assert_eq!(answer, Ok(json!({"data_sets": 1, "resumed": false})));
    }

    #[test]
    fn executions() {
        let event = json!({"detail-type": "Step Functions Execution Status Change", "detail":
            {"executionArn": "e", "stateMachineArn": "m", "status": "TIMED_OUT"}});
        let target = Start::StateMachine("m".into());
        assert_eq!(read(&event), Ok(Change { target, run: "e", state: "TIMED_OUT" }));
    }
}
