//! A world for tests: a table that pauses before and after each call, so that whoever holds the future decides who goes on
//! and who dies where; jobs that do what they are told; a lake in memory; a clock that is set.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use leat_lake::Lake;
use leat_lake::units::Unit;

use super::*;
use crate::object::object;
use crate::table::memory::MemoryTable;
use crate::table::{Key, Row, Write};

pub const SETS: &str = r#"[
    {"name": "cards", "bucket": "memory:lake", "prefixes": [{"prefix": "landing/cards/", "trusted": true}],
     "cleansed": "memory:lake/cleansed/cards/", "start": {"glue": {"job": "cleanse", "arguments": {"--x": "y"}}}},
    {"name": "labels", "bucket": "memory:lake", "prefixes": [{"prefix": "landing/labels/"}],
     "cleansed": "memory:lake/cleansed/labels/", "start": {"glue": {"job": "cleanse"}}}]"#;

/// What a run says that a rule halted.
pub const HALT: &str = "Failed: DataQuality.Failed: unit u is refused by 1 rule(s)";

async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        context.waker().wake_by_ref(); // whoever polls many at once asks only those that called
        if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[derive(Debug, Default)]
pub struct PausingTable(MemoryTable);

impl Table for PausingTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, Failure> {
        pause().await;
        let row = self.0.get(key).await;
        pause().await;
        row
    }

    async fn query(&self, pk: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        pause().await;
        let rows = self.0.query(pk, limit).await;
        pause().await;
        rows
    }

    async fn write(&self, writes: Vec<Write>) -> Result<bool, Failure> {
        pause().await;
        let done = self.0.write(writes).await;
        pause().await;
        done
    }
}

/// What the next start does, where it is not as usual.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call times out; a run was started, or not.
    Unknown { started: bool },
    /// The service refuses.
    Refused,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub claim: String,
    pub manifest: String,
    pub set: String,
    pub end: Option<&'static str>,
    /// What it says of its failure.
    pub error: Option<&'static str>,
}

#[derive(Debug, Default)]
pub struct Service {
    pub runs: Vec<Job>,
    pub limit: usize,
    pub faults: VecDeque<Fault>,
    /// How often it was asked to start.
    pub asked: usize,
}

#[derive(Clone, Debug, Default)]
pub struct FakeJobs(pub Arc<Mutex<Service>>);

impl Jobs for FakeJobs {
    async fn start(&self, order: &Order<'_>) -> Ordered {
        pause().await;
        let answer = {
            let mut service = self.0.lock().unwrap();
            service.asked += 1;
            let fault = service.faults.pop_front();
            let busy = service.runs.iter().filter(|run| run.end.is_none()).count() >= service.limit;
            let id = format!("jr_{}", service.runs.len());
            let run = |service: &mut Service| {
                // A workflow's run has no manifest.
                let (set, manifest) = Claim::parts(order.claim).unwrap_or_default();
                let list = order.arguments.get("--leat-manifest").map_or("/.json", String::as_str);
                assert!(list.ends_with(&format!("{set}/{manifest}.json")));
                assert_eq!(order.arguments["--leat-claim"], order.claim);
                service.runs.push(Job {
                    id: id.clone(),
                    claim: order.claim.into(),
                    manifest: manifest.into(),
                    set: set.into(),
                    end: None,
                    error: None,
                });
            };
            let why = Failure::Busy("timed out".into());
            match fault {
                Some(Fault::Refused) => Ordered::Refused(Failure::Config("no such job".into())),
                _ if busy => Ordered::Busy,
                Some(Fault::Unknown { started: false }) => Ordered::Unknown(why),
                Some(Fault::Unknown { started: true }) => {
                    run(&mut service);
                    Ordered::Unknown(why)
                }
                None => {
                    run(&mut service);
                    Ordered::Started(id.clone())
                }
            }
        };
        pause().await;
        answer
    }

    async fn run(&self, _: &Start, run: &str) -> Result<Option<Run>, Failure> {
        pause().await;
        let service = self.0.lock().unwrap();
        Ok(service.runs.iter().find(|job| job.id == run).map(|job| Run {
            claim: Some(job.claim.clone()),
            end: job.end.map(Into::into),
            error: job.error.map(Into::into),
        }))
    }

    async fn find(&self, order: &Order<'_>) -> Result<Option<String>, Failure> {
        pause().await;
        let service = self.0.lock().unwrap();
        Ok(service.runs.iter().find(|job| job.claim == order.claim).map(|job| job.id.clone()))
    }
}

pub type TestStarter = Starter<PausingTable, FakeJobs, Box<dyn Fn() -> i64 + Sync>>;

pub struct World {
    pub starter: TestStarter,
    pub jobs: FakeJobs,
    pub clock: Arc<AtomicI64>,
    pub lake: Lake,
}

