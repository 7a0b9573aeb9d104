//! What cannot be worked on is refused by name: what, where, and what to do.

use leat_batch::{BatchError, Criteria, Decision, finish, fit, measure};
use leat_lake::units::UnitFile;

use crate::world::{Event, HOUR, RECIPE, RULES, RUN, World, events, start};

/// That `result` is refused as wrong input that says all of `words`.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, BatchError>, words: &[&str]) {
    let why = result.unwrap_err();
    let text = why.to_string();
    words.iter().for_each(|word| assert!(text.contains(word), "no `{word}` in: {text}"));
}

#[tokio::test]
async fn no_data() {
    let world = World::new().await;
    refused(
        world.snapshot(false).await,
        &["no published row", "memory:lake/cleansed/card-transactions/", "cleanse"],
    );
    refused(world.job().await, &["snapshot.json does not exist", "`snapshot`"]);
    refused(world.shop.job("memory:lake/artifacts/r-1/").await, &["runs/<recipe>/<run>/"]);
}

#[tokio::test]
async fn nothing_to_tell_apart() {
    let world = World::new().await;
    let all: Vec<Event> =
        events(100, 9).into_iter().map(|e| Event { fraud: Some(0), ..e }).collect();
    world.publish("a", 4, 1, &all).await;
    refused(
        world.run(false, Criteria::default()).await,
        &["labelled rows of the slice `train`", "of one class (0.0)"],
    );

    let world = World::new().await;
    let one_late: Vec<Event> = events(100, 9)
        .into_iter()
        .map(|e| Event { fraud: Some(i64::from(e.id % 3 == 0 && e.id < 50)), ..e })
        .collect();
    world.publish("a", 4, 1, &one_late).await;
    refused(world.run(false, Criteria::default()).await, &["slice `evaluate`", "one class"]);
}

#[tokio::test]
async fn labels_that_match_nothing() {
    let world = World::new().await;
    let all: Vec<Event> = events(100, 9).into_iter().map(|e| Event { fraud: None, ..e }).collect();
    world.publish("a", 4, 1, &all).await;
    world.publish_labels("l", 1, &[(7000, 1, 1), (7001, 1, 0)]).await;
    refused(
        world.run(true, Criteria::default()).await,
        &[
            "no row that has a label",
            "memory:lake/cleansed/card-transactions-labels/",
            "2026-03-01",
        ],
    );
}

#[tokio::test]
async fn a_recipe_that_learns_of_no_label_still_trains_nothing_without_labels() {
    let start = RECIPE.find("  - {op: target_encode").unwrap();
    let end = start + RECIPE[start..].find('\n').unwrap() + 1;
    let recipe = format!("{}{}", &RECIPE[..start], &RECIPE[end..]);
    let world = World::with(&recipe, RULES).await;
    let all: Vec<Event> = events(100, 9).into_iter().map(|e| Event { fraud: None, ..e }).collect();
    world.publish("a", 4, 1, &all).await;
    refused(
        world.run(false, Criteria::default()).await,
        &["slice `train` has a label", "the events' own labels", "0 rows of the run"],
    );
}

