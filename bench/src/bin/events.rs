//! Card transactions for the benchmark, the same for the same seed on every machine.
//!
//! `bench-events FOLDER [--events 100000] [--seed 7]` writes into FOLDER: `events.ndjson`,
//! `kinesis_100.jsonl`, `kinesis_1000.jsonl`, `kinesis_10000.jsonl` (a Lambda event a line, below 6 MB each), `sample.ndjson`
//! (20,000 others to learn from) and `params.json`, what a program written by hand has to know of the sample.
//!
//! 15 fields, about 350 bytes; 1 % nulls in optional columns, 0.1 % in required ones, 0.8 % that break a rule, 0.1 %
//! malformed; few customers and merchants make most events; times rise strictly over three days.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use leat_bench::arguments::Arguments;
use serde_json::json;

const CATEGORIES: [&str; 20] = [
    "grocery",
    "fuel",
    "restaurant",
    "travel",
    "airline",
    "hotel",
    "electronics",
    "clothing",
    "pharmacy",
    "health",
    "education",
    "utilities",
    "telecom",
    "insurance",
    "jewelry",
    "gaming",
    "streaming",
    "charity",
    "taxi",
    "cash_advance",
];
const CHANNELS: [(&str, u64); 4] = [("pos", 50), ("web", 27), ("app", 18), ("atm", 5)];
const CURRENCIES: [(&str, u64); 8] = [
    ("HKD", 72),
    ("USD", 10),
    ("CNY", 8),
    ("EUR", 4),
    ("GBP", 2),
    ("JPY", 2),
    ("SGD", 1),
    ("AUD", 1),
];
const COUNTRIES: [&str; 30] = [
    "HK", "CN", "US", "GB", "JP", "SG", "AU", "TW", "KR", "MO", "TH", "MY", "FR", "DE", "IT", "ES",
    "CA", "NL", "CH", "SE", "IN", "ID", "PH", "VN", "NZ", "AE", "BR", "MX", "ZA", "TR",
];
const WORDS: [&str; 48] = [
    "store", "market", "central", "kowloon", "online", "order", "payment", "station", "coffee",
    "monthly", "ticket", "shop", "plaza", "card", "purchase", "service", "mobile", "bill",
    "refund", "cafe", "mall", "street", "harbour", "tower", "north", "south", "express", "premium",
    "annual", "weekly", "transfer", "fee", "clinic", "school", "parking", "toll", "airport",
    "lounge", "room", "booking", "flight", "dinner", "lunch", "bakery", "books", "garden", "phone",
    "water",
];
/// 2026-03-01T00:00:00Z in milliseconds.
const START: i64 = 1_772_323_200_000;
const SPAN: i64 = 3 * 86_400_000;
/// What Lambda delivers at most.
const PAYLOAD: usize = 6_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-events: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args = Arguments::of_process();
    let folder = Path::new(args.input()?);
    let (count, seed) = (args.number("--events", 100_000)?, args.number("--seed", 7)?);
    std::fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let events: Vec<Event> = generate(count, seed);
    let create = |name: &str| {
        let path = folder.join(name);
        File::create(&path).map(BufWriter::new).map_err(|why| format!("{}: {why}", path.display()))
    };
    let said = |why: std::io::Error| why.to_string();
    let lines = |file: &mut BufWriter<File>, events: &[Event]| {
        events.iter().try_for_each(|event| {
            file.write_all(&event.line)?;
            file.write_all(b"\n")
        })
    };
    let sample = generate(20_000, seed.wrapping_add(1));
    lines(&mut create("sample.ndjson")?, &sample).map_err(said)?;
    lines(&mut create("events.ndjson")?, &events).map_err(said)?;
    for batch in [100usize, 1000, 10_000] {
        let mut file = create(&format!("kinesis_{batch}.jsonl"))?;
        let (mut payload, mut records) = (Vec::new(), 0);
        for (at, event) in events.iter().enumerate() {
            let record = envelope(at, event);
            if records == batch || payload.len() + record.len() > PAYLOAD {
                payload.extend_from_slice(b"]}\n");
                file.write_all(&payload).map_err(said)?;
                payload.clear();
                records = 0;
            }
            payload.extend_from_slice(if records == 0 { b"{\"Records\":[" } else { b"," });
            payload.extend_from_slice(record.as_bytes());
            records += 1;
        }
        payload.extend_from_slice(b"]}\n");
        file.write_all(&payload).map_err(said)?;
    }
    params(&sample, create("params.json")?)
}

