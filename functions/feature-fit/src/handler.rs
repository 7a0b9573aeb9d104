//! One event, one step of a run.

use leat_aws::{Failure, metrics};
use leat_batch::{Workshop, fit};
use serde::Deserialize;
use serde_json::{Value, json};

const FUNCTION: &str = "feature-fit";

/// A step of a run.
#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
enum Event {
    Partial { run_folder: String, level: usize, bucket: u32 },
    Merge { run_folder: String, level: usize },
}

/// Does the step that `event` asks for.
pub async fn handle(shop: &Workshop, event: &str) -> Result<Value, Failure> {
    let event = serde_json::from_str(event)
        .map_err(|why| Failure::Input(format!("this is no step of a fit: {why}")))?;
    match event {
        Event::Partial { run_folder, level, bucket } => {
            let job = shop.job(&run_folder).await?;
            let rows = fit::partial(&job, level, bucket).await?;
            metrics(FUNCTION, job.run.recipe(), &[("rows", rows)]);
            Ok(json!({"bucket": bucket}))
        }
        Event::Merge { run_folder, level } => {
            let job = shop.job(&run_folder).await?;
            let merged = fit::merge(&job, level).await?;
            metrics(FUNCTION, job.run.recipe(), &[("rows", merged.rows)]);
            let mut answer = json!({
                "level": level,
                "levels": merged.levels,
                "done": merged.state.is_some(),
                "next": level + 1,
            });
            if let Some(state) = merged.state {
                answer["state"] = state.url.into();
                answer["state_hash"] = state.hash.into();
                answer["recipe_hash"] = job.snapshot.recipe_hash.into();
                answer["state_plan"] = job.snapshot.state_plan.into();
            }
            Ok(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leat_lake::Lake;

    #[tokio::test]
    async fn refusals_have_a_word() {
        let shop =
            Workshop::new(Lake::new(&Default::default()), None).within("memory:lake/artifacts");
        let partial = include_str!("../../../events/feature-fit.json");
        let merge = include_str!("../../../events/feature-fit.merge.json");
        let elsewhere = merge.replace("invoke/artifacts", "invoke/elsewhere");
        for (event, words) in [
            (partial, "snapshot.json does not exist"),
            (merge, "snapshot.json does not exist"),
            (&elsewhere, "is no folder of a run in memory:lake/artifacts/"),
            ("{\"step\":\"learn\"}", "no step of a fit"),
            ("{", "no step of a fit"),
        ] {
            let event = event.replace("file:.leat/invoke/", "memory:lake/");
            let why = handle(&shop, &event).await.unwrap_err();
            assert_eq!(why.word(), "Input.Invalid", "{why}");
            assert!(why.to_string().contains(words), "no `{words}` in: {why}");
        }
    }
}
