//! Hours of a stream: parts that environments put, and what the rules say of their sum.

use leat::column::Column;
use leat::decode::{Batch, RawRecord};
use leat::engine::Engine;
use leat::quality::result::RuleStatus::{self, Failed, Passed, Skipped};
use leat::quality::{History, QualityResult};
use leat::record::{Coordinates, Position, Reject, Sequence};
use leat_batch::hour::{MOST_VALUES, folder, judge, limits};
use leat_batch::{Criteria, Hour, HourPart, HourRules, News};

use crate::world::{Event, RECIPE, RULES, World, events};

const ARTIFACTS: &str = "memory:lake/artifacts";
const URL: &str = "memory:lake/recipes/recipe.yaml";
const HOUR: &str = "2026-11-23T06";
const ASKED: &str = r#"RowCount > 50,
    RowCount between 1 and 2 labels = ["over" = "run"],
    IsUnique "transaction_id",
    RowCount > 0.9 * avg(last(3)),
    Mean "amount" > abs(10 / last()),
    Mean "amount" < 1000000,
    Completeness "amount" > 0.99 labels = ["action" = "warn"],
    ColumnValues "amount" > 0 with threshold > 0.5"#;

fn hour() -> Hour {
    Hour::parse(HOUR).unwrap()
}

async fn world(rules: &str) -> (World, Engine) {
    let world = World::with(RECIPE, &RULES.replace("RowCount > 0", rules)).await;
    let engine = world.engine("recipe.yaml").await;
    (world, engine)
}

/// The rows of `events` that go on.
fn rows(engine: &Engine, events: &[Event]) -> (Batch, Vec<Reject>) {
    let lines: Vec<String> = events.iter().map(Event::line).collect();
    let records: Vec<RawRecord<'_>> = (1u64..)
        .zip(&lines)
        .map(|(n, line)| {
            let position =
                Position { sequence: Sequence::new(&n.to_string()), ..Position::default() };
            let (source, shard) = ("events".into(), "s-0".into());
            let coordinates =
                Coordinates { source, shard, position, arrival: Some(1_800_000_000_000) };
            RawRecord { coordinates, data: line.as_bytes(), landed: false }
        })
        .collect();
    let intake = engine.intake(&records).unwrap();
    (intake.batch, intake.rejects)
}

fn count(rules: &HourRules, part: &mut HourPart, batch: &Batch, rejects: &[Reject], most: usize) {
    let news = News {
        columns: &batch.columns,
        rows: batch.len(),
        repeats: 1,
        rejects,
        warned: vec!["w"],
        state: Some("memory:lake/s.json"),
    };
    rules.count(part, &news, most);
}

async fn put(world: &World, hour: Hour, name: &str, part: &HourPart) {
    let url = format!("{ARTIFACTS}/{}{hour}/{name}.json", folder("card-transactions"));
    world.lake().write(&url, part.to_json().unwrap()).await.unwrap();
}

async fn judged(world: &World, hour: Hour) -> QualityResult {
    judge(&world.shop, ARTIFACTS, URL, hour).await.unwrap().unwrap().result
}

fn outcomes(result: &QualityResult) -> Vec<RuleStatus> {
    // After the rules about single records, which are six.
    result.outcomes[6..].iter().map(|rule| rule.outcome).collect()
}

