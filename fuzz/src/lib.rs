//! What is fuzzed: every place where bytes or texts from outside enter the engine. Nothing may panic, hang, or take
//! memory that the input's length does not account for; what is read and written again must be the same.

use std::sync::OnceLock;

use leat::column::{Column, Type};
use leat::decode::{RawRecord, kinesis};
use leat::encode::{landed, quarantine};
use leat::engine::{self, Engine, Replay, Source};
use leat::expression;
use leat::protect::Keys;
use leat::quality::{self, RowRules};
use leat::record::{Coordinates, Position, Row, Sequence};
use leat::windows::EntityState;
use leat::windows::item::Item;
use md5::{Digest, Md5};
use xxhash_rust::xxh3::xxh3_64;

const RECIPE: &str = include_str!("../../recipes/card-transactions/recipe.yaml");
const RULES: &str = include_str!("../../recipes/card-transactions/quality.dqdl");

/// The engine of the worked example.
fn example() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let recipe = engine::read(Source { file: "recipe.yaml", text: RECIPE }).expect("a recipe");
        let rules = Source { file: "quality.dqdl", text: RULES };
        Engine::new(recipe, Some(rules), Some(keys())).expect("an engine")
    })
}

fn keys() -> Keys {
    Keys::from_secret(b"a secret for fuzzing that is long enough").expect("keys")
}

fn coordinates(sequence: u64) -> Coordinates {
    Coordinates {
        source: "stream".into(),
        shard: "shard".into(),
        position: Position { sequence: Sequence::new(&sequence.to_string()), sub: 0, line: 0 },
        arrival: Some(1_767_225_600_000),
    }
}

/// The event of a Kinesis mapping.
pub fn envelope(data: &[u8]) {
    let Ok(records) = kinesis::records(data) else { return };
    for record in &records {
        let read = record.data();
        assert!(record.raw().len() <= data.len());
        assert!(read.is_err() || read.is_ok_and(|bytes| bytes.len() <= data.len()));
    }
}

/// A record of a stream, on its way to windows and back to a landed line; a line that claims to be landed.
pub fn decode(data: &[u8]) {
    let engine = example();
    let record = RawRecord { coordinates: coordinates(1), data, landed: false };
    let mut taken = engine.intake(&[record]).expect("there are keys");
    Replay::new(engine).apply(&mut taken.batch);
    let mut out = Vec::new();
    for reject in &taken.rejects {
        out.clear();
        quarantine::write(reject, &mut out);
        assert_eq!(quarantine::read(&out).as_ref(), Ok(reject));
    }
    let checked = engine
        .check(&[RawRecord { coordinates: coordinates(1), data, landed: false }])
        .expect("there are keys");
    for row in 0..checked.batch.len() {
        let mut line = Vec::new();
        landed::line(engine.recipe(), &checked.batch, row, &keys(), &mut line);
        let again = RawRecord { coordinates: coordinates(2), data: &line, landed: true };
        let again = engine.check(&[again]).expect("there are keys");
        assert_eq!(again.rejects, [], "{}", String::from_utf8_lossy(&line));
        assert_eq!(again.batch, checked.batch.gather(&[row]), "{}", String::from_utf8_lossy(&line));
    }
    let record = RawRecord { coordinates: coordinates(3), data, landed: true };
    engine.check(&[record]).expect("there are keys");
}

/// A record that the Kinesis Producer Library packed: the message is the input.
pub fn kpl(data: &[u8]) {
    let mut packed = vec![0xF3, 0x89, 0x9A, 0xC2];
    packed.extend_from_slice(data);
    packed.extend_from_slice(&Md5::digest(data));
    let record = RawRecord { coordinates: coordinates(1), data: &packed, landed: false };
    let taken = example().intake(&[record]).expect("there are keys");
    assert!(taken.batch.len() <= data.len());
}

/// A recipe's text.
pub fn recipe(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(recipe) = engine::read(Source { file: "recipe.yaml", text }) else { return };
    let rules = Source { file: "quality.dqdl", text: RULES };
    let rules = recipe.quality.is_some().then_some(rules);
    let Ok(engine) = Engine::new(recipe, rules, Some(keys())) else { return };
    let line = br#"{"id":"1","who":"a","at":0,"x":1.5,"n":-3,"s":"t","b":true}"#;
    let record = RawRecord { coordinates: coordinates(1), data: line, landed: false };
    let mut taken = engine.intake(&[record]).expect("there are keys");
    Replay::new(&engine).apply(&mut taken.batch);
}

