//! The payment provider and the restaurants of the tests: an HTTP server that takes its responses from the order's
//! `restaurant_id`. It keeps to the contract (`docs/providers.md`), a ledger of every request, and an account for each
//! order. It answers 401 to a request without the key of its provider.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::remember;

/// A request and the status of its response.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `charges`, `refunds`, `deliveries` or `cancellations`.
    pub kind: String,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Its `X-Amzn-Trace-Id`.
    pub trace: String,
    /// Its body.
    pub body: Value,
    /// Status of the response, even if the response was lost.
    pub status: u16,
}

/// Balance of an order at the providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Minor units that were charged and not refunded.
    pub kept: i64,
    /// The restaurant delivers the order.
    pub delivered: bool,
    /// The restaurant has granted a cancellation.
    pub cancelled: bool,
}

/// Account of an order.
#[derive(Debug, Default)]
struct Account {
    balance: Balance,
    /// A refund keeps any charge from being taken.
    is_closed: bool,
    /// Answers that settle a request, by its `Idempotency-Key`: a repeat gets the same.
    answers: HashMap<String, u16>,
}

impl Account {
    /// Carries out a request that the plan answers with `planned`; returns the status of the response.
    fn carry_out(&mut self, kind: &str, key: &str, planned: u16, amount: i64) -> u16 {
        // A provider that is away or makes a mistake does nothing.
        if !matches!(planned, 200..300 | 402 | 422) {
            return planned;
        }
        if let Some(answer) = self.answers.get(key) {
            return *answer;
        }
        let succeeds = planned < 300;
        let status = match kind {
            "charges" if self.is_closed => 402,
            "charges" => {
                self.balance.kept += if succeeds { amount } else { 0 };
                planned
            }
            "refunds" => {
                assert!(succeeds, "a refund is not refused");
                self.balance.kept -= if self.balance.kept > 0 { amount } else { 0 };
                self.is_closed = true;
                planned
            }
            "deliveries" if self.balance.cancelled => 422,
            // Not decided yet, so a repeat may get another answer.
            "deliveries" if planned == 202 => return planned,
            "deliveries" => {
                self.balance.delivered = succeeds;
                planned
            }
            "cancellations" if self.balance.delivered || !succeeds => {
                // "Too late" binds like a yes to the delivery.
                self.balance.delivered = true;
                422
            }
            "cancellations" => {
                self.balance.cancelled = true;
                planned
            }
            other => panic!("{other} is not a request of the contract"),
        };
        self.answers.insert(key.to_owned(), status);
        status
    }
}

#[derive(Debug, Default)]
struct Books {
    ledger: Vec<Entry>,
    accounts: HashMap<String, Account>,
}

static BOOKS: LazyLock<Mutex<Books>> = LazyLock::new(Mutex::default);

/// A request that breaks the contract fails its own test only.
fn books() -> MutexGuard<'static, Books> {
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// URL of the server. It runs on a thread of its own because it must outlive the runtime of each test.
static URL: LazyLock<String> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            sender.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(respond)).await.unwrap();
        });
    });
    receiver.recv().unwrap()
});

/// Keys of this run, by which the payment provider and the restaurant know the stack.
pub static PAYMENT_KEY: LazyLock<String> = LazyLock::new(new_key);
pub static RESTAURANT_KEY: LazyLock<String> = LazyLock::new(new_key);

fn new_key() -> String {
    remember(format!("key-{}", Uuid::new_v4()))
}

/// Returns the URL of the providers.
pub fn url() -> &'static str {
    &URL
}

/// The `restaurant_id` of an order that all providers accept.
pub const ACCEPTED: &str = "charges 201";

/// A planned response.
///
/// A plan is a `restaurant_id` that lists, for each kind of request, the first response, the second and so on; the last
/// one repeats. Kinds that are not listed get 201. For example `charges 503 201-lost, deliveries 422`. A response is a
/// status, or a status with a fault: the provider carries out the request, but `lost` closes the connection instead of
/// the response, and `late` sends it after four seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Response {
    Prompt(u16),
    Lost(u16),
    Late(u16),
}

impl Response {
    fn planned(plan: &str, kind: &str, before: usize) -> Self {
        let responses: Vec<_> = plan
            .split(", ")
            .filter_map(|part| part.strip_prefix(kind)?.strip_prefix(' '))
            .flat_map(|responses| responses.split(' '))
            .map(|response| match response.split_once('-') {
                None => Self::Prompt(response.parse().unwrap()),
                Some((status, "lost")) => Self::Lost(status.parse().unwrap()),
                Some((status, "late")) => Self::Late(status.parse().unwrap()),
                Some(_) => panic!("{response} is not a response"),
            })
            .collect();
        responses.get(before).or(responses.last()).copied().unwrap_or(Self::Prompt(201))
    }

    fn status(self) -> u16 {
        match self {
            Self::Prompt(status) | Self::Lost(status) | Self::Late(status) => status,
        }
    }
}

/// Returns the requests about this order, oldest first.
pub fn ledger_of(order_id: &str) -> Vec<Entry> {
    books().ledger.iter().filter(|entry| entry.body["order_id"] == order_id).cloned().collect()
}

/// Returns kind and status of the requests about this order, oldest first.
pub fn requests_about(order_id: &str) -> Vec<(String, u16)> {
    ledger_of(order_id).into_iter().map(|entry| (entry.kind, entry.status)).collect()
}

/// Returns what the providers have done about this order.
pub fn balance_of(order_id: &str) -> Balance {
    books().accounts.get(order_id).map(|account| account.balance).unwrap_or_default()
}

async fn respond(uri: Uri, headers: HeaderMap, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let header = |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap()).to_owned();
    let (kind, key) = (uri.path().trim_start_matches('/').to_owned(), header("idempotency-key"));
    let is_payment = matches!(kind.as_str(), "charges" | "refunds");
    if header("authorization") != format!("Bearer {}", if is_payment { &*PAYMENT_KEY } else { &*RESTAURANT_KEY }) {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    let (planned, status) = {
        let mut books = books();
        let same = |entry: &&Entry| entry.kind == kind && entry.body["order_id"] == body["order_id"];
        let before = books.ledger.iter().filter(same).count();
        let planned = Response::planned(body["restaurant_id"].as_str().unwrap(), &kind, before);
        let account = books.accounts.entry(body["order_id"].as_str().unwrap().to_owned()).or_default();
        let amount = body["total"]["amount"].as_i64().unwrap();
        let status = account.carry_out(&kind, &key, planned.status(), amount);
        books.ledger.push(Entry { kind, key, trace: header("x-amzn-trace-id"), body, status });
        (planned, status)
    };
    match planned {
        Response::Prompt(_) => {}
        // Ends the task of the connection, without the message of a panic.
        Response::Lost(_) => std::panic::resume_unwind(Box::new("the response is lost")),
        Response::Late(_) => tokio::time::sleep(Duration::from_secs(4)).await,
    }
    (StatusCode::from_u16(status).unwrap(), Json(json!({"reason": "the test says so"})))
}
