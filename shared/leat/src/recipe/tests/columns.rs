//! What is said of columns: derived, of windows, of steps, and those that are features.

use super::{good, refused, said, small};

#[test]
fn derived_columns() {
    refused(&[
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
            "_twice: ratio",
            &[
                "18:3: `_twice` is no name of a column (names that begin with _ are Leat's own: _leat, _source, _line and others)",
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
    ]);
}

#[test]
fn windows() {
    refused(&[
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
                "21:50: `emit` takes one of id, count, duration, since_previous, number; this is the text `ids` (did you mean `id`?)",
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
    ]);
}

#[test]
fn steps_and_output() {
    refused(&[
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
    ]);
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

/// What the operators themselves say: several columns in one step, a list of two numbers, a sparse vector as a feature.
#[test]
fn columns_that_are_read_together() {
    let operators = crate::features::specs();
    let with = |step: &str, output: &str| {
        let text = small("{op: one_hot, in: kind}", step);
        crate::recipe::read("r.yaml", &text.replace("features: all", output), &operators)
    };
    let of = |step: &str, output: &str| with(step, &format!("features: [{output}]"));
    for (step, output) in [
        ("{op: cross, in: [amount, age]}", "amount_x_age"),
        ("{op: cross, in: [amount, age, twice], out: all_of_them}", "all_of_them"),
        ("{op: cross, in: [kind, who], buckets: 9}", "kind_x_who"),
        ("{op: tf_idf, in: kind, out: words, ngrams: [1, 2]}", "words"),
        ("{op: tf_idf, in: kind}", "kind"),
        ("{op: time_since, in: at, out: age_of_it, from: \"2026-01-01T00:00:00Z\"}", "age_of_it"),
    ] {
        let found = of(step, output);
        assert!(found.is_ok(), "{step}: {found:?}");
    }
    assert_eq!(of("{op: tf_idf, in: kind}", "kind").unwrap().features[2].level, 1);
    for (step, expected) in [
        (
            "{op: cross, in: [amount, kind]}",
            "24:21: a column of text is crossed by its hash: `buckets` says of how many (add `buckets: 1024`)",
        ),
        ("{op: cross, in: amount}", "24:21: one column makes no cross (name two or more)"),
        (
            "{op: cross, in: [amount, age], out: [a, b]}",
            "24:41: `out` has 2 names; `cross` gives 1 here (one for all it reads)",
        ),
        (
            "{op: cross, in: [amount, age], out: age}",
            "24:41: there is a column `age` already (it is made in line 10, column 14; give one of them another name)",
        ),
        (
            "{op: cross, in: [amount, at], buckets: 9}",
            "24:30: `at` is a timestamp; `cross` takes double, long, bool, string (derive a number of it by cast, or take another operator)",
        ),
        (
            "{op: tf_idf, in: kind, ngrams: [2, 1]}",
            "24:36: `ngrams` takes a list of two whole numbers from 1 to 5, as [1, 5]; this is a list (the second is below the first)",
        ),
        (
            "{op: tf_idf, in: kind, ngrams: 2}",
            "24:36: `ngrams` takes a list of two whole numbers from 1 to 5, as [1, 5]; this is the number 2 (How many words a term has, at least and at most.)",
        ),
        (
            "{op: tf_idf, in: kind, ngrams: [0, 1]}",
            "24:36: `ngrams` takes a list of two whole numbers from 1 to 5, as [1, 5]; this is a list (How many words a term has, at least and at most.)",
        ),
        (
            "{op: time_since, in: at, from: \"2026-01-01T00:00:00Z\"}",
            "24:26: `at` has the role event_time: a step may not take its place (give the step's column a name by `out`)",
        ),
    ] {
        let errors = with(step, "features: all").expect_err(step);
        let said: Vec<_> =
            errors.iter().map(|e| e.to_string().replacen("r.yaml:", "", 1)).collect();
        assert_eq!(said, [expected], "{step}");
    }
}
