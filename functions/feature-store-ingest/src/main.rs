//! `feature-store-ingest`: the features of a run's entity bucket become records of a Feature Store's group.

mod config;
mod handler;
mod progress;
mod records;
mod store;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use config::Config;
use handler::handle;
use leat_aws::Aws;
use leat_jobs::tasks;
use leat_lake::Lake;
use records::Roles;
use store::AnyStore;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let (vars, aws) = (leat_aws::vars(), Aws::default());
        let config = Config::from_vars(&vars, &aws)?;
        let lake = Lake::new(&vars);
        let roles = Roles::read(&lake, &config.recipe).await?;
        let store = AnyStore::open(&config.group, &aws).await;
        leat_aws::serve(async |event, call| {
            let work = handle(&config, &roles, &lake, &store, event, call.deadline);
            tasks::answer(&config.tasks, event, call.deadline, work).await
        })
        .await
    })
    .await
}