/// The members of an event, in order.
const NAMES: [&str; 15] = [
    "transaction_id",
    "event_time",
    "customer_id",
    "merchant_id",
    "merchant_category",
    "amount",
    "currency",
    "customer_age",
    "channel",
    "country",
    "card_present",
    "lat",
    "lon",
    "description",
    "is_fraud",
];

/// An event as a producer sends it; its cells, unless it is malformed.
struct Event {
    line: Vec<u8>,
    cells: serde_json::Value,
    millis: i64,
}

fn envelope(at: usize, event: &Event) -> String {
    let sequence = format!("4954{at:052}");
    let data = base64_simd::STANDARD.encode_to_string(&event.line);
    format!(
        "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"pk-{}\",\"sequenceNumber\":\"{sequence}\",\
         \"data\":\"{data}\",\"approximateArrivalTimestamp\":{:.3}}},\"eventSource\":\"aws:kinesis\",\
         \"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000006:{sequence}\",\
         \"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/lambda-role\",\
         \"awsRegion\":\"ap-east-1\",\
         \"eventSourceARN\":\"arn:aws:kinesis:ap-east-1:123456789012:stream/card-transactions\"}}",
        at % 977,
        event.millis as f64 / 1000.0
    )
}

fn generate(count: u64, seed: u64) -> Vec<Event> {
    let mut random = Random(seed);
    let (customers, merchants) = ((count / 20).max(50), 2000);
    let step = (SPAN / count.max(1) as i64).max(1);
    let mut previous = String::new();
    (0..count)
        .map(|at| {
            let millis = START + at as i64 * step + random.below(step as u64) as i64;
            let merchant = random.skewed(merchants, 3);
            let (amount, fraud) = (random.amount(), random.below(100) < 1);
            let channel = random.weighted(&CHANNELS);
            let words = 4 + random.below(7);
            let description: Vec<&str> =
                (0..words).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]).collect();
            let mut cells = json!({
                "transaction_id": format!("t-{at:08}"),
                "event_time": time(millis),
                "customer_id": format!("c-{:06}", random.skewed(customers, 2)),
                "merchant_id": format!("m-{merchant:04}"),
                "merchant_category": CATEGORIES[(merchant * 7919 + 13) as usize % CATEGORIES.len()],
                "amount": amount,
                "currency": random.weighted(&CURRENCIES),
                "customer_age": 18 + random.below(26) + random.below(26) + random.below(26),
                "channel": channel,
                "country": COUNTRIES[random.skewed(COUNTRIES.len() as u64, 4) as usize],
                "card_present": matches!(channel, "pos" | "atm"),
                "lat": (1930 + random.below(600)) as f64 / 100.0,
                "lon": (10_810 + random.below(1200)) as f64 / 100.0,
                "description": description.join(" "),
                "is_fraud": u8::from(fraud),
            });
            match random.below(1000) {
                0 => cells["amount"] = json!(-amount),
                1 => cells["amount"] = json!(1e6 + amount),
                2 => cells["customer_age"] = json!(7),
                3 => cells["currency"] = json!("XXX"),
                4 => cells["transaction_id"] = json!(format!("x{at}")),
                5 => cells["event_time"] = json!("not-a-time"),
                6 => cells["event_time"] = json!("2031-01-01T00:00:00.000Z"),
                7 if !previous.is_empty() => cells["transaction_id"] = json!(previous),
                _ => {}
            }
            for (name, per_mille) in [
                ("customer_age", 10),
                ("merchant_category", 10),
                ("country", 10),
                ("lat", 10),
                ("lon", 10),
                ("description", 10),
                ("transaction_id", 1),
                ("event_time", 1),
                ("customer_id", 1),
                ("merchant_id", 1),
                ("amount", 1),
                ("currency", 1),
            ] {
                if random.below(1000) < per_mille {
                    cells[name] = serde_json::Value::Null;
                }
            }
            previous = cells["transaction_id"].as_str().unwrap_or_default().to_owned();
            // In the order of the schema: a JSON object of serde_json sorts its keys.
            let members: Vec<String> =
                NAMES.iter().map(|name| format!("\"{name}\":{}", cells[*name])).collect();
            let mut line = format!("{{{}}}", members.join(",")).into_bytes();
            if random.below(1000) == 0 {
                line.truncate(match random.below(2) {
                    0 => line.len() / 2,
                    _ => line.len() - 1,
                });
            }
            Event { line, cells, millis }
        })
        .collect()
}