#[tokio::test]
async fn files_that_are_missing_or_foreign() {
    let world = World::new().await;
    world.publish("a", 2, 1, &events(100, 9)).await;
    let folder = world.folder("card-transactions");
    let path = |unit: &str| format!("date=2026-01-01/bucket=00/unit={unit}/part-0.parquet");
    let file = |unit: &str, rows| UnitFile { path: path(unit), rows, bytes: 1 };
    let bytes = folder.get(&path("a")).await.unwrap().unwrap();
    let columns = vec![("transaction_id".to_owned(), leat::column::Type::String)];
    let foreign =
        leat_lake::parquet::to_bytes(&columns, vec![leat::column::Column::strings([Some("t-1")])])
            .unwrap();
    for (unit, content, rows, words) in [
        ("b", None, 1, ["unit=b/part-0.parquet is gone", "restore"]),
        ("c", Some(foreign), 1, ["unit=c/part-0.parquet", "columns are missing"]),
        ("d", Some(bytes), 1, ["unit=d/part-0.parquet", "its unit says 1"]),
        ("e", Some("no".into()), 1, ["unit=e/part-0.parquet", "Parquet"]),
    ] {
        let world = World::new().await;
        world.publish("a", 2, 1, &events(100, 9)).await;
        let folder = world.folder("card-transactions");
        if let Some(content) = content {
            folder.put(&path(unit), content).await.unwrap();
        }
        world.publish_unit(&folder, unit, 2, vec![file(unit, rows)]).await;
        world.snapshot(false).await.unwrap();
        let job = world.job().await.unwrap();
        refused(measure(&job, 0).await, &words);
        assert!(measure(&job, 1).await.is_ok(), "{unit}: the other bucket is whole");
        refused(measure(&job, 2).await, &["no bucket 2"]);
    }
    for (unit, path) in [("f", "date=2026-01-01/part-0.parquet"), ("g", "bucket=16/part-0.parquet")]
    {
        let world = World::new().await;
        let folder = world.folder("card-transactions");
        let file = UnitFile { path: path.into(), rows: 1, bytes: 1 };
        world.publish_unit(&folder, unit, 16, vec![file]).await;
        refused(world.snapshot(false).await, &[path, "bucket="]);
    }
    let world = World::new().await;
    world.publish("a", 2, 1, &events(100, 9)).await;
    let labels = world.folder("card-transactions-labels");
    labels
        .put("bucket=00/l.parquet", folder.get(&path("a")).await.unwrap().unwrap())
        .await
        .unwrap();
    let file = UnitFile { path: "bucket=00/l.parquet".into(), rows: 1, bytes: 1 };
    world.publish_unit(&labels, "l", 1, vec![file]).await;
    let job = world.begin(true, Criteria::default()).await.unwrap();
    refused(fit::partial(&job, 1, 0).await, &["l.parquet", "no file of labels", "known_at"]);
}

#[tokio::test]
async fn another_recipe() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    // Another recipe for the same run.
    let text = RECIPE.replace("max_duration: 12h", "max_duration: 11h");
    world.lake().write("memory:lake/recipes/recipe.yaml", text.clone()).await.unwrap();
    refused(world.snapshot(false).await, &["snapshot.json is of the recipe", "another run"]);
    // Somebody changes the run's own copy.
    world.lake().write(&job.snapshot.recipe_url, text).await.unwrap();
    let shop = leat_batch::Workshop::new(world.lake().clone(), None);
    let changed = shop.job(RUN).await.unwrap_err();
    assert!(matches!(changed, BatchError::Recipe(_)), "{changed}");
    refused(Err::<(), _>(changed), &[&job.snapshot.recipe_url, "was changed since"]);
}

#[tokio::test]
async fn steps_have_an_order() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    world.snapshot(false).await.unwrap();
    let job = world.job().await.unwrap();
    refused(
        leat_batch::decide(&job, Criteria::default()).await,
        &["measures/0.json", "`measure` of bucket 0"],
    );
    refused(fit::partial(&job, 1, 0).await, &["decision.json", "`decide`"]);
    for bucket in job.snapshot.numbers() {
        measure(&job, bucket).await.unwrap();
    }
    leat_batch::decide(&job, Criteria::default()).await.unwrap();
    refused(fit::merge(&job, 1).await, &["fit/level-1/0.json", "`partial` of level 1"]);
    refused(fit::partial(&job, 2, 0).await, &["fit/level-1.json", "`merge` of level 1"]);
    refused(fit::partial(&job, 9, 0).await, &["no level 9"]);
    refused(finish(&job, "candidate").await, &["counts/candidate/0.json", "bucket 0"]);
    refused(finish(&job, "../x").await, &["is no name"]);
    // What was decided stays.
    let other = Criteria { evaluation_share: Some(0.5), ..Criteria::default() };
    refused(leat_batch::decide(&job, other).await, &["otherwise", "another run"]);
    let bad = Criteria { evaluation_share: Some(1.0), ..Criteria::default() };
    refused(leat_batch::decide(&job, bad).await, &["share is 1"]);
    let early = Criteria { train_until: Some(start() - HOUR), ..Criteria::default() };
    refused(leat_batch::decide(&job, early).await, &["2025-12-31", "nothing to learn of"]);
}

