//! The starter: takes what landed into manifests, starts a run for each, and follows them to their end.
//!
//! It runs after events, at each job's end and every hour, under a lease per data set. It may die at any line, and be
//! overtaken by another one that took it for dead; the order of its writes is what keeps the promise that **an object is
//! read by exactly one published unit**:
//!
//! 1. The list of objects is written, then the manifest's row (only while the lease is held), then the objects leave the
//!    queue. Who finds a manifest that is still taking finishes it before taking anything else.
//! 2. The claim is written before the run is started and handed to it. Who finds a claim without a run looks for the run by
//!    it, and starts another only when whoever claimed cannot be alive.
//! 3. What became of a manifest is one immutable object in the cleansed zone, written once by whoever is first: the run
//!    that publishes or refuses, or the starter that splits or gives up. Thus even a run that everybody took for dead cannot
//!    publish what others read again, and two runs of one manifest publish once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use leat_aws::Failure;
use leat_lake::manifest::{Manifest, ManifestObject};
use leat_lake::units::Decision;

use crate::dataset::{Dataset, Datasets, Start};
use crate::jobs::{Jobs, Order, Ordered, Run};
use crate::ledger::{Claim, Held, Landing, Ledger, ManifestRow, Read, State};
use crate::object::{hash, identity, sequence};
use crate::table::Table;
use crate::zones::Zones;

/// How long a lease lasts, in milliseconds; longer than a function may run.
pub const LEASE: i64 = 5 * 60 * 1000;
/// How long a claim without a run is left alone, in milliseconds: whoever made it held the lease.
const PATIENCE: i64 = LEASE + 60 * 1000;
/// How many runs a manifest gets, as a whole and as a half.
const RUNS_MAX: u32 = 3;
/// The most objects of a manifest.
const OBJECTS_MAX: usize = 1000;
/// The most bytes of a manifest, unless it has one object only.
const BYTES_MAX: u64 = 32 << 30;
/// How many objects are marked at once.
const LAND_AT_ONCE: usize = 16;
/// How often one call looks again at a data set.
const ROUNDS_MAX: usize = 20;
/// No new work is begun with less time than this left.
pub const MARGIN: Duration = Duration::from_secs(10);
/// The word for a run that its service does not know any more.
pub(crate) const GONE: &str = "GONE";

/// Which call this is, and how long it may last.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its own name: no other call has it, not even one that repeats it.
    pub by: String,
    /// When it must stop, in milliseconds since 1970.
    pub until: i64,
    /// True if it asks the service for every run that should be running, as the hourly one does.
    pub ask: bool,
}

impl Call {
    /// The starter's view of an invocation that begins `now`, in milliseconds since 1970. A retry of Lambda's has the same
    /// request id: the time tells them apart.
    pub fn new(call: &leat_aws::Call, now: i64, ask: bool) -> Self {
        let left = call.deadline.left().saturating_sub(MARGIN).as_millis();
        let until = now.saturating_add(i64::try_from(left).unwrap_or(LEASE).min(LEASE));
        Call { by: format!("{}-{now}", call.request_id), until, ask }
    }
}

/// What a call did, in manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs that were started.
    pub started: u64,
    /// Starts for which no more runs may be at once.
    pub busy: u64,
    /// Manifests whose output was published.
    pub done: u64,
    /// Manifests that a rule halted. An alarm.
    pub refused: u64,
    /// Manifests whose run failed and that are tried again, as a whole or in halves.
    pub retried: u64,
    /// Manifests that were tried as often as it is. An alarm.
    pub failed: u64,
    /// Why a data set's work was left to the next call.
    pub problems: Vec<Failure>,
}

impl Report {
    /// The counts as metrics.
    fn counts(&self) -> [(&'static str, u64); 7] {
        [
            ("started", self.started),
            ("busy", self.busy),
            ("done", self.done),
            ("refused", self.refused),
            ("retried", self.retried),
            ("failed", self.failed),
            ("problems", self.problems.len() as u64),
        ]
    }

    /// Writes the counts as metrics of `function` for `set`, and gives [`Report::worst`].
    pub fn tell(&self, function: &str, set: &Dataset) -> Option<Failure> {
        leat_aws::metrics(function, &set.name, &self.counts());
        self.worst().cloned()
    }

    /// The first problem that a person must mend, else the first.
    pub fn worst(&self) -> Option<&Failure> {
        self.problems.iter().find(|why| !why.is_transient()).or(self.problems.first())
    }
}

/// The starter of all data sets.
#[derive(Debug)]
pub struct Starter<T, J, C> {
    /// What landed.
    pub ledger: Ledger<T>,
    /// What runs.
    pub jobs: J,
    /// Where lists and decisions lie.
    pub zones: Zones,
    /// What may land.
    pub datasets: Datasets,
    /// The time, in milliseconds since 1970.
    pub clock: C,
}

impl<T: Table, J: Jobs, C: Fn() -> i64 + Sync> Starter<T, J, C> {
    /// Starts what waits in a data set.
    pub async fn start(&self, set: &Dataset, call: &Call, report: &mut Report) {
        // Boxed, as what lies below is many calls deep.
        if let Err(why) = Box::pin(self.rounds(set, call, report)).await {
            tracing::error!(dataset = set.name, word = why.word(), "{why}");
            report.problems.push(why);
        }
    }

