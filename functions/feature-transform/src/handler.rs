//! One event, one step of a run.

use leat_aws::{Failure, metrics};
use leat_batch::curate::{self, Counts, Wanted};
use leat_batch::{Slice, Workshop, finish};
use serde::Deserialize;
use serde_json::{Value, json};

const FUNCTION: &str = "feature-transform";

/// A step of a run.
#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
enum Event {
    Bucket {
        run_folder: String,
        bucket: u32,
        state: String,
        recipe: Option<String>,
        name: String,
        slices: Option<Vec<Slice>>,
    },
    Finish {
        run_folder: String,
        name: String,
    },
}

/// Does the step that `event` asks for.
pub async fn handle(shop: &Workshop, curated: &str, event: &str) -> Result<Value, Failure> {
    let event = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("this is no step of a transform: {why}")))?;
    match event {
        Event::Bucket { run_folder, bucket, state, recipe, name, slices } => {
            let job = shop.job(&run_folder).await?;
            let wanted = Wanted {
                name: &name,
                state: &state,
                recipe: recipe.as_deref(),
                slices: slices.as_deref().unwrap_or(&Slice::ALL),
                curated,
            };
            let bound = curate::bind(shop, &job, wanted).await?;
            let counts = curate::bucket(&job, &bound, bucket).await?;
            let rows = report(&counts, job.run.recipe());
            Ok(json!({"bucket": bucket, "rows": rows}))
        }
        Event::Finish { run_folder, name } => {
            let job = shop.job(&run_folder).await?;
            let finished = finish(&job, &name).await?;
            serde_json::to_value(finished)
                .map_err(|why| Failure::Input(format!("the sums cannot be told: {why}")))
        }
    }
}

fn report(counts: &Counts, recipe: &str) -> u64 {
    let rows = counts.slices.values().map(|slice| slice.rows).sum();
    let labelled = counts.slices.values().map(|slice| slice.labelled).sum();
    let told = [
        ("rows", rows),
        ("labelled", labelled),
        ("already_applied", counts.repeats),
        ("rejected", counts.rejects.count()),
        ("late", counts.late),
    ];
    metrics(FUNCTION, recipe, &told);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat_lake::Lake;

    #[tokio::test]
    async fn refusals_have_a_word() {
        let shop =
            Workshop::new(Lake::new(&Default::default()), None).within("memory:lake/artifacts");
        let bucket = include_str!("../../../events/feature-transform.json");
        let finish = include_str!("../../../events/feature-transform.finish.json");
        let elsewhere = finish.replace("invoke/artifacts", "invoke/elsewhere");
        let slice = bucket.replace("evaluate", "test");
        for (event, words) in [
            (bucket, "snapshot.json does not exist"),
            (finish, "snapshot.json does not exist"),
            (&elsewhere, "is no folder of a run in memory:lake/artifacts/"),
            (&slice, "no step of a transform"),
            ("null", "no step of a transform"),
        ] {
            let event = event.replace("file:.leat/invoke/", "memory:lake/");
            let why = handle(&shop, "memory:lake/curated/", &event).await.unwrap_err();
            assert_eq!(why.word(), "Input.Invalid", "{why}");
            assert!(why.to_string().contains(words), "no `{words}` in: {why}");
        }
    }
}
