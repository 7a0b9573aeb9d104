//! A recipe from fit to features, by the module's public face.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::column::{Column, Type, Value};
use crate::recipe::{
    Dialect, Field, Format, Origin, Place, Plan, PlanColumn, Recipe, Role, Schema, Step,
    UnknownFields,
};
use crate::record::Identity;

fn field(name: &str, kind: Type, role: Option<Role>) -> Field {
    Field { name: name.into(), kind, role, pii: false, place: Place::default() }
}

fn step(op: &str, inputs: &[&str], outputs: &[&str], parameters: serde_json::Value) -> Step {
    let texts = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Step {
        op: op.into(),
        inputs: texts(inputs),
        outputs: texts(outputs),
        parameters: serde_json::from_value(parameters).unwrap(),
        level: 0,
        place: Place::default(),
        places: Default::default(),
    }
}

/// A recipe with `steps` at `levels`; its fields, a derived and two window columns.
fn recipe(steps: Vec<Step>, levels: &[usize], output: &[&str]) -> (Recipe, Plan) {
    let fields = vec![
        field("customer", Type::String, Some(Role::Entity)),
        field("time", Type::Timestamp, Some(Role::EventTime)),
        field("amount", Type::Double, None),
        field("age", Type::Long, None),
        field("channel", Type::String, None),
        field("fraud", Type::Long, Some(Role::Label)),
    ];
    let mut columns: Vec<_> = fields
        .iter()
        .map(|f| PlanColumn { name: f.name.clone(), kind: f.kind, origin: Origin::Field })
        .collect();
    for (name, kind, origin) in [
        ("ratio", Type::Double, Origin::Derive),
        ("count_1h", Type::Long, Origin::Window),
        ("session_id", Type::String, Origin::Window),
    ] {
        columns.push(PlanColumn { name: name.into(), kind, origin });
    }
    let recipe = Recipe {
        file: "recipe.yaml".into(),
        name: "example".into(),
        dialect: Dialect::Sklearn,
        schema: Schema {
            format: Format::Json,
            fields,
            unknown_fields: UnknownFields::Keep,
            max_ahead: None,
            dedupe: None,
        },
        quality: None,
        protect: Vec::new(),
        derive: Vec::new(),
        windows: Vec::new(),
        features: steps,
        output: output.iter().map(|o| (*o).to_owned()).collect(),
    };
    let levels = levels.to_vec();
    (recipe, Plan { columns, derives: Vec::new(), levels, state_plan: "plan".into() })
}

/// The example: two levels, and each operator.
fn example() -> (Recipe, Plan) {
    recipe(
        vec![
            step("impute", &["amount", "age"], &[], json!({"strategy": "median"})),
            step("standard_scale", &["amount"], &[], json!({})),
            step("one_hot", &["channel"], &[], json!({"unseen": "ignore"})),
            step("date_parts", &["time"], &["at"], json!({"parts": ["hour"]})),
            step("log", &["age"], &["log_age"], json!({"offset": 1})),
            step("impute", &["ratio"], &[], json!({"strategy": "mean", "value": 0})),
        ],
        &[1, 2, 1, 0, 0, 1],
        &[],
    )
}

