//! `quality-gate`: which files a training run reads, what the rules say of them, and whether the run goes on.

mod config;
mod handler;
mod hour;

use std::process::ExitCode;

use config::Config;
use leat_aws::Aws;
use leat_batch::Workshop;
use leat_jobs::tasks;
use leat_lake::Lake;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let (vars, aws) = (leat_aws::vars(), Aws::default());
        let config = Config::from_vars(&vars, &aws)?;
        let keys = leat_aws::keys(config.keys.as_ref(), &aws).await?;
        let shop = Workshop::new(Lake::new(&vars), keys).within(&config.artifacts);
        leat_aws::serve(async |event, call| {
            let work = handler::handle(&config, &shop, event);
            tasks::answer(&config.tasks, event, call.deadline, work).await
        })
        .await
    })
    .await
}
