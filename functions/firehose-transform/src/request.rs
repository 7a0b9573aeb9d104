//! The event of a Firehose transformation, read leniently: one bad record is its own misfortune, not the batch's.

use std::borrow::Cow;

use leat::record::{Coordinates, Position, Sequence};
use leat::timestamp;
use leat_aws::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A record of the request, not yet decoded.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The id that its answer names.
    pub id: String,
    /// Where it came from. With a stream as source: the stream's own coordinates; with direct put: the delivery
    /// stream, no shard, and the id as the number.
    pub coordinates: Coordinates,
    data: Option<&'a RawValue>,
}

impl Record<'_> {
    /// The record's bytes; none if they are absent or not base64.
    pub fn data(&self) -> Option<Vec<u8>> {
        let text: Text<'_> = serde_json::from_str(self.data?.get()).ok()?;
        base64_simd::STANDARD.decode_to_vec(text.0.as_bytes()).ok()
    }
}

/// The records of the request, in order.
pub fn records(event: &str) -> Result<Vec<Record<'_>>, Failure> {
    let request: Request<'_> = serde_json::from_str(event).map_err(|why| {
        // The parser's own words can hold values.
        Failure::Input(format!(
            "not the event of a Firehose transformation, at line {} column {}: it is JSON with `records`, each with \
             `recordId`; is the function called by something else?",
            why.line(),
            why.column()
        ))
    })?;
    let arn = request.stream.as_ref().or(request.delivery.as_ref());
    let source: std::sync::Arc<str> = arn.map_or("", |arn| name(&arn.0)).into();
    let record = |envelope| {
        let Envelope { id, arrival, data, metadata } = envelope;
        let text =
            |text: &Option<Text<'_>>| text.as_ref().map_or(String::new(), |t| t.0.to_string());
        let (shard, sequence, sub, arrival) = match &metadata {
            Some(of) => (
                text(&of.shard),
                text(&of.sequence),
                of.sub.unwrap_or_default(),
                of.arrival.or(arrival),
            ),
            None => (String::new(), id.0.to_string(), 0, arrival),
        };
        let position = Position { sequence: Sequence::new(&sequence), sub, line: 0 };
        let coordinates =
            Coordinates { source: source.clone(), shard: shard.into(), position, arrival };
        Record { id: id.0.into_owned(), coordinates, data }
    };
    Ok(request.records.into_iter().map(record).collect())
}

/// The name at the end of a stream's ARN.
fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, rename = "sourceKinesisStreamArn")]
    stream: Option<Text<'a>>,
    #[serde(borrow, rename = "deliveryStreamArn")]
    delivery: Option<Text<'a>>,
    #[serde(borrow)]
    records: Vec<Envelope<'a>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "recordId")]
    id: Text<'a>,
    #[serde(default, rename = "approximateArrivalTimestamp", deserialize_with = "millis")]
    arrival: Option<i64>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow, rename = "kinesisRecordMetadata")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, rename = "sequenceNumber")]
    sequence: Option<Text<'a>>,
    #[serde(default, rename = "subsequenceNumber", deserialize_with = "number")]
    sub: Option<u64>,
    #[serde(borrow, rename = "shardId")]
    shard: Option<Text<'a>>,
    #[serde(default, rename = "approximateArrivalTimestamp", deserialize_with = "millis")]
    arrival: Option<i64>,
}

/// Text that is borrowed where it has no escapes, inside an option too.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A number, or a text that holds one: the documentation shows both.
fn number<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Either>::deserialize(input)? {
        Some(Either::Number(n)) => Some(n),
        Some(Either::Text(text)) => text.parse().ok(),
        Some(Either::Other(_)) | None => None,
    })
}

/// Milliseconds, or a text that says the time: the documentation shows both.
fn millis<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Millis(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Either>::deserialize(input)? {
        Some(Either::Millis(millis)) => Some(millis.round() as i64),
        Some(Either::Text(text)) => timestamp::parse(&text).map(|micros| micros.div_euclid(1000)),
        Some(Either::Other(_)) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_stream() {
        let event = r#"{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:r:1:deliverystream/d",
            "sourceKinesisStreamArn":"arn:aws:kinesis:r:1:stream/events","region":"r","new":1,"records":[
            {"recordId":"a","approximateArrivalTimestamp":1767225600123,"data":"e30=","kinesisRecordMetadata":{
              "sequenceNumber":"0042","subsequenceNumber":"7","partitionKey":"k","shardId":"shardId-1",
              "approximateArrivalTimestamp":1767225600124}},
            {"recordId":"b","data":"!"},{"recordId":"c","kinesisRecordMetadata":{
              "approximateArrivalTimestamp":"2026-01-01T00:00:00.125Z"}},
            {"recordId":"d","approximateArrivalTimestamp":["?"]}]}"#;
        let found = records(event).unwrap();
        let Coordinates { source, shard, position, arrival } = &found[0].coordinates;
        assert_eq!((&**source, &**shard), ("events", "shardId-1"));
        assert_eq!(
            (position.sequence.as_str(), position.sub, *arrival),
            ("42", 7, Some(1_767_225_600_124))
        );
        assert_eq!(found[0].data().unwrap(), b"{}");
        assert_eq!((found[1].data(), found[2].data()), (None, None));
        let arrivals: Vec<_> = found[1..].iter().map(|record| record.coordinates.arrival).collect();
        assert_eq!(arrivals, [None, Some(1_767_225_600_125), None]);
        assert_eq!(
            (found[1].id.as_str(), found[1].coordinates.position.sequence.as_str()),
            ("b", "b")
        );
    }

    #[test]
    fn what_it_is_not_is_said_without_values() {
        for bad in ["", "[]", r#"{"Records":[]}"#, r#"{"records":[{"data":"secret"}]}"#] {
            let message = records(bad).unwrap_err().to_string();
            assert!(message.contains("`records`") && !message.contains("secret"), "{message}");
        }
        assert!(records(r#"{"records":[]}"#).unwrap().is_empty());
    }
}
