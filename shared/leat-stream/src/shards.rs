//! The stream that a function reads, as far as a hand-over needs it: which shards are open, one record into each, and what
//! came before once more.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{self, ShardIteratorType};
use leat_aws::{Aws, Failure, from_sdk};

/// Shards of a page.
const PAGE: i32 = 1000;

/// Pages that are read at most.
const PAGES: usize = 100;

/// All readers of a shard share five reads a second.
const BETWEEN_READS: Duration = Duration::from_millis(500);

/// An open shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The first of the hash keys that it takes, a decimal number.
    pub hash_key: String,
}

/// A record as the stream keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its shard's id.
    pub shard: String,
    /// Its sequence number.
    pub sequence: String,
    /// When the stream took it, in milliseconds since 1970.
    pub arrival: Option<i64>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Where a reader stands in a shard.
#[derive(Clone, Debug)]
pub struct Cursor {
    shard: String,
    /// What the store calls the place; none at the end.
    next: Option<String>,
}

/// The stream.
pub trait Shards {
    /// The stream's name.
    fn name(&self) -> &str;

    /// The ids of all shards, of closed ones too that may keep records.
    async fn all(&self) -> Result<Vec<String>, Failure>;

    /// Stands in a shard before the records that came at `from` (in milliseconds; none is before the oldest that is kept).
    async fn stand(&self, shard: &str, from: Option<i64>) -> Result<Cursor, Failure>;

    /// The next records, in order, perhaps none of them; none at all where the shard ends, as it is now.
    async fn next(&self, cursor: &mut Cursor) -> Result<Option<Vec<Kept>>, Failure>;

    /// The shards that take records.
    async fn open(&self) -> Result<Vec<Shard>, Failure>;

    /// Puts a record for `shard`. Answers the shard that took it, another one if the stream was split or merged
    /// meanwhile, and the record's sequence number.
    async fn put(&self, shard: &Shard, data: &[u8]) -> Result<(String, String), Failure>;
}

/// Where a stream is: `kinesis:<stream>` or `memory:` (one shard, in this process).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardsUrl {
    /// A Kinesis stream.
    Kinesis(String),
    /// This process.
    Memory,
}

impl FromStr for ShardsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("kinesis", name)) if crate::sink::is_aws_name(name) => {
                Ok(ShardsUrl::Kinesis(name.into()))
            }
            Some(("memory", "")) => Ok(ShardsUrl::Memory),
            _ => Err(format!("`{text}` is no stream: give `kinesis:<stream>` or `memory:`")),
        }
    }
}

/// The stream of a URL.
#[derive(Debug)]
pub enum AnyShards {
    /// See [`KinesisShards`].
    Kinesis(KinesisShards),
    /// See [`MemoryShards`].
    Memory(MemoryShards),
}

impl AnyShards {
    /// Opens the stream of `url`.
    pub async fn open(url: &ShardsUrl, aws: &Aws) -> Self {
        match url {
            ShardsUrl::Kinesis(stream) => AnyShards::Kinesis(KinesisShards {
                client: Client::new(aws.config().await),
                stream: stream.clone(),
            }),
            ShardsUrl::Memory => AnyShards::Memory(MemoryShards::new(["shardId-000000000000"])),
        }
    }
}

impl Shards for AnyShards {
    fn name(&self) -> &str {
        match self {
            AnyShards::Kinesis(stream) => stream.name(),
            AnyShards::Memory(stream) => stream.name(),
        }
    }

    async fn all(&self) -> Result<Vec<String>, Failure> {
        match self {
            AnyShards::Kinesis(stream) => stream.all().await,
            AnyShards::Memory(stream) => stream.all().await,
        }
    }

    async fn stand(&self, shard: &str, from: Option<i64>) -> Result<Cursor, Failure> {
        match self {
            AnyShards::Kinesis(stream) => stream.stand(shard, from).await,
            AnyShards::Memory(stream) => stream.stand(shard, from).await,
        }
    }

    async fn next(&self, cursor: &mut Cursor) -> Result<Option<Vec<Kept>>, Failure> {
        match self {
            AnyShards::Kinesis(stream) => stream.next(cursor).await,
            AnyShards::Memory(stream) => stream.next(cursor).await,
        }
    }

    async fn open(&self) -> Result<Vec<Shard>, Failure> {
        match self {
            AnyShards::Kinesis(stream) => stream.open().await,
            AnyShards::Memory(stream) => stream.open().await,
        }
    }

    async fn put(&self, shard: &Shard, data: &[u8]) -> Result<(String, String), Failure> {
        match self {
            AnyShards::Kinesis(stream) => stream.put(shard, data).await,
            AnyShards::Memory(stream) => stream.put(shard, data).await,
        }
    }
}

/// A Kinesis stream.
#[derive(Clone, Debug)]
pub struct KinesisShards {
    client: Client,
    stream: String,
}