/// A row: amount, age, channel, ratio.
type Event = (Option<f64>, Option<i64>, Option<&'static str>, Option<f64>);

const EVENTS: [Event; 5] = [
    (Some(1.0), Some(30), Some("web"), None),
    (None, None, Some("pos"), Some(0.5)),
    (Some(4.0), Some(50), None, Some(1.5)),
    (Some(10.0), Some(40), Some("web"), None),
    (Some(3.0), None, Some("app"), Some(-1.0)),
];

fn batch(events: &[Event]) -> Vec<Column> {
    let mut time = Column::new(Type::Timestamp);
    events.iter().for_each(|_| time.push(Value::Timestamp(7_200_000_000)));
    vec![
        Column::strings(events.iter().map(|_| Some("c-1"))),
        time,
        Column::doubles(events.iter().map(|e| e.0)),
        Column::longs(events.iter().map(|e| e.1)),
        Column::strings(events.iter().map(|e| e.2)),
        Column::longs(events.iter().map(|_| None)),
        Column::doubles(events.iter().map(|e| e.3)),
        Column::longs(events.iter().map(|_| Some(2))),
        Column::strings(events.iter().map(|_| Some("s"))),
    ]
}

/// A row's identity is its place.
fn identities(rows: usize) -> Vec<Identity> {
    (0..rows as u128).collect()
}

/// Fits `parts` apart, merges them through JSON, and seals the state.
fn fit(recipe: &Recipe, plan: &Plan, parts: &[&[Event]]) -> Result<FittedState, Vec<FeatureError>> {
    let (mut so_far, mut rows) = (Vec::new(), 0);
    for level in 1..=plan.passes() {
        let new = || Fit::new(recipe, plan, level, &so_far).map_err(|e| vec![e]);
        let mut merged = new()?;
        for part in parts {
            let mut fit = new()?;
            fit.update(&batch(part), &identities(part.len()));
            merged.merge_json(&fit.to_json().unwrap()).unwrap();
        }
        rows = merged.rows();
        so_far = merged.finish()?;
    }
    FittedState::new(recipe, plan, "abc", rows, &so_far).map_err(|e| vec![e])
}

#[test]
fn features_of_the_example() {
    let (recipe, plan) = example();
    let state = fit(&recipe, &plan, &[&EVENTS]).unwrap();
    let features = Features::bind(&recipe, &plan, &state).unwrap();
    // Derived and window columns, then what steps made in order; session_id is no number, the label is not there.
    assert_eq!(
        features.names().join(" "),
        "ratio count_1h amount age channel_app channel_pos channel_web at_hour log_age"
    );
    let columns = features.apply(&batch(&EVENTS[1..2]), 1);
    let row: Vec<_> = columns.iter().map(|c| c.number(0).unwrap()).collect();
    // The amounts with their median 3.5 in the gap: mean 4.3, variance 9.16.
    let amount = (3.5 - 4.3) / 9.16f64.sqrt();
    assert_eq!(row[..2], [0.5, 2.0]);
    assert!((row[2] - amount).abs() < 1e-15, "{row:?}");
    assert_eq!(row[3..8], [40.0, 0.0, 1.0, 0.0, 2.0]);
    assert!((row[8] - 3.713572066704308).abs() < 1e-15); // ln 41
    assert_eq!(columns.iter().map(Column::kind).collect::<Vec<_>>(), features.kinds());
}

#[test]
fn a_row_gives_what_it_gives_in_a_batch() {
    let (recipe, plan) = example();
    let state = fit(&recipe, &plan, &[&EVENTS]).unwrap();
    let features = Features::bind(&recipe, &plan, &state).unwrap();
    let whole = features.apply(&batch(&EVENTS), EVENTS.len());
    for row in 0..EVENTS.len() {
        let single = features.apply(&batch(&EVENTS[row..=row]), 1);
        let gathered: Vec<_> = whole.iter().map(|c| c.gather(&[row])).collect();
        assert_eq!(gathered, single);
    }
    assert!(features.apply(&batch(&[]), 0).iter().all(Column::is_empty));
    // A batch without its columns is a bug of the caller, and no panic.
    assert!(features.apply(&[], 2).iter().all(|c| c.len() == 2));
}

#[test]
fn the_file() {
    let (recipe, plan) = recipe(
        vec![
            step("impute", &["age"], &[], json!({"strategy": "median"})),
            step("one_hot", &["channel"], &[], json!({"min_frequency": 2})),
            step("log", &["amount"], &[], json!({})),
        ],
        &[1, 1, 0],
        &["channel_*", "a*"],
    );
    let state = fit(&recipe, &plan, &[&EVENTS]).unwrap();
    let text = state.to_json();
    let expected = r#"{
  "leat": 2,
  "recipe": "example",
  "recipe_hash": "abc",
  "state_plan": "plan",
  "hash": "HASH",
  "rows": 5,
  "columns": [
    {
      "name": "channel_web",
      "type": "long"
    },
    {
      "name": "channel_infrequent",
      "type": "long"
    },
    {
      "name": "age",
      "type": "double"
    },
    {
      "name": "amount",
      "type": "double"
    }
  ],
  "steps": [
    {
      "op": "impute",
      "version": 1,
      "in": [
        "age"
      ],
      "out": [
        "age"
      ],
      "state": {
        "age": {
          "count": 3,
          "exact": true,
          "strategy": "median",
          "value": 40.0
        }
      }
    },
    {
      "op": "one_hot",
      "version": 1,
      "in": [
        "channel"
      ],
      "out": [
        "channel"
      ],
      "state": {
        "channel": {
          "count": 4,
          "infrequent": [
            "app",
            "pos"
          ],
          "labels": [
            "web"
          ]
        }
      }
    },
    {
      "op": "log",
      "version": 1,
      "in": [
        "amount"
      ],
      "out": [
        "amount"
      ]
    }
  ]
}
"#;
    assert_eq!(text.replace(&state.hash, "HASH"), expected);
    assert_eq!(FittedState::from_json(&text, "abc").unwrap(), state);
    let spaced = text.replace('\n', "\n\n"); // blanks are not content
    assert_eq!(FittedState::from_json(&spaced, "abc").unwrap(), state);
}

