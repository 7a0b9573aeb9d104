//! Commit, then emit. The loop around [`crate::entity`]'s decisions, by the protocol's order: quarantine first; read
//! the entities; emit again what was applied before; compute; commit each entity's step; emit its rows; answer.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, stream};
use leat::decode::Batch;
use leat::record::{Coordinates, Reject};
use leat::timestamp;
use leat::windows::EntityState;
use leat::windows::item::{Item, OutboxRow, state_key};
use leat_aws::{Accounts, Call, Deadline, Failure};
use leat_lake::{Aside, quarantine};
use leat_stream::endpoint::Endpoint;
use leat_stream::sink::{Row, Sink};
use leat_stream::store::{Commit, EntityStore, MAX_BYTES};
use leat_stream::within;

use crate::answer::{Answer, Fate, accounts};
use crate::config::Limits;
use crate::entity::{self, Place, Ready, Retention, Windowed, place};
use crate::intake::{self, Delivery};
use crate::model::Model;
use crate::quality::Settled;
use crate::rows::{self, Fresh};

/// Commits at a time.
const COMMITS: usize = 16;

/// How often an entity is started again after a lost condition or an unknown outcome.
const TRIES: u32 = 5;

/// The least time that another round may take.
const ROUND: Duration = Duration::from_millis(250);

/// The world, as far as an invocation needs it.
#[derive(Debug)]
pub struct Ports<S, K, E, A> {
    /// Where entities' items lie.
    pub store: S,
    /// Where rows go.
    pub sinks: K,
    /// What predicts.
    pub endpoint: E,
    /// Where that goes which cannot go on.
    pub aside: A,
}

/// What an invocation came to.
#[derive(Debug)]
pub struct Handled {
    /// The answer to the mapping.
    pub answer: Answer,
    /// What became of the events.
    pub accounts: Accounts,
    /// True if an entity's item was closed: another state plan serves by now, or is about to.
    pub superseded: bool,
    /// What was settled for good.
    pub settled: Settled,
}

/// Handles one event of the mapping.
pub async fn handle<S: EntityStore, K: Sink, E: Endpoint, A: Aside>(
    ports: &Ports<S, K, E, A>,
    model: &Model,
    limits: &Limits,
    event: &str,
    call: &Call,
    now: SystemTime,
) -> Result<Handled, Failure> {
    let delivery = intake::read(&model.engine, event, limits.lanes)?;
    let Delivery { records, batch, origins, mut rejects, sentinels } = delivery;
    let lowest = records.iter().map(|(_, coordinates)| coordinates).min_by_key(|c| &c.position);
    let Some(first) = lowest else {
        return Ok(Handled {
            answer: Answer::default(),
            accounts: Accounts::default(),
            superseded: false,
            settled: Settled::default(),
        });
    };
    let mut work = Work {
        ports,
        model,
        batch: &batch,
        call,
        retention: Retention {
            first: (&first.source, &first.shard, &first.position.sequence),
            now: millis(now),
            max_record_age: limits.max_record_age,
        },
        fates: vec![Fate::HandedBack; batch.len()],
        entities: entities(model, &batch),
        new: Vec::new(),
        repeats: 0,
        superseded: false,
        longest: ROUND,
    };
    if let Err(why) = work.quarantine(&rejects, first).await {
        // Nothing was applied yet: all comes again.
        tracing::error!(request_id = call.request_id, rejects = rejects.len(), "quarantine: {why}");
        let all = (batch.len() + rejects.len() + sentinels) as u64;
        let accounts = Accounts { received: all, handed_back: all, ..Accounts::default() };
        let answer = Answer::from(&records);
        return Ok(Handled { answer, accounts, superseded: false, settled: Settled::default() });
    }
    work.run().await;
    let Work { fates, superseded, mut new, repeats, .. } = work;
    let accounts = accounts(&fates, rejects.len(), sentinels);
    let back = fates.iter().zip(&origins).filter(|(fate, _)| **fate == Fate::HandedBack);
    let back: Vec<_> = back.map(|(_, &record)| &records[record]).collect();
    // From the lowest on all comes again, and is rejected again.
    let lowest = back.iter().map(|(_, coordinates)| &coordinates.position).min();
    rejects.retain(|reject| lowest.is_none_or(|lowest| reject.coordinates.position < *lowest));
    let answer = Answer::from(back);
    new.sort_unstable();
    let state = model.fitted.as_ref().and_then(|fitted| fitted.url.clone());
    let settled = Settled { batch, new, repeats, rejects, state };
    Ok(Handled { answer, accounts, superseded, settled })
}

