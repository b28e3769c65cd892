use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::calls::{self, Callee};

/// Counts each request of an HTTP client as a call of AWS, until its answer has arrived. Each attempt is a request, also one
/// that the SDK gives up.
#[derive(Debug)]
pub(super) struct Timed<C>(pub C);

impl HttpClient for Timed<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Timed(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Timed<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(calls::timed(Callee::Aws, self.0.call(request)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_config::retry::RetryConfig;
    use aws_config::timeout::TimeoutConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use aws_smithy_http_client::test_util::{NeverClient, ReplayEvent, StaticReplayClient};
    use aws_smithy_types::body::SdkBody;
    use lambda_http::http::{Request, Response};

    use super::*;
    use crate::aws::Queue;

    fn queue(http: impl HttpClient + 'static) -> Queue {
        let limit = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(2)).build();
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(limit)
            .http_client(Timed(SharedHttpClient::new(http)))
            .build();
        Queue::new(&sdk, "https://sqs.eu-west-1.amazonaws.com/123456789012/orders")
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_is_a_call() {
        let answers = [(503, "{}"), (503, "{}"), (200, r#"{"MessageId": "1"}"#), (200, r#"{"MessageId": "2"}"#)];
        let answer = |(status, body)| Response::builder().status(status).body(SdkBody::from(body)).unwrap();
        let events = answers.map(|it| ReplayEvent::new(Request::new(SdkBody::empty()), answer(it)));
        let queue = queue(StaticReplayClient::new(events.into()));
        let (sent, calls) = calls::counted(queue.send("{}", None)).await;
        sent.unwrap();
        assert_eq!(calls.aws.calls, 3);
        let (sent, calls) = calls::counted(queue.send("{}", None)).await;
        sent.unwrap();
        assert_eq!((calls.aws.calls, calls.provider.calls), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_takes_its_time() {
        let (sent, calls) = calls::counted(queue(NeverClient::new()).send("{}", None)).await;
        assert!(sent.is_err());
        assert_eq!(calls.aws.calls, 3);
        // The waits between the attempts are not part of it.
        let time = calls.aws.time.as_millis();
        assert!((6000..6100).contains(&time), "{time} ms");
    }
}
