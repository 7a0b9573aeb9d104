//! Bad recipes and what is said of them; the example; laws.

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

/// What is changed in the small recipe, and all that is said then, by place. A few changes are good.
#[test]
fn bad_recipes() {
    let table: &[(&str, &str, &[&str])] = &[
        ("leat: 1", "leat: 2", &["1:7: `leat` takes the number 1; this is the number 2"]),
        ("leat: 1", "leat: '1'", &["1:7: `leat` takes the number 1; this is the text `1`"]),
        (
            "leat: 1\n",
            "",
            &["1:1: the recipe lacks the key `leat` (The version of this format: 1.)"],
        ),
        (
            "name: small",
            "name: Small One\nnam: x",
            &[
                "2:7: `name` takes at most 40 lower-case letters, digits and dashes, a letter first; this is the text `Small One`",
                "3:1: `nam` is not a key of the recipe (did you mean `name`?)",
            ],
        ),
        (
            "name: small",
            "name: 7",
            &[
                "2:7: `name` takes at most 40 lower-case letters, digits and dashes, a letter first; this is the number 7 (put it in quotes if it is a text)",
            ],
        ),
        (
            "name: small",
            "name: small\nname: again",
            &["3:1: the key `name` is here a second time (it stands in line 2 already)"],
        ),
        (
            "name: small",
            "name:",
            &[
                "2:1: `name` has no value (it takes at most 40 lower-case letters, digits and dashes, a letter first)",
            ],
        ),
        (
            "name: small",
            "name: &n small\ndialect: *n",
            &["3:10: a recipe has no aliases (*name) (write the value out)"],
        ),
        (
            "name: small",
            "name: !!str small",
            &[
                "2:7: a recipe has no tags (!name) (write the value without it; a text that looks like a number stands in quotes)",
            ],
        ),
        (
            "name: small",
            "name: small\n---\nleat: 1",
            &["3:1: a recipe is one document; here begins a second (take out the line ---)"],
        ),
        (
            "name: small",
            "name: small\ndialect: sparc",
            &[
                "3:10: `dialect` takes one of sklearn, spark; this is the text `sparc` (did you mean `spark`?)",
            ],
        ),
        (
            "name: small",
            "name: small\nquality: ../rules.dqdl",
            &[
                "3:10: `quality` takes the name of a file beside the recipe: letters, digits, dots, dashes and underscores, no dot first; this is the text `../rules.dqdl`",
            ],
        ),
        (
            "name: small",
            "name: [small",
            &[
                "3:7: no YAML: illegal placement of ':' indicator (a value with : or # in it, or that begins with one of * & ! % @ ` { [, stands in quotes)",
            ],
        ),
        ("name: small", "name: small\n? [a]\n: 1", &["3:3: a key is a text, not a list or a map"]),
        (
            "name: small",
            "name: small\n<<: {a: 1}",
            &[
                "3:1: `<<` is not a key of the recipe (its keys are leat, name, dialect, schema, quality, protect, derive, windows, features, output)",
            ],
        ),
        (
            "name: small",
            "name: small: x",
            &[
                "2:12: no YAML: mapping values are not allowed in this context (a value with : or # in it, or that begins with one of * & ! % @ ` { [, stands in quotes)",
            ],
        ),
        (
            "type: string, role: id}",
            "type: string, role: it}",
            &[
                "5:38: `role` takes one of id, entity, event_time, label; this is the text `it` (did you mean `id`?)",
            ],
        ),
        (
            "type: double}",
            "type: float}",
            &[
                "9:28: `type` takes one of bool, long, double, string, timestamp; this is the text `float`",
            ],
        ),
        (
            "{name: age, type: long}",
            "{name: age, typ: long}",
            &[
                "10:7: a field lacks the key `type` (The field's type; an event in which it has another is quarantined.)",
                "10:19: `typ` is not a key of a field (did you mean `type`?)",
            ],
        ),
        (
            "{name: age, type: long}",
            "{name: AMOUNT, type: long}",
            &[
                "10:14: `AMOUNT` differs from the column `amount` in case only (it is made in line 9, column 14; give one of them another name)",
                "17:26: `ratio`: there is no column `age` here (did you mean `at`?)",
            ],
        ),
        (
            "{name: age, type: long}",
            "{name: _age, type: long}",
            &[
                "10:14: `name` takes 1 to 100 characters, not _ first, without * ` \" and control characters; this is the text `_age`",
            ],
        ),
        (
            "{name: age, type: long}",
            "age",
            &[
                "10:7: a field is a map of keys; this is the text `age` (its keys are name, type, role, tags)",
            ],
        ),
        (
            "type: long, role: label",
            "type: long, role: entity",
            &["12:14: `bad` has the role entity, as `who` has (a role belongs to one field)"],
        ),
        (
            "type: timestamp",
            "type: string",
            &[
                "7:14: `at` has the role event_time and is a string (the type of this role is timestamp)",
            ],
        ),
        (
            ", role: entity",
            "",
            &[
                "4:3: no field has the role entity (write role: entity on a field: it is the key of windows and of the lake's buckets)",
            ],
        ),
        (
            ", role: id",
            "",
            &[
                "4:3: `dedupe` finds an id again, and no field has the role id (write role: id on a field, or leave `dedupe` out)",
            ],
        ),
        (
            "tags: [pii]",
            "tags: [pi]",
            &["8:41: `tags` takes `pii`; this is the text `pi` (did you mean `pii`?)"],
        ),
        ("tags: [pii]", "tags: pii", &["8:40: `tags` takes a list; this is the text `pii`"]),
        (
            "within: 1h",
            "within: 90",
            &[
                "13:20: `within` takes a length of time; this is the number 90 (write a whole number and s, m, h or d, as 30s, 5m, 1h, 7d; at most 366d)",
            ],
        ),
        (
            "within: 1h",
            "within: 1h, max_ids: 0",
            &["13:33: `max_ids` takes a whole number from 1 to 4096; this is the number 0"],
        ),
        (
            "dedupe: {within: 1h}",
            "dedupe: {max_ids: 3}",
            &[
                "13:11: `dedupe` lacks the key `within` (How long an id is held, in event time of its entity.)",
            ],
        ),
        (
            "dedupe: {within: 1h}",
            "format: csv\n  max_ahead: soon\n  unknown_fields: ignore",
            &[
                "13:11: `format` takes `json`; this is the text `csv`",
                "14:14: `max_ahead` takes a length of time; this is the text `soon` (write a whole number and s, m, h or d, as 30s, 5m, 1h, 7d; at most 366d)",
                "15:19: `unknown_fields` takes one of keep, drop, quarantine; this is the text `ignore`",
            ],
        ),
        (
            "method: tokenize",
            "method: tokenise",
            &[
                "15:27: `method` takes one of drop, mask, tokenize; this is the text `tokenise` (did you mean `tokenize`?)",
            ],
        ),
        (
            "  - {field: card, method: tokenize}",
            "  - {field: cart, method: drop}",
            &[
                "8:14: `card` is tagged pii and not protected (add {field: card, method: tokenize} to `protect`, or method drop or mask)",
                "15:13: there is no field `cart` (did you mean `card`?)",
            ],
        ),
        (
            "method: tokenize",
            "method: drop, keep: 2",
            &["15:39: `keep` goes with `method: mask` only (leave it out)"],
        ),
        (
            "method: tokenize",
            "method: mask, keep: 65",
            &["15:39: `keep` takes a whole number from 0 to 64; this is the number 65"],
        ),
        (
            "method: tokenize}",
            "method: tokenize}\n  - {field: card, method: drop}",
            &["16:13: `card` is protected twice"],
        ),
        (
            "method: tokenize}",
            "method: tokenize}\n  - {field: who, method: mask}\n  - {field: at, method: tokenize}\n  - {field: bad, method: drop}",
            &[
                "16:13: `who` has the role entity and cannot be protected so (only `tokenize` keeps it apart from others)",
                "17:13: `at` has the role event_time and cannot be protected so (it is used as it is; leave it out of `protect`)",
                "18:13: `bad` has the role label and cannot be protected so (it is used as it is; leave it out of `protect`)",
            ],
        ),
        (
            "nullif(age, 0)",
            "nullif(aeg, 0)",
            &["17:26: `ratio`: there is no column `aeg` here (did you mean `age`?)"],
        ),
        (
            "ratio * 2",
            "bad * ratio",
            &[
                "18:10: `twice`: `bad` is the label: it is never there when serving (read another column)",
            ],
        ),
        (
            "ratio * 2",
            "later",
            &[
                "18:10: `twice`: there is no column `later` here (it reads fields and the derived columns before it)",
            ],
        ),
        (
            "twice: ratio",
            "amount: ratio",
            &[
                "18:3: there is a column `amount` already (it is made in line 9, column 14; give one of them another name)",
            ],
        ),
        (
            "twice: ratio",
            "'a*': ratio",
            &[
                "18:3: `a*` is no name of a column (1 to 100 characters, not _ first, without * ` \" and control characters)",
            ],
        ),
        (
            "ratio * 2",
            "'ratio * two'",
            &["18:19: `twice`: there is no column `two` here (did you mean `who`?)"],
        ),
        (
            "ratio * 2",
            "\"ratio *\\ttwo\"",
            &["18:10: `twice`: there is no column `two` here (did you mean `who`?)"],
        ),
        (
            "ratio * 2",
            ">\n    ratio\n    * two",
            &["19:5: `twice`: there is no column `two` here (did you mean `who`?)"],
        ),
        ("ratio * 2", "1", &[]),
        ("ratio * 2", "[1]", &["18:10: `twice` takes an SQL expression; this is a list"]),
        (
            "ratio * 2",
            "kind * 2",
            &[
                "18:10: `twice`: `*` takes numbers; this is a string (cast it, as in cast(x as double))",
            ],
        ),
        ("ratio * 2", "", &["18:3: `twice` has no value (it takes an SQL expression)"]),
        (
            "  ratio: amount / nullif(age, 0)\n  twice: ratio * 2\n",
            "  - ratio\n",
            &["17:3: `derive` takes a map of names; this is a list"],
        ),
        ("ratio * 2", "cast(card as double)", &[]),
        (
            "method: tokenize}\nderive:",
            "method: drop}\nderive:\n  c: card",
            &[
                "17:6: `c`: `card` is dropped by `protect`, so that nothing is left to read (protect it by `tokenize`, or read another column)",
            ],
        ),
        (
            "1h, 24h",
            "1h, 1x, 90, 1h",
            &[
                "20:42: `over` takes a length of time; this is the text `1x` (write a whole number and s, m, h or d, as 30s, 5m, 1h, 7d; at most 366d)",
                "20:46: `over` takes a length of time; this is the number 90 (write a whole number and s, m, h or d, as 30s, 5m, 1h, 7d; at most 366d)",
                "20:50: `1h` is here a second time",
            ],
        ),
        (
            "sum: amount",
            "sum: [kind, bad, nope, '*']",
            &[
                "20:12: `kind` is a string; `sum` takes numbers (count it, or derive a number of it by cast)",
                "20:18: `bad` is the label: it is never there when serving (read another column)",
                "20:23: there is no column `nope` here (windows read fields and derived columns)",
                "20:29: `sum` takes columns; only `count` takes \"*\"",
            ],
        ),
        (
            "sum: amount, count: \"*\", ",
            "",
            &["20:5: an entry of `windows` aggregates nothing (it takes count, sum, mean, max)"],
        ),
        (
            ", over: [1h, 24h]",
            "",
            &[
                "20:5: an entry of `windows` lacks the key `over` (The spans, which end with the event.)",
            ],
        ),
        (
            "over: [1h",
            "exact: 1, max_events: 5, over: [1h",
            &[
                "20:38: `exact` takes true or false; this is the number 1",
                "20:53: `max_events` goes with `exact: true` only (write exact: true beside it, or leave it out)",
            ],
        ),
        (
            "over: [1h",
            "exact: true, max_events: 0, over: [1h",
            &["20:56: `max_events` takes a whole number from 1 to 10000; this is the number 0"],
        ),
        (
            "over: [1h, 24h]}",
            "over: 1h}\n  - {session: 30m, max_duration: 10m, emit: [id, ids, id]}\n  - {session: 1h, over: 2h}",
            &[
                "21:5: `max_duration` is shorter than the gap of the session (no two events could be in one)",
                "21:50: `emit` takes one of id, count, duration, since_previous; this is the text `ids` (did you mean `id`?)",
                "21:55: this column is here a second time",
                "22:5: there is a column `session_id` already (it is made in line 21, column 5; give one of them another name)",
                "22:19: `over` is not a key of a session of `windows` (its keys are session, max_duration, emit)",
            ],
        ),
        ("over: [1h, 24h]", "over: []", &["20:37: `over` is an empty list"]),
        (
            "  twice:",
            "  count_1h:",
            &[
                "20:5: there is a column `count_1h` already (it is made in line 18, column 3; give one of them another name)",
            ],
        ),
        ("sum: amount", "sum: [amount, amount]", &["20:20: `amount` is here a second time"]),
        (
            "sum: amount",
            "avg: amount",
            &[
                "20:6: `avg` is not a key of an entry of `windows` (its keys are over, count, sum, mean, max, exact, max_events, exclude_current)",
            ],
        ),
        (
            "strategy: median",
            "strategy: medium, x: 1",
            &[
                "22:40: `strategy` takes one of mean, median, mode, constant; this is the text `medium` (did you mean `median`?)",
                "22:48: `x` is not a parameter of `impute` (its keys are strategy, value, op, in, out)",
            ],
        ),
        (
            ", strategy: median",
            "",
            &["22:5: `impute` lacks the parameter `strategy` (what it does)"],
        ),
        (
            "op: one_hot",
            "op: onehot",
            &["24:10: there is no operator `onehot` (did you mean `one_hot`?)"],
        ),
        ("in: kind", "in: kin", &["24:23: there is no column `kin` here (did you mean `kind`?)"]),
        ("in: kind", "in: card, unseen: zero", &[]),
        ("in: kind", "in: [kind, kind]", &["24:30: `kind` is here a second time"]),
        (
            "in: kind",
            "in: amount",
            &[
                "24:23: `amount` is a double; `one_hot` takes string (derive a column by cast, or take another operator)",
            ],
        ),
        (
            "in: kind",
            "in: bad",
            &["24:23: `bad` is the label: it is never there when serving (read another column)"],
        ),
        (
            "in: kind",
            "in: kind, out: [a, b]",
            &["24:34: `out` has 2 names; `one_hot` gives 1 here (one for each column it reads)"],
        ),
        ("op: one_hot, ", "", &["24:5: a step lacks the key `op` (The operator.)"]),
        (
            "in: kind",
            "in: kind, max_categories: 1",
            &[
                "24:45: `max_categories` takes a whole number from 2 to 100; this is the number 1 (what it does)",
            ],
        ),
        (
            "in: kind",
            "in: kind, unseen:",
            &[
                "24:29: `unseen` takes one of zero, infrequent, missing; this is nothing (what it does)",
            ],
        ),
        (
            "in: kind",
            "in: kind, unseen: [zero]",
            &[
                "24:37: `unseen` takes one of zero, infrequent, missing; this is a list (what it does)",
            ],
        ),
        (
            "in: kind}",
            "in: kind}\n  - {op: one_hot, in: kind}\n  - {op: log, in: kind_a}",
            &[
                "25:23: columns `kind_…` are made already (give one of them another name by `out`)",
                "26:19: `kind_a` is not known before `fit`, which decides what ends its name (read the column that it is made of)",
            ],
        ),
        (
            "in: kind}",
            "in: kind}\n  - {op: log, in: amount, out: age}\n  - {op: log, in: amount, out: amount_log, offset: 11}\n  - {op: log, in: amount_log}",
            &[
                "25:32: there is a column `age` already (it is made in line 10, column 14; give one of them another name)",
                "26:52: `offset` takes a number from -10 to 10; this is the number 11 (what it does)",
            ],
        ),
        (
            "in: kind}",
            "in: kind}\n  - {op: date_parts, in: at, parts: [], time_zone: Asia/Hongkong}\n  - {op: date_parts, in: at, parts: [hour, hours], cyclic: yes}\n  - {op: date_parts, in: at, parts: [hour, hour]}",
            &[
                "25:37: `parts` takes a list of hour, day_of_week; this is a list (the list is empty)",
                "25:52: `time_zone` takes a time zone of the IANA database, as Asia/Hong_Kong; this is the text `Asia/Hongkong` (did you mean `Asia/Hong_Kong`?)",
                "26:44: `parts` takes a list of hour, day_of_week; this is the text `hours` (did you mean `hour`?)",
                "26:60: `cyclic` takes true or false; this is the text `yes` (what it does)",
                "27:44: `parts` takes a list of hour, day_of_week; this is the text `hour` (it is here a second time)",
            ],
        ),
        (
            "in: amount, strategy: median",
            "in: kind, strategy: median",
            &["22:38: text has no mean and no median (write strategy: mode)"],
        ),
        (
            "in: kind}",
            "in: kind}\n  - {op: date_parts, in: at, parts: hour, time_zone: Asia/Hong_Kong}",
            &[
                "25:37: `parts` takes a list of hour, day_of_week; this is the text `hour` (write a list: [hour])",
            ],
        ),
        (
            "in: kind}",
            "in: kind}\n  - {op: impute, in: who, strategy: mode}",
            &[
                "25:22: `who` has the role entity: a step may not take its place (give the step's column a name by `out`)",
            ],
        ),
        (
            "features:\n  - {op: impute, in: amount, strategy: median}",
            "features:\n  - impute",
            &["22:5: `features` takes steps, each a map of keys; this is the text `impute`"],
        ),
        ("method: tokenize", "method: mask", &[]),
        (
            "features: all",
            "features: [bad, kind, amount, kind_a, nothing, 'z*', 'kin*', id]",
            &[
                "26:14: `bad` is the label: it is never there when serving (read another column)",
                "26:19: `kind` is a string; features are numbers and bools (make numbers of it by a step, such as one_hot)",
                "26:41: there is no column `nothing` here (write all, or a name with *)",
                "26:50: no column that derive, windows or features make is like `z*` (* stands for any characters; a field is named in full)",
                "26:64: `id` is a string; features are numbers and bools (make numbers of it by a step, such as one_hot)",
            ],
        ),
        (
            "features: all",
            "features: some",
            &["26:13: `features` takes all, or a list of names; this is the text `some`"],
        ),
        ("features: all", "features: []", &["26:13: `features` is an empty list"]),
        (
            "output:\n  features: all",
            "output: all",
            &["25:9: `output` is a map of keys; this is the text `all` (its keys are features)"],
        ),
        (
            "type: double}",
            "type: double, role: label}",
            &[
                "12:14: `bad` has the role label, as `amount` has (a role belongs to one field)",
                "17:10: `ratio`: `amount` is the label: it is never there when serving (read another column)",
                "20:11: `amount` is the label: it is never there when serving (read another column)",
                "22:22: `amount` is the label: it is never there when serving (read another column)",
                "23:31: `amount` is the label: it is never there when serving (read another column)",
            ],
        ),
    ];
    for (from, to, expected) in table {
        assert_eq!(said(&small(from, to)), *expected, "{to}");
    }
}

