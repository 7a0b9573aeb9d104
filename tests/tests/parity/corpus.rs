//! One corpus in two forms: as a stream of records (plain, many lines, gzip, KPL) and as a file whose lines carry `_leat`.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use leat::protect::Keys;
use leat::record::{Coordinates, Position, Row, Sequence};
use leat::tag::Tag;
use leat_tests::artefacts;
use md5::{Digest, Md5};

/// The stream's name, as coordinates have it.
pub const STREAM: &str = "leat-test-events";
const SHARDS: [&str; 2] = ["shardId-000000000000", "shardId-000000000001"];

/// A record of the stream.
#[derive(Clone)]
pub struct Record {
    pub shard: &'static str,
    pub sequence: String,
    pub arrival: i64,
    pub partition_key: String,
    pub data: Vec<u8>,
    /// The user records inside, as Firehose takes them apart; none of a plain record.
    pub users: Vec<Vec<u8>>,
}

pub struct Corpus {
    /// In the order in which they were put.
    pub records: Vec<Record>,
    /// JSON Lines with `_leat`; damaged lines as they are.
    pub file: Vec<u8>,
    /// How many lines there are.
    pub lines: usize,
}

/// SplitMix64: the same corpus at each run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }
}

/// Generated events with what breaks careless code sprinkled among them.
fn lines(folder: &Path, dice: &mut Dice) -> Vec<Vec<u8>> {
    let path = folder.join("generated.jsonl");
    let status = Command::new(artefacts::binary("leat").unwrap())
        .args(["generate", "card-transactions", "--events", "2400", "--seed", "11", "--output"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success(), "leat generate failed");
    let generated: Vec<Vec<u8>> = std::fs::read(path)
        .unwrap()
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in generated {
        if let Some(odd) = oddity(&line, lines.len(), dice) {
            lines.push(odd);
        }
        lines.push(line.clone());
        // A producer's retry: the same bytes once more. Not of an odd one: a late event's id is not held for long.
        if dice.roll(40) == 0 {
            lines.push(line);
        }
    }
    lines
}

/// Now and then a variant of `line` that is late, null, Unicode, extreme, against a rule, or damaged.
fn oddity(line: &[u8], n: usize, dice: &mut Dice) -> Option<Vec<u8>> {
    let mut event: serde_json::Value = serde_json::from_slice(line).ok()?;
    let object = event.as_object_mut()?;
    object.insert("transaction_id".into(), format!("odd-{n}").into());
    let kind = dice.roll(120);
    let shift = |object: &mut serde_json::Map<String, serde_json::Value>, hours: i32| {
        let time = object["event_time"].as_str().unwrap_or_default().to_owned();
        // Hours only: enough to be late, and easily read.
        let hour: i32 = time.get(11..13)?.parse().ok()?;
        let moved = hour.checked_sub(hours).filter(|moved| *moved >= 0)?;
        object.insert(
            "event_time".into(),
            format!("{}{moved:02}{}", &time[..11], &time[13..]).into(),
        );
        Some(())
    };
    match kind {
        0 | 1 => shift(object, 1)?,
        2 => shift(object, 9)?,
        3 => drop(object.insert("amount".into(), serde_json::Value::Null)),
        4 => drop(object.remove("channel")),
        5 => drop(object.insert("merchant_id".into(), "naïve ☕ 商店 \u{1F980} \"q\"\\".into())),
        6 => drop(object.insert("channel".into(), "ünseen".into())),
        7 => drop(object.insert("amount".into(), 1e-300.into())),
        8 => drop(object.insert("amount".into(), (0.1 + 0.2).into())),
        9 => drop(object.insert("amount".into(), (-5.0).into())), // against a rule
        10 => drop(object.insert("event_time".into(), "2999-01-01T00:00:00Z".into())), // ahead
        11 => drop(object.insert("note ☂".into(), serde_json::json!({"a": [1, 2.50, null]}))), // unknown
        12 => drop(object.insert("customer_age".into(), serde_json::json!(41.0))), // a long, written so
        13 => return Some(line[..line.len() / 2].to_vec()),
        14 => return Some(b"{\"transaction_id\": \"\xff\xfe\"}".to_vec()),
        15 => drop(object.insert("amount".into(), "not a number".into())),
        16 => drop(object.insert("_leat".into(), serde_json::json!({"v": 1, "protected": {}}))), // forged
        17 => drop(object.remove("customer_id")), // required
        _ => return None,
    }
    serde_json::to_vec(&event).ok()
}

pub fn make(folder: &Path, keys: &Keys) -> Corpus {
    let mut dice = Dice(7);
    let lines = lines(folder, &mut dice);
    let count = lines.len();
    let mut corpus = Corpus { records: Vec::new(), file: Vec::new(), lines: count };
    // One queue a shard, since an entity keeps to its shard.
    let mut queues: [Vec<Vec<u8>>; 2] = Default::default();
    for line in lines {
        let entity = serde_json::from_slice::<serde_json::Value>(&line)
            .ok()
            .and_then(|event| event["customer_id"].as_str().map(str::to_owned))
            .unwrap_or_default();
        queues[leat::record::bucket_of(&entity, 2) as usize].push(line);
    }
    let mut number = 0u64;
    while queues.iter().any(|queue| !queue.is_empty()) {
        let shard = dice.roll(2);
        let take = [1, 1, 1, 1, 1, 1, 3, 2, 3, 4][dice.roll(10)];
        let kind = dice.roll(8);
        let end = take.min(queues[shard].len());
        let taken: Vec<Vec<u8>> = queues[shard].drain(..end).collect();
        if taken.is_empty() {
            continue;
        }
        number += 1 + dice.roll(1000) as u64;
        let sequence = format!("4964{number:052}");
        // Arrival follows the event: the latest time among the lines, so that only the planted one is ahead.
        let arrival = 1_780_000_000_000 + number as i64;
        let single = taken.len() == 1;
        let (data, users) = match kind {
            0 | 1 => (aggregate(&taken), taken.clone()),
            2 => (gzip(&joined(&taken)), Vec::new()),
            _ => (joined(&taken), Vec::new()),
        };
        for (index, line) in taken.iter().enumerate() {
            let (sub, line_number) = if users.is_empty() { (0, index) } else { (index, 0) };
            let coordinates = Coordinates {
                source: STREAM.into(),
                shard: SHARDS[shard].into(),
                position: Position {
                    sequence: Sequence::new(&sequence),
                    sub: sub as u64,
                    line: line_number as u64,
                },
                arrival: Some(arrival),
            };
            tagged(line, coordinates, keys, &mut corpus.file);
        }
        corpus.records.push(Record {
            shard: SHARDS[shard],
            sequence,
            arrival,
            partition_key: if single { format!("p-{number}") } else { "p-many".into() },
            data,
            users,
        });
    }
    corpus
}

/// The line with `_leat` as its last member; a line that is no object as it is.
fn tagged(line: &[u8], coordinates: Coordinates, keys: &Keys, out: &mut Vec<u8>) {
    let object = serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|v| v.is_object());
    let forged = std::str::from_utf8(line).is_ok_and(|text| text.contains("\"_leat\""));
    if object {
        let row = Row {
            coordinates,
            identity: 0,
            verdict: None,
            protected: Default::default(),
            unknown: None,
        };
        let mut line = if forged { without_leat(line) } else { line.to_vec() };
        line.pop(); // the closing brace, which the seal writes
        Tag::of(&row).seal(keys, &mut line);
        out.extend_from_slice(&line);
    } else {
        out.extend_from_slice(line);
    }
    out.push(b'\n');
}

/// A producer's own `_leat` is an unknown field on the stream's path, and never a part of features.
fn without_leat(line: &[u8]) -> Vec<u8> {
    let mut event: serde_json::Value = serde_json::from_slice(line).unwrap();
    event.as_object_mut().unwrap().remove("_leat");
    serde_json::to_vec(&event).unwrap()
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.join(&b'\n')
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

/// A KPL aggregate: magic, protobuf, MD5.
fn aggregate(users: &[Vec<u8>]) -> Vec<u8> {
    fn varint(mut n: usize, out: &mut Vec<u8>) {
        while n >= 0x80 {
            out.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }
    let field = |tag: u8, bytes: &[u8]| {
        let mut out = vec![tag << 3 | 2];
        varint(bytes.len(), &mut out);
        out.extend_from_slice(bytes);
        out
    };
    let mut message = field(1, b"p-many");
    for user in users {
        let mut record = vec![1 << 3, 0];
        record.extend(field(3, user));
        message.extend(field(3, &record));
    }
    let mut out = vec![0xf3, 0x89, 0x9a, 0xc2];
    out.extend_from_slice(&message);
    out.extend_from_slice(&Md5::digest(&message));
    out
}
