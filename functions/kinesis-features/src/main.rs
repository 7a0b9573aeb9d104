//! `kinesis-features`: events of a stream become features and predictions; each entity's state, marks and outbox are
//! committed first, then the rows are emitted.

mod answer;
mod config;
mod entity;
mod handler;
mod intake;
mod model;
mod rows;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::SystemTime;

use config::Config;
use handler::{Ports, handle};
use leat_aws::{Aws, Failure};
use leat_lake::{Asides, Lake};
use leat_stream::endpoint::SageMaker;
use leat_stream::sink::AnySink;
use leat_stream::store::Stores;
use model::Models;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let vars = leat_aws::vars();
        let config = Config::from_vars(&vars)?;
        let (aws, lake) = (Aws::default(), Lake::new(&vars));
        let models = Models::start(&config, &lake, &aws).await?;
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
        leat_aws::serve(async |event, call| {
            let now = SystemTime::now();
            let model = models.current(now).await?;
            let handled = handle(&ports, &model, &config.limits, event, &call, now).await?;
            if handled.superseded {
                models.forget();
            }
            handled.accounts.report("kinesis-features", &model.engine.recipe().name);
            Ok(handled.answer)
        })
        .await
    })
    .await
}