/// An entity of the batch.
#[derive(Debug)]
struct Entity {
    name: String,
    key: String,
    /// Its rows, in order.
    rows: Vec<usize>,
    tries: u32,
    /// True if no more is done for it: what is left comes again.
    stopped: bool,
    /// The rows of its outbox that every sink took in this invocation, or that were put aside.
    taken: HashSet<Place>,
    /// Those of them that were put aside.
    aside: HashSet<Place>,
}

/// An entity with its item.
struct Opened {
    entity: usize,
    version: u64,
    item: Item,
    state: EntityState,
    fresh: Vec<usize>,
}

/// An entity that is ready to commit.
struct Planned {
    entity: usize,
    version: u64,
    item: Item,
    /// The state that `item` holds.
    state: EntityState,
    /// The state after all fresh rows.
    after: EntityState,
    /// The rows that may be committed, in order.
    ready: Vec<Ready>,
    /// How many of them are.
    done: usize,
    /// True if no fresh row is missing from them.
    whole: bool,
}

/// A step that is to be committed.
struct Step {
    rows: usize,
    state: EntityState,
    item: Item,
    bytes: Vec<u8>,
}

struct Work<'a, S, K, E, A> {
    ports: &'a Ports<S, K, E, A>,
    model: &'a Model,
    batch: &'a Batch,
    call: &'a Call,
    retention: Retention<'a>,
    fates: Vec<Fate>,
    entities: Vec<Entity>,
    /// The rows that were committed as new.
    new: Vec<usize>,
    /// How many rows were committed as repeats of an identity.
    repeats: u64,
    superseded: bool,
    /// The longest round so far.
    longest: Duration,
}

