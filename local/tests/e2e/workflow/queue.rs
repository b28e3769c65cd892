//! The queue of submitted orders: repeats, unusable messages and dead letters.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};
use reqwest::Method;
use serde_json::{Value, json};
use shared::order::{Order, OrderContent, Processing, Timestamp};
use tokio::task::JoinSet;

use super::{
    Breakable, DELIVERED, NOTHING, Notifications, balance, execution_arn, execution_ended, id, logged, logged_about,
    quick, requests, saved, set_queue, shared, submit, succeeded,
};
use crate::providers::{ACCEPTED, requests_about};
use crate::support::{Answer, Api, encode, eventually, path_of, send, set_variable, text, unreachable_url, user};

/// The stack whose queue the tests break.
static QUEUE: Breakable = Breakable::new("order-api-queue");

#[tokio::test]
async fn a_message_delivered_five_times_makes_one_order_one_charge_and_one_end() {
    let api = shared().await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    saved(&api, &order).await;
    let sdk = api.stack.sdk_config().await;
    let (sqs, sfn) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sfn::Client::new(&sdk));
    let arn = execution_arn(&api.stack, &order);
    let message = sfn.describe_execution().execution_arn(&arn).send().await.unwrap().input.unwrap();
    let send_again = async || {
        sqs.send_message().queue_url(&api.stack.orders_queue).message_body(&message).send().await.unwrap();
    };
    send_again().await;
    send_again().await;
    let ended = succeeded(&api, &order).await;
    send_again().await;
    send_again().await;
    notifications.published_once(&ended).await;
    logged_about(&api, &order, "start-order", 5, "done").await;
    assert_eq!(requests_about(id(&order)), requests(&[("charges", 201), ("deliveries", 201)]));
    assert_eq!(balance(&order), DELIVERED);
    assert_eq!(api.get(&path_of(&order)).await.json(), ended);
    let listed = api.get(&format!("/orders?user_id={}", encode(order["user_id"].as_str().unwrap()))).await.json();
    assert_eq!(listed, json!([ended]));

    // The message does not restore a deleted order.
    api.delete(&path_of(&order)).await.is(204);
    send_again().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    api.get(&path_of(&order)).await.problem(404);
}

/// A submitted order of this user, made at that instant.
fn order_made_at(user: &str, made: Timestamp) -> Order {
    let content =
        OrderContent { restaurant_id: ACCEPTED.to_owned().try_into().unwrap(), quantity: 3.try_into().unwrap() };
    let total = serde_json::from_value(json!({"amount": 3000, "currency": "EUR"})).unwrap();
    Order::new(user.to_owned().try_into().unwrap(), content, total, Processing::Workflow, made)
}

#[tokio::test]
async fn unusable_messages_become_dead_letters_at_once_and_the_others_of_their_batch_become_orders() {
    let api = quick().await;
    let user = user("Ann");
    let message = |made| json!({"order": order_made_at(&user, made)}).to_string();
    let mut bodies: Vec<_> = (0..8).map(|_| message(Timestamp::now())).collect();
    // Its record may have expired, so it could be saved for the second time.
    let too_old = message(Timestamp::now().before(Duration::from_hours(61 * 24)));
    let malformed = r#"{"order": "none"}"#.to_owned();
    bodies.insert(4, malformed.clone());
    bodies.insert(7, too_old.clone());
    let entries = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build().unwrap());
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let send = sqs.send_message_batch().queue_url(&api.stack.orders_queue);
    send.set_entries(Some(entries.collect())).send().await.unwrap();

    let list = format!("/orders?user_id={}", encode(&user));
    let all = eventually("eight orders are final", || async {
        let orders = api.get(&list).await.is(200).json().as_array().unwrap().clone();
        let is_done = orders.len() == 8 && orders.iter().all(|order| order["order_status"] == "SUCCESS");
        is_done.then_some(orders)
    });
    for order in all.await {
        succeeded(&api, &order).await;
    }
    let mut dead = HashSet::new();
    while dead.len() < 2 {
        let letter = eventually("the unusable messages are dead letters", || async {
            let received = sqs.receive_message().queue_url(&api.stack.orders_dead_letter_queue).send().await.unwrap();
            received.messages.unwrap_or_default().pop()
        });
        assert!(dead.insert(letter.await.body.unwrap()), "a dead letter came twice");
    }
    assert_eq!(dead, HashSet::from([malformed, too_old]));
    let handled = logged(&api).await.into_iter().filter(|line| line["function"] == "start-order");
    let failed: Vec<_> = handled.filter(|line| line["message"] == "failed").collect();
    assert_eq!(failed.len(), 2, "each once: {failed:?}");
    let more = sqs.receive_message().queue_url(&api.stack.orders_dead_letter_queue).send().await.unwrap();
    assert!(more.messages.unwrap_or_default().is_empty(), "there are no other dead letters");
}

