//! What the rules about the data set say of what this environment commits: of each micro-batch at once, as metrics; of
//! the running hour in a part of its own, which quality-gate merges with those of the other environments and judges.
//!
//! A row counts when it is committed as new: what is delivered again, and what an earlier invocation applied, never counts
//! twice. What a crash or an unknown outcome hides does not count at all. Nothing here fails an invocation.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use leat::column::{Column, Type};
use leat::decode::Batch;
use leat::drift::Limits;
use leat::engine::Engine;
use leat::quality::{Context, Evaluation, History, Method, Outcome, Over, Ruleset, Status};
use leat::record::Reject;
use leat_aws::{Call, Deadline, Failure, metrics, quality_metrics, within};
use leat_batch::hour::{self, MOST_VALUES};
use leat_batch::{BatchError, Hour, HourPart, HourRules, News};
use leat_lake::Aside;

use crate::handler::millis;

const FUNCTION: &str = "kinesis-features";
/// The hour's part is put at most so often.
const EVERY: Duration = Duration::from_secs(60);
/// A put is waited for at most so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many parts of hours that are over wait for a store that is away.
const WAITING: usize = 4;

/// What an invocation settled.
#[derive(Debug, Default)]
pub struct Settled {
    /// The rows that could go on.
    pub batch: Batch,
    /// Those of them that this invocation committed as new, in order.
    pub new: Vec<usize>,
    /// How many of them repeat an identity, committed as nothing but a mark.
    pub repeats: u64,
    /// The events that could not go on and do not come again.
    pub rejects: Vec<Reject>,
    /// The URL of the fitted state that serves.
    pub state: Option<Rc<str>>,
}

/// What is counted, from invocation to invocation.
#[derive(Debug)]
pub struct Quality {
    /// The limits of drift beside the recipe.
    limits: Option<Limits>,
    /// So many distinct values are kept of an hour.
    most: usize,
    asked: RefCell<Option<Rc<Asked>>>,
    open: RefCell<Option<Open>>,
    /// Objects of hours that are over, or of recipes that no longer serve, and are not put yet.
    waiting: RefCell<VecDeque<(String, Vec<u8>)>>,
}

/// What a recipe asks of micro-batches.
#[derive(Debug)]
struct Asked {
    hash: String,
    fields: Vec<(String, Type)>,
    batch: Option<Ruleset>,
}

/// The running hour.
#[derive(Debug)]
struct Open {
    hour: Hour,
    hash: String,
    /// What counts; none if the recipe asks nothing of an hour.
    counting: Option<Counting>,
}

#[derive(Debug)]
struct Counting {
    rules: HourRules,
    part: HourPart,
    key: String,
    /// True if something was counted since the last put.
    dirty: bool,
    put: Option<SystemTime>,
}

impl Settled {
    /// Of the new rows the columns in the slots that are read; others are empty.
    fn columns(&self, reads: &BTreeSet<usize>) -> Vec<Column> {
        let columns = self.batch.columns.iter().enumerate();
        let read = |(slot, column): (usize, &Column)| match reads.contains(&slot) {
            true => column.gather(&self.new),
            false => Column::new(column.kind()),
        };
        columns.map(read).collect()
    }
}

impl Quality {
    /// Nothing counted yet; `limits` of drift, if there are any.
    pub fn new(limits: Option<Limits>) -> Self {
        Quality::bounded(limits, MOST_VALUES)
    }

    /// The same, which keeps at most `most` distinct values of an hour.
    pub fn bounded(limits: Option<Limits>, most: usize) -> Self {
        let (asked, open, waiting) = Default::default();
        Quality { limits, most, asked, open, waiting }
    }

