//! `sealed`: has all landed, and been cleansed, that came before the sentinels?
//!
//! Firehose reads a shard in order, but delivers by date and quality: when a shard's sentinel lies in an object, an
//! earlier record can still wait in the buffer of another. So, in this order: each shard's sentinel is in a published
//! unit; since that was seen first, Firehose's buffers have run out; nothing lies under the error prefix that is to land yet
//! ([`crate::land`]), and then every object of landing is known to the ledger: once that is so, all that came before the
//! sentinels is known, whenever it landed; and none that was known by then still waits for its job. What is published then is
//! listed in a snapshot, from which all buckets are loaded.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use leat_aws::Failure;
use leat_batch::{BatchError, Run, Snapshot, Wanted};
use leat_jobs::object::object;
use leat_jobs::table::Table;
use leat_lake::Folder;
use leat_lake::manifest::ManifestObject;
use leat_lake::units::{Decision, Unit, decided};
use leat_stream::take_over::Sentinels;
use serde::{Deserialize, Serialize};

use crate::handler::Ports;
use crate::land::Missed;
use crate::mark;

/// The key of when all sentinels were seen, in the attempt's folder.
const SEEN: &str = "seen.json";

/// The key of when nothing was to land any more, and the ledger knew all that had.
const KNOWN: &str = "known.json";

/// The clock of who writes the ledger may be ahead of ours, in milliseconds.
const CLOCKS: i64 = 60 * 1000;

/// So long before the mark an object may have landed and not be known: a lost event, found by the hourly listing.
const LOST: i64 = 2 * 3600 * 1000;

/// The most objects under the error prefix that are looked into.
const FAILED: usize = 1000;

/// Calls at a time.
const AT_A_TIME: usize = 16;

/// What `sealed` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Whether all has landed.
    pub sealed: bool,
    /// If not: what it waits for.
    pub why: String,
    /// If so: the list of what is published.
    #[serde(flatten)]
    pub taken: Option<Taken>,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Its URL.
    pub snapshot: String,
    /// The buckets to load.
    pub buckets: Vec<u32>,
}

/// When something was seen first: all sentinels, or that all is known.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    /// In milliseconds since 1970.
    at: i64,
}

/// Tells whether landing is sealed up to the sentinels of this attempt, and takes the snapshot if it is.
pub async fn sealed<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    run: &Run,
    now: i64,
) -> Result<Sealed, Failure> {
    let sentinels = mark::read(run).await?;
    let sentinels = sentinels.ok_or_else(|| {
        Failure::Input(format!("{} does not exist: `mark` comes first", run.url_of(mark::KEY)))
    })?;
    let waits = |why: String| Ok(Sealed { why, ..Sealed::default() });
    let taken: Option<Snapshot> = run.read("snapshot.json").await?;
    if taken.is_none() {
        if let Some(why) = missing(ports, &sentinels).await? {
            return waits(why);
        }
        run.write_new(SEEN, &Seen { at: now }).await?;
        let seen: Seen = run.need(SEEN, "this step").await?;
        let until = seen.at.saturating_add(ports.config.buffer.saturating_mul(1000));
        if now < until {
            let left = (until - now) / 1000 + 1;
            return waits(format!("Firehose's buffers may hold records for {left} s more"));
        }
        if run.read::<Seen>(KNOWN).await?.is_none() {
            // In this order: `land` puts an object into landing before it removes one here.
            if let Some(why) = undrained(&folder(ports, &ports.config.failed)?).await? {
                return waits(why);
            }
            if let Some(why) = unknown(ports, &sentinels).await? {
                return waits(why);
            }
            run.write_new(KNOWN, &Seen { at: now }).await?;
        }
        let known: Seen = run.need(KNOWN, "this step").await?;
        if let Some(why) = unread(ports, known.at.saturating_add(CLOCKS)).await? {
            return waits(why);
        }
    }
    let taken = take(ports, run, now).await?;
    Ok(Sealed { sealed: true, why: String::new(), taken: Some(taken) })
}

/// Takes the snapshot where the stream was never read, and there is nothing to wait for.
pub async fn snapshot<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    run: &Run,
    now: i64,
) -> Result<Taken, Failure> {
    if mark::read(run).await?.is_some() {
        return Err(Failure::Input(format!(
            "{} exists: this attempt has marked the stream, and `sealed` takes its snapshot",
            run.url_of(mark::KEY)
        )));
    }
    take(ports, run, now).await
}

async fn take<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    run: &Run,
    now: i64,
) -> Result<Taken, Failure> {
    let cleansed = folder(ports, ports.dataset()?.cleansed())?;
    let wanted = Wanted {
        as_of: now.saturating_mul(1000),
        cleansed: &cleansed,
        engine: &ports.deployed,
        recipe_url: &ports.config.recipe,
        labels: None,
    };
    let snapshot = Snapshot::make(run, wanted).await?;
    let snapshot = snapshot.keep(run).await?;
    Ok(Taken { snapshot: Snapshot::url(run), buckets: snapshot.numbers().collect() })
}