impl KinesisShards {
    async fn list(&self) -> Result<Vec<types::Shard>, Failure> {
        let what = || format!("listing the shards of {}", self.stream);
        let (mut shards, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let list = self.client.list_shards();
            // A page's token takes the place of the name.
            let list = match next.take() {
                None => list.stream_name(&self.stream).max_results(PAGE),
                Some(token) => list.next_token(token),
            };
            let page = list.send().await.map_err(|why| from_sdk(&what(), &why))?;
            next = page.next_token().map(str::to_owned);
            shards.extend(page.shards.unwrap_or_default());
            if next.is_none() {
                return Ok(shards);
            }
        }
        Err(Failure::Config(format!("{}: more than {PAGES} pages", what())))
    }
}

impl Shards for KinesisShards {
    fn name(&self) -> &str {
        &self.stream
    }

    async fn all(&self) -> Result<Vec<String>, Failure> {
        Ok(self.list().await?.into_iter().map(|shard| shard.shard_id).collect())
    }

    async fn stand(&self, shard: &str, from: Option<i64>) -> Result<Cursor, Failure> {
        let start = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let start = match from {
            Some(millis) => start
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(millis)),
            None => start.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let what = || format!("reading {shard} of {}", self.stream);
        let start = start.send().await.map_err(|why| from_sdk(&what(), &why))?;
        Ok(Cursor { shard: shard.into(), next: start.shard_iterator })
    }

    async fn next(&self, cursor: &mut Cursor) -> Result<Option<Vec<Kept>>, Failure> {
        let Some(place) = cursor.next.take() else { return Ok(None) };
        let what = || format!("reading {} of {}", cursor.shard, self.stream);
        let page = self.client.get_records().shard_iterator(place).send().await;
        let page = page.map_err(|why| from_sdk(&what(), &why))?;
        if page.millis_behind_latest != Some(0) {
            cursor.next = page.next_shard_iterator;
            tokio::time::sleep(BETWEEN_READS).await;
        }
        let kept = page.records.into_iter().map(|record| Kept {
            shard: cursor.shard.clone(),
            sequence: record.sequence_number,
            arrival: record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok()),
            data: record.data.into_inner(),
        });
        Ok(Some(kept.collect()))
    }

    async fn open(&self) -> Result<Vec<Shard>, Failure> {
        let is_open = |shard: &types::Shard| {
            let range = shard.sequence_number_range();
            range.and_then(|range| range.ending_sequence_number()).is_none()
        };
        let open = self.list().await?.into_iter().filter(is_open).filter_map(|shard| {
            let hash_key = shard.hash_key_range?.starting_hash_key;
            Some(Shard { id: shard.shard_id, hash_key })
        });
        Ok(open.collect())
    }

    async fn put(&self, shard: &Shard, data: &[u8]) -> Result<(String, String), Failure> {
        let put = self
            .client
            .put_record()
            .stream_name(&self.stream)
            .partition_key("_leat_sentinel")
            .explicit_hash_key(&shard.hash_key)
            .data(Blob::new(data))
            .send()
            .await
            .map_err(|why| from_sdk(&format!("putting a record into {}", self.stream), &why))?;
        Ok((put.shard_id().into(), put.sequence_number().into()))
    }
}

/// Shards in this process, which keep what they are given. A record came, by their clock, at the millisecond of its number.
#[derive(Debug, Default)]
pub struct MemoryShards(Mutex<BTreeMap<String, Vec<Vec<u8>>>>);

impl MemoryShards {
    /// Open shards with these ids.
    pub fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        MemoryShards(Mutex::new(ids.into_iter().map(|id| (id.into(), Vec::new())).collect()))
    }

    /// The records of each shard. The sequence number of the first is 1.
    pub fn records(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shards for MemoryShards {
    fn name(&self) -> &str {
        "memory"
    }

    async fn all(&self) -> Result<Vec<String>, Failure> {
        Ok(self.records().into_keys().collect())
    }

    async fn stand(&self, shard: &str, from: Option<i64>) -> Result<Cursor, Failure> {
        Ok(Cursor { shard: shard.into(), next: Some(from.unwrap_or_default().to_string()) })
    }

    async fn next(&self, cursor: &mut Cursor) -> Result<Option<Vec<Kept>>, Failure> {
        let Some(place) = cursor.next.take() else { return Ok(None) };
        let from = place.parse().unwrap_or(0);
        let records = self.records().remove(&cursor.shard).unwrap_or_default();
        let kept = (1_i64..).zip(records).map(|(number, data)| Kept {
            shard: cursor.shard.clone(),
            sequence: number.to_string(),
            arrival: Some(number),
            data,
        });
        Ok(Some(kept.filter(|kept| kept.arrival >= Some(from)).collect()))
    }

    async fn open(&self) -> Result<Vec<Shard>, Failure> {
        let ids = self.records().into_keys();
        Ok(ids.map(|id| Shard { id, hash_key: "0".into() }).collect())
    }

    async fn put(&self, shard: &Shard, data: &[u8]) -> Result<(String, String), Failure> {
        let mut shards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = shards.entry(shard.id.clone()).or_default();
        records.push(data.to_vec());
        Ok((shard.id.clone(), records.len().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("kinesis:events".parse(), Ok(ShardsUrl::Kinesis("events".into())));
        assert_eq!("memory:".parse(), Ok(ShardsUrl::Memory));
        for bad in ["", "kinesis:", "kinesis:a b", "log:"] {
            assert!(bad.parse::<ShardsUrl>().unwrap_err().contains("is no stream"), "{bad}");
        }
    }
}
