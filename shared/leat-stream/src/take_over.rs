//! A hand-over, entity by entity: the item of one state plan becomes that of another, which is replayed up to the very
//! marks of the first. The mapping is disabled meanwhile, and the landing zone is sealed up to its sentinels.
//!
//! - The live item is closed first, on the condition of the version that was read; the new one is made from what the
//!   closed one says and written second. Between the two no commit can slip in, and whoever finds a closed item
//!   without a new one goes on from there: a load that is killed anywhere, and run again, gives the same items.
//! - The new item has the windows of the entity's past up to the live item's marks, replayed with the new recipe; it
//!   takes over marks and outbox as they are. What was handed back and not applied lies beyond the marks, and comes
//!   again.
//! - An entity of which the new recipe refuses every row is handed over like the others: its windows are empty.
//! - An entity without a live item gets what came by files, and nothing of the stream, which brings that itself.
//! - Where both plans are the same, the live item is replaced in place by one conditional write.
//! - A commit forgets what an item `took`: an item of the new plan that went on in the stream is never written over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use leat::decode::Batch;
use leat::engine::{Engine, Marks, Replay};
use leat::record::Sequence;
use leat::windows::item::{Item, Mark, state_key};
use leat_aws::Failure;
use serde::{Deserialize, Serialize};

use crate::store::{Commit, MAX_BYTES, Stored, TakeOver};

/// Entities whose items are read at a time.
const ENTITIES: usize = 500;

/// Entities at work at a time.
const AT_A_TIME: usize = 16;

/// How often an entity is looked at again after a write that lost its condition.
const TRIES: u32 = 5;

/// The records that mark, in each shard, where the stream stood after the mapping was disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentinels {
    /// What the records say: the hand-over's name.
    pub id: String,
    /// The sequence number of each open shard's.
    pub shards: BTreeMap<String, String>,
    /// When they were put, in milliseconds since 1970.
    pub at: i64,
}

impl Sentinels {
    /// True if the stream was read on after they were put: a live item has a mark beyond them.
    fn are_behind(&self, mark: &Mark) -> bool {
        match self.shards.get(&*mark.shard) {
            Some(sequence) => mark.position.sequence > Sequence::new(sequence),
            // A shard that was closed by then, or one of which nobody knew.
            None => mark.arrival.is_none_or(|arrival| arrival > self.at),
        }
    }
}

/// One hand-over.
#[derive(Clone, Copy, Debug)]
pub struct HandOver<'a> {
    /// Its name, another one for each attempt.
    pub id: &'a str,
    /// The state plan of the live items.
    pub from: &'a str,
    /// The recipe that takes over.
    pub to: &'a Engine,
    /// How far the stream was read; none if the mapping was never enabled.
    pub sentinels: Option<&'a Sentinels>,
}

/// The past of some entities, as [`HandOver::to`] sees it.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// All of their events that it admits, derived, in the order in which they are replayed.
    pub batch: Batch,
    /// The entities of events that it refuses: one may have a live item and nothing else.
    pub refused: BTreeSet<String>,
}

/// What became of entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Entities that have an item of the new plan now.
    pub loaded: u64,
    /// Those of them whose live item was taken over.
    pub taken_over: u64,
    /// Those of them that an earlier run of this step had done, or that went on in the stream.
    pub already: u64,
}

enum Outcome {
    /// A new item without a live one.
    Seeded,
    TakenOver,
    Already,
    /// There is nothing that the entity could start with.
    Nothing,
    /// A write lost its condition: look again.
    Again,
}

/// Loads the entities of `past`.
pub async fn load(
    store: &impl TakeOver,
    over: &HandOver<'_>,
    past: &Past,
) -> Result<Loaded, Failure> {
    let entities = entities(over, past);
    let mut loaded = Loaded::default();
    for some in entities.chunks(ENTITIES) {
        let found = get(store, some).await?;
        let outcomes: Vec<Outcome> = stream::iter(some.iter().map(|entity| {
            let found = [found.get(&entity.old).cloned(), found.get(&entity.new).cloned()];
            entity.load(store, over, &past.batch, found)
        }))
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
        for outcome in outcomes {
            loaded.loaded += u64::from(!matches!(outcome, Outcome::Nothing));
            loaded.taken_over += u64::from(matches!(outcome, Outcome::TakenOver));
            loaded.already += u64::from(matches!(outcome, Outcome::Already));
        }
    }
    Ok(loaded)
}

