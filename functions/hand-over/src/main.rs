//! `hand-over`: a promotion brings another state plan. The stream is marked, landing is awaited up to the marks, and each
//! entity's item is made anew from its past, up to the very record that was applied last.

mod config;
mod handler;
mod land;
mod load;
mod mark;
mod sealed;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use config::Config;
use handler::{Ports, handle};
use leat::protect::Keys;
use leat_aws::{Aws, Failure};
use leat_batch::BatchError;
use leat_lake::{Lake, read_recipe};
use leat_stream::shards::AnyShards;
use leat_stream::store::Stores;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let vars = leat_aws::vars();
        let config = Config::from_vars(&vars)?;
        let ledger = leat_jobs::config::Config::from_vars(&vars)?;
        let (aws, lake) = (Aws::default(), Lake::new(&vars));
        let keys = match &config.keys {
            None => None,
            Some(source) => Some(
                Keys::from_secret(&source.read(&aws).await?)
                    .map_err(|why| Failure::Config(format!("LEAT_KEYS: {why}")))?,
            ),
        };
        let deployed = read_recipe(&lake, &config.recipe, keys.clone()).await;
        let ports = Ports {
            store: Stores::open(&config.state, &aws).await,
            shards: AnyShards::open(&config.stream, &aws).await,
            starter: ledger.starter(&aws).await?,
            deployed: deployed.map_err(BatchError::from)?,
            keys,
            lake,
            aws: &aws,
            config: &config,
        };
        leat_aws::serve(async |event, _| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            handle(&ports, event, now).await
        })
        .await
    })
    .await
}
