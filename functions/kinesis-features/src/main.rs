//! `kinesis-features`: events of a stream become features and predictions; each entity's state, marks and outbox are
//! committed first, then the rows are emitted.

mod answer;
mod config;
mod entity;
mod handler;
mod intake;
mod model;
mod quality;
mod rows;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::SystemTime;

use config::Config;
use handler::{Ports, handle};
use leat_aws::{Aws, Failure};
use leat_batch::hour;
use leat_lake::{Asides, Lake};
use leat_stream::endpoint::SageMaker;
use leat_stream::sink::AnySink;
use leat_stream::store::Stores;
use model::Models;
use quality::Quality;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let vars = leat_aws::vars();
        let config = Config::from_vars(&vars)?;
        let (aws, lake) = (Aws::default(), Lake::new(&vars));
        let store = config.artifacts.as_ref().map(|url| lake.folder(url).map(Asides::Folder));
        let store =
            store.transpose().map_err(|why| Failure::Config(format!("LEAT_ARTIFACTS: {why}")))?;
        let limits = async {
            store.as_ref()?;
            // The stream is not held up by what only watches it.
            hour::limits(&lake, &config.recipe).await.unwrap_or_else(|why| {
                tracing::warn!("drift is not measured: {why}");
                None
            })
        };
        let (models, limits) = futures::join!(Models::start(&config, &lake, &aws), limits);
        let models = models?;
        let mut sinks = Vec::new();
        for url in &config.sinks {
            sinks.push(AnySink::open(url, &aws).await);
        }
        let ports = Ports {
            store: Stores::open(&config.state, &aws).await,
            sinks,
            endpoint: SageMaker::new(&aws),
            aside: Asides::open(&config.quarantine, &lake)
                .map_err(|why| Failure::Config(format!("LEAT_QUARANTINE: {why}")))?,
        };
        let quality = Quality::new(limits);
        leat_aws::serve(async |event, call| {
            let now = SystemTime::now();
            let model = models.current(now).await?;
            let handled = handle(&ports, &model, &config.limits, event, &call, now).await?;
            if handled.superseded {
                models.forget();
            }
            handled.accounts.report("kinesis-features", &model.engine.recipe().name);
            quality.take(&model.engine, &handled.settled, store.as_ref(), &call, now).await;
            Ok(handled.answer)
        })
        .await
    })
    .await
}
