//! Where rows go. A sink may get a row again; a table keeps one of each key, a stream keeps both, and they are equal
//! byte for byte.

mod dynamodb;
mod kinesis;
mod local;

use std::str::FromStr;

pub use dynamodb::DynamoSink;
pub use kinesis::KinesisSink;
use leat_aws::{Aws, Deadline, back_off};
pub use local::{FileSink, LogSink, MemorySink};

/// A row for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Whose row it is: the partition key in a stream.
    pub entity: &'a str,
    /// Its key in a table.
    pub key: &'a str,
    /// A JSON line.
    pub bytes: &'a [u8],
}

/// What became of a row: taken, or why not. The reason holds nothing of the row.
pub type Taken = Result<(), String>;

/// Where rows go.
pub trait Sink {
    /// Writes `rows` and says of each, in the same order, whether it is surely written. It gives up before the
    /// deadline. Rows of one key are written in their order.
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken>;
}

/// How often the rest of a call is sent again.
const ATTEMPTS: u32 = 6;

/// What became of one call.
struct Sent {
    /// The rows, by index, that were not taken.
    left: Vec<usize>,
    /// Why.
    why: String,
    /// True if they may be taken later.
    again: bool,
}

/// Sends `waiting` until all of it is taken, time is up, or there is no hope: each time only what is left. Gives what
/// was never taken, and why.
async fn insist(
    mut waiting: Vec<usize>,
    deadline: Deadline,
    mut send: impl AsyncFnMut(Vec<usize>) -> Sent,
) -> (Vec<usize>, String) {
    for attempt in 1.. {
        if waiting.is_empty() {
            break;
        }
        let sent = send(waiting).await;
        waiting = sent.left;
        let hope = sent.again && attempt < ATTEMPTS && !waiting.is_empty();
        if !hope || !back_off(attempt - 1, deadline).await {
            return (waiting, sent.why);
        }
    }
    (waiting, String::new())
}

/// Where a sink is: `kinesis:<stream>`, `dynamodb:<table>`, `file:<path>`, `log:` or `memory:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkUrl {
    /// A Kinesis stream.
    Kinesis(String),
    /// A DynamoDB table.
    Dynamo(String),
    /// A file of JSON lines.
    File(String),
    /// The log, without the rows' content.
    Log,
    /// This process.
    Memory,
}

impl FromStr for SinkUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("kinesis", stream)) if is_aws_name(stream) => Ok(SinkUrl::Kinesis(stream.into())),
            Some(("dynamodb", table)) if is_aws_name(table) => Ok(SinkUrl::Dynamo(table.into())),
            Some(("file", path)) if !path.is_empty() => {
                Ok(SinkUrl::File(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("log", "")) => Ok(SinkUrl::Log),
            Some(("memory", "")) => Ok(SinkUrl::Memory),
            _ => Err(format!(
                "`{text}` is no sink: give `kinesis:<stream>`, `dynamodb:<table>`, `file:<path>`, `log:` or `memory:`"
            )),
        }
    }
}

/// True for what can be the name of a stream or a table.
pub(crate) fn is_aws_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The sink of a URL.
#[derive(Debug)]
pub enum AnySink {
    /// See [`KinesisSink`].
    Kinesis(KinesisSink),
    /// See [`DynamoSink`].
    Dynamo(DynamoSink),
    /// See [`FileSink`].
    File(FileSink),
    /// See [`LogSink`].
    Log(LogSink),
    /// See [`MemorySink`].
    Memory(MemorySink),
}

impl AnySink {
    /// Opens the sink of `url`.
    pub async fn open(url: &SinkUrl, aws: &Aws) -> Self {
        match url {
            SinkUrl::Kinesis(stream) => {
                AnySink::Kinesis(KinesisSink::new(aws.config().await, stream))
            }
            SinkUrl::Dynamo(table) => AnySink::Dynamo(DynamoSink::new(aws.config().await, table)),
            SinkUrl::File(path) => AnySink::File(FileSink::new(path)),
            SinkUrl::Log => AnySink::Log(LogSink),
            SinkUrl::Memory => AnySink::Memory(MemorySink::default()),
        }
    }
}

