//! The way to AWS: one configuration and one HTTP connector for all clients, made when the first is asked for.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

/// Hands out the configuration from which each SDK client is made. A function whose stores are all local never asks,
/// and then no region or credential is looked for. A clone shares the configuration.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    config: Arc<OnceCell<SdkConfig>>,
}

impl Aws {
    /// The configuration. It follows the SDK's own variables, `AWS_ENDPOINT_URL` and its kin among them. TLS is
    /// rustls over ring, the one stack of the house.
    pub async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(async || {
                let http =
                    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .operation_attempt_timeout(Duration::from_secs(20))
                    .build();
                aws_config::defaults(BehaviorVersion::latest())
                    .http_client(http)
                    .timeout_config(timeouts)
                    .retry_config(RetryConfig::standard().with_max_attempts(3))
                    .load()
                    .await
            })
            .await
    }
}
