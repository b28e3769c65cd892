//! Executions that are stopped or fail, events that are lost, and steps that can't write or publish.

use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use shared::order::Order;
use shared::store::Orders;

use super::{
    Breakable, CANCELLED, DELIVERED, NOTHING, Notifications, balance, execution_arn, execution_ended, failed,
    hours_ago, id, invoke, logged, logged_about, order_when, published, requested, requests, saved, shared,
    stop_execution, submit, succeeded, sweep,
};
use crate::providers::{ACCEPTED, Balance, requests_about};
use crate::support::{Api, path_of, set_variable, unreachable_url, user};

const NOT_CONFIRMED: &str = "the restaurant did not confirm the order";
const NOT_PROCESSED: &str = "the order could not be processed";

#[tokio::test]
async fn an_execution_stopped_during_a_charge_ends_in_a_refund() {
    let api = shared().await;
    for plan in ["charges 201-late", "charges 201-lost"] {
        let order = submit(&api, plan).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        requested(&order, "charges", 1).await;
        stop_execution(&api, &order).await;
        let ended = published(&api, &order, "FAILURE:MADE").await;
        assert_eq!((&ended["order_status"], &ended["refund"]), (&json!("FAILURE"), &json!("MADE")));
        let Balance { kept, delivered, .. } = balance(&order);
        assert_eq!((kept, delivered), (0, false));
        notifications.published_once(&ended).await;
    }
}

#[tokio::test]
async fn an_execution_stopped_during_a_delivery_ends_in_a_cancellation_and_a_refund() {
    let api = shared().await;
    let order = submit(&api, "deliveries 503, refunds 503 201").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    requested(&order, "deliveries", 1).await;
    stop_execution(&api, &order).await;

    // A refund that is not made at once keeps no order from its end.
    assert_eq!(notifications.next(&order, "FAILURE").await["refund"], "OWED");
    let ended = failed(&api, &order, NOT_CONFIRMED, Some("MADE")).await;
    assert_eq!(balance(&order), CANCELLED);
    let published = notifications.next(&order, "FAILURE:MADE").await;
    assert_eq!(super::as_published(&published), super::as_published(&ended));
    notifications.nothing_more().await;
}

#[tokio::test]
async fn an_execution_stopped_before_the_payment_ends_in_a_failure_without_payment() {
    let api = shared().await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    saved(&api, &order).await;
    stop_execution(&api, &order).await;
    let ended = failed(&api, &order, NOT_PROCESSED, None).await;
    assert_eq!((&ended["accepted_at"], balance(&order)), (&Value::Null, NOTHING));
    assert_eq!(requests_about(id(&order)), requests(&[]), "nobody was asked for money");
    notifications.published_once(&ended).await;
}

/// Sends the status change of a failed execution, as EventBridge does.
async fn send_failure_of(api: &Api, order: &Value) {
    let input = json!({"order": order}).to_string();
    let detail = json!({"executionArn": execution_arn(&api.stack, order), "status": "FAILED", "input": input});
    let event = json!({"source": "aws.states", "detail": detail});
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let send = sqs.send_message().queue_url(&api.stack.recovery_queue).message_body(event.to_string());
    send.send().await.unwrap();
}

#[tokio::test]
async fn the_event_of_an_execution_that_is_running_or_of_an_order_that_is_settled_changes_nothing() {
    let api = shared().await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    saved(&api, &order).await;
    send_failure_of(&api, &order).await;
    logged_about(&api, &order, "recover-order", 1, "done").await;
    let ended = succeeded(&api, &order).await;
    notifications.published_once(&ended).await;
    execution_ended(&api, &order).await;

    send_failure_of(&api, &order).await;
    logged_about(&api, &order, "recover-order", 2, "done").await;
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), ended);
    api.delete(&path_of(&order)).await.is(204);
    send_failure_of(&api, &order).await;
    logged_about(&api, &order, "recover-order", 3, "done").await;
    api.get(&path_of(&order)).await.problem(404);
    assert_eq!(balance(&order), DELIVERED);
    notifications.nothing_more().await;
}

/// The stack whose steps the tests break.
static STEPS: Breakable = Breakable::new("order-api-steps");

#[tokio::test]
async fn an_order_that_is_delivered_is_a_success_even_if_completing_it_fails_for_a_while() {
    let (api, _turn) = STEPS.take().await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    // DynamoDB is away for this step.
    set_variable(&api.stack, &["complete-order"], "AWS_ENDPOINT_URL_DYNAMODB", Some(&unreachable_url())).await;
    logged_about(&api, &order, "complete-order", 2, "failed").await;
    let pending = api.get(&path_of(&order)).await.is(200).json();
    assert_eq!(pending["order_status"], "PENDING");
    assert!(pending["paid_at"].is_string() && pending["delivered_at"].is_string(), "{pending}");
    set_variable(&api.stack, &["complete-order"], "AWS_ENDPOINT_URL_DYNAMODB", None).await;
    let ended = succeeded(&api, &order).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    notifications.published_once(&ended).await;

    // Even an error that is not retryable only hands the order to the recovery.
    set_variable(&api.stack, &["complete-order"], "ORDERS_TABLE", Some("gone")).await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Failed);
    let ended = succeeded(&api, &order).await;
    notifications.published_once(&ended).await;
    set_variable(&api.stack, &["complete-order"], "ORDERS_TABLE", Some(&api.stack.orders_table)).await;
}

