//! How far a bucket is, kept in the run's folder: an invocation that has no time left, or whose records are refused, is
//! repeated, and the repeat puts only what is left.

use leat_aws::Failure;
use leat_lake::Folder;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The reason of rows for which no time was left.
pub const NO_TIME: &str = "no time was left";

/// How far a bucket is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// True once all rows were tried.
    pub tried: bool,
    /// The first row that no invocation has tried.
    pub next: usize,
    /// Records in the online and the offline store.
    pub online: u64,
    /// Records in the offline store alone.
    pub offline: u64,
    /// Calls that were sent again.
    pub retried: u64,
    /// Rows that were tried and are not in the store.
    pub left: Vec<Left>,
}

/// A row that is not in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Which.
    pub row: usize,
    /// The event's id.
    pub id: Option<String>,
    /// Why: the service's code, or our own words. No values.
    pub reason: String,
    /// True if it may be taken later.
    pub transient: bool,
}

impl Progress {
    /// How far `bucket` of `name` is.
    pub async fn read(run: &Folder, name: &str, bucket: u32) -> Result<Self, Failure> {
        let key = key(name, bucket);
        match run.get(&key).await.map_err(lake)? {
            None => Ok(Progress::default()),
            Some(text) => serde_json::from_slice(&text)
                .map_err(|why| Failure::Input(format!("{}: {why}", run.url(&key)))),
        }
    }

    /// The rows that were refused.
    pub fn refused(&self) -> impl Iterator<Item = &Left> {
        self.left.iter().filter(|left| left.reason != NO_TIME)
    }

    /// Writes it down, and what was refused beside it for people: `failures/<bucket>.jsonl`, if anything is or was.
    pub async fn write(
        &self,
        run: &Folder,
        name: &str,
        bucket: u32,
        before: &Progress,
    ) -> Result<(), Failure> {
        if self.refused().chain(before.refused()).next().is_some() {
            let lines = self.refused().map(|left| {
                format!("{}\n", json!({"row": left.row, "id": left.id, "reason": left.reason}))
            });
            let key = format!("failures/{bucket}.jsonl");
            run.put(&key, lines.collect::<String>()).await.map_err(lake)?;
        }
        let text = serde_json::to_vec(self).unwrap_or_default();
        run.put(&key(name, bucket), text).await.map_err(lake)
    }

    /// True if all rows are in the store.
    pub fn is_done(&self) -> bool {
        self.tried && self.left.is_empty()
    }
}

fn key(name: &str, bucket: u32) -> String {
    format!("feature-store/{name}/{bucket}.json")
}

/// A lake's error as a failure.
pub fn lake(why: leat_lake::LakeError) -> Failure {
    Failure::service(&why, why.is_transient())
}