/// Milliseconds since 1970 as RFC 3339 with milliseconds.
fn time(millis: i64) -> String {
    let seconds = leat::timestamp::to_text(millis.div_euclid(1000) * 1_000_000);
    format!("{}.{:03}Z", &seconds[..19], millis.rem_euclid(1000))
}

/// Learns from the sample what `bench-plain` reads.
fn params(sample: &[Event], file: BufWriter<File>) -> Result<(), String> {
    let numbers = |name: &str| {
        let mut all: Vec<f64> = sample.iter().filter_map(|e| e.cells[name].as_f64()).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let median = |name: &str| {
        let all = numbers(name);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let spread = |all: &[f64]| {
        let count = all.len().max(1) as f64;
        let mean = all.iter().sum::<f64>() / count;
        let variance = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        json!({"mean": mean, "std": variance.sqrt(), "min": all.first(), "max": all.last()})
    };
    let amounts: Vec<f64> =
        numbers("amount").into_iter().filter(|x| 0.0 < *x && *x < 1e6).collect();
    let edges: Vec<f64> =
        (1..10).filter_map(|tenth| amounts.get(amounts.len() * tenth / 10).copied()).collect();
    let label = |event: &Event| event.cells["is_fraud"].as_f64().unwrap_or_default();
    let prior = sample.iter().map(label).sum::<f64>() / sample.len().max(1) as f64;
    let target: serde_json::Map<String, serde_json::Value> = CATEGORIES
        .iter()
        .map(|category| {
            let own = sample.iter().filter(|e| e.cells["merchant_category"] == *category);
            let (sum, count) = own.fold((0.0, 0.0), |(sum, n), e| (sum + label(e), n + 1.0));
            ((*category).to_owned(), json!((sum + 10.0 * prior) / (count + 10.0)))
        })
        .collect();
    let mut documents = [0u32; 256];
    for event in sample {
        let words = event.cells["description"].as_str().unwrap_or_default().split(' ');
        let terms: std::collections::BTreeSet<u32> = words
            .filter(|word| !word.is_empty())
            .map(|word| crc32fast::hash(word.as_bytes()) % 256)
            .collect();
        terms.into_iter().for_each(|term| documents[term as usize] += 1);
    }
    let idf =
        documents.map(|n| libm::log((1.0 + sample.len() as f64) / (1.0 + f64::from(n))) + 1.0);
    let words = |of: &[(&'static str, u64)]| of.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    let document = json!({
        "median": {"customer_age": median("customer_age"), "lat": median("lat"), "lon": median("lon")},
        "amount": spread(&amounts), "age": spread(&numbers("customer_age")),
        "lat": spread(&numbers("lat")), "lon": spread(&numbers("lon")), "amount_edges": edges,
        "channels": words(&CHANNELS), "currencies": words(&CURRENCIES), "countries": COUNTRIES,
        "target": target, "target_prior": prior, "idf": idf.to_vec(),
        "now_ms": START + 400 * 86_400_000, "epoch0_s": 1_767_225_600,
    });
    serde_json::to_writer_pretty(file, &document).map_err(|why| why.to_string())
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `bound`, small numbers more often: the more so, the greater `power`.
    fn skewed(&mut self, bound: u64, power: i32) -> u64 {
        let x = (0..power).fold(1.0, |x, _| x * self.unit());
        ((x * bound as f64) as u64).min(bound - 1)
    }

    fn weighted<'w>(&mut self, words: &[(&'w str, u64)]) -> &'w str {
        let mut rest = self.below(words.iter().map(|(_, weight)| weight).sum());
        for (word, weight) in words {
            match rest.checked_sub(*weight) {
                Some(less) => rest = less,
                None => return word,
            }
        }
        ""
    }

    /// About log-normal: a sum of four is near enough to a normal deviate.
    fn amount(&mut self) -> f64 {
        let deviate = ((0..4).map(|_| self.unit()).sum::<f64>() - 2.0) * 1.732;
        let amount = libm::exp(3.4 + 1.3 * deviate).clamp(0.5, 250_000.0);
        (amount * 100.0).round() / 100.0
    }
}
