//! Where entities' items lie. A store knows keys, versions and bytes; [`leat::windows::item`] knows what the
//! bytes mean.

mod dynamodb;
mod file;
mod memory;

use std::collections::HashMap;
use std::str::FromStr;

pub use dynamodb::DynamoStore;
pub use file::FileStore;
use leat_aws::{Aws, Failure};
pub use memory::MemoryStore;

/// The most bytes of an item. DynamoDB's limit is 400 KB with names and key.
pub const MAX_BYTES: usize = 390_000;

/// A stored item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How often it was written; the next write must name it.
    pub version: u64,
    /// True if another state plan took the entity over: it can be written no more.
    pub closed: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is written, as the version after the one expected.
    Done,
    /// The item is not of the expected version, or is closed: nothing was written.
    Lost,
}

/// Where entities' items lie.
pub trait EntityStore {
    /// The items that are there, by key, each as its last successful write left it (strongly consistent).
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure>;

    /// Writes the item if its version is still `expected` (0: there is none) and it is not closed. An error means
    /// that the outcome is unknown.
    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure>;
}

/// Where a function's state lies: `dynamodb:<table>`, `file:<directory>` or `memory:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A DynamoDB table.
    Dynamo(String),
    /// A directory.
    File(String),
    /// This process.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("dynamodb", table)) if crate::sink::is_aws_name(table) => {
                Ok(StoreUrl::Dynamo(table.into()))
            }
            Some(("file", path)) if !path.is_empty() => {
                Ok(StoreUrl::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("memory", "")) => Ok(StoreUrl::Memory),
            _ => Err(format!(
                "`{text}` is no store: give `dynamodb:<table>`, `file:<directory>` or `memory:`"
            )),
        }
    }
}

/// The store of a URL.
#[derive(Debug)]
pub enum Stores {
    /// See [`DynamoStore`].
    Dynamo(DynamoStore),
    /// See [`FileStore`].
    File(FileStore),
    /// See [`MemoryStore`].
    Memory(MemoryStore),
}

impl Stores {
    /// Opens the store of `url`.
    pub async fn open(url: &StoreUrl, aws: &Aws) -> Self {
        match url {
            StoreUrl::Dynamo(table) => Stores::Dynamo(DynamoStore::new(aws.config().await, table)),
            StoreUrl::File(path) => Stores::File(FileStore::new(path)),
            StoreUrl::Memory => Stores::Memory(MemoryStore::default()),
        }
    }
}

impl EntityStore for Stores {
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure> {
        match self {
            Stores::Dynamo(store) => store.get(keys).await,
            Stores::File(store) => store.get(keys).await,
            Stores::Memory(store) => store.get(keys).await,
        }
    }

    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure> {
        match self {
            Stores::Dynamo(store) => store.put(key, expected, bytes).await,
            Stores::File(store) => store.put(key, expected, bytes).await,
            Stores::Memory(store) => store.put(key, expected, bytes).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The law of every store.
    async fn law(store: &impl EntityStore) {
        let key = "0123456789abcdef#c/1 ü".to_owned();
        let keys = [key.clone(), "none".to_owned()];
        assert_eq!(store.get(&keys).await.unwrap(), HashMap::new());
        assert_eq!(store.put(&key, 1, b"x".into()).await.unwrap(), Commit::Lost);
        assert_eq!(store.put(&key, 0, b"one".into()).await.unwrap(), Commit::Done);
        assert_eq!(store.put(&key, 0, b"two".into()).await.unwrap(), Commit::Lost);
        assert_eq!(store.put(&key, 1, b"two".into()).await.unwrap(), Commit::Done);
        assert_eq!(store.put(&key, 1, b"zombie".into()).await.unwrap(), Commit::Lost);
        let found = store.get(&keys).await.unwrap();
        let expected = Stored { version: 2, closed: false, bytes: b"two".into() };
        assert_eq!(found, [(key, expected)].into());
    }

    #[tokio::test]
    async fn in_memory() {
        let store = MemoryStore::default();
        law(&store).await;
        store.close("0123456789abcdef#c/1 ü");
        assert_eq!(
            store.put("0123456789abcdef#c/1 ü", 2, b"x".into()).await.unwrap(),
            Commit::Lost
        );
    }

    #[tokio::test]
    async fn in_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        law(&FileStore::new(path.to_str().unwrap())).await;
    }

    #[test]
    fn urls() {
        assert_eq!("dynamodb:leat-state".parse(), Ok(StoreUrl::Dynamo("leat-state".into())));
        assert_eq!("file:out/state".parse(), Ok(StoreUrl::File("out/state".into())));
        assert_eq!("memory:".parse(), Ok(StoreUrl::Memory));
        for bad in ["", "dynamodb:", "dynamodb:a b", "redis:x", "file:"] {
            assert!(bad.parse::<StoreUrl>().unwrap_err().contains("is no store"), "{bad}");
        }
    }
}