#[test]
fn one_operator_learns_from_the_label_and_may_be_read() {
    let encode = |input: &str| {
        let step = format!("{{op: target_encode, in: {input}, out: rate}}");
        let text = small("{op: one_hot, in: kind}", &step);
        text.replace("features: all", "features: [rate, amount]")
    };
    let recipe =
        good(&encode("kind").replace("output:", "  - {op: standard_scale, in: rate}\noutput:"));
    let levels: Vec<_> = recipe.features.iter().map(|step| step.level).collect();
    assert_eq!(levels, [1, 2, 1, 2]);
    for (text, expected) in [
        (
            encode("bad"),
            "24:29: `bad` is the label: it is never there when serving (read another column)",
        ),
        (
            encode("kind").replace(", role: label", ""),
            "24:10: `target_encode` learns from the label, and no field has the role label (write role: label on the \
             field that a model learns)",
        ),
        (
            encode("kind").replace("bad, type: long", "bad, type: string"),
            "24:10: `target_encode` learns from numbers, and the label `bad` is text (give the label the type long, \
             double or bool)",
        ),
    ] {
        assert_eq!(said(&text), [expected]);
    }
}

#[test]
fn texts_that_are_no_recipe() {
    for (text, expected) in [
        ("", "1:1: the recipe is empty"),
        ("# only a comment\n", "1:1: the recipe is empty"),
        (
            "leat",
            "1:1: the recipe is a map of keys; this is the text `leat` (its keys are leat, name, dialect, schema, \
             quality, protect, derive, windows, features, output)",
        ),
    ] {
        assert_eq!(said(text), [expected], "{text}");
    }
}

