//! Golden cases: what scikit-learn, numpy and zoneinfo say (`golden/`), through a recipe, `fit` and the features.

#![allow(clippy::panic, clippy::unwrap_used)] // a case that cannot be read is a failed test

use std::path::Path;

use leat::column::{Column, Type, Value};
use leat::features::{Features, Fit, FittedState, specs};
use leat::recipe::{Plan, Recipe, plan, read};
use leat::record::Identity;
use serde_json::Value as Json;

/// Relative to 1, or to the value where that is greater.
const NEAR: f64 = 1e-9;

/// The values of `json` as a column.
fn column(kind: Type, json: &[Json]) -> Column {
    let mut column = Column::new(kind);
    for value in json {
        column.push(match (kind, value) {
            (_, Json::Null) => Value::Null,
            (Type::Bool, value) => Value::Bool(value.as_bool().unwrap()),
            (Type::Long, value) => Value::Long(value.as_i64().unwrap()),
            (Type::Double, value) => Value::Double(value.as_f64().unwrap()),
            (Type::Timestamp, value) => Value::Timestamp(value.as_i64().unwrap()),
            (_, value) => Value::String(value.as_str().unwrap()),
        });
    }
    column
}

/// The batch's columns, of which the case gives some; the number of rows.
fn batch(plan: &Plan, given: &Json) -> (Vec<Column>, usize) {
    let given = given.as_object().unwrap();
    let rows = given.values().next().unwrap().as_array().unwrap().len();
    let column = |c: &leat::recipe::PlanColumn| match given.get(&c.name) {
        Some(values) => column(c.kind, values.as_array().unwrap()),
        None => Column::nulls(c.kind, rows),
    };
    (plan.columns.iter().map(column).collect(), rows)
}

/// Fits in two parts that are merged in the other order.
fn fit(recipe: &Recipe, plan: &Plan, columns: &[Column], rows: usize) -> FittedState {
    let mut so_far = Vec::new();
    for level in 1..=plan.passes() {
        let part = |range: std::ops::Range<usize>| {
            let rows: Vec<usize> = range.collect();
            let columns: Vec<_> = columns.iter().map(|c| c.gather(&rows)).collect();
            let identities: Vec<Identity> = rows.iter().map(|&row| row as Identity).collect();
            let mut fit = Fit::new(recipe, plan, level, &so_far).unwrap();
            fit.update(&columns, &identities);
            fit
        };
        let (first, mut second) = (part(0..rows / 3), part(rows / 3..rows));
        second.merge_json(&first.to_json().unwrap()).unwrap();
        so_far = second.finish().unwrap();
    }
    let hash = recipe.hash(None);
    let state = FittedState::new(recipe, plan, &hash, rows as u64, &so_far).unwrap();
    FittedState::from_json(&state.to_json(), &hash).unwrap()
}

/// The terms of a sparse vector.
fn terms(text: &str) -> Vec<(u64, f64)> {
    let term = |term: &str| {
        let (place, value) = term.split_once(':').unwrap();
        (place.parse().unwrap(), value.parse().unwrap())
    };
    text.split_ascii_whitespace().map(term).collect()
}

fn near(found: &[(u64, f64)], expected: &[(u64, f64)]) -> bool {
    let close = |(a, b): (&(u64, f64), &(u64, f64))| a.0 == b.0 && (a.1 - b.1).abs() <= NEAR;
    found.len() == expected.len() && found.iter().zip(expected).all(close)
}

#[track_caller]
fn check(name: &str, case: &Json) {
    let text = case["recipe"].to_string();
    let recipe = read("golden", &text, &specs()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let plan = plan(&recipe, None).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let (columns, rows) = batch(&plan, &case["fit"]);
    let state = fit(&recipe, &plan, &columns, rows);
    let features = Features::bind(&recipe, &plan, &state).unwrap();

    let expected: Vec<_> = case["expected"].as_array().unwrap().iter().collect();
    let names: Vec<_> = expected.iter().map(|pair| pair[0].as_str().unwrap()).collect();
    assert_eq!(features.names(), names, "{name}");
    let (columns, rows) = batch(&plan, &case["rows"]);
    let exact = case["exact"].as_bool().unwrap();
    for (found, pair) in features.apply(&columns, rows).iter().zip(expected) {
        let (column, values) = (&pair[0], pair[1].as_array().unwrap());
        assert_eq!(found.len(), values.len(), "{name}: {column}");
        for (row, value) in values.iter().enumerate() {
            if let (Some(found), Some(expected)) = (found.text(row), value.as_str()) {
                let good = near(&terms(found), &terms(expected));
                assert!(good, "{name}: {column} row {row}: {found}, not {expected}");
                continue;
            }
            let expected = value.as_f64().or(value.as_bool().map(|b| f64::from(u8::from(b))));
            let good = match (found.number(row), expected) {
                (Some(x), Some(y)) if exact => x == y,
                (Some(x), Some(y)) => (x - y).abs() <= NEAR * y.abs().max(1.0),
                (x, y) => x == y,
            };
            assert!(good, "{name}: {column} row {row}: {:?}, not {value}", found.get(row));
        }
    }
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut stepped = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    for file in files {
        let golden: Json = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(!cases.is_empty(), "{}", file.display());
        for case in cases {
            let stem = file.file_stem().unwrap().to_string_lossy();
            check(&format!("{stem}: {}", case["name"]), case);
            let steps = case["recipe"]["features"].as_array().unwrap();
            stepped.extend(steps.iter().map(|step| step["op"].as_str().unwrap().to_owned()));
        }
    }
    for spec in specs() {
        assert!(stepped.iter().any(|op| op == spec.name), "no golden case of `{}`", spec.name);
    }
}
