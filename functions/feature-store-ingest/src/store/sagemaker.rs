//! A feature group of SageMaker: one record a call.

use aws_sdk_sagemakerfeaturestoreruntime::Client;
use aws_sdk_sagemakerfeaturestoreruntime::config::{Config, retry::RetryConfig};
use aws_sdk_sagemakerfeaturestoreruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerfeaturestoreruntime::types::{FeatureValue, TargetStore};
use leat_aws::{Failure, from_sdk};

use super::{FeatureStore, Record, Refusal, Target};

/// A feature group of SageMaker.
#[derive(Clone, Debug)]
pub struct SageMakerStore {
    client: Client,
    group: String,
}

impl SageMakerStore {
    /// The group `group`. The caller tries again, so that it is counted; the SDK does not.
    pub fn new(config: impl Into<Config>, group: &str) -> Self {
        let config = config.into().to_builder().retry_config(RetryConfig::disabled()).build();
        SageMakerStore { client: Client::from_conf(config), group: group.into() }
    }
}

impl FeatureStore for SageMakerStore {
    async fn put(&self, record: &Record, target: Target) -> Result<(), Refusal> {
        let value = |(name, text): &(String, String)| {
            FeatureValue::builder().feature_name(name).value_as_string(text).build()
        };
        let stores = target.words().iter().map(|word| TargetStore::from(*word)).collect();
        let call = self
            .client
            .put_record()
            .feature_group_name(&self.group)
            .set_record(Some(record.iter().map(value).collect()))
            .set_target_stores(Some(stores));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(why) => Err(refusal(&self.group, &why)),
        }
    }
}

/// What an error means; see "Errors" of PutRecord in the API reference. The service's text is left out where it can hold
/// values.
fn refusal<E, R>(group: &str, why: &SdkError<E, R>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let what = format!("PutRecord to the feature group `{group}`");
    match why.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) if code.starts_with("Validation") => Refusal::Record(code.into()),
        Some(code @ ("AccessForbidden" | "ResourceNotFound")) => Refusal::All(Failure::Config(
            format!("{what}: {code}; check the group's name and the role"),
        )),
        code => match from_sdk(&what, why) {
            Failure::Busy(_) => Refusal::Busy(code.unwrap_or("the service did not answer").into()),
            why => Refusal::All(why),
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sagemakerfeaturestoreruntime::error::ErrorMetadata;
    use aws_sdk_sagemakerfeaturestoreruntime::operation::put_record::PutRecordError as Error;

    use super::*;

    #[test]
    fn refusals() {
        let told = |code: &str| {
            let why = Error::generic(ErrorMetadata::builder().code(code).message("4711").build());
            refusal("g", &SdkError::service_error(why, ()))
        };
        assert_eq!(told("ValidationError"), Refusal::Record("ValidationError".into()));
        for code in ["ThrottlingException", "InternalFailure", "ServiceUnavailable"] {
            assert_eq!(told(code), Refusal::Busy(code.into()));
        }
        for code in ["AccessForbidden", "AccessDeniedException", "ResourceNotFound"] {
            assert!(matches!(told(code), Refusal::All(Failure::Config(_))), "{code}");
        }
    }
}
