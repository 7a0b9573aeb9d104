//! The event of a Kinesis mapping, read leniently: unknown fields, absent optional ones and windows with any state are
//! fine, and bytes are decoded record by record, so that one bad record never spoils its neighbours.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reason;
use crate::record::{Coordinates, Position, Reason, Sequence};

/// A record of the event, not yet decoded.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Stream, shard, sequence number and arrival.
    pub coordinates: Coordinates,
    /// The sequence number as it came: what a partial answer names.
    pub sequence_number: Cow<'a, str>,
    /// The partition key of the record itself; those inside an aggregate are others.
    pub partition_key: Cow<'a, str>,
    /// The `data` member as it came.
    data: Option<&'a RawValue>,
}

impl Record<'_> {
    /// The record's bytes. An error is of this record alone (rule `base64`); its payload is [`Record::raw`].
    pub fn data(&self) -> Result<Vec<u8>, Reason> {
        let text: Option<Cow<'_, str>> = self
            .data
            .and_then(|data| serde_json::from_str::<Text<'_>>(data.get()).ok())
            .map(|t| t.0);
        text.and_then(|text| base64_simd::STANDARD.decode_to_vec(text.as_bytes()).ok())
            .ok_or_else(|| reason("base64", "`kinesis.data` is absent or not base64"))
    }

    /// The `data` member as it came, quotes and all: what is quarantined when it is no base64.
    pub fn raw(&self) -> &[u8] {
        self.data.map_or(&[], |data| data.get().as_bytes())
    }
}

/// The payload is not the event of a Kinesis mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the event of a Kinesis event source mapping, at line {line} column {column}: it is JSON with `Records`, each \
     with `kinesis.sequenceNumber`; is the function triggered by something else?"
)]
pub struct NotAnEvent {
    line: usize,
    column: usize,
}

/// The records of an event, in order.
pub fn records(event: &[u8]) -> Result<Vec<Record<'_>>, NotAnEvent> {
    // The parser's own words can hold values.
    let event: Event<'_> = serde_json::from_slice(event)
        .map_err(|e| NotAnEvent { line: e.line(), column: e.column() })?;
    let mut out: Vec<Record<'_>> = Vec::with_capacity(event.records.len());
    for Envelope { kinesis, event_id, arn } in event.records {
        let near = out.last().map(|record| &record.coordinates);
        let shared = |text: &str, near: Option<&Arc<str>>| {
            near.filter(|near| &***near == text).cloned().unwrap_or_else(|| text.into())
        };
        let coordinates = Coordinates {
            source: shared(stream(arn.as_ref()), near.map(|c| &c.source)),
            shard: shared(shard(event_id.as_ref()), near.map(|c| &c.shard)),
            position: Position { sequence: Sequence::new(&kinesis.sequence.0), sub: 0, line: 0 },
            arrival: kinesis.arrival.and_then(milliseconds),
        };
        out.push(Record {
            coordinates,
            sequence_number: kinesis.sequence.0,
            partition_key: kinesis.partition_key.map_or("".into(), |key| key.0),
            data: kinesis.data,
        });
    }
    Ok(out)
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Envelope<'a>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    kinesis: Kinesis<'a>,
    #[serde(borrow, rename = "eventID")]
    event_id: Option<Text<'a>>,
    #[serde(borrow, rename = "eventSourceARN")]
    arn: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Kinesis<'a> {
    #[serde(borrow, rename = "sequenceNumber")]
    sequence: Text<'a>,
    #[serde(borrow, rename = "partitionKey")]
    partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "approximateArrivalTimestamp")]
    arrival: Option<f64>,
}

/// Text that is borrowed where it has no escapes, inside an option too.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// `arn:aws:kinesis:region:account:stream/NAME`, or that with `/consumer/…` after it.
fn stream<'a>(arn: Option<&'a Text<'_>>) -> &'a str {
    let arn = arn.map_or("", |arn| &arn.0);
    let name = arn.split_once(":stream/").map_or(arn, |(_, name)| name);
    name.split_once('/').map_or(name, |(name, _)| name)
}

