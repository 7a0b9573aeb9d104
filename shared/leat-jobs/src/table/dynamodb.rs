//! The table in DynamoDB. One write is a conditional PutItem or DeleteItem, several are one TransactWriteItems.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue as Value, ConditionCheck, Delete, Put, TransactWriteItem,
};
use leat_aws::{Failure, from_sdk};

use super::{Change, Expect, Key, Row, Table, Write};

type Item = HashMap<String, Value>;

/// How often a transaction that met another one is tried, with 50 ms, 100 ms, … between.
const CONFLICT_TRIES: u32 = 6;

/// A table of DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The table `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        DynamoTable { client, name: name.into() }
    }

    fn failure<E, R>(&self, what: &str, why: SdkError<E, R>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        from_sdk(&format!("{what} on the DynamoDB table `{}`", self.name), &why)
    }

    fn transact(&self, Write { key, expect, change }: Write) -> TransactWriteItem {
        let (condition, values) = condition(expect);
        let item = TransactWriteItem::builder();
        // The builders fail only where a required member is left out; none is.
        match change {
            Change::Put { json, expires } => item
                .set_put(
                    Put::builder()
                        .table_name(&self.name)
                        .set_item(Some(row(&key, expect, json, expires)))
                        .condition_expression(condition)
                        .set_expression_attribute_values(values)
                        .build()
                        .ok(),
                )
                .build(),
            Change::Delete => item
                .set_delete(
                    Delete::builder()
                        .table_name(&self.name)
                        .set_key(Some(key_of(&key)))
                        .condition_expression(condition)
                        .set_expression_attribute_values(values)
                        .build()
                        .ok(),
                )
                .build(),
            Change::Check => item
                .set_condition_check(
                    ConditionCheck::builder()
                        .table_name(&self.name)
                        .set_key(Some(key_of(&key)))
                        .condition_expression(condition)
                        .set_expression_attribute_values(values)
                        .build()
                        .ok(),
                )
                .build(),
        }
    }

    async fn put(
        &self,
        key: Key,
        expect: Expect,
        json: String,
        expires: Option<i64>,
    ) -> Result<bool, Failure> {
        let (condition, values) = condition(expect);
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(row(&key, expect, json, expires)))
            .condition_expression(condition)
            .set_expression_attribute_values(values);
        match put.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(why))
                if why.err().is_conditional_check_failed_exception() =>
            {
                Ok(false)
            }
            Err(why) => Err(self.failure("PutItem", why)),
        }
    }
}

impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, Failure> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let got = get.set_key(Some(key_of(key))).send().await;
        let got = got.map_err(|why| self.failure("GetItem", why))?;
        got.item.map(|item| read(item, &self.name)).transpose()
    }

    async fn query(&self, pk: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        let mut from = None;
        while rows.len() < limit {
            let left = i32::try_from(limit - rows.len()).unwrap_or(i32::MAX);
            let query = self.client.query().table_name(&self.name).consistent_read(true);
            let query = query
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", Value::S(pk.into()));
            let page = query.limit(left).set_exclusive_start_key(from.take()).send().await;
            let page = page.map_err(|why| self.failure("Query", why))?;
            for item in page.items.unwrap_or_default() {
                rows.push(read(item, &self.name)?);
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    async fn write(&self, mut writes: Vec<Write>) -> Result<bool, Failure> {
        if writes.len() == 1
            && let Some(write) = writes.pop_if(|write| matches!(write.change, Change::Put { .. }))
            && let Change::Put { json, expires } = write.change
        {
            return self.put(write.key, write.expect, json, expires).await;
        }
        let items: Vec<_> = writes.into_iter().map(|write| self.transact(write)).collect();
        for again in 1.. {
            let transact =
                self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let why = match transact.send().await {
                Ok(_) => return Ok(true),
                Err(why) => why,
            };
            match cancelled(&why) {
                Some(Cancelled::Condition) => return Ok(false),
                Some(Cancelled::Conflict) if again < CONFLICT_TRIES => {
                    tokio::time::sleep(Duration::from_millis(50 << (again - 1))).await;
                }
                _ => return Err(self.failure("TransactWriteItems", why)),
            }
        }
        Ok(false)
    }
}

enum Cancelled {
    /// A row is not as expected.
    Condition,
    /// Another transaction is at a row: nothing was written, the rows may yet be as expected.
    Conflict,
}

fn cancelled<R>(why: &SdkError<TransactWriteItemsError, R>) -> Option<Cancelled> {
    let SdkError::ServiceError(why) = why else { return None };
    match why.err() {
        TransactWriteItemsError::TransactionInProgressException(_) => Some(Cancelled::Conflict),
        TransactWriteItemsError::TransactionCanceledException(why) => {
            let codes: Vec<_> =
                why.cancellation_reasons().iter().filter_map(|r| r.code()).collect();
            if codes.contains(&"ConditionalCheckFailed") {
                Some(Cancelled::Condition)
            } else {
                codes.contains(&"TransactionConflict").then_some(Cancelled::Conflict)
            }
        }
        _ => None,
    }
}

fn condition(expect: Expect) -> (&'static str, Option<Item>) {
    match expect {
        Expect::Absent => ("attribute_not_exists(pk)", None),
        Expect::Version(version) => {
            ("v = :v", Some(Item::from([(":v".into(), Value::N(version.to_string()))])))
        }
    }
}

fn key_of(key: &Key) -> Item {
    let Key { pk, sk } = key.clone();
    Item::from([("pk".into(), Value::S(pk)), ("sk".into(), Value::S(sk))])
}

fn row(key: &Key, expect: Expect, json: String, expires: Option<i64>) -> Item {
    let version = match expect {
        Expect::Absent => 1,
        Expect::Version(version) => version + 1,
    };
    let mut item = key_of(key);
    item.insert("v".into(), Value::N(version.to_string()));
    item.insert("json".into(), Value::S(json));
    if let Some(expires) = expires {
        item.insert("expires".into(), Value::N(expires.to_string()));
    }
    item
}

fn read(mut item: Item, table: &str) -> Result<Row, Failure> {
    let mut take = |name: &str| match item.remove(name) {
        Some(Value::S(text) | Value::N(text)) => Some(text),
        _ => None,
    };
    let parts = (take("pk"), take("sk"), take("v").and_then(|v| v.parse().ok()), take("json"));
    match parts {
        (Some(pk), Some(sk), Some(version), Some(json)) => {
            Ok(Row { key: Key { pk, sk }, version, json })
        }
        (pk, sk, ..) => Err(Failure::Config(format!(
            "the DynamoDB table `{table}` holds an item (`{}`, `{}`) that is no row of the ledger: it lacks `v` or `json`; give the ledger a table of its own",
            pk.unwrap_or_default(),
            sk.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    /// Runs where `AWS_ENDPOINT_URL` and `LEAT_TEST_TABLE` name a table with the keys `pk` and `sk`.
    #[tokio::test]
    async fn keeps_the_contract() {
        let (Ok(_), Ok(name)) =
            (std::env::var("AWS_ENDPOINT_URL"), std::env::var("LEAT_TEST_TABLE"))
        else {
            println!("skipped: AWS_ENDPOINT_URL and LEAT_TEST_TABLE are not both set");
            return;
        };
        let aws = leat_aws::Aws::default();
        let table = super::DynamoTable::new(super::Client::new(aws.config().await), name);
        let tag = std::process::id().to_string();
        super::super::contract(&table, &tag).await;
    }
}
