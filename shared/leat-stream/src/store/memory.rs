//! Items in this process: for one invocation after another on a laptop, and for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use leat_aws::Failure;

use super::{Commit, EntityStore, Stored, TakeOver, rules};

/// Items in this process.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<HashMap<String, Stored>>);

impl MemoryStore {
    /// All items.
    pub fn items(&self) -> HashMap<String, Stored> {
        self.lock().clone()
    }

    /// Does one conditional write.
    fn write(&self, key: &str, next: impl FnOnce(Option<&Stored>) -> Option<Stored>) -> Commit {
        let mut items = self.lock();
        match next(items.get(key)) {
            None => Commit::Lost,
            Some(next) => {
                items.insert(key.into(), next);
                Commit::Done
            }
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
        Ok(self.write(key, |found| rules::put(found, expected, bytes)))
    }
}

impl TakeOver for MemoryStore {
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        Ok(self.write(key, |found| rules::close(found, version, by)))
    }

    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        Ok(self.write(key, |found| rules::reopen(found, version, by)))
    }

    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure> {
        Ok(self.write(key, |now| rules::replace(now, found, bytes, took)))
    }
}
