use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::column::{Column, Value};

fn profile(columns: &[(&str, Column)]) -> Profile {
    let named: Vec<(String, Type)> =
        columns.iter().map(|(name, column)| ((*name).to_owned(), column.kind())).collect();
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let mut profile = Profile::new(&named);
    let columns: Vec<Column> = columns.iter().map(|(_, column)| column.clone()).collect();
    profile.update(&columns, rows);
    profile
}

fn numbers(values: &[f64]) -> Profile {
    profile(&[("x", Column::doubles(values.iter().map(|x| Some(*x))))])
}

fn texts(values: &[&str]) -> Profile {
    profile(&[("x", Column::strings(values.iter().map(|x| Some(*x))))])
}

#[track_caller]
fn measured(before: &Profile, now: &Profile, measure: Measure) -> f64 {
    let drift = compare(before, now);
    drift.columns[0].measured(measure).unwrap_or_else(|| panic!("{measure}: {drift:?}"))
}

#[track_caller]
fn near(found: f64, expected: f64, what: &str) {
    let far = (found - expected).abs() > 1e-9 * expected.abs().max(1.0);
    assert!(!far, "{what}: {found}, not {expected}");
}

/// Cases that scipy and numpy made: `tests/golden/drift/make.py`.
#[test]
fn golden() {
    let golden: Json =
        serde_json::from_str(include_str!("../../../../tests/golden/drift/drift.json")).unwrap();
    let list = |json: &Json| -> Vec<f64> {
        json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let mut cases = 0;
    for case in golden["numbers"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (a, b) = (numbers(&list(&case["before"])), numbers(&list(&case["now"])));
        for measure in [Measure::Ks, Measure::KsP, Measure::Psi, Measure::Mean, Measure::Outside] {
            if let Some(expected) = case[measure.word()].as_f64() {
                near(measured(&a, &b, measure), expected, &format!("{name}: {measure}"));
                cases += 1;
            }
        }
    }
    for case in golden["categories"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let of = |key: &str| {
            let words: Vec<&str> =
                case[key].as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect();
            texts(&words)
        };
        let (a, b) = (of("before"), of("now"));
        for measure in [Measure::ChiSquared, Measure::ChiSquaredP, Measure::Psi, Measure::Unseen] {
            if let Some(expected) = case[measure.word()].as_f64() {
                near(measured(&a, &b, measure), expected, &format!("{name}: {measure}"));
                cases += 1;
            }
        }
    }
    for case in golden["kolmogorov"].as_array().unwrap() {
        near(kolmogorov(case[0].as_f64().unwrap()), case[1].as_f64().unwrap(), "kolmogorov");
        cases += 1;
    }
    for case in golden["chi_squared"].as_array().unwrap() {
        let (x, freedom) = (case[0].as_f64().unwrap(), case[1].as_u64().unwrap());
        near(chi_squared_p(x, freedom), case[2].as_f64().unwrap(), &format!("chi2 {x} {freedom}"));
        cases += 1;
    }
    assert!(cases > 60, "{cases}");
}

#[test]
fn edges() {
    let all_null = profile(&[("x", Column::doubles([None, None]))]);
    let some = numbers(&[1.0, 2.0]);
    for (a, b, note) in [
        (&all_null, &some, "the first data set has no value"),
        (&some, &all_null, "the second data set has no value"),
    ] {
        let drift = compare(a, b);
        assert_eq!(drift.columns[0].measured(Measure::Missing).map(f64::abs), Some(1.0));
        assert_eq!(drift.columns[0].measures.len(), 1);
        assert!(drift.columns[0].notes[0].contains(note), "{drift:?}");
    }
    let nothing = numbers(&[]);
    assert!(compare(&nothing, &some).columns[0].measures.is_empty());

    // A constant: the same is no drift, another value is.
    let constant = numbers(&[5.0; 40]);
    assert_eq!(measured(&constant, &constant, Measure::Psi), 0.0);
    assert_eq!(measured(&constant, &constant, Measure::Ks), 0.0);
    assert_eq!(measured(&constant, &constant, Measure::Mean), 0.0);
    let other = numbers(&[6.0; 40]);
    assert!(measured(&constant, &other, Measure::Psi) > 10.0);
    assert_eq!(measured(&constant, &other, Measure::Ks), 1.0);
    assert_eq!(measured(&constant, &other, Measure::Outside), 1.0);
    let drift = compare(&constant, &other);
    assert_eq!(drift.columns[0].measured(Measure::Mean), None);
    assert!(drift.columns[0].notes[0].contains("is constant"));

    // One category: nothing to test, but what is unseen is told.
    let one = texts(&["a"; 20]);
    assert_eq!(compare(&one, &one).columns[0].measured(Measure::ChiSquared), None);
    assert_eq!(measured(&one, &texts(&["a", "b"]), Measure::Unseen), 0.5);

    let infinite = numbers(&[f64::INFINITY, f64::NEG_INFINITY]);
    let drift = compare(&infinite, &some);
    assert!(drift.columns[0].notes[0].contains("no finite number"), "{drift:?}");
}

#[test]
fn mismatches() {
    let a = profile(&[
        ("x", Column::longs([Some(1)])),
        ("y", Column::longs([Some(1)])),
        ("z", Column::longs([Some(1)])),
    ]);
    let b = profile(&[
        ("x", Column::doubles([Some(1.5)])),
        ("y", Column::strings([Some("a")])),
        ("w", Column::longs([Some(1)])),
    ]);
    let drift = compare(&a, &b);
    let words: Vec<String> = drift.schema.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        ["`x` was long and is double", "`y` was long and is string", "`z` is gone", "`w` is new"]
    );
    assert!(drift.columns[0].measured(Measure::Ks).is_some());
    assert_eq!(drift.columns[1].measures.len(), 1);
}