    /// Lands what the last 7 days brought and no event told of. Answers how many objects were new.
    pub async fn land_missed(&self, set: &Dataset) -> Result<u64, Failure> {
        let now = (self.clock)();
        let mut new = 0;
        for prefix in &set.prefixes {
            let recent = self.zones.recent(set, prefix, now).await?;
            new += self.land(set, recent).await?;
        }
        Ok(new)
    }

    /// Marks objects as landed; answers how many of them were new.
    pub async fn land(&self, set: &Dataset, objects: Vec<ManifestObject>) -> Result<u64, Failure> {
        let now = (self.clock)();
        futures::stream::iter(objects)
            .map(|object| self.ledger.land(&set.name, object, now))
            .buffer_unordered(LAND_AT_ONCE)
            .try_fold(0, async |new, landing| Ok(new + u64::from(landing == Landing::New)))
            .await
    }

    /// A run of the Glue job, or of the state machine, `target` ended as `told`: follows its manifest, then starts what
    /// waits for the same target, whosever run it was. Answers a report for each data set of that target; none if
    /// there is no such data set.
    pub async fn ended(
        &self,
        target: &Start,
        run: &str,
        told: &Run,
        call: &Call,
    ) -> Result<Vec<(&Dataset, Report)>, Failure> {
        let sets = self.datasets.iter().filter(|set| set.start.same_target(target));
        let claim = told.claim.clone().unwrap_or_default();
        let ours = Claim::parts(&claim);
        let mut reports = Vec::new();
        for set in sets {
            let mut report = Report::default();
            if let Some((_, manifest)) = ours.filter(|(name, _)| *name == set.name) {
                Box::pin(self.follow(set, manifest, &claim, run, told, &mut report)).await?;
            }
            self.start(set, call, &mut report).await;
            reports.push((set, report));
        }
        Ok(reports)
    }

    /// Settles the manifest of a run that ended. Its run id may not be stored yet, or never.
    async fn follow(
        &self,
        set: &Dataset,
        id: &str,
        claim: &str,
        run: &str,
        told: &Run,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let Some(row) = self.ledger.manifest(&set.name, id).await? else { return Ok(()) };
        let row = match &row.says.state {
            State::Running { claim: by, .. } if by.id == claim => Some(row),
            State::Claimed { claim: by } if by.id == claim => {
                let state = State::Running { claim: by.clone(), run: run.into() };
                let to = ManifestRow { state, ..row.says.clone() };
                match self.ledger.advance(&row, to).await? {
                    Some(row) => Some(row),
                    // The starter stored the run id meanwhile.
                    None => self.ledger.manifest(&set.name, id).await?,
                }
            }
            // An older run, or a manifest at its end.
            _ => None,
        };
        if let Some(row) = row
            && matches!(&row.says.state, State::Running { claim: by, .. } if by.id == claim)
        {
            self.settle(set, row, Some(told), report).await?;
        }
        Ok(())
    }

