//! Requests to the providers, and the meaning of their answers: `docs/providers.md`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use shared::fixtures::order;
use shared::providers::{Cancellation, Charge, Delivery, Key, PaymentProvider, ProviderError, Restaurant};
use tokio::net::TcpListener;

/// A request that a provider received: path, idempotency key, trace and body.
type Received = (String, String, String, Value);

/// URL of a server that gives every request that answer, and the requests that it has received.
async fn server(status: u16, body: Value) -> (String, Arc<Mutex<Vec<Received>>>) {
    let ledger: Arc<Mutex<Vec<Received>>> = Arc::default();
    let received = ledger.clone();
    let answer = move |uri: Uri, headers: HeaderMap, Json(sent): Json<Value>| {
        let header = |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap()).to_owned();
        let request = (uri.path().to_owned(), header("idempotency-key"), header("x-amzn-trace-id"), sent);
        received.lock().unwrap().push(request);
        std::future::ready((StatusCode::from_u16(status).unwrap(), Json(body.clone())))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    (url, ledger)
}

fn payment_at(url: &str) -> PaymentProvider {
    PaymentProvider::at(url.parse().unwrap(), None).unwrap()
}

fn restaurant_at(url: &str) -> Restaurant {
    Restaurant::at(url.parse().unwrap(), None).unwrap()
}

/// A payment provider that gives every request that answer.
async fn payment(status: u16, body: Value) -> PaymentProvider {
    payment_at(&server(status, body).await.0)
}

/// A restaurant that gives every request that answer.
async fn restaurant(status: u16, body: Value) -> Restaurant {
    restaurant_at(&server(status, body).await.0)
}

