//! The event of a Kinesis mapping, read leniently: unknown fields, absent optional ones and windows with any state are
//! fine, and bytes are decoded record by record, so that one bad record never spoils its neighbours.
//!
//! [`open`] is the quick way and gives the answer of [`records`], the strict one: in the form in which AWS sends events, the
//! records of one event differ in five values alone, so that what stands between them is compared with the record
//! before, and the values are found where they must be. An event of any other form is left to the strict way.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::{Cursor, Number};
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
    data: Option<&'a str>,
    /// Where its bytes lie in the arena of [`open`]; none if they are no base64, and in a record of [`records`].
    bytes: Option<Range<usize>>,
}

impl Record<'_> {
    /// The record's bytes. An error is of this record alone (rule `base64`); its payload is [`Record::raw`].
    pub fn data(&self) -> Result<Vec<u8>, Reason> {
        let text: Option<Cow<'_, str>> =
            self.data.and_then(|data| serde_json::from_str::<Text<'_>>(data).ok()).map(|t| t.0);
        text.and_then(|text| base64_simd::STANDARD.decode_to_vec(text.as_bytes()).ok())
            .ok_or_else(not_base64)
    }

    /// [`Record::data`] in the arena that [`open`] filled.
    pub fn bytes<'b>(&self, arena: &'b [u8]) -> Result<&'b [u8], Reason> {
        self.bytes.clone().and_then(|bytes| arena.get(bytes)).ok_or_else(not_base64)
    }

    /// The `data` member as it came, quotes and all: what is quarantined when it is no base64.
    pub fn raw(&self) -> &[u8] {
        self.data.map_or(&[], str::as_bytes)
    }
}

fn not_base64() -> Reason {
    reason("base64", "`kinesis.data` is absent or not base64")
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
        let coordinates = Coordinates {
            source: shared(stream(text(&arn)), near.map(|c| &c.source)),
            shard: shared(shard(text(&event_id)), near.map(|c| &c.shard)),
            position: Position { sequence: Sequence::new(&kinesis.sequence.0), sub: 0, line: 0 },
            arrival: kinesis.arrival.and_then(milliseconds),
        };
        out.push(Record {
            coordinates,
            sequence_number: kinesis.sequence.0,
            partition_key: kinesis.partition_key.map_or("".into(), |key| key.0),
            data: kinesis.data.map(RawValue::get),
            bytes: None,
        });
    }
    Ok(out)
}

/// [`records`], whose bytes are appended to `arena`: they are read by [`Record::bytes`].
pub fn open<'a>(event: &'a str, arena: &mut Vec<u8>) -> Result<Vec<Record<'a>>, NotAnEvent> {
    let start = arena.len();
    // The bytes are at most three quarters of their base64.
    arena.reserve(event.len() / 4 * 3);
    if let Some(records) = plain(event, arena) {
        return Ok(records);
    }
    arena.truncate(start);
    let mut records = records(event.as_bytes())?;
    for record in &mut records {
        if let Ok(bytes) = record.data() {
            let start = arena.len();
            arena.extend_from_slice(&bytes);
            record.bytes = Some(start..arena.len());
        }
    }
    Ok(records)
}

/// The records of an event of the form in which AWS sends it. None for any other.
fn plain<'a>(event: &'a str, arena: &mut Vec<u8>) -> Option<Vec<Record<'a>>> {
    let mut cursor = Cursor::new(event);
    cursor.blank();
    let mut begins = |piece: &[u8]| {
        let taken = cursor.take_all(piece);
        cursor.blank();
        taken
    };
    if !(begins(b"{") && begins(b"\"Records\"") && begins(b":") && begins(b"[")) {
        return None;
    }
    // AWS's envelope of a record alone has some 500 bytes.
    let mut records: Vec<Record<'a>> = Vec::with_capacity(event.len() / 512 + 1);
    let mut form: Option<Form<'a>> = None;
    while cursor.peek() == Some(b'{') {
        let start = cursor;
        let near = form.as_ref().and_then(|form| form.values(&mut cursor, arena));
        let values = match near {
            Some(values) => values,
            None => {
                cursor = start;
                let (new, values) = Form::read(&mut cursor, records.last(), arena)?;
                form = Some(new);
                values
            }
        };
        records.push(values.record(form.as_mut()?));
        cursor.blank();
        if !cursor.take(b',') {
            break;
        }
        cursor.blank();
        if cursor.peek() != Some(b'{') {
            return None;
        }
    }
    let mut ends = |piece: u8| {
        let taken = cursor.take(piece);
        cursor.blank();
        taken
    };
    (ends(b']') && ends(b'}') && cursor.is_done()).then_some(records)
}