impl Sink for AnySink {
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken> {
        match self {
            AnySink::Kinesis(sink) => sink.put(rows, deadline).await,
            AnySink::Dynamo(sink) => sink.put(rows, deadline).await,
            AnySink::File(sink) => sink.put(rows, deadline).await,
            AnySink::Log(sink) => sink.put(rows, deadline).await,
            AnySink::Memory(sink) => sink.put(rows, deadline).await,
        }
    }
}

/// Several sinks as one: a row is taken once all of them took it.
impl<S: Sink> Sink for [S] {
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken> {
        let mut taken: Vec<Taken> = vec![Ok(()); rows.len()];
        let each =
            futures::future::join_all(self.iter().map(|sink| sink.put(rows, deadline))).await;
        for outcomes in each {
            for (taken, outcome) in taken.iter_mut().zip(outcomes) {
                if taken.is_ok() {
                    *taken = outcome;
                }
            }
        }
        taken
    }
}

impl<S: Sink> Sink for Vec<S> {
    async fn put(&self, rows: &[Row<'_>], deadline: Deadline) -> Vec<Taken> {
        self.as_slice().put(rows, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn urls() {
        assert_eq!("kinesis:predictions".parse(), Ok(SinkUrl::Kinesis("predictions".into())));
        assert_eq!("log:".parse(), Ok(SinkUrl::Log));
        for bad in ["", "kinesis:", "kinesis:a/b", "s3://b", "log:x"] {
            assert!(bad.parse::<SinkUrl>().unwrap_err().contains("is no sink"), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_what_is_left_is_sent_again() {
        let deadline = Deadline::after(Duration::from_secs(9));
        let mut calls = Vec::new();
        let outcome = insist(vec![0, 1, 2, 3], deadline, async |waiting: Vec<usize>| {
            calls.push(waiting.clone());
            let left = waiting.into_iter().skip(2).collect();
            Sent { left, why: "busy".into(), again: true }
        })
        .await;
        assert_eq!(outcome.0, Vec::<usize>::new());
        assert_eq!(calls, [vec![0, 1, 2, 3], vec![2, 3]]);
        // What is never taken is told, after the last attempt too, and at once where there is no hope or time.
        for (again, seconds, expected) in [(true, 60, ATTEMPTS), (false, 60, 1), (true, 0, 1)] {
            let mut calls = 0;
            let deadline = Deadline::after(Duration::from_secs(seconds));
            let outcome = insist(vec![5, 6], deadline, async |left| {
                calls += 1;
                Sent { left, why: "busy".into(), again }
            })
            .await;
            assert_eq!((outcome, calls), ((vec![5, 6], "busy".into()), expected));
        }
    }

    #[tokio::test]
    async fn all_sinks_must_take_a_row() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/rows.jsonl");
        let sinks = vec![
            AnySink::Memory(MemorySink::default()),
            AnySink::File(FileSink::new(path.to_str().unwrap())),
            AnySink::Log(LogSink),
        ];
        let rows = [
            Row { entity: "c-1", key: "t-1", bytes: b"{\"id\":\"t-1\"}\n" },
            Row { entity: "c-2", key: "t-2", bytes: b"{\"id\":\"t-2\"}\n" },
        ];
        let deadline = Deadline::after(Duration::from_secs(9));
        assert_eq!(sinks.put(&rows, deadline).await, [Ok(()), Ok(())]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":\"t-1\"}\n{\"id\":\"t-2\"}\n");
        let nowhere = vec![AnySink::File(FileSink::new(directory.path().to_str().unwrap()))];
        assert!(nowhere.put(&rows, deadline).await.iter().all(Result::is_err));
    }
}