    /// Counts what an invocation at `now` settled, tells what the rules say of it, and puts the hour's part to `store` where
    /// it is time to; without a store no hour is kept.
    pub async fn take(
        &self,
        engine: &Engine,
        settled: &Settled,
        store: Option<&impl Aside>,
        call: &Call,
        now: SystemTime,
    ) {
        let batch = match settled.new.is_empty() {
            true => None,
            false => self.asked(engine).of_batch(millis(now)),
        };
        let hour = store.is_some() && self.keeps(engine, call, now);
        if batch.is_some() || hour {
            let mut reads = batch.as_ref().map(Evaluation::reads).unwrap_or_default();
            reads.extend(self.reads());
            let columns = settled.columns(&reads);
            if let Some(batch) = batch {
                let mut counted = batch.start();
                batch.update(&mut counted, &columns, settled.new.len());
                if let Ok(outcomes) = batch.finish(&counted) {
                    told(&outcomes, &engine.recipe().name, &call.request_id);
                }
            }
            self.count(settled, &columns);
        }
        let Some(store) = store else { return };
        let failed = self.put(store, call, now).await;
        if failed > 0 {
            metrics(FUNCTION, &engine.recipe().name, &[("hour_put_failed", failed)]);
        }
    }

    fn asked(&self, engine: &Engine) -> Rc<Asked> {
        let mut known = self.asked.borrow_mut();
        match &*known {
            Some(asked) if asked.hash == engine.hash() => asked.clone(),
            _ => {
                let asked = Rc::new(Asked::of(engine));
                *known = Some(asked.clone());
                asked
            }
        }
    }

    /// Begins the hour of `now` unless it runs; true if the recipe asks something of it.
    fn keeps(&self, engine: &Engine, call: &Call, now: SystemTime) -> bool {
        let mut open = self.open.borrow_mut();
        let hour = Hour::of(millis(now));
        // A clock that goes back opens no hour again.
        if !open.as_ref().is_some_and(|open| open.hour >= hour && open.hash == engine.hash()) {
            self.close(open.take());
            match Open::new(engine, self.limits.as_ref(), hour, call) {
                Ok(new) => *open = Some(new),
                Err(why) => {
                    tracing::warn!(request_id = call.request_id, "the hour is not counted: {why}");
                }
            }
        }
        open.as_ref().is_some_and(|open| open.counting.is_some())
    }

    /// The slots that the running hour counts.
    fn reads(&self) -> BTreeSet<usize> {
        let open = self.open.borrow();
        let counting = open.as_ref().and_then(|open| open.counting.as_ref());
        counting.map(|counting| counting.rules.reads()).unwrap_or_default()
    }

    /// Adds to the part of the running hour.
    fn count(&self, settled: &Settled, columns: &[Column]) {
        let mut open = self.open.borrow_mut();
        let Some(counting) = open.as_mut().and_then(|open| open.counting.as_mut()) else { return };
        let warned = settled.new.iter().filter_map(|&row| settled.batch.rows[row].verdict.as_ref());
        let news = News {
            columns,
            rows: settled.new.len(),
            repeats: settled.repeats,
            rejects: &settled.rejects,
            warned: warned.flat_map(|verdict| verdict.warned.iter().map(String::as_str)).collect(),
            state: settled.state.as_deref(),
        };
        if news.rows > 0 || news.repeats > 0 || !news.rejects.is_empty() {
            counting.rules.count(&mut counting.part, &news, self.most);
            counting.dirty = true;
        }
    }

    /// Lets the part of an hour that is over wait for its last put.
    fn close(&self, open: Option<Open>) {
        let counting = open.and_then(|open| open.counting).filter(|counting| counting.dirty);
        let mut waiting = self.waiting.borrow_mut();
        waiting.extend(counting.and_then(|counting| counting.object()));
        while waiting.len() > WAITING {
            let lost = waiting.pop_front().map(|(key, _)| key);
            tracing::error!(
                key = lost,
                "what was counted of an hour could not be put for hours, and is lost"
            );
        }
    }

