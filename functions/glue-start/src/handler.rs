//! Starts the run that an event asks for, or finds it.

use std::collections::BTreeMap;

use leat_aws::{Call, Failure, metrics};
use leat_jobs::awaited::{Awaited, Going, Wanted};
use leat_jobs::config;
use leat_jobs::jobs::Jobs;
use leat_jobs::ledger::Ledger;
use leat_jobs::table::Table;
use leat_jobs::tasks::{self, Tasks, Token};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Config;

const FUNCTION: &str = "glue-start";

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Event {
    job: String,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    name: String,
}

/// Handles one event. With a task token, its failure is told to the task and the function answers null: what the state
/// machine has judged, Lambda must not try again.
pub async fn handle<T: Table, J: Jobs, K: Tasks>(
    config: &Config,
    ledger: &Ledger<T>,
    jobs: &J,
    tasks: &K,
    event: &str,
    call: Call,
) -> Result<Value, Failure> {
    let token = tasks::token(event)?;
    let awaited = Awaited { ledger, jobs, tasks, clock: config::now as config::Clock };
    let started = start(config, &awaited, event, token.clone(), &call).await;
    let job = started.as_ref().map_or("none", |going| going.job.as_str());
    metrics(
        FUNCTION,
        job,
        &[("started", u64::from(started.is_ok())), ("problems", u64::from(started.is_err()))],
    );
    match (started, token) {
        (Ok(going), _) => {
            serde_json::to_value(going).map_err(|why| Failure::Config(why.to_string()))
        }
        (Err(why), None) => Err(why),
        (Err(why), Some(token)) => {
            tracing::error!(request_id = call.request_id, word = why.word(), "{why}");
            tasks::tell(tasks, &token, Err(&why), call.deadline).await?;
            Ok(Value::Null)
        }
    }
}

async fn start<T: Table, J: Jobs, K: Tasks>(
    config: &Config,
    awaited: &Awaited<'_, T, J, K, config::Clock>,
    event: &str,
    token: Option<Token>,
    call: &Call,
) -> Result<Going, Failure> {
    let Event { job, arguments, name } = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("the event is not understood: {why}")))?;
    if !config.jobs.contains(&job) {
        return Err(Failure::Config(format!(
            "the Glue job `{job}` is none that LEAT_JOBS names: {}",
            config.jobs.join(", ")
        )));
    }
    awaited.start(&Wanted { job, arguments, name, token }, &call.request_id, call.deadline).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leat_aws::{Aws, Deadline};
    use leat_jobs::jobs::LogJobs;
    use leat_jobs::table::memory::MemoryTable;
    use leat_jobs::tasks::{MemoryTasks, Told};
    use serde_json::json;

    use super::*;

    const EVENT: &str = include_str!("../../../events/glue-start.json");

    struct World {
        config: Config,
        ledger: Ledger<MemoryTable>,
        tasks: MemoryTasks,
    }

    impl World {
        fn new() -> Self {
            let vars = [("LEAT_JOBS", "leat-features,other"), ("LEAT_LEDGER", "memory:")];
            let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
            World {
                config: Config::from_vars(&vars, &Aws::default()).unwrap(),
                ledger: Ledger::new(MemoryTable::default()),
                tasks: MemoryTasks::default(),
            }
        }

        async fn call(&self, event: &str) -> Result<Value, Failure> {
            let deadline = Deadline::after(Duration::from_secs(30));
            let call = Call { request_id: "r".into(), deadline };
            handle(&self.config, &self.ledger, &LogJobs, &self.tasks, event, call).await
        }
    }

    #[tokio::test]
    async fn the_same_name_is_the_same_run() {
        let world = World::new();
        let going = json!({"job": "leat-features", "run_id": "log-task:2026-01-01-Features:1", "state": "STARTED"});
        assert_eq!(world.call(EVENT).await, Ok(going.clone()));
        assert_eq!(world.call(EVENT).await, Ok(going.clone()));
        assert_eq!(world.call(&EVENT.replace("AQCEAAAA", "AQCEBBBB")).await, Ok(going));
        assert_eq!(world.tasks.told(), []); // the run goes on
    }

    #[tokio::test]
    async fn a_failure_is_told_to_the_task_and_else_to_the_caller() {
        for (from, to, word) in [
            ("leat-features", "none-of-ours", "Config.Invalid"),
            ("\"--leat-run\"", "\"leat-run\"", "Input.Invalid"),
            ("\"--leat-run\"", "\"--leat-claim\"", "Input.Invalid"),
            ("2026-01-01-Features", "a b", "Input.Invalid"),
            ("\"name\"", "\"nam\"", "Input.Invalid"),
        ] {
            let world = World::new();
            let event = EVENT.replace(from, to);
            assert_eq!(world.call(&event).await, Ok(Value::Null));
            assert!(
                matches!(&world.tasks.told()[..], [Told::Failure(told, _)] if told == word),
                "{to}"
            );
            let event = event.replace("task_token", "other");
            assert_eq!(world.call(&event).await.unwrap_err().word(), word, "{to}");
        }
        assert_eq!(World::new().call("{").await.unwrap_err().word(), "Input.Invalid");
    }

    #[tokio::test]
    async fn one_name_stands_for_one_order() {
        let world = World::new();
        world.call(EVENT).await.unwrap();
        let other = EVENT.replace("runs/card-transactions/example", "runs/card-transactions/other");
        let why = world.call(&other.replace("task_token", "other")).await.unwrap_err();
        assert_eq!(why.word(), "Input.Invalid");
        assert!(why.to_string().contains("a name of its own"), "{why}");
    }
}