/// Opens the live items of the entities of `past` that this hand-over closed, and tells how many: what serves goes on
/// serving. It is done before the mapping is enabled again. Items of the new plan stay; a later hand-over replaces them.
pub async fn abandon(
    store: &impl TakeOver,
    over: &HandOver<'_>,
    past: &Past,
) -> Result<u64, Failure> {
    let entities = entities(over, past);
    let mut reopened = 0;
    for some in entities.chunks(ENTITIES) {
        let found = get(store, some).await?;
        let closed = some.iter().filter_map(|entity| {
            let item = found.get(&entity.old)?;
            let ours = item.closed.as_deref() == Some(over.id);
            ours.then_some((&entity.old, item.version))
        });
        let closed: Vec<_> = closed.collect();
        reopened += closed.len() as u64;
        // Lost: it was opened by an earlier run of this step, or by its own write that seemed to fail.
        stream::iter(closed.into_iter().map(|(key, version)| store.reopen(key, version, over.id)))
            .buffer_unordered(AT_A_TIME)
            .try_for_each(async |_| Ok(()))
            .await?;
    }
    Ok(reopened)
}

async fn get(
    store: &impl TakeOver,
    entities: &[Entity],
) -> Result<HashMap<String, Stored>, Failure> {
    let mut keys: Vec<String> =
        entities.iter().flat_map(|e| [&e.old, &e.new]).map(String::clone).collect();
    keys.dedup(); // the same plan: one read asks for a key once
    store.get(&keys).await
}

/// An entity of the past.
struct Entity {
    /// The key of its live item.
    old: String,
    /// The key of its item of the new plan; the same, if the plans are.
    new: String,
    /// Its rows, in order; none if all were refused.
    rows: Vec<usize>,
}

/// The entities of `past`, in the order of their first rows; then those without a row.
fn entities(over: &HandOver<'_>, past: &Past) -> Vec<Entity> {
    let mut found: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut entities: Vec<Entity> = Vec::new();
    let mut at = |name, entities: &mut Vec<Entity>| {
        let new = |name: &Cow<'_, str>| Entity {
            old: state_key(over.from, name),
            new: state_key(&over.to.plan().state_plan, name),
            rows: Vec::new(),
        };
        *found.entry(name).or_insert_with_key(|name| {
            entities.push(new(name));
            entities.len() - 1
        })
    };
    for row in 0..past.batch.len() {
        let at = at(over.to.entity(&past.batch, row), &mut entities);
        entities[at].rows.push(row);
    }
    for name in &past.refused {
        at(Cow::Borrowed(name), &mut entities);
    }
    entities
}

impl Entity {
    async fn load(
        &self,
        store: &impl TakeOver,
        over: &HandOver<'_>,
        past: &Batch,
        mut found: [Option<Stored>; 2],
    ) -> Result<Outcome, Failure> {
        for _ in 0..TRIES {
            let [old, new] = found;
            let outcome = if self.old == self.new {
                self.in_place(store, over, past, old).await?
            } else {
                self.across(store, over, past, old, new).await?
            };
            if !matches!(outcome, Outcome::Again) {
                return Ok(outcome);
            }
            let mut items = get(store, std::slice::from_ref(self)).await?;
            found = [items.get(&self.old).cloned(), items.remove(&self.new)];
        }
        Err(Failure::Busy(format!(
            "an entity's item changed {TRIES} times under the hand-over: is the mapping still enabled, or does another \
             promotion run?"
        )))
    }

    /// Both plans are the same.
    async fn in_place(
        &self,
        store: &impl TakeOver,
        over: &HandOver<'_>,
        past: &Batch,
        live: Option<Stored>,
    ) -> Result<Outcome, Failure> {
        let ours = format!("{}/", over.id);
        let done = |item: &Stored| item.took.as_ref().is_some_and(|took| took.starts_with(&ours));
        match live {
            Some(live) if live.closed.is_none() && done(&live) => Ok(Outcome::Already),
            Some(live) => self.take(store, over, past, &live, Some(&live)).await,
            None => self.seed(store, over, past).await,
        }
    }

    /// The plans differ.
    async fn across(
        &self,
        store: &impl TakeOver,
        over: &HandOver<'_>,
        past: &Batch,
        old: Option<Stored>,
        new: Option<Stored>,
    ) -> Result<Outcome, Failure> {
        let mut old = match (old, new.as_ref()) {
            (Some(old), _) => old,
            (None, None) => return self.seed(store, over, past).await,
            // It was seeded before, or is of an earlier time in which this plan served: its own marks hold.
            (None, Some(new)) if new.closed.is_none() => return Ok(Outcome::Already),
            (None, Some(new)) => return self.take(store, over, past, new, Some(new)).await,
        };
        if old.closed.is_none() {
            check(over, &decode(&old)?)?;
            if store.close(&self.old, old.version, over.id).await? == Commit::Lost {
                return Ok(Outcome::Again);
            }
            old.closed = Some(over.id.into());
        }
        match &new {
            Some(new) if is_done(over, &old, new)? => Ok(Outcome::Already),
            new => self.take(store, over, past, &old, new.as_ref()).await,
        }
    }

