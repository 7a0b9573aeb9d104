//! The table in memory: for tests, and for a function that runs alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use leat_aws::Failure;
use serde::{Deserialize, Serialize};

use super::{Change, Expect, Key, Row, Table, Write};

/// Rows by `pk`, then `sk`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rows(BTreeMap<String, BTreeMap<String, Cell>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cell {
    v: u64,
    json: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
}

impl Rows {
    fn cell(&self, key: &Key) -> Option<&Cell> {
        self.0.get(&key.pk)?.get(&key.sk)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Row> {
        let cell = self.cell(key)?;
        Some(Row { key: key.clone(), version: cell.v, json: cell.json.clone() })
    }

    pub(super) fn query(&self, pk: &str, limit: usize) -> Vec<Row> {
        let rows = self.0.get(pk).into_iter().flatten().take(limit);
        rows.map(|(sk, cell)| Row {
            key: Key::new(pk, sk),
            version: cell.v,
            json: cell.json.clone(),
        })
        .collect()
    }

    pub(super) fn write(&mut self, writes: Vec<Write>) -> bool {
        let holds = |write: &Write| match (write.expect, self.cell(&write.key)) {
            (Expect::Absent, None) => true,
            (Expect::Version(version), Some(cell)) => cell.v == version,
            _ => false,
        };
        if !writes.iter().all(holds) {
            return false;
        }
        for Write { key, expect, change } in writes {
            let rows = self.0.entry(key.pk.clone()).or_default();
            let v = match expect {
                Expect::Absent => 1,
                Expect::Version(version) => version + 1,
            };
            match change {
                Change::Put { json, expires } => {
                    rows.insert(key.sk, Cell { v, json, expires });
                }
                Change::Delete => {
                    rows.remove(&key.sk);
                }
                Change::Check => {}
            }
            if rows.is_empty() {
                self.0.remove(&key.pk);
            }
        }
        true
    }
}

/// A table that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryTable(Mutex<Rows>);

impl MemoryTable {
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        // Rows are changed whole: they are sound whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, Failure> {
        Ok(self.rows().get(key))
    }

    async fn query(&self, pk: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        Ok(self.rows().query(pk, limit))
    }

    async fn write(&self, writes: Vec<Write>) -> Result<bool, Failure> {
        Ok(self.rows().write(writes))
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn keeps_the_contract() {
        super::super::contract(&super::MemoryTable::default(), "memory").await;
    }
}
