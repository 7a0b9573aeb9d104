//! A small world in memory: twins of what the function talks to, which fail when they are told to.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use leat::engine::{Engine, Source, read};
use leat::features::{Features, FittedState};
use leat::windows::EntityState;
use leat::windows::item::{Item, state_key};
use leat_aws::{Call, Deadline, Failure};
use leat_lake::{Aside, LakeError};
use leat_stream::endpoint::{Endpoint, Refusal};
use leat_stream::sink::{Row, Sink, Taken};
use leat_stream::store::{Commit, EntityStore, MemoryStore, Stored, TakeOver};
use tokio::sync::Notify;

use crate::config::Limits;
use crate::handler::{Handled, Ports, handle};
use crate::model::{Fitted, Model};

/// The recipe that serves first.
pub const RECIPE: &str = r#"
leat: 1
name: world
schema:
  format: json
  fields:
    - {name: id,     type: string,    role: id}
    - {name: who,    type: string,    role: entity}
    - {name: at,     type: timestamp, role: event_time}
    - {name: amount, type: double}
  dedupe: {within: 1h}
windows:
  - {sum: amount, count: "*", over: [1h]}
features:
  - {op: log, in: amount_sum_1h, offset: 1}
output:
  features: [amount, amount_sum_1h, count_1h]
"#;

/// When the first record of a test arrives, in seconds.
pub const ARRIVAL: u64 = 1_767_225_600;

/// What the function asks of its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Get,
    Put,
    Emit,
    Ask,
    Aside,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and an error says so.
    Fail,
    /// It happens, and an error says that it did not.
    FailAfter,
    /// The process ends before it happens.
    CrashBefore,
    /// The process ends after it happened.
    CrashAfter,
    /// A read answers as things were before the last invocation.
    Old,
}

type Plan = Box<dyn FnMut(Op) -> Option<Fault>>;

/// Decides what goes wrong, and ends the process.
pub struct Fate {
    plan: RefCell<Plan>,
    crash: Notify,
}

impl Fate {
    async fn of(&self, op: Op) -> Option<Fault> {
        let fault = (self.plan.borrow_mut())(op);
        if fault == Some(Fault::CrashBefore) {
            self.end::<()>().await;
        }
        fault
    }

    async fn after(&self, fault: Option<Fault>) -> Result<(), Failure> {
        match fault {
            Some(Fault::CrashAfter) => self.end().await,
            Some(Fault::FailAfter) => Err(busy()),
            _ => Ok(()),
        }
    }

    async fn end<T>(&self) -> T {
        self.crash.notify_one();
        std::future::pending().await
    }
}

fn busy() -> Failure {
    Failure::Busy("a fault".into())
}

pub struct StoreTwin {
    pub inner: MemoryStore,
    fate: Rc<Fate>,
    before: RefCell<[HashMap<String, Stored>; 2]>,
}

impl EntityStore for StoreTwin {
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure> {
        match self.fate.of(Op::Get).await {
            Some(Fault::Old) => {
                let before = self.before.borrow();
                Ok(keys
                    .iter()
                    .filter_map(|k| Some((k.clone(), before[0].get(k)?.clone())))
                    .collect())
            }
            Some(_) => Err(busy()),
            None => self.inner.get(keys).await,
        }
    }

    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure> {
        self.write(self.inner.put(key, expected, bytes)).await
    }
}

/// The writes of a hand-over go wrong as commits do.
impl TakeOver for StoreTwin {
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        self.write(self.inner.close(key, version, by)).await
    }

    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        self.write(self.inner.reopen(key, version, by)).await
    }

    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure> {
        self.write(self.inner.replace(key, found, bytes, took)).await
    }
}

impl StoreTwin {
    async fn write(
        &self,
        work: impl Future<Output = Result<Commit, Failure>>,
    ) -> Result<Commit, Failure> {
        let fault = self.fate.of(Op::Put).await;
        if fault == Some(Fault::Fail) {
            return Err(busy());
        }
        let commit = work.await;
        self.fate.after(fault).await?;
        commit
    }
}

/// Keeps every row that it is given: a stream, with its repeats.
pub struct SinkTwin {
    pub rows: RefCell<Vec<(String, Vec<u8>)>>,
    /// Keys that are refused.
    pub refuses: RefCell<HashSet<String>>,
    fate: Rc<Fate>,
}

