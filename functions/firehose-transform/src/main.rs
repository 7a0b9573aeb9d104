//! `firehose-transform`: records on their way to landing are decoded, checked, protected and normalised to JSON
//! lines that carry their coordinates and verdict.

mod answer;
mod config;
mod handler;
mod request;
#[cfg(test)]
mod tests;
mod transform;

use std::process::ExitCode;

use config::Config;
use handler::handle;
use leat::protect::Keys;
use leat_aws::{Aws, Failure};
use leat_lake::{Asides, Lake, RecipeError, read_recipe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let vars = leat_aws::vars();
        let config = Config::from_vars(&vars)?;
        let (aws, lake) = (Aws::default(), Lake::new(&vars));
        let keys = Keys::from_secret(&config.keys.read(&aws).await?)
            .map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))?;
        let engine = read_recipe(&lake, &config.recipe, Some(keys.clone())).await;
        let engine = engine.map_err(|why| match &why {
            RecipeError::Lake(error) => Failure::service(&why, error.is_transient()),
            RecipeError::Wrong(_) => Failure::Recipe(why.to_string()),
        })?;
        let aside = Asides::open(&config.quarantine, &lake)
            .map_err(|why| Failure::Config(format!("LEAT_QUARANTINE: {why}")))?;
        let landing = Asides::open(&config.landing, &lake)
            .map_err(|why| Failure::Config(format!("LEAT_LANDING: {why}")))?;
        leat_aws::serve(async |event, call| {
            let (answer, accounts) = handle(&engine, &keys, &aside, &landing, event, &call).await?;
            accounts.report("firehose-transform", &engine.recipe().name);
            Ok(answer)
        })
        .await
    })
    .await
}