/// `shardId-000000000006:SEQUENCE`.
fn shard<'a>(event_id: Option<&'a Text<'_>>) -> &'a str {
    event_id.and_then(|id| id.0.split_once(':')).map_or("", |(shard, _)| shard)
}

/// Seconds with a fraction → the nearest millisecond.
fn milliseconds(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9e15).then_some(millis as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_as_aws_sends_them() {
        let event = br#"{"Records":[
            {"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"s\"1","sequenceNumber":"0495",
             "data":"SGVsbG8=","approximateArrivalTimestamp":1480641523.477,"encryptionType":"KMS"},
             "eventSource":"aws:kinesis","eventID":"shardId-000000000006:0495","invokeIdentityArn":"arn:x",
             "eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/simple-stream"},
            {"kinesis":{"sequenceNumber":"496","data":"SGVs\/G8","approximateArrivalTimestamp":null},
             "eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/simple-stream/consumer/c:1"},
            {"kinesis":{"sequenceNumber":"497","data":"SGVs\/GY="}},
            {"kinesis":{"sequenceNumber":"498","data":5}},
            {"kinesis":{"sequenceNumber":"499"}},
            {"kinesis":{"sequenceNumber":"500","data":"SGVsbG8 "}},
            {"kinesis":{"sequenceNumber":"501","data":""}}],
            "window":{"start":"2020","end":"2020"},"state":{"1":282,"2":[true]},"isFinalInvokeForWindow":false}"#;
        let records = records(event).unwrap();
        let first = &records[0];
        assert_eq!(first.coordinates.source.as_ref(), "simple-stream");
        assert_eq!(first.coordinates.shard.as_ref(), "shardId-000000000006");
        assert_eq!(first.coordinates.position.sequence, Sequence::new("495"));
        assert_eq!(first.coordinates.arrival, Some(1_480_641_523_477));
        assert_eq!((&*first.sequence_number, &*first.partition_key), ("0495", "s\"1"));
        assert_eq!(records[1].coordinates.source.as_ref(), "simple-stream");
        assert_eq!(records[1].coordinates.arrival, None);
        let data: Vec<_> = records.iter().map(|record| record.data().ok()).collect();
        let none = None::<Vec<u8>>;
        assert_eq!(
            data,
            [
                Some(b"Hello".to_vec()),
                none.clone(), // padding is left out
                Some(b"Hel\xFCf".to_vec()),
                none.clone(),
                none.clone(),
                none,
                Some(Vec::new()),
            ]
        );
        assert_eq!(records[5].data().unwrap_err().rule, "base64");
        assert_eq!((records[3].raw(), records[4].raw()), (&b"5"[..], &b""[..]));
    }

    #[test]
    fn what_is_no_event() {
        assert!(records(b"{\"Records\":[],\"state\":{}}").unwrap().is_empty());
        for event in [
            "",
            "{}",
            "[]",
            "{\"Records\":[{}]}",
            "{\"Records\":[{\"s3\":{\"secret\":1}}]}",
            "{\"Records\":[]",
        ] {
            let error = records(event.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("`Records`") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn arrivals_are_rounded() {
        for (seconds, millis) in [
            (1_545_084_650.987, Some(1_545_084_650_987)),
            (1.4285376E9, Some(1_428_537_600_000)),
            (0.0004, Some(0)),
            (0.0006, Some(1)),
            (1e300, None),
            (f64::NAN, None),
        ] {
            assert_eq!(milliseconds(seconds), millis, "{seconds}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, data in "\\PC*") {
            let _ = records(&bytes);
            let record = serde_json::json!({"Records": [{"kinesis": {"sequenceNumber": data, "data": data}, "eventID": data, "eventSourceARN": data}]});
            let event = record.to_string();
            let records = records(event.as_bytes()).unwrap();
            let _ = records[0].data();
        }
    }
}