/// `target_encode` at level 1, and a step at level 2 that reads what it made.
fn supervised() -> (Recipe, Plan) {
    let steps = vec![
        step("target_encode", &["channel"], &["rate"], json!({"smooth": 1, "folds": 2})),
        step("standard_scale", &["rate"], &["scaled"], json!({})),
        step("impute", &["amount"], &[], json!({})),
    ];
    recipe(steps, &[1, 2, 1], &["rate", "scaled", "amount"])
}

/// [`EVENTS`] with a label each.
fn labelled(labels: [Option<i64>; 5]) -> Vec<Column> {
    let mut columns = batch(&EVENTS);
    columns[5] = Column::longs(labels);
    columns
}

const LABELS: [Option<i64>; 5] = [Some(1), Some(0), None, Some(0), Some(1)];

/// Fits the parts that rows are told to, merged in the order of the parts.
fn fit_labelled(columns: &[Column], parts: [&[usize]; 2]) -> FittedState {
    let ((recipe, plan), mut so_far) = (supervised(), Vec::new());
    for level in 1..=plan.passes() {
        let mut merged = Fit::new(&recipe, &plan, level, &so_far).unwrap();
        for part in parts {
            let part_of: Vec<_> = columns.iter().map(|column| column.gather(part)).collect();
            let who: Vec<Identity> = part.iter().map(|&row| row as u128).collect();
            let mut fit = Fit::new(&recipe, &plan, level, &so_far).unwrap();
            fit.update(&part_of, &who);
            merged.merge_json(&fit.to_json().unwrap()).unwrap();
        }
        so_far = merged.finish().unwrap();
    }
    FittedState::new(&recipe, &plan, "abc", 5, &so_far).unwrap()
}

#[test]
fn what_goes_back_to_labels_differs_in_training_alone() {
    let (recipe, plan) = supervised();
    let columns = labelled(LABELS);
    let state = fit_labelled(&columns, [&[0, 1, 2, 3, 4], &[]]);
    assert_eq!(state, fit_labelled(&columns, [&[3, 0, 4], &[2, 1]]), "any cut, any order");
    let flagged: Vec<_> = state.columns.iter().map(|c| (c.name.as_str(), c.out_of_fold)).collect();
    assert_eq!(flagged, [("rate", true), ("scaled", true), ("amount", false)]);
    assert_eq!(state.to_json().matches("\"out_of_fold\": true").count(), 2);
    assert_eq!(FittedState::from_json(&state.to_json(), "abc").unwrap(), state);

    let features = Features::bind(&recipe, &plan, &state).unwrap();
    let (serve, train) =
        (features.apply(&columns, 5), features.apply_train(&columns, &identities(5)));
    assert_eq!(serve, features.apply_in(Mode::Serve, &columns, &identities(5)));
    assert_eq!(train, features.apply_in(Mode::Train, &columns, &identities(5)));
    for (index, column) in state.columns.iter().enumerate() {
        assert_eq!(serve[index] != train[index], column.out_of_fold, "{}", column.name);
    }
    // web, with 1 in fold 0 and 0 in fold 1; all: 2 of 4, outside of fold 0 0 of 2, of fold 1 2 of 2.
    assert_eq!((serve[0].number(0), serve[0].number(3)), (Some(0.5), Some(0.5)));
    assert_eq!((train[0].number(0), train[0].number(3)), (Some(0.0), Some(1.0)));
    // What reads it learnt from what training rows get.
    let mean = (0..5).filter_map(|row| train[0].number(row)).sum::<f64>() / 5.0;
    let learnt = state.steps[1].state["scaled"]["mean"].as_f64().unwrap();
    assert!((learnt - mean).abs() < 1e-15, "{learnt} {mean}");
    // Serving reads no label.
    assert_eq!(features.apply(&labelled([None; 5]), 5), serve);
    assert_eq!(features.apply_train(&labelled([None; 5]), &identities(5)), train);
}

