//! The payment provider and the restaurant, over HTTP. `docs/providers.md` is their contract.
//!
//! Each request has an `Idempotency-Key`, so it can be repeated until its answer is known. Where no URL is configured, a
//! simulator answers, so that a new clone shows every outcome.
//!
//! reqwest and the SDK's HTTP client share hyper and rustls (with ring): a binary has one HTTP and one TLS stack.

use std::time::Duration;

use aws_config::SdkConfig;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use crate::calls::{self, Callee};
use crate::environment::{self, EnvironmentError};
use crate::order::{Order, OrderId, is_text};
use crate::{Cause, aws, telemetry};

/// Time in which a provider must answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Length up to which a reason is kept, in characters.
const MAX_REASON_CHARS: usize = 200;

/// Answer to a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charge {
    /// The customer has paid.
    Paid,
    /// The payment is declined; the answer is final.
    Declined(String),
}

/// Answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The restaurant has the order.
    Confirmed,
    /// The restaurant has not decided yet: the same request is to be repeated later.
    NotYet,
    /// The restaurant refuses the order; the answer is final.
    Refused(String),
}

/// Answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The restaurant will not deliver the order.
    Granted,
    /// The restaurant delivers the order; the answer is final.
    TooLate,
}

/// Reason why a provider's answer is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider did not answer, or asks to repeat the request.
    #[error("the provider did not answer, or asks to repeat the request: {0}")]
    Retryable(String),
    /// The provider answered 404, which its contract does not allow.
    #[error("the provider answered 404 Not Found")]
    NotFound,
    /// The provider does not accept the request: a mistake on one of the two sides.
    #[error("the provider answered {0}")]
    Mistake(StatusCode),
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
    /// | `PAYMENT_KEY_SECRET` | ARN of the secret with our [`Key`]; empty or not set for none |
    /// | `PAYMENT_FAILURES_PERCENT` | share of charges that the simulator refuses: 0 to 100 |
    /// | `ENVIRONMENT` | `local`, `dev` or `prod`; in `prod` the URL must be an https URL |
    pub async fn from_environment(sdk: &SdkConfig) -> Result<Self, Cause> {
        Backend::from_environment("PAYMENT", sdk).await.map(Self)
    }

    /// The payment provider at that URL, which knows us by that key.
    pub fn at(url: Url, key: Option<Key>) -> Result<Self, Cause> {
        Backend::at(url, key).map(Self)
    }

    /// A simulator that refuses that share of charges, in percent.
    #[must_use]
    pub fn simulator(failures_percent: u8) -> Self {
        Self(Backend::Simulator { failures_percent })
    }

    /// Takes the payment of an order: `POST /charges`.
    pub async fn charge(&self, order: &Order, trace: Option<&str>) -> Result<Charge, ProviderError> {
        match self.0.request(Request::Charge, order, trace).await? {
            Answer { status: StatusCode::PAYMENT_REQUIRED | StatusCode::UNPROCESSABLE_ENTITY, reason } => {
                Ok(Charge::Declined(reason))
            }
            answer => answer.success().map(|_| Charge::Paid),
        }
    }

    /// Refunds the payment of an order, and keeps any later payment from being taken: `POST /refunds`. It is granted even
    /// if nothing was paid.
    pub async fn refund(&self, order: &Order, trace: Option<&str>) -> Result<(), ProviderError> {
        match self.0.request(Request::Refund, order, trace).await? {
            Answer { status: StatusCode::NOT_FOUND, .. } => Err(ProviderError::NotFound),
            answer => answer.success().map(|_| ()),
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
    /// | `RESTAURANT_KEY_SECRET` | ARN of the secret with our [`Key`]; empty or not set for none |
    /// | `RESTAURANT_FAILURES_PERCENT` | share of deliveries that the simulator refuses: 0 to 100 |
    /// | `ENVIRONMENT` | `local`, `dev` or `prod`; in `prod` the URL must be an https URL |
    pub async fn from_environment(sdk: &SdkConfig) -> Result<Self, Cause> {
        Backend::from_environment("RESTAURANT", sdk).await.map(Self)
    }

    /// The restaurant at that URL, which knows us by that key.
    pub fn at(url: Url, key: Option<Key>) -> Result<Self, Cause> {
        Backend::at(url, key).map(Self)
    }

    /// A simulator that refuses that share of deliveries, in percent.
    #[must_use]
    pub fn simulator(failures_percent: u8) -> Self {
        Self(Backend::Simulator { failures_percent })
    }

    /// Sends an order to its restaurant: `POST /deliveries`.
    pub async fn deliver(&self, order: &Order, trace: Option<&str>) -> Result<Delivery, ProviderError> {
        match self.0.request(Request::Delivery, order, trace).await? {
            Answer { status: StatusCode::PAYMENT_REQUIRED | StatusCode::UNPROCESSABLE_ENTITY, reason } => {
                Ok(Delivery::Refused(reason))
            }
            Answer { status: StatusCode::ACCEPTED, .. } => Ok(Delivery::NotYet),
            answer => answer.success().map(|_| Delivery::Confirmed),
        }
    }

    /// Cancels the delivery of an order, and keeps any later delivery from being accepted: `POST /cancellations`. It is
    /// granted even if the restaurant never saw the order, or refused it.
    pub async fn cancel(&self, order: &Order, trace: Option<&str>) -> Result<Cancellation, ProviderError> {
        match self.0.request(Request::Cancellation, order, trace).await? {
            Answer { status: StatusCode::UNPROCESSABLE_ENTITY, .. } => Ok(Cancellation::TooLate),
            Answer { status: StatusCode::NOT_FOUND, .. } => Err(ProviderError::NotFound),
            answer => answer.success().map(|_| Cancellation::Granted),
        }
    }
}

/// Key by which a provider knows us: `Authorization: Bearer <key>`. Its `Debug` form does not show it.
#[derive(Debug, Clone)]
pub struct Key(HeaderValue);

impl Key {
    /// The key, if it has the characters of a bearer token (RFC 6750, 2.1). Line ends around it are left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = text.trim();
        let is_key_char = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let characters = key.trim_end_matches('=');
        if characters.is_empty() || !characters.chars().all(is_key_char) {
            return None;
        }
        let mut value = HeaderValue::try_from(format!("Bearer {key}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// The key in the secret of that ARN.
    async fn from_secret(variable: &str, arn: &str, sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        let bad = |problem: &str| EnvironmentError::new(variable, format!("must be the ARN of {problem}"));
        let text = aws::secret(sdk, arn).await;
        let text = text.map_err(|error| bad(&format!("a secret that can be read: {}", telemetry::describe(&error))))?;
        Self::parse(&text).ok_or_else(|| bad("a secret that holds the key alone: letters, digits and -._~+/="))
    }
}

/// A request that a provider understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Charge,
    Refund,
    Delivery,
    Cancellation,
}

impl Request {
    /// Last segment of the URL.
    fn path(self) -> &'static str {
        match self {
            Self::Charge => "charges",
            Self::Refund => "refunds",
            Self::Delivery => "deliveries",
            Self::Cancellation => "cancellations",
        }
    }

    /// Value of `Idempotency-Key`.
    fn key(self, id: OrderId) -> String {
        match self {
            Self::Charge => format!("{id}:charge"),
            Self::Refund => format!("{id}:refund"),
            Self::Delivery => format!("{id}:delivery"),
            Self::Cancellation => format!("{id}:cancellation"),
        }
    }
}

#[derive(Debug, Clone)]
enum Backend {
    Http { client: Client, url: Url },
    Simulator { failures_percent: u8 },
}

impl Backend {
    async fn from_environment(name: &str, sdk: &SdkConfig) -> Result<Self, Cause> {
        let [url, secret, percent] = ["URL", "KEY_SECRET", "FAILURES_PERCENT"].map(|end| format!("{name}_{end}"));
        let failures_percent = parse_percent(&percent, environment::optional(&percent).as_deref())?;
        let allows_http = environment::allows_http()?;
        let arn = parse_secret_arn(&secret, environment::optional(&secret))?;
        match parse_url(&url, environment::optional(&url).as_deref(), allows_http)? {
            None => {
                tracing::info!(failures_percent, "{url} is not set: a simulator answers");
                Ok(Self::Simulator { failures_percent })
            }
            Some(url) => {
                let key = match arn {
                    Some(arn) => Some(Key::from_secret(&secret, &arn, sdk).await?),
                    None => None,
                };
                let has_key = key.is_some();
                tracing::info!(provider = url.origin().ascii_serialization(), has_key, "requests go to the provider");
                Self::at(url, key)
            }
        }
    }

    fn at(url: Url, key: Option<Key>) -> Result<Self, Cause> {
        let headers = HeaderMap::from_iter(key.map(|Key(value)| (AUTHORIZATION, value)));
        let client = aws::http_builder()?.default_headers(headers);
        let client = client.timeout(REQUEST_TIMEOUT).connect_timeout(Duration::from_secs(1));
        // A redirect would be followed by GET, and its answer taken for a payment.
        Ok(Self::Http { client: client.redirect(Policy::none()).build()?, url })
    }

    async fn request(&self, operation: Request, order: &Order, trace: Option<&str>) -> Result<Answer, ProviderError> {
        let answer = match self {
            Self::Simulator { failures_percent } => simulate(operation, order.id(), *failures_percent),
            Self::Http { client, url } => {
                calls::timed(Callee::Provider, post(client, url.clone(), operation, order, trace)).await?
            }
        };
        tracing::info!("{}: {}", operation.path(), answer.status.as_u16());
        Ok(answer)
    }
}

/// A provider's answer that settles the request, or may do so.
struct Answer {
    status: StatusCode,
    /// Reason of a refusal.
    reason: String,
}

impl Answer {
    fn success(self) -> Result<Self, ProviderError> {
        if self.status.is_success() { Ok(self) } else { Err(ProviderError::Mistake(self.status)) }
    }
}

fn parse_percent(variable: &str, text: Option<&str>) -> Result<u8, EnvironmentError> {
    let percent = text.and_then(|text| text.parse().ok()).filter(|percent| *percent <= 100);
    percent.ok_or_else(|| EnvironmentError::new(variable, "must be set: 0 to 100"))
}

fn parse_url(variable: &str, text: Option<&str>, allows_http: bool) -> Result<Option<Url>, EnvironmentError> {
    let Some(text) = text else { return Ok(None) };
    // `localhost:8080` is a URL as well, with the scheme `localhost`.
    let url = text.parse().ok().filter(|url: &Url| url.scheme() == "https" || (url.scheme() == "http" && allows_http));
    // A variable is no place for a key.
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
    let schemes = if allows_http { "http or https" } else { "https" };
    let problem = || format!("must be an {schemes} URL without user, password and query, or be left out");
    url.map(Some).ok_or_else(|| EnvironmentError::new(variable, problem()))
}

fn parse_secret_arn(variable: &str, text: Option<String>) -> Result<Option<String>, EnvironmentError> {
    let is_arn = |text: &str| text.starts_with("arn:") && text.split(':').nth(2) == Some("secretsmanager");
    match text {
        Some(text) if !is_arn(&text) => {
            Err(EnvironmentError::new(variable, "must be the ARN of a secret in Secrets Manager, or be left out"))
        }
        text => Ok(text),
    }
}

async fn post(
    client: &Client,
    mut url: Url,
    operation: Request,
    order: &Order,
    trace: Option<&str>,
) -> Result<Answer, ProviderError> {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(operation.path());
    }
    let content = order.content();
    // Other fields of the content are not sent: a repeat by another release must be the same request.
    let body = json!({
        "order_id": order.id(), "user_id": order.user_id(), "restaurant_id": content.restaurant_id,
        "quantity": content.quantity, "total": order.total(),
    });
    let mut request = client.post(url).header("Idempotency-Key", operation.key(order.id())).json(&body);
    if let Some(trace) = trace {
        request = request.header("X-Amzn-Trace-Id", trace);
    }
    let response = request.send().await?;
    match response.status() {
        status @ (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) => {
            Err(ProviderError::Retryable(status.to_string()))
        }
        status if status.is_server_error() => Err(ProviderError::Retryable(status.to_string())),
        status if status.is_success() => Ok(Answer { status, reason: String::new() }),
        status => {
            let refusal: Refusal = response.json().await.unwrap_or_default();
            Ok(Answer { status, reason: clean(&refusal.reason) })
        }
    }
}

