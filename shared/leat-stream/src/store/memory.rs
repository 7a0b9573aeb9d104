//! Items in this process: for one invocation after another on a laptop, and for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use leat_aws::Failure;

use super::{Commit, EntityStore, Stored};

/// Items in this process.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<HashMap<String, Stored>>);

impl MemoryStore {
    /// All items.
    pub fn items(&self) -> HashMap<String, Stored> {
        self.lock().clone()
    }

    /// Closes an item, as a hand-over to another state plan does.
    pub fn close(&self, key: &str) {
        if let Some(item) = self.lock().get_mut(key) {
            item.closed = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EntityStore for MemoryStore {
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure> {
        let items = self.lock();
        Ok(keys.iter().filter_map(|key| Some((key.clone(), items.get(key)?.clone()))).collect())
    }

    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure> {
        let mut items = self.lock();
        let found = items.get(key);
        if found.map_or(0, |item| item.version) != expected || found.is_some_and(|item| item.closed)
        {
            return Ok(Commit::Lost);
        }
        items.insert(key.into(), Stored { version: expected + 1, closed: false, bytes });
        Ok(Commit::Done)
    }
}
