//! The benchmark's recipe against what its reference program gives for the same events.

use super::{Engine, Intake, Replay, Source, read};
use crate::decode::RawRecord;
use crate::encode::csv;
use crate::features::{Features, FittedState};
use crate::record::{Coordinates, Position, Sequence};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../../recipes/bench-transactions/", $name))
    };
}

const EVENTS: [&str; 4] = [
    r#"{"transaction_id":"t-00000001","event_time":"2026-03-07T23:15:00.250Z","customer_id":"c-1","merchant_id":"m-0007","merchant_category":"fuel","amount":120.5,"currency":"HKD","customer_age":33,"channel":"web","country":"HK","card_present":false,"lat":22.31,"lon":114.2,"description":"coffee shop Coffee plan 7","is_fraud":0}"#,
    r#"{"transaction_id":"t-00000002","event_time":"2026-03-07T23:45:00.250Z","customer_id":"c-1","merchant_id":"m-0019","merchant_category":null,"amount":9.99,"currency":"USD","customer_age":null,"channel":"pos","country":"XX","card_present":true,"lat":null,"lon":null,"description":null,"is_fraud":0}"#,
    r#"{"transaction_id":"t-00000003","event_time":"2026-03-08T00:15:00.250Z","customer_id":"c-1","merchant_id":"m-0019","merchant_category":"taxi","amount":4000.0,"currency":"EUR","customer_age":70,"channel":"app","country":null,"card_present":null,"lat":20.0,"lon":110.0,"description":"taxi ride toll","is_fraud":1}"#,
    r#"{"transaction_id":"t-00000004","event_time":"2026-03-08T00:46:00.250Z","customer_id":"c-1","merchant_id":"m-0001","merchant_category":"space","amount":1.0,"currency":"HKD","customer_age":20,"channel":"atm","country":"CN","card_present":true,"lat":22.0,"lon":114.0,"description":"","is_fraud":0}"#,
];

/// What `plain` of the benchmark prints for [`EVENTS`]. The hashes and the vector, which depend on the hash, are left
/// out; its day of the week counts from 0.
const EXPECTED: [&str; 4] = [
    "0.3882439280893906,0.0302940797794591,4.799914262780603,8,-0.5848486645201579,0.514889943892965,0.5014559068219635,0,1,0,0,10,0.005088237725374238,,23,6,3,1,-0.25881904510252157,0.9659258262890681,5699700.25,2771.5,,0,1,120.5,120.5,120.5,1,120.5,120.5,120.5,-1,0,",
    "-0.4409959125867124,0.002395756809225557,2.3969857684155302,2,-0.05861308965677261,0.5131635735865344,0.49927204658901836,1,0,0,0,-1,0.004514899167251931,,23,6,3,1,-0.25881904510252157,0.9659258262890681,5701500.25,229.77,,1,2,130.49,65.245,120.5,2,130.49,65.245,120.5,1800,0,",
    "29.49905708439146,1.009676433982889,8.294299608857235,9,2.1966822311863075,0.4151920586965905,0.4141014975041598,0,0,0,1,-1,0.0016103990626695217,,0,7,3,1,0,1,5703300.25,0,,0,2,4009.99,2004.995,4000,3,4130.49,1376.83,4000,1800,0,",
    "-0.508454659918883,0.0001262253324144129,0.6931471805599453,0,-1.5621433035521592,0.5015105740181269,0.49729617304492524,0,0,1,0,5,0.004514899167251931,,0,7,3,1,0,1,5705160.25,0,,1,2,4001,2000.5,4000,4,4131.49,1032.8725,4000,1860,1,",
];

