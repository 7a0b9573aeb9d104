//! `glue-callback`: a job ended, says EventBridge; who waits for it is resumed, its manifest is followed, and what waits is
//! started.

mod config;
mod handler;

use std::process::ExitCode;

use config::Config;
use leat_aws::Aws;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let aws = Aws::default();
        let Config { starter, tasks } = Config::from_vars(&leat_aws::vars(), &aws)?; // pure; names all that is wrong
        let starter = starter.starter(&aws).await?;
        leat_aws::serve(async |event, call| handler::handle(&starter, &*tasks, event, call).await)
            .await
    })
    .await
}