    /// Writes an item without a live one: what came by files.
    async fn seed(
        &self,
        store: &impl TakeOver,
        over: &HandOver<'_>,
        past: &Batch,
    ) -> Result<Outcome, Failure> {
        let windows = self.replay(over.to, past, Vec::new());
        if windows.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let item = Item { windows, ..Item::default() };
        let took = format!("{}/nothing", over.id);
        Ok(match store.replace(&self.new, None, fitting(&item)?, &took).await? {
            Commit::Done => Outcome::Seeded,
            Commit::Lost => Outcome::Again,
        })
    }

    /// The bytes of the windows after all that came by files, and what the stream brought up to `marks`; empty after
    /// nothing.
    fn replay(&self, engine: &Engine, past: &Batch, marks: Vec<Mark>) -> Vec<u8> {
        let mut rows = past.gather(&self.rows);
        let marks = Marks::from([(engine.entity(&rows, 0).into(), marks)]);
        let mut replay = Replay::up_to(engine, marks);
        replay.apply(&mut rows);
        let state = replay.into_states().into_values().next();
        state.map(|state| state.encode()).unwrap_or_default()
    }

    /// Writes an item with the marks and the outbox of `live`, in the place of `found`.
    async fn take(
        &self,
        store: &impl TakeOver,
        over: &HandOver<'_>,
        past: &Batch,
        live: &Stored,
        found: Option<&Stored>,
    ) -> Result<Outcome, Failure> {
        let mut item = decode(live)?;
        check(over, &item)?;
        item.windows = self.replay(over.to, past, item.marks.clone());
        let took = took(over, live);
        Ok(match store.replace(&self.new, found, fitting(&item)?, &took).await? {
            Commit::Done => Outcome::TakenOver,
            Commit::Lost => Outcome::Again,
        })
    }
}

/// What an item says that took over `live`.
fn took(over: &HandOver<'_>, live: &Stored) -> String {
    let plan: String = over.from.chars().take(16).collect();
    format!("{}/{plan}@{}", over.id, live.version)
}

/// True if `new` has taken `old` over, or went on from there.
fn is_done(over: &HandOver<'_>, old: &Stored, new: &Stored) -> Result<bool, Failure> {
    if new.closed.is_some() {
        return Ok(false); // of an earlier time in which this plan served
    }
    match &new.took {
        Some(said) => Ok(*said == took(over, old)),
        // It was committed in the stream: since it took over, or in an earlier time. Its marks tell.
        None => {
            let (old, new) = (decode(old)?, decode(new)?);
            Ok(old.marks.iter().all(|mark| {
                new.mark(&mark.source, &mark.shard).is_some_and(|own| own.position >= mark.position)
            }))
        }
    }
}

/// Errs if the stream was read on after the sentinels: what it applied since may not have landed.
fn check(over: &HandOver<'_>, live: &Item) -> Result<(), Failure> {
    match over.sentinels {
        _ if live.marks.is_empty() => Ok(()),
        None => Err(Failure::Input(
            "entities have marks, so the stream was read before: disable the mapping and go through `mark` and \
             `sealed` first"
                .into(),
        )),
        Some(sentinels) if live.marks.iter().any(|mark| sentinels.are_behind(mark)) => {
            Err(Failure::Busy(
                "the stream was read on after the hand-over's mark: start the promotion again, with the mapping disabled"
                    .into(),
            ))
        }
        Some(_) => Ok(()),
    }
}

fn decode(stored: &Stored) -> Result<Item, Failure> {
    Item::decode(&stored.bytes).map_err(|why| {
        Failure::Config(format!("an entity's item is damaged: {why}; restore the state table"))
    })
}

fn fitting(item: &Item) -> Result<Vec<u8>, Failure> {
    let bytes = item.encode();
    if bytes.len() > MAX_BYTES {
        return Err(Failure::Recipe(format!(
            "an entity's item would have {} bytes, more than {MAX_BYTES}: the recipe's windows keep too much",
            bytes.len()
        )));
    }
    Ok(bytes)
}
