#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;
use crate::recipe::KeysArgument;

/// A generator of random numbers that a seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A value of one of many kinds; none is missing.
fn value(kind: u64, row: u64, random: &mut Random) -> Option<serde_json::Value> {
    let x = random.next();
    Some(match kind {
        0 => json!(row),
        1 => json!((x % 1000) as i64 - 500),
        2 => json!((x % 10_000) as f64 / 7.0 - 300.0),
        3 => json!(["web", "pos", "ä\\\"b", "", "NULL"][(x % 5) as usize]),
        4 => json!(format!("tx-{row}")),
        5 => json!(format!("2026-01-{:02}T00:{:02}:00Z", x % 28 + 1, x % 60)),
        6 => json!(format!("a{}@example.com", x % 100)),
        7 => json!(x.is_multiple_of(2)),
        8 => json!(1_767_225_600 + x % 1_000_000),
        9 => return (!x.is_multiple_of(3)).then(|| json!(x % 7)),
        10 => return (!x.is_multiple_of(5)).then(|| json!(format!("{:04x}", x % 65536))),
        11 => return None,
        12 => json!({"nested": x % 3}),
        13 => match x % 10 {
            0 => json!("n/a"),
            _ => json!(x % 90),
        },
        14 => json!(["same"][0]),
        15 => json!((x as i64) >> (x % 60)),
        16 => json!(f64::from_bits(x)),
        17 => json!(format!("{}", (x % 400) as f64 / 8.0)),
        18 => json!(format!("line\nbreak {}\t# \"q\" `b` 日本 {}", x % 3, x % 2)),
        _ => json!("x".repeat((x % 130) as usize)),
    })
}

const NAMES: [&str; 14] = [
    "id",
    "customer_id",
    "event_time",
    "amount",
    "Weird Name: #1",
    "true",
    "na'me",
    "_leat_like",
    "quo\"te",
    "e-mail",
    "back\\slash",
    "is_fraud",
    "日本",
    "a*b",
];

/// Writes `data` and infers from it; whatever it is, the recipe passes its check and the data the rules.
#[track_caller]
fn check(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    let places = Places::default();
    let place = path.display().to_string();
    let mut data = DataArguments::of([&place]).find(&places, Format::Json, false).unwrap();
    let inferred = match infer(&mut data, "data") {
        Ok(inferred) => inferred,
        Err(refusal) => {
            let said = format!("{refusal:?}");
            assert!(said.contains("no rows to learn from"), "{name}: {said}\n{text}");
            return;
        }
    };
    let shown = || format!("{name}\n{}\n{}\n{text}", inferred.recipe, inferred.rules);
    // The recipe with its rules.
    let recipe = engine::read(Source { file: RECIPE, text: &inferred.recipe })
        .unwrap_or_else(|why| panic!("{why:?}\n{}", shown()));
    let source = Source { file: RULES, text: &inferred.rules };
    let engine = Engine::new(recipe, Some(source), None)
        .unwrap_or_else(|why| panic!("{why:?}\n{}", shown()));
    // The rules over the data, as `leat validate` reads it without a recipe, and with it.
    let ruleset = quality::parse(RULES, &inferred.rules).unwrap();
    assert_eq!(ruleset.rules.len(), inferred.kept);
    assert!(inferred.kept > 0, "{}", shown());
    let narrow = types::recipe(&mut data).unwrap();
    let mut present = engine.recipe().clone();
    let has = |name: &str| narrow.schema.fields.iter().any(|field| field.name == name);
    present.schema.fields.retain(|field| has(&field.name));
    for recipe in [&narrow, &present] {
        let columns = recipe.columns();
        let evaluation = Evaluation::compile(&ruleset, &columns, Some(7), Method::Column).unwrap();
        let mut metrics = evaluation.start();
        let decoder = Decoder::new(recipe, None, Limits::default());
        data.each("", recipe, &decoder, |piece| {
            evaluation.update(&mut metrics, &piece.batch.columns, piece.batch.len());
            Ok(())
        })
        .unwrap();
        for outcome in evaluation.finish(&metrics).unwrap() {
            assert!(
                outcome.outcome == Status::Passed || metrics.rows() == 0,
                "{outcome:?}\n{}",
                shown()
            );
        }
    }
}

#[test]
fn whatever_the_data_the_recipe_checks_and_the_rules_pass() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..60 {
        let mut random = Random(seed);
        let rows = [1, 3, 25, 130, 400][random.below(5) as usize];
        let count = 1 + random.below(10);
        let columns: Vec<(&str, u64)> = (0..count)
            .map(|_| (NAMES[random.below(NAMES.len() as u64) as usize], random.below(20)))
            .collect();
        let lines: Vec<Vec<Option<serde_json::Value>>> = (0..rows)
            .map(|row| columns.iter().map(|(_, kind)| value(*kind, row, &mut random)).collect())
            .collect();
        let mut text = String::new();
        for line in &lines {
            let object: serde_json::Map<String, serde_json::Value> = columns
                .iter()
                .zip(line)
                .filter_map(|((name, _), value)| Some(((*name).to_owned(), value.clone()?)))
                .collect();
            text += &format!("{}\n", serde_json::Value::Object(object));
        }
        check(folder.path(), "data.jsonl", &text);
        // The same as CSV, each column once.
        let cell = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let once: Vec<usize> = (0..columns.len())
            .filter(|at| columns[..*at].iter().all(|(name, _)| *name != columns[*at].0))
            .collect();
        let header: Vec<String> = once.iter().map(|at| cell(columns[*at].0)).collect();
        let mut csv = format!("{}\n", header.join(","));
        for line in &lines {
            let cells: Vec<String> = once
                .iter()
                .map(|at| match &line[*at] {
                    None => String::new(),
                    Some(serde_json::Value::String(text)) => cell(text),
                    Some(other) => cell(&other.to_string()),
                })
                .collect();
            csv += &format!("{}\n", cells.join(","));
        }
        check(folder.path(), "data.csv", &csv);
    }
}