#[tokio::test]
async fn a_request_has_its_key_its_trace_and_the_order() {
    let (url, ledger) = server(201, json!({})).await;
    let (payment, restaurant) = (payment_at(&url), restaurant_at(&url));
    let order = order();
    let trace = Some("Root=1-63b35429-0a1b2c3d4e5f60718293a4b5");
    payment.charge(&order, trace).await.unwrap();
    payment.refund(&order, trace).await.unwrap();
    restaurant.deliver(&order, None).await.unwrap();
    restaurant.cancel(&order, None).await.unwrap();
    let body = json!({
        "order_id": order.id(), "user_id": "Ann", "restaurant_id": "Restaurant 3", "quantity": "3",
        "total": {"amount": 3000, "currency": "EUR"},
    });
    let received = |path: &str, what: &str, trace: Option<&str>| {
        (format!("/v1/{path}"), format!("{}:{what}", order.id()), trace.unwrap_or_default().to_owned(), body.clone())
    };
    let expected = [
        received("charges", "charge", trace),
        received("refunds", "refund", trace),
        received("deliveries", "delivery", None),
        received("cancellations", "cancellation", None),
    ];
    assert_eq!(*ledger.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_provider_knows_us_by_its_key_and_gets_none_if_there_is_none() {
    let keys: Arc<Mutex<Vec<Option<HeaderValue>>>> = Arc::default();
    let received = keys.clone();
    let answer = move |headers: HeaderMap| {
        received.lock().unwrap().push(headers.get("authorization").cloned());
        std::future::ready(StatusCode::CREATED)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    let payment = PaymentProvider::at(url.parse().unwrap(), Key::parse("key-of-the-payment")).unwrap();
    let restaurant = Restaurant::at(url.parse().unwrap(), Key::parse("key-of-the-restaurant")).unwrap();
    payment.charge(&order(), None).await.unwrap();
    payment.refund(&order(), None).await.unwrap();
    restaurant.deliver(&order(), None).await.unwrap();
    restaurant.cancel(&order(), None).await.unwrap();
    payment_at(&url).charge(&order(), None).await.unwrap();
    let bearer = |key| Some(HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
    let (payment, restaurant) = (bearer("key-of-the-payment"), bearer("key-of-the-restaurant"));
    assert_eq!(*keys.lock().unwrap(), [payment.clone(), payment, restaurant.clone(), restaurant, None]);
}

#[tokio::test]
async fn a_2xx_grants_the_request() {
    for status in [200, 201, 202, 204] {
        let (url, _) = server(status, json!({})).await;
        assert_eq!(payment_at(&url).charge(&order(), None).await.unwrap(), Charge::Paid, "{status}");
        payment_at(&url).refund(&order(), None).await.unwrap();
        assert_eq!(restaurant_at(&url).cancel(&order(), None).await.unwrap(), Cancellation::Granted, "{status}");
        let delivery = if status == 202 { Delivery::NotYet } else { Delivery::Confirmed };
        assert_eq!(restaurant_at(&url).deliver(&order(), None).await.unwrap(), delivery, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_has_its_reason() {
    for status in [402, 422] {
        for (body, reason) in [
            (json!({"reason": "the card is declined"}), "the card is declined".to_owned()),
            (json!("what?"), "no reason given".to_owned()),
            (json!({"reason": "é".repeat(1000)}), "é".repeat(200)),
            (json!({"reason": "a\u{0}b\n"}), "a b".to_owned()),
        ] {
            let (url, _) = server(status, body).await;
            let charge = payment_at(&url).charge(&order(), None).await.unwrap();
            assert_eq!(charge, Charge::Declined(reason.clone()), "{status}");
            let delivery = restaurant_at(&url).deliver(&order(), None).await.unwrap();
            assert_eq!(delivery, Delivery::Refused(reason), "{status}");
        }
    }
}

#[tokio::test]
async fn a_cancellation_may_be_too_late() {
    let restaurant = restaurant(422, json!({})).await;
    assert_eq!(restaurant.cancel(&order(), None).await.unwrap(), Cancellation::TooLate);
}

#[tokio::test]
async fn a_404_breaks_the_contract_of_refunds_and_cancellations() {
    let (url, _) = server(404, json!({})).await;
    let refund = payment_at(&url).refund(&order(), None).await;
    assert!(matches!(refund, Err(ProviderError::NotFound)), "{refund:?}");
    let cancellation = restaurant_at(&url).cancel(&order(), None).await;
    assert!(matches!(cancellation, Err(ProviderError::NotFound)), "{cancellation:?}");
}

#[tokio::test]
async fn a_request_that_was_not_answered_or_is_to_be_repeated_is_retryable() {
    for status in [408, 409, 429, 500, 502, 503, 504] {
        let answer = payment(status, json!({"reason": "busy"})).await.charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Retryable(_))), "{status}: {answer:?}");
    }
    // A port that nothing listens on, and a server that never answers.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let answer = payment_at(&format!("http://{address}")).charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Retryable(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn any_other_answer_is_a_mistake() {
    for status in [301, 400, 401, 403, 404, 415] {
        let (url, _) = server(status, json!({})).await;
        let answer = payment_at(&url).charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Mistake(_))), "{status}: {answer:?}");
        let answer = restaurant_at(&url).deliver(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Mistake(_))), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, ledger) = server(200, json!({})).await;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let elsewhere = elsewhere.clone();
        let redirect = move || std::future::ready((status, [("location", elsewhere.clone())]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(redirect)).await.unwrap() });
        let answer = payment_at(&url).charge(&order(), None).await;
        assert!(matches!(answer, Err(ProviderError::Mistake(_))), "{answer:?}");
    }
    assert!(ledger.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_simulator_refuses_its_share_and_repeats_its_decisions() {
    let share = async |percent: u8| {
        let simulator = PaymentProvider::simulator(percent);
        let mut refused = 0;
        for _ in 0..1000 {
            let order = order();
            let first = simulator.charge(&order, None).await.unwrap();
            assert_eq!(simulator.charge(&order, None).await.unwrap(), first);
            simulator.refund(&order, None).await.unwrap();
            refused += u32::from(first != Charge::Paid);
        }
        refused
    };
    assert_eq!((share(0).await, share(100).await), (0, 1000));
    // With 1000 orders at 10 %, fewer than one run in 10^12 is outside.
    assert!((30..=190).contains(&share(10).await));
}
