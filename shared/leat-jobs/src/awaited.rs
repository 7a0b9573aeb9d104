//! Runs that workflows wait for: a state of Step Functions asks for a Glue job's run by a name and a task token; the run's
//! end resumes it.
//!
//! As StartJobRun knows no idempotency token, the order of the writes keeps the promise that **a name has one run
//! at a time, and whoever waits is told how it ended**:
//!
//! 1. The claim, with the task's token, is written before the run is started and handed to it as `--leat-claim`. Who finds a
//!    claim without a run looks for the run by it, and starts another only when whoever claimed cannot be alive.
//! 2. Who asks again by the same name gets the same run, and its token takes the place of the one before: a state
//!    that is tried again has another one. Only when a failure was told does the next token begin another attempt.
//! 3. The task is told before the row says that it was. Telling twice does no harm.
//!
//! The end comes as an event ([`Awaited::ended`]), before the run's id is stored, twice, or never: then
//! [`Awaited::reconcile`] finds it.

use std::collections::BTreeMap;

use leat_aws::{Deadline, Failure};
use serde::Serialize;
use serde_json::json;

use crate::dataset::{OWN_ARGUMENTS, Start};
use crate::jobs::{Jobs, Order, Ordered, Run};
use crate::ledger::{Claim, Ledger, Read, TaskRow, TaskState};
use crate::object::hash;
use crate::starter::{GONE, MARGIN};
use crate::table::Table;
use crate::tasks::{Heard, Tasks, Token, cut, tell};

/// How long a claim without a run is left alone, in milliseconds: longer than a function that starts runs may go on.
pub const PATIENCE: i64 = 2 * 60 * 1000;
/// How often a look at a row is repeated because another one changed it.
const LOOKS_MAX: usize = 10;
/// The longest name.
const NAME_MAX: usize = 200;
/// What is kept of a run's own text, in bytes.
const TEXT_MAX: usize = 1000;
/// How a good run ends.
const SUCCEEDED: &str = "SUCCEEDED";

/// A run that a workflow wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The Glue job.
    pub job: String,
    /// Its arguments.
    pub arguments: BTreeMap<String, String>,
    /// Which run it is: the execution's name and the state's, say.
    pub name: String,
    /// The token of the task that waits for its end, if one does.
    pub token: Option<Token>,
}

impl Wanted {
    /// What is wrong with it, if something is.
    pub fn check(&self) -> Result<(), Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(plain) {
            return Err(Failure::Input(format!(
                "`name` has 1 to {NAME_MAX} of A-Z, a-z, 0-9, `-`, `_` and `.`"
            )));
        }
        for name in self.arguments.keys() {
            if !name.starts_with("--") || OWN_ARGUMENTS[1] == name {
                return Err(Failure::Input(format!(
                    "the argument `{name}` must begin with `--`, and not be `{}`, which is set here",
                    OWN_ARGUMENTS[1]
                )));
            }
        }
        Ok(())
    }

    fn order(&self) -> String {
        let parts = self.arguments.iter().flat_map(|(name, value)| [name.as_str(), value]);
        hash([self.job.as_str()].into_iter().chain(parts))
    }

    fn print(&self) -> Option<String> {
        self.token.as_ref().map(Token::print)
    }
}

/// A run that was started, now or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Going {
    /// The Glue job.
    pub job: String,
    /// The run's id; none yet, if another call is starting it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// How far it is: `STARTED`, or its end.
    pub state: String,
}

/// What a look at all open tasks did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Tasks that were open.
    pub open: u64,
    /// Tasks whose end was found and told.
    pub ended: u64,
    /// Why a task was left to the next look.
    pub problems: Vec<Failure>,
}

/// Starts runs for workflows, and tells these of their ends.
#[derive(Debug)]
pub struct Awaited<'a, T, J, K, C> {
    /// Where claims stand.
    pub ledger: &'a Ledger<T>,
    /// What runs.
    pub jobs: &'a J,
    /// Who waits.
    pub tasks: &'a K,
    /// The time, in milliseconds since 1970.
    pub clock: C,
}

