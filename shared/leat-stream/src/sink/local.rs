//! Sinks without AWS.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use leat_aws::Deadline;

use super::{Row, Sink, Taken};

/// A file of JSON lines, appended to.
#[derive(Debug)]
pub struct FileSink(PathBuf);

impl FileSink {
    /// Lines at the end of the file at `path`, which is made with its folders at the first row.
    pub fn new(path: &str) -> Self {
        FileSink(path.into())
    }

    fn append(&self, rows: &[Row<'_>]) -> std::io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let lines: Vec<u8> = rows.iter().flat_map(|row| row.bytes).copied().collect();
        OpenOptions::new().create(true).append(true).open(&self.0)?.write_all(&lines)
    }
}

impl Sink for FileSink {
    async fn put(&self, rows: &[Row<'_>], _deadline: Deadline) -> Vec<Taken> {
        let taken = self
            .append(rows)
            .map_err(|why| format!("rows cannot be written to {}: {why}", self.0.display()));
        vec![taken; rows.len()]
    }
}

/// The log: how many rows there were, never what is in them.
#[derive(Clone, Copy, Debug)]
pub struct LogSink;

impl Sink for LogSink {
    async fn put(&self, rows: &[Row<'_>], _deadline: Deadline) -> Vec<Taken> {
        let bytes: usize = rows.iter().map(|row| row.bytes.len()).sum();
        tracing::info!(rows = rows.len(), bytes, "rows for the sink `log:`");
        vec![Ok(()); rows.len()]
    }
}

/// Rows in this process: entity, key, bytes, in the order in which they came.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<Vec<(String, String, Vec<u8>)>>);

impl MemorySink {
    /// All rows that came, repeats included.
    pub fn rows(&self) -> Vec<(String, String, Vec<u8>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for MemorySink {
    async fn put(&self, rows: &[Row<'_>], _deadline: Deadline) -> Vec<Taken> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(rows.iter().map(|r| (r.entity.into(), r.key.into(), r.bytes.into())));
        vec![Ok(()); rows.len()]
    }
}
