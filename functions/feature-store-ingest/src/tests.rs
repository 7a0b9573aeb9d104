//! The function over stores in memory.

use std::time::Duration;

use leat::column::{Column, Type, Value};
use leat_aws::{Aws, Deadline, Failure};
use leat_lake::Lake;
use leat_lake::parquet::to_bytes;

use crate::config::Config;
use crate::handler::handle;
use crate::records::{Record, Roles};
use crate::store::{FeatureStore, MemoryStore, Refusal, Target};

const EVENT: &str = include_str!("../../../events/feature-store-ingest.json");
/// 2026-01-01T00:00:00Z.
const DAY: i64 = 1_767_225_600_000_000;

struct World {
    lake: Lake,
    config: Config,
    roles: Roles,
    store: MemoryStore,
}

impl World {
    /// A bucket of `rows`: (id, entity, seconds, amount).
    async fn new(rows: &[(&str, &str, i64, Option<f64>)]) -> World {
        let vars = [("LEAT_RECIPE", "memory:r.yaml"), ("LEAT_FEATURE_GROUP", "log:")];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let lake = Lake::new(&Default::default());
        let mut times = Column::new(Type::Timestamp);
        rows.iter().for_each(|row| times.push(Value::Timestamp(DAY + row.2 * 1_000_000)));
        let state: Vec<_> = rows.iter().map(|_| Some("5e7")).collect();
        let columns = [
            ("transaction_id", Column::strings(rows.iter().map(|row| Some(row.0)))),
            ("customer_id", Column::strings(rows.iter().map(|row| Some(row.1)))),
            ("event_time", times),
            ("amount", Column::doubles(rows.iter().map(|row| row.3))),
            ("_state_hash", Column::strings(state)),
        ];
        let kinds = columns.iter().map(|(name, c)| ((*name).to_owned(), c.kind()));
        let bytes = to_bytes(&kinds.collect::<Vec<_>>(), columns.map(|(_, c)| c).into()).unwrap();
        lake.write("memory:lake/curated/r/run=x/name=candidate/bucket=07/part.parquet", bytes)
            .await
            .unwrap();
        let counts = r#"{"leat": 1, "curated": "memory:lake/curated/r/run=x/name=candidate/"}"#;
        lake.write("memory:lake/artifacts/runs/r/x/counts/candidate/7.json", counts).await.unwrap();
        World {
            lake,
            config: Config::from_vars(&vars, &Aws::default()).unwrap(),
            roles: Roles {
                recipe: "card-transactions".into(),
                id: Some("transaction_id".into()),
                entity: "customer_id".into(),
                event_time: "event_time".into(),
            },
            store: MemoryStore::default(),
        }
    }

    async fn call(&self, seconds: u64) -> Result<String, Failure> {
        let event = EVENT
            .replace(
                "file:.leat/invoke/artifacts/runs/card-transactions/example/",
                "memory:lake/artifacts/runs/r/x/",
            )
            .replace("\"bucket\": 0", "\"bucket\": 7");
        let World { lake, config, roles, store } = self;
        let deadline = Deadline::after(Duration::from_secs(seconds));
        let answer = handle(config, roles, lake, store, &event, deadline).await?;
        Ok(serde_json::to_string(&answer).unwrap())
    }

    /// The ids that were put, with the stores.
    fn put(&self) -> Vec<(String, Target)> {
        let put = self.store.put.lock().unwrap();
        put.iter().map(|(record, target)| (value(record, "transaction_id"), *target)).collect()
    }

    fn refuse(&self, id: &str, refusals: impl IntoIterator<Item = Refusal>) {
        self.store.refuse.lock().unwrap().insert(id.into(), refusals.into_iter().collect());
    }

    async fn failures(&self) -> String {
        self.lake.read_text("memory:lake/artifacts/runs/r/x/failures/7.jsonl").await.unwrap()
    }
}