impl Sink for SinkTwin {
    async fn put(&self, rows: &[Row<'_>], _: Deadline) -> Vec<Taken> {
        let fault = self.fate.of(Op::Emit).await;
        if fault == Some(Fault::Fail) {
            return vec![Err("a fault".into()); rows.len()];
        }
        let mut taken = Vec::new();
        for row in rows {
            if self.refuses.borrow().contains(row.key) {
                taken.push(Err("refused".into()));
            } else {
                self.rows.borrow_mut().push((row.key.into(), row.bytes.into()));
                taken.push(Ok(()));
            }
        }
        match self.fate.after(fault).await {
            Ok(()) => taken,
            Err(why) => vec![Err(why.to_string()); rows.len()],
        }
    }
}

/// Predicts the sum of a row's numbers. An amount of 400 is refused; one of 503 fails the whole call.
pub struct EndpointTwin {
    fate: Rc<Fate>,
    pub calls: RefCell<usize>,
}

impl Endpoint for EndpointTwin {
    async fn invoke(&self, _: &str, csv: Vec<u8>, _: &str) -> Result<Vec<u8>, Refusal> {
        *self.calls.borrow_mut() += 1;
        if self.fate.of(Op::Ask).await.is_some() {
            return Err(Refusal::Call(Failure::Config("a fault".into())));
        }
        let text = String::from_utf8(csv).unwrap();
        let mut out = Vec::new();
        for line in text.lines() {
            match line.split(',').next() {
                Some("400.0") => return Err(Refusal::Payload("status 400".into())),
                Some("503.0") => return Err(Refusal::Call(Failure::Config("status 503".into()))),
                _ => {}
            }
            let sum: f64 = line.split(',').filter_map(|x| x.parse::<f64>().ok()).sum();
            out.extend(format!("{sum}\n").into_bytes());
        }
        Ok(out)
    }
}

pub struct AsideTwin {
    pub objects: RefCell<BTreeMap<String, Vec<u8>>>,
    fate: Rc<Fate>,
}

impl Aside for AsideTwin {
    async fn put(&self, key: &str, lines: Vec<u8>) -> Result<(), LakeError> {
        let failed = |_| LakeError::Busy { url: key.into(), why: "a fault".into() };
        let fault = self.fate.of(Op::Aside).await;
        if fault == Some(Fault::Fail) {
            return Err(failed(busy()));
        }
        self.objects.borrow_mut().insert(key.into(), lines);
        self.fate.after(fault).await.map_err(failed)
    }
}

pub struct World {
    pub ports: Ports<StoreTwin, SinkTwin, EndpointTwin, AsideTwin>,
    pub model: Model,
    pub limits: Limits,
    /// Seconds after [`ARRIVAL`].
    pub now: u64,
    /// The time that each invocation has.
    pub time: Duration,
    fate: Rc<Fate>,
}

impl World {
    pub fn new() -> Self {
        let fate = Rc::new(Fate { plan: RefCell::new(Box::new(|_| None)), crash: Notify::new() });
        World {
            ports: Ports {
                store: StoreTwin {
                    inner: MemoryStore::default(),
                    fate: fate.clone(),
                    before: RefCell::default(),
                },
                sinks: SinkTwin {
                    rows: RefCell::default(),
                    refuses: RefCell::default(),
                    fate: fate.clone(),
                },
                endpoint: EndpointTwin { fate: fate.clone(), calls: RefCell::default() },
                aside: AsideTwin { objects: RefCell::default(), fate: fate.clone() },
            },
            model: model(RECIPE, "endpoint"),
            limits: Limits { max_record_age: Duration::from_secs(21_600), lanes: 1 },
            now: 100,
            time: Duration::from_secs(60),
            fate,
        }
    }

    /// What goes wrong from now on: each entry once, in order, when its turn comes.
    pub fn faults(&self, faults: &[(Op, Fault)]) {
        let mut left: Vec<(Op, Fault)> = faults.to_vec();
        self.plan(move |op| {
            let at = left.iter().position(|(wanted, _)| *wanted == op)?;
            Some(left.remove(at).1)
        });
    }

    /// What goes wrong from now on.
    pub fn plan(&self, plan: impl FnMut(Op) -> Option<Fault> + 'static) {
        *self.fate.plan.borrow_mut() = Box::new(plan);
    }

    /// One invocation; none if the process ended. Its accounts balance, and a row that was emitted before is emitted
    /// with the same bytes.
    pub async fn invoke(&self, event: &str) -> Option<Handled> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(ARRIVAL + self.now);
        {
            let mut before = self.ports.store.before.borrow_mut();
            before.swap(0, 1);
            before[1] = self.ports.store.inner.items();
        }
        let call = Call { request_id: "r-1".into(), deadline: Deadline::after(self.time) };
        let handled = tokio::select! {
            handled = handle(&self.ports, &self.model, &self.limits, event, &call, now) => Some(handled.unwrap()),
            () = self.fate.crash.notified() => None,
        };
        self.rows();
        if let Some(handled) = &handled {
            assert!(handled.accounts.balance(), "{:?}", handled.accounts);
            let back = handled.answer.batch_item_failures.is_empty();
            assert_eq!(back, handled.accounts.handed_back == 0, "{handled:?}");
        }
        handled
    }