/// A lake whose rows were published before `rule` came.
async fn ruled(rule: &str) -> World {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await; // of customers aged 20 to 28
    let rules = RULES.replace("RowCount > 0", &format!("RowCount > 0,\n    {rule}"));
    world.lake().write("memory:lake/recipes/quality.dqdl", rules).await.unwrap();
    world
}

#[tokio::test]
async fn the_action_of_a_row_rule() {
    for (action, passed) in [("quarantine", true), ("warn", true), ("halt", false)] {
        let rule =
            format!("ColumnValues \"customer_age\" < 25 labels = [\"action\" = \"{action}\"]");
        let world = ruled(&rule).await;
        let job = world.begin(false, Criteria::default()).await.unwrap();
        let decision = Decision::read(&job).await.unwrap();
        assert_eq!(decision.passed, passed, "{action}: {:?}", decision.failed);
        let said: serde_json::Value =
            serde_json::from_slice(&world.lake().read(&decision.quality).await.unwrap()).unwrap();
        let mut outcomes = said["outcomes"].as_array().unwrap().iter();
        let of_rule = outcomes.find(|found| found["rule"] == rule).unwrap();
        let (failed, rejected) = (&of_rule["failed_rows"], &said["rejected"]);
        assert_eq!(of_rule["action"], action);
        assert_eq!(
            (&of_rule["outcome"], &of_rule["threshold"]),
            (&"Failed".into(), &"< 25".into())
        );
        assert!(failed.as_u64().unwrap() > 10);
        // Every row counts once, and one that fails a rule that warns is as good as others.
        let samples = of_rule["samples"].as_array().map_or(0, Vec::len);
        match action {
            "warn" => assert_eq!((rejected, &said["rows"], samples), (&0.into(), &100.into(), 0)),
            _ => {
                assert_eq!((rejected, samples), (failed, 5));
                assert_eq!(&said["rejected_by"][&rule], failed);
            }
        }
        if !passed {
            let why = &decision.failed[0];
            let words = format!("{failed} rows are rejected, the first at events shardId-0");
            assert!(why.contains(&words), "{why}");
        }
    }
}

#[tokio::test]
async fn every_row_is_rejected() {
    let world = ruled("ColumnValues \"customer_age\" < 20").await;
    refused(
        world.begin(false, Criteria::default()).await,
        &[
            "every row of run r-1 was rejected: 106 by `ColumnValues \"customer_age\" < 20`",
            "events",
        ],
    );
}

#[tokio::test]
async fn a_rule_that_halts() {
    let rules = RULES.replace("RowCount > 0", "RowCount > 500");
    let world = World::with(RECIPE, &rules).await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    let decision = Decision::read(&job).await.unwrap();
    assert!(!decision.passed);
    assert_eq!(decision.failed.len(), 1);
    for word in ["RowCount > 500", "Dataset.*.RowCount = 100.0, threshold > 500"] {
        assert!(decision.failed[0].contains(word), "{:?}", decision.failed);
    }
    refused(world.fit(&job).await, &["halted by its rules", &decision.quality]);
    let said: serde_json::Value =
        serde_json::from_slice(&world.lake().read(&decision.quality).await.unwrap()).unwrap();
    assert_eq!((&said["passed"], &said["decision"]), (&false.into(), &"halt".into()));
    assert_eq!(said["halted_by"], serde_json::json!(decision.failed));
    let mut outcomes = said["outcomes"].as_array().unwrap().iter();
    let of_rule = outcomes.find(|found| found["rule"] == "RowCount > 500").unwrap();
    assert_eq!((&of_rule["outcome"], &of_rule["action"]), (&"Failed".into(), &"halt".into()));
    assert_eq!((&said["rows"], &said["counts"]["kept"]), (&100.into(), &100.into()));
    assert_eq!(said["counts"]["already_applied"], 6);
    assert_eq!(said["ruleset_hash"].as_str().unwrap().len(), 64);

    let warned = RULES.replace("RowCount > 0", "RowCount > 500 labels = [\"action\" = \"warn\"]");
    let world = World::with(RECIPE, &warned).await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    let decision = Decision::read(&job).await.unwrap();
    assert!(decision.passed);
    let said: serde_json::Value =
        serde_json::from_slice(&world.lake().read(&decision.quality).await.unwrap()).unwrap();
    assert_eq!((&said["passed"], &said["decision"]), (&false.into(), &"proceed".into()));
}
