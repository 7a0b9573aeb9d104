//! Glue and Step Functions.

use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::error::SdkError;
use aws_sdk_glue::operation::start_job_run::StartJobRunError;
use aws_sdk_glue::types::{JobRun, JobRunState};
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use leat_aws::{Aws, Failure, from_sdk};
use tokio::sync::OnceCell;

use super::{Jobs, Order, Ordered, Run};
use crate::dataset::Start;

/// The argument that carries a claim.
const CLAIM: &str = "--leat-claim";
/// Runs a page when looking for one by its claim, and pages at most. Glue gives the newest first.
const FIND_PAGE: i32 = 100;
const FIND_PAGES: usize = 50;
/// A run cannot be older than its claim by more than two clocks may differ, in milliseconds.
const CLOCKS: i64 = 10 * 60 * 1000;

/// The services of an account.
#[derive(Debug)]
pub struct AwsJobs<'a> {
    aws: &'a Aws,
    glue: OnceCell<aws_sdk_glue::Client>,
    sfn: OnceCell<aws_sdk_sfn::Client>,
}

impl<'a> AwsJobs<'a> {
    /// The services that `aws` leads to. A client is made when it is needed first.
    pub fn new(aws: &'a Aws) -> Self {
        AwsJobs { aws, glue: OnceCell::new(), sfn: OnceCell::new() }
    }

    async fn glue(&self) -> &aws_sdk_glue::Client {
        self.glue.get_or_init(async || aws_sdk_glue::Client::new(self.aws.config().await)).await
    }

    async fn sfn(&self) -> &aws_sdk_sfn::Client {
        self.sfn.get_or_init(async || aws_sdk_sfn::Client::new(self.aws.config().await)).await
    }

    async fn start_glue(&self, job: &str, order: &Order<'_>) -> Ordered {
        let Start::Glue { arguments, .. } = order.start else {
            return Ordered::Refused(Failure::Config(format!("`{job}` is no Glue job")));
        };
        let added = order.arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let arguments = arguments.clone().into_iter().chain(added).collect();
        let call = self.glue().await.start_job_run().job_name(job).set_arguments(Some(arguments));
        // The SDK must not try again by itself: a call that timed out may have started a run.
        let once = aws_sdk_glue::config::Builder::new().retry_config(RetryConfig::disabled());
        let what = format!("StartJobRun of the Glue job `{job}`");
        match call.customize().config_override(once).send().await {
            Ok(started) => match started.job_run_id {
                Some(run) => Ordered::Started(run),
                None => Ordered::Unknown(Failure::Busy(format!("{what} answered no run id"))),
            },
            Err(why) => refusal(&what, &why, |why| match why {
                StartJobRunError::ConcurrentRunsExceededException(_) => Class::Busy,
                StartJobRunError::EntityNotFoundException(_)
                | StartJobRunError::InvalidInputException(_) => Class::Mend,
                StartJobRunError::ResourceNumberLimitExceededException(_) => Class::Later,
                _ => Class::Other,
            }),
        }
    }

    async fn start_machine(&self, arn: &str, order: &Order<'_>) -> Ordered {
        let input: serde_json::Map<_, _> = order
            .arguments
            .iter()
            .map(|(name, value)| (name.trim_start_matches("--leat-").into(), value.clone().into()))
            .collect();
        let input = serde_json::Value::Object(input).to_string();
        // The name makes a repeat the same execution, so that the SDK may try again.
        let call = self.sfn().await.start_execution().state_machine_arn(arn).name(order.claim);
        let what = format!("StartExecution of `{arn}`");
        match call.input(input).send().await {
            Ok(started) => Ordered::Started(started.execution_arn),
            Err(SdkError::ServiceError(why)) if why.err().is_execution_already_exists() => {
                Ordered::Started(execution(arn, order.claim))
            }
            Err(why) => refusal(&what, &why, |why| match why {
                StartExecutionError::ExecutionLimitExceeded(_) => Class::Busy,
                StartExecutionError::InvalidArn(_)
                | StartExecutionError::InvalidExecutionInput(_)
                | StartExecutionError::InvalidName(_)
                | StartExecutionError::StateMachineDeleting(_)
                | StartExecutionError::StateMachineDoesNotExist(_)
                | StartExecutionError::ValidationException(_) => Class::Mend,
                _ => Class::Other,
            }),
        }
    }

    async fn glue_run(&self, job: &str, run: &str) -> Result<Option<Run>, Failure> {
        let call = self.glue().await.get_job_run().job_name(job).run_id(run);
        match call.send().await {
            Ok(got) => Ok(got.job_run.map(|run| told(&run))),
            Err(SdkError::ServiceError(why)) if why.err().is_entity_not_found_exception() => {
                Ok(None)
            }
            Err(why) => Err(from_sdk(&format!("GetJobRun of `{run}` of `{job}`"), &why)),
        }
    }