#[test]
fn many_values_are_no_categories() {
    let ids: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
    let words: Vec<&str> = ids.iter().map(String::as_str).collect();
    let drift = compare(&texts(&words), &texts(&words[1000..]));
    assert_eq!(drift.columns[0].measured(Measure::Unseen), Some(0.0));
    assert_eq!(drift.columns[0].measured(Measure::Psi), None);
}

#[test]
fn histograms_compare_with_exact_counts() {
    let many: Vec<f64> = (0..150_000).map(|i| f64::from(i) + 0.5).collect();
    let few: Vec<f64> = many.iter().copied().step_by(3).collect();
    let distance = measured(&numbers(&many), &numbers(&few), Measure::Ks);
    assert!(distance < 0.005, "{distance}");
    let low: Vec<f64> = many.iter().copied().take(75_000).collect();
    let distance = measured(&numbers(&many), &numbers(&low), Measure::Ks);
    assert!((distance - 0.5).abs() < 0.005, "{distance}");
}

const LIMITS: &str = "leat: 1\nlimits: {psi: 0.2, missing: 0.05}\ncolumns:\n  x: {ks: 0.1, psi: off}\n  y: {unseen: 0}\n";

#[test]
fn limits() {
    let limits = Limits::read("drift.yaml", LIMITS).unwrap();
    let columns = |x: Vec<Option<f64>>, y: &[&str]| {
        profile(&[("x", Column::doubles(x)), ("y", Column::strings(y.iter().map(|t| Some(*t))))])
    };
    let a = columns((0..100).map(|i| Some(f64::from(i))).collect(), &["a"; 100]);
    let b =
        columns((0..100).map(|i| (i > 9).then_some(f64::from(i) + 50.0)).collect(), &["b"; 100]);
    let told = |judged: Vec<Judged>| {
        judged.into_iter().filter(Judged::fails).filter_map(|j| j.reason).collect::<Vec<_>>()
    };
    assert!(told(limits.judge(&compare(&a, &a))).is_empty());
    let found = told(limits.judge(&compare(&a, &b)));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("`x`: missing is 0.1000, above 0.05"), "{found:?}");
    assert!(found[1].starts_with("`x`: ks is") && found[2].starts_with("`y`: psi is"), "{found:?}");
    assert_eq!(found[3], "`y`: unseen is 1.0000, above 0");
    // What was asked for and cannot be measured is not passed over.
    let empty = profile(&[("x", Column::doubles([None])), ("y", Column::strings([Some("a")]))]);
    let found = told(limits.judge(&compare(&a, &empty)));
    assert!(found.iter().any(|m| m.contains("ks cannot be measured: the second")), "{found:?}");
    let narrow = profile(&[("x", Column::doubles([Some(1.0)]))]);
    let found = told(limits.judge(&compare(&a, &narrow)));
    assert!(found[0].contains("`y` is gone"), "{found:?}");
    let any = Limits::read("f", &format!("{LIMITS}schema: any\n")).unwrap();
    assert!(!told(any.judge(&compare(&a, &narrow))).iter().any(|m| m.contains("gone")));
}