#[test]
fn hostile_texts_are_refused_in_time() {
    let deep = format!("a: {}", "[".repeat(100_000));
    let dashes = "- ".repeat(100_000);
    let indents: String = (0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let bomb =
        "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b]\n";
    let long = format!("{SMALL}{}", "#".repeat(yaml::MAX_BYTES));
    let many = format!("{SMALL}x: [{}]", "1, ".repeat(30_000));
    let keys: String = (0..30_000).map(|i| format!("k{i}: 1\n")).collect();
    let name = format!("{SMALL}{}: 1", "n".repeat(100_000));
    let unknown: Vec<_> = (0..400).map(|i| format!("unknown{i}")).collect();
    let unknown = unknown.join(",");
    let steps = format!("in: kind}}\n{}", format!("  - {{op: log, in: [{unknown}]}}\n").repeat(30));
    let spans: Vec<_> = (1..500).map(|i| format!("{i}s")).collect();
    let fields: String =
        (0..400).map(|i| format!("    - {{name: {i}{}, type: long}}\n", "n".repeat(90))).collect();
    let names: Vec<_> = (0..400).map(|i| format!("{i}{}", "n".repeat(90))).collect();
    let (spans, names) = (spans.join(","), names.join(","));
    let wide = small("  dedupe:", &format!("{fields}  dedupe:"));
    let wide = wide
        .replace("1h, 24h", &spans)
        .replace("sum: amount", &format!("sum: [{names}], mean: [{names}]"));
    let lost = small("  dedupe:", &format!("{fields}  dedupe:")).replace("in: kind}", &steps);
    assert!(wide.len() < yaml::MAX_BYTES && lost.len() < yaml::MAX_BYTES);
    for text in [&deep, &dashes, &indents, bomb, &long, &many, &keys, &name, &wide, &lost] {
        let errors = check(text).unwrap_err();
        let size: usize = errors
            .iter()
            .map(|e| e.message.len() + e.hint.iter().map(String::len).sum::<usize>())
            .sum();
        assert!(!errors.is_empty() && size < 500_000, "{size}");
        assert!(errors.iter().all(|e| e.message.len() < 400));
    }
}

#[test]
fn the_hash_is_of_what_is_meant() {
    let hash = |text: &str| good(text).hash(None);
    let same = [
        small("name: small", "name:   'small'  # a comment"),
        small("{name: id, type: string, role: id}", "{role: id, type: string, name: id}"),
        small("{op: one_hot, in: kind}", "{in: [kind], op: one_hot}"),
        small("output:\n  features: all\n", ""),
        small("sum: amount, count: \"*\"", "count: \"*\", sum: [amount]"),
    ];
    for text in same {
        assert_eq!(hash(&text), hash(SMALL), "{text}");
    }
    let other = [
        small("name: small", "name: smaller"),
        small("ratio * 2", "ratio * 3"),
        small("1h, 24h", "24h, 1h"),
        small("features: all", "features: ['*']"),
    ];
    for text in other {
        assert_ne!(hash(&text), hash(SMALL), "{text}");
    }
    let recipe = good(SMALL);
    assert_eq!(recipe.hash(None).len(), 64);
    assert_ne!(recipe.hash(None), recipe.hash(Some("Rules = [ ]")));
    // Pinned: what it is a part of lies in stores. It may change only with a version.
    assert_eq!(recipe.hash(None)[..16], *"958b1f394fec952e");
}

#[test]
fn the_state_plan_is_of_what_decides_state() {
    let state_plan = |text: &str| plan(&good(text), None).unwrap().state_plan;
    let over_derived = small("sum: amount", "sum: twice");
    let same = [
        (SMALL.to_owned(), small("op: one_hot, in: kind", "op: log, in: age")),
        (SMALL.to_owned(), small("ratio * 2", "ratio * 3")),
        (SMALL.to_owned(), small("name: small", "name: other")),
        (over_derived.clone(), over_derived.replace("  twice:", "  beside: age + 1\n  twice:")),
    ];
    for (a, b) in same {
        assert_eq!(state_plan(&a), state_plan(&b), "{b}");
    }
    let other = [
        (SMALL.to_owned(), small("24h", "23h")),
        (SMALL.to_owned(), small("within: 1h", "within: 2h")),
        (SMALL.to_owned(), small("method: tokenize", "method: drop")),
        (SMALL.to_owned(), small("type: double", "type: long")),
        (over_derived.clone(), over_derived.replace("ratio * 2", "ratio * 3")),
        // A derived column that another one reads, which a window reads.
        (over_derived.clone(), over_derived.replace("nullif(age, 0)", "nullif(age, 1)")),
    ];
    for (a, b) in other {
        assert_ne!(state_plan(&a), state_plan(&b), "{b}");
    }
    let recipe = good(SMALL);
    let with = |rules| plan(&recipe, rules).unwrap().state_plan;
    assert_ne!(with(None), with(Some("Rules = [ ]")));
    assert_eq!(with(None)[..16], *"9fe3364aaef6d57e");
}

#[test]
fn the_plan_has_columns_by_slot() {
    let plan = plan(&good(SMALL), None).unwrap();
    let columns: Vec<_> =
        plan.columns.iter().map(|c| (c.name.as_str(), c.kind, c.origin)).collect();
    assert_eq!(columns[3], ("card", Type::String, Origin::Field));
    assert_eq!(columns[8], ("ratio", Type::Double, Origin::Derive));
    assert_eq!(
        columns[10..],
        [
            ("count_1h", Type::Long, Origin::Window),
            ("amount_sum_1h", Type::Double, Origin::Window),
            ("count_24h", Type::Long, Origin::Window),
            ("amount_sum_24h", Type::Double, Origin::Window),
        ]
    );
    assert_eq!(plan.derives[1].reads(), [plan.slot("ratio").unwrap()]);
    assert_eq!(plan.levels, [1, 2, 1]);
    assert_eq!(plan.slot("nothing"), None);
}

#[test]
fn a_long_name_is_cut_in_messages() {
    let text = small("in: kind", &format!("in: {}", "k".repeat(199)));
    assert_eq!(said(&text).len(), 1);
}

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

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = check(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = check(&String::from_utf8_lossy(&bytes));
    }

    /// Lines of the example taken out, doubled, swapped, cut and sprinkled with signs of YAML.
    #[test]
    fn mutants_of_the_example_are_read_or_refused(
        cuts in proptest::collection::vec((0usize..4000, 0usize..30, 0usize..14), 1..6),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (at, len, sign) in cuts {
            let start = (0..=at % (text.len() + 1)).rev().find(|i| text.is_char_boundary(*i)).unwrap();
            let end = (start..=text.len()).find(|i| *i >= (start + len).min(text.len()) && text.is_char_boundary(*i));
            let signs = ["", ":", "-", "{", "}", "[", "]", "*a", "&a ", "'", "\n", "\t", "null", "é"];
            text.replace_range(start..end.unwrap(), signs[sign]);
        }
        let lines = text.lines().count() + 1;
        if let Err(errors) = read("r.yaml", &text, &crate::features::specs()) {
            for error in errors {
                assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error}\n{text}");
                let _ = error.render(&text);
            }
        }
    }

    /// What is read can be planned: nothing is left for later to find.
    #[test]
    fn what_is_read_can_be_planned(expression in "(amount|age|ratio|kind|1|'a'| |\\+|/|=|and|\\(|\\)){1,12}") {
        let text = small("ratio * 2", &format!("'{}'", expression.replace('\'', "''")));
        if let Ok(recipe) = check(&text) {
            assert!(plan(&recipe, None).is_ok());
        }
    }
}