impl<S: EntityStore, K: Sink, E: Endpoint, A: Aside> Work<'_, S, K, E, A> {
    /// Puts the rejects into an object named by the batch's first record: a repeat of the batch writes it again.
    async fn quarantine(&self, rejects: &[Reject], first: &Coordinates) -> Result<(), Failure> {
        if rejects.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        rejects.iter().for_each(|reject| quarantine::write(reject, &mut lines));
        self.put_aside("quarantine", first, lines).await
    }

    async fn run(&mut self) {
        while let Some(open) = self.open_entities() {
            let begun = Instant::now();
            let opened = self.open(&open).await;
            let opened = self.emit_again(opened).await;
            let planned = self.plan(opened).await;
            self.commit(planned).await;
            self.longest = self.longest.max(begun.elapsed());
        }
    }

    /// The entities for which something is left to do, while there is time for it.
    fn open_entities(&mut self) -> Option<Vec<usize>> {
        let mut open = Vec::new();
        for (at, entity) in self.entities.iter_mut().enumerate() {
            let pending = entity.rows.iter().any(|&row| self.fates[row] == Fate::HandedBack);
            if pending && !entity.stopped {
                entity.tries += 1;
                entity.stopped = entity.tries > TRIES;
                open.extend((!entity.stopped).then_some(at));
            }
        }
        (!open.is_empty() && self.has_time()).then_some(open)
    }

    /// True if there is time for another round as long as the longest so far.
    fn has_time(&self) -> bool {
        let enough = self.call.deadline.left() > self.longest.saturating_mul(2);
        if !enough {
            tracing::warn!(
                request_id = self.call.request_id,
                "left before the deadline: the rest comes again"
            );
        }
        enough
    }

    /// The deadline of a call to the outside: some time is left to answer after it.
    fn until_answer(&self) -> Deadline {
        let left = self.call.deadline.left();
        Deadline::after(left.saturating_sub((left / 10).min(Duration::from_secs(1))))
    }

    fn stop(&mut self, entity: usize, why: &str) {
        let entity = &mut self.entities[entity];
        entity.stopped = true;
        // The entity's name can be personal; a record's number is not.
        let first = entity
            .rows
            .first()
            .map(|&row| self.batch.rows[row].coordinates.position.sequence.as_str());
        tracing::error!(
            request_id = self.call.request_id,
            first,
            rows = entity.rows.len(),
            "an entity's rows come again: {why}"
        );
    }

    /// Reads the items of `open`.
    async fn open(&mut self, open: &[usize]) -> Vec<Opened> {
        let keys: Vec<String> = open.iter().map(|&at| self.entities[at].key.clone()).collect();
        let get = within(self.until_answer(), "entities", self.ports.store.get(&keys)).await;
        let mut found = match get {
            Ok(found) => found,
            Err(why) => {
                open.iter().for_each(|&at| self.entities[at].stopped = true);
                tracing::error!(
                    request_id = self.call.request_id,
                    "entities cannot be read: {why}"
                );
                return Vec::new();
            }
        };
        if let Some(by) = found.values().find_map(|stored| stored.closed.as_deref()) {
            // Another state plan takes over, or did: nothing more may be made with what this invocation holds, not
            // even of entities that have no item yet. All that is not done comes again, to what serves then.
            tracing::warn!(
                request_id = self.call.request_id,
                hand_over = by,
                "an item is closed: what serves is read again"
            );
            self.superseded = true;
            open.iter().for_each(|&at| self.entities[at].stopped = true);
            return Vec::new();
        }
        let mut opened = Vec::new();
        for (&entity, key) in open.iter().zip(&keys) {
            let stored = found.remove(key);
            let version = stored.as_ref().map_or(0, |stored| stored.version);
            match self.decode(stored.map(|stored| stored.bytes)) {
                Ok((item, state)) => {
                    opened.push(Opened { entity, version, item, state, fresh: Vec::new() });
                }
                Err(why) => self.stop(entity, &format!("its item is damaged: {why}")),
            }
        }
        opened
    }

    fn decode(&self, bytes: Option<Vec<u8>>) -> Result<(Item, EntityState), String> {
        let Some(bytes) = bytes else { return Ok(Default::default()) };
        let item = Item::decode(&bytes).map_err(|why| why.to_string())?;
        let state = match &item.windows[..] {
            [] => EntityState::default(),
            bytes => EntityState::decode(bytes).map_err(|why| why.to_string())?,
        };
        if !self.model.engine.windows().fits(&state) {
            return Err("it was made by other windows".into());
        }
        Ok((item, state))
    }

    /// Emits again what was applied before and is still in an outbox. An entity of which a row is not taken stops
    /// here: its outbox must not grow.
    async fn emit_again(&mut self, mut opened: Vec<Opened>) -> Vec<Opened> {
        let (mut seen, mut rows) = (Vec::new(), Vec::new());
        for one in &mut opened {
            let entity = &self.entities[one.entity];
            let pending: Vec<usize> = entity
                .rows
                .iter()
                .copied()
                .filter(|&row| self.fates[row] == Fate::HandedBack)
                .collect();
            let mut found = entity::see(&one.item, self.batch, &pending);
            one.fresh = std::mem::take(&mut found.fresh);
            let again = found.again.iter().map(|&at| &one.item.outbox[at]);
            let again = again.filter(|row| !entity.taken.contains(&place(&row.coordinates)));
            rows.extend(again.map(|row| (one.entity, row.clone())));
            seen.push(found);
        }
        self.emit(&rows).await;
        for (one, seen) in opened.iter().zip(&seen) {
            let entity = &mut self.entities[one.entity];
            let place_of = |&at: &usize| place(&one.item.outbox[at].coordinates);
            for (row, own) in &seen.applied {
                match own.as_ref().map(place_of) {
                    Some(own) if entity.aside.contains(&own) => {
                        self.fates[*row] = Fate::Undelivered
                    }
                    Some(own) if !entity.taken.contains(&own) => {}
                    _ => self.fates[*row] = Fate::AlreadyApplied,
                }
            }
            entity.stopped |= !seen.again.iter().all(|at| entity.taken.contains(&place_of(at)));
        }
        opened.retain(|one| !self.entities[one.entity].stopped && !one.fresh.is_empty());
        opened
    }

    /// Computes the fresh rows of all entities: windows, features, predictions, bytes.
    async fn plan(&mut self, opened: Vec<Opened>) -> Vec<Planned> {
        let windows = self.model.engine.windows();
        let mut fresh = Vec::new();
        let mut applied = Vec::new();
        for one in opened {
            let Windowed { rows, after } =
                entity::apply(windows, &one.state, self.batch, &one.fresh);
            let kinds: Vec<_> = rows.iter().map(|(row, new)| (*row, new.is_some())).collect();
            fresh.extend(rows.into_iter().filter_map(|(row, new)| {
                let (values, late) = new?;
                Some(Fresh { row, values, late })
            }));
            applied.push((one, after, kinds));
        }
        if applied.is_empty() {
            return Vec::new();
        }
        // In the stream's order: a call that fails then costs the latest records.
        fresh.sort_by_key(|fresh: &Fresh| fresh.row);
        let rows: Vec<usize> = fresh.iter().map(|fresh| fresh.row).collect();
        // A third of the time is left to commit, to emit and to answer.
        let deadline = Deadline::after(self.call.deadline.left() * 2 / 3);
        let (endpoint, id) = (&self.ports.endpoint, &self.call.request_id);
        let made = rows::make(self.model, endpoint, self.batch, fresh, id, deadline).await;
        let mut made: HashMap<usize, Result<OutboxRow, Failure>> =
            rows.into_iter().zip(made).collect();
        let mut planned = Vec::new();
        for (Opened { entity, version, item, state, fresh }, after, kinds) in applied {
            let mut ready = Vec::new();
            for (row, is_new) in kinds {
                let out = match made.remove(&row).filter(|_| is_new) {
                    None => None,
                    Some(Ok(out)) => Some(out),
                    Some(Err(why)) => {
                        self.stop(entity, &why.to_string());
                        break;
                    }
                };
                ready.push(Ready { row, out });
            }
            let whole = ready.len() == fresh.len();
            if !ready.is_empty() {
                planned.push(Planned {
                    entity,
                    version,
                    item,
                    state,
                    after,
                    ready,
                    done: 0,
                    whole,
                });
            }
        }
        planned
    }

    /// Commits step after step, each emitted before the next.
    async fn commit(&mut self, mut planned: Vec<Planned>) {
        while !planned.is_empty() {
            let begun = Instant::now();
            let mut steps = Vec::new();
            planned.retain(|one| {
                let step = self.step(one);
                let fits = step.bytes.len() <= MAX_BYTES;
                if fits {
                    steps.push(step);
                } else {
                    self.stop(one.entity, "its item would be larger than its table takes");
                }
                fits
            });
            let deadline = self.until_answer();
            let store = &self.ports.store;
            let puts = planned.iter().zip(&mut steps).map(|(one, step)| {
                let (key, bytes) =
                    (&self.entities[one.entity].key, std::mem::take(&mut step.bytes));
                within(deadline, "a commit", store.put(key, one.version, bytes))
            });
            let outcomes: Vec<_> =
                stream::iter(puts.collect::<Vec<_>>()).buffered(COMMITS).collect().await;
            let (mut committed, mut rows) = (Vec::new(), Vec::new());
            for ((one, step), outcome) in planned.into_iter().zip(steps).zip(outcomes) {
                match outcome {
                    Ok(Commit::Done) => {
                        let new = &one.ready[one.done..one.done + step.rows];
                        let rows_of_new = new.iter().filter(|ready| ready.out.is_some());
                        let before = self.new.len();
                        self.new.extend(rows_of_new.map(|ready| ready.row));
                        self.repeats += (new.len() - (self.new.len() - before)) as u64;
                        rows.extend(new.iter().filter_map(|r| Some((one.entity, r.out.clone()?))));
                        committed.push((one, step));
                    }
                    // Another invocation was first, or the outcome is unknown: the entity is read and started again.
                    Ok(Commit::Lost) => {}
                    Err(why) if why.is_transient() => {
                        tracing::warn!(
                            request_id = self.call.request_id,
                            "a commit's outcome is unknown: {why}"
                        );
                    }
                    Err(why) => self.stop(one.entity, &why.to_string()),
                }
            }
            self.emit(&rows).await;
            planned =
                committed.into_iter().filter_map(|(one, step)| self.after(one, step)).collect();
            self.longest = self.longest.max(begun.elapsed());
            if !planned.is_empty() && !self.has_time() {
                return;
            }
        }
    }

    /// The next step of an entity.
    fn step(&self, one: &Planned) -> Step {
        let rows = entity::step(&one.ready[one.done..]);
        let ready = &one.ready[one.done..one.done + rows];
        let state = if one.whole && one.done + rows == one.ready.len() {
            one.after.clone()
        } else {
            // The same rows give the same state: applied once more, up to here.
            let rows: Vec<usize> = ready.iter().map(|ready| ready.row).collect();
            entity::apply(self.model.engine.windows(), &one.state, self.batch, &rows).after
        };
        let taken = &self.entities[one.entity].taken;
        let item = entity::next_item(&one.item, &state, ready, self.batch, &self.retention, taken);
        let bytes = item.encode();
        Step { rows, state, item, bytes }
    }

    /// Settles the fates of a committed step. Gives the entity back if another step follows.
    fn after(&mut self, one: Planned, step: Step) -> Option<Planned> {
        let entity = &mut self.entities[one.entity];
        let mut all_taken = true;
        for Ready { row, out } in &one.ready[one.done..one.done + step.rows] {
            match out.as_ref().map(|out| place(&out.coordinates)) {
                None => self.fates[*row] = Fate::AlreadyApplied,
                Some(own) if entity.aside.contains(&own) => self.fates[*row] = Fate::Undelivered,
                Some(own) if entity.taken.contains(&own) => self.fates[*row] = Fate::Written,
                Some(_) => all_taken = false,
            }
        }
        let done = one.done + step.rows;
        entity.stopped |= !all_taken;
        (all_taken && done < one.ready.len()).then(|| Planned {
            version: one.version + 1,
            item: step.item,
            state: step.state,
            done,
            ..one
        })
    }

    /// Gives rows of entities to the sinks and notes which were taken. What was not taken and comes only for minutes
    /// more is put aside, exactly as it is.
    async fn emit(&mut self, rows: &[(usize, OutboxRow)]) {
        if rows.is_empty() {
            return;
        }
        let given: Vec<Row<'_>> = rows
            .iter()
            .map(|(at, row)| Row {
                entity: &self.entities[*at].name,
                key: &row.key,
                bytes: &row.bytes,
            })
            .collect();
        let outcomes = self.ports.sinks.put(&given, self.until_answer()).await;
        let (mut refused, mut last_call, mut why) = (0u64, Vec::new(), None);
        for ((at, row), outcome) in rows.iter().zip(outcomes) {
            match outcome {
                Ok(()) => drop(self.entities[*at].taken.insert(place(&row.coordinates))),
                Err(reason) => {
                    refused += 1;
                    why.get_or_insert(reason);
                    if self.retention.is_last_call(row.coordinates.arrival) {
                        last_call.push((*at, row));
                    }
                }
            }
        }
        if let Some(why) = why {
            tracing::error!(
                request_id = self.call.request_id,
                refused,
                rows = rows.len(),
                "a sink: {why}"
            );
        }
        if let Some((_, first)) = last_call.first() {
            let lines = last_call.iter().flat_map(|(_, row)| &row.bytes).copied().collect();
            match self.put_aside("undelivered", &first.coordinates, lines).await {
                Err(why) => {
                    tracing::error!(request_id = self.call.request_id, "undelivered: {why}")
                }
                Ok(()) => {
                    for (at, row) in last_call {
                        let entity = &mut self.entities[at];
                        entity.taken.insert(place(&row.coordinates));
                        entity.aside.insert(place(&row.coordinates));
                    }
                }
            }
        }
    }

    async fn put_aside(
        &self,
        kind: &str,
        first: &Coordinates,
        lines: Vec<u8>,
    ) -> Result<(), Failure> {
        let key = self.object(kind, first);
        let put = async {
            let put = self.ports.aside.put(&key, lines).await;
            put.map_err(|why| Failure::service(&why, why.is_transient()))
        };
        within(self.until_answer(), kind, put).await
    }

    /// The key of an object that holds what begins at `first`.
    fn object(&self, kind: &str, first: &Coordinates) -> String {
        let date = first.arrival.map(|millis| {
            let mut text = Vec::new();
            timestamp::print(millis.saturating_mul(1000), &mut text);
            String::from_utf8_lossy(&text[..10]).into_owned()
        });
        // Shard and number come from outside: nothing of them may reach into another folder.
        let plain = |text: &str| -> String {
            let keep = |c: char| c.is_ascii_alphanumeric() || c == '-';
            text.chars().take(128).map(|c| if keep(c) { c } else { '_' }).collect()
        };
        format!(
            "{kind}/{}/date={}/{}-{}.jsonl",
            self.model.engine.recipe().name,
            date.as_deref().unwrap_or("unknown"),
            plain(&first.shard),
            plain(first.position.sequence.as_str())
        )
    }
}

/// The entities of `batch`, in the order of their first rows.
fn entities(model: &Model, batch: &Batch) -> Vec<Entity> {
    let mut found: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut entities: Vec<Entity> = Vec::new();
    for row in 0..batch.len() {
        let name = model.engine.entity(batch, row);
        let at = *found.entry(name).or_insert_with_key(|name| {
            entities.push(Entity {
                name: name.to_string(),
                key: state_key(&model.engine.plan().state_plan, name),
                rows: Vec::new(),
                tries: 0,
                stopped: false,
                taken: HashSet::new(),
                aside: HashSet::new(),
            });
            entities.len() - 1
        });
        entities[at].rows.push(row);
    }
    entities
}

/// Milliseconds since 1970 UTC.
pub fn millis(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
