//! A run's folder: what its steps pass on, each in an object of its own.

use leat_lake::{Folder, Lake, Put};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::damaged;
use crate::{BatchError, names};

/// The folder of a run: `<artifacts>/runs/<recipe>/<run>/`.
#[derive(Clone, Debug)]
pub struct Run {
    lake: Lake,
    folder: Folder,
    url: String,
    artifacts: String,
    recipe: String,
    name: String,
}

impl Run {
    /// The run whose folder is at `url`. The URL names the recipe, the run, and the folder of artifacts in which both lie.
    pub fn open(lake: &Lake, url: &str) -> Result<Self, BatchError> {
        let url = names::folder(url);
        let parts: Vec<&str> = url.trim_end_matches('/').rsplitn(4, '/').collect();
        let [name, recipe, "runs", artifacts] = parts[..] else {
            return Err(BatchError::Input(format!(
                "`{url}` is no folder of a run: it ends in runs/<recipe>/<run>/"
            )));
        };
        names::check("run", name)?;
        names::check("recipe", recipe)?;
        Ok(Run {
            lake: lake.clone(),
            folder: lake.folder(&url)?,
            artifacts: format!("{artifacts}/"),
            recipe: recipe.to_owned(),
            name: name.to_owned(),
            url,
        })
    }

    /// Its URL, which ends in `/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the folder of artifacts, which ends in `/`.
    pub fn artifacts(&self) -> &str {
        &self.artifacts
    }

    /// Where the records of what rules said of `dataset` lie.
    pub fn quality(&self, dataset: &str) -> Result<Folder, BatchError> {
        Ok(self.lake.folder(&format!("{}quality/{dataset}/", self.artifacts))?)
    }

    /// What runs over `dataset` measured: see [`crate::history`].
    pub fn history(&self, dataset: &str) -> Result<Folder, BatchError> {
        Ok(self.quality(dataset)?.folder("history")?)
    }

    /// What runs over `dataset` saw that have limits of drift: see [`crate::DriftSource`].
    pub fn profiles(&self, dataset: &str) -> Result<Folder, BatchError> {
        Ok(self.quality(dataset)?.folder("profiles")?)
    }

    /// The lake.
    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The recipe's name.
    pub fn recipe(&self) -> &str {
        &self.recipe
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of an object of the run.
    pub fn url_of(&self, key: &str) -> String {
        format!("{}{key}", self.url)
    }

    /// The object at `key`; none if there is none.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, BatchError> {
        let Some(bytes) = self.folder.get(key).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|why| damaged(self.url_of(key), why))
    }

    /// The object at `key`, which the step `made_by` makes.
    pub async fn need<T: DeserializeOwned>(
        &self,
        key: &str,
        made_by: &str,
    ) -> Result<T, BatchError> {
        self.read(key).await?.ok_or_else(|| {
            BatchError::Input(format!(
                "{} does not exist: {made_by} makes it, and comes first",
                self.url_of(key)
            ))
        })
    }

    /// The text at `key`, likewise.
    pub async fn need_text(&self, key: &str, made_by: &str) -> Result<String, BatchError> {
        let Some(bytes) = self.folder.get(key).await? else {
            return Err(BatchError::Input(format!(
                "{} does not exist: {made_by} makes it, and comes first",
                self.url_of(key)
            )));
        };
        String::from_utf8(bytes.to_vec()).map_err(|why| damaged(self.url_of(key), why))
    }

    /// Writes `bytes` to `key`, over what a repeat of this step wrote.
    pub async fn write(&self, key: &str, bytes: impl Into<Vec<u8>>) -> Result<(), BatchError> {
        Ok(self.folder.put(key, bytes.into()).await?)
    }

    /// Writes `content` to `key` as JSON, likewise.
    pub async fn write_json(&self, key: &str, content: &impl Serialize) -> Result<(), BatchError> {
        self.write(key, to_json(content, &self.url_of(key))?).await
    }

    /// Writes `content` to `key` if nothing is there.
    pub async fn write_new(&self, key: &str, content: &impl Serialize) -> Result<Put, BatchError> {
        Ok(self.folder.put_new(key, to_json(content, &self.url_of(key))?).await?)
    }
}

/// JSON for people, with a line break at its end.
pub fn to_json(content: &impl Serialize, url: &str) -> Result<Vec<u8>, BatchError> {
    let mut json =
        serde_json::to_vec_pretty(content).map_err(|why| damaged(url.to_owned(), why))?;
    json.push(b'\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let lake = Lake::new(&Default::default());
        let run = Run::open(&lake, "s3://lake/artifacts/runs/cards/r-1").unwrap();
        assert_eq!((run.recipe(), run.name()), ("cards", "r-1"));
        assert_eq!(run.artifacts(), "s3://lake/artifacts/");
        assert_eq!(run.url_of("a.json"), "s3://lake/artifacts/runs/cards/r-1/a.json");
        for bad in ["s3://lake/artifacts/cards/r-1/", "runs/cards/r-1", "s3://lake/runs/../r-1/"] {
            assert!(Run::open(&lake, bad).is_err(), "{bad}");
        }
    }
}