#[test]
fn what_learns_from_labels_needs_one() {
    let (mut recipe, plan) = supervised();
    recipe.schema.fields[5].kind = Type::String;
    let error = Fit::new(&recipe, &plan, 1, &[]).err().unwrap().to_string();
    assert!(error.starts_with("step 1 (`target_encode`) learns from the label: give"), "{error}");
    let (recipe, plan) = supervised();
    let mut fit = Fit::new(&recipe, &plan, 1, &[]).unwrap();
    fit.update(&labelled([None; 5]), &identities(5));
    let errors: Vec<_> = fit.finish().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "step 1 (`target_encode`), column `channel`: `fit` saw no row that has a label; give it labelled data"
        ]
    );
}

#[test]
fn files_that_are_refused() {
    let (recipe, plan) = example();
    let text = fit(&recipe, &plan, &[&EVENTS]).unwrap().to_json();
    let refused =
        |text: &str, hash: &str| FittedState::from_json(text, hash).unwrap_err().to_string();
    for (text, message) in [
        (text.replace("\"rows\": 5", "\"rows\": 6"), "was changed"),
        (text.replace("\"leat\": 2", "\"leat\": 1"), "has form 1"),
        (text.replace("\"leat\": 2,", ""), "no member `leat`"),
        (text.replace("\"rows\"", "\"mode\""), "unknown field `mode`"),
        ("[]".into(), "no member `leat`"),
        ("{".into(), "cannot be read"),
        (String::new(), "cannot be read"),
    ] {
        let found = refused(&text, "abc");
        assert!(found.contains(message), "{found}");
    }
    let found = refused(&text, "def");
    assert!(found.contains("with hash abc, and this recipe has def"), "{found}");
    for end in (0..text.trim_end().len()).step_by(7) {
        assert!(FittedState::from_json(&text[..end], "abc").is_err());
    }
}

