//! Tasks of Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use leat_aws::{Aws, Failure, from_sdk};
use tokio::sync::OnceCell;

use super::{CAUSE_MAX, Heard, Tasks, Token, cut};

/// Tasks of Step Functions, in the region of the settings.
#[derive(Debug)]
pub struct SfnTasks {
    aws: Aws,
    client: OnceCell<Client>,
}

impl SfnTasks {
    /// The service that `aws` leads to. The client is made when it is needed first.
    pub fn new(aws: Aws) -> Self {
        SfnTasks { aws, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(self.aws.config().await)).await
    }
}

impl Tasks for SfnTasks {
    async fn heartbeat(&self, token: &Token) -> Result<Heard, Failure> {
        let call = self.client().await.send_task_heartbeat().task_token(token.secret());
        heard("SendTaskHeartbeat", call.send().await)
    }

    async fn success(&self, token: &Token, output: &str) -> Result<Heard, Failure> {
        let call = self.client().await.send_task_success().task_token(token.secret());
        heard("SendTaskSuccess", call.output(output).send().await)
    }

    async fn failure(&self, token: &Token, why: &Failure) -> Result<Heard, Failure> {
        let call = self.client().await.send_task_failure().task_token(token.secret());
        let cause = why.to_string();
        let call = call.error(why.word()).cause(cut(&cause, CAUSE_MAX));
        heard("SendTaskFailure", call.send().await)
    }
}

/// What an answer means. See "Errors" of the three calls in the API reference: a task that ended is "timed out", too.
fn heard<A, E, R>(call: &str, answer: Result<A, SdkError<E, R>>) -> Result<Heard, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let Err(why) = answer else { return Ok(Heard::Waits) };
    match why.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("TaskTimedOut" | "TaskDoesNotExist") => Ok(Heard::Nobody),
        // The service's text is left out: it may repeat what it was given.
        Some(code @ ("InvalidToken" | "InvalidOutput")) => {
            Err(Failure::Input(format!("{call}: {code}")))
        }
        _ => Err(from_sdk(call, &why)),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::error::ErrorMetadata;
    use aws_sdk_sfn::operation::send_task_success::SendTaskSuccessError as Error;

    use super::*;

    #[test]
    fn answers() {
        let told = |code: &str| {
            let why = Error::generic(ErrorMetadata::builder().code(code).message("AAAA").build());
            heard::<(), _, _>("SendTaskSuccess", Err(SdkError::service_error(why, ())))
        };
        assert_eq!(heard::<_, Error, ()>("SendTaskSuccess", Ok(())), Ok(Heard::Waits));
        for code in ["TaskTimedOut", "TaskDoesNotExist"] {
            assert_eq!(told(code), Ok(Heard::Nobody));
        }
        for (code, word) in [
            ("InvalidToken", "Input.Invalid"),
            ("InvalidOutput", "Input.Invalid"),
            ("ThrottlingException", "Service.Busy"),
            ("KmsThrottlingException", "Service.Busy"),
            ("AccessDeniedException", "Config.Invalid"),
        ] {
            assert_eq!(told(code).unwrap_err().word(), word, "{code}");
        }
        assert!(!told("InvalidToken").unwrap_err().to_string().contains("AAAA"));
    }
}
