//! How the AWS clients are made, once, at the start; and what their errors mean.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// What every client starts from: region, credentials and endpoints from the environment, one HTTP client, and
/// limits that let a function whose one call fails answer for itself before its own time (10 s) is up.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(6))
                .build(),
        )
        .load()
        .await
}

/// HTTP and, through rustls, HTTPS. With ring for its cryptography, not the default aws-lc: a cold start is tens of
/// milliseconds shorter and the binary a third smaller.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Whether what failed may succeed when it is tried again later: the service is away or throttles, or answers one of
/// those codes.
pub fn may_pass<E: ProvideErrorMetadata>(error: &SdkError<E>, codes: &[&str]) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::ServiceError(failure) => {
            let passing = [THROTTLING_ERRORS, TRANSIENT_ERRORS, codes];
            failure.raw().status().is_server_error()
                || failure.err().code().is_some_and(|code| passing.iter().any(|codes| codes.contains(&code)))
        }
        _ => false,
    }
}