#[tokio::test]
async fn an_unusable_event_becomes_a_dead_letter_of_the_recovery() {
    let api = quick().await;
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let event = json!({"detail": "none"}).to_string();
    sqs.send_message().queue_url(&api.stack.recovery_queue).message_body(&event).send().await.unwrap();
    let letter = eventually("the event is a dead letter", || async {
        let received = sqs.receive_message().queue_url(&api.stack.recovery_dead_letter_queue).send().await.unwrap();
        received.messages.unwrap_or_default().pop()
    });
    assert_eq!(letter.await.body.unwrap(), event);
}

/// The parts of a response that must be the same for a repeated request.
fn seen(answer: &Answer) -> (u16, String, String) {
    (answer.status.as_u16(), answer.header("location").into(), answer.body.clone())
}

async fn submit_keyed(api: &Api, key: &str, body: &Value) -> Answer {
    send(api.request(Method::POST, "/orders").header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_repeated_submission_gets_the_same_response_and_makes_one_order() {
    let api = shared().await;
    let user = user("Ann");
    let key = user.replace(' ', "_");
    let body = json!({"user_id": user, "restaurant_id": ACCEPTED, "quantity": 3});
    let first = submit_keyed(&api, &key, &body).await.is(202);
    let mut clients = JoinSet::new();
    for _ in 0..5 {
        let (api, key, body) = (api.clone(), key.clone(), body.clone());
        clients.spawn(async move { seen(&submit_keyed(&api, &key, &body).await) });
    }
    assert!(clients.join_all().await.iter().all(|again| *again == seen(&first)));
    let mut other = body.clone();
    other["quantity"] = json!(4);
    submit_keyed(&api, &key, &other).await.problem(422);
    // The key was used for another operation.
    send(api.request(Method::PUT, "/orders").header("Idempotency-Key", &key).json(&body)).await.problem(422);

    let order = first.json();
    let ended = succeeded(&api, &order).await;
    assert_eq!(seen(&submit_keyed(&api, &key, &body).await), seen(&first));
    assert_eq!(requests_about(id(&order)), requests(&[("charges", 201), ("deliveries", 201)]));
    assert_eq!(api.get(&format!("/orders?user_id={}", encode(&user))).await.json(), json!([ended]));
}

#[tokio::test]
async fn a_submission_is_validated_like_a_creation_and_a_bad_one_is_not_queued() {
    let api = shared().await;
    let post = |body: &Value| send(api.request(Method::POST, "/orders").json(body));
    let bad = json!({"user_id": "a/b", "restaurant_id": "", "quantity": 0, "colour": "red"});
    let mut fields = post(&bad).await.problem(400);
    fields.sort();
    assert_eq!(fields, ["colour", "quantity", "restaurant_id", "user_id"]);
    assert_eq!(post(&json!([])).await.problem(400), ["body"]);
    let user = user("Ann");
    let good = json!({"user_id": user, "restaurant_id": ACCEPTED, "quantity": 3});
    assert_eq!(submit_keyed(&api, "a b", &good).await.problem(400), ["Idempotency-Key"]);
    send(api.request(Method::POST, "/orders").body(good.to_string())).await.problem(415);
    let mut long = good.clone();
    long["restaurant_id"] = json!("R".repeat(64 * 1024));
    post(&long).await.problem(413);
    send(api.request(Method::POST, "/orders").header("If-Match", "*").json(&good)).await.problem(412);
    let listed = api.get(&format!("/orders?user_id={}", encode(&user))).await;
    assert_eq!(listed.json(), json!([]));

    // Fields that the server sets are accepted and ignored, so an order can be submitted again as it was received.
    let order = post(&good).await.is(202).json();
    let again = post(&order).await.is(202).json();
    assert_ne!(again["id"], order["id"]);
}

#[tokio::test]
async fn a_submission_that_cannot_be_queued_is_503_and_repeating_it_makes_one_order() {
    let (api, _turn) = QUEUE.take().await;
    let user = user("Ann");
    let body = json!({"user_id": user, "restaurant_id": ACCEPTED, "quantity": 3});
    set_variable(&api.stack, &["submit-order"], "AWS_ENDPOINT_URL_SQS", Some(&unreachable_url())).await;
    let failed = submit_keyed(&api, "k", &body).await;
    assert!(failed.header("retry-after").parse::<u32>().unwrap() > 0);
    failed.problem(503);
    set_variable(&api.stack, &["submit-order"], "AWS_ENDPOINT_URL_SQS", None).await;
    let order = submit_keyed(&api, "k", &body).await.is(202).json();
    let ended = succeeded(&api, &order).await;
    assert_eq!(api.get(&format!("/orders?user_id={}", encode(&user))).await.json(), json!([ended]));
    assert_eq!(requests_about(id(&order)), requests(&[("charges", 201), ("deliveries", 201)]));
}

/// Step Functions, as the function that starts executions sees it.
const STEP_FUNCTIONS: &str = "AWS_ENDPOINT_URL_SFN";

#[tokio::test]
async fn an_order_that_is_deleted_before_it_is_saved_is_never_saved_and_nobody_is_charged() {
    let (api, _turn) = QUEUE.take().await;
    let visibility = async |seconds| {
        set_queue(&api, &api.stack.orders_queue, QueueAttributeName::VisibilityTimeout, seconds).await;
    };
    visibility("10").await;
    set_variable(&api.stack, &["start-order"], STEP_FUNCTIONS, Some(&unreachable_url())).await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    logged_about(&api, &order, "start-order", 1, "failed").await;
    for _ in 0..2 {
        api.delete(&path_of(&order)).await.problem(404);
    }
    set_variable(&api.stack, &["start-order"], STEP_FUNCTIONS, None).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    api.get(&path_of(&order)).await.problem(404);
    assert_eq!(balance(&order), NOTHING);
    assert_eq!(requests_about(id(&order)), requests(&[]), "nobody was asked for money");
    notifications.nothing_more().await;
    visibility("60").await;
}

/// The emulator has no `StartMessageMoveTask`, so this test moves the message by receiving and sending it.
/// `tools/tests/test_redrive.py` tests the request of `make redrive`.
#[tokio::test]
async fn an_order_is_processed_when_its_dead_letter_is_redriven() {
    let (api, _turn) = QUEUE.take().await;
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let get = sqs.get_queue_attributes().queue_url(&api.stack.orders_queue);
    let attributes = get.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
    let policy = &attributes[&QueueAttributeName::RedrivePolicy];
    let mut impatient: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(impatient["maxReceiveCount"].to_string().trim_matches('"'), "10");
    impatient["maxReceiveCount"] = json!(2);
    let set = async |visibility, policy: &str| {
        set_queue(&api, &api.stack.orders_queue, QueueAttributeName::RedrivePolicy, policy).await;
        set_queue(&api, &api.stack.orders_queue, QueueAttributeName::VisibilityTimeout, visibility).await;
    };
    set("10", &impatient.to_string()).await;
    set_variable(&api.stack, &["start-order"], STEP_FUNCTIONS, Some(&unreachable_url())).await;
    let order = submit(&api, ACCEPTED).await;
    let dead = eventually("the message is a dead letter", || async {
        let receive = sqs.receive_message().queue_url(&api.stack.orders_dead_letter_queue);
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader);
        receive.send().await.unwrap().messages.unwrap_or_default().pop()
    });
    let dead = dead.await;
    api.get(&path_of(&order)).await.problem(404);
    // The message is on the trace of the client's request.
    let message: Value = serde_json::from_str(dead.body().unwrap()).unwrap();
    assert_eq!(dead.attributes.unwrap()[&MessageSystemAttributeName::AwsTraceHeader], text(&message["trace"]));

    set_variable(&api.stack, &["start-order"], STEP_FUNCTIONS, None).await;
    set("60", policy).await;
    sqs.send_message().queue_url(&api.stack.orders_queue).message_body(dead.body.unwrap()).send().await.unwrap();
    println!("redriven by receiving and sending: the emulator has no StartMessageMoveTask");
    let mut ended = succeeded(&api, &order).await;
    ended["order_status"] = json!("PENDING");
    for field in ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"] {
        assert_eq!(ended[field], order[field], "{field} is as in the response");
    }
    assert_eq!(requests_about(id(&order)), requests(&[("charges", 201), ("deliveries", 201)]));
}
