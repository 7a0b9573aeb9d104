//! A hand-over by its steps, over stores in memory.

use std::collections::BTreeMap;

use leat::decode::RawRecord;
use leat::engine::{Engine, Source, read};
use leat::protect::Keys;
use leat::record::{Coordinates, Position, Sequence, bucket_of};
use leat::windows::item::{Item, state_key};
use leat::{cleansed, timestamp};
use leat_aws::{Aws, Failure, Vars};
use leat_jobs::config::{AnyJobs, AnyTable};
use leat_jobs::object::object;
use leat_lake::units::{Decision, Unit, UnitFile};
use leat_lake::{Folder, Lake, parquet};
use leat_stream::shards::{MemoryShards, Shard, Shards};
use leat_stream::store::{EntityStore, MemoryStore};
use serde_json::{Value, json};

use crate::config::Config;
use crate::handler::{Ports, handle};

const RECIPE: &str = r#"
leat: 1
name: world
schema:
  format: json
  fields:
    - {name: id,     type: string,    role: id}
    - {name: who,    type: string,    role: entity}
    - {name: at,     type: timestamp, role: event_time}
    - {name: amount, type: double}
windows:
  - {sum: amount, count: "*", over: [1h]}
"#;

const FOLDER: &str = "memory:lake/artifacts/runs/world/h-1/";
const BUCKETS: u32 = 2;

fn wider() -> String {
    RECIPE.replace("over: [1h]", "over: [1h, 24h]")
}

fn engine(text: &str) -> Engine {
    let recipe = read(Source { file: "recipe.yaml", text }).unwrap();
    Engine::new(recipe, None, None).unwrap()
}

type Memory<'a> = Ports<'a, MemoryStore, MemoryShards, AnyTable, AnyJobs<'a>>;

/// A world whose deployed recipe is [`RECIPE`]; the other one lies where a promotion keeps it.
struct World {
    config: Config,
    aws: Aws,
    serving: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let serving = tempfile::tempdir().unwrap();
        let vars = [
            ("LEAT_RECIPE", "memory:lake/artifacts/recipes/world/recipe.yaml"),
            ("LEAT_STATE", "memory:"),
            ("LEAT_STREAM", "memory:"),
            ("LEAT_FAILED", "memory:lake/failed/"),
            ("LEAT_LANDING", "memory:lake/landing/stream/world/replayed/"),
            ("LEAT_BUFFER_SECONDS", "60"),
            ("LEAT_SERVING", &format!("file:{}", serving.path().join("serving.json").display())),
        ];
        let config = Config::from_vars(&vars.map(|(k, v)| (k.into(), v.into())).into()).unwrap();
        World { config, aws: Aws::default(), serving }
    }

    async fn ports(&self) -> Memory<'_> {
        let lake = Lake::new(&Vars::new());
        let other = engine(&wider());
        let url = format!("memory:lake/artifacts/recipes/world/{}/recipe.yaml", other.hash());
        lake.write(&url, wider()).await.unwrap();
        let datasets = r#"[{"name": "world", "bucket": "memory:lake", "prefixes": [{"prefix": "landing/stream/"}],
            "cleansed": "memory:lake/cleansed/world", "start": {"glue": {"job": "j"}}}]"#;
        let vars = [
            ("LEAT_DATASETS", datasets),
            ("LEAT_LEDGER", "memory:"),
            ("LEAT_MANIFESTS", "memory:manifests"),
            ("LEAT_GLUE", "log:"),
        ];
        let vars = vars.map(|(k, v)| (k.into(), v.into())).into();
        let starter = leat_jobs::config::Config::from_vars(&vars).unwrap();
        Ports {
            store: MemoryStore::default(),
            shards: MemoryShards::new(["s-0", "s-1"]),
            starter: starter.starter(&self.aws).await.unwrap(),
            deployed: engine(RECIPE),
            keys: None,
            lake,
            aws: &self.aws,
            config: &self.config,
        }
    }

    /// Says that a pair of `engine` serves.
    fn serves(&self, engine: &Engine) -> Value {
        let serving = json!({
            "endpoint": "e", "state": "memory:s", "state_hash": "h", "recipe_hash": engine.hash(),
            "state_plan": engine.plan().state_plan,
        });
        std::fs::write(self.serving.path().join("serving.json"), serving.to_string()).unwrap();
        serving
    }
}

/// An event of the stream, or of a file if it has no shard.
struct Event {
    shard: &'static str,
    sequence: u64,
    who: &'static str,
    amount: f64,
}