/// Which sentinels are in no published unit.
async fn missing<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    sentinels: &Sentinels,
) -> Result<Option<String>, Failure> {
    let units =
        decided(&folder(ports, ports.dataset()?.cleansed())?).await.map_err(BatchError::from)?;
    // Nothing of a refused unit is missing whose every row was rejected: the stream has applied none of it.
    let is_read = |unit: &&Unit| {
        unit.decision == Decision::Published
            || unit.decision == Decision::Refused && unit.counts.get("written") == Some(&0)
    };
    let published: HashSet<String> =
        units.iter().filter(is_read).flat_map(|unit| unit.sentinels.iter().cloned()).collect();
    let wanted = sentinels.shards.keys().map(|shard| format!("{}/{shard}", sentinels.id));
    let missing: Vec<String> = wanted.filter(|name| !published.contains(name)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let refused = units.iter().filter(|unit| unit.decision == Decision::Refused);
    let mut of_refused =
        refused.flat_map(|unit| unit.sentinels.iter().map(move |name| (name, &unit.unit)));
    if let Some((name, unit)) = of_refused.find(|(name, _)| missing.contains(name)) {
        return Err(Failure::DataQuality(format!(
            "a rule refused unit {unit}, in which the sentinel {name} lies: what the stream has applied of it is no data \
             of the new windows; mend the rule or the data, publish, and promote again"
        )));
    }
    let (all, name) = (sentinels.shards.len(), &missing[0]);
    Ok(Some(format!(
        "{} of {all} sentinels are in no published unit yet, {name} among them",
        missing.len()
    )))
}

/// What landed and is not known to the ledger.
async fn unknown<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    sentinels: &Sentinels,
) -> Result<Option<String>, Failure> {
    let (set, ledger) = (ports.dataset()?, &ports.starter.ledger);
    let since = sentinels.at.saturating_sub(LOST);
    for prefix in &set.prefixes {
        let found = ports
            .lake
            .versions(&set.bucket_url(), &prefix.prefix, since)
            .await
            .map_err(BatchError::from)?;
        let found: Vec<ManifestObject> = found
            .iter()
            .filter(|found| set.takes(&found.key, found.size).is_ok())
            .filter_map(|f| object(&set.bucket, &f.key, f.version.as_deref(), f.etag.as_deref()))
            .collect();
        let unknown: Vec<bool> = stream::iter(&found)
            .map(async |found| Ok::<_, Failure>(ledger.object(&set.name, found).await?.is_none()))
            .buffer_unordered(AT_A_TIME)
            .try_collect()
            .await?;
        let unknown = unknown.into_iter().filter(|unknown| *unknown).count();
        if unknown > 0 {
            return Ok(Some(format!(
                "{unknown} objects below {} are not known to the ledger yet",
                prefix.prefix
            )));
        }
    }
    Ok(None)
}

/// What the ledger knew by `until` and is not published.
async fn unread<S, K, T: Table, J>(
    ports: &Ports<'_, S, K, T, J>,
    until: i64,
) -> Result<Option<String>, Failure> {
    let (set, ledger) = (ports.dataset()?, &ports.starter.ledger);
    if ledger.landed(&set.name, 1).await?.iter().any(|row| row.says.landed <= until) {
        return Ok(Some("objects that landed wait for their job".into()));
    }
    for row in ledger.open(&set.name).await? {
        let id = &row.says.id;
        let waits = || Ok(Some(format!("the manifest {id} is not published yet")));
        if row.says.created <= until {
            return waits();
        }
        let manifest = ports.starter.zones.manifest(set, id).await?;
        let early = stream::iter(&manifest.objects)
            .map(async |found| {
                let known = ledger.object(&set.name, found).await?;
                Ok::<_, Failure>(known.is_none_or(|known| known.landed <= until))
            })
            .buffer_unordered(AT_A_TIME)
            .try_any(std::future::ready)
            .await?;
        if early {
            return waits();
        }
    }
    Ok(None)
}

/// What lies under the error prefix and is to land yet.
async fn undrained(failed: &Folder) -> Result<Option<String>, Failure> {
    let objects = failed.list("").await.map_err(BatchError::from)?;
    if objects.len() > FAILED {
        return Ok(Some(format!(
            "{} objects lie in {}: the step `land` lands what can be, each hour; remove what never can",
            objects.len(),
            failed.url("")
        )));
    }
    let to_land: Vec<Option<String>> = stream::iter(&objects)
        .map(async |object| {
            let bytes =
                failed.get(&object.key).await.map_err(BatchError::from)?.unwrap_or_default();
            let nothing = Missed::of(&bytes).is_some_and(|missed| missed.is_empty());
            Ok::<_, Failure>((!nothing).then(|| object.key.clone()))
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let to_land: Vec<String> = to_land.into_iter().flatten().collect();
    Ok(to_land.first().map(|first| {
        format!(
            "{} objects with records that failed for another cause than our own refusal are to land yet, {} first: the \
             step `land` does it each hour, as long as the stream keeps them",
            to_land.len(),
            failed.url(first)
        )
    }))
}

fn folder<S, K, T, J>(ports: &Ports<'_, S, K, T, J>, url: &str) -> Result<Folder, Failure> {
    Ok(ports.lake.folder(url).map_err(BatchError::from)?)
}
