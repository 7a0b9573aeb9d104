//! What each stage of the engine costs, in microseconds an event, on generated card transactions:
//! `cargo run --release -p leat --example stages -- [events a payload] [rounds] [sawtooth]`. Of each payload and stage
//! the least time of all rounds counts, so that neighbours on the machine hardly do.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures reads the clock and prints"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use leat::decode::{RawRecord, kinesis};
use leat::encode::csv;
use leat::engine::{Engine, Replay, Source, fails};
use leat::features::{Features, Fit, FittedState};

const EVENTS: usize = 20_000;

const RECIPE: &str = r#"
leat: 1
name: stages
schema:
  fields:
    - {name: transaction_id, type: string, role: id}
    - {name: event_time, type: timestamp, role: event_time}
    - {name: customer_id, type: string, role: entity}
    - {name: merchant_id, type: string}
    - {name: merchant_category, type: string}
    - {name: amount, type: double}
    - {name: currency, type: string}
    - {name: customer_age, type: long}
    - {name: channel, type: string}
    - {name: country, type: string}
    - {name: card_present, type: bool}
    - {name: lat, type: double}
    - {name: lon, type: double}
    - {name: description, type: string}
    - {name: is_fraud, type: long, role: label}
quality: quality.dqdl
windows:
  - {count: "*", sum: amount, mean: amount, max: amount, over: [1h, 24h], WINDOWS}
  - {session: 30m, emit: [count, since_previous]}
features:
  - {op: impute, in: [customer_age, lat, lon], strategy: mean}
  - {op: standard_scale, in: [customer_age, lat, lon]}
  - {op: log, in: amount, out: amount_log, offset: 1}
  - {op: standard_scale, in: amount}
  - {op: one_hot, in: channel}
  - {op: target_encode, in: merchant_category, out: category_fraud, smooth: 20, folds: 5}
  - {op: date_parts, in: event_time, parts: [hour, day_of_week, month], cyclic: true}
output:
  features: all
"#;

const RULES: &str = r#"Rules = [
    IsComplete "transaction_id", IsComplete "event_time", IsComplete "customer_id", IsComplete "merchant_id",
    IsComplete "amount", IsComplete "currency",
    (ColumnValues "amount" between 0 and 1000000) or (ColumnValues "amount" = NULL),
    (ColumnValues "customer_age" between 17 and 121) or (ColumnValues "customer_age" = NULL),
    ColumnValues "currency" in ["HKD", "USD", "CNY", "EUR", "GBP", "JPY", "SGD", "AUD", NULL],
    ColumnValues "channel" in ["pos", "web", "atm", "app", NULL],
    (ColumnValues "transaction_id" matches "t-[0-9]{8}") or (ColumnValues "transaction_id" = NULL),
    ColumnValues "event_time" <= now()
]"#;

/// Numbers that look random and are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// The start of the events, in milliseconds: 2026-03-01.
const START: u64 = 1_772_323_200_000;

/// One event as JSON, some 350 bytes; about 1 % lack a value, 0.8 % break a rule and 0.1 % are no JSON.
fn event(n: usize, x: &mut Numbers) -> String {
    let time = START + (n as u64) * (3 * 86_400_000 / EVENTS as u64) + x.below(1000);
    let time = leat::timestamp::to_text(time as i64 * 1000).replace("000Z", "Z");
    let amount = match x.below(1000) {
        0..4 => -5.25,
        _ => (x.below(300) * x.below(300)) as f64 / 100.0 + 0.5,
    };
    let words = ["store", "market", "kowloon", "online", "order", "payment", "coffee", "ticket"];
    let words: Vec<&str> = (0..4 + x.below(6)).map(|_| x.of(&words)).collect();
    let age = match x.below(1000) {
        0..10 => "null".to_owned(),
        10..14 => "7".to_owned(),
        _ => (18 + x.below(70)).to_string(),
    };
    let mut line = format!(
        r#"{{"transaction_id":"t-{n:08}","event_time":"{time}","customer_id":"c-{:06}","merchant_id":"m-{:04}","merchant_category":"{}","amount":{amount:?},"currency":"{}","customer_age":{age},"channel":"{}","country":"{}","card_present":{},"lat":{:?},"lon":{:?},"description":"{}","is_fraud":{}}}"#,
        x.below(1000) * x.below(1000) / 1000,
        x.below(2000),
        x.of(&["grocery", "fuel", "restaurant", "travel", "airline", "hotel", "electronics"]),
        x.of(&["HKD", "HKD", "HKD", "USD", "CNY", "EUR"]),
        x.of(&["pos", "pos", "web", "atm", "app"]),
        x.of(&["HK", "CN", "US", "GB", "JP", "SG"]),
        x.below(2) == 0,
        (x.below(1500) as f64 + 1500.0) / 100.0,
        (x.below(3000) as f64 + 10_000.0) / 100.0,
        words.join(" "),
        u64::from(x.below(100) == 0),
    );
    if x.below(1000) == 0 {
        line.truncate(line.len() / 2);
    }
    line
}

