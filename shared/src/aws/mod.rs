//! AWS clients: their configuration, and the meaning of their errors.
//!
//! DynamoDB's client is in [`crate::store`].

mod body;
mod certificates;
mod connect;
mod http_client;
mod queue;
mod secret;
mod state_machine;
mod timed;
mod topic;

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::retry::{ErrorKind, ReconnectMode};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::Cause;
use crate::environment;

pub use http_client::{http_builder, http_client};
pub use queue::Queue;
pub use secret::secret;
pub use state_machine::StateMachine;
pub use topic::Topic;

pub(crate) use body::Body;
pub(crate) use connect::{Ping, opened, ping_once};
use timed::Timed;

/// Code by which DynamoDB refuses a single write that meets a transaction on the same item. It is here because
/// [`is_transient`] decides for all services.
pub(crate) const TRANSACTION_CONFLICT: &str = "TransactionConflictException";

/// Codes by which SNS, SQS and Step Functions say that KMS throttles them. They are client errors, and not among the
/// SDK's own codes. The topic is encrypted with a key of KMS.
const KMS_THROTTLING: [&str; 4] =
    ["KMSThrottling", "KMSThrottlingException", "KMS.ThrottlingException", "KmsThrottlingException"];

/// Reason why a call of an AWS service failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service is throttling or unavailable: retryable.
    #[error("the service is throttling or unavailable")]
    Unavailable(#[source] Cause),
    /// The service refused the request, or it could not be built: not retryable.
    #[error("the service refused the request")]
    Failed(#[source] Cause),
}

impl<E> From<SdkError<E>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        if is_transient(&error) { Self::Unavailable(error.into()) } else { Self::Failed(error.into()) }
    }
}

/// Returns true if the same request may succeed later.
fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        // The last kind: the connection was dropped in the middle of the answer.
        SdkError::DispatchFailure(failure) => {
            failure.is_io() || failure.is_timeout() || failure.as_other() == Some(ErrorKind::TransientError)
        }
        SdkError::ServiceError(failure) => {
            let code = failure.err().code().unwrap_or_default();
            failure.raw().status().is_server_error()
                || THROTTLING_ERRORS.contains(&code)
                || TRANSIENT_ERRORS.contains(&code)
                || KMS_THROTTLING.contains(&code)
                || code == TRANSACTION_CONFLICT
        }
        _ => false,
    }
}

/// Configuration that every client starts from, with one HTTP client, which counts its requests for the log. A call takes
/// 6 s at most, so a function has time to answer after one that fails.
///
/// | variable | value |
/// |---|---|
/// | `AWS_REGION` | region; Lambda sets it |
/// | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | credentials; Lambda sets them |
/// | `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_DYNAMODB`, ... | URL of all services, or of one; AWS by default |
///
/// `aws_config::from_env` would also look for profiles, containers and instances, which no function has. Its code for them
/// would make each function bigger and its start longer.
pub fn sdk_config() -> Result<SdkConfig, Cause> {
    let mut config = SdkConfig::builder();
    config.set_endpoint_url(environment::optional("AWS_ENDPOINT_URL"));
    let config = config
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(environment::required("AWS_REGION", "a region of AWS")?))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .identity_cache(IdentityCache::lazy().build())
        .service_config(Endpoints)
        .http_client(Timed(http_client()?))
        .retry_config(retries())
        // It would act after 20 s; an attempt is given up after 2 s.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(6))
                .build(),
        );
    Ok(config.build())
}

/// Attempts of a call. The SDK must not close connections after failures, because it can't with this HTTP client, and
/// would log an error each time. A time-out or a break closes its connection anyway.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// Reads the endpoint of one service, which comes before that of all: `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        environment::optional(&variable(&key))
    }
}

/// Name of the variable for one service.
fn variable(key: &ServiceConfigKey<'_>) -> String {
    format!("{}_{}", key.env(), key.service_id().to_uppercase().replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_an_endpoint_names_its_service() {
        let of = |service| {
            let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
            variable(&key.build().unwrap())
        };
        assert_eq!(of("DynamoDB"), "AWS_ENDPOINT_URL_DYNAMODB");
        assert_eq!(of("Secrets Manager"), "AWS_ENDPOINT_URL_SECRETS_MANAGER");
    }
}
