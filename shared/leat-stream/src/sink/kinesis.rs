//! Rows to a Kinesis stream: at least once, each with its id, equal bytes. The partition key is the entity.

use std::ops::Range;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Config;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use leat_aws::{Deadline, from_sdk, within};

use super::{Row, Sent, Sink, Taken, insist};

/// PutRecords takes at most so many records…
const RECORDS: usize = 500;
/// … of so many bytes in all, keys included …
const BYTES: usize = 5 << 20;
/// … and so many each.
const RECORD_BYTES: usize = 1 << 20;
/// A partition key has at most so many characters.
const KEY_CHARACTERS: usize = 256;

/// Rows to a Kinesis stream.
#[derive(Clone, Debug)]
pub struct KinesisSink {
    client: Client,
    stream: String,
}

impl KinesisSink {
    /// Rows to `stream`.
    pub fn new(config: impl Into<Config>, stream: &str) -> Self {
        KinesisSink { client: Client::from_conf(config.into()), stream: stream.into() }
    }

    /// Sends `waiting` once.
    async fn send(&self, rows: &[Row<'_>], waiting: Vec<usize>, deadline: Deadline) -> Sent {
        let entries = waiting.iter().map(|&row| entry(&rows[row])).collect::<Result<Vec<_>, _>>();
        let entries = match entries {
            Ok(entries) => entries,
            Err(why) => return Sent { left: waiting, why, again: false },
        };
        let what = format!("writing {} rows to the stream {}", waiting.len(), self.stream);
        let call =
            self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send();
        let call = async { call.await.map_err(|why| from_sdk(&what, &why)) };
        match within(deadline, &what, call).await {
            Err(why) => Sent { left: waiting, again: why.is_transient(), why: why.to_string() },
            // Outcomes are by position, in a success too.
            Ok(answer) if answer.records.len() == waiting.len() => {
                let code =
                    answer.records.iter().find_map(|r| r.error_code.clone()).unwrap_or_default();
                let outcomes = waiting.into_iter().zip(answer.records);
                let left =
                    outcomes.filter(|(_, r)| r.error_code.is_some()).map(|(row, _)| row).collect();
                Sent { left, why: format!("{what}: {code}"), again: true }
            }
            Ok(answer) => {
                let why = format!("{what}: there are {} outcomes", answer.records.len());
                Sent { left: waiting, why, again: true }
            }
        }
    }
}

impl Sink for KinesisSink {
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken> {
        let mut taken: Vec<Taken> = vec![Ok(()); rows.len()];
        for pack in packs(rows) {
            let (large, waiting): (Vec<usize>, Vec<usize>) =
                pack.partition(|&row| size(&rows[row]) > RECORD_BYTES);
            for row in large {
                taken[row] = Err(format!("a row is larger than the stream {} takes", self.stream));
            }
            let (left, why) =
                insist(waiting, deadline, async |waiting| self.send(rows, waiting, deadline).await)
                    .await;
            for row in left {
                taken[row] = Err(why.clone());
            }
        }
        taken
    }
}

fn entry(row: &Row<'_>) -> Result<PutRecordsRequestEntry, String> {
    PutRecordsRequestEntry::builder()
        .partition_key(partition_key(row.entity))
        .data(Blob::new(row.bytes))
        .build()
        .map_err(|why| why.to_string())
}

/// The entity, or a hash of it where it cannot be a partition key.
fn partition_key(entity: &str) -> String {
    match entity.chars().count() {
        1..=KEY_CHARACTERS => entity.into(),
        _ => format!("{:032x}", leat::record::identity_of_id(entity)),
    }
}

fn size(row: &Row<'_>) -> usize {
    row.bytes.len() + partition_key(row.entity).len()
}

/// Cuts rows into calls.
fn packs(rows: &[Row<'_>]) -> Vec<Range<usize>> {
    let (mut packs, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, row) in rows.iter().enumerate() {
        let size = size(row).min(RECORD_BYTES);
        if i - start == RECORDS || bytes + size > BYTES {
            packs.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes += size;
    }
    if start < rows.len() {
        packs.push(start..rows.len());
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_bounded() {
        let small = Row { entity: "c", key: "k", bytes: b"{}" };
        let large = vec![b'x'; 1 << 20];
        let large = Row { entity: "c", key: "k", bytes: &large[1..] };
        assert!(packs(&[]).is_empty());
        assert_eq!(packs(&[small; 1001]), [0..500, 500..1000, 1000..1001]);
        assert_eq!(packs(&[large; 7]), [0..5, 5..7]);
        assert_eq!(partition_key("c-1"), "c-1");
        assert_eq!(partition_key("").len(), 32);
        assert_eq!(partition_key(&"ü".repeat(257)).len(), 32);
        assert_eq!(partition_key(&"ü".repeat(256)), "ü".repeat(256));
    }
}
