//! The same step again: the same bytes.

use leat_batch::{BatchError, Criteria, Slice, curate};

use crate::world::{World, events};

#[tokio::test]
async fn every_step_may_be_repeated() {
    let world = World::new().await;
    let all = events(200, 20);
    world.publish("a", 4, 1, &all[..90]).await;
    world.publish("b", 6, 91, &all[90..]).await;
    world.publish_labels("l", 1, &[(5, 70, 1)]).await;
    let first = world.run(true, Criteria::default()).await.unwrap();
    let objects = world.objects("memory:lake/").await;
    assert!(objects.keys().any(|key| key.starts_with("artifacts/quality/card-transactions/r-1")));
    assert!(objects.keys().any(|key| {
        key == "curated/card-transactions/run=r-1/name=candidate/bucket=01/part.parquet"
    }));
    let again = world.run(true, Criteria::default()).await.unwrap();
    assert_eq!(again, first);
    assert!(world.objects("memory:lake/").await == objects, "a repeat wrote something else");

    // What lands later is of another run.
    world.publish("c", 4, 1000, &events(20, 3)).await;
    world.run(true, Criteria::default()).await.unwrap();
    let later = world.objects("memory:lake/artifacts/").await;
    let before = world_part(&objects, "artifacts/");
    assert!(later == before, "the snapshot is not of one time");
}

fn world_part(
    objects: &std::collections::BTreeMap<String, Vec<u8>>,
    prefix: &str,
) -> std::collections::BTreeMap<String, Vec<u8>> {
    let strip = |(key, bytes): (&String, &Vec<u8>)| {
        Some((key.strip_prefix(prefix)?.to_owned(), bytes.clone()))
    };
    objects.iter().filter_map(strip).collect()
}

#[tokio::test]
async fn a_deploy_in_the_middle_changes_nothing() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(200, 20)).await;
    let job = world.begin(false, Criteria::default()).await.unwrap();
    let text = crate::world::RECIPE.replace("max_duration: 12h", "max_duration: 11h");
    world.lake().write("memory:lake/recipes/recipe.yaml", text).await.unwrap();
    // A worker that was not there before reads the run's own copy.
    let shop = leat_batch::Workshop::new(world.lake().clone(), None);
    let other = shop.job(crate::world::RUN).await.unwrap();
    assert_eq!(other.engine.hash(), job.engine.hash());
    assert!(job.snapshot.recipe_url.contains(job.engine.hash()), "{}", job.snapshot.recipe_url);
    // The deployed one is another.
    let state = world.fit(&other).await.unwrap();
    let wanted = curate::Wanted {
        name: "serving",
        state: &state,
        recipe: Some("memory:lake/recipes/recipe.yaml"),
        slices: &[Slice::Evaluate],
        curated: "memory:lake/curated/",
    };
    let refused = curate::bind(&shop, &other, wanted).await.unwrap_err();
    assert!(matches!(refused, BatchError::Recipe(_)), "{refused}");
    let bound =
        curate::bind(&shop, &other, curate::Wanted { recipe: None, ..wanted }).await.unwrap();
    for bucket in other.snapshot.numbers() {
        let counts = curate::bucket(&other, &bound, bucket).await.unwrap();
        assert_eq!(counts.slices.keys().collect::<Vec<_>>(), [&Slice::Evaluate]);
    }
    let finished = leat_batch::finish(&other, "serving").await.unwrap();
    assert!(finished.rows > 20 && finished.positives.train == 0);
}
