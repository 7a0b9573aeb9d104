//! Items in files: state that outlives the process, for work without AWS. One process at a time.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use leat_aws::Failure;

use super::{Commit, EntityStore, Stored};

/// A file for each item: 8 bytes of version, then the item's bytes.
#[derive(Debug)]
pub struct FileStore {
    directory: PathBuf,
    writing: Mutex<()>,
}

impl FileStore {
    /// Items in `directory`, which is made at the first write.
    pub fn new(directory: &str) -> Self {
        FileStore { directory: directory.into(), writing: Mutex::new(()) }
    }

    fn path(&self, key: &str) -> PathBuf {
        let mut name = String::new();
        for byte in key.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
                // Writing into a text cannot fail.
                _ => drop(write!(name, "%{byte:02x}")),
            }
        }
        if name.len() > 200 {
            name = format!("~{:032x}", leat::record::identity_of_id(key));
        }
        self.directory.join(name)
    }

    fn read(&self, key: &str) -> Result<Option<Stored>, Failure> {
        let path = self.path(key);
        let bytes = match std::fs::read(&path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|why| self.wrong("cannot be read", why))?,
        };
        let (version, bytes) = bytes
            .split_first_chunk()
            .ok_or_else(|| Failure::Config(format!("{} is no item: remove it", path.display())))?;
        Ok(Some(Stored {
            version: u64::from_le_bytes(*version),
            closed: false,
            bytes: bytes.into(),
        }))
    }

    fn wrong(&self, what: &str, why: std::io::Error) -> Failure {
        Failure::Config(format!("an item in {} {what}: {why}", self.directory.display()))
    }
}

impl EntityStore for FileStore {
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure> {
        let mut found = HashMap::new();
        for key in keys {
            if let Some(item) = self.read(key)? {
                found.insert(key.clone(), item);
            }
        }
        Ok(found)
    }

    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.read(key)?.map_or(0, |item| item.version) != expected {
            return Ok(Commit::Lost);
        }
        let write = || {
            std::fs::create_dir_all(&self.directory)?;
            let next = self.directory.join("next");
            std::fs::write(&next, [&(expected + 1).to_le_bytes(), bytes.as_slice()].concat())?;
            std::fs::rename(&next, self.path(key))
        };
        write().map_err(|why| self.wrong("cannot be written", why))?;
        Ok(Commit::Done)
    }
}