    async fn rounds(&self, set: &Dataset, call: &Call, report: &mut Report) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let now = (self.clock)();
            if now >= call.until {
                break;
            }
            let held = self.ledger.acquire(&set.name, &call.by, now, LEASE).await?;
            let Some(held) = held else { break };
            let result = self.round(set, &held, call, report).await;
            let again = self.ledger.release(&set.name, held).await?;
            result?;
            if !again {
                break;
            }
        }
        Ok(())
    }

    /// One look at a data set, while the lease is held.
    async fn round(
        &self,
        set: &Dataset,
        held: &Held,
        call: &Call,
        report: &mut Report,
    ) -> Result<(), Failure> {
        for row in self.ledger.open(&set.name).await? {
            // One manifest that cannot be followed now holds up no other.
            if let Err(why) = self.check(set, row, call, report).await {
                tracing::error!(dataset = set.name, word = why.word(), "{why}");
                report.problems.push(why);
            }
        }
        let mut waiting = Vec::new();
        for row in self.ledger.open(&set.name).await? {
            if (self.clock)() >= call.until {
                return Ok(());
            }
            match row.says.state {
                State::Taking => waiting.extend(self.take(set, &row).await?),
                State::Waiting => waiting.push(row),
                _ => {}
            }
        }
        loop {
            for row in std::mem::take(&mut waiting) {
                if (self.clock)() >= call.until || !self.launch(set, row, call, report).await? {
                    return Ok(());
                }
            }
            match self.next(set, held).await? {
                Some(row) if (self.clock)() < call.until => waiting.push(row),
                _ => return Ok(()),
            }
        }
    }

    /// Takes objects that wait into a manifest. None if none wait, or the lease is lost.
    async fn next(&self, set: &Dataset, held: &Held) -> Result<Option<Read<ManifestRow>>, Failure> {
        let mut objects = Vec::new();
        let mut bytes = 0u64;
        for row in self.ledger.landed(&set.name, OBJECTS_MAX).await? {
            bytes = bytes.saturating_add(row.says.object.size);
            if bytes > BYTES_MAX && !objects.is_empty() {
                break;
            }
            objects.push(row.says.object);
        }
        if objects.is_empty() {
            return Ok(None);
        }
        objects.sort_by_cached_key(|object| (object.key.clone(), sequence(object)));
        let now = (self.clock)();
        let row = self.write(set, id(now, &objects), objects, now, None).await?;
        match self.ledger.make(&set.name, held, row).await? {
            Some(made) => self.take(set, &made).await,
            None => Ok(None),
        }
    }

    /// Writes the list of a manifest's objects, and gives the row to make.
    async fn write(
        &self,
        set: &Dataset,
        id: String,
        objects: Vec<ManifestObject>,
        created: i64,
        parent: Option<&ManifestRow>,
    ) -> Result<ManifestRow, Failure> {
        let count = objects.len();
        let manifest = Manifest {
            leat: 1,
            dataset: set.name.clone(),
            id: id.clone(),
            created: leat::timestamp::to_text(created.saturating_mul(1000)),
            objects,
        };
        let url = self.zones.write(&manifest).await?;
        Ok(ManifestRow {
            id,
            url,
            objects: count,
            created,
            failed_runs: parent.map_or(0, |parent| parent.failed_runs),
            parent: parent.map(|parent| parent.id.clone()),
            last_end: parent.and_then(|parent| parent.last_end.clone()),
            state: State::Taking,
        })
    }

    async fn take(
        &self,
        set: &Dataset,
        row: &Read<ManifestRow>,
    ) -> Result<Option<Read<ManifestRow>>, Failure> {
        let manifest = self.zones.manifest(set, &row.says.id).await?;
        self.ledger.take(&set.name, row, &manifest.objects, (self.clock)()).await
    }

    /// Claims and starts. False if no more can be started now.
    async fn launch(
        &self,
        set: &Dataset,
        row: Read<ManifestRow>,
        call: &Call,
        report: &mut Report,
    ) -> Result<bool, Failure> {
        let claim = Claim::next(&set.name, &row.says, &call.by, (self.clock)());
        let state = State::Claimed { claim: claim.clone() };
        let claimed = ManifestRow { state, ..row.says.clone() };
        let Some(claimed) = self.ledger.advance(&row, claimed).await? else { return Ok(true) };
        let waiting = ManifestRow { state: State::Waiting, ..row.says };
        match self.jobs.start(&order(set, &claimed.says, &claim)).await {
            Ordered::Started(run) => {
                tracing::info!(dataset = set.name, manifest = waiting.id, run, "started");
                report.started += 1;
                let state = State::Running { claim, run };
                // Its end may have been told already: then the row is further than this.
                self.ledger.advance(&claimed, ManifestRow { state, ..waiting }).await?;
                Ok(true)
            }
            Ordered::Busy => {
                report.busy += 1;
                self.ledger.advance(&claimed, waiting).await?;
                Ok(false)
            }
            Ordered::Refused(why) => {
                self.ledger.advance(&claimed, waiting).await?;
                Err(why)
            }
            Ordered::Unknown(why) => Err(why),
        }
    }

    /// For a claim without a run: finds the run, or lets the manifest wait again if there can be none any more. For a run, if
    /// asked to: asks how it is.
    async fn check(
        &self,
        set: &Dataset,
        row: Read<ManifestRow>,
        call: &Call,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut row = row;
        if let State::Claimed { claim } = &row.says.state {
            let found = self.jobs.find(&order(set, &row.says, claim)).await?;
            let state = match found {
                Some(run) => State::Running { claim: claim.clone(), run },
                None if (self.clock)().saturating_sub(claim.since) > PATIENCE => State::Waiting,
                None => return Ok(()),
            };
            let to = ManifestRow { state, ..row.says.clone() };
            match self.ledger.advance(&row, to).await? {
                Some(further) => row = further,
                None => return Ok(()),
            }
        }
        if let State::Running { run, .. } = &row.says.state
            && call.ask
        {
            let told = self.jobs.run(&set.start, run).await?;
            self.settle(set, row, told.as_ref(), report).await?;
        }
        Ok(())
    }

    /// Ends a manifest whose fate is decided; lets one whose run ended otherwise wait again, or decides.
    async fn settle(
        &self,
        set: &Dataset,
        row: Read<ManifestRow>,
        run: Option<&Run>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        // The run was asked first: what it published before its end is seen now.
        let decision = match self.zones.decision(set, &row.says.id).await? {
            Some(decision) => decision,
            None => {
                let end = match run {
                    None => GONE,
                    Some(Run { end: Some(end), .. }) => end,
                    Some(_) => return Ok(()), // it goes on
                };
                let failed_runs = row.says.failed_runs + 1;
                let wanted = if run.is_some_and(Run::halted) {
                    Decision::Refused
                } else if failed_runs >= RUNS_MAX {
                    Decision::Failed
                } else if failed_runs == RUNS_MAX - 1 && row.says.objects > 1 {
                    Decision::Split
                } else {
                    let last_end = Some(end.into());
                    let to = ManifestRow {
                        state: State::Waiting,
                        failed_runs,
                        last_end,
                        ..row.says.clone()
                    };
                    report.retried += 1;
                    tracing::warn!(dataset = set.name, manifest = to.id, end, "tried again");
                    self.ledger.advance(&row, to).await?;
                    return Ok(());
                };
                self.zones.decide(set, &row.says.id, wanted).await?
            }
        };
        self.close(set, row, decision, run, report).await
    }

    async fn close(
        &self,
        set: &Dataset,
        row: Read<ManifestRow>,
        decision: Decision,
        run: Option<&Run>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut end = row.says.clone();
        let mut halves = Vec::new();
        if decision != Decision::Published {
            end.failed_runs += 1;
            end.last_end = Some(run.and_then(|run| run.end.clone()).unwrap_or(GONE.into()));
        }
        end.state = match decision {
            Decision::Published => State::Done,
            Decision::Refused => State::Refused,
            Decision::Failed => State::Failed,
            Decision::Split => {
                let mut first = self.zones.manifest(set, &end.id).await?.objects;
                let second = first.split_off(first.len() / 2);
                for (part, objects) in [(1, first), (2, second)] {
                    let id = format!("{}-{part}", end.id);
                    halves.push(self.write(set, id, objects, end.created, Some(&end)).await?);
                }
                State::Split { into: halves.iter().map(|half| half.id.clone()).collect() }
            }
        };
        if self.ledger.close(&set.name, &row, end, &halves, (self.clock)()).await? {
            let (dataset, manifest) = (&set.name, &row.says.id);
            match decision {
                Decision::Published => report.done += 1,
                Decision::Split => {
                    report.retried += 1;
                    tracing::warn!(dataset, manifest, "tried again in halves");
                }
                Decision::Refused => {
                    report.refused += 1;
                    tracing::error!(dataset, manifest, "a rule halted the manifest");
                }
                Decision::Failed => {
                    report.failed += 1;
                    tracing::error!(dataset, manifest, "the manifest was tried as often as it is");
                }
            }
        }
        Ok(())
    }
}

fn order<'a>(set: &'a Dataset, row: &ManifestRow, claim: &'a Claim) -> Order<'a> {
    let arguments = BTreeMap::from([
        ("--leat-manifest", row.url.clone()),
        ("--leat-claim", claim.id.clone()),
        ("--leat-cleansed", set.cleansed().to_owned()),
    ]);
    Order { start: &set.start, claim: &claim.id, since: claim.since, arguments }
}

/// `<when>-<of what>`: ids rise with time, and no two manifests share one, as no object is taken twice.
fn id(now: i64, objects: &[ManifestObject]) -> String {
    let when: String = leat::timestamp::to_text(now.div_euclid(1000) * 1_000_000)
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    let all: Vec<_> = objects.iter().map(identity).collect();
    format!("{when}-{}", &hash(all.iter().map(String::as_str))[..8])
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod world;
