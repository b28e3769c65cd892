//! The payment provider and the restaurant, over HTTP. `docs/providers.md` is their contract.
//!
//! Each request has an `Idempotency-Key`, so it can be repeated until its answer is known. Where no URL is configured, a
//! simulator answers, so that a new clone shows every outcome.
//!
//! reqwest uses the hyper and rustls (with ring) that the SDK brings: a binary has one HTTP and one TLS stack.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::environment::{self, EnvironmentError};
use crate::order::{Order, OrderId};
use crate::{Cause, aws, telemetry};

/// Time in which a provider must answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Length up to which a reason is kept, in characters.
const MAX_REASON_CHARS: usize = 200;

/// A provider's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "UPPERCASE")]
pub enum Decision {
    /// The request is granted.
    Yes,
    /// The request is refused, for good.
    No {
        /// The provider's reason.
        reason: String,
    },
}

/// Reason why a provider's decision is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider did not answer, or asks to repeat the request.
    #[error("the provider did not answer, or asks to repeat the request: {0}")]
    Retryable(String),
    /// The provider does not accept the form of the request: a mistake on one of the two sides.
    #[error("the provider answered {0}")]
    Failed(StatusCode),
}

impl From<reqwest::Error> for ProviderError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may contain a key.
        Self::Retryable(telemetry::describe(&error.without_url()))
    }
}

/// The payment provider: takes payments and refunds them.
#[derive(Debug, Clone)]
pub struct PaymentProvider(Backend);

impl PaymentProvider {
    /// The function's payment provider.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `PAYMENT_URL` | URL of the provider; empty or not set for the simulator |
    /// | `PAYMENT_FAILURES_PERCENT` | share of charges that the simulator refuses: 0 to 100 |
    pub fn from_environment() -> Result<Self, Cause> {
        Backend::from_environment("PAYMENT").map(Self)
    }

    /// The payment provider at that URL.
    pub fn at(url: Url) -> Result<Self, reqwest::Error> {
        Backend::at(url).map(Self)
    }

    /// A simulator that refuses that share of charges, in percent.
    #[must_use]
    pub fn simulator(failures_percent: u8) -> Self {
        Self(Backend::Simulator { failures_percent })
    }

    /// Takes the payment of an order: `POST /charges`.
    pub async fn charge(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        self.0.request(Request::Charge, order, trace).await
    }

    /// Refunds the payment of an order, and keeps any later payment from being taken: `POST /refunds`. It is granted
    /// even if nothing was paid.
    pub async fn refund(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        match self.0.request(Request::Refund, order, trace).await {
            Err(ProviderError::Failed(StatusCode::NOT_FOUND)) => Ok(Decision::Yes),
            answer => answer,
        }
    }
}

/// The restaurant: receives orders.
#[derive(Debug, Clone)]
pub struct Restaurant(Backend);

impl Restaurant {
    /// The function's restaurant.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `RESTAURANT_URL` | URL of the restaurants' service; empty or not set for the simulator |
    /// | `RESTAURANT_FAILURES_PERCENT` | share of deliveries that the simulator refuses: 0 to 100 |
    pub fn from_environment() -> Result<Self, Cause> {
        Backend::from_environment("RESTAURANT").map(Self)
    }

    /// The restaurant at that URL.
    pub fn at(url: Url) -> Result<Self, reqwest::Error> {
        Backend::at(url).map(Self)
    }

    /// A simulator that refuses that share of deliveries, in percent.
    #[must_use]
    pub fn simulator(failures_percent: u8) -> Self {
        Self(Backend::Simulator { failures_percent })
    }

    /// Sends an order to its restaurant: `POST /deliveries`.
    pub async fn deliver(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        self.0.request(Request::Delivery, order, trace).await
    }
}

/// A request that a provider understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Charge,
    Refund,
    Delivery,
}

impl Request {
    /// Last segment of the URL.
    fn path(self) -> &'static str {
        match self {
            Self::Charge => "charges",
            Self::Refund => "refunds",
            Self::Delivery => "deliveries",
        }
    }

    /// Value of `Idempotency-Key`.
    fn key(self, id: OrderId) -> String {
        match self {
            Self::Charge => format!("{id}:charge"),
            Self::Refund => format!("{id}:refund"),
            Self::Delivery => format!("{id}:delivery"),
        }
    }
}

#[derive(Debug, Clone)]
enum Backend {
    Http { client: Client, url: Url },
    Simulator { failures_percent: u8 },
}

impl Backend {
    fn from_environment(name: &str) -> Result<Self, Cause> {
        let (url, percent) = (format!("{name}_URL"), format!("{name}_FAILURES_PERCENT"));
        let failures_percent = parse_percent(&percent, environment::optional(&percent).as_deref())?;
        match parse_url(&url, environment::optional(&url).as_deref())? {
            None => {
                tracing::info!(failures_percent, "{url} is not set: a simulator answers");
                Ok(Self::Simulator { failures_percent })
            }
            Some(url) => {
                // Its path or query may contain a key.
                tracing::info!(provider = url.origin().ascii_serialization(), "requests go to the provider");
                Ok(Self::at(url)?)
            }
        }
    }