#[test]
fn what_follows_and_what_is_counted() {
    let columns = [
        ("x".to_owned(), Type::Double),
        ("y".to_owned(), Type::String),
        ("z".to_owned(), Type::Long),
    ];
    let of = |text: &str| Limits::read("f", &format!("leat: 1\n{text}")).unwrap();
    for (text, slots) in [
        ("limits: {psi: 0.2}", &[0, 1, 2][..]),
        ("limits: {ks: 0.2}", &[0, 2]),
        ("limits: {ks: 0.2}\ncolumns: {x: {ks: off}, y: {unseen: 0}}", &[1, 2]),
        ("columns: {z: {missing: 0}}", &[2]),
        ("columns: {y: {action: halt}}", &[]),
        ("schema: same", &[]),
    ] {
        assert_eq!(of(text).slots(&columns), slots, "{text}");
    }
    let (a, b) = (numbers(&[1.0; 30]), numbers(&[2.0; 30]));
    let wider =
        profile(&[("x", Column::doubles([Some(1.0)])), ("w", Column::doubles([Some(1.0)]))]);
    for (text, now, halts, warns) in [
        ("limits: {psi: 0.2, missing: 0}", &b, &[][..], &["x"][..]),
        ("limits: {psi: 0.2}\naction: halt", &b, &["x"], &[]),
        ("limits: {psi: 0.2}\ncolumns: {x: {action: halt}}", &b, &["x"], &[]),
        ("limits: {psi: 0.2}\ncolumns: {x: {action: warn}}\naction: halt", &wider, &["w"], &[]),
        ("limits: {psi: 0.2}\naction: halt", &a, &[], &[]),
    ] {
        let limits = of(text);
        let found = DriftResult::new(&limits, "r-1", &compare(&a, now));
        let by = |halts: bool| -> Vec<&str> {
            found.failed().filter(|j| j.halts() == halts).map(|j| j.column.as_str()).collect()
        };
        assert_eq!((by(true), by(false)), (halts.to_vec(), warns.to_vec()), "{text}");
    }
    let limits = of("limits: {psi: 0.2, missing: 0}");
    let found = DriftResult::new(&limits, "r-1", &compare(&a, &b));
    assert_eq!(found.limits_hash.len(), 64);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json["judged"][0],
        serde_json::json!({"column": "x", "measure": "missing", "value": 0.0, "limit": 0.0, "outcome": "Passed", "action": "warn"})
    );
    assert_eq!(serde_json::from_value::<DriftResult>(json).unwrap(), found);
    assert_eq!(found.judged[1].metric().as_deref(), Some("Column.x.Drift.psi"));
    assert_eq!(found.judged[1].told(), "drift: `x`: psi is 18.4188, above 0.2");
}

#[test]
fn the_example_is_read() {
    let text = include_str!("../../../../docs/examples/drift.yaml");
    let limits = Limits::read("drift.yaml", text).unwrap();
    let columns =
        ["customer_age", "transaction_amount"].map(|name| (name.to_owned(), Type::Double));
    assert_eq!(limits.check(&columns), Ok(()));
}

#[test]
fn wrong_limits() {
    for (text, expected) in [
        ("", "1:1: the list of limits is empty"),
        (
            "limits: {psi: 1}",
            "1:1: the list of limits lacks the key `leat` (begin it with the line `leat: 1`)",
        ),
        ("leat: 2", "1:7: `leat` takes the number 1; this is the number 2"),
        (
            "leat: 1\nlimit: {}",
            "2:1: `limit` is not a key of a list of limits (did you mean `limits`?)",
        ),
        ("leat: 1\nlimits: {pzi: 1}", "2:10: `pzi` is no measure of drift (did you mean `psi`?)"),
        (
            "leat: 1\nlimits: {ks: 2}",
            "2:14: `ks` takes a number from 0 to 1, or off; this is the number 2",
        ),
        (
            "leat: 1\nlimits: {psi: -1}",
            "2:15: `psi` takes a number from 0, or off; this is the number -1",
        ),
        (
            "leat: 1\nlimits: {psi: off}",
            "2:10: `off` lifts a limit for one column (leave the measure out)",
        ),
        ("leat: 1\ncolumns: [x]", "2:10: `columns` is a map of keys; this is a list"),
        (
            "leat: 1\ncolumns: {x: 1}",
            "2:14: limits of measures is a map of keys; this is the number 1",
        ),
        (
            "leat: 1\naction: hlt",
            "2:9: `action` takes one of warn, halt; this is the text `hlt` (did you mean `halt`?)",
        ),
        (
            "leat: 1\naction: quarantine",
            "2:9: `action` takes one of warn, halt; this is the text `quarantine`",
        ),
        (
            "leat: 1\nlimits: {action: halt}",
            "2:10: `action` is no measure of drift (write it beside `limits`, or for one column)",
        ),
        ("leat: 1\nschema: no", "2:9: `schema` takes one of same, any; this is the text `no`"),
    ] {
        let errors = Limits::read("f", text).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("f:{expected}")], "{text}");
    }
    let limits =
        Limits::read("f", "leat: 1\ncolumns:\n  amont: {ks: 1}\n  note: {ks: 0.1}\n").unwrap();
    let columns = [("amount".to_owned(), Type::Double), ("note".to_owned(), Type::String)];
    let told: Vec<String> =
        limits.check(&columns).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "f:3:3: no column is named `amont` (did you mean `amount`?)");
    assert!(told[1].starts_with("f:4:10: `ks` is not measured of a string column"), "{told:?}");
}

