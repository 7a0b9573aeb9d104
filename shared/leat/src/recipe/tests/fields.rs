//! What is said of fields, their roles, and how they are protected.

use super::refused;

#[test]
fn keys_and_fields() {
    refused(&[
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
                "10:14: `name` takes 1 to 100 characters, not _ first, without * ` \" and control characters; this is the text `_age` (names that begin with _ are Leat's own: _leat, _source, _line and others)",
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
    ]);
}

#[test]
fn protection() {
    refused(&[
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
    ]);
}