/// What differs from record to record.
#[derive(Debug)]
struct Values<'a> {
    sequence: &'a str,
    partition_key: &'a str,
    /// None: that of the record before.
    shard: Option<&'a str>,
    arrival: Option<f64>,
    /// The member with its quotes.
    data: &'a str,
    bytes: Option<Range<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Sequence,
    PartitionKey,
    EventId,
    Arrival,
    Data,
}

/// What the records of an event have in common: the text before each value that differs, and the text after the last.
#[derive(Debug)]
struct Form<'a> {
    parts: Vec<(&'a str, Part)>,
    end: &'a str,
    source: Arc<str>,
    /// That of the last record.
    shard: Arc<str>,
}

impl<'a> Values<'a> {
    const NONE: Values<'static> = Values {
        sequence: "",
        partition_key: "",
        shard: None,
        arrival: None,
        data: "",
        bytes: None,
    };

    /// Takes the value that is next. `before` is the shard of the record before.
    #[inline]
    fn take(
        &mut self,
        part: Part,
        before: &str,
        cursor: &mut Cursor<'a>,
        arena: &mut Vec<u8>,
    ) -> Option<()> {
        match part {
            Part::Sequence => self.sequence = cursor.plain_text()?,
            Part::PartitionKey => self.partition_key = cursor.plain_text()?,
            // Mostly `shard:sequence`, both of them known: what was taken once need not be looked through again.
            Part::EventId if cursor.take_each(["\"", before, ":", self.sequence, "\""]) => {}
            Part::EventId => self.shard = Some(shard(cursor.plain_text()?)),
            Part::Arrival => {
                self.arrival = Some(match cursor.number()? {
                    Number::Long(x) => x as f64,
                    Number::Double(x) => x,
                });
            }
            Part::Data => {
                let (quote, start) = (cursor.at, arena.len());
                let text = cursor.until_quote()?;
                // What decodes is base64 alone, and so a text that stands for itself.
                if base64_simd::STANDARD.decode_append(text.as_bytes(), arena).is_ok() {
                    self.bytes = Some(start..arena.len());
                } else {
                    let end = cursor.at;
                    cursor.at = quote;
                    cursor.plain_text()?;
                    if cursor.at != end {
                        return None;
                    }
                }
                self.data = cursor.between(quote, cursor.at);
            }
        }
        Some(())
    }

    fn record(self, form: &mut Form<'a>) -> Record<'a> {
        if let Some(shard) = self.shard {
            form.shard = shared(shard, Some(&form.shard));
        }
        let coordinates = Coordinates {
            source: form.source.clone(),
            shard: form.shard.clone(),
            position: Position { sequence: Sequence::new(self.sequence), sub: 0, line: 0 },
            arrival: self.arrival.and_then(milliseconds),
        };
        Record {
            coordinates,
            sequence_number: self.sequence.into(),
            partition_key: self.partition_key.into(),
            data: Some(self.data),
            bytes: self.bytes,
        }
    }
}

