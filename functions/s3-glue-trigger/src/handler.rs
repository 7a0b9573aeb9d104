//! Marks the objects that an event tells of, then starts what waits.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use leat_aws::{Accounts, Call, Failure, metrics};
use leat_jobs::dataset::Dataset;
use leat_jobs::jobs::Jobs;
use leat_jobs::starter::{self, Report, Starter};
use leat_jobs::table::Table;
use leat_lake::manifest::ManifestObject;
use serde_json::{Value, json};

use crate::events::{self, Event, Message, Notice};

const FUNCTION: &str = "s3-glue-trigger";
/// How many messages are marked at once.
const AT_ONCE: usize = 8;

/// Handles one event. From SQS, the answer names the messages that could not be marked, so that only they come again;
/// marking twice is marking once. What could not be *started* is no reason to send messages back: it waits in the ledger.
pub async fn handle<T: Table, J: Jobs, C: Fn() -> i64 + Sync>(
    starter: &Starter<T, J, C>,
    event: &str,
    call: Call,
) -> Result<Value, Failure> {
    match events::read(event) {
        Event::Start => start_all(starter, &call).await,
        Event::Messages(messages) => land(starter, messages, &call).await,
    }
}

/// The hourly start: what no event told of, and what no job's end told of.
async fn start_all<T: Table, J: Jobs, C: Fn() -> i64 + Sync>(
    starter: &Starter<T, J, C>,
    call: &Call,
) -> Result<Value, Failure> {
    let own = starter::Call::new(call, (starter.clock)(), true);
    let mut worst = None;
    let mut found = 0;
    for set in starter.datasets.iter() {
        let mut report = Report::default();
        match starter.land_missed(set).await {
            Ok(new) => {
                metrics(FUNCTION, &set.name, &[("missed", new)]);
                found += new;
            }
            Err(why) => {
                tracing::error!(dataset = set.name, word = why.word(), "{why}");
                report.problems.push(why);
            }
        }
        starter.start(set, &own, &mut report).await;
        worst = worst.or(report.tell(FUNCTION, set));
    }
    match worst {
        Some(why) => Err(why),
        None => Ok(json!({"missed": found})),
    }
}

async fn land<T: Table, J: Jobs, C: Fn() -> i64 + Sync>(
    starter: &Starter<T, J, C>,
    messages: Vec<Message>,
    call: &Call,
) -> Result<Value, Failure> {
    let landings: Vec<Landing> = futures::stream::iter(&messages)
        .map(|message| land_one(starter, message, call))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut accounts = Accounts::default();
    let mut dropped = BTreeMap::<&str, u64>::new();
    let mut sets = BTreeSet::new();
    let mut failures = Vec::new();
    let mut failed = None;
    for (message, landing) in messages.iter().zip(landings) {
        accounts.received += message.notices.len() as u64;
        accounts.written += landing.new;
        accounts.already_applied += landing.already;
        accounts.handed_back += landing.handed_back;
        for word in landing.dropped {
            accounts.dropped += 1;
            *dropped.entry(word).or_default() += 1;
        }
        sets.extend(landing.sets);
        if let Some(why) = landing.failure {
            tracing::error!(message = message.id, word = why.word(), "{why}");
            match &message.id {
                Some(id) => failures.push(json!({"itemIdentifier": id})),
                None => failed = Some(why),
            }
        }
    }
    if !dropped.is_empty() {
        tracing::info!(?dropped, "dropped by rule");
    }
    accounts.report(FUNCTION, "all");

    let own = starter::Call::new(call, (starter.clock)(), false);
    let mut worst = None;
    for set in sets.into_iter().filter_map(|name| starter.datasets.get(name)) {
        let mut report = Report::default();
        starter.start(set, &own, &mut report).await;
        worst = worst.or(report.tell(FUNCTION, set));
    }
    let queued = messages.iter().any(|message| message.id.is_some());
    match failed.or(worst.filter(|_| !queued)) {
        Some(why) => Err(why),
        None => Ok(json!({"batchItemFailures": failures})),
    }
}

/// What became of a message.
#[derive(Default)]
struct Landing<'a> {
    new: u64,
    already: u64,
    dropped: Vec<&'static str>,
    handed_back: u64,
    sets: BTreeSet<&'a str>,
    failure: Option<Failure>,
}