fn value(record: &Record, name: &str) -> String {
    let found = record.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn busy() -> Refusal {
    Refusal::Busy("ThrottlingException".into())
}

#[tokio::test]
async fn the_last_of_each_entity_goes_online_and_all_offline() {
    let rows = [
        ("t1", "a", 1, Some(0.5)),
        ("t2", "a", 3, None),
        ("t3", "a", 2, None),
        ("t4", "b", 0, None),
    ];
    let world = World::new(&rows).await;
    let answer = r#"{"bucket":7,"online":2,"offline":2,"retried":0}"#;
    assert_eq!(world.call(60).await.unwrap(), answer);
    let want = [
        ("t1", Target::Offline),
        ("t2", Target::Both),
        ("t3", Target::Offline),
        ("t4", Target::Both),
    ];
    assert_eq!(world.put(), want.map(|(id, target)| (id.into(), target)));
    let put = world.store.put.lock().unwrap().clone();
    let want = [
        ("customer_id", "a"),
        ("event_time", "2026-01-01T00:00:01.000Z"),
        ("transaction_id", "t1"),
        ("amount", "0.5"),
        ("state_hash", "5e7"),
    ];
    assert_eq!(put[0].0, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // What is missing is left out.
    assert!(put[1].0.iter().all(|(name, _)| name != "amount"));
    // Once more: nothing is put again.
    assert_eq!(world.call(60).await.unwrap(), answer);
    assert_eq!(world.put().len(), 4);
}

#[tokio::test]
async fn only_the_groups_features_are_put() {
    let mut world = World::new(&[("t1", "a", 1, Some(0.5))]).await;
    world.config.features = vec!["amount".into()];
    world.call(60).await.unwrap();
    let names: Vec<_> =
        world.store.put.lock().unwrap()[0].0.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["customer_id", "event_time", "amount"]);
    let mut world = World::new(&[("t1", "a", 1, None)]).await;
    world.config.features = vec!["amuont".into()];
    let why = world.call(60).await.unwrap_err();
    assert_eq!(why.word(), "Config.Invalid");
    assert!(why.to_string().contains("`amuont`"), "{why}");
}

#[tokio::test]
async fn a_throttled_record_is_sent_again() {
    let world = World::new(&[("t1", "a", 1, None), ("t2", "b", 1, None)]).await;
    world.refuse("t1", [busy(), busy()]);
    assert_eq!(world.call(60).await.unwrap(), r#"{"bucket":7,"online":2,"offline":0,"retried":2}"#);
}

#[tokio::test]
async fn a_refused_record_stops_no_other_and_is_raised() {
    let rows = [("t1", "a", 1, None), ("t2", "b", 1, None), ("t3", "c", 1, None)];
    let world = World::new(&rows).await;
    world.refuse("t2", [Refusal::Record("ValidationError".into())]);
    let why = world.call(60).await.unwrap_err();
    assert_eq!(why.word(), "Input.Invalid");
    assert!(why.to_string().contains("1 of 3 records were not taken"), "{why}");
    assert_eq!(world.put().len(), 2);
    let line = "{\"id\":\"t2\",\"reason\":\"ValidationError\",\"row\":1}\n";
    assert_eq!(world.failures().await, line);
    // The repeat puts that one alone, and now it is taken.
    let answer = r#"{"bucket":7,"online":3,"offline":0,"retried":0}"#;
    assert_eq!(world.call(60).await.unwrap(), answer);
    assert_eq!(world.put().len(), 3);
    assert_eq!(world.failures().await, "");
}

#[tokio::test]
async fn a_service_that_stays_away_is_busy() {
    let world = World::new(&[("t1", "a", 1, None), ("t2", "b", 1, None)]).await;
    world.refuse("t1", std::iter::repeat_n(busy(), 1000));
    // One second beyond what is kept of the time.
    let why = world.call(11).await.unwrap_err();
    assert_eq!(why.word(), "Service.Busy");
    assert!(world.failures().await.contains("ThrottlingException"));
    assert_eq!(world.put().len(), 1);
}

#[tokio::test]
async fn what_no_time_is_left_for_is_put_by_the_next_call() {
    let ids: Vec<String> = (0..3000).map(|i| format!("t{i}")).collect();
    let rows: Vec<_> = ids.iter().map(|id| (id.as_str(), id.as_str(), 1, None)).collect();
    let mut world = World::new(&rows).await;
    world.store.takes = Duration::from_millis(20); // at 16 a time, 3.75 s in all
    let why = world.call(11).await.unwrap_err();
    assert_eq!(why.word(), "Service.Busy");
    assert!(why.to_string().contains("the next call goes on"), "{why}");
    let some = world.put().len();
    assert!(some < 3000, "{some}");
    assert_eq!(world.call(3).await.unwrap_err().word(), "Service.Busy"); // no time at all
    assert_eq!(world.put().len(), some);
    world.store.takes = Duration::ZERO;
    let answer = r#"{"bucket":7,"online":3000,"offline":0,"retried":0}"#;
    assert_eq!(world.call(60).await.unwrap(), answer);
    let mut put: Vec<_> = world.put().into_iter().map(|(id, _)| id).collect();
    put.sort();
    put.dedup();
    assert_eq!(put.len(), 3000);
    assert_eq!(world.put().len(), 3000);
}

#[tokio::test]
async fn what_a_person_must_mend_stops_it() {
    let world = World::new(&[("t1", "a", 1, None), ("t2", "b", 1, None)]).await;
    world.refuse("t1", [Refusal::All(Failure::Config("AccessForbidden".into()))]);
    assert_eq!(world.call(60).await.unwrap_err().word(), "Config.Invalid");
    assert_eq!(world.call(60).await.unwrap(), r#"{"bucket":7,"online":2,"offline":0,"retried":0}"#);
}

#[tokio::test]
async fn bad_input_is_named() {
    let world = World::new(&[("t1", "a", 1, None)]).await;
    let World { lake, config, roles, store } = &world;
    let told = async |event: &str| {
        let deadline = Deadline::after(Duration::from_secs(60));
        handle(config, roles, lake, store, event, deadline).await.unwrap_err()
    };
    for (event, part) in [
        ("{", "not understood"),
        (r#"{"run_folder": "memory:lake/artifacts/runs/r/x/"}"#, "missing field `bucket`"),
        (
            r#"{"run_folder": "memory:lake/artifacts/runs/r/x/", "bucket": 8}"#,
            "feature-transform makes it",
        ),
    ] {
        let why = told(event).await;
        assert_eq!(why.word(), "Input.Invalid");
        assert!(why.to_string().contains(part), "{why}");
    }
    let bad = r#"{"curated": "memory:lake/curated/none/"}"#;
    lake.write("memory:lake/artifacts/runs/r/x/counts/candidate/9.json", bad).await.unwrap();
    let why = told(r#"{"run_folder": "memory:lake/artifacts/runs/r/x/", "bucket": 9}"#).await;
    assert_eq!(why.word(), "Input.Invalid", "{why}");
    lake.write("memory:lake/curated/none/bucket=09/part.parquet", "PAR1").await.unwrap();
    let why = told(r#"{"run_folder": "memory:lake/artifacts/runs/r/x/", "bucket": 9}"#).await;
    assert_eq!(why.word(), "Input.Invalid", "{why}");
}

#[tokio::test]
async fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::FileStore::new(&folder.path().join("group"));
    let record = vec![("customer_id".to_owned(), "a".to_owned())];
    store.put(&record, Target::Offline).await.unwrap();
    store.put(&record, Target::Both).await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("group/records.jsonl")).unwrap();
    let line =
        |stores: &str| format!("{{\"record\":{{\"customer_id\":\"a\"}},\"stores\":[{stores}]}}\n");
    assert_eq!(text, line("\"OfflineStore\"") + &line("\"OnlineStore\",\"OfflineStore\""));
}

#[tokio::test]
async fn roles_come_from_the_recipe() {
    let lake = Lake::new(&Default::default());
    let url = concat!(
        "file:",
        env!("CARGO_MANIFEST_DIR"),
        "/../../recipes/card-transactions/recipe.yaml"
    );
    let roles = Roles::read(&lake, url).await.unwrap();
    assert_eq!((roles.entity.as_str(), roles.event_time.as_str()), ("customer_id", "event_time"));
    assert_eq!(Roles::read(&lake, "memory:no.yaml").await.unwrap_err().word(), "Config.Invalid");
}
