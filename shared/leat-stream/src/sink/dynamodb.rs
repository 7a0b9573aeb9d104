//! Rows to a DynamoDB table: `pk` the row's key, `json` the row. Writing a row again changes nothing.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt, stream};
use leat_aws::{Deadline, from_sdk, within};

use super::{Row, Sent, Sink, Taken, insist};

/// BatchWriteItem takes at most so many items.
const ITEMS: usize = 25;
/// Calls at a time.
const AT_A_TIME: usize = 4;

/// Rows to a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoSink {
    client: Client,
    table: String,
}

impl DynamoSink {
    /// Rows to `table`.
    pub fn new(config: impl Into<Config>, table: &str) -> Self {
        DynamoSink { client: Client::from_conf(config.into()), table: table.into() }
    }

    /// Sends rows of distinct keys once.
    async fn send(&self, rows: &[Row<'_>], mut waiting: Vec<usize>, deadline: Deadline) -> Sent {
        let requests =
            waiting.iter().map(|&row| request(&rows[row])).collect::<Result<Vec<_>, _>>();
        let requests = match requests {
            Ok(requests) => requests,
            Err(why) => return Sent { left: waiting, why, again: false },
        };
        let what = format!("writing {} rows to the table {}", waiting.len(), self.table);
        let call = self.client.batch_write_item().request_items(&self.table, requests).send();
        let call = async { call.await.map_err(|why| from_sdk(&what, &why)) };
        match within(deadline, &what, call).await {
            Err(why) => Sent { left: waiting, again: why.is_transient(), why: why.to_string() },
            Ok(answer) => {
                let left = answer.unprocessed_items.unwrap_or_default().remove(&self.table);
                let left: HashSet<String> =
                    left.unwrap_or_default().iter().filter_map(key_of).collect();
                waiting.retain(|&row| left.contains(rows[row].key));
                Sent { left: waiting, why: format!("{what}: some stay unprocessed"), again: true }
            }
        }
    }
}

impl Sink for DynamoSink {
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken> {
        let mut taken: Vec<Taken> = vec![Ok(()); rows.len()];
        // A call takes a key once, and calls at the same time keep no order.
        for wave in waves(rows) {
            let calls = wave.chunks(ITEMS).map(|rows_of_call| {
                insist(rows_of_call.to_vec(), deadline, async |left| {
                    self.send(rows, left, deadline).await
                })
            });
            let outcomes: Vec<_> = stream::iter(calls).buffer_unordered(AT_A_TIME).collect().await;
            for (left, why) in outcomes {
                for row in left {
                    taken[row] = Err(why.clone());
                }
            }
        }
        taken
    }
}

/// Rows in waves of distinct keys, which are written one wave after another.
fn waves(rows: &[Row<'_>]) -> Vec<Vec<usize>> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let times = seen.entry(row.key).or_default();
        if *times == waves.len() {
            waves.push(Vec::new());
        }
        waves[*times].push(i);
        *times += 1;
    }
    waves
}

fn request(row: &Row<'_>) -> Result<WriteRequest, String> {
    let json = String::from_utf8_lossy(row.bytes.trim_ascii_end()).into_owned();
    let put = PutRequest::builder()
        .item("pk", AttributeValue::S(row.key.into()))
        .item("json", AttributeValue::S(json))
        .build()
        .map_err(|why| why.to_string())?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn key_of(request: &WriteRequest) -> Option<String> {
    request.put_request()?.item().get("pk")?.as_s().ok().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_once_in_a_wave() {
        let rows =
            ["a", "b", "a", "c", "a", "b"].map(|key| Row { entity: "e", key, bytes: b"{}\n" });
        assert_eq!(waves(&rows), [vec![0, 1, 3], vec![2, 5], vec![4]]);
        assert_eq!(waves(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(key_of(&request(&rows[1]).unwrap()), Some("b".into()));
    }
}