#[tokio::test]
async fn an_order_that_can_not_be_saved_ends_in_a_failure_without_payment() {
    let (api, _turn) = STEPS.take().await;
    set_variable(&api.stack, &["save-order"], "ORDERS_TABLE", Some("gone")).await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Failed);
    set_variable(&api.stack, &["save-order"], "ORDERS_TABLE", Some(&api.stack.orders_table)).await;
    let ended = failed(&api, &order, NOT_PROCESSED, None).await;
    assert_eq!(requests_about(id(&order)), requests(&[]), "nobody was asked for money");
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn an_end_is_published_as_soon_as_the_topic_is_back() {
    let (api, _turn) = STEPS.take().await;
    let (functions, topic) = (["complete-order", "recover-order"], &api.stack.notifications_topic);
    let away = unreachable_url();
    let none = "arn:aws:sns:eu-west-1:000000000000:gone";
    for (variable, broken, whole) in
        [("AWS_ENDPOINT_URL_SNS", away.as_str(), None), ("TOPIC_ARN", none, Some(topic.as_str()))]
    {
        set_variable(&api.stack, &functions, variable, Some(broken)).await;
        let order = submit(&api, ACCEPTED).await;
        let notifications = Notifications::of(&api.stack, &order).await;
        order_when(&api, &order, "final", |order| order["order_status"] == "SUCCESS").await;
        logged_about(&api, &order, "complete-order", 1, "failed").await;
        // It is final, but its end must not get lost.
        let answer = api.delete(&path_of(&order)).await;
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:in-process");
        answer.problem(409);
        set_variable(&api.stack, &functions, variable, whole).await;
        let ended = succeeded(&api, &order).await;
        notifications.published_once(&ended).await;
        api.delete(&path_of(&order)).await.is(204);
    }
}

/// The stack that loses the events of failed executions.
pub(super) static EVENTS: Breakable = Breakable::new("order-api-events-lost");

async fn lose_events(api: &Api) {
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    // Fails if another test has deleted the queue.
    let _ = sqs.delete_queue().queue_url(&api.stack.recovery_queue).send().await;
    let queue = sqs.get_queue_attributes().queue_url(&api.stack.recovery_queue);
    queue.attribute_names(QueueAttributeName::QueueArn).send().await.expect_err("the queue is gone");
}

#[tokio::test]
async fn the_sweep_settles_orders_whose_event_is_lost() {
    let (api, _turn) = EVENTS.take().await;
    lose_events(&api).await;
    let order = submit(&api, "deliveries 503").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    requested(&order, "deliveries", 1).await;
    stop_execution(&api, &order).await;
    sweep(&api, &order).await;
    let ended = failed(&api, &order, NOT_CONFIRMED, Some("MADE")).await;
    assert_eq!(balance(&order), CANCELLED);
    notifications.published_once(&ended).await;

    // An order that was not saved is not in the index, but its execution has it.
    set_variable(&api.stack, &["save-order"], "ORDERS_TABLE", Some("gone")).await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Failed);
    set_variable(&api.stack, &["save-order"], "ORDERS_TABLE", Some(&api.stack.orders_table)).await;
    api.get(&path_of(&order)).await.problem(404);
    invoke(&api, &api.stack.sweep_function, &json!({})).await;
    let ended = failed(&api, &order, NOT_PROCESSED, None).await;
    assert_eq!(requests_about(id(&order)), requests(&[]), "nobody was asked for money");
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn the_sweep_settles_an_order_without_an_execution_and_reports_how_old_it_is() {
    let (api, _turn) = EVENTS.take().await;
    // As after the loss of an emulator's executions.
    let order = json!({"user_id": user("Ann"), "restaurant_id": ACCEPTED, "quantity": "3",
        "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "created_at": hours_ago(2), "order_status": "PENDING",
        "updated_at": hours_ago(2), "version": 2, "processing": "workflow", "accepted_at": hours_ago(2),
        "total": {"amount": 3000, "currency": "EUR"}});
    let saved: Order = serde_json::from_value(order.clone()).unwrap();
    let orders = Orders::new(&api.stack.sdk_config().await, api.stack.orders_table.as_str());
    orders.create(&saved).await.unwrap();
    let notifications = Notifications::of(&api.stack, &order).await;
    invoke(&api, &api.stack.sweep_function, &json!({})).await;
    let ended = failed(&api, &order, "it is not known whether the payment was made", Some("MADE")).await;
    assert_eq!(balance(&order), NOTHING);
    notifications.published_once(&ended).await;
    let ages = logged(&api).await.into_iter().filter_map(|line| line["oldest_unsettled_seconds"].as_u64());
    assert!(ages.max() >= Some(2 * 60 * 60), "the age of the oldest order is logged");
}

#[tokio::test]
async fn a_charge_that_answers_after_the_decision_to_fail_is_refunded() {
    let (api, _turn) = EVENTS.take().await;
    // From now on the sweep starts faster than the charge is answered.
    invoke(&api, &api.stack.sweep_function, &json!({})).await;
    let order = submit(&api, "charges 201-late").await;
    let notifications = Notifications::of(&api.stack, &order).await;
    requested(&order, "charges", 1).await;
    // The execution is stopped, and its charge is still running.
    stop_execution(&api, &order).await;
    sweep(&api, &order).await;
    let ended = published(&api, &order, "FAILURE:MADE").await;
    assert_eq!((&ended["paid_at"], &ended["refund"]), (&Value::Null, &json!("MADE")));
    let late = order_when(&api, &order, "paid", |order| order["paid_at"].is_string()).await;
    assert_eq!((&late["order_status"], &late["refund"]), (&json!("FAILURE"), &json!("MADE")));
    assert_eq!(balance(&order), NOTHING);
    notifications.published_once(&ended).await;
}
