//! Stores for work without AWS.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use leat_aws::Failure;
use serde_json::{Map, Value, json};

use super::{FeatureStore, Record, Refusal, Target};

/// A folder: each record is a line of `records.jsonl`, in the order of arrival, with the stores that take it.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// The store in `folder`, which is made where it is not there.
    pub fn new(folder: &Path) -> Self {
        FileStore { folder: folder.into() }
    }

    fn append(&self, line: &Value) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join("records.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes()) // in one write, so that lines stay whole
    }
}

impl FeatureStore for FileStore {
    async fn put(&self, record: &Record, target: Target) -> Result<(), Refusal> {
        let record: Map<_, _> =
            record.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        self.append(&json!({"stores": target.words(), "record": record})).map_err(|why| {
            Refusal::All(Failure::Config(format!("{}: {why}", self.folder.display())))
        })
    }
}

#[cfg(test)]
pub use memory::MemoryStore;

#[cfg(test)]
mod memory {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// A store for tests: keeps what it is given, and refuses what it is told to.
    #[derive(Debug, Default)]
    pub struct MemoryStore {
        /// What was put, by stores.
        pub put: Mutex<Vec<(Record, Target)>>,
        /// What becomes of the next calls for a record that has this value.
        pub refuse: Mutex<BTreeMap<String, Vec<Refusal>>>,
        /// How long a call takes.
        pub takes: std::time::Duration,
    }

    impl FeatureStore for MemoryStore {
        async fn put(&self, record: &Record, target: Target) -> Result<(), Refusal> {
            tokio::time::sleep(self.takes).await;
            let mut refuse = self.refuse.lock().unwrap();
            for (_, value) in record {
                if let Some(refusal) = refuse.get_mut(value).and_then(Vec::pop) {
                    return Err(refusal);
                }
            }
            self.put.lock().unwrap().push((record.clone(), target));
            Ok(())
        }
    }
}
