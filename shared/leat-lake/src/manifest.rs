//! Manifests: which objects one run reads. Immutable once written; a run is retried with the same one.

use serde::{Deserialize, Serialize};

use crate::{Folder, LakeError, Put};

/// The objects that one run of a data set's job reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form: 1.
    pub leat: u32,
    /// The data set.
    pub dataset: String,
    /// The manifest's name, unique within its data set: the name of the unit that the run publishes.
    pub id: String,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// The objects.
    pub objects: Vec<ManifestObject>,
}

/// One object of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key, as S3 has it, not percent-encoded.
    pub key: String,
    /// Its version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The tag of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// S3's sequencer, which orders writes of one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// True if it lies where only our own Firehose may write: there `_leat` is believed.
    pub trusted: bool,
}

impl Manifest {
    /// Writes the manifest to `<folder>/<dataset>/<id>.json`, if none of its name is there.
    pub async fn write(&self, folder: &Folder) -> Result<Put, LakeError> {
        let key = Self::key(&self.dataset, &self.id);
        let text = serde_json::to_vec(self)
            .map_err(|why| LakeError::Damaged { url: folder.url(&key), why: why.to_string() })?;
        folder.put_new(&key, text).await
    }

    /// Reads the manifest `id` of `dataset`; none if there is none.
    pub async fn read(folder: &Folder, dataset: &str, id: &str) -> Result<Option<Self>, LakeError> {
        let key = Self::key(dataset, id);
        let Some(bytes) = folder.get(&key).await? else { return Ok(None) };
        let damaged = |why: String| LakeError::Damaged { url: folder.url(&key), why };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|why| damaged(format!("it is no manifest: {why}")))?;
        match manifest.leat {
            1 => Ok(Some(manifest)),
            other => Err(damaged(format!(
                "it is a manifest of version {other}; this Leat reads version 1"
            ))),
        }
    }

    /// The key of a manifest within the folder of all manifests.
    pub fn key(dataset: &str, id: &str) -> String {
        format!("{dataset}/{id}.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lake;

    #[tokio::test]
    async fn written_once() {
        let folder = Lake::new(&Default::default()).folder("memory:m").unwrap();
        let mut manifest = Manifest {
            leat: 1,
            dataset: "d".into(),
            id: "i".into(),
            created: "2026-01-01T00:00:00Z".into(),
            objects: vec![ManifestObject {
                bucket: "b".into(),
                key: "landing/a b.json".into(),
                version: None,
                etag: Some("t".into()),
                size: 7,
                sequencer: None,
                trusted: true,
            }],
        };
        assert_eq!(Manifest::read(&folder, "d", "i").await, Ok(None));
        assert_eq!(manifest.write(&folder).await, Ok(Put::Created));
        assert_eq!(Manifest::read(&folder, "d", "i").await, Ok(Some(manifest.clone())));
        manifest.objects.clear();
        assert_eq!(manifest.write(&folder).await, Ok(Put::Exists));
        folder
            .put("d/j.json", r#"{"leat":2,"dataset":"d","id":"j","created":"","objects":[]}"#)
            .await
            .unwrap();
        let error = Manifest::read(&folder, "d", "j").await.unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }
}