#[test]
fn against_a_state() {
    let step = |op: &str, column: &str, state: Json| serde_json::json!({"op": op, "version": 1, "in": [column], "out": [column], "state": {column: state}});
    let state: crate::features::FittedState = serde_json::from_value(serde_json::json!({
        "leat": 2, "recipe": "r", "recipe_hash": "", "state_plan": "", "rows": 4, "columns": [],
        "steps": [
            step("impute", "z", serde_json::json!({"strategy": "mean", "value": 1.0, "count": 4})),
            step("standard_scale", "z", serde_json::json!({"count": 4, "mean": 1.0, "std": 1.0, "ddof": 0, "constant": false})),
            step("standard_scale", "x", serde_json::json!({"count": 4, "mean": 1.0, "std": 2.0, "ddof": 0, "constant": false})),
            step("min_max_scale", "x", serde_json::json!({"count": 4, "min": 0.0, "max": 1.0})),
            step("one_hot", "c", serde_json::json!({"labels": ["a"], "infrequent": ["b"], "count": 4})),
            step("target_encode", "t", serde_json::json!({"categories": [["a", {"count": 50}], ["b", {"count": 50}]]})),
        ],
    })).unwrap();
    let texts =
        |text: &[&'static str]| Column::strings(text.iter().map(|t| Some(*t)).collect::<Vec<_>>());
    let now = profile(&[
        ("x", Column::doubles([Some(4.0), Some(6.0), None, None])),
        ("z", Column::doubles([Some(4.0); 4])),
        ("c", texts(&["a", "b", "c", " "])),
        ("t", texts(&["a", "a", "a", "c"])),
        ("card", texts(&["a"; 4])),
        ("note", texts(&["a"; 4])),
    ]);
    let drift = against(&state, |name| name == "card", &now);
    let of = |name: &str| drift.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(of("x").measured(Measure::Mean), Some(2.0));
    // The second step on `x` saw what the first made of it.
    assert_eq!(of("x").measured(Measure::Outside), None);
    assert!(of("z").measures.is_empty() && of("z").notes[0].contains("after `impute`"));
    assert_eq!(of("c").measured(Measure::Unseen), Some(1.0 / 3.0));
    assert_eq!(of("t").measured(Measure::Unseen), Some(0.25));
    assert!(of("t").measured(Measure::Psi).is_some_and(|psi| psi > 1.0));
    assert!(of("note").notes[0].contains("nothing of its distribution"));
    assert!(drift.columns.iter().all(|column| column.name != "card"));
}

proptest! {
    #[test]
    fn no_data_panics_and_itself_is_no_drift(
        a in prop::collection::vec(prop::option::of(prop_oneof![any::<f64>(), (0..5i64).prop_map(|x| x as f64)]), 0..30),
        b in prop::collection::vec(prop::option::of(prop_oneof![any::<f64>(), (0..5i64).prop_map(|x| x as f64)]), 0..30),
        words in prop::collection::vec("[a-c]?", 0..30),
    ) {
        let column = |values: &[Option<f64>]| {
            let mut texts = Column::new(Type::String);
            (0..values.len()).for_each(|i| texts.push(words.get(i).map_or(Value::Null, |w| Value::String(w))));
            profile(&[("x", Column::doubles(values.iter().copied())), ("w", texts)])
        };
        let (a, b) = (column(&a), column(&b));
        for drift in [compare(&a, &b), compare(&b, &a)] {
            for (measure, value) in drift.columns.iter().flat_map(|c| &c.measures) {
                prop_assert!(value.is_finite(), "{measure} {value}");
                if measure.is_share() {
                    prop_assert!(value.abs() <= 1.0, "{measure} {value}");
                }
                prop_assert!(*measure != Measure::Psi || *value >= 0.0);
            }
        }
        for (measure, value) in compare(&a, &a).columns.iter().flat_map(|c| &c.measures) {
            prop_assert_eq!(*value, if measure.is_chance() { 1.0 } else { 0.0 }, "{}", measure);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", end in "(columns|limits): ?[{\\[]?[a-z: 0-9.]{0,20}[}\\]]?") {
        let _ = Limits::read("f", &text);
        let _ = Limits::read("f", &format!("leat: 1\n{end}\n"));
    }
}
