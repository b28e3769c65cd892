//! The restaurants: deliveries and cancellations.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    CANCELLED, NOTHING, Notifications, balance, calls_for_an_operator, failed, hours_ago, id, quick, requested,
    requests, submit, succeeded, sweep,
};
use crate::providers::{Balance, ledger_of, requests_about};
use crate::support::path_of;

const NOT_CONFIRMED: &str = "the restaurant did not confirm the order";

#[tokio::test]
async fn an_order_that_the_restaurant_refuses_is_refunded() {
    let api = quick().await;
    let order = submit(&api, "deliveries 503 422").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    let ended = failed(&api, &order, "the restaurant refused: the test says so", Some("MADE")).await;
    assert!(ended["paid_at"].is_string(), "a payment that was made stays on the order: {ended}");
    assert_eq!(balance(&order), NOTHING);
    let expected = [("charges", 201), ("deliveries", 503), ("deliveries", 422), ("refunds", 201)];
    assert_eq!(requests_about(id(&order)), requests(&expected));
    let keys: Vec<_> = ledger_of(id(&order)).into_iter().map(|entry| entry.key).collect();
    let expected = ["charge", "delivery", "delivery", "refund"].map(|kind| format!("{}:{kind}", id(&order)));
    assert_eq!(keys, expected);
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn an_order_whose_restaurant_never_answers_is_cancelled_and_refunded() {
    let api = quick().await;
    let order = submit(&api, "deliveries 503, cancellations 503 201-lost 201").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    let ended = failed(&api, &order, NOT_CONFIRMED, Some("MADE")).await;
    assert_eq!(balance(&order), CANCELLED);
    let deliveries = requests_about(id(&order)).into_iter().filter(|(kind, _)| kind == "deliveries");
    assert_eq!(deliveries.count(), 6);
    let cancellations = ledger_of(id(&order)).into_iter().filter(|entry| entry.kind == "cancellations");
    let keys: HashSet<_> = cancellations.map(|entry| entry.key).collect();
    assert_eq!(keys, HashSet::from([format!("{}:cancellation", id(&order))]));
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn an_order_that_the_restaurant_has_not_confirmed_in_time_is_cancelled_and_refunded() {
    let api = quick().await;
    let order = submit(&api, "deliveries 202").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    let ended = failed(&api, &order, NOT_CONFIRMED, Some("MADE")).await;
    assert_eq!(balance(&order), CANCELLED);
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn an_order_that_it_is_too_late_to_cancel_is_a_success() {
    let api = quick().await;
    // The answer to the delivery is lost, or the restaurant decides only when it is asked to cancel.
    for plan in ["deliveries 201-lost 400", "deliveries 202, cancellations 422"] {
        let order = submit(&api, plan).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        let ended = succeeded(&api, &order).await;
        let cancellations = requests_about(id(&order)).into_iter().filter(|(kind, _)| kind == "cancellations");
        assert_eq!(cancellations.collect::<Vec<_>>(), requests(&[("cancellations", 422)]));
        notifications.published_once(&ended).await;
    }
}

#[tokio::test]
async fn nothing_is_refunded_and_nothing_is_final_before_the_cancellation_is_answered() {
    let api = quick().await;
    let order = submit(&api, "deliveries 400, cancellations 503 400 404").await;
    // A mistake is not an answer: the execution ends, and the recovery asks again. Neither is a 404.
    requested(&order, "cancellations", 3).await;
    let pending = api.get(&path_of(&order)).await.is(200).json();
    assert_eq!((&pending["refund"], &pending["delivered_at"]), (&Value::Null, &Value::Null));
    assert_eq!(pending["order_status"], "PENDING");
    assert_eq!(calls_for_an_operator(&api, &order).await, ["the provider answered 400 Bad Request"; 2]);
    assert!(api.attribute(&order, "unsettled").await.is_some());
    assert_eq!(balance(&order), Balance { kept: 3000, ..NOTHING });
    api.delete(&path_of(&order)).await.problem(409);

    // A day after the decision to cancel, a 404 counts as granted.
    api.set(&order, "cancelling_since", &hours_ago(25)).await;
    sweep(&api, &order).await;
    failed(&api, &order, NOT_CONFIRMED, Some("MADE")).await;
    assert_eq!(balance(&order), NOTHING);
}