async fn land_one<'a, T: Table, J: Jobs, C: Fn() -> i64 + Sync>(
    starter: &'a Starter<T, J, C>,
    message: &Message,
    call: &Call,
) -> Landing<'a> {
    let mut landing = Landing::default();
    if call.deadline.left() < starter::MARGIN {
        landing.handed_back = message.notices.len() as u64;
        landing.failure = Some(Failure::Busy("no time is left; the message comes again".into()));
        return landing;
    }
    let mut of_set = BTreeMap::<&str, (&Dataset, Vec<_>)>::new();
    for notice in &message.notices {
        match notice {
            Notice::Nothing(word) => landing.dropped.push(word),
            Notice::Invalid(why) => {
                landing.handed_back += 1;
                landing.failure = Some(Failure::Input(why.clone()));
            }
            Notice::Created(object) => {
                match starter.datasets.route(&object.bucket, &object.key, object.size) {
                    Err(skip) => landing.dropped.push(skip.word()),
                    Ok((set, trusted)) => {
                        let object = ManifestObject { trusted, ..object.clone() };
                        of_set.entry(&set.name).or_insert((set, Vec::new())).1.push(object);
                    }
                }
            }
        }
    }
    for (name, (set, objects)) in of_set {
        let count = objects.len() as u64;
        match starter.land(set, objects).await {
            Ok(new) => {
                landing.new += new;
                landing.already += count - new;
                landing.sets.insert(name);
            }
            Err(why) => {
                landing.handed_back += count;
                landing.failure = Some(why);
            }
        }
    }
    landing
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leat_aws::{Aws, Deadline, Vars};
    use leat_jobs::config::Config;

    use super::*;

    const ROUTES: &str = r#"[{"name": "card-transactions", "bucket": "leat-lake", "cleansed": "memory:lake/cleansed/cards/",
        "prefixes": [{"prefix": "landing/stream/card-transactions/", "trusted": true},
                     {"prefix": "landing/files/card-transactions/"}],
        "start": {"glue": {"job": "leat-cleanse"}}}]"#;

    struct Fixture {
        aws: Aws,
        vars: Vars,
    }

    impl Fixture {
        fn new(bucket: &str) -> Self {
            let routes = ROUTES.replace("leat-lake", bucket);
            let vars = [
                ("LEAT_LEDGER", "memory:"),
                ("LEAT_MANIFESTS", "memory:lake/manifests/"),
                ("LEAT_GLUE", "log:"),
                ("LEAT_DATASETS", routes.as_str()),
            ];
            let vars = vars.map(|(name, value)| (name.into(), value.into())).into();
            Fixture { aws: Aws::default(), vars }
        }

        async fn starter(&self) -> Starter<impl Table, impl Jobs, leat_jobs::config::Clock> {
            Config::from_vars(&self.vars).unwrap().starter(&self.aws).await.unwrap()
        }
    }

    fn call(seconds: u64) -> Call {
        Call { request_id: "r".into(), deadline: Deadline::after(Duration::from_secs(seconds)) }
    }

    fn event(name: &str) -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/");
        std::fs::read_to_string(format!("{path}{name}.json")).unwrap()
    }

    #[tokio::test]
    async fn every_example_lands_and_starts() {
        for (name, objects) in
            [("s3-glue-trigger", 1), ("s3-glue-trigger.eventbridge", 1), ("s3-glue-trigger.sqs", 2)]
        {
            let fixture = Fixture::new("leat-lake");
            let starter = fixture.starter().await;
            let answer = handle(&starter, &event(name), call(60)).await.unwrap();
            assert_eq!(answer, json!({"batchItemFailures": []}), "{name}");
            let open = starter.ledger.open("card-transactions").await.unwrap();
            assert_eq!((open.len(), open[0].says.objects), (1, objects), "{name}");
            // Once more: nothing new.
            handle(&starter, &event(name), call(60)).await.unwrap();
            assert_eq!(starter.ledger.open("card-transactions").await.unwrap().len(), 1, "{name}");
        }
    }

    #[tokio::test]
    async fn the_hourly_start_lists() {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Fixture::new(&format!("file:{}", folder.path().display()));
        let starter = fixture.starter().await;
        let start = event("s3-glue-trigger.start");
        assert_eq!(handle(&starter, &start, call(60)).await, Ok(json!({"missed": 0})));
        let landing = folder.path().join("landing/files/card-transactions");
        std::fs::create_dir_all(&landing).unwrap();
        std::fs::write(landing.join("history.jsonl"), "{}\n").unwrap();
        assert_eq!(handle(&starter, &start, call(60)).await, Ok(json!({"missed": 1})));
        assert_eq!(handle(&starter, &start, call(60)).await, Ok(json!({"missed": 0})));
        assert_eq!(starter.ledger.open("card-transactions").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn only_what_cannot_be_marked_comes_again() {
        let fixture = Fixture::new("leat-lake");
        let starter = fixture.starter().await;
        let bad = event("s3-glue-trigger.sqs").replacen("part-1", "part-%FF", 1);
        let answer = handle(&starter, &bad, call(60)).await.unwrap();
        let id = "19dd0b57-b21e-4ac1-bd88-01bbb068cb78";
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": id}]}));
        assert_eq!(starter.ledger.open("card-transactions").await.unwrap().len(), 1);
        // Without SQS there is nobody to hand it back to but the caller.
        let bad = event("s3-glue-trigger").replacen("part-1", "part-%FF", 1);
        let why = handle(&starter, &bad, call(60)).await.unwrap_err();
        assert_eq!(why.word(), "Input.Invalid");
        assert!(!why.to_string().contains("part-"), "{why}");
    }

    #[tokio::test]
    async fn without_time_messages_are_handed_back() {
        let fixture = Fixture::new("leat-lake");
        let starter = fixture.starter().await;
        let answer = handle(&starter, &event("s3-glue-trigger.sqs"), call(5)).await.unwrap();
        assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(2));
        assert_eq!(starter.ledger.landed("card-transactions", 9).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn what_nobody_takes_is_dropped_by_rule() {
        let fixture = Fixture::new("other");
        let starter = fixture.starter().await;
        let answer = handle(&starter, &event("s3-glue-trigger"), call(60)).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}));
        assert_eq!(starter.ledger.open("card-transactions").await.unwrap().len(), 0);
    }
}
