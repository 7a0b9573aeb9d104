//! The ledger: which objects landed, and what became of each. **It is the queue**: an event marks its object and is done
//! with; the [starter](crate::starter) takes what waits.
//!
//! An object is `landed`, then in a manifest for good; what became of the manifest became of its objects. A manifest is
//!
//! ```text
//! taking ──► waiting ──► claimed ──► running ──► done      its output was published
//!               ▲           │           │   ├──► refused   a rule halted it: a person decides
//!               └───────────┴───────────┘   ├──► split     its halves are tried once more, as manifests
//!                 not started, or failed    └──► failed    tried three times: a person decides
//! ```
//!
//! # Rows
//!
//! | `pk` | `sk` | says |
//! |---|---|---|
//! | `object#<data set>#<identity>` | `object` | an [`ObjectRow`]: seen, and its last manifest. Expires 90 days after it was taken: longer than a message or the hourly listing can be late |
//! | `landed#<data set>` | `<when>#<identity>` | the same, while no manifest has the object: the queue, oldest first |
//! | `open#<data set>` | `<manifest id>` | a [`ManifestRow`] that is taking, waiting, claimed or running |
//! | `closed#<data set>` | `<manifest id>` | a [`ManifestRow`] with its end. Expires after 90 days |
//! | `lease#<data set>` | `lease` | a [`LeaseRow`]: which starter is at work |
//! | `lease#<data set>` | `again` | `true` if another one came meanwhile |
//! | `task#<name>` | `task` | a [`TaskRow`]: a run that a workflow waits for. Expires 90 days after its end |
//! | `tasks` | `<claim>` | the name of a task that is claimed or runs |
//!
//! Each change is one conditional write, so that a repeat, a late process and two at once do no harm.

use futures::{StreamExt, TryStreamExt};
use leat_aws::Failure;
use leat_lake::manifest::ManifestObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::object::identity;
use crate::table::{Key, Row, Table, WRITES_MAX, Write};
use crate::tasks::Token;

mod task;

pub use task::{TaskRow, TaskState};

/// How long rows of the past are kept, in milliseconds.
const KEPT: i64 = 90 * 24 * 3600 * 1000;
/// The most open manifests that a look at the ledger reads.
const OPEN_MAX: usize = 10_000;

/// An object that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// The object as its manifest will name it.
    pub object: ManifestObject,
    /// When it was seen first, in milliseconds since 1970.
    pub landed: i64,
    /// The manifest that has it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// A manifest and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRow {
    /// Its id; that of its unit in the cleansed zone, too.
    pub id: String,
    /// Where the list of its objects lies.
    pub url: String,
    /// How many objects it has.
    pub objects: usize,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// How many runs for it have ended without a publication, those of its parent included.
    pub failed_runs: u32,
    /// The manifest of which it is a half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How the last failed run ended, as the service's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
}

/// How far a manifest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Its objects are being taken off the queue.
    Taking,
    /// It is to be started.
    Waiting,
    /// Somebody is about to start a run, or died while at it.
    Claimed {
        /// Who.
        claim: Claim,
    },
    /// A run was started.
    Running {
        /// Who started it.
        claim: Claim,
        /// The run's id, or the execution's ARN.
        run: String,
    },
    /// Its output was published.
    Done,
    /// A rule halted it.
    Refused,
    /// Its halves were made manifests.
    Split {
        /// Their ids.
        into: Vec<String>,
    },
    /// It was tried as often as it is.
    Failed,
}

/// A claim, written before a run is started and handed to the run, by which the run is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// `<data set>_<manifest>_<run, from 1>`, or that of a [`TaskRow`].
    pub id: String,
    /// The invocation that made it, so that no two can take one claim for theirs.
    pub by: String,
    /// When it was made, in milliseconds since 1970.
    pub since: i64,
    /// The task token of the workflow that waits for the run. It stands in no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

impl Claim {
    /// The claim of the next run for `row`.
    pub fn next(dataset: &str, row: &ManifestRow, by: &str, now: i64) -> Self {
        let id = format!("{dataset}_{}_{}", row.id, row.failed_runs + 1);
        Claim { id, by: by.into(), since: now, token: None }
    }

    /// The data set and the manifest that a claim's id names.
    pub fn parts(id: &str) -> Option<(&str, &str)> {
        let mut parts = id.split('_');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(dataset), Some(manifest), Some(_), None) => Some((dataset, manifest)),
            _ => None,
        }
    }
}

/// Who is at work on a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Empty if nobody is.
    pub owner: String,
    /// When the lease ends by itself, in milliseconds since 1970.
    pub until: i64,
}

/// A row with what it says.
#[derive(Clone, Debug)]
pub struct Read<S> {
    row: Row,
    /// What it says.
    pub says: S,
}

/// A lease that is held.
#[derive(Debug)]
pub struct Held {
    row: Row,
}

