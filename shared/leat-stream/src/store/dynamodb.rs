//! Items in a DynamoDB table: `pk` the key, `v` the version, `b` the bytes; `closed` the hand-over by which another state
//! plan takes the entity over, `took` what the item itself took over.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::{StreamExt, TryStreamExt, stream};
use leat_aws::{Deadline, Failure, back_off, from_sdk};

use super::{Commit, EntityStore, Stored, TakeOver};

/// BatchGetItem takes at most so many keys.
const KEYS: usize = 100;

/// Calls at a time.
const AT_A_TIME: usize = 8;

/// How long unprocessed keys are asked for again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Items in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

impl DynamoStore {
    /// Items in `table`.
    pub fn new(config: impl Into<Config>, table: &str) -> Self {
        DynamoStore { client: Client::from_conf(config.into()), table: table.into() }
    }

    async fn get_some(&self, keys: &[String]) -> Result<Vec<(String, Stored)>, Failure> {
        let what = || format!("reading {} items of {}", keys.len(), self.table);
        let (mut found, mut wanted) = (Vec::new(), self.request(keys)?);
        let deadline = Deadline::after(PATIENCE);
        for attempt in 0.. {
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(|why| from_sdk(&what(), &why))?;
            for items in answer.responses.unwrap_or_default().into_values() {
                for item in items {
                    found.push(self.item(item)?);
                }
            }
            // A part of the answer may be left out, in a success: over 16 MB, or throttled.
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.table);
            let left: Vec<String> = left
                .iter()
                .flat_map(|left| left.keys())
                .filter_map(|key| key.get("pk")?.as_s().ok().cloned())
                .collect();
            if left.is_empty() {
                return Ok(found);
            }
            wanted = self.request(&left)?;
            if !back_off(attempt, deadline).await {
                break;
            }
        }
        Err(Failure::Busy(format!("{}: some keys stay unprocessed", what())))
    }

    fn request(&self, keys: &[String]) -> Result<KeysAndAttributes, Failure> {
        let key = |key: &String| HashMap::from([("pk".to_owned(), AttributeValue::S(key.clone()))]);
        KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(key).collect()))
            .consistent_read(true)
            .build()
            .map_err(|why| Failure::Config(why.to_string()))
    }

    fn item(&self, mut item: HashMap<String, AttributeValue>) -> Result<(String, Stored), Failure> {
        let wrong = || {
            Failure::Config(format!(
                "an item of {} is no entity's state (pk text, v number, b bytes): is it another table?",
                self.table
            ))
        };
        let key = match item.remove("pk") {
            Some(AttributeValue::S(key)) => key,
            _ => return Err(wrong()),
        };
        let version = match item.remove("v") {
            Some(AttributeValue::N(n)) => n.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        let bytes = match item.remove("b") {
            Some(AttributeValue::B(bytes)) => bytes.into_inner(),
            _ => return Err(wrong()),
        };
        let mut note = |name: &str| match item.remove(name) {
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(wrong()),
        };
        let (closed, took) = (note("closed")?, note("took")?);
        Ok((key, Stored { version, closed, took, bytes }))
    }

    /// The outcome of a conditional write.
    fn outcome<T, E, R>(&self, sent: Result<T, SdkError<E, R>>) -> Result<Commit, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        match sent {
            Ok(_) => Ok(Commit::Done),
            Err(SdkError::ServiceError(why))
                if why.err().code() == Some("ConditionalCheckFailedException") =>
            {
                Ok(Commit::Lost)
            }
            Err(why) => Err(from_sdk(&format!("writing an item of {}", self.table), &why)),
        }
    }
}

fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

impl EntityStore for DynamoStore {
    async fn get(&self, keys: &[String]) -> Result<HashMap<String, Stored>, Failure> {
        let parts: Vec<Vec<(String, Stored)>> =
            stream::iter(keys.chunks(KEYS).map(|keys| self.get_some(keys)))
                .buffer_unordered(AT_A_TIME)
                .try_collect()
                .await?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn put(&self, key: &str, expected: u64, bytes: Vec<u8>) -> Result<Commit, Failure> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(key))
            .item("v", number(expected + 1))
            .item("b", AttributeValue::B(Blob::new(bytes)));
        let put = match expected {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            _ => put
                .condition_expression("v = :v AND attribute_not_exists(closed)")
                .expression_attribute_values(":v", number(expected)),
        };
        self.outcome(put.send().await)
    }
}

impl TakeOver for DynamoStore {
    async fn close(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(key))
            .update_expression("SET closed = :by")
            .condition_expression("v = :v AND attribute_not_exists(closed)")
            .expression_attribute_values(":by", text(by))
            .expression_attribute_values(":v", number(version));
        self.outcome(update.send().await)
    }

    async fn reopen(&self, key: &str, version: u64, by: &str) -> Result<Commit, Failure> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(key))
            .update_expression("REMOVE closed")
            .condition_expression("v = :v AND closed = :by")
            .expression_attribute_values(":by", text(by))
            .expression_attribute_values(":v", number(version));
        self.outcome(update.send().await)
    }

    async fn replace(
        &self,
        key: &str,
        found: Option<&Stored>,
        bytes: Vec<u8>,
        took: &str,
    ) -> Result<Commit, Failure> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(key))
            .item("v", number(found.map_or(0, |found| found.version) + 1))
            .item("took", text(took))
            .item("b", AttributeValue::B(Blob::new(bytes)));
        let put = match found {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(Stored { version, closed: None, .. }) => put
                .condition_expression("v = :v AND attribute_not_exists(closed)")
                .expression_attribute_values(":v", number(*version)),
            Some(Stored { version, closed: Some(by), .. }) => put
                .condition_expression("v = :v AND closed = :by")
                .expression_attribute_values(":v", number(*version))
                .expression_attribute_values(":by", text(by)),
        };
        self.outcome(put.send().await)
    }
}
