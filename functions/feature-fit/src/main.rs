//! `feature-fit`: learns the fitted state of a training run, level by level, bucket by bucket.

mod handler;

use std::process::ExitCode;

use leat_aws::{Aws, KeySource, Reader};
use leat_batch::Workshop;
use leat_jobs::tasks::{self, AnyTasks};
use leat_lake::Lake;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    leat_aws::run(async {
        let (vars, aws) = (leat_aws::vars(), Aws::default());
        let mut reader = Reader::new(&vars);
        let artifacts = reader.text("LEAT_ARTIFACTS", "s3://<bucket>/artifacts/");
        let keys: Option<KeySource> = reader.maybe("LEAT_KEYS");
        let waiting = AnyTasks::read(&mut reader, &aws);
        reader.finish()?;
        let keys = leat_aws::keys(keys.as_ref(), &aws).await?;
        let shop = Workshop::new(Lake::new(&vars), keys).within(&artifacts);
        leat_aws::serve(async |event, call| {
            let work = handler::handle(&shop, event);
            tasks::answer(&waiting, event, call.deadline, work).await
        })
        .await
    })
    .await
}