fn event(shard: &'static str, sequence: u64, who: &'static str, amount: f64) -> Event {
    Event { shard, sequence, who, amount }
}

/// Publishes a unit of `events` and of sentinels, as `cleanse` does.
async fn publish(ports: &Memory<'_>, unit: &str, events: &[Event], sentinels: &[&str]) {
    let folder = cleansed_folder(ports);
    let mut buckets: BTreeMap<u32, Vec<&Event>> = BTreeMap::new();
    for event in events {
        buckets.entry(bucket_of(event.who, BUCKETS)).or_default().push(event);
    }
    let mut files = Vec::new();
    for (bucket, events) in buckets {
        let lines: Vec<String> = events
            .iter()
            .map(|Event { shard, sequence, who, amount }| {
                let at = timestamp::to_text(1_767_225_600_000_000 + *sequence as i64 * 60_000_000);
                format!(
                    r#"{{"id":"{shard}-{sequence}","who":"{who}","at":"{at}","amount":{amount}}}"#
                )
            })
            .collect();
        let raw: Vec<RawRecord<'_>> = events
            .iter()
            .zip(&lines)
            .map(|(event, line)| RawRecord {
                coordinates: coordinates(event),
                data: line.as_bytes(),
                landed: false,
            })
            .collect();
        let batch = ports.deployed.check(&raw).unwrap().batch;
        assert_eq!(batch.len(), events.len());
        let columns = cleansed::columns(ports.deployed.recipe());
        let rows = cleansed::write(ports.deployed.recipe(), &batch);
        let bytes = parquet::to_bytes(&columns, rows).unwrap();
        let path = format!("date=2026-01-01/bucket={bucket:02}/unit={unit}/part-0.parquet");
        folder.put(&path, bytes.clone()).await.unwrap();
        files.push(UnitFile { path, rows: batch.len() as u64, bytes: bytes.len() as u64 });
    }
    let unit = Unit {
        files,
        buckets: BUCKETS,
        sentinels: sentinels.iter().map(|name| (*name).to_owned()).collect(),
        ..Unit::without_data(unit, Decision::Published)
    };
    unit.publish(&folder).await.unwrap();
}

fn coordinates(event: &Event) -> Coordinates {
    let sequence = Sequence::new(&event.sequence.to_string());
    Coordinates {
        source: if event.shard.is_empty() { "file:history" } else { "events" }.into(),
        shard: event.shard.into(),
        position: Position { sequence, ..Position::default() },
        arrival: Some(0),
    }
}

fn cleansed_folder(ports: &Memory<'_>) -> Folder {
    ports.lake.folder("memory:lake/cleansed/world").unwrap()
}

