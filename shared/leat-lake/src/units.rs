//! Units of cleansed data. A run writes its files first and then decides its unit's fate by one conditional write,
//! `_published/<unit>.json`. Only files that a published unit lists are read, and a unit that another one replaces is
//! read no more.

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::{Folder, LakeError, Put};

/// The folder of the decisions, within a data set's folder.
pub const PUBLISHED: &str = "_published";

/// How many decisions are read at a time.
const AT_A_TIME: usize = 16;

/// The fate of a unit: written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The version of this form: 1.
    pub leat: u32,
    /// The unit's name: its manifest's.
    pub unit: String,
    /// Whether it is read.
    pub decision: Decision,
    /// Its files; none if it was refused.
    #[serde(default)]
    pub files: Vec<UnitFile>,
    /// The sentinels that its objects held, each `<id>/<shard>`: landing has come so far.
    #[serde(default)]
    pub sentinels: Vec<String>,
    /// How many buckets its entities are spread over: `bucket=` in a file's path is the entity's hash modulo this.
    #[serde(default = "sixteen")]
    pub buckets: u32,
    /// What became of the rows: `received`, `written`, `quarantined`, ….
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// The hash of the recipe that made it.
    pub recipe_hash: String,
    /// The units that this one takes the place of.
    #[serde(default)]
    pub replaces: Vec<String>,
}

/// The buckets of units that do not say.
const fn sixteen() -> u32 {
    16
}

/// Whether a unit is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is data.
    Published,
    /// A rule halted it: it is never read, and its objects wait for a person.
    Refused,
    /// Its runs failed: its objects were made two manifests, which are read in its place.
    Split,
    /// Its runs failed as often as they may: its objects wait for a person.
    Failed,
}

/// One file of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// Its path within the data set's folder.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Unit {
    /// A unit that came to nothing: without files.
    pub fn without_data(unit: &str, decision: Decision) -> Self {
        Unit {
            leat: 1,
            unit: unit.into(),
            decision,
            files: Vec::new(),
            sentinels: Vec::new(),
            buckets: sixteen(),
            counts: BTreeMap::new(),
            recipe_hash: String::new(),
            replaces: Vec::new(),
        }
    }

    /// Decides the unit's fate, if nobody did before. `folder` is the data set's.
    pub async fn publish(&self, folder: &Folder) -> Result<Put, LakeError> {
        let key = key(&self.unit);
        let text = serde_json::to_vec(self)
            .map_err(|why| LakeError::Damaged { url: folder.url(&key), why: why.to_string() })?;
        folder.put_new(&key, text).await
    }

    /// The fate of `unit`; none if it is not decided.
    pub async fn read(folder: &Folder, unit: &str) -> Result<Option<Self>, LakeError> {
        let key = key(unit);
        let Some(bytes) = folder.get(&key).await? else { return Ok(None) };
        let damaged = |why: String| LakeError::Damaged { url: folder.url(&key), why };
        let unit: Unit = serde_json::from_slice(&bytes)
            .map_err(|why| damaged(format!("it is no unit: {why}")))?;
        match unit.leat {
            1 => Ok(Some(unit)),
            other => {
                Err(damaged(format!("it is a unit of version {other}; this Leat reads version 1")))
            }
        }
    }
}

/// The units of a data set whose fate is decided, whatever it is, in ascending order of their names.
pub async fn decided(folder: &Folder) -> Result<Vec<Unit>, LakeError> {
    let names: Vec<String> = folder
        .list(PUBLISHED)
        .await?
        .into_iter()
        .filter_map(|object| {
            let name =
                object.key.strip_prefix(PUBLISHED)?.strip_prefix('/')?.strip_suffix(".json")?;
            Some(name.to_owned())
        })
        .collect();
    let read = names.iter().map(|name| Unit::read(folder, name));
    stream::iter(read).buffered(AT_A_TIME).try_filter_map(async |unit| Ok(unit)).try_collect().await
}

/// The units of a data set that are to be read, in ascending order of their names.
pub async fn live(folder: &Folder) -> Result<Vec<Unit>, LakeError> {
    let mut units = decided(folder).await?;
    units.retain(|unit| unit.decision == Decision::Published);
    let replaced: HashSet<String> =
        units.iter().flat_map(|unit| unit.replaces.iter().cloned()).collect();
    units.retain(|unit| !replaced.contains(&unit.unit));
    Ok(units)
}

fn key(unit: &str) -> String {
    format!("{PUBLISHED}/{unit}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lake;

    fn unit(name: &str, decision: Decision, replaces: &[&str]) -> Unit {
        Unit {
            leat: 1,
            unit: name.into(),
            decision,
            files: vec![UnitFile {
                path: format!("unit={name}/part-0.parquet"),
                rows: 1,
                bytes: 2,
            }],
            sentinels: vec!["s-1/shardId-0".into()],
            buckets: 16,
            counts: [("received".to_owned(), 1)].into(),
            recipe_hash: "h".into(),
            replaces: replaces.iter().map(|r| (*r).into()).collect(),
        }
    }

    #[tokio::test]
    async fn only_live_units_are_read() {
        let folder = Lake::new(&Default::default()).folder("memory:u/cleansed/d").unwrap();
        assert_eq!(live(&folder).await, Ok(vec![]));
        for one in [
            unit("a", Decision::Published, &[]),
            unit("b", Decision::Refused, &["c"]),
            unit("c", Decision::Published, &[]),
            unit("d", Decision::Published, &["a"]),
        ] {
            assert_eq!(one.publish(&folder).await, Ok(Put::Created));
        }
        // The first decision stands.
        assert_eq!(unit("b", Decision::Published, &[]).publish(&folder).await, Ok(Put::Exists));
        let names: Vec<_> = live(&folder).await.unwrap().into_iter().map(|u| u.unit).collect();
        assert_eq!(names, ["c", "d"]);
        let decided = decided(&folder).await.unwrap();
        let names: Vec<_> = decided.iter().map(|unit| unit.unit.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(Unit::read(&folder, "b").await.unwrap().unwrap().decision, Decision::Refused);
        assert_eq!(Unit::read(&folder, "e").await, Ok(None));
    }
}
