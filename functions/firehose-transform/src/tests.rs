//! Requests as Firehose sends them, to answers.

use std::cell::RefCell;
use std::time::Duration;

use leat::decode::RawRecord;
use leat::engine::{Engine, Source, read};
use leat::protect::Keys;
use leat_aws::{Accounts, Call, Deadline, Failure};
use leat_lake::{Aside, LakeError};
use serde_json::Value;

use crate::handler::handle;

const RECIPE: &str = r#"
leat: 1
name: landing
schema:
  format: json
  fields:
    - {name: id,     type: string,    role: id}
    - {name: who,    type: string,    role: entity}
    - {name: at,     type: timestamp, role: event_time}
    - {name: card,   type: string,    tags: [pii]}
    - {name: amount, type: double}
  unknown_fields: keep
quality: rules.dqdl
protect:
  - {field: card, method: tokenize}
"#;

const RULES: &str = "Rules = [ ColumnValues \"amount\" > 0 ]";

#[derive(Default)]
struct Twin {
    objects: RefCell<Vec<(String, String)>>,
    fails: bool,
}

impl Aside for Twin {
    async fn put(&self, key: &str, lines: Vec<u8>) -> Result<(), LakeError> {
        if self.fails {
            return Err(LakeError::Busy { url: key.into(), why: "a fault".into() });
        }
        self.objects.borrow_mut().push((key.into(), String::from_utf8(lines).unwrap()));
        Ok(())
    }
}

fn keys() -> Keys {
    Keys::from_secret(&[7; 32]).unwrap()
}

fn engine() -> Engine {
    let recipe = read(Source { file: "recipe.yaml", text: RECIPE }).unwrap();
    Engine::new(recipe, Some(Source { file: "rules.dqdl", text: RULES }), Some(keys())).unwrap()
}

fn line(id: &str, amount: f64) -> String {
    format!(
        r#"{{"id":"{id}","who":"A","at":"2026-01-01T00:00:00Z","card":"4111","amount":{amount},"x":[1]}}"#
    )
}

