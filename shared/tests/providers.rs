//! What is asked of the providers, and what becomes of their answers: `docs/providers.md`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use shared::config::ProviderConfig;
use shared::order::{Order, OrderContent, Processing, Timestamp};
use shared::providers::{Decision, Provider, ProviderError};
use tokio::net::TcpListener;

/// What a provider was asked: path, idempotency key, trace and body.
type Asked = (String, String, String, Value);

/// A provider that answers everything so, and keeps what it was asked.
async fn provider(status: u16, body: Value) -> (Provider, Arc<Mutex<Vec<Asked>>>) {
    let ledger: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let asked = ledger.clone();
    let answer = move |uri: Uri, headers: HeaderMap, Json(sent): Json<Value>| {
        let header = |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap()).to_owned();
        let request = (uri.path().to_owned(), header("idempotency-key"), header("x-amzn-trace-id"), sent);
        asked.lock().unwrap().push(request);
        std::future::ready((StatusCode::from_u16(status).unwrap(), Json(body.clone())))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    (at(&url), ledger)
}

fn at(url: &str) -> Provider {
    Provider::new(&ProviderConfig { url: Some(url.parse().unwrap()), failures_percent: 0 }).unwrap()
}

fn order() -> Order {
    let content =
        OrderContent { restaurant_id: "Restaurant 3".to_owned().try_into().unwrap(), quantity: 3.try_into().unwrap() };
    Order::new("Ann".to_owned().try_into().unwrap(), content, Processing::Workflow, Timestamp::now())
}

#[tokio::test]
async fn each_request_names_itself_the_order_and_the_trace() {
    let (provider, ledger) = provider(201, json!({})).await;
    let order = order();
    let trace = Some("Root=1-63b35429-0a1b2c3d4e5f60718293a4b5");
    provider.charge(&order, trace).await.unwrap();
    provider.refund(&order, trace).await.unwrap();
    provider.deliver(&order, None).await.unwrap();
    let body = json!({"order_id": order.id, "user_id": "Ann", "restaurant_id": "Restaurant 3", "quantity": "3"});
    let asked = |path: &str, what: &str, trace: Option<&str>| {
        (format!("/v1/{path}"), format!("{}:{what}", order.id), trace.unwrap_or_default().to_owned(), body.clone())
    };
    let wished =
        [asked("charges", "charge", trace), asked("refunds", "refund", trace), asked("deliveries", "delivery", None)];
    assert_eq!(*ledger.lock().unwrap(), wished);
}

#[tokio::test]
async fn two_hundreds_are_a_yes() {
    for status in [200, 201, 202, 204] {
        let (provider, _) = provider(status, json!({})).await;
        assert_eq!(provider.charge(&order(), None).await.unwrap(), Decision::Yes, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_has_its_reason() {
    let no = |reason: &str| Decision::No { reason: reason.to_owned() };
    for status in [402, 422] {
        let (says_why, _) = provider(status, json!({"reason": "the card is declined"})).await;
        assert_eq!(says_why.charge(&order(), None).await.unwrap(), no("the card is declined"), "{status}");
        let (silent, _) = provider(status, json!("what?")).await;
        assert_eq!(silent.deliver(&order(), None).await.unwrap(), no("no reason given"), "{status}");
        let (talkative, _) = provider(status, json!({"reason": "é".repeat(1000)})).await;
        assert_eq!(talkative.deliver(&order(), None).await.unwrap(), no(&"é".repeat(200)), "{status}");
    }
}

#[tokio::test]
async fn who_asks_to_come_again_or_does_not_answer_is_asked_again() {
    for status in [408, 409, 429, 500, 502, 503, 504] {
        let (provider, _) = provider(status, json!({"reason": "busy"})).await;
        let answer = provider.charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Retryable(_))), "{status}: {answer:?}");
    }
    // One whom nobody hears, and one that takes the request and keeps silent.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let provider = at(&format!("http://{address}"));
        let answer = provider.charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Retryable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_neither_is_a_mistake() {
    for status in [301, 400, 401, 403, 404, 415] {
        let (provider, _) = provider(status, json!({})).await;
        let answer = provider.charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Failed(_))), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, ledger) = provider(200, json!({})).await;
    let Provider::Http(_, elsewhere) = elsewhere else { panic!("it has a URL") };
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let elsewhere = elsewhere.to_string();
        let redirect = move || std::future::ready((status, [("location", elsewhere.clone())]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(redirect)).await.unwrap() });
        let answer = at(&url).charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Failed(_))), "{answer:?}");
    }
    assert!(ledger.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_to_refund_is_fine() {
    let (provider, _) = provider(404, json!({})).await;
    assert_eq!(provider.refund(&order(), None).await.unwrap(), Decision::Yes);
}

#[tokio::test]
async fn the_simulator_refuses_its_share_and_never_changes_its_mind() {
    let share = async |percent: u8| {
        let simulator = Provider::new(&ProviderConfig { url: None, failures_percent: percent }).unwrap();
        let mut refused = 0;
        for _ in 0..1000 {
            let order = order();
            let first = simulator.charge(&order, None).await.unwrap();
            assert_eq!(simulator.charge(&order, None).await.unwrap(), first);
            assert_eq!(simulator.refund(&order, None).await.unwrap(), Decision::Yes);
            refused += u32::from(first != Decision::Yes);
        }
        refused
    };
    assert_eq!((share(0).await, share(100).await), (0, 1000));
    // Of 1000 at 10 %, all but one in 10^12 of such runs have so many.
    assert!((30..=190).contains(&share(10).await));
}
