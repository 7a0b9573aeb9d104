//! Against the rulesets of awslabs/dqdl and awslabs/deequ, judged by awslabs/dqdl's parser. They are not a part of this
//! repository: `LEAT_CONFORMANCE` names the folder that holds `dqdl/rulesets.jsonl`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::tree::{Condition, Joiner, Rule, Ruleset};
use super::{Context, Evaluation, Method};
use crate::column::{Column, Type, Value as Cell};

/// Where we and the published parser differ on purpose: whether a ruleset is valid.
const VALIDITY: [(&str, &str); 2] = [
    ("u0240 u0452 u0453 u0454 u0455 u0460 u0461 u0462 u0463", "something follows the last section"),
    ("u0253", "a label's value may be empty, as the documentation says"),
];

/// Where we read the same ruleset as another tree.
const TREES: [(&str, &str); 2] = [
    (
        "u0146 u0148 u0149 u0151 u0450 u0451 u0874 u0878 u0881",
        "dates after `=`, `!=` and `in` make a text condition; a timestamp column reads them as dates",
    ),
    (
        "u0335 u0336 u0341 u0342 u0343",
        "`\\\\` is one backslash, and a backslash before another character stays, in lists too",
    ),
];

fn departs(table: &[(&str, &str)], id: &str) -> bool {
    table.iter().any(|(ids, _)| ids.split(' ').any(|other| other == id))
}

/// Lists without blanks, quotes without escapes: as the published parser prints a condition.
fn plain(text: &str) -> String {
    text.replace(", ", ",").replace("\\\"", "\"")
}

fn kind(condition: Option<&Condition>) -> &'static str {
    match condition {
        None => "Condition",
        Some(Condition::Number(_)) => "NumberBasedCondition",
        Some(Condition::Date(_)) => "DateBasedCondition",
        Some(Condition::Duration(_)) => "DurationBasedCondition",
        Some(Condition::Size(_)) => "SizeBasedCondition",
        Some(_) => "StringBasedCondition",
    }
}

fn ours(ruleset: &Ruleset, rule: &Rule) -> Value {
    let labels = ruleset.labels(rule);
    let mut out = match rule {
        Rule::Composite(composite) => {
            let op = if composite.joiner == Joiner::And { "AND" } else { "OR" };
            let parts: Vec<_> = composite.parts.iter().map(|part| ours(ruleset, part)).collect();
            json!({"op": op, "rules": parts})
        }
        Rule::Single(single) => {
            let parameters: BTreeSet<_> =
                single.parameters.iter().map(|p| ruleset.text(p)).collect();
            let tags: BTreeMap<_, _> = single.tags.iter().cloned().collect();
            json!({
                "type": single.kind.name,
                "params": parameters,
                "condition": single.condition.as_ref().map(|c| plain(&c.to_string())).unwrap_or_default(),
                "conditionKind": kind(single.condition.as_ref()),
                "where": single.filter,
                "threshold": single.threshold.as_ref().map(|t| plain(&t.to_string())),
                "tags": tags,
            })
        }
    };
    out["labels"] = json!(labels);
    out
}

/// The published tree in our shape: parameters as a set, as its keys have no order; composites of one operator flat.
fn theirs(rule: &Value) -> Value {
    let labels = rule.get("labels").cloned().unwrap_or_else(|| json!({}));
    if let (Some(op), Some(parts)) = (rule.get("op"), rule["rules"].as_array()) {
        let mut flat = Vec::new();
        for part in parts.iter().map(theirs) {
            match part["rules"].as_array() {
                Some(inner) if part["op"] == *op && part["labels"] == json!({}) => {
                    flat.extend(inner.iter().cloned());
                }
                _ => flat.push(part),
            }
        }
        return json!({"op": op, "rules": flat, "labels": labels});
    }
    let parameters: BTreeSet<_> =
        rule["params"].as_object().unwrap().values().map(|v| v.as_str().unwrap()).collect();
    json!({
        "type": rule["type"],
        "params": parameters,
        "condition": plain(rule["condition"].as_str().unwrap()),
        "conditionKind": rule["conditionKind"],
        "where": rule["where"],
        "threshold": rule["threshold"].as_str().map(plain),
        "tags": rule.get("tags").cloned().unwrap_or_else(|| json!({})),
        "labels": labels,
    })
}