/// A live item with marks at these places and a row in its outbox.
async fn live(
    ports: &Memory<'_>,
    engine: &Engine,
    who: &'static str,
    marks: &[(&'static str, u64)],
) {
    let mut item = Item { windows: vec![7], ..Item::default() };
    for (shard, sequence) in marks {
        item.set_mark(&coordinates(&event(shard, *sequence, who, 0.0)));
    }
    let key = state_key(&engine.plan().state_plan, who);
    ports.store.put(&key, 0, item.encode()).await.unwrap();
}

fn item(ports: &Memory<'_>, engine: &Engine, who: &str) -> Option<Item> {
    let items = ports.store.items();
    let stored = items.get(&state_key(&engine.plan().state_plan, who))?;
    Some(Item::decode(&stored.bytes).unwrap())
}

async fn step(ports: &Memory<'_>, event: Value, now: i64) -> Result<Value, Failure> {
    handle(ports, &event.to_string(), now).await
}

fn to(engine: &Engine) -> Value {
    json!({"recipe": "world", "recipe_hash": engine.hash(), "state_plan": engine.plan().state_plan})
}

/// What `sealed` says at `now`, in seconds.
async fn why(ports: &Memory<'_>, now: i64) -> String {
    let sealed =
        step(ports, json!({"step": "sealed", "run_folder": FOLDER}), now * 1000).await.unwrap();
    assert_eq!(sealed["sealed"] == json!(true), sealed["why"] == json!(""), "{sealed}");
    sealed["why"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn from_the_mark_to_the_seal() {
    let world = World::new();
    let ports = world.ports().await;
    let early = json!({"step": "sealed", "run_folder": FOLDER});
    let early = step(&ports, early, 0).await.unwrap_err();
    assert!(
        early.word() == "Input.Invalid" && early.to_string().contains("`mark` comes first"),
        "{early}"
    );
    let mark = json!({"step": "mark", "run_folder": FOLDER});
    let marked = step(&ports, mark.clone(), 1_000).await.unwrap();
    assert_eq!(marked, json!({"id": "h-1", "shards": {"s-0": "1", "s-1": "1"}, "at": 1000}));
    // Once: a repeat answers what stands.
    assert_eq!(step(&ports, mark, 2_000).await.unwrap(), marked);
    let records = ports.shards.records();
    assert_eq!(records.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(records["s-0"][0], br#"{"_leat_sentinel":"h-1"}"#);

    // One sentinel is there, and then the other; the buffers run out.
    publish(&ports, "u-2", &[event("s-0", 3, "A", 8.0)], &["h-1/s-0", "h-0/s-1"]).await;
    assert!(why(&ports, 10).await.contains("h-1/s-1 among them"));
    publish(&ports, "u-3", &[event("s-1", 9, "B", 16.0), event("s-1", 10, "N", 1.0)], &["h-1/s-1"])
        .await;
    assert!(why(&ports, 20).await.contains("for 61 s more"));
    assert!(why(&ports, 79).await.contains("for 2 s more"));
    // An object that the ledger does not know; one that waits; one that failed for another cause than our refusal.
    ports.lake.write("memory:lake/landing/stream/late.gz", "x").await.unwrap();
    assert!(why(&ports, 81).await.contains("not known to the ledger"));
    let known = ports.lake.versions("memory:lake", "landing/stream/", 0).await.unwrap();
    let known = object("memory:lake", &known[0].key, None, known[0].etag.as_deref()).unwrap();
    // It is waited for, though the ledger came to know it after the buffers had run out.
    ports.starter.ledger.land("world", known, 82_000).await.unwrap();
    assert!(why(&ports, 83).await.contains("wait for their job"));
    // What lands later is not: the stream goes on.
    ports.lake.write("memory:lake/landing/stream/later.gz", "x").await.unwrap();
    assert!(why(&ports, 84).await.contains("wait for their job"));
}

#[tokio::test]
async fn what_failed_is_drained_first() {
    let world = World::new();
    let ports = world.ports().await;
    let (one, two) = (engine(RECIPE), engine(&wider()));
    let serving = world.serves(&one);
    live(&ports, &one, "A", &[("s-0", 0)]).await;
    live(&ports, &one, "B", &[("s-1", 1)]).await;
    let history = [event("", 1, "A", 1.0), event("", 2, "C", 1.0)];
    publish(&ports, "u-1", &history, &["h-1/s-0", "h-1/s-1"]).await;
    publish(&ports, "u-2", &[event("s-1", 1, "B", 4.0), event("s-1", 2, "B", 8.0)], &[]).await;
    step(&ports, json!({"step": "mark", "run_folder": FOLDER}), 1_000).await.unwrap();
    let failed = |code: &str| format!(r#"{{"errorCode":"{code}","rawData":"e30="}}"#);
    ports
        .lake
        .write("memory:lake/failed/a", failed("Lambda.ProcessingFailedStatus"))
        .await
        .unwrap();
    ports.lake.write("memory:lake/failed/b", failed("Lambda.FunctionTimedOut")).await.unwrap();
    assert!(why(&ports, 20).await.contains("Firehose's buffers"));
    let waits = why(&ports, 80).await;
    assert!(waits.contains("1 objects") && waits.contains("memory:lake/failed/b first"), "{waits}");
    ports.lake.folder("memory:lake/failed").unwrap().delete("b").await.unwrap();
    let sealed = json!({"step": "sealed", "run_folder": FOLDER});
    let sealed = step(&ports, sealed, 80_000).await.unwrap();
    let snapshot = format!("{FOLDER}snapshot.json");
    assert_eq!(sealed, json!({"sealed": true, "why": "", "snapshot": snapshot, "buckets": [0, 1]}));
    // What is published later is not part of it.
    publish(&ports, "u-9", &[event("", 9, "A", 32.0)], &[]).await;
    assert_eq!(why(&ports, 81).await, "");

    let load = |step: &str, bucket: u32, from: &Value| json!({"step": step, "run_folder": FOLDER, "bucket": bucket, "from": from, "to": to(&two)});
    let mut counts = [0, 0];
    for bucket in [0, 1] {
        let loaded = step(&ports, load("load", bucket, &serving), 0).await.unwrap();
        assert_eq!(loaded["bucket"], bucket);
        counts[0] += loaded["loaded"].as_u64().unwrap();
        counts[1] += loaded["taken_over"].as_u64().unwrap();
    }
    // A and B had items; C had none, and starts with its history.
    assert_eq!(counts, [3, 2]);
    let marks = |who| item(&ports, &two, who).unwrap().marks;
    assert_eq!(marks("B"), item(&ports, &one, "B").unwrap().marks);
    assert!(marks("C").is_empty());
    // B's second event came after its mark: it is not in its windows.
    let windows = |who| {
        let item = item(&ports, &two, who).unwrap();
        leat::windows::EntityState::decode(&item.windows).unwrap().greatest().unwrap()
    };
    assert_eq!(windows("B"), 1_767_225_600_000_000 + 60_000_000);

    // Another promotion was quicker: this one can neither load nor open anything.
    world.serves(&two);
    let late = step(&ports, load("load", 0, &serving), 0).await.unwrap_err();
    assert!(late.word() == "Input.Invalid" && late.to_string().contains("was quicker"), "{late}");
    for bucket in [0, 1] {
        let done = step(&ports, load("abandon", bucket, &serving), 0).await.unwrap();
        assert_eq!(done["reopened"], 0);
    }
    // Nothing was switched: what this attempt closed is opened again.
    world.serves(&one);
    let mut reopened = 0;
    for bucket in [0, 1] {
        let done = step(&ports, load("abandon", bucket, &serving), 0).await.unwrap();
        reopened += done["reopened"].as_u64().unwrap();
    }
    assert_eq!(reopened, 2);
    assert!(ports.store.items().values().all(|item| item.closed.is_none()));
}

#[tokio::test]
async fn what_the_new_recipe_refuses_is_handed_over_as_well() {
    let world = World::new();
    let ports = world.ports().await;
    // Every event here is far ahead of its arrival.
    let text = wider().replace("schema:", "schema:\n  max_ahead: 5m");
    let (one, two) = (engine(RECIPE), engine(&text));
    let url = format!("memory:lake/artifacts/recipes/world/{}/recipe.yaml", two.hash());
    ports.lake.write(&url, text).await.unwrap();
    let serving = world.serves(&one);
    live(&ports, &one, "A", &[("s-0", 1)]).await;
    live(&ports, &one, "B", &[("s-1", 1)]).await;
    let events = [event("s-0", 1, "A", 1.0), event("s-1", 1, "B", 2.0), event("s-1", 2, "C", 4.0)];
    publish(&ports, "u-1", &events, &["h-1/s-0", "h-1/s-1"]).await;
    step(&ports, json!({"step": "mark", "run_folder": FOLDER}), 1_000).await.unwrap();
    assert!(why(&ports, 20).await.contains("Firehose's buffers"));
    assert_eq!(why(&ports, 90).await, "");
    let all = async |step_name: &str, count: &str| {
        let mut sum = 0;
        for bucket in [0, 1] {
            let event = json!({"step": step_name, "run_folder": FOLDER, "bucket": bucket, "from": serving, "to": to(&two)});
            sum += step(&ports, event, 0).await.unwrap()[count].as_u64().unwrap();
        }
        sum
    };
    assert_eq!(all("load", "taken_over").await, 2); // C has no item, and nothing to start with
    for who in ["A", "B"] {
        let (old, new) = (item(&ports, &one, who).unwrap(), item(&ports, &two, who).unwrap());
        assert_eq!(new, Item { windows: Vec::new(), ..old });
    }
    let closed = || ports.store.items().values().filter(|item| item.closed.is_some()).count();
    assert_eq!(closed(), 2);
    assert_eq!((all("abandon", "reopened").await, closed()), (2, 0));
}

#[tokio::test]
async fn the_first_launch() {
    let world = World::new();
    let ports = world.ports().await;
    let one = engine(RECIPE);
    let history = [event("", 1, "A", 1.0), event("", 2, "C", 1.0), event("s-0", 1, "A", 2.0)];
    publish(&ports, "u-1", &history, &[]).await;
    let taken = step(&ports, json!({"step": "snapshot", "run_folder": FOLDER}), 0).await.unwrap();
    assert_eq!(taken["buckets"], json!([0, 1]));
    let load = |bucket: u32| json!({"step": "load", "run_folder": FOLDER, "bucket": bucket, "from": null, "to": to(&one)});
    for _ in 0..2 {
        for bucket in [0, 1] {
            step(&ports, load(bucket), 0).await.unwrap();
        }
    }
    assert_eq!(ports.store.items().len(), 2);
    assert!(item(&ports, &one, "A").unwrap().marks.is_empty());
    // The mapping was enabled before anything served: entities have marks, and the stream must be marked first.
    let ports = world.ports().await;
    publish(&ports, "u-1", &history, &[]).await;
    step(&ports, json!({"step": "snapshot", "run_folder": FOLDER}), 0).await.unwrap();
    live(&ports, &one, "A", &[("s-0", 1)]).await;
    let bucket = bucket_of("A", BUCKETS);
    let why = step(&ports, load(bucket), 0).await.unwrap_err();
    assert!(
        why.word() == "Input.Invalid" && why.to_string().contains("disable the mapping"),
        "{why}"
    );
}

#[tokio::test]
async fn a_sentinel_in_a_refused_unit() {
    let world = World::new();
    let ports = world.ports().await;
    step(&ports, json!({"step": "mark", "run_folder": FOLDER}), 1_000).await.unwrap();
    let unit =
        Unit { sentinels: vec!["h-1/s-1".into()], ..Unit::without_data("u-1", Decision::Refused) };
    unit.publish(&cleansed_folder(&ports)).await.unwrap();
    let sealed = json!({"step": "sealed", "run_folder": FOLDER});
    let why = step(&ports, sealed, 2_000).await.unwrap_err();
    assert!(why.word() == "DataQuality.Failed" && why.to_string().contains("u-1"), "{why}");
}

#[tokio::test]
async fn a_sentinel_among_nothing_but_rejected_rows() {
    let world = World::new();
    let ports = world.ports().await;
    step(&ports, json!({"step": "mark", "run_folder": FOLDER}), 1_000).await.unwrap();
    // Its rule wants rows, and every line was damaged: nothing of it was applied, and nothing is missing.
    let unit = Unit {
        sentinels: vec!["h-1/s-0".into(), "h-1/s-1".into()],
        counts: [("written".into(), 0), ("quarantined".into(), 2)].into(),
        ..Unit::without_data("u-1", Decision::Refused)
    };
    unit.publish(&cleansed_folder(&ports)).await.unwrap();
    assert!(why(&ports, 2).await.contains("Firehose's buffers"));
}

#[tokio::test]
async fn what_is_no_step() {
    let world = World::new();
    let ports = world.ports().await;
    let one = engine(RECIPE);
    for (event, part) in [
        (json!({}), "not a step"),
        (json!({"step": "dance", "run_folder": FOLDER}), "not a step"),
        (json!({"step": "mark", "run_folder": "memory:lake/x/"}), "no folder of a run"),
        (
            json!({"step": "mark", "run_folder": "memory:lake/artifacts/runs/other/h-1/"}),
            "recipe `other`",
        ),
        (
            json!({"step": "load", "run_folder": FOLDER, "bucket": 0, "from": null, "to": to(&one)}),
            "snapshot.json",
        ),
    ] {
        let why = step(&ports, event, 0).await.unwrap_err();
        assert!(why.word() == "Input.Invalid" && why.to_string().contains(part), "{part}: {why}");
    }
    // A recipe of another entity; one of another state plan than the pair says.
    let text = RECIPE.replace("role: id}", "role: x}").replace("role: entity}", "role: id}");
    let text = text.replace("role: x}", "role: entity}");
    let other = engine(&text);
    let url = format!("memory:lake/artifacts/recipes/world/{}/recipe.yaml", other.hash());
    ports.lake.write(&url, text).await.unwrap();
    step(&ports, json!({"step": "snapshot", "run_folder": FOLDER}), 0).await.unwrap();
    let wrong =
        json!({"step": "load", "run_folder": FOLDER, "bucket": 0, "from": null, "to": to(&other)});
    let why = step(&ports, wrong, 0).await.unwrap_err();
    assert!(why.word() == "Recipe.Invalid" && why.to_string().contains("another entity"), "{why}");
    let mut wrong = to(&engine(&wider()));
    wrong["state_plan"] = json!("p");
    let wrong =
        json!({"step": "load", "run_folder": FOLDER, "bucket": 0, "from": null, "to": wrong});
    assert_eq!(step(&ports, wrong, 0).await.unwrap_err().word(), "Recipe.Invalid");
}

#[tokio::test]
async fn what_failed_in_firehose_lands_with_its_place_in_the_stream() {
    let world = World::new();
    let mut ports = world.ports().await;
    let land = json!({"step": "land"});
    let why = step(&ports, land.clone(), 0).await.unwrap_err();
    assert_eq!((why.word(), why.to_string().contains("LEAT_KEYS")), ("Config.Invalid", true));
    let keys = Keys::from_secret(&[7; 32]).unwrap();
    ports.keys = Some(keys.clone());
    let line =
        |id: &str| format!(r#"{{"id":"{id}","who":"A","at":"2026-01-01T00:00:00Z","amount":1}}"#);
    let two = format!("{}\n{{broken\n{}\n", line("b"), line("c"));
    let shard = |id: &str| Shard { id: id.into(), hash_key: "0".into() };
    for (id, data) in [
        ("s-0", line("a")),
        ("s-0", two.clone()),
        ("s-1", line("d")),
        ("s-1", line("e")),
        // Which of the two failed, nobody knows.
        ("s-0", line("e")),
    ] {
        ports.shards.put(&shard(id), data.as_bytes()).await.unwrap();
    }
    let failed = |code: &str, data: &str| {
        let data = base64_simd::STANDARD.encode_to_string(data);
        format!("{{\"arrivalTimestamp\":5,\"errorCode\":\"{code}\",\"rawData\":\"{data}\"}}\n")
    };
    let (refused, slow) = ("Lambda.ProcessingFailedStatus", "Lambda.FunctionTimedOut");
    for (key, object) in [
        ("date=1/x", failed(slow, &two) + &failed(refused, "{")),
        ("date=1/y", failed(slow, &line("e"))),
        ("date=1/gone", failed(slow, &line("d")) + &failed(slow, &line("z"))),
        ("date=1/ours", failed(refused, "{")),
        ("date=1/what", "?".into()),
    ] {
        ports.lake.write(&format!("memory:lake/failed/{key}"), object).await.unwrap();
    }
    let done = step(&ports, land.clone(), 0).await.unwrap();
    assert_eq!(done, json!({"objects": 2, "lines": 5, "left": 2}));
    let keys_in = async |folder: &str| -> Vec<String> {
        let listed = ports.lake.folder(folder).unwrap().list("").await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    };
    // What the stream no longer has, and what cannot be read, stays; and what our own transform refused.
    assert_eq!(keys_in("memory:lake/failed").await, ["date=1/gone", "date=1/ours", "date=1/what"]);
    let landing = "memory:lake/landing/stream/world/replayed";
    let objects = keys_in(landing).await;
    assert_eq!(objects, ["failed-s-0-2.jsonl", "failed-s-1-1.jsonl"]);
    let recipe = read(Source { file: "recipe.yaml", text: RECIPE }).unwrap();
    let reader = Engine::new(recipe, None, Some(keys)).unwrap();
    let mut found = Vec::new();
    for key in &objects {
        let text = ports.lake.read(&format!("{landing}/{key}")).await.unwrap();
        let at = Coordinates {
            source: key.as_str().into(),
            shard: "".into(),
            position: Position::default(),
            arrival: None,
        };
        let record = RawRecord { coordinates: at, data: &text, landed: true };
        let checked = reader.check(&[record]).unwrap();
        assert!(checked.rejects.is_empty());
        for (row, meta) in checked.batch.rows.iter().enumerate() {
            let at = &meta.coordinates;
            let id = checked.batch.columns[0].text(row).unwrap().to_owned();
            let place = (at.position.sequence.as_str().to_owned(), at.position.line);
            found.push((id, (at.source.to_string(), at.shard.to_string()), place));
        }
    }
    let expect = |id: &str, shard: &str, sequence: &str, line| {
        (id.to_owned(), ("memory".to_owned(), shard.to_owned()), (sequence.to_owned(), line))
    };
    let wanted = [
        expect("b", "s-0", "2", 0),
        expect("c", "s-0", "2", 2),
        expect("e", "s-0", "3", 0),
        expect("d", "s-1", "1", 0),
        expect("e", "s-1", "2", 0),
    ];
    assert_eq!(found, wanted);
    // Once more: what is left is looked for again, and lands over itself.
    let done = step(&ports, land, 0).await.unwrap();
    assert_eq!(done, json!({"objects": 0, "lines": 1, "left": 2}));
    assert_eq!(keys_in(landing).await, objects);
}