fn request(records: &[&[u8]]) -> String {
    let records: Vec<String> = records
        .iter()
        .enumerate()
        .map(|(n, data)| {
            let data = base64_simd::STANDARD.encode_to_string(data);
            format!(
                r#"{{"recordId":"r{n}","approximateArrivalTimestamp":1767225600123,"data":"{data}","kinesisRecordMetadata":{{"sequenceNumber":"{n}","subsequenceNumber":0,"partitionKey":"k","shardId":"s-0","approximateArrivalTimestamp":1767225600123}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:r:1:deliverystream/d","sourceKinesisStreamArn":"arn:aws:kinesis:r:1:stream/events","region":"r","records":[{}]}}"#,
        records.join(",")
    )
}

async fn ask(twin: &Twin, event: &str) -> Result<(Vec<Value>, Accounts), Failure> {
    ask_with_landing(twin, &Twin::default(), event).await
}

async fn ask_with_landing(
    twin: &Twin,
    landing: &Twin,
    event: &str,
) -> Result<(Vec<Value>, Accounts), Failure> {
    let call = Call { request_id: "r".into(), deadline: Deadline::after(Duration::from_secs(60)) };
    let (answer, accounts) = handle(&engine(), &keys(), twin, landing, event, &call).await?;
    assert!(accounts.balance(), "{accounts:?}");
    let json = serde_json::to_string(&answer).unwrap();
    assert!(json.len() <= 6 * 1024 * 1024);
    let mut answer: Value = serde_json::from_str(&json).unwrap();
    let Value::Array(records) = answer["records"].take() else { panic!("no records") };
    Ok((records, accounts))
}

fn data(record: &Value) -> String {
    let bytes = base64_simd::STANDARD.decode_to_vec(record["data"].as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn every_record_is_answered_once() {
    let twin = Twin::default();
    let (good, rejected) = (line("1", 5.0), line("2", -5.0));
    let mixed = format!("{good}\n{{\n{rejected}\n");
    let records: [&[u8]; 5] =
        [good.as_bytes(), rejected.as_bytes(), mixed.as_bytes(), b"{\xff", b"[]"];
    let mut event = request(&records);
    event = event.replace("]}", r#",{"recordId":"r5","data":"!"}]}"#);
    let (answers, accounts) = ask(&twin, &event).await.unwrap();
    let ids: Vec<_> = answers.iter().map(|a| a["recordId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["r0", "r1", "r2", "r3", "r4", "r5"]);
    let results: Vec<_> = answers.iter().map(|a| a["result"].as_str().unwrap()).collect();
    assert_eq!(
        results,
        ["Ok", "Ok", "Ok", "ProcessingFailed", "ProcessingFailed", "ProcessingFailed"]
    );
    let expected = Accounts { received: 8, written: 4, quarantined: 4, ..Accounts::default() };
    assert_eq!(accounts, expected);
    let quality = |n: usize| answers[n]["metadata"]["partitionKeys"]["quality"].as_str().unwrap();
    assert_eq!([quality(0), quality(1), quality(2)], ["good", "rejected", "good"]);
    assert_eq!(answers[0]["metadata"]["partitionKeys"]["date"], "2026-01-01");
    assert!(answers[3].get("data").is_none() && answers[3].get("metadata").is_none());
    // The bad line of the mixed record, and no other, is quarantined.
    let objects = twin.objects.borrow();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].0, "quarantine/landing/date=2026-01-01/firehose-s-0-0-0.jsonl");
    assert_eq!(objects[0].1.lines().count(), 1);
    assert!(objects[0].1.contains(r#""sequence":"2","sub":0,"line":1"#), "{}", objects[0].1);
}

#[tokio::test]
async fn a_landed_line_reads_back() {
    let (good, rejected) = (line("1", 5.0), line("2", -5.0));
    let mixed = format!("{good}\n{rejected}");
    let (answers, _) = ask(&Twin::default(), &request(&[mixed.as_bytes()])).await.unwrap();
    let landed = data(&answers[0]);
    assert!(landed.ends_with("}\n") && landed.lines().count() == 2, "{landed}");
    assert!(!landed.contains("4111") && landed.contains(r#""x":[1]"#), "{landed}");
    let engine = engine();
    let again = leat::record::Coordinates {
        source: "s3://lake/landing/stream/x".into(),
        shard: "".into(),
        position: Default::default(),
        arrival: None,
    };
    let record = RawRecord { coordinates: again, data: landed.as_bytes(), landed: true };
    let checked = engine.check(&[record]).unwrap();
    assert_eq!((checked.batch.len(), checked.rejects.len()), (2, 0));
    let [first, second] = &checked.batch.rows[..] else { panic!("two rows") };
    assert_eq!((&*first.coordinates.source, &*first.coordinates.shard), ("events", "s-0"));
    assert_eq!((first.coordinates.position.line, second.coordinates.position.line), (0, 1));
    assert_eq!(first.coordinates.arrival, Some(1_767_225_600_123));
    assert_eq!(second.verdict.as_ref().unwrap().failed.len(), 1);
    assert_eq!(first.protected["card"].method, "tokenize");
}

#[tokio::test]
async fn a_sentinel_lands_as_a_line_of_its_own() {
    let sentinel = leat::sentinel::record("h-1").unwrap();
    let mixed = format!("{}\n{sentinel}", line("2", -5.0));
    let request = request(&[sentinel.as_bytes(), mixed.as_bytes()]);
    let (answers, accounts) = ask(&Twin::default(), &request).await.unwrap();
    assert_eq!(accounts, Accounts { received: 3, written: 1, dropped: 2, ..Accounts::default() });
    for (answer, rows) in answers.iter().zip([0, 1]) {
        assert_eq!(answer["result"], "Ok");
        // Not every line of it was rejected.
        assert_eq!(answer["metadata"]["partitionKeys"]["quality"], "good");
        let landed = data(answer);
        let at = leat::record::Coordinates {
            source: "s3://lake/landing/stream/x".into(),
            shard: "".into(),
            position: Default::default(),
            arrival: None,
        };
        let record = RawRecord { coordinates: at, data: landed.as_bytes(), landed: true };
        let checked = engine().check(&[record]).unwrap();
        assert_eq!((checked.batch.len(), checked.rejects.len()), (rows, 0));
        let names: Vec<String> = checked.sentinels.iter().map(|(_, s)| s.name()).collect();
        assert_eq!(names, ["h-1/s-0"]);
    }
}

#[tokio::test]
async fn an_answer_never_exceeds_its_bound() {
    let wide = format!(
        r#"{{"id":"1","who":"A","at":"2026-01-01T00:00:00Z","amount":1,"note":"{}"}}"#,
        "x".repeat(200_000)
    );
    let records: Vec<&[u8]> = (0..40).map(|_| wide.as_bytes()).collect();
    let (twin, landing) = (Twin::default(), Twin::default());
    let event = request(&records);
    let (answers, accounts) = ask_with_landing(&twin, &landing, &event).await.unwrap();
    assert_eq!(answers.len(), 40);
    let ok = answers.iter().filter(|a| a["result"] == "Ok").count();
    assert!((20..40).contains(&ok), "{ok}");
    assert!(answers[ok..].iter().all(|a| a["result"] == "Dropped" && a.get("data").is_none()));
    assert_eq!(accounts, Accounts { received: 40, written: 40, ..Accounts::default() });
    // What the answer has no room for lands beside it, with its place in the stream.
    {
        let objects = landing.objects.borrow();
        let [(key, lines)] = objects.as_slice() else { panic!("{} objects", objects.len()) };
        assert_eq!(*key, format!("date=2026-01-01/firehose-s-0-{ok}-0.jsonl"));
        let at = leat::record::Coordinates {
            source: key.as_str().into(),
            shard: "".into(),
            position: Default::default(),
            arrival: None,
        };
        let record = RawRecord { coordinates: at, data: lines.as_bytes(), landed: true };
        let checked = engine().check(&[record]).unwrap();
        let landed = checked.batch.rows.iter().map(|row| &row.coordinates);
        let landed: Vec<_> = landed.map(|at| (&*at.shard, at.position.sequence.as_str())).collect();
        let wanted: Vec<String> = (ok..40).map(|n| n.to_string()).collect();
        assert_eq!(landed, wanted.iter().map(|n| ("s-0", n.as_str())).collect::<Vec<_>>());
    }
    // Asked again, it writes the same object; if that cannot be written, all are handed back.
    ask_with_landing(&twin, &landing, &event).await.unwrap();
    assert_eq!(landing.objects.borrow()[0], landing.objects.borrow()[1]);
    let why = ask_with_landing(&twin, &Twin { fails: true, ..Twin::default() }, &event)
        .await
        .unwrap_err();
    assert_eq!(why.word(), "Service.Busy");
}

#[tokio::test]
async fn small_events_do_not_fit() {
    let events: String = (0..2_300)
        .map(|n| format!("{{\"id\":\"{n:06}\",\"who\":\"A\",\"at\":0,\"amount\":1}}\n"))
        .collect();
    // Ten records of a tenth of the megabyte that Firehose sends by itself.
    assert!((90_000..105_000).contains(&events.len()), "{}", events.len());
    let records: Vec<&[u8]> = (0..10).map(|_| events.as_bytes()).collect();
    let (twin, landing) = (Twin::default(), Twin::default());
    let event = request(&records);
    let (answers, accounts) = ask_with_landing(&twin, &landing, &event).await.unwrap();
    assert_eq!(accounts, Accounts { received: 23_000, written: 23_000, ..Accounts::default() });
    let here: usize =
        answers.iter().filter(|a| a["result"] == "Ok").map(|a| data(a).lines().count()).sum();
    let beside = landing.objects.borrow()[0].1.lines().count();
    assert!(beside > 1_000 && here + beside == 23_000, "{here} and {beside}");
}

#[tokio::test]
async fn a_quarantine_that_fails_hands_back_the_request() {
    let twin = Twin { fails: true, ..Twin::default() };
    let good = line("1", 5.0);
    let mixed = format!("{good}\n{{");
    let why = ask(&twin, &request(&[mixed.as_bytes()])).await.unwrap_err();
    assert_eq!(why.word(), "Service.Busy");
    // Nothing bad, nothing to put.
    assert!(ask(&twin, &request(&[good.as_bytes()])).await.is_ok());
}

#[tokio::test]
async fn an_aggregate_of_nothing_is_dropped() {
    // An aggregated record that holds none: magic, no message, the MD5 of no bytes.
    let empty_md5 = [
        0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42,
        0x7e,
    ];
    let record = [&[0xf3, 0x89, 0x9a, 0xc2][..], &empty_md5].concat();
    let (answers, accounts) = ask(&Twin::default(), &request(&[&record])).await.unwrap();
    // "More than 16 bytes follow the magic": of no bytes it is a plain record, and undecodable.
    assert_eq!(answers[0]["result"], "ProcessingFailed");
    assert_eq!(accounts.quarantined, 1);
}

/// Requests as AWS and the SDKs show them, from the folder that the variable LEAT_CONFORMANCE names: every record is
/// answered once, in order; what Leat has no recipe for fails by itself.
#[tokio::test]
#[allow(clippy::disallowed_methods)]
async fn requests_of_others() {
    let Some(folder) = std::env::var_os("LEAT_CONFORMANCE") else {
        println!("skipped: LEAT_CONFORMANCE names no folder");
        return;
    };
    let mut asked = 0;
    for file in std::fs::read_dir(std::path::PathBuf::from(folder).join("events/firehose")).unwrap()
    {
        let path = file.unwrap().path();
        let event = std::fs::read_to_string(&path).unwrap();
        let request: Value = serde_json::from_str(&event).unwrap();
        if path.to_string_lossy().contains("response") {
            continue;
        }
        let (answers, accounts) = ask(&Twin::default(), &event).await.unwrap();
        let ids = |records: &[Value]| -> Vec<Value> {
            records.iter().map(|record| record["recordId"].clone()).collect()
        };
        let wanted = ids(request["records"].as_array().unwrap());
        assert!(!wanted.is_empty(), "{}", path.display());
        assert_eq!(ids(&answers), wanted, "{}", path.display());
        let words: Vec<_> =
            answers.iter().map(|answer| answer["result"].as_str().unwrap()).collect();
        assert!(
            words.iter().all(|word| *word == "ProcessingFailed"),
            "{}: {words:?}",
            path.display()
        );
        assert_eq!(accounts.written, 0, "{}", path.display());
        asked += 1;
    }
    assert!(asked >= 8, "{asked}");
}
