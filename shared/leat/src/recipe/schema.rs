//! The recipe's JSON Schema, for editors: `leat schema` prints it. It comes from the same tables as the parser and says
//! what they say; what only the checker knows (names, types, personal data) is not in it.

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, RECIPE, STEP, Section};
use super::spec::{OperatorSpec, Parameter, ParameterKind};

/// The JSON Schema (draft 2020-12) of a recipe whose steps may name `operators`.
pub fn schema(operators: &[OperatorSpec]) -> Value {
    let mut schema = section(&RECIPE, operators);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".into(), json!("A Leat recipe"));
    }
    schema
}

fn section(section: &Section, operators: &[OperatorSpec]) -> Value {
    let required = section.keys.iter().filter(|k| k.required).map(|k| k.name);
    object(section.keys.iter().map(|k| (k.name, key(k, operators))), required)
}

fn key(key: &Key, operators: &[OperatorSpec]) -> Value {
    documented(kind(&key.kind, operators), key.help, key.default)
}

fn kind(what: &Kind, operators: &[OperatorSpec]) -> Value {
    match what {
        Kind::Version => json!({"const": 1}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Text(form) => json!({"type": "string", "pattern": form.pattern}),
        Kind::Expression => json!({"type": ["string", "number", "boolean"]}),
        Kind::Span => json!({"type": "string", "pattern": "^[1-9][0-9]*[smhd]$"}),
        Kind::OneOrMany(one) => {
            let one = kind(one, operators);
            json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
        }
        Kind::List(one, max) => {
            json!({"type": "array", "items": kind(one, operators), "maxItems": max})
        }
        Kind::AllOr(one) => {
            let one = kind(one, operators);
            json!({"anyOf": [{"const": "all"}, {"type": "array", "items": one, "minItems": 1}]})
        }
        Kind::Section(known) => section(known, operators),
        Kind::Either(sections) => {
            json!({"anyOf": sections.iter().map(|s| section(s, operators)).collect::<Vec<_>>()})
        }
        Kind::Named(one, max) => {
            let one = kind(one, operators);
            json!({"type": "object", "additionalProperties": one, "maxProperties": max})
        }
        Kind::Step => json!({"anyOf": operators.iter().map(step).collect::<Vec<_>>()}),
    }
}

/// A step of one operator.
fn step(operator: &OperatorSpec) -> Value {
    let common = STEP.keys.iter().map(|k| match k.name {
        "op" => (k.name, documented(json!({"const": operator.name}), operator.summary, "")),
        _ => (k.name, key(k, &[])),
    });
    let own = operator.parameters.iter().map(|p| (p.name, parameter(p)));
    let required = STEP.keys.iter().filter(|k| k.required).map(|k| k.name);
    let required =
        required.chain(operator.parameters.iter().filter(|p| p.required).map(|p| p.name));
    object(common.chain(own), required)
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        ParameterKind::Bool => json!({"type": "boolean"}),
        ParameterKind::Integer { min, max } => {
            json!({"type": "integer", "minimum": min, "maximum": max})
        }
        ParameterKind::Number { min, max } => {
            json!({"type": "number", "minimum": min, "maximum": max})
        }
        ParameterKind::Range { min, max } => json!({
            "type": "array", "items": {"type": "integer", "minimum": min, "maximum": max}, "minItems": 2, "maxItems": 2,
        }),
        ParameterKind::Scalar => json!({"type": ["number", "string", "boolean"]}),
        ParameterKind::Text | ParameterKind::TimeZone => json!({"type": "string"}),
        ParameterKind::Word(words) => json!({"enum": words}),
        ParameterKind::Words(words) => {
            json!({"type": "array", "items": {"enum": words}, "minItems": 1, "uniqueItems": true})
        }
        ParameterKind::Texts => {
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true})
        }
    };
    documented(schema, parameter.help, parameter.default)
}

fn object<'a>(
    properties: impl Iterator<Item = (&'a str, Value)>,
    required: impl Iterator<Item = &'a str>,
) -> Value {
    json!({
        "type": "object",
        "properties": properties.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

fn documented(mut schema: Value, help: &str, default: &str) -> Value {
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), json!(help));
        if let Ok(default) = serde_json::from_str::<Value>(default) {
            schema.insert("default".into(), default);
        }
    }
    schema
}