impl<T: Table, J: Jobs, K: Tasks, C: Fn() -> i64 + Sync> Awaited<'_, T, J, K, C> {
    /// Starts the run that is wanted, or finds it; if it has ended already, the task is told so at once. `by` names this
    /// invocation. A failure is to be told to the task by the caller.
    pub async fn start(
        &self,
        wanted: &Wanted,
        by: &str,
        deadline: Deadline,
    ) -> Result<Going, Failure> {
        wanted.check()?;
        for _ in 0..LOOKS_MAX {
            let row = self.ledger.task(&wanted.name).await?;
            if let Some(row) = &row
                && row.says.order != wanted.order()
            {
                return Err(Failure::Input(format!(
                    "the name `{}` stands for another job, or other arguments; give each order a name of its own",
                    wanted.name
                )));
            }
            if let Some(going) = Box::pin(self.look(row, wanted, by, deadline)).await? {
                return Ok(going);
            }
        }
        Err(crowded(&wanted.name))
    }

    /// One look at a task's row; none if it must be looked at again.
    async fn look(
        &self,
        row: Option<Read<TaskRow>>,
        wanted: &Wanted,
        by: &str,
        deadline: Deadline,
    ) -> Result<Option<Going>, Failure> {
        let Some(row) = row else { return self.launch(None, wanted, by).await };
        let mine = row.says.claim.token == wanted.token;
        match &row.says.state {
            TaskState::Waiting => self.launch(Some(row), wanted, by).await,
            TaskState::Claimed => match self.find(&row.says).await? {
                Some(run) => {
                    let state = TaskState::Running { run };
                    self.ledger.advance_task(&row, adopted(&row.says, wanted, state)).await?;
                    Ok(None)
                }
                None if self.is_dead(&row.says) => self.launch(Some(row), wanted, by).await,
                // The same call twice: the other one is at it.
                None if mine && wanted.token.is_some() => Ok(Some(going(wanted, None, "STARTED"))),
                None => Err(Failure::Busy(format!(
                    "another call has claimed `{}` and told of no run yet; ask again",
                    wanted.name
                ))),
            },
            TaskState::Running { run } => {
                if !mine {
                    let state = row.says.state.clone();
                    self.ledger.advance_task(&row, adopted(&row.says, wanted, state)).await?;
                    return Ok(None);
                }
                let told = self.ask(&wanted.job, run).await?;
                if told.end.is_none() {
                    return Ok(Some(going(wanted, Some(run), "STARTED")));
                }
                self.settle(&wanted.name, &row.says.claim.id, run, &told, deadline).await?;
                Ok(None)
            }
            TaskState::Ended { run, end, told, .. } => {
                let ended = going(wanted, Some(run), end);
                if end == SUCCEEDED {
                    self.tell(&row.says, wanted.token.as_ref(), deadline).await?;
                    Ok(Some(ended))
                } else if told.is_some() && *told == wanted.print() {
                    Ok(Some(ended)) // the same call twice
                } else if told.is_none() && wanted.token.is_some() {
                    // Nobody was told of this failure yet.
                    let heard = self.tell(&row.says, wanted.token.as_ref(), deadline).await?;
                    let told = wanted.print().filter(|_| heard == Heard::Waits);
                    let mut to = row.says.clone();
                    if let TaskState::Ended { told: by, .. } = &mut to.state {
                        *by = told;
                    }
                    self.ledger.close_task(&row, to, (self.clock)()).await?;
                    Ok(Some(ended))
                } else {
                    self.launch(Some(row), wanted, by).await
                }
            }
        }
    }

    /// Claims the next attempt and starts it; none if another one was quicker.
    async fn launch(
        &self,
        from: Option<Read<TaskRow>>,
        wanted: &Wanted,
        by: &str,
    ) -> Result<Option<Going>, Failure> {
        let attempt = from.as_ref().map_or(0, |from| from.says.attempt) + 1;
        let claim = Claim {
            id: TaskRow::claim_id(&wanted.name, attempt),
            by: by.into(),
            since: (self.clock)(),
            token: wanted.token.clone(),
        };
        let row = TaskRow {
            name: wanted.name.clone(),
            job: wanted.job.clone(),
            order: wanted.order(),
            attempt,
            claim,
            state: TaskState::Claimed,
        };
        let Some(claimed) = self.ledger.claim_task(from.as_ref(), row).await? else {
            return Ok(None);
        };
        let claim = &claimed.says.claim;
        let start = Start::Glue { job: wanted.job.clone(), arguments: wanted.arguments.clone() };
        let refused = match self.jobs.start(&order(&start, claim)).await {
            Ordered::Started(run) => {
                tracing::info!(job = wanted.job, run, name = wanted.name, "started");
                let going = going(wanted, Some(&run), "STARTED");
                let to = TaskRow { state: TaskState::Running { run }, ..claimed.says.clone() };
                // Its end may have been told already: then the row is further than this.
                self.ledger.advance_task(&claimed, to).await?;
                return Ok(Some(going));
            }
            Ordered::Unknown(why) => return Err(Failure::Busy(why.to_string())),
            Ordered::Refused(why) => why,
            Ordered::Busy => Failure::Busy(format!(
                "as many runs of the Glue job `{}` as may be at once are; try again later",
                wanted.job
            )),
        };
        self.give_up(&claimed).await?;
        Err(refused)
    }

    /// A run that carries the claim `claim` of a task ended, as `told`. The row may not know the run yet.
    pub async fn ended(&self, run: &str, told: &Run, deadline: Deadline) -> Result<bool, Failure> {
        let Some(claim) = told.claim.as_deref() else { return Ok(false) };
        let Some(name) = TaskRow::name_of(claim) else { return Ok(false) };
        Box::pin(self.settle(name, claim, run, told, deadline)).await
    }

    /// Looks at each open task: finds runs whose ids are not stored, ends that no event told of, and claims of the dead.
    pub async fn reconcile(&self, deadline: Deadline) -> Result<Reconciled, Failure> {
        let mut report = Reconciled::default();
        for name in self.ledger.open_tasks().await? {
            report.open += 1;
            if deadline.left() < MARGIN {
                report.problems.push(Failure::Busy("no time is left to look at every task".into()));
                break;
            }
            match Box::pin(self.reconcile_one(&name, deadline)).await {
                Ok(ended) => report.ended += u64::from(ended),
                Err(why) => {
                    tracing::error!(name, word = why.word(), "{why}");
                    report.problems.push(why);
                }
            }
        }
        Ok(report)
    }

    async fn reconcile_one(&self, name: &str, deadline: Deadline) -> Result<bool, Failure> {
        let Some(row) = self.ledger.task(name).await? else { return Ok(false) };
        let run = match &row.says.state {
            TaskState::Running { run } => run.clone(),
            TaskState::Claimed => match self.find(&row.says).await? {
                Some(run) => run,
                None if self.is_dead(&row.says) => {
                    let why = Failure::Busy("the run was never started; try again".into());
                    if let Some(token) = &row.says.claim.token {
                        tell(self.tasks, token, Err(&why), deadline).await?;
                    }
                    return self.give_up(&row).await;
                }
                None => return Ok(false),
            },
            TaskState::Waiting | TaskState::Ended { .. } => return Ok(false),
        };
        let told = self.ask(&row.says.job, &run).await?;
        self.settle(name, &row.says.claim.id, &run, &told, deadline).await
    }

    /// Tells whoever waits for the run of `claim` how it ended, and writes that down. False if there was nothing to do.
    async fn settle(
        &self,
        name: &str,
        claim: &str,
        run: &str,
        told: &Run,
        deadline: Deadline,
    ) -> Result<bool, Failure> {
        let Some(end) = &told.end else { return Ok(false) };
        for _ in 0..LOOKS_MAX {
            let Some(row) = self.ledger.task(name).await? else { return Ok(false) };
            if row.says.claim.id != claim || !row.says.is_open() {
                return Ok(false);
            }
            let state = TaskState::Ended {
                run: run.into(),
                end: end.clone(),
                error: told.error.as_deref().and_then(excerpt),
                told: None,
            };
            let mut to = TaskRow { state, ..row.says.clone() };
            // Who has the token can end the task: it is kept no longer than it is needed.
            let token = to.claim.token.take();
            let heard = self.tell(&to, token.as_ref(), deadline).await?;
            if let TaskState::Ended { told, .. } = &mut to.state {
                *told = token.as_ref().map(Token::print).filter(|_| heard == Heard::Waits);
            }
            if self.ledger.close_task(&row, to, (self.clock)()).await? {
                tracing::info!(run, name, end, ?heard, "the run ended");
                return Ok(true);
            }
        }
        Err(crowded(name))
    }

    /// Tells the task of `token` how the run of a row that ended did.
    async fn tell(
        &self,
        row: &TaskRow,
        token: Option<&Token>,
        deadline: Deadline,
    ) -> Result<Heard, Failure> {
        let (Some(token), TaskState::Ended { run, end, error, .. }) = (token, &row.state) else {
            return Ok(Heard::Nobody);
        };
        let told = if end == SUCCEEDED {
            let output = json!({"job": row.job, "run_id": run, "state": end}).to_string();
            tell(self.tasks, token, Ok(&output), deadline).await
        } else {
            let why = failure(&row.job, run, end, error.as_deref());
            tell(self.tasks, token, Err(&why), deadline).await
        };
        match told {
            // No state has such a token, nor ever will.
            Err(Failure::Input(why)) => {
                tracing::error!(name = row.name, "{why}");
                Ok(Heard::Nobody)
            }
            told => told,
        }
    }

    /// Lets a claim go of which no run came. False if the row is further meanwhile.
    async fn give_up(&self, claimed: &Read<TaskRow>) -> Result<bool, Failure> {
        let mut to = TaskRow { state: TaskState::Waiting, ..claimed.says.clone() };
        to.claim.token = None;
        self.ledger.close_task(claimed, to, (self.clock)()).await
    }

    /// The run that carries a row's claim, if one was started.
    async fn find(&self, row: &TaskRow) -> Result<Option<String>, Failure> {
        self.jobs.find(&order(&Start::job(&row.job), &row.claim)).await
    }

    /// A run as its service tells of it; one that it does not know any more has ended.
    async fn ask(&self, job: &str, run: &str) -> Result<Run, Failure> {
        let told = self.jobs.run(&Start::job(job), run).await?;
        Ok(told.unwrap_or_else(|| Run { end: Some(GONE.into()), ..Run::default() }))
    }

    fn is_dead(&self, row: &TaskRow) -> bool {
        (self.clock)().saturating_sub(row.claim.since) > PATIENCE
    }
}

