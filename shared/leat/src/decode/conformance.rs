//! Texts and events that nobody here wrote, from the folder that the variable LEAT_CONFORMANCE names.

use std::path::PathBuf;

use serde_json::Value;

use super::fixture::{decoder, keys, landed, recipe, record};
use super::{Csv, Decoder, RawRecord, expand, kinesis};
use crate::column::Type;
use crate::protect::protect;
use crate::record::Reject;

/// The file at `path` in the folder; none, with a printed reason, where there is no such folder.
#[allow(clippy::disallowed_methods)]
fn text(path: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("LEAT_CONFORMANCE") else {
        println!("skipped: LEAT_CONFORMANCE names no folder");
        return None;
    };
    let path = PathBuf::from(folder).join(path);
    Some(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn line(decoder: &Decoder, line: &[u8]) -> Option<Reject> {
    let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
    let coordinates = super::fixture::coordinates();
    decoder.line(coordinates, line, false, &mut batch, &mut rejects);
    assert!(batch.len() + rejects.len() <= 1);
    rejects.pop()
}

#[test]
fn json_texts_are_taken_and_refused() {
    let Some(cases) = text("hostile/json_parsing.jsonl") else { return };
    let decoder = decoder();
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let name = case["name"].as_str().unwrap();
        let json = base64_simd::STANDARD.decode_to_vec(case["b64"].as_str().unwrap()).unwrap();
        let start = &b"{\"id\":\"e\",\"who\":\"c\",\"at\":0,\"x\":"[..];
        let inside = line(&decoder, &[start, &json, b"}"].concat()); // as a field's value
        let whole = line(&decoder, &json);
        match case["expect"].as_str().unwrap() {
            "accept" => {
                // White space of a line has no line break.
                let reason = inside.map(|reject| reject.reason.message);
                assert!(reason.is_none_or(|what| what.contains("line break")), "{name}");
                let object = json.trim_ascii_start().starts_with(b"{");
                let parsed = whole.is_none_or(|reject| reject.reason.rule != "decode");
                assert_eq!(parsed, object, "{name}");
            }
            "reject" => {
                assert!(inside.is_some(), "{name}");
                assert!(whole.is_some() || json.trim_ascii().is_empty(), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn kinesis_events_are_read() {
    if text("README.md").is_none() {
        return;
    }
    for (name, count) in [
        ("go-kinesis-event", 2),
        ("go-kinesis-time-window-event", 1),
        ("javalibs-kinesis_event", 1),
        ("javalibs-kinesis_event_roundtrip", 1),
        ("javalibs-kinesis_time_window_event", 1),
        ("ptpy-kinesisStreamCloudWatchLogsEvent", 2),
        ("ptpy-kinesisStreamEvent", 2),
        ("rust-kinesis-event", 2),
        ("rust-kinesis-event-encrypted", 2),
    ] {
        let event = text(&format!("events/kinesis/{name}.json")).unwrap();
        let records = kinesis::records(event.as_bytes()).unwrap();
        assert_eq!(records.len(), count, "{name}");
        for record in records {
            assert!(record.coordinates.shard.starts_with("shardId-"), "{name}");
            assert!(record.coordinates.arrival.is_some(), "{name}");
            let data = record.data().unwrap();
            let raw = RawRecord { coordinates: record.coordinates, data: &data, landed: false };
            let mut parts = 0;
            expand(&raw, &Default::default(), &mut |_, _| parts += 1);
            assert!(parts > 0, "{name}");
        }
    }
}

#[test]
fn a_real_aggregate_is_opened() {
    let Some(event) = text("kpl/SampleLambdaEvent.json") else { return };
    for record in kinesis::records(event.as_bytes()).unwrap() {
        let data = record.data().unwrap();
        let users = super::kpl::user_records(&data).unwrap();
        println!("{} user records", users.len());
        assert!(users.len() > 1 && users.iter().all(Result::is_ok));
    }
}

#[test]
fn naughty_strings_land_and_come_back() {
    let Some(strings) = text("hostile/naughty_strings.json") else { return };
    let strings: Vec<String> = serde_json::from_str(&strings).unwrap();
    let (recipe, decoder, keys) = (recipe(), decoder(), keys());
    for text in strings {
        let text = format!("{text} ");
        let event = serde_json::json!({"id": text, "who": text, "at": 0, "phone": text, "x": text, (text.as_str()): [text]});
        let (mut batch, rejects) = record(&decoder, event.to_string().as_bytes());
        assert!(rejects.is_empty(), "{text}");
        protect(&mut batch, &recipe, Some(&keys)).unwrap();
        let mut out = Vec::new();
        crate::encode::landed::line(&recipe, &batch, 0, &keys, &mut out);
        assert_eq!(landed(&decoder, out.trim_ascii_end()).0, batch, "{text}");
    }
}

#[test]
fn csv_texts_give_their_rows() {
    let Some(cases) = text("hostile/csv_spectrum.json") else { return };
    let cases: Value = serde_json::from_str(&cases).unwrap();
    for (name, case) in cases.as_object().unwrap() {
        // One case gives something else than its rows.
        let Some(rows) = case["rows"].as_array() else { continue };
        let mut recipe = recipe();
        recipe.protect.clear();
        let field = recipe.schema.fields[7].clone();
        let names = rows[0].as_object().unwrap().keys();
        recipe.schema.fields = names
            .map(|name| crate::recipe::Field {
                name: name.clone(),
                kind: Type::String,
                ..field.clone()
            })
            .collect();
        let decoder = super::fixture::decoder_of(&recipe);
        let (mut batch, mut rejects) = (decoder.batch(), Vec::new());
        let csv = case["csv_b64"].as_str().unwrap();
        let csv = base64_simd::STANDARD.decode_to_vec(csv).unwrap();
        let mut file = Csv::open(&decoder, &csv[..], "file".into()).unwrap();
        while file.read(&decoder, 100, &mut batch, &mut rejects).unwrap() {}
        assert!(rejects.is_empty() && batch.len() == rows.len(), "{name}");
        for (index, row) in rows.iter().enumerate() {
            for (field, column) in recipe.schema.fields.iter().zip(&batch.columns) {
                // The texts have lost the CRs that their rows still have.
                let text = row[&field.name].as_str().filter(|text| !text.is_empty());
                let text = text.map(|text| text.replace('\r', ""));
                assert_eq!(column.text(index), text.as_deref(), "{name}");
            }
        }
    }
}
