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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How often it was written; the next write must name it.
    pub version: u64,
    /// The hand-over that closed it, if one did: another state plan takes the entity over, and no commit succeeds.
    pub closed: Option<String>,
    /// What it took over at a hand-over; none once it was committed since.
    pub took: Option<String>,
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

/// What a hand-over does with entities' items beyond reading them. Each is one conditional write; an error means that
/// its outcome is unknown, and so does [`Commit::Lost`] after a time-out: who cares reads again.
pub trait TakeOver: EntityStore {
    /// Closes an item that is open and of `version`: from then on no commit succeeds. `by` names the hand-over.
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure>;

    /// Opens an item of `version` that `by` closed.
    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure>;

    /// Writes an item in the place of `found` (none: nothing is there), which must be as it was read, open or closed.
    /// The new one is open, of the version after `found`'s, and says what it `took` over.
    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure>;
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

impl TakeOver for Stores {
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        match self {
            Stores::Dynamo(store) => store.close(key, version, by).await,
            Stores::File(store) => store.close(key, version, by).await,
            Stores::Memory(store) => store.close(key, version, by).await,
        }
    }

    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        match self {
            Stores::Dynamo(store) => store.reopen(key, version, by).await,
            Stores::File(store) => store.reopen(key, version, by).await,
            Stores::Memory(store) => store.reopen(key, version, by).await,
        }
    }

    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure> {
        match self {
            Stores::Dynamo(store) => store.replace(key, found, bytes, took).await,
            Stores::File(store) => store.replace(key, found, bytes, took).await,
            Stores::Memory(store) => store.replace(key, found, bytes, took).await,
        }
    }
}

/// The conditions and effects of all writes, for the stores that have no conditional writes of their own: the item after
/// the write, or none if the condition does not hold.
mod rules {
    use super::Stored;

    pub fn put(found: Option<&Stored>, expected: u64, bytes: Vec<u8>) -> Option<Stored> {
        let version = found.map_or(0, |item| item.version);
        let open = found.is_none_or(|item| item.closed.is_none());
        let next = Stored { version: expected + 1, closed: None, took: None, bytes };
        (version == expected && open).then_some(next)
    }

    pub fn close(found: Option<&Stored>, version: u64, by: &str) -> Option<Stored> {
        let found = found.filter(|item| item.version == version && item.closed.is_none())?;
        Some(Stored { closed: Some(by.into()), ..found.clone() })
    }

    pub fn reopen(found: Option<&Stored>, version: u64, by: &str) -> Option<Stored> {
        let closed = |item: &&Stored| item.closed.as_deref() == Some(by);
        let found = found.filter(|item| item.version == version).filter(closed)?;
        Some(Stored { closed: None, ..found.clone() })
    }

    pub fn replace(
        found: Option<&Stored>,
        read: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Option<Stored> {
        let of = |item: Option<&Stored>| item.map(|item| (item.version, item.closed.clone()));
        let version = found.map_or(0, |item| item.version) + 1;
        let next = Stored { version, closed: None, took: Some(took.into()), bytes };
        (of(found) == of(read)).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The law of every store.
    async fn law(store: &impl TakeOver) {
        let key = "0123456789abcdef#c/1 ü".to_owned();
        let keys = [key.clone(), "none".to_owned()];
        assert_eq!(store.get(&keys).await.unwrap(), HashMap::new());
        assert_eq!(store.put(&key, 1, b"x".into()).await.unwrap(), Commit::Lost);
        assert_eq!(store.put(&key, 0, b"one".into()).await.unwrap(), Commit::Done);
        assert_eq!(store.put(&key, 0, b"two".into()).await.unwrap(), Commit::Lost);
        assert_eq!(store.put(&key, 1, b"two".into()).await.unwrap(), Commit::Done);
        assert_eq!(store.put(&key, 1, b"zombie".into()).await.unwrap(), Commit::Lost);
        let found = store.get(&keys).await.unwrap();
        let two = Stored { version: 2, bytes: b"two".into(), ..Stored::default() };
        assert_eq!(found, [(key.clone(), two.clone())].into());

        // A closed item takes no commit, is closed once, and is opened by who closed it.
        let read = async || store.get(std::slice::from_ref(&key)).await.unwrap()[&key].clone();
        assert_eq!(store.close(&key, 1, "h-1").await.unwrap(), Commit::Lost);
        assert_eq!(store.close(&key, 2, "h-1").await.unwrap(), Commit::Done);
        assert_eq!(store.close(&key, 2, "h-2").await.unwrap(), Commit::Lost);
        assert_eq!(store.put(&key, 2, b"x".into()).await.unwrap(), Commit::Lost);
        assert_eq!(read().await, Stored { closed: Some("h-1".into()), ..two.clone() });
        assert_eq!(store.reopen(&key, 2, "h-2").await.unwrap(), Commit::Lost);
        assert_eq!(store.reopen(&key, 3, "h-1").await.unwrap(), Commit::Lost);
        assert_eq!(store.replace(&key, Some(&two), b"x".into(), "t").await.unwrap(), Commit::Lost);
        assert_eq!(store.reopen(&key, 2, "h-1").await.unwrap(), Commit::Done);
        assert_eq!(store.reopen(&key, 2, "h-1").await.unwrap(), Commit::Lost);
        assert_eq!(read().await, two);
        assert_eq!(store.close("none", 0, "h-1").await.unwrap(), Commit::Lost);
        assert_eq!(store.reopen("none", 0, "h-1").await.unwrap(), Commit::Lost);

        // An item in the place of another, open or closed, as it was read; a commit forgets what was taken over.
        assert_eq!(store.replace(&key, None, b"x".into(), "t").await.unwrap(), Commit::Lost);
        assert_eq!(store.close(&key, 2, "h-3").await.unwrap(), Commit::Done);
        let closed = read().await;
        assert_eq!(store.replace(&key, Some(&closed), b"3".into(), "t").await, Ok(Commit::Done));
        let three = Stored { version: 3, took: Some("t".into()), bytes: b"3".into(), closed: None };
        assert_eq!(read().await, three);
        assert_eq!(store.replace(&key, Some(&closed), b"x".into(), "t").await, Ok(Commit::Lost));
        assert_eq!(store.put(&key, 3, b"4".into()).await.unwrap(), Commit::Done);
        assert_eq!(read().await, Stored { version: 4, bytes: b"4".into(), ..Stored::default() });
        assert_eq!(store.replace("new", None, b"1".into(), "t").await.unwrap(), Commit::Done);
        assert_eq!(store.replace("new", None, b"2".into(), "t").await.unwrap(), Commit::Lost);
    }

    #[tokio::test]
    async fn in_memory() {
        law(&MemoryStore::default()).await;
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