/// A reason as it can be stored, queued and published.
fn clean(reason: &str) -> String {
    let text: String = reason.chars().map(|c| if is_text(c) { c } else { ' ' }).collect();
    let text: String = text.trim().chars().take(MAX_REASON_CHARS).collect();
    let text = text.trim_end();
    if text.is_empty() { no_reason() } else { text.to_owned() }
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

/// The simulator's answer. It depends on the order's id alone, so it is the same on every repeat.
fn simulate(operation: Request, id: OrderId, failures_percent: u8) -> Answer {
    // Each operation looks at other random bits of the id.
    let (bits, refusal) = match operation {
        Request::Charge => (id.random_bits(), StatusCode::PAYMENT_REQUIRED),
        Request::Delivery => (id.random_bits().rotate_right(16), StatusCode::UNPROCESSABLE_ENTITY),
        Request::Refund | Request::Cancellation => {
            return Answer { status: StatusCode::CREATED, reason: String::new() };
        }
    };
    if (bits % 100) < u64::from(failures_percent) {
        let reason = format!("the simulator refuses {failures_percent} % of all {}", operation.path());
        Answer { status: refusal, reason }
    } else {
        Answer { status: StatusCode::CREATED, reason: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_url_is_http_or_https_or_left_out_and_has_no_place_for_a_key() {
        let url = |text| parse_url("PAYMENT_URL", text, true);
        assert_eq!(url(None), Ok(None));
        for good in ["https://pay.example.com/v1", "http://localhost:8080"] {
            assert_eq!(url(Some(good)), Ok(Some(good.parse().unwrap())));
        }
        for bad in [
            "pay",
            "localhost:8080",
            "ftp://pay.example.com",
            "https://me:key@pay.example.com",
            "https://key@pay.example.com",
            "https://pay.example.com?key=key",
        ] {
            let line = "PAYMENT_URL must be an http or https URL without user, password and query, or be left out";
            assert_eq!(url(Some(bad)).unwrap_err().to_string(), line, "{bad}");
        }
    }

    #[test]
    fn a_provider_without_tls_needs_permission() {
        for allows_http in [true, false] {
            assert_eq!(parse_url("PAYMENT_URL", Some("http://pay.example.com"), allows_http).is_ok(), allows_http);
            assert!(parse_url("PAYMENT_URL", Some("https://pay.example.com"), allows_http).is_ok());
        }
        let line = "PAYMENT_URL must be an https URL without user, password and query, or be left out";
        assert_eq!(parse_url("PAYMENT_URL", Some("http://localhost"), false).unwrap_err().to_string(), line);
    }

    #[test]
    fn a_secret_is_named_by_its_arn() {
        let secret = |text: &str| parse_secret_arn("PAYMENT_KEY_SECRET", Some(text.to_owned()));
        assert!(secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:order-api/payment-AbCdEf").is_ok());
        for bad in ["order-api/payment", "arn:aws:sns:eu-west-1:123456789012:orders", "sk_live_a_key"] {
            let line = "PAYMENT_KEY_SECRET must be the ARN of a secret in Secrets Manager, or be left out";
            assert_eq!(secret(bad).unwrap_err().to_string(), line);
        }
    }

    #[test]
    fn a_key_is_a_bearer_token_and_is_not_shown() {
        for good in ["sk_live-1.2~3+4/5==", "key\n"] {
            let key = Key::parse(good).unwrap();
            assert_eq!(key.0.to_str().unwrap(), format!("Bearer {}", good.trim()));
            assert!(!format!("{key:?}").contains(good.trim()), "{key:?}");
        }
        for bad in ["", "\n", "two words", "a\nb", r#"{"key":"value"}"#, "=a", "clé"] {
            assert!(Key::parse(bad).is_none(), "{bad}");
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

    #[tokio::test]
    async fn a_request_to_a_provider_is_a_call_and_one_to_the_simulator_is_none() {
        let order = fixtures::order();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = axum::Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
        tokio::spawn(async { axum::serve(listener, provider).await.unwrap() });
        let payment = PaymentProvider::at(url.parse().unwrap(), None).unwrap();
        for (payment, count) in [(payment, 2), (PaymentProvider::simulator(0), 0)] {
            let charges = async { (payment.charge(&order, None).await, payment.charge(&order, None).await) };
            let (_, made) = calls::counted(charges).await;
            assert_eq!((made.provider.calls, made.aws.calls), (count, 0));
            assert_eq!(made.provider.time.is_zero(), count == 0);
        }
    }

    #[test]
    fn a_reason_is_cleaned_like_a_name() {
        for (reason, cleaned) in [
            ("the card is declined", "the card is declined"),
            (" a\nb\u{0}c\u{ffff} ", "a b c"),
            ("\u{7f}", "no reason given"),
            ("", "no reason given"),
        ] {
            assert_eq!(clean(reason), cleaned);
        }
        assert_eq!(clean(&"é".repeat(1000)), "é".repeat(200));
    }
}
