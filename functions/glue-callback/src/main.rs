//! `glue-callback`: a job ended, says EventBridge; its manifest is followed, and what waits is started.

mod handler;

use std::process::ExitCode;

use leat_aws::Aws;
use leat_jobs::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let config = Config::from_vars(&leat_aws::vars())?; // pure; names all that is wrong
        let aws = Aws::default();
        let starter = config.starter(&aws).await?;
        leat_aws::serve(async |event, call| handler::handle(&starter, event, call).await).await
    })
    .await
}