    /// Puts what waits and, if it is time, the part of the running hour. Answers how many puts failed: they are tried again
    /// by the next invocation.
    async fn put(&self, store: &impl Aside, call: &Call, now: SystemTime) -> u64 {
        let mut objects: Vec<(String, Vec<u8>)> = self.waiting.borrow_mut().drain(..).collect();
        let waiting = objects.len();
        let due = self.open.borrow().as_ref().and_then(|open| open.counting.as_ref()?.due(now));
        objects.extend(due);
        let (mut failed, mut left) = (0, VecDeque::new());
        for (at, (key, bytes)) in objects.into_iter().enumerate() {
            let deadline = Deadline::after(PATIENCE.min(call.deadline.left() / 2));
            let put = async {
                let put = store.put(&key, bytes.clone()).await;
                put.map_err(|why| Failure::service(&why, why.is_transient()))
            };
            let done = within(deadline, "the part of an hour", put).await;
            if let Err(why) = &done {
                failed += 1;
                tracing::warn!(request_id = call.request_id, key, "the part of an hour: {why}");
            }
            match (done, at < waiting) {
                (Ok(()), true) => {}
                (Err(_), true) => left.push_back((key, bytes)),
                (Ok(()), false) => {
                    let mut open = self.open.borrow_mut();
                    if let Some(counting) = open.as_mut().and_then(|open| open.counting.as_mut()) {
                        (counting.dirty, counting.put) = (false, Some(now));
                    }
                }
                (Err(_), false) => {}
            }
        }
        self.waiting.borrow_mut().extend(left);
        failed
    }
}

impl Asked {
    fn of(engine: &Engine) -> Self {
        let fields = engine.recipe().columns();
        let batch = engine.ruleset().and_then(|ruleset| ruleset.live(Over::Batch, &fields));
        Asked { hash: engine.hash().to_owned(), fields, batch }
    }

    /// The rules about a micro-batch, ready for rows at `now`, in milliseconds; none if there are none.
    fn of_batch(&self, now: i64) -> Option<Evaluation> {
        let rules = self.batch.as_ref()?;
        let context =
            Context { history: Some(&History::NONE), ..Context::new(Some(now), Method::default()) };
        // A rule that cannot be readied is not among those of a stream.
        Evaluation::within(rules, &self.fields, &context).ok()
    }
}

/// Metrics of what rules said of a micro-batch, and in the log which do not hold, without any value.
fn told(outcomes: &[Outcome], recipe: &str, request_id: &str) {
    let count = |status| outcomes.iter().filter(|rule| rule.outcome == status).count() as u64;
    let [passed, failed, unsaid] = [Status::Passed, Status::Failed, Status::Error].map(count);
    let score = (passed + failed > 0).then(|| passed as f64 / (passed + failed) as f64);
    quality_metrics(FUNCTION, recipe, recipe, [passed, failed, unsaid], score);
    let failing: Vec<&str> = outcomes
        .iter()
        .filter(|rule| rule.outcome == Status::Failed)
        .map(|rule| rule.rule.as_str())
        .collect();
    if !failing.is_empty() {
        tracing::warn!(request_id, rules = ?failing, "rules do not hold of the micro-batch");
    }
}

impl Open {
    fn new(
        engine: &Engine,
        limits: Option<&Limits>,
        hour: Hour,
        call: &Call,
    ) -> Result<Self, BatchError> {
        let rules = HourRules::of(engine, limits, hour, &History::NONE)?;
        // The first request of an hour is this environment's alone.
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = call.request_id.chars().take(80).map(plain).collect();
        let (folder, hash) = (hour::folder(&engine.recipe().name), &engine.hash()[..16]);
        let counting = rules.map(|rules| Counting {
            part: rules.start(),
            rules,
            key: format!("{folder}{hour}/{name}-{hash}.json"),
            dirty: false,
            put: None,
        });
        Ok(Open { hour, hash: engine.hash().to_owned(), counting })
    }
}

impl Counting {
    /// The object, if it is time to put it.
    fn due(&self, now: SystemTime) -> Option<(String, Vec<u8>)> {
        let fresh =
            self.put.is_some_and(|put| now.duration_since(put).is_ok_and(|age| age < EVERY));
        (self.dirty && !fresh).then(|| self.object()).flatten()
    }

    fn object(&self) -> Option<(String, Vec<u8>)> {
        Some((self.key.clone(), self.part.to_json().ok()?))
    }
}
