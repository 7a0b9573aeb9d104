//! `CustomSql` as a person runs it, in a `leat` that was built with the feature `sql`: the case that Spark answers too.

#![cfg(feature = "sql")]
#![allow(clippy::unwrap_used, reason = "a test says so when something is not there")]

use std::process::{Command, Output};

use serde_json::{Value, json};

const CASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/custom_sql");

fn validate(rules: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leat"))
        .args(["validate", rules, "rows.jsonl", "--recipe", "recipe.yaml", "--format", "json"])
        .args(arguments)
        .current_dir(CASE)
        .output()
        .unwrap()
}

#[test]
fn the_case_of_both_engines() {
    let output = validate("rules.dqdl", &["--reference", "regions=regions.csv"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = std::fs::read_to_string(format!("{CASE}/expected.jsonl")).unwrap();
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes = found["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), expected.len());
    for (outcome, expected) in outcomes.iter().zip(&expected) {
        let names = ["Dataset.*.CustomSQL", "Dataset.*.CustomSQL.Compliance"];
        let value = names.iter().map(|name| &outcome["metrics"][*name]).find(|x| !x.is_null());
        let said = json!({
            "outcome": outcome["outcome"], "reason": outcome["reason"], "value": value,
            "passed_rows": outcome["passed_rows"], "failed_rows": outcome["failed_rows"],
        });
        assert_eq!(&said, expected, "{}", outcome["rule"]);
    }
    assert_eq!(found["analyzers"]["Dataset.*.CustomSQL"], 20.25);
}

#[test]
fn what_cannot_be_read_is_refused_at_start() {
    let rules = tempfile::NamedTempFile::with_suffix(".dqdl").unwrap();
    let text = "Rules = [ RowCount > 0,\n  CustomSql \"select sum(amuont) from primary\" > 0,\n  \
                CustomSql \"select count(*) from regions\" > 0 ]";
    std::fs::write(rules.path(), text).unwrap();
    let output = validate(rules.path().to_str().unwrap(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let refused: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors = refused["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|e| (e["line"].clone(), e["column"].clone())).collect();
    assert_eq!(places, [(json!(2), json!(3)), (json!(3), json!(3))], "{refused}");
    let said = |at: usize| errors[at]["message"].as_str().unwrap().to_owned();
    assert!(said(0).contains("amuont") && said(1).contains("regions"), "{refused}");
}
