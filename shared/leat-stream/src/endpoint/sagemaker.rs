//! Predictions by a SageMaker endpoint.

use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::error::SdkError;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use leat_aws::{Aws, Failure, from_sdk};
use tokio::sync::OnceCell;

use super::{Endpoint, Refusal};

/// Endpoints of this account and region. The client is made when the first one is asked.
#[derive(Debug)]
pub struct SageMaker<'a> {
    aws: &'a Aws,
    client: OnceCell<Client>,
}

impl<'a> SageMaker<'a> {
    /// Endpoints as `aws` reaches them.
    pub fn new(aws: &'a Aws) -> Self {
        SageMaker { aws, client: OnceCell::new() }
    }
}

impl Endpoint for SageMaker<'_> {
    async fn invoke(&self, name: &str, csv: Vec<u8>, id: &str) -> Result<Vec<u8>, Refusal> {
        let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let client = self.client.get_or_init(async || Client::new(self.aws.config().await)).await;
        let answer = client
            .invoke_endpoint()
            .endpoint_name(name)
            .content_type("text/csv")
            .accept("text/csv")
            .inference_id(&id[..id.len().min(64)])
            .body(Blob::new(csv))
            .send()
            .await
            .map_err(|why| refusal(name, &why))?;
        Ok(answer.body.map(Blob::into_inner).unwrap_or_default())
    }
}

/// The model's own message can hold the payload: only its status is told.
fn refusal<R: std::fmt::Debug>(name: &str, error: &SdkError<InvokeEndpointError, R>) -> Refusal {
    match error.as_service_error() {
        Some(InvokeEndpointError::ModelError(model)) => match model.original_status_code() {
            Some(status @ 400..500) => {
                Refusal::Payload(format!("the model refused the row with status {status}"))
            }
            status => {
                let status = status.unwrap_or_default();
                Refusal::Call(Failure::Busy(format!(
                    "the model of {name} failed with status {status}"
                )))
            }
        },
        Some(InvokeEndpointError::ValidationError(_)) => Refusal::Call(Failure::Config(format!(
            "the endpoint {name} cannot be invoked: does it exist, and is it in service?"
        ))),
        Some(InvokeEndpointError::ModelNotReadyException(_)) => {
            Refusal::Call(Failure::Busy(format!("the model of {name} is not ready")))
        }
        _ => Refusal::Call(from_sdk(&format!("the endpoint {name}"), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sagemakerruntime::types::error::{ModelError, ValidationError};

    fn of(error: InvokeEndpointError) -> Refusal {
        refusal("e", &SdkError::service_error(error, ()))
    }

    #[test]
    fn only_the_models_own_4xx_is_the_payloads_fault() {
        let model = |status| {
            let error =
                ModelError::builder().original_status_code(status).original_message("4111 1111");
            of(InvokeEndpointError::ModelError(error.build()))
        };
        let Refusal::Payload(why) = model(400) else { panic!("400 is the payload's") };
        assert!(!why.contains("4111"), "{why}");
        assert!(matches!(model(500), Refusal::Call(Failure::Busy(why)) if !why.contains("4111")));
        let validation = InvokeEndpointError::ValidationError(ValidationError::builder().build());
        assert!(matches!(of(validation), Refusal::Call(Failure::Config(_))));
    }
}