/// Data that others made: the folder is no part of this repository.
#[test]
#[allow(clippy::disallowed_methods)] // A test reads what lies outside of the repository.
fn conformance_data_of_others() {
    let Ok(folder) = std::env::var("LEAT_CONFORMANCE") else {
        println!("skipped: LEAT_CONFORMANCE names no folder with conformance data");
        return;
    };
    let (mut files, output) = (0, tempfile::tempdir().unwrap());
    for entry in fs::read_dir(format!("{folder}/data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        let lines = [".csv", ".jsonl"].iter().any(|end| name.ends_with(end));
        if !lines {
            continue; // One document of JSON, for operators on texts.
        }
        let text = fs::read_to_string(&path).unwrap();
        check(output.path(), &name, &text);
        let places = Places::default();
        let data = DataArguments::of([path.display().to_string()]);
        let profiled = profile::of(&places, &data, None, &KeysArgument::default()).unwrap();
        let rows = text.lines().count() as u64 - u64::from(name.ends_with(".csv"));
        assert_eq!(profiled.profile.rows() + profiled.left_out.rejected(), rows, "{name}");
        assert!(profiled.summaries.iter().all(|summary| summary.rows > 0), "{name}");
        files += 1;
    }
    println!("{files} files: inferred, validated, profiled");
    assert!(files >= 8, "{files} files in {folder}/data");
}

/// What a person expects of tables that everybody knows, cut short.
#[test]
fn tables_that_everybody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, header: &str, line: &dyn Fn(usize) -> String| -> Inferred {
        let lines: Vec<String> = (0..400).map(line).collect();
        let path = folder.path().join(name);
        fs::write(&path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
        let places = Places::default();
        let place = path.display().to_string();
        let mut data = DataArguments::of([&place]).find(&places, Format::Json, false).unwrap();
        infer(&mut data, "data").unwrap()
    };
    let shop = of("shop.csv", "InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID", &|n| {
        let invoice = if n % 50 == 7 { "C5363".to_owned() } else { format!("{}", 5000 + n / 3) };
        let stock = if n % 7 == 0 { "85123A".to_owned() } else { format!("{}", 71000 + n % 90) };
        let customer = if n % 4 == 0 { String::new() } else { format!("{}.0", 17000 + n % 60) };
        format!("{invoice},{stock},{},2010-12-01 08:26:00,{customer}", n % 30)
    });
    for line in [
        "{name: CustomerID, type: long, role: entity}",
        "{name: InvoiceNo, type: string}",
        "{name: StockCode, type: string}",
        "standard_scale, in: [Quantity]}",
    ] {
        assert!(shop.recipe.contains(line), "no {line} in {}", shop.recipe);
    }
    assert!(
        shop.rules.contains("ColumnValues \"Quantity\" <= 44 with threshold >= 0.99"),
        "{}",
        shop.rules
    );
    for not in
        ["DataType \"StockCode", "CustomerID\" between", "CustomerID\" <=", "InvoiceNo\" between"]
    {
        assert!(!shop.rules.contains(not), "{not} in {}", shop.rules);
    }
    let ship = of("ship.csv", "survived,parch,deck,fare,date", &|n| {
        let deck = if n == 3 { "T" } else { ["A", "B", "C"][n % 3] };
        let parch = if n == 9 { 6 } else { n % 3 };
        format!("{},{parch},{deck},{}.5,2000-01-{:02}", n % 2, n % 97, n % 28 + 1)
    });
    assert!(ship.recipe.contains("{name: survived, type: long, role: label}"), "{}", ship.recipe);
    assert_eq!(ship.missing, ["entity", "event_time"], "{}", ship.recipe);
    for rule in [
        "ColumnValues \"deck\" in [\"A\", \"B\", \"C\", \"T\"] with threshold >= 0.99",
        "ColumnValues \"parch\" <= 9 with threshold >= 0.99",
        "ColumnValues \"survived\" in [0, 1]",
    ] {
        assert!(ship.rules.contains(rule), "no {rule} in {}", ship.rules);
    }
}

#[test]
fn fields_whose_features_could_have_the_name_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| {
        let kinds = ["a", "b", "of"];
        json!({"kind": kinds[i % 3], "kind_of": kinds[i % 2], "kind_a": i % 5, "at": "2026-01-01T00:00:00Z", "who": i % 9})
    };
    let text: String = (0..200).map(|i| format!("{}\n", line(i))).collect();
    check(folder.path(), "data.jsonl", &text);
}

#[test]
fn names() {
    for (place, expected) in [
        ("transactions.csv.gz", "transactions"),
        ("s3://lake/Landing_2026/", "landing-2026"),
        ("-", "data"),
        ("2026-01-01.jsonl", "data"),
        ("./9lives.csv", "lives"),
    ] {
        assert_eq!(name_of(&[place.to_owned()]), expected, "{place}");
    }
}