    /// Does `work` until it is done or the process ends: then none.
    pub async fn until_crash<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.fate.crash.notified() => None,
        }
    }

    /// The rows that the sink has, by key: each key's bytes are the same however often it came.
    pub fn rows(&self) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        for (key, bytes) in &*self.ports.sinks.rows.borrow() {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let known = rows.entry(key.clone()).or_insert_with(|| text.clone());
            assert_eq!(*known, text, "emitted again, other bytes");
        }
        rows
    }

    /// How often the sink got `key`.
    pub fn times(&self, key: &str) -> usize {
        self.ports.sinks.rows.borrow().iter().filter(|(k, _)| k == key).count()
    }

    pub fn item(&self, who: &str) -> Item {
        let key = state_key(&self.model.engine.plan().state_plan, who);
        Item::decode(&self.ports.store.inner.items()[&key].bytes).unwrap()
    }

    /// The windows of every entity, by key.
    pub fn states(&self) -> BTreeMap<String, Vec<u8>> {
        let items = self.ports.store.inner.items();
        items
            .into_iter()
            .map(|(key, stored)| (key, Item::decode(&stored.bytes).unwrap().windows))
            .collect()
    }

    pub fn key(&self, who: &str) -> String {
        state_key(&self.model.engine.plan().state_plan, who)
    }

    /// The objects under `kind`: all their lines.
    pub fn aside(&self, kind: &str) -> Vec<String> {
        let objects = self.ports.aside.objects.borrow();
        let of = objects.iter().filter(|(key, _)| key.starts_with(kind));
        of.flat_map(|(_, lines)| {
            String::from_utf8(lines.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }
}

/// What serves with the recipe `text`.
pub fn model(text: &str, endpoint: &str) -> Model {
    let engine = engine_of(text);
    let state =
        FittedState::new(engine.recipe(), engine.plan(), engine.hash(), 0, &[None]).unwrap();
    let features = Features::bind(engine.recipe(), engine.plan(), &state).unwrap();
    let fitted = Fitted::new(features, &state.hash, Some(endpoint.into()));
    Model { engine: Rc::new(engine), fitted: Some(fitted) }
}

pub fn engine() -> Engine {
    engine_of(RECIPE)
}

/// The engine of a recipe, which its ruleset follows after `---`, if it has one.
pub fn engine_of(text: &str) -> Engine {
    let (text, rules) = text.split_once("---").map_or((text, None), |(a, b)| (a, Some(b)));
    let recipe = read(Source { file: "recipe.yaml", text }).unwrap();
    let rules = rules.map(|text| Source { file: "quality.dqdl", text });
    Engine::new(recipe, rules, None).unwrap()
}

/// An event as a producer sends it.
pub fn line(id: &str, who: &str, minute: u64, amount: f64) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!(
        r#"{{"id":"{id}","who":"{who}","at":"2026-01-01T{hour:02}:{minute:02}:00Z","amount":{amount}}}"#
    )
}

/// A record of the mapping's event.
#[derive(Clone, Debug)]
pub struct Record {
    pub shard: &'static str,
    pub sequence: u64,
    pub data: String,
    pub key: String,
}

pub fn record(shard: &'static str, sequence: u64, data: impl Into<String>) -> Record {
    Record { shard, sequence, data: data.into(), key: "k".into() }
}

/// The mapping's event of `records`.
pub fn event(records: &[Record]) -> String {
    let records: Vec<String> = records
        .iter()
        .map(|Record { shard, sequence, data, key }| {
            let data = base64_simd::STANDARD.encode_to_string(data);
            let arrival = ARRIVAL + sequence % 1000;
            format!(
                r#"{{"kinesis":{{"partitionKey":"{key}","sequenceNumber":"{sequence}","data":"{data}","approximateArrivalTimestamp":{arrival}}},"eventID":"{shard}:{sequence}","eventSourceARN":"arn:aws:kinesis:eu-west-1:1:stream/events"}}"#
            )
        })
        .collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

/// The answer's one number; none if all is done.
pub fn failed(handled: &Handled) -> Option<u64> {
    let failures = &handled.answer.batch_item_failures;
    assert!(failures.len() <= 1);
    failures.first().map(|f| f.item_identifier.parse().unwrap())
}

/// The states that one pass over `lines` leaves, without any store: by entity.
pub fn one_pass(lines: &[String]) -> BTreeMap<String, EntityState> {
    one_pass_of(&engine(), lines)
}

/// The same with another recipe.
pub fn one_pass_of(engine: &Engine, lines: &[String]) -> BTreeMap<String, EntityState> {
    let records: Vec<Record> =
        lines.iter().zip(1..).map(|(l, n)| record("s", n, l.clone())).collect();
    let delivery = crate::intake::read(engine, &event(&records), 1).unwrap();
    let mut states: BTreeMap<String, EntityState> = BTreeMap::new();
    for row in 0..delivery.batch.len() {
        let who = engine.entity(&delivery.batch, row).into_owned();
        let state = states.entry(who).or_default();
        engine.windows().apply(
            state,
            &delivery.batch.columns,
            row,
            delivery.batch.rows[row].identity,
        );
    }
    states
}
