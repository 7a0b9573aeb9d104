//! `glue-start`: starts a Glue job's run for a workflow; `glue-callback` resumes the workflow when the run ends.

mod config;
mod handler;

use std::process::ExitCode;

use config::Config;
use leat_aws::Aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let aws = Aws::default();
        let config = Config::from_vars(&leat_aws::vars(), &aws)?; // pure; names all that is wrong
        let (ledger, jobs) = (config.ledger.open(&aws).await?, config.glue.open(&aws));
        leat_aws::serve(async |event, call| {
            handler::handle(&config, &ledger, &jobs, &*config.tasks, event, call).await
        })
        .await
    })
    .await
}
