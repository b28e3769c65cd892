//! The payment provider: charges and refunds.

use serde_json::{Value, json};

use super::{
    DELIVERED, NOTHING, Notifications, balance, calls_for_an_operator, failed, hours_ago, id, invoke, is_found,
    order_when, quick, requests, submit, succeeded, sweep,
};
use crate::providers::{Balance, requests_about};
use crate::support::path_of;

#[tokio::test]
async fn a_declined_payment_is_a_failure_and_nothing_is_sent() {
    let api = quick().await;
    for status in [402, 422] {
        let order = submit(&api, &format!("charges {status}")).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        let ended = failed(&api, &order, "the payment was declined: the test says so", None).await;
        assert_eq!(ended["paid_at"], Value::Null);
        assert_eq!(balance(&order), NOTHING);
        // Neither a restaurant nor a refund is asked for.
        assert_eq!(requests_about(id(&order)), requests(&[("charges", status)]));
        notifications.published_once(&ended).await;
        api.delete(&path_of(&order)).await.is(204);
    }
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_taken_once() {
    let api = quick().await;
    let order = submit(&api, "charges 201-lost").await;
    // Each answer is lost, so the payment stays unknown and is refunded.
    failed(&api, &order, "it is not known whether the payment was made", Some("MADE")).await;
    assert_eq!(balance(&order), NOTHING);

    let order = submit(&api, "charges 201-lost 201").await;
    succeeded(&api, &order).await;
}

#[tokio::test]
async fn a_payment_with_an_unknown_outcome_is_refunded() {
    let api = quick().await;
    // At once after a mistake, and otherwise after all attempts.
    for (charges, attempts) in [(400, 1), (503, 6)] {
        let order = submit(&api, &format!("charges {charges}, refunds 503 201-lost 201")).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        let ended = failed(&api, &order, "it is not known whether the payment was made", Some("MADE")).await;
        assert_eq!(ended["paid_at"], Value::Null);
        assert_eq!(balance(&order), NOTHING);
        let charges = requests_about(id(&order)).into_iter().filter(|(kind, _)| kind == "charges");
        assert_eq!(charges.count(), attempts);
        notifications.published_once(&ended).await;
    }
}

#[tokio::test]
async fn a_refund_that_is_answered_by_404_is_owed_for_a_day_then_failed_or_unknown_and_settled_by_hand() {
    let api = quick().await;
    let kept = Balance { kept: 3000, ..NOTHING };
    let mistake = "the provider answered 400 Bad Request";
    let unknown = "the payment provider knows of no such payment: look at its account";
    for (plan, refund, left, message, calls) in [
        ("deliveries 422, refunds 404", "FAILED", kept, "the restaurant refused: the test says so", vec![unknown]),
        (
            "charges 400, refunds 404",
            "UNKNOWN",
            NOTHING,
            "it is not known whether the payment was made",
            vec![mistake, unknown],
        ),
    ] {
        let order = submit(&api, plan).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        let owed = order_when(&api, &order, "owed", |order| order["refund"] == "OWED").await;
        assert_eq!((&owed["order_status"], &owed["error_message"]), (&json!("PENDING"), &Value::Null));
        assert!(is_found(&api, &order).await);
        let answer = api.delete(&path_of(&order)).await;
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:in-process");
        answer.problem(409);

        // A day later.
        api.set(&order, "failing_since", &hours_ago(25)).await;
        let ended = failed(&api, &order, message, Some(refund)).await;
        assert_eq!(balance(&order), left);
        notifications.published_once(&ended).await;
        let mut called = calls_for_an_operator(&api, &order).await;
        called.sort_by_key(|call| call != mistake);
        assert_eq!(called, calls);
        assert!(is_found(&api, &order).await);
        api.delete(&path_of(&order)).await.problem(409);

        // It waits for an operator: no sweep asks again.
        let before = requests_about(id(&order));
        sweep(&api, &order).await;
        assert_eq!(requests_about(id(&order)), before);

        let key = json!({"id": order["id"]});
        let settled = invoke(&api, &api.stack.settle_function, &key).await;
        assert_eq!((&settled["order"]["refund"], &settled["order"]["id"]), (&json!("MADE"), &order["id"]));
        let settled = failed(&api, &order, message, Some("MADE")).await;
        let published = notifications.next(&order, "FAILURE:MADE").await;
        assert_eq!(published["refund"], "MADE");
        assert_eq!(requests_about(id(&order)), before, "the provider is not asked for what an operator has done");
        assert!(!is_found(&api, &order).await);
        let error = "no order with that id waits to be settled";
        assert_eq!(invoke(&api, &api.stack.settle_function, &key).await, json!({"error": error}));
        assert_eq!(api.get(&path_of(&order)).await.is(200).json(), settled);
        notifications.nothing_more().await;

        api.delete(&path_of(&order)).await.is(204);
    }
}

#[tokio::test]
async fn a_refund_that_the_provider_takes_for_a_mistake_calls_an_operator_and_is_asked_for_again_by_the_sweep() {
    let api = quick().await;
    let order = submit(&api, "deliveries 422, refunds 400 201").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    let message = "the restaurant refused: the test says so";
    let ended = failed(&api, &order, message, Some("OWED")).await;
    assert_eq!(balance(&order), Balance { kept: DELIVERED.kept, ..NOTHING });
    notifications.published_once(&ended).await;
    assert_eq!(calls_for_an_operator(&api, &order).await, ["the provider answered 400 Bad Request"]);
    assert!(is_found(&api, &order).await);
    api.delete(&path_of(&order)).await.problem(409);
    let key = json!({"id": order["id"]});
    let error =
        "only a FAILURE whose refund is FAILED or UNKNOWN can be settled: this order is FAILURE, its refund OWED";
    assert_eq!(invoke(&api, &api.stack.settle_function, &key).await, json!({"error": error}));

    // The mistake is corrected.
    sweep(&api, &order).await;
    failed(&api, &order, message, Some("MADE")).await;
    assert_eq!(balance(&order), NOTHING);
    assert_eq!(notifications.next(&order, "FAILURE:MADE").await["refund"], "MADE");
    notifications.nothing_more().await;
    api.delete(&path_of(&order)).await.is(204);
}
