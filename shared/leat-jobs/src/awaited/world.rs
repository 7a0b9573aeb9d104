//! A world for tests: a table that pauses at each call, jobs that do what they are told, tasks in memory, a clock that is set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::*;
use crate::starter::world::{FakeJobs, Fault, PausingTable, run};
use crate::tasks::MemoryTasks;

pub type TestAwaited<'a> =
    Awaited<'a, PausingTable, FakeJobs, MemoryTasks, Box<dyn Fn() -> i64 + Send + Sync + 'a>>;

pub struct World {
    pub ledger: Ledger<PausingTable>,
    pub jobs: FakeJobs,
    pub tasks: MemoryTasks,
    clock: AtomicI64,
}

pub fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub fn wanted(token: Option<&str>) -> Wanted {
    Wanted {
        job: "features".into(),
        arguments: [("--leat-run".into(), "s3://lake/run/".into())].into(),
        name: "run-1_Features".into(),
        token: token.map(|text| Token::try_from(text.to_owned()).unwrap()),
    }
}

impl World {
    pub fn new() -> Self {
        let jobs = FakeJobs::default();
        jobs.0.lock().unwrap().limit = 1;
        let ledger = Ledger::new(PausingTable::default());
        World {
            ledger,
            jobs,
            tasks: MemoryTasks::default(),
            clock: AtomicI64::new(1_767_225_600_000),
        }
    }

    pub fn awaited(&self) -> TestAwaited<'_> {
        let clock = Box::new(|| self.clock.load(Ordering::SeqCst));
        Awaited { ledger: &self.ledger, jobs: &self.jobs, tasks: &self.tasks, clock }
    }

    pub fn tick(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// A state asks, with this token.
    pub async fn ask(&self, token: &str) -> Result<Going, Failure> {
        self.awaited().start(&wanted(Some(token)), token, deadline()).await
    }

    /// EventBridge tells that run `number` ended.
    pub async fn callback(&self, number: usize) -> Result<bool, Failure> {
        let id = format!("jr_{number}");
        let told = self.jobs.run(&Start::job("features"), &id).await?.unwrap();
        self.awaited().ended(&id, &told, deadline()).await
    }

    pub async fn reconcile(&self) -> Reconciled {
        self.awaited().reconcile(deadline()).await.unwrap()
    }

    pub fn end(&self, number: usize, end: &'static str, error: Option<&'static str>) {
        let run = &mut self.jobs.0.lock().unwrap().runs[number];
        (run.end, run.error) = (Some(end), error);
    }

    /// Nobody waits for `token` any more: its state timed out.
    pub fn forget(&self, token: &str) {
        let token = wanted(Some(token)).token.unwrap();
        drop(run(self.tasks.failure(&token, &Failure::Busy("the state timed out".into()))));
    }

    pub fn faults(&self, fault: Fault) {
        self.jobs.0.lock().unwrap().faults.push_back(fault);
    }

    pub fn runs(&self) -> usize {
        self.jobs.0.lock().unwrap().runs.len()
    }

    pub fn row(&self) -> TaskRow {
        run(self.ledger.task("run-1_Features")).unwrap().unwrap().says
    }

    pub fn open(&self) -> usize {
        run(self.ledger.open_tasks()).unwrap().len()
    }
}
