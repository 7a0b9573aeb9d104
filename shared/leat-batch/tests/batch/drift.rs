//! Limits of drift beside the recipe: what a run says of them, and what later runs are held against.

use leat::quality::QualityResult;
use leat::quality::result::RuleStatus;
use leat::timestamp;
use leat_batch::{
    Baseline, BatchError, Criteria, Decision, Job, Run, Snapshot, Wanted, decide, measure,
};

use crate::world::{Event, World, events};

const RECIPE_URL: &str = "memory:lake/recipes/recipe.yaml";
const LIMITS: &str =
    "leat: 1\nlimits: {missing: 0.2}\ncolumns: {amount: {ks: 0.1}, channel: {unseen: 0}}\n";

async fn limits(world: &World, text: &str) {
    world.lake().write("memory:lake/recipes/drift.yaml", text.to_owned()).await.unwrap();
}

/// A run of a month of 2026 from snapshot to decision, held against the fitted state at `state`, where there is one.
async fn run(
    world: &World,
    month: u32,
    state: Option<&str>,
) -> Result<(Job, QualityResult), BatchError> {
    let url = format!("memory:lake/artifacts/runs/card-transactions/month-{month}/");
    let run = Run::open(world.lake(), &url)?;
    let engine = world.shop.read_engine(RECIPE_URL).await?;
    let kept = world.shop.keep_recipe(&run, RECIPE_URL, &engine).await?;
    let cleansed = world.folder("card-transactions");
    let wanted = Wanted {
        as_of: timestamp::parse(&format!("2026-{month:02}-01T00:00:00Z")).unwrap(),
        cleansed: &cleansed,
        engine: &engine,
        recipe_url: &kept,
        labels: None,
    };
    let snapshot = Snapshot::make(&run, wanted).await?.some()?;
    snapshot.drifting(&run, RECIPE_URL, &engine, state).await?.keep(&run).await?;
    let job = world.shop.job(&url).await?;
    for bucket in job.snapshot.numbers() {
        measure(&job, bucket).await?;
    }
    let decided = decide(&job, Criteria::default()).await?;
    Ok((job, decided.result))
}

/// Events as [`events`] has them, of which all have an amount that was never seen, by another channel's number.
fn others(count: u64) -> Vec<Event> {
    let other = |event: Event| Event { id: event.id + 10_000, amount: Some(1e6), ..event };
    events(count, 9).into_iter().map(other).collect()
}

#[tokio::test]
async fn a_run_is_held_against_the_newest_that_went_on() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    let (_, plain) = run(&world, 2, None).await.unwrap();
    assert_eq!((plain.drift, plain.passed), (None, true));

    limits(&world, LIMITS).await;
    let (_, first) = run(&world, 3, None).await.unwrap();
    let drift = first.drift.unwrap();
    assert!(first.passed && drift.judged.is_empty() && drift.against.is_none());
    assert!(drift.reason.unwrap().contains("no earlier run"));

    let (_, same) = run(&world, 4, None).await.unwrap();
    let drift = same.drift.as_ref().unwrap();
    assert_eq!(drift.against.as_deref(), Some("month-3"));
    let of = |column: &str| drift.judged.iter().filter(|j| j.column == column).count();
    assert_eq!((of("amount"), of("channel"), of("country")), (2, 2, 1));
    assert!(same.passed && drift.judged.iter().all(|j| j.value == Some(0.0)), "{drift:?}");
    assert_eq!(same.measured["Column.amount.Drift.ks"], 0.0);

    // What drifts is told, and goes on: it is what the next run is held against.
    world.publish("b", 4, 1000, &others(100)).await;
    let (job, warned) = run(&world, 5, None).await.unwrap();
    let failed: Vec<String> = warned.drift_failed().map(|limit| limit.told()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].starts_with("drift: `amount`: ks is 0.5"), "{failed:?}");
    assert_eq!((warned.passed, warned.halts(), warned.score), (false, false, Some(1.0)));
    assert!(Decision::read(&job).await.unwrap().passed);
    let (_, next) = run(&world, 6, None).await.unwrap();
    assert_eq!(next.drift.as_ref().unwrap().against.as_deref(), Some("month-5"));
    assert!(next.passed, "{:?}", next.drift);

    // The page beside the record: what drifted, what columns hold, and earlier runs.
    let pages = world.objects("memory:lake/artifacts/quality/card-transactions/").await;
    let page = String::from_utf8(pages["month-5.html"].clone()).unwrap();
    for words in ["Beyond, warns", "against <code>month-4</code>", "Distributions", "<polyline"] {
        assert!(page.contains(words), "no {words} in {page}");
    }
    // Card numbers are tokens, and no token is shown.
    let card = page.rsplit("<code>card_number</code>").next().unwrap();
    let card = card.split("</article>").next().unwrap();
    assert!(card.contains("values are not shown"), "{card}");
}