#[test]
fn states_that_do_not_fit() {
    let (recipe, plan) = example();
    let state = fit(&recipe, &plan, &[&EVENTS]).unwrap();
    let bound = |change: fn(&mut FittedState)| {
        let mut state = state.clone();
        change(&mut state);
        Features::bind(&recipe, &plan, &state).unwrap_err().to_string()
    };
    for (found, message) in [
        (bound(|s| s.steps[0].version = 9), "step 1 (`impute`) does not fit: it is of version 9"),
        (bound(|s| s.steps[0].op = "log".into()), "it is of operator `log`"),
        (bound(|s| s.steps[1].inputs[0] = "x".into()), "it reads x"),
        (bound(|s| s.steps[3].outputs[0] = "x".into()), "it gives x"),
        (bound(|s| s.steps[1].state.clear()), "step 2 (`standard_scale`) is not fitted"),
        (bound(|s| drop(s.steps[0].state.insert("age".into(), json!({"x": 1})))), "`age`: "),
        (bound(|s| s.state_plan = "other".into()), "has state plan other, the recipe now"),
        (bound(|s| drop(s.steps.pop())), "has 5 steps, the recipe 6"),
        (bound(|s| drop(s.columns.pop())), "first at place 9"),
        (bound(|s| s.columns.swap(0, 1)), "first at place 1"),
    ] {
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn fits_that_are_refused() {
    let (recipe, plan) = example();
    let error = Fit::new(&recipe, &plan, 2, &[]).err().unwrap();
    assert_eq!(error.to_string(), "step 1 (`impute`) is not fitted; fit level 1 first");
    let error = FittedState::new(&recipe, &plan, "abc", 0, &[]).unwrap_err();
    assert_eq!(error.to_string(), "step 1 (`impute`) is not fitted; fit level 1 first");

    let mut first = Fit::new(&recipe, &plan, 1, &[]).unwrap();
    first.update(&batch(&EVENTS), &identities(5));
    let second = Fit::new(&recipe, &plan, 2, &first.finish().unwrap()).unwrap();
    assert!(first.merge(&second).is_err());
    for text in ["", "{}", "[1]", r#"{"leat":1,"level":1,"of":"","rows":0,"learners":[1,2,3,4]}"#] {
        assert!(matches!(first.merge_json(text), Err(FeatureError::Partial(_))), "{text}");
    }
    // A partial state of the right fit whose content was forged.
    let forged = first.to_json().unwrap().replace("\"count\":3", "\"count\":\"x\"");
    assert!(matches!(first.merge_json(&forged), Err(FeatureError::Partial(_))));

    let errors = fit(&recipe, &plan, &[&[(None, None, None, None)]]).unwrap_err();
    let texts: Vec<_> = errors.iter().map(|e| e.to_string()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}"); // all at once; ratio has a `value`
    assert!(texts[0].starts_with("step 1 (`impute`), column `amount`: `fit` saw no value"));
    assert!(texts[1].starts_with("step 1 (`impute`), column `age`: "));
    assert!(texts[2].starts_with("step 3 (`one_hot`), column `channel`: "));
}

#[test]
fn names() {
    let scale = |input: &str, out: &[&str]| step("standard_scale", &[input], out, json!({}));
    let hot = || step("one_hot", &["channel"], &[], json!({}));
    let found = |steps: Vec<Step>, output: &[&str]| {
        let levels = vec![1; steps.len()];
        let (recipe, plan) = recipe(steps, &levels, output);
        match fit(&recipe, &plan, &[&EVENTS]) {
            Ok(state) => {
                state.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" ")
            }
            Err(errors) => errors[0].to_string(),
        }
    };
    for (steps, output, expected) in [
        (vec![], &[][..], "ratio count_1h"),
        (vec![scale("ratio", &[])], &[], "ratio count_1h"), // a made column keeps its place
        (vec![scale("amount", &[])], &[], "ratio count_1h amount"),
        (vec![scale("amount", &["a"])], &[], "ratio count_1h a"),
        (vec![], &["age", "c*", "*"], "age count_1h ratio"),
        (vec![hot()], &["channel_w*"], "channel_web"),
        (vec![], &["a*"], "`output`: `a*` finds no column"), // a field is found by its full name
        (vec![], &["fraud"], "`output`: `fraud` finds no column"), // the label is not there
        (
            vec![],
            &["channel"],
            "`output`: column `channel` holds string, and a feature is a number or a boolean; encode it by a step",
        ),
        (
            vec![scale("amount", &["age"])],
            &[],
            "step 1 (`standard_scale`) makes a column `age`, which is there already; give the step another `out`, or \
             rename the value",
        ),
        (
            vec![scale("ratio", &["channel_web"]), hot()],
            &[],
            "step 2 (`one_hot`) makes a column `channel_web`, which is there already; give the step another `out`, or \
             rename the value",
        ),
        (
            vec![hot(), scale("channel_web", &[])],
            &[],
            "step 2 (`standard_scale`): there is no column `channel_web` for it to read",
        ),
        (
            vec![scale("fraud", &[])],
            &[],
            "step 1 (`standard_scale`): there is no column `fraud` for it to read",
        ),
        (
            vec![scale("channel", &[])],
            &[],
            "step 1 (`standard_scale`): column `channel` holds string, the operator takes double, long",
        ),
        (
            vec![step("scale", &["age"], &[], json!({}))],
            &[],
            "step 1: no operator is named `scale`",
        ),
        (
            vec![step("impute", &["age"], &[], json!({"strategy": "constant"}))],
            &[],
            "step 1 (`impute`), column `age`: `constant` needs a `value`",
        ),
    ] {
        assert_eq!(found(steps, output), expected);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let text = prop_oneof![Just(None), Just(Some("web")), Just(Some("pos")), Just(Some("é"))];
    (any::<Option<f64>>(), any::<Option<i64>>(), text, any::<Option<f64>>())
}

proptest! {
    /// Fitted apart, over both levels, and merged in another order: the same file.
    #[test]
    fn any_cut_gives_the_same_state(
        events in proptest::collection::vec(event(), 1..20), cut in 0usize..20, again in 0usize..20,
    ) {
        let (recipe, plan) = example();
        let one = fit(&recipe, &plan, &[&events]);
        let (left, rest) = events.split_at(cut.min(events.len()));
        let (middle, right) = rest.split_at(again.min(rest.len()));
        for parts in [[left, middle, right], [right, left, middle], [middle, right, left]] {
            prop_assert_eq!(&fit(&recipe, &plan, &parts), &one);
        }
        if let Ok(state) = one {
            let read = FittedState::from_json(&state.to_json(), "abc").unwrap();
            prop_assert_eq!(&read, &state);
            let features = Features::bind(&recipe, &plan, &read).unwrap();
            let columns = features.apply(&batch(&events), events.len());
            prop_assert!(columns.iter().all(|c| c.len() == events.len()));
        }
    }
}

#[test]
fn a_state_is_given_instead_of_learnt() {
    let (recipe, plan) = example();
    let learnt = fit(&recipe, &plan, &[&EVENTS]).unwrap();
    let learning = learnt.steps.iter().filter(|step| !step.state.is_empty());
    let given: Vec<_> = learning.map(|s| json!({"op": s.op, "state": s.state})).collect();
    let take = |given: &[serde_json::Value]| {
        FittedState::given(&recipe, &plan, "abc", &json!(given).to_string())
    };
    let state = take(&given).unwrap();
    assert_eq!((&state.columns, &state.steps, state.rows), (&learnt.columns, &learnt.steps, 0));
    let file = FittedState::from_json(&state.to_json(), "abc").unwrap();
    let features = Features::bind(&recipe, &plan, &file).unwrap();
    let of_learnt = Features::bind(&recipe, &plan, &learnt).unwrap();
    let rows = EVENTS.len();
    assert_eq!(features.apply(&batch(&EVENTS), rows), of_learnt.apply(&batch(&EVENTS), rows));

    let mut other = given.clone();
    other.swap(0, 1);
    let mut unnamed = given.clone();
    unnamed[0]["state"]["else"] = json!(1);
    let mut partial = given.clone();
    partial[0]["state"].as_object_mut().unwrap().remove("age");
    let more = [given.clone(), given.clone()].concat();
    for (given, message) in [
        (&given[1..], "step 1 (`impute`) is given the state of"),
        (&given[..2], "is given nothing: there are 2"),
        (&other, "step 1 (`impute`) is given the state of `standard_scale`"),
        (&unnamed, "is given `else`, and gives amount, age"),
        (&partial, "step 1 (`impute`) is not fitted"),
        (&more, "more than steps that learn"),
    ] {
        let error = take(given).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let error = FittedState::given(&recipe, &plan, "abc", "{").unwrap_err();
    assert!(error.to_string().contains("cannot be taken"), "{error}");
}

/// `cross` of amount and hour, and of channel and customer; a text as a sparse vector beside them.
#[test]
fn steps_that_read_several_columns() {
    let (recipe, plan) = recipe(
        vec![
            step("date_parts", &["time"], &["at"], json!({"parts": ["hour"]})),
            step("impute", &["age"], &["full_age"], json!({"strategy": "mean"})),
            step("cross", &["amount", "at_hour"], &[], json!({})),
            step("cross", &["full_age", "count_1h"], &["both"], json!({"operation": "add"})),
            step("cross", &["channel", "customer"], &["pair"], json!({"buckets": 64})),
            step("tf_idf", &["channel"], &["words"], json!({"dimensions": 8, "idf": "none"})),
        ],
        &[0, 1, 0, 0, 0, 1],
        &["amount_x_at_hour", "both", "pair", "words"],
    );
    let state = fit(&recipe, &plan, &[&EVENTS[..2], &EVENTS[2..]]).unwrap();
    assert_eq!(state.columns[3].terms, Some(8));
    let features = Features::bind(&recipe, &plan, &state).unwrap();
    assert_eq!(features.names(), ["amount_x_at_hour", "both", "pair", "words"]);
    let (of_text, of_numbers) = (Type::String, Type::Double);
    assert_eq!(features.kinds(), [of_numbers, of_numbers, Type::Long, of_text]);
    let columns = features.apply(&batch(&EVENTS), EVENTS.len());
    assert_eq!(columns[0].number(0), Some(2.0));
    assert_eq!(columns[0].number(1), None);
    assert_eq!(columns[1], Column::doubles([32.0, 42.0, 52.0, 42.0, 42.0].map(Some)));
    assert_eq!(columns[2].number(2), Some(0.0), "a missing channel");
    assert_eq!(columns[3].text(2), Some(""), "no word");
    assert!(columns[3].text(0).unwrap().ends_with(":1.0"));
    let train = features.apply_train(&batch(&EVENTS), &identities(EVENTS.len()));
    assert_eq!(train, columns);
    let all = FittedState::new(
        &Recipe { output: vec![], ..recipe },
        &plan,
        "abc",
        5,
        &state.steps.iter().cloned().map(Some).collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(all.columns.iter().any(|column| column.name == "words"), "{:?}", all.columns);
}
