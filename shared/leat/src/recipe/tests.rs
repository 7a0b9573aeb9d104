//! The example, a small recipe that tests change, and operators for both.

mod columns;
mod fields;
mod hostile;
mod json_schema;
mod meaning;

use super::spec::{Arity, OperatorSpec, Output, Parameter, ParameterKind, Wrong};
use super::*;
use crate::diagnostic::Diagnostic;

const EXAMPLE: &str = include_str!("../../../../recipes/card-transactions/recipe.yaml");

/// Operators of the faces that the example needs; how they compute is not looked at here.
const OPERATORS: &[OperatorSpec] = {
    const NUMBERS: &[Type] = &[Type::Long, Type::Double];
    const fn parameter(name: &'static str, kind: ParameterKind) -> Parameter {
        Parameter { name, kind, default: "", required: false, help: "what it does" }
    }
    const UNSEEN: Parameter =
        parameter("unseen", ParameterKind::Word(&["zero", "infrequent", "missing"]));
    const SPEC: OperatorSpec = OperatorSpec {
        name: "",
        summary: "a sentence",
        manual: "",
        version: 1,
        fitted: true,
        supervised: false,
        takes: NUMBERS,
        arity: Arity::Each,
        parameters: &[],
        outputs: |_| Ok(Some(vec![Output::plain(Type::Double)])),
    };
    &[
        OperatorSpec {
            name: "impute",
            takes: &[Type::Long, Type::Double, Type::String],
            parameters: &[
                Parameter {
                    required: true,
                    ..parameter(
                        "strategy",
                        ParameterKind::Word(&["mean", "median", "mode", "constant"]),
                    )
                },
                parameter("value", ParameterKind::Scalar),
            ],
            outputs: |setting| match (setting.kind, setting.text("strategy").as_deref()) {
                (Type::String, Some("mean" | "median")) => Err(Wrong::at(
                    "strategy",
                    "text has no mean and no median",
                    "write strategy: mode",
                )),
                (kind, _) => Ok(Some(vec![Output::plain(kind)])),
            },
            ..SPEC
        },
        OperatorSpec {
            name: "log",
            fitted: false,
            parameters: &[parameter("offset", ParameterKind::Number { min: -10.0, max: 10.0 })],
            ..SPEC
        },
        OperatorSpec { name: "standard_scale", ..SPEC },
        OperatorSpec {
            name: "one_hot",
            takes: &[Type::String],
            parameters: &[
                UNSEEN,
                parameter("max_categories", ParameterKind::Integer { min: 2, max: 100 }),
            ],
            outputs: |_| Ok(None),
            ..SPEC
        },
        OperatorSpec {
            name: "target_encode",
            supervised: true,
            takes: &[Type::String, Type::Long],
            ..SPEC
        },
        OperatorSpec {
            name: "date_parts",
            fitted: false,
            takes: &[Type::Timestamp],
            parameters: &[
                parameter("parts", ParameterKind::Words(&["hour", "day_of_week"])),
                parameter("cyclic", ParameterKind::Bool),
                parameter("time_zone", ParameterKind::TimeZone),
            ],
            outputs: |setting| {
                let parts = setting.texts("parts").into_iter();
                Ok(Some(parts.map(|part| Output::suffixed(part, Type::Double)).collect()))
            },
            ..SPEC
        },
    ]
};

fn check(text: &str) -> Result<Recipe, Vec<Diagnostic>> {
    read("r.yaml", text, OPERATORS)
}

#[track_caller]
fn good(text: &str) -> Recipe {
    check(text).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(|e| e.render(text)).collect::<String>())
    })
}

/// What is said of `text`, a line an error: `line:column: message (hint)`.
fn said(text: &str) -> Vec<String> {
    let errors = check(text).err().unwrap_or_default();
    errors.iter().map(|e| e.to_string().replacen("r.yaml:", "", 1)).collect()
}

/// A small good recipe, whose parts tests change.
const SMALL: &str = "\
leat: 1
name: small
schema:
  fields:
    - {name: id, type: string, role: id}
    - {name: who, type: string, role: entity}
    - {name: at, type: timestamp, role: event_time}
    - {name: card, type: string, tags: [pii]}
    - {name: amount, type: double}
    - {name: age, type: long}
    - {name: kind, type: string}
    - {name: bad, type: long, role: label}
  dedupe: {within: 1h}
protect:
  - {field: card, method: tokenize}
derive:
  ratio: amount / nullif(age, 0)
  twice: ratio * 2
windows:
  - {sum: amount, count: \"*\", over: [1h, 24h]}
features:
  - {op: impute, in: amount, strategy: median}
  - {op: standard_scale, in: [amount, ratio]}
  - {op: one_hot, in: kind}
output:
  features: all
";

/// SMALL with `from` replaced by `to`.
#[track_caller]
fn small(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// What is changed in the small recipe, and all that is said then, by place. A few changes are good.
#[track_caller]
fn refused(table: &[(&str, &str, &[&str])]) {
    for (from, to, expected) in table {
        assert_eq!(said(&small(from, to)), *expected, "{to}");
    }
}

#[test]
fn the_example_is_good() {
    let recipe = read("recipe.yaml", EXAMPLE, &crate::features::specs()).unwrap();
    let plan = plan(&recipe, None).unwrap();
    assert_eq!(plan.levels, [1, 1, 0, 0, 2, 2, 1, 2, 0]);
    assert_eq!(plan.passes(), 2);
    assert_eq!(plan.slot("is_remote"), Some(14));
    assert_eq!(plan.columns[plan.slot("session_id").unwrap()].kind, Type::String);
    good(SMALL);
}