/// The row of a run that `wanted` waits for from now on.
fn adopted(row: &TaskRow, wanted: &Wanted, state: TaskState) -> TaskRow {
    let claim = Claim { token: wanted.token.clone(), ..row.claim.clone() };
    TaskRow { claim, state, ..row.clone() }
}

fn going(wanted: &Wanted, run: Option<&String>, state: &str) -> Going {
    Going { job: wanted.job.clone(), run_id: run.cloned(), state: state.into() }
}

fn order<'a>(start: &'a Start, claim: &'a Claim) -> Order<'a> {
    let arguments = BTreeMap::from([(OWN_ARGUMENTS[1], claim.id.clone())]);
    Order { start, claim: &claim.id, since: claim.since, arguments }
}

/// What a run's own text says from the first word of failure on, one line of it; none if it says no such word, as then
/// nobody vouches for what stands in it.
fn excerpt(text: &str) -> Option<String> {
    let at = Failure::WORDS.iter().filter_map(|word| text.find(word)).min()?;
    let line = text[at..].lines().next()?;
    Some(cut(line, TEXT_MAX).to_owned())
}

/// Why a run ended other than well.
fn failure(job: &str, run: &str, end: &str, error: Option<&str>) -> Failure {
    let what = format!("the run `{run}` of the Glue job `{job}` ended {end}");
    let said = error.and_then(|text| {
        let word = Failure::WORDS.into_iter().find(|word| text.starts_with(word))?;
        Failure::of_word(
            word,
            format!("{what}: {}", text[word.len()..].trim_start_matches([':', ' '])),
        )
    });
    said.unwrap_or_else(|| match end {
        "STOPPED" => Failure::Config(format!("{what}: somebody stopped it")),
        _ => Failure::Busy(format!("{what}; its log says why")),
    })
}

fn crowded(name: &str) -> Failure {
    Failure::Busy(format!("the task `{name}` is changed by many at once; try again"))
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod world;