#[tokio::test]
async fn a_halted_run_is_nothing_to_compare_with() {
    let world = World::new().await;
    limits(&world, &format!("{LIMITS}action: halt\n")).await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    run(&world, 3, None).await.unwrap();
    world.publish("b", 4, 1000, &others(100)).await;
    for month in [4, 5] {
        let (job, halted) = run(&world, month, None).await.unwrap();
        assert_eq!(halted.drift.as_ref().unwrap().against.as_deref(), Some("month-3"));
        assert!(halted.halts() && halted.halted_by[0].starts_with("drift: `amount`: ks is"));
        let decision = Decision::read(&job).await.unwrap();
        assert_eq!((decision.passed, decision.failed), (false, halted.halted_by));
    }
    // Limits that were changed since are those of the next run; a repeat has its own.
    limits(&world, "leat: 1\nlimits: {missing: 0.2}\n").await;
    let before = world.objects("memory:lake/artifacts/").await;
    let (_, repeated) = run(&world, 5, None).await.unwrap();
    assert!(repeated.halts());
    assert!(world.objects("memory:lake/artifacts/").await == before, "a repeat wrote otherwise");
    assert!(run(&world, 6, None).await.unwrap().1.passed);
    // Neither a profile that is kept nor a record holds a text of a row.
    for (key, bytes) in world.objects("memory:lake/artifacts/quality/").await {
        let text = String::from_utf8(bytes).unwrap();
        for value in ["c-3", "m-1", "t-11", "travel"] {
            assert!(!text.contains(&format!("\"{value}\"")), "{value} in {key}");
        }
    }
}

#[tokio::test]
async fn columns_that_differ_and_columns_that_were_not_profiled() {
    let world = World::new().await;
    limits(&world, "leat: 1\ncolumns: {amount: {ks: 0.1}}\n").await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    run(&world, 3, None).await.unwrap();
    limits(&world, LIMITS).await;
    let (_, wider) = run(&world, 4, None).await.unwrap();
    let drift = wider.drift.unwrap();
    assert!(wider.passed && drift.judged.iter().all(|j| j.outcome == RuleStatus::Passed));
    let reason = drift.reason.unwrap();
    assert!(reason.starts_with("run month-3 has no profile of `transaction_id`"), "{reason}");
    assert!(reason.contains("`channel`") && !reason.contains("`amount`"), "{reason}");
    // A field that is new, of which nothing is profiled, is told all the same.
    let folder = "memory:lake/artifacts/quality/card-transactions/profiles/";
    let (key, bytes) = world.objects(folder).await.into_iter().next_back().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let mut baseline: Baseline = serde_json::from_str(&text).unwrap();
    baseline.fields.retain(|(name, _)| name != "country");
    let bytes = serde_json::to_vec(&baseline).unwrap();
    world.lake().folder(folder).unwrap().put(&key, bytes).await.unwrap();
    limits(&world, "leat: 1\ncolumns: {amount: {ks: 0.1}}\naction: halt\n").await;
    let (_, new) = run(&world, 5, None).await.unwrap();
    assert_eq!(new.halted_by, ["drift: `country` is new"]);
}

#[tokio::test]
async fn a_fitted_state_may_stand_for_earlier_data() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    let (job, _) = run(&world, 3, None).await.unwrap();
    let state = world.fit(&job).await.unwrap();
    limits(&world, "leat: 1\ncolumns: {channel: {unseen: 0}, merchant_id: {psi: 0.2}}\n").await;
    let (_, held) = run(&world, 4, Some(&state)).await.unwrap();
    let drift = held.drift.unwrap();
    assert_eq!(drift.against.as_deref(), Some(&*state));
    assert!(drift.judged.iter().all(|limit| !limit.fails()), "{drift:?}");
    assert_eq!(drift.judged.len(), 2);
    let why = run(&world, 5, Some(RECIPE_URL)).await.unwrap_err();
    assert!(why.to_string().contains(RECIPE_URL), "{why}");
}

#[tokio::test]
async fn wrong_limits_are_refused_before_anything_is_counted() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(100, 9)).await;
    for (text, words) in [
        ("leat: 1\nlimts: {}\n", "drift.yaml:2:1: `limts` is not a key"),
        ("leat: 1\ncolumns: {amont: {ks: 1}}\n", "drift.yaml:2:11: no column is named `amont`"),
    ] {
        limits(&world, text).await;
        let why = run(&world, 3, None).await.unwrap_err();
        assert!(matches!(why, BatchError::Recipe(_)), "{why}");
        assert!(why.to_string().contains(words), "{why}");
    }
}
