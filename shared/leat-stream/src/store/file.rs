//! Items in files: state that outlives the process, for work without AWS. One process at a time.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use leat_aws::Failure;

use serde::{Deserialize, Serialize};

use super::{Commit, EntityStore, Stored, TakeOver, rules};

/// A file for each item: 7 bytes of version; 1 byte, 0 or 1; if it is 1, 4 bytes of length and so many of [`Notes`] as
/// JSON; then the item's bytes.
#[derive(Debug)]
pub struct FileStore {
    directory: PathBuf,
    writing: Mutex<()>,
}

/// What a hand-over leaves at an item.
#[derive(Debug, Serialize, Deserialize)]
struct Notes {
    closed: Option<String>,
    took: Option<String>,
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
        let item = unpack(&bytes);
        item.map(Some)
            .ok_or_else(|| Failure::Config(format!("{} is no item: remove it", path.display())))
    }

    /// Does one conditional write.
    fn write(
        &self,
        key: &str,
        next: impl FnOnce(Option<&Stored>) -> Option<Stored>,
    ) -> Result<Commit, Failure> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(item) = next(self.read(key)?.as_ref()) else { return Ok(Commit::Lost) };
        let write = || {
            std::fs::create_dir_all(&self.directory)?;
            let next = self.directory.join("next");
            std::fs::write(&next, pack(&item)?)?;
            std::fs::rename(&next, self.path(key))
        };
        write().map_err(|why| self.wrong("cannot be written", why))?;
        Ok(Commit::Done)
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
        self.write(key, |found| rules::put(found, expected, bytes))
    }
}

impl TakeOver for FileStore {
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        self.write(key, |found| rules::close(found, version, by))
    }

    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        self.write(key, |found| rules::reopen(found, version, by))
    }

    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure> {
        self.write(key, |now| rules::replace(now, found, bytes, took))
    }
}

fn pack(item: &Stored) -> std::io::Result<Vec<u8>> {
    let Stored { version, closed, took, bytes } = item;
    let mut out = version.to_le_bytes()[..7].to_vec();
    if closed.is_none() && took.is_none() {
        out.push(0);
    } else {
        let notes = serde_json::to_vec(&Notes { closed: closed.clone(), took: took.clone() })?;
        out.push(1);
        out.extend(u32::try_from(notes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(notes);
    }
    out.extend(bytes);
    Ok(out)
}

fn unpack(file: &[u8]) -> Option<Stored> {
    let (head, rest) = file.split_first_chunk::<8>()?;
    let [version @ .., kind] = head;
    let mut eight = [0; 8];
    eight[..7].copy_from_slice(version);
    let version = u64::from_le_bytes(eight);
    match kind {
        0 => Some(Stored { version, bytes: rest.into(), ..Stored::default() }),
        1 => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (notes, bytes) = rest.split_at_checked(length)?;
            let Notes { closed, took } = serde_json::from_slice(notes).ok()?;
            Some(Stored { version, closed, took, bytes: bytes.into() })
        }
        _ => None,
    }
}
