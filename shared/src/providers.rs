//! The payment provider and the restaurants, over HTTP. `docs/providers.md` is what they are held to.
//!
//! Each request names itself (`Idempotency-Key`), so it may be sent again until its answer is known. Where no URL is
//! configured a simulator answers, so that a new clone shows every outcome.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::ProviderConfig;
use crate::order::{Order, OrderId};
use crate::telemetry;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a reason may be, in characters; what is longer is cut off.
const MAX_REASON_CHARS: usize = 200;

/// What a provider has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "UPPERCASE")]
pub enum Decision {
    /// It is done.
    Yes,
    /// It is refused, for good.
    No {
        /// Why.
        reason: String,
    },
}

/// Why it is not known what a provider has decided.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It may answer later: the same request is worth another try.
    #[error("the provider did not answer, or asks to come again: {0}")]
    Retryable(String),
    /// It does not understand us: a mistake on one of the two sides.
    #[error("the provider answers {0}")]
    Failed(StatusCode),
}

impl From<reqwest::Error> for ProviderError {
    fn from(error: reqwest::Error) -> Self {
        Self::Retryable(telemetry::describe(&error.without_url()))
    }
}

/// Who answers.
#[derive(Debug, Clone)]
pub enum Provider {
    /// A service at that address.
    Http(Client, Url),
    /// The built-in simulator: it refuses that share of orders, in percent.
    Simulator(u8),
}

impl Provider {
    /// The configured service, or the simulator; the log says which.
    pub fn new(config: &ProviderConfig) -> Result<Self, reqwest::Error> {
        match config.url.clone() {
            None => {
                tracing::info!(failures_percent = config.failures_percent, "the simulator answers for the provider");
                Ok(Self::Simulator(config.failures_percent))
            }
            Some(url) => {
                // Not the whole of it, in which a key may stand.
                tracing::info!(provider = url.origin().ascii_serialization(), "the provider is asked");
                install_tls();
                // A redirect would be followed by GET, and its answer taken for a payment.
                let client = Client::builder().timeout(PATIENCE).connect_timeout(Duration::from_secs(1));
                Ok(Self::Http(client.redirect(Policy::none()).build()?, url))
            }
        }
    }

    /// Takes the payment of an order: `POST /charges`.
    pub async fn charge(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        self.ask("charges", &format!("{}:charge", order.id), order, trace).await
    }

    /// Gives back what was taken for an order, and sees to it that nothing is taken any more: `POST /refunds`. That
    /// there is nothing to give back is fine.
    pub async fn refund(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        match self.ask("refunds", &format!("{}:refund", order.id), order, trace).await {
            Err(ProviderError::Failed(StatusCode::NOT_FOUND)) => Ok(Decision::Yes),
            answer => answer,
        }
    }

    /// Sends an order to its restaurant: `POST /deliveries`.
    pub async fn deliver(&self, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        self.ask("deliveries", &format!("{}:delivery", order.id), order, trace).await
    }

    async fn ask(&self, what: &str, key: &str, order: &Order, trace: Option<&str>) -> Result<Decision, ProviderError> {
        let decision = match self {
            Self::Simulator(_) if what == "refunds" => Decision::Yes,
            Self::Simulator(percent) => simulate(what, order.id, *percent),
            Self::Http(client, url) => post(client, url.clone(), what, key, order, trace).await?,
        };
        match &decision {
            Decision::Yes => tracing::info!("{what}: yes"),
            Decision::No { reason } => tracing::info!("{what}: no, {reason}"),
        }
        Ok(decision)
    }
}

/// Sends the request, and takes its answer for a decision.
async fn post(
    client: &Client,
    mut url: Url,
    what: &str,
    key: &str,
    order: &Order,
    trace: Option<&str>,
) -> Result<Decision, ProviderError> {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(what);
    }
    let body = json!({
        "order_id": order.id, "user_id": order.user_id, "restaurant_id": order.restaurant_id,
        "quantity": order.quantity,
    });
    let mut request = client.post(url).header("Idempotency-Key", key).json(&body);
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

/// Makes ring the cryptography of TLS in this process, as it is the SDK's. No client can be made before.
pub fn install_tls() {
    // Whoever comes second finds the same one installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
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

/// What the simulator decides, by the order's id: the same whenever it is asked.
fn simulate(what: &str, id: OrderId, failures_percent: u8) -> Decision {
    // An id ends in random bits; another part of them for each question.
    let bits = id.random_bits().rotate_right(if what == "charges" { 0 } else { 16 });
    if (bits % 100) < u64::from(failures_percent) {
        Decision::No { reason: format!("the simulator refuses {failures_percent} % of all {what}") }
    } else {
        Decision::Yes
    }
}