#[test]
fn the_benchmarks_recipe_gives_what_its_reference_gives() {
    let recipe = read(Source { file: "recipe.yaml", text: file!("recipe.yaml") }).unwrap();
    let rules = Source { file: "quality.dqdl", text: file!("quality.dqdl") };
    let engine = Engine::new(recipe, Some(rules), None).unwrap();
    let (recipe, plan) = (engine.recipe(), engine.plan());
    let steps: usize = recipe.features.iter().map(|step| step.inputs.len()).sum();
    assert!(steps >= 30, "{steps}");
    let given = file!("given.json");
    let state = FittedState::given(recipe, plan, engine.hash(), given).unwrap();
    let features = Features::bind(recipe, plan, &state).unwrap();

    let record = |(n, data): (u64, &&'static str)| RawRecord {
        coordinates: Coordinates {
            source: "events".into(),
            shard: "shardId-0".into(),
            position: Position { sequence: Sequence::new(&n.to_string()), sub: 0, line: 0 },
            arrival: Some(1_772_950_000_000), // 2026-03-08T06:06:40Z
        },
        data: data.as_bytes(),
        landed: false,
    };
    let records: Vec<RawRecord> = (1..).zip(&EVENTS).map(record).collect();
    let Intake { mut batch, rejects, .. } = engine.intake(&records).unwrap();
    assert!(rejects.is_empty(), "{rejects:?}");
    Replay::new(&engine).apply(&mut batch);
    let columns = features.apply(&batch.columns, batch.len());
    for (row, expected) in EXPECTED.iter().enumerate() {
        let mut line = Vec::new();
        csv::row(&columns, row, &mut line);
        let line = String::from_utf8(line).unwrap();
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let expected: Vec<&str> = expected.split(',').collect();
        assert_eq!(cells.len(), expected.len(), "{line}");
        for ((name, cell), expected) in features.names().iter().zip(&cells).zip(&expected) {
            let Ok(expected) = expected.parse::<f64>() else { continue };
            let found: f64 = cell.parse().unwrap();
            let near = (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
            assert!(near, "{name} of event {row}: {cell}, not {expected}");
        }
        let words = cells.last().map_or(0, |words| words.matches(':').count());
        assert_eq!(words, [4, 0, 3, 0][row], "{line}"); // one is there twice
    }
}

#[test]
fn the_benchmarks_rules_refuse_what_its_reference_refuses() {
    let recipe = read(Source { file: "recipe.yaml", text: file!("recipe.yaml") }).unwrap();
    let rules = Source { file: "quality.dqdl", text: file!("quality.dqdl") };
    let engine = Engine::new(recipe, Some(rules), None).unwrap();
    let rules = engine.rules().unwrap();
    assert_eq!(rules.texts().len(), 11, "the twelfth is of a batch");
    for (from, to, rule) in [
        (r#""amount":120.5"#, r#""amount":-120.5"#, "\"amount\""),
        (r#""amount":120.5"#, r#""amount":1000000"#, "\"amount\""),
        (r#""amount":120.5"#, r#""amount":null"#, "IsComplete \"amount\""),
        (r#""customer_age":33"#, r#""customer_age":7"#, "\"customer_age\""),
        (r#""currency":"HKD""#, r#""currency":"XXX""#, "\"currency\""),
        (r#""currency":"HKD""#, r#""currency":null"#, "IsComplete \"currency\""),
        (r#""m-0007""#, "null", "IsComplete \"merchant_id\""),
        ("t-00000001", "x1", "\"transaction_id\""),
        ("2026-03-07", "2031-01-01", "\"event_time\""),
        ("2026-03-07T23:15:00.250Z", "not-a-time", "type"),
        (r#""c-1""#, "null", "required"),
    ] {
        let line = EVENTS[0].replacen(from, to, 1);
        let record = RawRecord {
            coordinates: Coordinates {
                source: "events".into(),
                shard: "shardId-0".into(),
                position: Position { sequence: Sequence::new("1"), sub: 0, line: 0 },
                arrival: Some(1_772_950_000_000),
            },
            data: line.as_bytes(),
            landed: false,
        };
        let rejects = engine.intake(&[record]).unwrap().rejects;
        assert_eq!(rejects.len(), 1, "{to}");
        assert!(rejects[0].reason.rule.contains(rule), "{to}: {:?}", rejects[0].reason);
    }
}
