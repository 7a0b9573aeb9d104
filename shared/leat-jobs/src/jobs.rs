//! What runs the jobs: Glue, Step Functions, or a log line that says what would be started.

use std::collections::BTreeMap;
use std::future::Future;

use leat_aws::Failure;

use crate::dataset::Start;

pub mod aws;

/// A run that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    /// What to start.
    pub start: &'a Start,
    /// The claim: no other run has it.
    pub claim: &'a str,
    /// When it was claimed, in milliseconds since 1970.
    pub since: i64,
    /// What the starter adds to the configured arguments, by names such as `--leat-manifest`; the claim is among them.
    pub arguments: BTreeMap<&'static str, String>,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The run was started; its id.
    Started(String),
    /// As many runs as may be at once are. This is no error: the end of one of them starts the rest.
    Busy,
    /// Nothing was started, for this reason.
    Refused(Failure),
    /// A run may have been started: look for it by its claim before another one is.
    Unknown(Failure),
}

/// A run as its service tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The claim it carries; none if it is none of ours.
    pub claim: Option<String>,
    /// How it ended, as the service's word (`FAILED`, `TIMEOUT`, `SUCCEEDED`, …). None while it goes on.
    pub end: Option<String>,
    /// What it says of its failure, if it failed.
    pub error: Option<String>,
}

/// The word with which a run says that a rule halted the data.
const HALTED: &str = "DataQuality.Failed";

impl Run {
    /// True if it says that a rule halted the data.
    pub fn halted(&self) -> bool {
        self.error.as_deref().is_some_and(|text| text.contains(HALTED))
    }
}

/// Starts runs and tells of them.
pub trait Jobs: Send + Sync {
    /// Starts a run. Never tries twice by itself: the services know no idempotency token here.
    fn start(&self, order: &Order<'_>) -> impl Future<Output = Ordered> + Send;

    /// The run `run` of `start`; None if there is no such run, or no longer.
    fn run(
        &self,
        start: &Start,
        run: &str,
    ) -> impl Future<Output = Result<Option<Run>, Failure>> + Send;

    /// The id of the run that carries the order's claim, if one was started.
    fn find(
        &self,
        order: &Order<'_>,
    ) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

/// Says in the log what would be started, and lets it run for ever: somebody runs it by hand, and its publication ends it.
#[derive(Debug, Default)]
pub struct LogJobs;

impl Jobs for LogJobs {
    async fn start(&self, order: &Order<'_>) -> Ordered {
        match order.start {
            Start::Glue { job, arguments } => {
                tracing::info!(job, ?arguments, added = ?order.arguments, "would start a Glue job");
            }
            Start::StateMachine(arn) => {
                tracing::info!(arn, input = ?order.arguments, "would start a state machine");
            }
        }
        Ordered::Started(format!("log-{}", order.claim))
    }

    async fn run(&self, _: &Start, run: &str) -> Result<Option<Run>, Failure> {
        let claim = run.strip_prefix("log-").map(Into::into);
        Ok(claim.map(|claim| Run { claim: Some(claim), ..Run::default() }))
    }

    async fn find(&self, _: &Order<'_>) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}