/// The events in payloads of a Kinesis mapping, as AWS sends them.
fn payloads(batch: usize) -> Vec<String> {
    let mut x = Numbers(7);
    let lines: Vec<String> = (0..EVENTS).map(|n| event(n, &mut x)).collect();
    let one = |(n, line): (usize, &String)| {
        let data = base64_simd::STANDARD.encode_to_string(line.as_bytes());
        let (sequence, arrival) =
            (format!("4954{n:052}"), (START + 4 * 86_400_000) as f64 / 1000.0);
        format!(
            r#"{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"pk-{}","sequenceNumber":"{sequence}","data":"{data}","approximateArrivalTimestamp":{arrival:.3}}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:{sequence}","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"ap-east-1","eventSourceARN":"arn:aws:kinesis:ap-east-1:123456789012:stream/card-transactions"}}"#,
            n % 977
        )
    };
    let records: Vec<String> = lines.iter().enumerate().map(one).collect();
    records.chunks(batch).map(|chunk| format!("{{\"Records\":[{}]}}", chunk.join(","))).collect()
}

/// The least microseconds so far, by stage and payload.
type Spent = BTreeMap<(&'static str, usize), f64>;

/// One pass over all payloads: keeps the least that each stage took, and answers a checksum of the output.
fn pass(
    engine: &Engine,
    features: Option<&Features>,
    payloads: &[String],
    spent: &mut Spent,
) -> (usize, u64, leat::decode::Batch) {
    let mut replay = Replay::new(engine);
    let (mut arena, mut out, mut valid, mut sum) = (Vec::new(), Vec::new(), 0, 0u64);
    let mut last = engine.decoder().batch();
    for (number, payload) in payloads.iter().enumerate() {
        let mut from = Instant::now();
        let mut lap = |stage: &'static str| {
            let least = spent.entry((stage, number)).or_insert(f64::INFINITY);
            *least = least.min(from.elapsed().as_secs_f64() * 1e6);
            from = Instant::now();
        };
        arena.clear();
        let records = kinesis::open(payload, &mut arena).expect("an event");
        let raw: Vec<RawRecord<'_>> = records
            .iter()
            .map(|record| RawRecord {
                coordinates: record.coordinates.clone(),
                data: record.bytes(&arena).expect("base64"),
                landed: false,
            })
            .collect();
        lap("1a envelope");
        let (mut batch, mut rejects) = (engine.decoder().batch(), Vec::new());
        batch.reserve(raw.len());
        for record in &raw {
            engine.decoder().record(record, &mut batch, &mut rejects);
        }
        lap("1b decode");
        engine.judge(&mut batch).expect("nothing is tokenized");
        lap("2a judge");
        let good: Vec<usize> = (0..batch.len()).filter(|&row| !fails(&batch.rows[row])).collect();
        let mut batch = if good.len() == batch.len() { batch } else { batch.gather(&good) };
        lap("2b gather");
        engine.derive(&mut batch);
        lap("3a derive");
        replay.apply(&mut batch);
        lap("4 windows");
        valid += batch.len();
        if let Some(features) = features {
            let columns = features.apply(&batch.columns, batch.len());
            lap("3b features");
            out.clear();
            (0..batch.len()).for_each(|row| csv::row(&columns, row, &mut out));
            lap("5 csv");
            sum = sum.rotate_left(5) ^ xxhash_rust::xxh3::xxh3_64(&out);
        }
        last = batch;
        drop(raw);
        drop((records, rejects));
        lap("6 drop");
    }
    (valid, sum, last)
}

fn main() {
    let mut args = std::env::args().skip(1);
    let batch = args.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(9);
    let windows = args.next().unwrap_or_else(|| "exact: true, max_events: 2000".into());
    let windows = if windows == "sawtooth" { String::new() } else { format!(", {windows}") };
    let recipe = RECIPE.replace(", WINDOWS", &windows);
    let recipe = leat::engine::read(Source { file: "recipe.yaml", text: &recipe });
    let recipe = recipe.unwrap_or_else(|e| panic!("{e:?}"));
    let rules = Source { file: "quality.dqdl", text: RULES };
    let engine = Engine::new(recipe, Some(rules), None).unwrap_or_else(|e| panic!("{e:?}"));
    let payloads = payloads(batch);

    // Learnt from the last payload of a first pass.
    let (_, _, rows) = pass(&engine, None, &payloads, &mut BTreeMap::new());
    let mut so_far = vec![None; engine.recipe().features.len()];
    for level in 1..=engine.plan().passes() {
        let mut fit = Fit::new(engine.recipe(), engine.plan(), level, &so_far).unwrap();
        fit.update(&rows.columns, &rows.identities());
        so_far = fit.finish().unwrap();
    }
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let state = FittedState::new(recipe, plan, engine.hash(), rows.len() as u64, &so_far).unwrap();
    let features = Features::bind(recipe, plan, &state).unwrap();

    let mut spent = Spent::new();
    let mut seen = (0, 0);
    for _ in 0..rounds {
        let (valid, sum, _) = pass(&engine, Some(&features), &payloads, &mut spent);
        seen = (valid, sum);
    }
    let mut least = BTreeMap::<&str, f64>::new();
    for ((stage, _), time) in spent {
        *least.entry(stage).or_default() += time / EVENTS as f64;
    }
    let mut line = String::new();
    for (stage, time) in &least {
        let _ = write!(line, "{stage} {time:.3}  ");
    }
    let all: f64 = least.values().sum();
    let (valid, sum) = seen;
    println!("{line}all {all:.3} us; {} columns, {valid} rows, {sum:016x}", features.names().len());
}