#[test]
fn hours_are_named() {
    assert_eq!(hour().to_string(), HOUR);
    assert_eq!(Hour::of(1_795_413_600_000 - 1).to_string(), "2026-11-23T05");
    assert_eq!(hour().before(7).to_string(), "2026-11-22T23");
    for bad in ["2026-11-23", "2026-11-23T24", "2026-11-23T6", "2026-11-23T06:00", ""] {
        assert_eq!(Hour::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn parts_merge_into_the_hour_however_rows_are_cut() {
    let (_, engine) = world(ASKED).await;
    let rules = HourRules::of(&engine, None, hour(), &History::NONE).unwrap().unwrap();
    let (all, rejects) = rows(&engine, &events(120, 9));
    for (seed, most) in [(3, MOST_VALUES), (7, MOST_VALUES), (11, MOST_VALUES), (5, 1)] {
        // A row goes to one of three environments, in batches of different lengths.
        let mut parts = [rules.start(), rules.start(), rules.start()];
        let (mut at, mut step) = (0, seed);
        while at < all.len() {
            step = step * 7919 % 10_007;
            let end = (at + 1 + step % 13).min(all.len());
            let batch = all.gather(&(at..end).collect::<Vec<_>>());
            count(&rules, &mut parts[step % 3], &batch, &rejects[..0], most);
            at = end;
        }
        let batches = parts.iter().map(|part| part.repeats).sum();
        let [mut merged, b, c] =
            parts.map(|part| serde_json::from_slice::<HourPart>(&part.to_json().unwrap()).unwrap());
        merged.merge(c).unwrap();
        merged.merge(b).unwrap();
        let mut whole = rules.start();
        count(&rules, &mut whole, &all, &rejects[..0], most);
        (whole.repeats, whole.warned) = (batches, [("w".to_owned(), batches)].into());
        assert_eq!(merged.rows, whole.rows);
        // Beyond the bound each environment keeps a sample of its own.
        if most == MOST_VALUES {
            assert_eq!(merged.to_json().unwrap(), whole.to_json().unwrap(), "{seed}");
        }
    }
}

#[tokio::test]
async fn an_hour_is_judged_once() {
    let (world, engine) = world(ASKED).await;
    for (back, events) in [(2, events(120, 9)), (1, events(100, 9))] {
        let hour = hour().before(back);
        let rules = HourRules::of(&engine, None, hour, &History::NONE).unwrap().unwrap();
        let (all, rejects) = rows(&engine, &events);
        let rows = all.len() as u64;
        for (name, at) in [("e-1", 0), ("e-2", 40)] {
            let mut part = rules.start();
            let end = if at == 0 { 40 } else { all.len() };
            count(
                &rules,
                &mut part,
                &all.gather(&(at..end).collect::<Vec<_>>()),
                &rejects,
                MOST_VALUES,
            );
            put(&world, hour, name, &part).await;
        }
        let result = judged(&world, hour).await;
        assert_eq!((result.rows, result.run.as_str()), (rows, hour.to_string().as_str()));
        // Some events were sent twice: here nobody told that they repeat an identity. Of the first hour there is no
        // earlier mean to divide by, of the second there is.
        let of_mean = if back == 2 { Skipped } else { Passed };
        let of_count = if back == 2 { Passed } else { Failed };
        let expected = [Passed, Skipped, Failed, of_count, of_mean, Passed, Failed, Passed];
        assert_eq!(outcomes(&result), expected, "{:?}", result.outcomes);
        assert_eq!(
            result.outcomes[7].reason.as_deref(),
            Some("its label `over` says that it is not asked of an hour")
        );
        assert_eq!(result.counts["already_applied"], 2);
        assert!(result.halts() && result.measured.contains_key("Column.amount.Mean"));
        // What comes late changes nothing that was told.
        let mut late = rules.start();
        count(&rules, &mut late, &all, &rejects, MOST_VALUES);
        put(&world, hour, "e-3", &late).await;
        assert_eq!(judged(&world, hour).await, result);
    }
}

#[tokio::test]
async fn of_an_hour_without_rows_only_their_number_is_asked() {
    let (world, _) = world(&format!("{ASKED}, RowCount >= 0")).await;
    let none = judge(&world.shop, ARTIFACTS, URL, hour()).await.unwrap();
    assert!(none.is_none(), "nobody has started the stream yet");
    let earlier = format!("{ARTIFACTS}/{}{}/e.json", folder("card-transactions"), hour().before(9));
    world.lake().write(&earlier, "{}").await.unwrap();
    let result = judged(&world, hour()).await;
    let expected = [Failed, Skipped, Skipped, Failed, Skipped, Skipped, Skipped, Skipped, Passed];
    assert_eq!(outcomes(&result), expected, "{:?}", result.outcomes);
    assert_eq!(result.measured["Dataset.*.RowCount"], 0.0);
    let (silent, _) = self::world("RowCount > 0 labels = [\"over\" = \"run, batch\"]").await;
    assert!(judge(&silent.shop, ARTIFACTS, URL, hour()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_not_kept_cannot_fail_an_hour() {
    let (world, engine) =
        world("IsUnique \"transaction_id\", DistinctValuesCount \"transaction_id\" > 5").await;
    let rules = HourRules::of(&engine, None, hour(), &History::NONE).unwrap().unwrap();
    let mut events = events(300, 9);
    events.dedup_by_key(|event| event.id);
    let (all, _) = rows(&engine, &events);
    let mut part = rules.start();
    count(&rules, &mut part, &all, &[], 64);
    let json = String::from_utf8(part.to_json().unwrap()).unwrap();
    assert!(json.len() < 64 * 24 + 2000, "{}", json.len());
    put(&world, hour(), "e-1", &part).await;
    let result = judged(&world, hour()).await;
    assert_eq!(outcomes(&result), [Skipped, Passed], "{:?}", result.outcomes);
    let said = |at: usize| result.outcomes[at].reason.clone().unwrap();
    assert!(said(6).contains("too many distinct values"), "{}", said(6));
    assert!(said(7).contains("estimated"), "{}", said(7));
    assert!(result.passed && !result.halts());
}

#[tokio::test]
async fn the_recipe_of_most_rows_is_judged() {
    let (world, engine) = world("RowCount > 50").await;
    let rules = HourRules::of(&engine, None, hour(), &History::NONE).unwrap().unwrap();
    let (all, rejects) = rows(&engine, &events(60, 9));
    let mut part = rules.start();
    count(&rules, &mut part, &all, &rejects, MOST_VALUES);
    put(&world, hour(), "a", &HourPart { recipe_hash: "0".repeat(64), rows: 7, ..part.clone() })
        .await;
    put(&world, hour(), "b", &part).await;
    let result = judged(&world, hour()).await;
    assert_eq!((result.rows, result.counts["of_other_recipes"]), (all.len() as u64, 7));
    // The other recipe is looked for beside the deployed one.
    let before = hour().before(1);
    put(&world, before, "a", &HourPart { recipe_hash: "0".repeat(64), ..part.clone() }).await;
    let why = judge(&world.shop, ARTIFACTS, URL, before).await.unwrap_err().to_string();
    assert!(why.contains(&format!("recipes/{}/recipe.yaml", "0".repeat(64))), "{why}");
    world
        .lake()
        .write(
            &format!("{ARTIFACTS}/{}{}/c.json", folder("card-transactions"), hour().before(2)),
            "no",
        )
        .await
        .unwrap();
    let why = judge(&world.shop, ARTIFACTS, URL, hour().before(2)).await.unwrap_err().to_string();
    assert!(why.contains("c.json"), "{why}");
}

#[tokio::test]
async fn drift_is_held_against_the_state_that_served() {
    let (world, engine) = world("RowCount > 0").await;
    let sent = events(100, 9);
    world.publish("a", 4, 1, &sent).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    let learnt = world.fit(&job).await.unwrap();
    let text = "leat: 1\nlimits: {missing: 1}\ncolumns: {merchant_category: {unseen: 0.1}}\n";
    world.lake().write("memory:lake/recipes/drift.yaml", text).await.unwrap();
    let limits = limits(world.lake(), URL).await.unwrap().unwrap();
    let (all, _) = rows(&engine, &sent);
    let slot = engine.recipe().schema.fields.iter().position(|f| f.name == "merchant_category");
    let mut moved = all.clone();
    moved.columns[slot.unwrap()] = Column::strings(vec![Some("toys"); all.len()]);
    for (back, batch, state, failed) in [
        (3, &all, Some(learnt.as_str()), Some(0)),
        (2, &moved, Some(learnt.as_str()), Some(1)),
        (1, &all, None, None),
    ] {
        let hour = hour().before(back);
        let rules = HourRules::of(&engine, Some(&limits), hour, &History::NONE).unwrap().unwrap();
        let mut part = rules.start();
        let (columns, rows) = (&batch.columns, batch.len());
        let news = News { columns, rows, repeats: 0, rejects: &[], warned: vec![], state };
        rules.count(&mut part, &news, MOST_VALUES);
        put(&world, hour, "a", &part).await;
        let result = judged(&world, hour).await;
        let drift = result.drift.clone().unwrap();
        assert_eq!(drift.against.as_deref(), state);
        match failed {
            None => assert!(drift.reason.unwrap().contains("no fitted state served")),
            Some(failed) => {
                assert_eq!(drift.failed().count(), failed, "{drift:?}");
                assert!(drift.judged.iter().any(|limit| limit.column == "merchant_category"));
                assert!(result.measured.contains_key("Column.merchant_category.Drift.unseen"));
                assert_eq!((result.passed, result.halts()), (failed == 0, false));
            }
        }
        let json = String::from_utf8(result.to_json().unwrap()).unwrap();
        assert!(!json.contains("toys"), "{json}");
    }
}
