//! Puts the records of a bucket that are not in the store yet.

use std::ops::Range;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use leat_aws::{Deadline, Failure, back_off, metrics};
use leat_lake::{Folder, Lake};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::progress::{Left, NO_TIME, Progress, lake as failure};
use crate::records::{Roles, Rows};
use crate::store::{FeatureStore, Refusal, Target};

const FUNCTION: &str = "feature-store-ingest";
/// No record is begun with less time than this left.
const MARGIN: Duration = Duration::from_secs(10);
/// How often a record is sent.
const ATTEMPTS: u32 = 8;
/// So many rows are put before the next ones are looked at.
const ROWS: usize = 1024;

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Event {
    run_folder: String,
    bucket: u32,
    #[serde(default = "candidate")]
    name: String,
}

fn candidate() -> String {
    "candidate".into()
}

/// What stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    bucket: u32,
    online: u64,
    offline: u64,
    retried: u64,
}

/// Puts the records of the bucket that `event` names, those that an earlier call has put left out. One that is refused does
/// not stop the others: it is written down, and raised at the end.
pub async fn handle(
    config: &Config,
    roles: &Roles,
    lake: &Lake,
    store: &impl FeatureStore,
    event: &str,
    deadline: Deadline,
) -> Result<Answer, Failure> {
    let event: Event = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("the event is not understood: {why}")))?;
    let Event { run_folder, bucket, name } = &event;
    let run = lake.folder(run_folder).map_err(failure)?;
    let before = Progress::read(&run, name, *bucket).await?;
    let mut progress = before.clone();
    if !before.is_done() {
        let file = file(&run, lake, name, *bucket).await?;
        let rows = Rows::read(file, roles, &config.features)?;
        put_all(config.at_once, &rows, store, deadline, &mut progress).await?;
        progress.write(&run, name, *bucket, &before).await?;
    }
    metrics(
        FUNCTION,
        &roles.recipe,
        &[
            ("online", progress.online - before.online),
            ("offline", progress.offline - before.offline),
            ("retried", progress.retried - before.retried),
            ("refused", progress.refused().count() as u64),
        ],
    );
    outcome(&progress, &run, *bucket)
}

/// The bucket's file, where the counts of its features say that it lies.
async fn file(run: &Folder, lake: &Lake, name: &str, bucket: u32) -> Result<bytes::Bytes, Failure> {
    #[derive(Deserialize)]
    struct Counts {
        curated: String,
    }
    let key = format!("counts/{name}/{bucket}.json");
    let text = run.get(&key).await.map_err(failure)?.ok_or_else(|| {
        Failure::Input(format!("{} does not exist: feature-transform makes it", run.url(&key)))
    })?;
    let counts: Counts = serde_json::from_slice(&text)
        .map_err(|why| Failure::Input(format!("{}: {why}", run.url(&key))))?;
    let url = format!("{}/bucket={bucket:02}/part.parquet", counts.curated.trim_end_matches('/'));
    lake.read(&url).await.map_err(|why| match why {
        leat_lake::LakeError::Missing { .. } => Failure::Input(why.to_string()),
        why => failure(why),
    })
}

/// Puts what earlier calls left, then what none has tried, as long as there is time.
async fn put_all(
    at_once: usize,
    rows: &Rows,
    store: &impl FeatureStore,
    deadline: Deadline,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let again: Vec<usize> =
        std::mem::take(&mut progress.left).iter().map(|left| left.row).collect();
    put_some(at_once, rows, store, deadline, again, progress).await?;
    while progress.next < rows.len() && deadline.left() > MARGIN {
        let Range { start, end } = progress.next..(progress.next + ROWS).min(rows.len());
        put_some(at_once, rows, store, deadline, (start..end).collect(), progress).await?;
        progress.next = end;
    }
    progress.tried = progress.next >= rows.len();
    Ok(())
}

async fn put_some(
    at_once: usize,
    rows: &Rows,
    store: &impl FeatureStore,
    deadline: Deadline,
    some: Vec<usize>,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let calls = some.into_iter().map(|row| put_one(rows, store, deadline, row));
    let mut calls = stream::iter(calls).buffered(at_once);
    while let Some(put) = calls.try_next().await? {
        progress.retried += u64::from(put.retried);
        match (put.left, rows.is_last(put.row)) {
            (None, true) => progress.online += 1,
            (None, false) => progress.offline += 1,
            (Some((reason, transient)), _) => {
                let id = rows.id(put.row).map(Into::into);
                progress.left.push(Left { row: put.row, id, reason, transient });
            }
        }
    }
    Ok(())
}

/// What became of a row.
struct Put {
    row: usize,
    retried: u32,
    /// Why it is not in the store, and whether it may be later.
    left: Option<(String, bool)>,
}

async fn put_one(
    rows: &Rows,
    store: &impl FeatureStore,
    deadline: Deadline,
    row: usize,
) -> Result<Put, Failure> {
    let record = match rows.record(row) {
        Ok(record) => record,
        Err(why) => return Ok(Put { row, retried: 0, left: Some((why, false)) }),
    };
    let target = if rows.is_last(row) { Target::Both } else { Target::Offline };
    let mut left = Some((NO_TIME.to_owned(), true));
    for attempt in 0..ATTEMPTS {
        if deadline.left() <= MARGIN || attempt > 0 && !back_off(attempt, deadline).await {
            return Ok(Put { row, retried: attempt.saturating_sub(1), left });
        }
        match store.put(&record, target).await {
            Ok(()) => return Ok(Put { row, retried: attempt, left: None }),
            Err(Refusal::Record(why)) => {
                return Ok(Put { row, retried: attempt, left: Some((why, false)) });
            }
            Err(Refusal::All(why)) => return Err(why),
            Err(Refusal::Busy(why)) => left = Some((why, true)),
        }
    }
    Ok(Put { row, retried: ATTEMPTS - 1, left })
}

fn outcome(progress: &Progress, run: &Folder, bucket: u32) -> Result<Answer, Failure> {
    let Progress { online, offline, retried, left, .. } = progress;
    if progress.is_done() {
        let (online, offline, retried) = (*online, *offline, *retried);
        return Ok(Answer { bucket, online, offline, retried });
    }
    let done = online + offline;
    let refused: Vec<&Left> = progress.refused().collect();
    if !progress.tried || refused.len() < left.len() {
        return Err(Failure::Busy(format!(
            "bucket {bucket}: {done} records are in the store, and no time was left for the rest; the next call goes on"
        )));
    }
    let first = refused.first().map_or("", |left| left.reason.as_str());
    let what = format!(
        "bucket {bucket}: {} of {} records were not taken ({first}, for one); {} lists them",
        left.len(),
        done + left.len() as u64,
        run.url(&format!("failures/{bucket}.jsonl"))
    );
    if left.iter().any(|left| left.transient) {
        Err(Failure::Busy(what))
    } else {
        Err(Failure::Input(what))
    }
}
