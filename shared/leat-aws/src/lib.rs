//! What each function starts with: its variables, the way to AWS, the words of failure, keys, and telemetry.
//!
//! A function's `main` reads like a sentence:
//!
//! ```no_run
//! # async fn handle(_: &str, _: leat_aws::Call) -> Result<(), leat_aws::Failure> { Ok(()) }
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> std::process::ExitCode {
//!     leat_aws::run(async {
//!         let vars = leat_aws::vars();
//!         let mut reader = leat_aws::Reader::new(&vars);
//!         let recipe = reader.text("LEAT_RECIPE", "the URL of recipe.yaml");
//!         reader.finish()?;
//!         leat_aws::serve(async |event, call| handle(event, call).await).await
//!     })
//!     .await
//! }
//! ```

mod aws;
mod config;
mod failure;
mod keys;
mod serve;
mod telemetry;
mod wait;

pub use aws::Aws;
pub use config::{Reader, Vars, vars};
pub use failure::{Failure, from_sdk};
pub use keys::{KeySource, keys};
pub use serve::{Call, Deadline, run, serve};
pub use telemetry::{Accounts, hour_metrics, metrics, quality_metrics};
pub use wait::{back_off, within};
