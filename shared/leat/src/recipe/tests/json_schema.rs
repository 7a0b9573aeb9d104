//! The JSON Schema of a recipe takes what the parser takes.

use super::*;

/// A plain value of a document, for a look at it through the JSON Schema.
fn json(node: &yaml::Node) -> serde_json::Value {
    use yaml::{Data, Meaning};
    match &node.data {
        Data::List(items) => items.iter().map(json).collect(),
        Data::Map(entries) => {
            let pairs = entries.iter().map(|e| (e.key.clone(), json(&e.value)));
            serde_json::Value::Object(pairs.collect())
        }
        Data::Refused => serde_json::Value::Null,
        Data::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => serde_json::Value::Null,
            Meaning::Bool(x) => x.into(),
            Meaning::Long(x) => x.into(),
            Meaning::Double(x) => x.into(),
            Meaning::Text(x) => x.into(),
        },
    }
}

/// True if `value` is valid by the part of JSON Schema that ours uses; any other keyword is a failure of the test.
fn valid(value: &serde_json::Value, schema: &serde_json::Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" => true,
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| valid(value, schema)),
        "type" => {
            let one = |kind: &serde_json::Value| match kind.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64(),
                "number" => value.is_number(),
                other => panic!("{other}"),
            };
            rule.as_array().map_or_else(|| one(rule), |kinds| kinds.iter().any(one))
        }
        "minimum" => value.as_f64().is_none_or(|x| x >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|x| x <= rule.as_f64().unwrap()),
        "pattern" => {
            let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(item, rule))),
        "minItems" => {
            value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap())
        }
        "maxItems" => {
            value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap())
        }
        "uniqueItems" => value.as_array().is_none_or(|items| {
            items.iter().enumerate().all(|(i, item)| !items[..i].contains(item))
        }),
        "maxProperties" => {
            value.as_object().is_none_or(|map| map.len() as u64 <= rule.as_u64().unwrap())
        }
        "required" => value.as_object().is_none_or(|map| {
            rule.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|map| {
            map.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| valid(value, schema)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            map.iter().all(|(key, value)| {
                let known = schema.get("properties").is_some_and(|p| p.get(key).is_some());
                known || rule.as_bool().unwrap_or_else(|| valid(value, rule))
            })
        }),
        other => panic!("{other}"),
    })
}

#[test]
fn the_json_schema_agrees_with_the_parser() {
    let schema = schema::schema(OPERATORS);
    let by_schema = |text: &str| {
        let root = yaml::load(text, &mut report::Report::new("")).unwrap();
        valid(&json(&root), &schema)
    };
    assert!(by_schema(SMALL));
    let real = schema::schema(&crate::features::specs());
    let root = yaml::load(EXAMPLE, &mut report::Report::new("")).unwrap();
    assert!(valid(&json(&root), &real));
    let bench = include_str!("../../../../../recipes/bench-transactions/recipe.yaml");
    for (from, to, good) in [
        ("", "", true),
        ("tokens: alphanumeric", "ngrams: [1, 2]", true),
        ("tokens: alphanumeric", "ngrams: [1, 9]", false),
        ("tokens: alphanumeric", "ngrams: [1]", false),
        ("tokens: alphanumeric", "tokens: letters", false),
        ("bins: 10", "bins: 1", false),
    ] {
        let root = yaml::load(&bench.replacen(from, to, 1), &mut report::Report::new("")).unwrap();
        assert_eq!(valid(&json(&root), &real), good, "{to}");
    }
    for (from, to) in [
        ("leat: 1", "leat: 2"),
        ("name: small", "name: Small One"),
        ("name: small", "name: small\nnam: x"),
        ("type: double}", "type: float}"),
        ("within: 1h", "within: 90"),
        ("method: tokenize", "method: mask, keep: 65"),
        ("1h, 24h", "1h, 1x"),
        ("strategy: median", "strategy: medium"),
        (", strategy: median", ""),
        ("op: one_hot", "op: onehot"),
        ("features: all", "features: some"),
    ] {
        assert!(!by_schema(&small(from, to)) && !said(&small(from, to)).is_empty(), "{to}");
    }
}