    async fn execution(&self, arn: &str) -> Result<Option<Run>, Failure> {
        let call = self.sfn().await.describe_execution().execution_arn(arn);
        let got = match call.send().await {
            Ok(got) => got,
            Err(SdkError::ServiceError(why)) if why.err().is_execution_does_not_exist() => {
                return Ok(None);
            }
            Err(why) => return Err(from_sdk(&format!("DescribeExecution of `{arn}`"), &why)),
        };
        let ended = match got.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
            status => Some(status.as_str().to_owned()),
        };
        Ok(Some(Run { claim: got.name, end: ended, error: got.error }))
    }

    async fn find_glue(&self, job: &str, order: &Order<'_>) -> Result<Option<String>, Failure> {
        let mut from = None;
        for _ in 0..FIND_PAGES {
            let call = self.glue().await.get_job_runs().job_name(job).max_results(FIND_PAGE);
            let page = call.set_next_token(from.take()).send().await;
            let page = page.map_err(|why| from_sdk(&format!("GetJobRuns of `{job}`"), &why))?;
            for run in page.job_runs.unwrap_or_default() {
                if claim_of(&run) == Some(order.claim) {
                    return Ok(run.id);
                }
                let started = run.started_on.and_then(|at| at.to_millis().ok());
                if started.is_some_and(|at| at < order.since.saturating_sub(CLOCKS)) {
                    return Ok(None);
                }
            }
            from = page.next_token.filter(|token| !token.is_empty());
            if from.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

impl Jobs for AwsJobs<'_> {
    async fn start(&self, order: &Order<'_>) -> Ordered {
        match order.start {
            Start::Glue { job, .. } => self.start_glue(job, order).await,
            Start::StateMachine(arn) => self.start_machine(arn, order).await,
        }
    }

    async fn run(&self, start: &Start, run: &str) -> Result<Option<Run>, Failure> {
        match start {
            Start::Glue { job, .. } => self.glue_run(job, run).await,
            Start::StateMachine(_) => self.execution(run).await,
        }
    }

    async fn find(&self, order: &Order<'_>) -> Result<Option<String>, Failure> {
        match order.start {
            Start::Glue { job, .. } => self.find_glue(job, order).await,
            Start::StateMachine(arn) => {
                let arn = execution(arn, order.claim);
                Ok(self.execution(&arn).await?.map(|_| arn))
            }
        }
    }
}

/// What a service's own error says of a start.
enum Class {
    /// As many run as may.
    Busy,
    /// Not now.
    Later,
    /// A person must change something.
    Mend,
    /// The code decides.
    Other,
}

fn refusal<E, R>(what: &str, why: &SdkError<E, R>, class: impl Fn(&E) -> Class) -> Ordered
where
    E: aws_sdk_glue::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let failure = from_sdk(what, why);
    match why {
        SdkError::ServiceError(service) => match class(service.err()) {
            Class::Busy => Ordered::Busy,
            Class::Later => Ordered::Refused(Failure::Busy(failure.to_string())),
            Class::Mend => Ordered::Refused(Failure::Config(failure.to_string())),
            // A throttled or forbidden call started nothing; an internal error or a time-out may have.
            Class::Other => match (&failure, service.err().code()) {
                (Failure::Config(_), _) | (_, Some("ThrottlingException")) => {
                    Ordered::Refused(failure)
                }
                _ => Ordered::Unknown(failure),
            },
        },
        SdkError::ConstructionFailure(_) => Ordered::Refused(failure),
        _ => Ordered::Unknown(failure),
    }
}

/// The ARN of the execution `name` of a (standard) state machine.
fn execution(machine: &str, name: &str) -> String {
    format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1))
}

fn claim_of(run: &JobRun) -> Option<&str> {
    run.arguments.as_ref()?.get(CLAIM).map(String::as_str)
}

fn told(run: &JobRun) -> Run {
    use JobRunState as S;
    let end = match &run.job_run_state {
        Some(
            state @ (S::Succeeded | S::Failed | S::Timeout | S::Error | S::Stopped | S::Expired),
        ) => Some(state.as_str().to_owned()),
        _ => None,
    };
    Run { claim: claim_of(run).map(Into::into), end, error: run.error_message.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        for (state, end) in [
            (JobRunState::Running, None),
            (JobRunState::Waiting, None),
            (JobRunState::Stopping, None),
            (JobRunState::Succeeded, Some("SUCCEEDED")),
            (JobRunState::Timeout, Some("TIMEOUT")),
            (JobRunState::Expired, Some("EXPIRED")),
        ] {
            let run = JobRun::builder().job_run_state(state).arguments(CLAIM, "c").build();
            assert_eq!(told(&run).end.as_deref(), end);
            assert_eq!(told(&run).claim.as_deref(), Some("c"));
        }
        let run = JobRun::builder().error_message("DataQualityError: DataQuality.Failed: 3 rules");
        assert!(told(&run.build()).halted());
        assert_eq!(told(&JobRun::builder().build()), Run::default());
    }

    #[test]
    fn executions() {
        assert_eq!(
            execution("arn:aws:states:eu-west-1:1:stateMachine:m", "c_1"),
            "arn:aws:states:eu-west-1:1:execution:m:c_1"
        );
    }
}
