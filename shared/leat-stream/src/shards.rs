//! The stream that a function reads, as far as a hand-over needs it: which shards are open, and one record into each.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use leat_aws::{Aws, Failure, from_sdk};

/// Shards of a page.
const PAGE: i32 = 1000;

/// Pages that are read at most.
const PAGES: usize = 100;

/// An open shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The first of the hash keys that it takes, a decimal number.
    pub hash_key: String,
}

/// The stream.
pub trait Shards {
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

impl Shards for KinesisShards {
    async fn open(&self) -> Result<Vec<Shard>, Failure> {
        let what = || format!("listing the shards of {}", self.stream);
        let (mut open, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let list = self.client.list_shards();
            // A page's token takes the place of the name.
            let list = match next.take() {
                None => list.stream_name(&self.stream).max_results(PAGE),
                Some(token) => list.next_token(token),
            };
            let page = list.send().await.map_err(|why| from_sdk(&what(), &why))?;
            for shard in page.shards() {
                let ends = shard.sequence_number_range().and_then(|r| r.ending_sequence_number());
                let keys = shard.hash_key_range().map(|range| range.starting_hash_key());
                if let (None, Some(hash_key)) = (ends, keys) {
                    open.push(Shard { id: shard.shard_id().into(), hash_key: hash_key.into() });
                }
            }
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(open);
            }
        }
        Err(Failure::Config(format!("{}: more than {PAGES} pages", what())))
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

/// Shards in this process, which keep what they are given.
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