/// An expression over one column of each type.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let columns = [
        ("b", Type::Bool),
        ("n", Type::Long),
        ("x", Type::Double),
        ("s", Type::String),
        ("t", Type::Timestamp),
    ];
    let columns = columns.map(|(name, kind)| (name.to_owned(), kind));
    let Ok(program) = expression::compile(text, &columns) else { return };
    let longs = [Some(i64::MIN), Some(-1), Some(0), Some(7), Some(i64::MAX), None];
    let doubles = [Some(f64::MAX), Some(-0.5), Some(0.0), Some(5e-324), Some(f64::INFINITY), None];
    let mut times = Column::new(Type::Timestamp);
    let mut truths = Column::new(Type::Bool);
    for at in 0..6i64 {
        use leat::column::Value;
        times.push(if at < 5 { Value::Timestamp(at * 1_000_000_007) } else { Value::Null });
        truths.push(if at < 5 { Value::Bool(at % 2 == 0) } else { Value::Null });
    }
    let rows = [
        truths,
        Column::longs(longs),
        Column::doubles(doubles),
        Column::strings([Some(""), Some("7"), Some("a"), Some("true"), Some("\u{fc}"), None]),
        times,
    ];
    let all = program.evaluate(&rows, 6);
    assert_eq!((all.len(), all.kind()), (6, program.kind()));
    // A row by itself gives what it gives among others.
    for row in 0..6 {
        let one: Vec<Column> = rows.iter().map(|column| column.gather(&[row])).collect();
        assert_eq!(program.evaluate(&one, 1), all.gather(&[row]));
    }
}

/// A ruleset's text.
pub fn dqdl(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(ruleset) = quality::parse("quality.dqdl", text) else { return };
    let printed = ruleset.to_string();
    let again = quality::parse("quality.dqdl", &printed);
    assert_eq!(again.map(|again| again.to_string()), Ok(printed));
    let columns = [("n", Type::Long), ("x", Type::Double), ("s", Type::String), ("t", Type::Timestamp)];
    let columns = columns.map(|(name, kind)| (name.to_owned(), kind));
    let Ok(rules) = RowRules::compile(&ruleset, &columns) else { return };
    let mut times = Column::new(Type::Timestamp);
    times.push(leat::column::Value::Timestamp(1_767_225_600_000_000));
    let values = [
        Column::longs([Some(3)]),
        Column::doubles([Some(1.5)]),
        Column::strings([Some("2026-01-01")]),
        times,
    ];
    let row = Row {
        coordinates: coordinates(1),
        identity: 1,
        verdict: None,
        protected: Default::default(),
        unknown: None,
    };
    rules.judge(&values, &[row]);
}

/// An entity's item, and the state in it, whose checksum is made to fit.
pub fn state(data: &[u8]) {
    if let Ok(item) = Item::decode(data) {
        assert_eq!(Item::decode(&item.encode()), Ok(item));
    }
    let mut bytes = vec![data.first().copied().unwrap_or(1).min(3)];
    bytes.extend_from_slice(data.get(1..).unwrap_or_default());
    let checksum = xxh3_64(&bytes).to_le_bytes();
    bytes.extend_from_slice(&checksum[..4]);
    let Ok(state) = EntityState::decode(&bytes) else { return };
    let again = state.encode();
    assert_eq!(EntityState::decode(&again).map(|state| state.encode()), Ok(again));
    let windows = example().windows();
    if !windows.fits(&state) {
        return;
    }
    let line = br#"{"transaction_id":"t","customer_id":"c","event_time":"2026-01-01T00:00:00Z","amount":5.5}"#;
    let record = RawRecord { coordinates: coordinates(1), data: line, landed: false };
    let batch = example().intake(&[record]).expect("there are keys").batch;
    let mut state = state;
    for row in 0..batch.len() {
        windows.apply(&mut state, &batch.columns, row, batch.rows[row].identity);
    }
    EntityState::decode(&state.encode()).expect("what was written is read");
}
