//! A folder of objects, wherever it lies.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};

use crate::LakeError;

/// The largest object that is read whole. Ours are far smaller.
const MAX_OBJECT: u64 = 1 << 30;

/// A folder of objects. Keys are relative to it, with `/` between their parts.
#[derive(Clone, Debug)]
pub struct Folder {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    url: String,
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is written.
    Created,
    /// An object was there before, and still is. After a time-out it can be our own: read it to know.
    Exists,
}

/// An object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key, relative to the folder.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// The store's tag of its content, where there is one.
    pub etag: Option<String>,
    /// When it was last written, in milliseconds since 1970 UTC.
    pub modified: i64,
}

impl Folder {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path, url: &str) -> Self {
        Folder { store, prefix, url: url.trim_end_matches('/').into() }
    }

    pub(crate) fn parts(&self) -> (&dyn ObjectStore, &Path) {
        (&*self.store, &self.prefix)
    }

    /// The URL of `key`.
    pub fn url(&self, key: &str) -> String {
        let between = if self.url.ends_with(':') { "" } else { "/" };
        format!("{}{between}{key}", self.url)
    }

    /// The folder `key` of this one.
    pub fn folder(&self, key: &str) -> Result<Folder, LakeError> {
        Ok(Folder::new(self.store.clone(), self.path(key)?, &self.url(key)))
    }

    /// The object at `key`, whole; none if there is none. An object of more than 1 GiB is refused.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, LakeError> {
        let found = match self.store.get(&self.path(key)?).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            found => found.map_err(|why| self.error(key, why))?,
        };
        if found.meta.size > MAX_OBJECT {
            let why = format!("it has {} bytes, more than {MAX_OBJECT}", found.meta.size);
            return Err(LakeError::Damaged { url: self.url(key), why });
        }
        found.bytes().await.map(Some).map_err(|why| self.error(key, why))
    }

    /// Writes the object at `key`, over what was there.
    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), LakeError> {
        let put = self.store.put(&self.path(key)?, bytes.into().into()).await;
        put.map(|_| ()).map_err(|why| self.error(key, why))
    }

    /// Writes the object at `key` if nothing is there (`If-None-Match: *`).
    pub async fn put_new(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Put, LakeError> {
        let path = self.path(key)?;
        match self.store.put_opts(&path, bytes.into().into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Put::Created),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                Ok(Put::Exists)
            }
            Err(why) => Err(self.error(key, why)),
        }
    }

    /// All objects below `key` (all of the folder if it is empty), in ascending order of their keys.
    pub async fn list(&self, key: &str) -> Result<Vec<Object>, LakeError> {
        let path = self.path(key)?;
        let found: Vec<_> =
            self.store.list(Some(&path)).try_collect().await.map_err(|why| self.error(key, why))?;
        let mut objects: Vec<Object> = found
            .into_iter()
            .filter_map(|meta| {
                let parts: Vec<_> = meta.location.prefix_match(&self.prefix)?.collect();
                let key = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
                let modified = meta.last_modified.timestamp_millis();
                Some(Object { key, size: meta.size, etag: meta.e_tag, modified })
            })
            .collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// Removes the object at `key`. Removing what is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), LakeError> {
        match self.store.delete(&self.path(key)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(why) => Err(self.error(key, why)),
        }
    }

    fn path(&self, key: &str) -> Result<Path, LakeError> {
        let path = Path::parse(key)
            .map_err(|why| LakeError::Url { url: self.url(key), why: why.to_string() })?;
        Ok(self.prefix.parts().chain(path.parts()).collect())
    }

    fn error(&self, key: &str, why: StoreError) -> LakeError {
        LakeError::from_store(self.url(key), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lake;

    async fn check(folder: Folder) {
        assert_eq!(folder.get("a.txt").await, Ok(None));
        assert_eq!(folder.list("").await, Ok(vec![]));
        assert_eq!(folder.put_new("sub/date=2026-01-01/a.txt", "one").await, Ok(Put::Created));
        assert_eq!(folder.put_new("sub/date=2026-01-01/a.txt", "two").await, Ok(Put::Exists));
        folder.put("b.txt", "three").await.unwrap();
        folder.put("b.txt", "four!").await.unwrap();
        assert_eq!(folder.get("sub/date=2026-01-01/a.txt").await.unwrap().unwrap(), "one");
        let keys =
            |objects: Vec<Object>| objects.into_iter().map(|o| (o.key, o.size)).collect::<Vec<_>>();
        assert_eq!(
            keys(folder.list("").await.unwrap()),
            [("b.txt".into(), 5), ("sub/date=2026-01-01/a.txt".into(), 3)]
        );
        assert_eq!(
            keys(folder.list("sub").await.unwrap()),
            [("sub/date=2026-01-01/a.txt".into(), 3)]
        );
        let sub = folder.folder("sub").unwrap();
        assert_eq!(keys(sub.list("").await.unwrap()), [("date=2026-01-01/a.txt".into(), 3)]);
        assert_eq!(sub.get("date=2026-01-01/a.txt").await.unwrap().unwrap(), "one");
        folder.delete("b.txt").await.unwrap();
        folder.delete("b.txt").await.unwrap();
        assert_eq!(folder.get("b.txt").await, Ok(None));
        assert!(folder.get("../b.txt").await.is_err());
    }

    #[tokio::test]
    async fn in_memory() {
        check(Lake::new(&Default::default()).folder("memory:lake/p").unwrap()).await;
    }

    #[tokio::test]
    async fn in_files() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("file:{}/not/yet", directory.path().display());
        let lake = Lake::new(&Default::default());
        check(lake.folder(&url).unwrap()).await;
        assert!(directory.path().join("not/yet/sub/date=2026-01-01/a.txt").is_file());
        lake.write(&format!("{url}/c d%.json"), "x").await.unwrap();
        assert_eq!(lake.read(&format!("{url}/c d%.json")).await.unwrap(), "x");
    }
}