    fn at(url: Url) -> Result<Self, reqwest::Error> {
        aws::install_tls();
        let client = Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(Duration::from_secs(1));
        // A redirect would be followed by GET, and its answer taken for a payment.
        Ok(Self::Http { client: client.redirect(Policy::none()).build()?, url })
    }

    async fn request(&self, operation: Request, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        let decision = match self {
            Self::Simulator { failures_percent } => simulate(operation, order.id, *failures_percent),
            Self::Http { client, url } => post(client, url.clone(), operation, order, trace).await?,
        };
        let path = operation.path();
        match &decision {
            Decision::Yes => tracing::info!("{path}: yes"),
            Decision::No { reason } => tracing::info!("{path}: no, {reason}"),
        }
        Ok(decision)
    }
}

fn parse_percent(variable: &str, text: Option<&str>) -> Result<u8, EnvironmentError> {
    let percent = text.and_then(|text| text.parse().ok()).filter(|percent| *percent <= 100);
    percent.ok_or_else(|| EnvironmentError::new(variable, "must be set: 0 to 100"))
}

fn parse_url(variable: &str, text: Option<&str>) -> Result<Option<Url>, EnvironmentError> {
    let Some(text) = text else { return Ok(None) };
    // `localhost:8080` is a URL as well, with the scheme `localhost`.
    let url = text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https"));
    url.map(Some).ok_or_else(|| EnvironmentError::new(variable, "must be an http or https URL, or be left out"))
}

/// Sends the request, and reads the decision from its answer.
async fn post(
    client: &Client,
    mut url: Url,
    operation: Request,
    order: &Order,
    trace: Option<&str>,
) -> Result<Decision, ProviderError> {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(operation.path());
    }
    let body = json!({
        "order_id": order.id, "user_id": order.user_id, "restaurant_id": order.restaurant_id,
        "quantity": order.quantity,
    });
    let mut request = client.post(url).header("Idempotency-Key", operation.key(order.id)).json(&body);
    if let Some(trace) = trace {
        request = request.header("X-Amzn-Trace-Id", trace);
    }
    let response = request.send().await?;
    match response.status() {
        status if status.is_success() => Ok(Decision::Yes),
        StatusCode::PAYMENT_REQUIRED | StatusCode::UNPROCESSABLE_ENTITY => {
            let refusal: Refusal = response.json().await.unwrap_or_default();
            Ok(Decision::No { reason: refusal.reason.chars().take(MAX_REASON_CHARS).collect() })
        }
        status @ (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) => {
            Err(ProviderError::Retryable(status.to_string()))
        }
        status if status.is_server_error() => Err(ProviderError::Retryable(status.to_string())),
        status => Err(ProviderError::Failed(status)),
    }
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default = "no_reason")]
    reason: String,
}

impl Default for Refusal {
    fn default() -> Self {
        Self { reason: no_reason() }
    }
}

fn no_reason() -> String {
    "no reason given".into()
}

/// The simulator's decision. It depends on the order's id alone, so it is the same on every repeat.
fn simulate(operation: Request, id: OrderId, failures_percent: u8) -> Decision {
    // Each operation looks at other random bits of the id.
    let bits = match operation {
        Request::Charge => id.random_bits(),
        Request::Delivery => id.random_bits().rotate_right(16),
        Request::Refund => return Decision::Yes,
    };
    if (bits % 100) < u64::from(failures_percent) {
        Decision::No { reason: format!("the simulator refuses {failures_percent} % of all {}", operation.path()) }
    } else {
        Decision::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_http_or_https_or_left_out() {
        let url = |text| parse_url("PAYMENT_URL", text);
        assert_eq!(url(None), Ok(None));
        assert_eq!(url(Some("https://pay.example.com/v1")), Ok(Some("https://pay.example.com/v1".parse().unwrap())));
        for bad in ["pay", "localhost:8080", "ftp://pay.example.com"] {
            let line = "PAYMENT_URL must be an http or https URL, or be left out";
            assert_eq!(url(Some(bad)).unwrap_err().to_string(), line, "{bad}");
        }
    }

    #[test]
    fn a_share_is_0_to_100_percent() {
        let percent = |text| parse_percent("PAYMENT_FAILURES_PERCENT", text);
        assert_eq!((percent(Some("0")), percent(Some("100"))), (Ok(0), Ok(100)));
        for bad in [None, Some(""), Some("101"), Some("-1"), Some("ten")] {
            let line = "PAYMENT_FAILURES_PERCENT must be set: 0 to 100";
            assert_eq!(percent(bad).unwrap_err().to_string(), line, "{bad:?}");
        }
    }
}
