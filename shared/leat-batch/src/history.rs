//! What earlier runs over a data set measured: a folder with an object for each run, named by its logical time.
//!
//! A run sees those of earlier logical times only, so that a repeat sees what it saw before.

use futures::{StreamExt, TryStreamExt, stream};
use leat::quality::{History, PastRun};
use leat::timestamp;
use leat_lake::Folder;

use crate::BatchError;
use crate::error::damaged;

/// So many of the newest runs a training run sees.
pub const MOST: usize = 100;
/// How many are read at a time.
const AT_A_TIME: usize = 16;

/// The key of the run `name` at `now`, in microseconds: keys of later runs come later.
pub fn key(now: i64, name: &str) -> String {
    format!("{}-{name}.json", timestamp::to_text(now).replace(':', "-"))
}

/// The logical time that a key names; none of a key of another form.
fn time_of(key: &str) -> Option<i64> {
    let (date, rest) = key.strip_suffix(".json")?.split_once('T')?;
    let (time, _) = rest.split_once("Z-")?;
    timestamp::parse(&format!("{date}T{}Z", time.replace('-', ":")))
}

/// The keys in `folder` of runs before `now`, in microseconds, the newest first.
pub async fn keys_before(folder: &Folder, now: i64) -> Result<Vec<String>, BatchError> {
    let listed = folder.list("").await?;
    let mut keys: Vec<(i64, String)> = listed
        .into_iter()
        .filter_map(|object| Some((time_of(&object.key)?, object.key)))
        .filter(|(time, key)| *time < now && !key.contains('/'))
        .collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The runs in `folder` before `now`, in microseconds: the `most` newest, the newest first.
pub async fn before(folder: &Folder, now: i64, most: usize) -> Result<Vec<PastRun>, BatchError> {
    let mut keys = keys_before(folder, now).await?;
    keys.truncate(most);
    let read = async |key: String| {
        let Some(bytes) = folder.get(&key).await? else { return Ok(None) };
        let run: PastRun =
            serde_json::from_slice(&bytes).map_err(|why| damaged(folder.url(&key), why))?;
        match run.leat {
            1 => Ok(Some(run)),
            other => {
                let why = format!("it is a run of version {other}; this Leat reads version 1");
                Err(damaged(folder.url(&key), why))
            }
        }
    };
    let runs: Vec<Option<PastRun>> =
        stream::iter(keys).map(read).buffered(AT_A_TIME).try_collect().await?;
    Ok(runs.into_iter().flatten().collect())
}

/// What `runs`, the newest first, measured.
pub fn measured(runs: &[PastRun]) -> History {
    History::new(runs.iter().map(|run| run.measured.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat_lake::Lake;

    fn time(text: &str) -> i64 {
        timestamp::parse(text).unwrap()
    }

    #[test]
    fn keys_tell_times() {
        for text in ["2026-01-01T00:00:00Z", "2026-01-01T23:59:59.25Z"] {
            assert_eq!(time_of(&key(time(text), "r-1_x")), Some(time(text)), "{text}");
        }
        for other in ["a.json", "2026-01-01T00-00-00Z-a", "2026-13-01T00-00-00Z-a.json", "T.json"] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_run_sees_what_was_before_it() {
        let folder = Lake::new(&Default::default()).folder("memory:h/").unwrap();
        let run = |n: usize, now: &str| PastRun {
            leat: 1,
            engine: "0".into(),
            run: format!("r-{n}"),
            now: now.into(),
            ruleset_hash: None,
            rows: n as u64,
            passed: true,
            score: None,
            measured: [("m".to_owned(), n as f64)].into(),
        };
        let now = time("2026-06-01T00:00:00Z");
        assert_eq!(before(&folder, now, MOST).await.unwrap(), []);
        for n in 0..130 {
            let at = timestamp::to_text(now - (n as i64 - 10) * 3_600_000_000);
            let json = run(n, &at).to_json().unwrap();
            folder.put(&key(time(&at), &format!("r-{n}")), json).await.unwrap();
        }
        folder.put("notes.json", "no").await.unwrap();
        let found = before(&folder, now, MOST).await.unwrap();
        let numbers: Vec<u64> = found.iter().map(|run| run.rows).collect();
        // The one at the same time is none of them.
        assert_eq!(numbers, (11..111).collect::<Vec<u64>>());
        assert_eq!(measured(&found).last("m", 2), [11.0, 12.0]);
        folder.put("2026-05-31T00-00-00Z-x.json", "no").await.unwrap();
        let why = before(&folder, now, MOST).await.unwrap_err().to_string();
        assert!(why.contains("2026-05-31T00-00-00Z-x.json"), "{why}");
    }
}