impl<'a> Form<'a> {
    /// Takes a record of this form.
    #[inline]
    fn values(&self, cursor: &mut Cursor<'a>, arena: &mut Vec<u8>) -> Option<Values<'a>> {
        let mut values = Values::NONE;
        for (before, part) in &self.parts {
            if !cursor.take_all(before.as_bytes()) {
                return None;
            }
            values.take(*part, &self.shard, cursor, arena)?;
        }
        cursor.take_all(self.end.as_bytes()).then_some(values)
    }

    /// Takes a record and says what form it has. None if it holds what is not taken here: nested values, escapes, a
    /// member of ours that is missing, twice there, or of another type. `last` is the record before.
    fn read(
        cursor: &mut Cursor<'a>,
        last: Option<&Record<'a>>,
        arena: &mut Vec<u8>,
    ) -> Option<(Self, Values<'a>)> {
        let none: Arc<str> = Arc::default();
        let mut form =
            Form { parts: Vec::with_capacity(5), end: "", source: none.clone(), shard: none };
        let (mut values, mut from) = (Values::NONE, cursor.at);
        let (mut kinesis, mut arn) = (false, None);
        members(cursor, &mut |name, cursor| match name {
            "kinesis" if !kinesis => {
                kinesis = true;
                members(cursor, &mut |name, cursor| {
                    let part = match name {
                        "sequenceNumber" => Part::Sequence,
                        "partitionKey" => Part::PartitionKey,
                        "approximateArrivalTimestamp" => Part::Arrival,
                        "data" => Part::Data,
                        _ => return cursor.skip(),
                    };
                    form.part(part, &mut values, &mut from, cursor, arena)
                })
            }
            "eventID" => form.part(Part::EventId, &mut values, &mut from, cursor, arena),
            "eventSourceARN" if arn.is_none() => {
                arn = Some(cursor.plain_text()?);
                Some(())
            }
            "kinesis" | "eventSourceARN" => None,
            _ => cursor.skip(),
        })?;
        form.end = cursor.between(from, cursor.at);
        let near = last.map(|record| &record.coordinates);
        form.source = shared(stream(arn.unwrap_or_default()), near.map(|c| &c.source));
        form.shard = shared(values.shard.unwrap_or_default(), near.map(|c| &c.shard));
        let has = |part| form.parts.iter().any(|(_, of)| *of == part);
        (has(Part::Sequence) && has(Part::Data)).then_some((form, values))
    }

    /// Takes the value that is next, and notes where it stands.
    fn part(
        &mut self,
        part: Part,
        values: &mut Values<'a>,
        from: &mut usize,
        cursor: &mut Cursor<'a>,
        arena: &mut Vec<u8>,
    ) -> Option<()> {
        if self.parts.iter().any(|(_, of)| *of == part) {
            return None;
        }
        self.parts.push((cursor.between(*from, cursor.at), part));
        values.take(part, "", cursor, arena)?;
        *from = cursor.at;
        Some(())
    }
}

/// Takes an object: `member` takes the value of each name.
fn members<'a>(
    cursor: &mut Cursor<'a>,
    member: &mut dyn FnMut(&'a str, &mut Cursor<'a>) -> Option<()>,
) -> Option<()> {
    if !cursor.take(b'{') {
        return None;
    }
    loop {
        cursor.blank();
        let name = cursor.plain_text()?;
        cursor.blank();
        if !cursor.take(b':') {
            return None;
        }
        cursor.blank();
        member(name, cursor)?;
        cursor.blank();
        if !cursor.take(b',') {
            break;
        }
    }
    cursor.take(b'}').then_some(())
}