/// What landing an object did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The object waits now.
    New,
    /// It was seen before.
    Already,
}

/// The ledger of all data sets.
#[derive(Debug)]
pub struct Ledger<T> {
    table: T,
}

impl<T: Table> Ledger<T> {
    /// The ledger in `table`.
    pub fn new(table: T) -> Self {
        Ledger { table }
    }

    /// Marks an object as landed. Landing twice is landing once.
    pub async fn land(
        &self,
        dataset: &str,
        object: ManifestObject,
        now: i64,
    ) -> Result<Landing, Failure> {
        let id = identity(&object);
        let key = object_key(dataset, &id);
        if self.table.get(&key).await?.is_some() {
            return Ok(Landing::Already);
        }
        let json = json(&ObjectRow { object, landed: now, manifest: None });
        let queued = Key::new(landed_pk(dataset), format!("{now:014}#{id}"));
        let row = Write::make(key, json.clone(), None);
        let new = self.table.write(vec![row, Write::make(queued, json, None)]).await?;
        Ok(if new { Landing::New } else { Landing::Already })
    }

    /// What is known of an object.
    pub async fn object(
        &self,
        dataset: &str,
        object: &ManifestObject,
    ) -> Result<Option<ObjectRow>, Failure> {
        let row = self.table.get(&object_key(dataset, &identity(object))).await?;
        row.map(|row| Ok(read::<ObjectRow>(row)?.says)).transpose()
    }

    /// The oldest objects that wait, at most `limit`.
    pub async fn landed(
        &self,
        dataset: &str,
        limit: usize,
    ) -> Result<Vec<Read<ObjectRow>>, Failure> {
        self.table.query(&landed_pk(dataset), limit).await?.into_iter().map(read).collect()
    }

    /// The manifests that are not at their end, oldest first.
    pub async fn open(&self, dataset: &str) -> Result<Vec<Read<ManifestRow>>, Failure> {
        self.table.query(&open_pk(dataset), OPEN_MAX).await?.into_iter().map(read).collect()
    }

    /// A manifest, at its end or not.
    pub async fn manifest(
        &self,
        dataset: &str,
        id: &str,
    ) -> Result<Option<Read<ManifestRow>>, Failure> {
        for pk in [open_pk(dataset), closed_pk(dataset)] {
            if let Some(row) = self.table.get(&Key::new(pk, id)).await? {
                return Ok(Some(read(row)?));
            }
        }
        Ok(None)
    }

    /// Takes the lease of a data set for `length` milliseconds, if nobody has it or its time has passed. `owner` is this
    /// call's alone. If somebody has it, they are told to look again; `None` then means that they will.
    pub async fn acquire(
        &self,
        dataset: &str,
        owner: &str,
        now: i64,
        length: i64,
    ) -> Result<Option<Held>, Failure> {
        if let Some(held) = self.try_acquire(dataset, owner, now, length).await? {
            return Ok(Some(held));
        }
        self.set_again(dataset, true).await?;
        // The holder may have let go, and looked for `again`, just before it was set.
        self.try_acquire(dataset, owner, now, length).await
    }

    async fn try_acquire(
        &self,
        dataset: &str,
        owner: &str,
        now: i64,
        length: i64,
    ) -> Result<Option<Held>, Failure> {
        let key = lease_key(dataset, "lease");
        let mine = LeaseRow { owner: owner.into(), until: now.saturating_add(length) };
        let write = match self.table.get(&key).await? {
            None => Write::make(key.clone(), json(&mine), None),
            Some(row) => {
                let lease = read::<LeaseRow>(row)?;
                if !lease.says.owner.is_empty() && lease.says.until > now {
                    return Ok(None);
                }
                Write::change(&lease.row, json(&mine), None)
            }
        };
        self.table.write(vec![write]).await?;
        // Whatever the write answered: the lease is held if the row says so.
        let row = self.table.get(&key).await?;
        Ok(row.filter(|row| row.json == json(&mine)).map(|row| Held { row }))
    }

    /// Lets go of the lease. True if somebody came meanwhile: look again. A lease that another one took over is theirs.
    pub async fn release(&self, dataset: &str, held: Held) -> Result<bool, Failure> {
        self.table.write(vec![Write::change(&held.row, json(&LeaseRow::default()), None)]).await?;
        self.set_again(dataset, false).await
    }

    /// Sets `again` and tells what it was.
    async fn set_again(&self, dataset: &str, again: bool) -> Result<bool, Failure> {
        let key = lease_key(dataset, "again");
        loop {
            let (was, write) = match self.table.get(&key).await? {
                None => (false, Write::make(key.clone(), json(&again), None)),
                Some(row) => {
                    let was = read::<bool>(row)?;
                    (was.says, Write::change(&was.row, json(&again), None))
                }
            };
            if was == again || self.table.write(vec![write]).await? {
                return Ok(was);
            }
        }
    }

