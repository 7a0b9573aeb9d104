//! The record of a run, and what later runs see of it.

use leat::quality::result::RuleStatus;
use leat::quality::{PastRun, QualityResult};
use leat::timestamp;
use leat_batch::{Criteria, Decision, decide, history, measure};

use crate::world::{AS_OF, HOUR, RECIPE, RULES, RUN, World, events};

/// A lake of 100 rows, and the ruleset with `rules`.
async fn ruled(rules: &str) -> World {
    let rules = RULES.replace("RowCount > 0", rules);
    let world = World::with(RECIPE, &rules).await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    world
}

/// Leaves what a run measured, hours before the logical time of the world's run.
async fn past(world: &World, hours: i64, rows: f64) {
    let now = timestamp::parse(AS_OF).unwrap() - hours * HOUR;
    let run = PastRun {
        leat: 1,
        engine: "0".into(),
        run: format!("past{hours}"),
        now: timestamp::to_text(now),
        ruleset_hash: None,
        rows: rows as u64,
        passed: true,
        score: None,
        measured: [("Dataset.*.RowCount".to_owned(), rows)].into(),
    };
    let folder = "memory:lake/artifacts/quality/card-transactions/history/";
    let folder = world.lake().folder(folder).unwrap();
    folder.put(&history::key(now, &run.run), run.to_json().unwrap()).await.unwrap();
}

async fn record(world: &World) -> QualityResult {
    let job = world.job().await.unwrap();
    let decision = Decision::read(&job).await.unwrap();
    serde_json::from_slice(&world.lake().read(&decision.quality).await.unwrap()).unwrap()
}

#[tokio::test]
async fn queries_are_left_to_spark() {
    let sql = "CustomSql \"select count(*) from primary\" > 0";
    let rules = format!("RowCount > 0, (RowCount > 0) OR ({sql}), {sql}, Mean \"amount\" > 0");
    let world = ruled(&rules).await;
    world.begin(false, Criteria::default()).await.unwrap();
    let record = record(&world).await;
    let skipped = |rule: &&leat::quality::result::RuleResult| rule.outcome == RuleStatus::Skipped;
    let left: Vec<_> = record.outcomes.iter().filter(skipped).collect();
    assert_eq!(left.len(), 2);
    for rule in left {
        assert!(rule.rule.contains("CustomSql"), "{}", rule.rule);
        assert!(rule.reason.as_deref().is_some_and(|why| why.contains("`cleanse` asks it")));
    }
    // One that nobody could answer.
    let world = ruled("RowCount > 0, CustomSql \"select 1\" > avg(last(3))").await;
    let why = world.begin(false, Criteria::default()).await.unwrap_err();
    assert!(why.to_string().contains("needs an engine for SQL queries"), "{why}");
}

#[tokio::test]
async fn rows_that_fail_a_rule_about_the_data_set_are_shown() {
    let rules = "RowCount > 0, Completeness \"amount\" > 0.99 labels = [\"action\" = \"warn\"],
        IsUnique \"transaction_id\"";
    let world = ruled(rules).await;
    world.begin(false, Criteria::default()).await.unwrap();
    let record = record(&world).await;
    let of = |rule: &str| record.outcomes.iter().find(|r| r.rule.starts_with(rule)).unwrap();
    let incomplete = of("Completeness");
    assert_eq!(incomplete.threshold.as_deref(), Some("> 0.99"));
    assert_eq!(incomplete.samples.len(), 5);
    // Amounts of every 11th event are missing; coordinates count from 1, and some events were sent twice.
    assert!(incomplete.samples.iter().all(|place| place.source == "events" && place.line == 0));
    assert!(of("IsUnique").samples.is_empty() && of("RowCount").samples.is_empty());
    assert_eq!((record.passed, record.halts(), record.rows), (false, false, 100));
    assert_eq!(record.recipe.as_deref(), Some("card-transactions"));
    assert!(record.measured.contains_key("Column.amount.Completeness"));
    // No value of a row.
    let json = String::from_utf8(record.to_json().unwrap()).unwrap();
    for value in ["t-11", "c-3", "m-1"] {
        assert!(!json.contains(&format!("\"{value}\"")), "{json}");
    }
}

#[tokio::test]
async fn dynamic_rules_see_earlier_runs() {
    let rules = "RowCount > 0.5 * avg(last(3)), DetectAnomalies \"RowCount\"";
    for (rows, passed) in [(&[100.0; 8][..], true), (&[900.0; 8], false), (&[], true)] {
        let world = ruled(rules).await;
        for (n, rows) in rows.iter().enumerate() {
            past(&world, i64::try_from(n).unwrap() + 1, *rows).await;
        }
        // Of the same time and of a later one: not seen.
        past(&world, 0, 1e9).await;
        past(&world, -1, 1e9).await;
        world.begin(false, Criteria::default()).await.unwrap();
        let found = record(&world).await;
        assert_eq!(found.passed, passed, "{:?}", found.halted_by);
        let of = found.outcomes.iter().find(|rule| rule.rule.contains("last(3)")).unwrap();
        let evaluated = &of.evaluated;
        let average = rows.first().copied().unwrap_or(0.0);
        assert_eq!(*evaluated, format!("RowCount > 0.5 * {}", leat::number::to_text(average)));
        if !passed {
            assert!(
                found.halted_by[0].contains("threshold > 0.5 * 900.0"),
                "{:?}",
                found.halted_by
            );
            assert_eq!(found.halted_by.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_run_leaves_what_it_measured_and_a_repeat_sees_what_it_saw() {
    let world = ruled("RowCount > 0.5 * avg(last(3))").await;
    past(&world, 5, 120.0).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    let objects = world.objects("memory:lake/artifacts/").await;
    let mine = "quality/card-transactions/history/2026-03-01T00-00-00Z-r-1.json";
    let left: PastRun = serde_json::from_slice(&objects[mine]).unwrap();
    assert_eq!((left.rows, left.measured["Dataset.*.RowCount"]), (100, 100.0));
    // A run of an earlier time ends only now.
    past(&world, 1, 900.0).await;
    let before = world.objects("memory:lake/artifacts/").await;
    for bucket in job.snapshot.numbers() {
        measure(&job, bucket).await.unwrap();
    }
    decide(&world.shop.job(RUN).await.unwrap(), Criteria::default()).await.unwrap();
    assert!(
        world.objects("memory:lake/artifacts/").await == before,
        "a repeat wrote something else"
    );
    // Where no rule asks, nothing is read.
    let plain = ruled("RowCount > 0").await;
    past(&plain, 5, 120.0).await;
    plain.begin(false, Criteria::default()).await.unwrap();
    assert!(plain.job().await.unwrap().snapshot.history.is_empty());
}