/// `text`, shared with the record before if that has the same.
fn shared(text: &str, near: Option<&Arc<str>>) -> Arc<str> {
    near.filter(|near| &***near == text).cloned().unwrap_or_else(|| text.into())
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
fn stream(arn: &str) -> &str {
    let name = arn.split_once(":stream/").map_or(arn, |(_, name)| name);
    name.split_once('/').map_or(name, |(name, _)| name)
}

/// `shardId-000000000006:SEQUENCE`.
fn shard(event_id: &str) -> &str {
    event_id.split_once(':').map_or("", |(shard, _)| shard)
}

fn text<'t>(text: &'t Option<Text<'_>>) -> &'t str {
    text.as_ref().map_or("", |text| &text.0)
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

    /// Both ways give the same.
    #[track_caller]
    fn same(event: &str) {
        let mut arena = b"before".to_vec();
        let (quick, strict) = (open(event, &mut arena), records(event.as_bytes()));
        let shown = |records: Result<Vec<Record<'_>>, NotAnEvent>,
                     data: &dyn Fn(&Record<'_>) -> Result<Vec<u8>, Reason>| {
            let one = |r: &Record<'_>| {
                let (number, key) = (r.sequence_number.to_string(), r.partition_key.to_string());
                (r.coordinates.clone(), number, key, r.raw().to_vec(), data(r))
            };
            records.map(|records| records.iter().map(one).collect::<Vec<_>>())
        };
        let quick = shown(quick, &|r| r.bytes(&arena).map(<[u8]>::to_vec));
        assert_eq!(quick, shown(strict, &|r| r.data()), "{event}");
        assert!(arena.starts_with(b"before"));
    }

    /// An event of two records as AWS sends them.
    const EVENT: &str = r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k-1","sequenceNumber":"0495","data":"SGVsbG8=","approximateArrivalTimestamp":1480641523.477},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:0495","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::1:role/r","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/events"},{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"k-22","sequenceNumber":"496","data":"SGVsbG9vbw==","approximateArrivalTimestamp":1480641524},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000007:496","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::1:role/r","awsRegion":"us-east-1","eventSourceARN":"arn:aws:kinesis:us-east-1:1:stream/events"}]}"#;

    #[test]
    fn either_way_is_the_same() {
        assert!(plain(EVENT, &mut Vec::new()).is_some_and(|records| records.len() == 2));
        let spaced = EVENT.replace([':', ','], "$0 ").replace("$0", ":");
        for (from, to) in [
            ("", ""),
            ("SGVsbG8=", ""),
            ("SGVsbG8=", "no base64"),
            ("SGVsbG9vbw==", "no\\base64"),
            ("SGVsbG9vbw==", "a\"b"),
            ("SGVsbG9vbw==", "\t"),
            ("SGVsbG9vbw==\"", "5"),
            ("\"SGVsbG9vbw==\"", "null"),
            ("\"SGVsbG9vbw==\"", "[1]"),
            ("496", "4\\u0039"),
            ("\"sequenceNumber\":\"496\",", ""),
            ("\"partitionKey\":\"k-22\",", ""),
            ("\"partitionKey\":\"k-22\"", "\"partitionKey\":null"),
            ("\"partitionKey\":\"k-22\"", "\"data\":\"\""),
            ("1480641524", "null"),
            ("1480641524", "1e9"),
            ("1480641524", "01"),
            ("1480641524", "\"1\""),
            ("\"awsRegion\":\"us-east-1\"", "\"new\":{\"a\":[]}"),
            ("\"awsRegion\":\"us-east-1\"", "\"new\":-1.5e3"),
            ("\"eventID\":\"shardId-000000000007:496\",", ""),
            ("\"eventID\":\"shardId-000000000007:496\"", "\"kinesis\":{}"),
            ("stream/events\"}]}", "stream/events\"}],\"state\":{}}"),
            ("stream/events\"}]}", "stream/events\"},]}"),
            ("stream/events\"}]}", "stream/events\"}] }  "),
            ("stream/events\"}]}", "stream/events\"}]}]"),
            ("stream/events\"}]}", "stream/other/consumer/c:1\"}]}"),
        ] {
            same(&EVENT.replace(from, to));
        }
        for event in
            ["", "{}", "{\"Records\":[]}", "{\"Records\":[{}]}", "{\"Records\":[1]}", &spaced]
        {
            same(event);
        }
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
        fn a_changed_event_is_the_same_either_way(
            changes in proptest::collection::vec((0usize..1100, proptest::char::any(), 0u8..3), 1..4),
        ) {
            let mut event = EVENT.to_owned();
            for (at, character, how) in changes {
                let at = (0..=at.min(event.len())).rev().find(|&at| event.is_char_boundary(at)).unwrap_or(0);
                match how {
                    0 => event.insert(at, character),
                    1 if at < event.len() => drop(event.remove(at)),
                    _ => event.truncate(at),
                }
            }
            same(&event);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, data in "\\PC*") {
            let _ = records(&bytes);
            let record = serde_json::json!({"Records": [{"kinesis": {"sequenceNumber": data, "data": data}, "eventID": data, "eventSourceARN": data}]});
            let event = record.to_string();
            same(&event);
            let records = records(event.as_bytes()).unwrap();
            let _ = records[0].data();
        }
    }
}