    /// Makes a manifest of objects that wait, `taking`, while the lease is held. None if it no longer is: somebody else
    /// may have taken the objects.
    pub async fn make(
        &self,
        dataset: &str,
        held: &Held,
        manifest: ManifestRow,
    ) -> Result<Option<Read<ManifestRow>>, Failure> {
        let key = Key::new(open_pk(dataset), &manifest.id);
        let write = Write::make(key.clone(), json(&manifest), None);
        self.table.write(vec![Write::check(&held.row), write]).await?;
        let made = self.table.get(&key).await?.map(read::<ManifestRow>).transpose()?;
        Ok(made.filter(|made| made.says == manifest))
    }

    /// Takes a manifest's objects off the queue, and the manifest to `waiting`. May be done again, by anybody.
    pub async fn take(
        &self,
        dataset: &str,
        manifest: &Read<ManifestRow>,
        objects: &[ManifestObject],
        now: i64,
    ) -> Result<Option<Read<ManifestRow>>, Failure> {
        let manifest_id = manifest.says.id.as_str();
        futures::stream::iter(objects)
            .map(|object| self.take_object(dataset, manifest_id, object, now))
            .buffer_unordered(16)
            .try_collect::<()>()
            .await?;
        self.advance(manifest, ManifestRow { state: State::Waiting, ..manifest.says.clone() }).await
    }

    async fn take_object(
        &self,
        dataset: &str,
        manifest: &str,
        object: &ManifestObject,
        now: i64,
    ) -> Result<(), Failure> {
        let id = identity(object);
        let key = object_key(dataset, &id);
        loop {
            // A row that expired was taken long ago.
            let Some(row) = self.table.get(&key).await? else { return Ok(()) };
            let mut seen = read::<ObjectRow>(row)?;
            if seen.says.manifest.as_deref() == Some(manifest) {
                return Ok(());
            }
            let first = seen.says.manifest.replace(manifest.into()).is_none();
            let mut writes = vec![Write::change(&seen.row, json(&seen.says), expiry(now))];
            if first {
                let queued = format!("{:014}#{id}", seen.says.landed);
                let queued = self.table.get(&Key::new(landed_pk(dataset), queued)).await?;
                writes.extend(queued.as_ref().map(Write::delete));
            }
            if self.table.write(writes).await? {
                return Ok(());
            }
        }
    }

    /// Changes an open manifest that is as it was read. None if it is not: somebody else was quicker.
    pub async fn advance(
        &self,
        from: &Read<ManifestRow>,
        to: ManifestRow,
    ) -> Result<Option<Read<ManifestRow>>, Failure> {
        self.table.write(vec![Write::change(&from.row, json(&to), None)]).await?;
        let now = self.table.get(&from.row.key).await?.map(read::<ManifestRow>).transpose()?;
        Ok(now.filter(|now| now.says == to && now.row.version == from.row.version + 1))
    }

    /// Ends an open manifest that is as it was read; `halves` are opened by the same write. False if somebody else was
    /// quicker.
    pub async fn close(
        &self,
        dataset: &str,
        from: &Read<ManifestRow>,
        end: ManifestRow,
        halves: &[ManifestRow],
        now: i64,
    ) -> Result<bool, Failure> {
        let closed = Key::new(closed_pk(dataset), &end.id);
        let mut writes =
            vec![Write::delete(&from.row), Write::make(closed, json(&end), expiry(now))];
        for half in halves {
            writes.push(Write::make(Key::new(open_pk(dataset), &half.id), json(half), None));
        }
        debug_assert!(writes.len() <= WRITES_MAX);
        self.table.write(writes).await
    }
}

fn object_key(dataset: &str, id: &str) -> Key {
    Key::new(format!("object#{dataset}#{id}"), "object")
}

fn lease_key(dataset: &str, sk: &str) -> Key {
    Key::new(format!("lease#{dataset}"), sk)
}

fn landed_pk(dataset: &str) -> String {
    format!("landed#{dataset}")
}

fn open_pk(dataset: &str) -> String {
    format!("open#{dataset}")
}

fn closed_pk(dataset: &str) -> String {
    format!("closed#{dataset}")
}

fn expiry(from: i64) -> Option<i64> {
    Some(from.saturating_add(KEPT) / 1000)
}

fn json(says: &impl Serialize) -> String {
    // Rows are plain structures with text keys: they always have a JSON text.
    serde_json::to_string(says).unwrap_or_default()
}

fn read<S: DeserializeOwned>(row: Row) -> Result<Read<S>, Failure> {
    match serde_json::from_str(&row.json) {
        Ok(says) => Ok(Read { row, says }),
        Err(why) => Err(Failure::Config(format!(
            "the ledger's row (`{}`, `{}`) is not one that this version writes: {why}",
            row.key.pk, row.key.sk
        ))),
    }
}