#[test]
#[allow(clippy::disallowed_methods)] // A test reads what lies outside of the repository.
fn agrees_with_the_published_parser() {
    let Ok(folder) = std::env::var("LEAT_CONFORMANCE") else {
        println!("skipped: LEAT_CONFORMANCE names no folder with conformance data");
        return;
    };
    let text = std::fs::read_to_string(format!("{folder}/dqdl/rulesets.jsonl")).unwrap();
    let (mut cases, mut valid, mut trees) = (0, 0, 0);
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (id, dqdl) = (case["id"].as_str().unwrap(), case["dqdl"].as_str().unwrap());
        let parsed = super::parse("t", dqdl);
        let agrees = parsed.is_ok() == (case["valid"] == true);
        cases += 1;
        valid += usize::from(agrees);
        if agrees == departs(&VALIDITY, id) {
            wrong.push(format!(
                "{id} {dqdl}\n    {:?}\n    {}",
                parsed.as_ref().err(),
                case["error"]
            ));
        }
        let Ok(ruleset) = parsed else { continue };
        let again = super::parse("t", &ruleset.to_string());
        assert_eq!(again.as_ref(), Ok(&ruleset), "{id}");
        if case["valid"] != true {
            continue;
        }
        let rules: Vec<_> = ruleset.rules.iter().map(|rule| ours(&ruleset, rule)).collect();
        let expected: Vec<_> = case["rules"].as_array().unwrap().iter().map(theirs).collect();
        trees += usize::from(rules == expected);
        if (rules == expected) == departs(&TREES, id) {
            wrong.push(format!("{id} {dqdl}\n    {}\n    {}", json!(rules), json!(expected)));
        }
        assert_eq!(ruleset.analyzers.len(), case["analyzers"].as_array().unwrap().len(), "{id}");
    }
    println!("{cases} rulesets: {valid} agree on valid, {trees} valid ones have the same tree");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Why we evaluate a rule not at all that the published parser lets pass.
const REFUSALS: [&str; 11] = [
    "there is no function",
    "`last` takes a whole number",
    "is not evaluated by Leat",
    "is no format of dates",
    "is a list of values where one is wanted",
    "has no value without a condition",
    "there is no type",
    "is for files alone",
    "is no aggregate",
    "has no finite value",
    "a query of `CustomSql` begins with",
];

/// Every valid ruleset can be readied and evaluated, over some rows and over none, but for the reasons above.
#[test]
#[allow(clippy::disallowed_methods)] // A test reads what lies outside of the repository.
fn evaluates_the_published_rulesets() {
    let Ok(folder) = std::env::var("LEAT_CONFORMANCE") else {
        println!("skipped: LEAT_CONFORMANCE names no folder with conformance data");
        return;
    };
    let text = std::fs::read_to_string(format!("{folder}/dqdl/rulesets.jsonl")).unwrap();
    let kinds = [Type::Double, Type::String, Type::Timestamp, Type::Long, Type::Bool];
    let (mut evaluated, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (id, dqdl) = (case["id"].as_str().unwrap(), case["dqdl"].as_str().unwrap());
        let Ok(ruleset) = super::parse("t", dqdl) else { continue };
        // Columns of each type under every name that a rule has.
        let named: BTreeSet<String> = super::reference::singles(&ruleset)
            .iter()
            .flat_map(|single| single.parameters.iter())
            .map(|parameter| ruleset.text(parameter).to_owned())
            .collect();
        let columns: Vec<(String, Type)> =
            named.into_iter().zip(kinds.into_iter().cycle()).collect();
        let data: Vec<Column> = columns
            .iter()
            .map(|(_, kind)| {
                let mut column = Column::new(*kind);
                column.push(match kind {
                    Type::Bool => Cell::Bool(true),
                    Type::Long => Cell::Long(7),
                    Type::Double => Cell::Double(1.5),
                    Type::String => Cell::String("2024-01-01"),
                    Type::Timestamp => Cell::Timestamp(0),
                });
                column.push(Cell::Null);
                column
            })
            .collect();
        for method in [Method::Column, Method::Row] {
            let context = Context { draft: true, ..Context::new(Some(0), method) };
            match Evaluation::within(&ruleset, &columns, &context) {
                Ok(evaluation) => {
                    let mut metrics = evaluation.start();
                    evaluation.finish(&metrics).unwrap();
                    evaluation.update(&mut metrics, &data, 2);
                    let outcomes = evaluation.finish(&metrics).unwrap();
                    assert_eq!(outcomes.len(), ruleset.rules.len(), "{id}");
                    let finite =
                        |outcome: &super::Outcome| outcome.metrics.values().all(|x| x.is_finite());
                    assert!(outcomes.iter().all(finite), "{id} {outcomes:?}");
                    evaluated += 1;
                }
                Err(errors) => {
                    let by_row =
                        |text: &str| method == Method::Row && text.contains("cannot take part");
                    let known =
                        |text: &str| REFUSALS.iter().any(|why| text.contains(why)) || by_row(text);
                    let unknown =
                        errors.iter().map(ToString::to_string).filter(|text| !known(text));
                    wrong.extend(unknown.map(|text| format!("{id} {text}")));
                    refused += 1;
                }
            }
        }
    }
    println!("{evaluated} evaluated, {refused} refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
