//! The table in a folder, for functions that run on one machine: `ledger.json`, written whole and renamed, and
//! `ledger.lock`, which processes lock in turn.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use leat_aws::Failure;

use super::memory::Rows;
use super::{Key, Row, Table, Write};

/// A table in a folder.
#[derive(Debug)]
pub struct FileTable {
    folder: PathBuf,
}

impl FileTable {
    /// The table in `folder`, which is made where it is not there.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|why| failure(folder, &why))?;
        Ok(FileTable { folder: folder.into() })
    }

    /// Runs `act` on the rows while no other process has them, and keeps them if it says so.
    fn with<T>(&self, act: impl FnOnce(&mut Rows) -> (T, bool)) -> Result<T, Failure> {
        let run = || -> io::Result<T> {
            let lock = File::create(self.folder.join("ledger.lock"))?;
            lock.lock()?; // let go when `lock` is dropped
            let path = self.folder.join("ledger.json");
            let mut rows = match fs::read(&path) {
                Ok(text) => serde_json::from_slice(&text)?,
                Err(why) if why.kind() == io::ErrorKind::NotFound => Rows::default(),
                Err(why) => return Err(why),
            };
            let (answer, keep) = act(&mut rows);
            if keep {
                let next = self.folder.join("ledger.json.next");
                fs::write(&next, serde_json::to_vec(&rows)?)?;
                fs::rename(&next, &path)?;
            }
            Ok(answer)
        };
        run().map_err(|why| failure(&self.folder, &why))
    }
}

fn failure(folder: &Path, why: &io::Error) -> Failure {
    Failure::Busy(format!("ledger in {}: {why}", folder.display()))
}

impl Table for FileTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, Failure> {
        self.with(|rows| (rows.get(key), false))
    }

    async fn query(&self, pk: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        self.with(|rows| (rows.query(pk, limit), false))
    }

    async fn write(&self, writes: Vec<Write>) -> Result<bool, Failure> {
        self.with(|rows| {
            let done = rows.write(writes);
            (done, done)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let table = FileTable::open(&folder.path().join("ledger")).unwrap();
        super::super::contract(&table, "file").await;
    }

    #[test]
    fn processes_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let write = |i: usize| {
            // A table of its own for each thread, as for each process.
            let table = FileTable::open(folder.path()).unwrap();
            let row = Write::make(Key::new("p", i.to_string()), "{}".into(), None);
            assert!(futures::executor::block_on(table.write(vec![row])).unwrap());
        };
        std::thread::scope(|scope| (0..8).for_each(|i| drop(scope.spawn(move || write(i)))));
        let table = FileTable::open(folder.path()).unwrap();
        assert_eq!(futures::executor::block_on(table.query("p", 100)).unwrap().len(), 8);
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ledger.json"), "{").unwrap();
        let table = FileTable::open(folder.path()).unwrap();
        let why = table.query("p", 1).await.unwrap_err().to_string();
        assert!(why.contains(&folder.path().display().to_string()), "{why}");
    }
}
