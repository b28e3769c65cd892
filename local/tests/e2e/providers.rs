//! The payment provider and the restaurants of the tests: an HTTP server that takes its responses from the order's
//! `restaurant_id` and keeps a ledger of every request.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, mpsc};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};

/// A request and the status of its response.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `charges`, `refunds` or `deliveries`.
    pub kind: String,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Its `X-Amzn-Trace-Id`.
    pub trace: String,
    /// Its body.
    pub body: Value,
    /// Status of the response.
    pub status: u16,
}

static LEDGER: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

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

/// Returns the URL of the providers.
pub fn url() -> &'static str {
    &URL
}

/// Returns a `restaurant_id` that makes the server respond as planned. The plan lists for each kind of request the
/// statuses of the first response, the second and so on; the last one repeats. Kinds that are not listed get 201.
pub fn plan(statuses: &[(&str, &[u16])]) -> String {
    let plan: HashMap<_, _> = statuses.iter().copied().collect();
    serde_json::to_string(&plan).unwrap()
}

/// Returns the requests about this order, oldest first.
pub fn ledger_of(order_id: &str) -> Vec<Entry> {
    LEDGER.lock().unwrap().iter().filter(|entry| entry.body["order_id"] == order_id).cloned().collect()
}

/// Returns kind and status of the requests about this order, oldest first.
pub fn requests_about(order_id: &str) -> Vec<(String, u16)> {
    ledger_of(order_id).into_iter().map(|entry| (entry.kind, entry.status)).collect()
}

async fn respond(uri: Uri, headers: HeaderMap, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let header = |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap()).to_owned();
    let kind = uri.path().trim_start_matches('/').to_owned();
    let mut ledger = LEDGER.lock().unwrap();
    let before = ledger.iter().filter(|entry| entry.kind == kind && entry.body["order_id"] == body["order_id"]).count();
    let plan: Value = serde_json::from_str(body["restaurant_id"].as_str().unwrap()).unwrap_or_default();
    let statuses: Vec<u16> = serde_json::from_value(plan[&kind].clone()).unwrap_or_else(|_| vec![201]);
    let status = statuses[before.min(statuses.len() - 1)];
    ledger.push(Entry { kind, key: header("idempotency-key"), trace: header("x-amzn-trace-id"), body, status });
    (StatusCode::from_u16(status).unwrap(), Json(json!({"reason": "the test says so"})))
}