impl World {
    pub fn new() -> Self {
        let (jobs, clock) = (FakeJobs::default(), Arc::new(AtomicI64::new(1_767_225_600_000)));
        jobs.0.lock().unwrap().limit = 1;
        let lake = Lake::new(&BTreeMap::new());
        let now = clock.clone();
        let starter = Starter {
            ledger: Ledger::new(PausingTable::default()),
            jobs: jobs.clone(),
            zones: Zones::open(lake.clone(), "memory:lake/manifests/").unwrap(),
            datasets: Datasets::parse(SETS).unwrap(),
            clock: Box::new(move || now.load(Ordering::SeqCst)) as Box<dyn Fn() -> i64 + Sync>,
        };
        World { starter, jobs, clock, lake }
    }

    pub fn set(&self, name: &str) -> &Dataset {
        self.starter.datasets.get(name).unwrap()
    }

    pub fn tick(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn call(&self, ask: bool) -> Call {
        static CALLS: AtomicI64 = AtomicI64::new(0);
        let by = CALLS.fetch_add(1, Ordering::SeqCst).to_string();
        Call { by, until: (self.starter.clock)() + 60_000, ask }
    }

    /// An event: object `number` landed.
    pub async fn event(&self, set: &str, number: usize) -> Report {
        let mut report = Report::default();
        let set = self.set(set);
        self.starter.land(set, vec![landed(&set.name, number)]).await.unwrap();
        self.starter.start(set, &self.call(false), &mut report).await;
        report
    }

    /// The hourly start, without its listing.
    pub async fn hourly(&self) -> Report {
        let mut report = Report::default();
        for set in self.starter.datasets.iter() {
            self.starter.start(set, &self.call(true), &mut report).await;
        }
        report
    }

    /// EventBridge tells that run `number` ended.
    pub async fn callback(&self, number: usize) -> Vec<Report> {
        let (id, end) = {
            let service = self.jobs.0.lock().unwrap();
            let Some(run) = service.runs.get(number) else { return Vec::new() };
            (run.id.clone(), run.end.unwrap_or("SUCCEEDED"))
        };
        let target = Start::job("cleanse");
        let told = self.jobs.run(&target, &id).await.unwrap().unwrap_or_default();
        let told = Run { end: told.end.or(Some(end.into())), ..told };
        let reports = self.starter.ended(&target, &id, &told, &self.call(false)).await.unwrap();
        reports.into_iter().map(|(_, report)| report).collect()
    }

    /// Run `number` publishes, or finds that it need not.
    pub async fn publish(&self, number: usize) {
        let run = self.jobs.0.lock().unwrap().runs[number].clone();
        self.starter
            .zones
            .decide(self.set(&run.set), &run.manifest, Decision::Published)
            .await
            .unwrap();
    }

    /// Run `number` ends.
    pub fn end(&self, number: usize, end: &'static str) {
        self.jobs.0.lock().unwrap().runs[number].end = Some(end);
    }

    pub fn runs(&self) -> Vec<Job> {
        self.jobs.0.lock().unwrap().runs.clone()
    }

    /// For each object: how many published units read it, and how many manifests at their end without data have it.
    pub async fn fates(&self, set: &str) -> BTreeMap<String, (usize, usize)> {
        let mut fates = BTreeMap::<String, (usize, usize)>::new();
        let set = self.set(set);
        let folder = self.lake.folder("memory:lake/manifests/").unwrap();
        let units = self.lake.folder(set.cleansed()).unwrap();
        for found in folder.list(&set.name).await.unwrap() {
            let id = found.key.rsplit_once('/').unwrap().1.trim_end_matches(".json").to_owned();
            let manifest = Manifest::read(&folder, &set.name, &id).await.unwrap().unwrap();
            let decision = Unit::read(&units, &id).await.unwrap().map(|unit| unit.decision);
            for object in manifest.objects {
                let fate = fates.entry(object.key).or_default();
                match decision {
                    Some(Decision::Published) => fate.0 += 1,
                    Some(Decision::Refused | Decision::Failed) => fate.1 += 1,
                    Some(Decision::Split) | None => {}
                }
            }
        }
        fates
    }

    /// The states of a data set's open manifests.
    pub async fn open(&self, set: &str) -> Vec<State> {
        let open = self.starter.ledger.open(set).await.unwrap();
        open.into_iter().map(|row| row.says.state).collect()
    }

    pub async fn waiting(&self, set: &str) -> usize {
        self.starter.ledger.landed(set, 1000).await.unwrap().len()
    }
}

pub fn landed(set: &str, number: usize) -> ManifestObject {
    let key = format!("landing/{set}/{number}.jsonl");
    let named = object("memory:lake", &key, Some("v"), None).unwrap();
    ManifestObject { size: 10, sequencer: Some(format!("{number:x}")), trusted: true, ..named }
}

/// Polls until the future is ready: nothing in this world waits for anything but a pause.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    poll(&mut std::pin::pin!(future), 1_000_000).unwrap()
}

/// Polls at most `times`; dropping the future afterwards is a crash at that place.
pub fn poll<T>(future: &mut (impl Future<Output = T> + Unpin), times: usize) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(answer) = std::pin::Pin::new(&mut *future).poll(&mut context) {
            return Some(answer);
        }
    }
    None
}
