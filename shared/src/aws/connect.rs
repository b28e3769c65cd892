//! Connections that are opened while a function starts.
//!
//! Lambda gives a function a whole processor while it starts, and with 128 MB a fourteenth of one for its calls. Without
//! an open connection, the handshake of TLS takes most of the first call.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ReconnectMode;
use lambda_http::http::Uri;
use lambda_http::http::uri::PathAndQuery;

/// Time by which an open connection may delay the start of a function at most.
const LIMIT: Duration = Duration::from_secs(1);

/// Makes an operation of the SDK open a connection only: instead of its request, an unsigned `GET /ping` is sent. So it
/// needs no right, and the service has nothing to do. Any answer will do, a refusal too.
#[derive(Debug)]
pub(crate) struct Ping;

#[dyn_dispatch_hint]
impl Intercept for Ping {
    fn name(&self) -> &'static str {
        "Ping"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut uri = context.request().uri().parse::<Uri>()?.into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static("/ping"));
        *context.request_mut() = HttpRequest::get(Uri::from_parts(uri)?.to_string())?;
        Ok(())
    }
}

/// Configuration of an operation with a [`Ping`]: it is sent once. Its answer, which is not one to the operation, must
/// not be logged as an error (see `retries`).
pub(crate) fn ping_once() -> RetryConfig {
    RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// Waits for an operation with a [`Ping`]. Its failure is none of the function's: the first call finds out for itself
/// whether the service answers.
pub(crate) async fn opened<R>(ping: impl Future<Output = R>) {
    let _ = tokio::time::timeout(LIMIT, ping).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
    use aws_smithy_http_client::test_util::NeverClient;
    use axum::extract::{ConnectInfo, Request, State};
    use axum::http::StatusCode;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use crate::aws::{Queue, StateMachine, Topic, http_client};
    use crate::store::{IdempotencyRecords, Orders};

    /// The client of each request, and what of the request a service could act on.
    type Requests = Arc<Mutex<Vec<(SocketAddr, String)>>>;

    async fn answer(
        State(requests): State<Requests>,
        ConnectInfo(client): ConnectInfo<SocketAddr>,
        request: Request,
    ) -> (StatusCode, Json<Value>) {
        let target = request.headers().get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
        let is_signed = request.headers().contains_key("authorization");
        let shown = format!("{} {} {target:?} {is_signed}", request.method(), request.uri());
        requests.lock().unwrap().push((client, shown));
        let status = if request.uri() == "/ping" { StatusCode::NOT_FOUND } else { StatusCode::OK };
        (status, Json(json!({})))
    }

    /// Starts a service that refuses pings; returns its URL and its requests.
    async fn start_service() -> (String, Requests) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Requests::default();
        let service = Router::new().fallback(answer).with_state(requests.clone());
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, service).await.unwrap() });
        (endpoint, requests)
    }

    fn sdk(http: SharedHttpClient, endpoint: &str) -> SdkConfig {
        let credentials = Credentials::new("id", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .endpoint_url(endpoint)
            .build()
    }

    #[tokio::test]
    async fn the_first_call_uses_the_connection_that_an_unsigned_request_has_opened() {
        let (endpoint, requests) = start_service().await;
        let queue = Queue::new(&sdk(http_client().unwrap(), &endpoint), format!("{endpoint}/orders"));
        queue.connect().await;
        queue.send("{}", None).await.unwrap();
        let (clients, shown): (Vec<_>, Vec<_>) = requests.lock().unwrap().clone().into_iter().unzip();
        assert_eq!(shown, ["GET /ping None false", "POST / Some(\"AmazonSQS.SendMessage\") true"]);
        assert_eq!(clients[0], clients[1]);
    }

    #[tokio::test]
    async fn each_service_is_asked_for_nothing_but_a_connection() {
        let (endpoint, requests) = start_service().await;
        let sdk = sdk(http_client().unwrap(), &endpoint);
        Orders::new(&sdk, "orders").connect().await;
        IdempotencyRecords::new(&sdk, "records").connect().await;
        StateMachine::new(&sdk, "machine").connect().await;
        Topic::new(&sdk, "topic").connect().await;
        let shown: Vec<_> = requests.lock().unwrap().iter().map(|(_, shown)| shown.clone()).collect();
        assert_eq!(shown, ["GET /ping None false"; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_answer_delays_the_start_by_a_second() {
        let queue = Queue::new(&sdk(SharedHttpClient::new(NeverClient::new()), "http://localhost"), "http://localhost");
        let started = Instant::now();
        queue.connect().await;
        assert_eq!(started.elapsed().as_secs(), 1);
    }
}
