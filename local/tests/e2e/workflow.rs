//! Submitted orders: from the public API through the real queue and the real state machine to the tests' providers. Their
//! ledger shows the requests that real providers would have received.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};
use backon::{ExponentialBuilder, Retryable};
use local::Stack;
use local::logs::lines;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::providers::{ledger_of, plan, requests_about, url};
use crate::support::{Answer, Api, WAIT_TIMEOUT, encode, eventually, path_of, send, set_variable, text, user};

/// Deploys a separate stack that uses the tests' providers, with these parameters.
async fn stack(name: &str, parameters: &[&str]) -> Api {
    let providers = [format!("PaymentUrl={}", url()), format!("RestaurantUrl={}", url())];
    Api::of_own_stack(name, &[&[providers[0].as_str(), &providers[1]], parameters].concat()).await
}

/// Returns the stack that most tests here share. Its grace period and its visibility timeout suit a slow machine: no
/// message may come again while it is being handled.
async fn shared() -> Api {
    static STACK: OnceCell<Api> = OnceCell::const_new();
    STACK
        .get_or_init(|| stack("order-api-workflow", &["GracePeriodSeconds=15", "QueueVisibilitySeconds=60"]))
        .await
        .with_http_of_its_own()
}

/// Submits an order with this plan for its providers.
async fn submit(api: &Api, statuses: &[(&str, &[u16])]) -> Value {
    let body = json!({"user_id": user("Ann"), "restaurant_id": plan(statuses), "quantity": 3});
    send(api.request(Method::POST, "/orders").json(&body)).await.is(202).json()
}

/// Waits until the order is as expected, and returns it.
async fn order_when(api: &Api, order: &Value, state: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let path = path_of(order);
    let look = || async {
        let answer = api.get(&path).await;
        (answer.status == StatusCode::OK).then(|| answer.json()).filter(&expected)
    };
    eventually(&format!("{path} is {state}"), look).await
}

async fn saved(api: &Api, order: &Value) -> Value {
    order_when(api, order, "saved", |_| true).await
}

async fn accepted(api: &Api, order: &Value) -> Value {
    order_when(api, order, "accepted", |order| order["accepted_at"].is_string()).await
}

async fn ended(api: &Api, order: &Value) -> Value {
    let ended = order_when(api, order, "final", |order| order["order_status"] != "PENDING").await;
    assert!(ended["completed_at"].is_string(), "{ended}");
    ended
}

/// Waits until the order is final, and asserts that it is a FAILURE with this `error_message`.
async fn failed(api: &Api, order: &Value, error_message: &str) -> Value {
    let ended = ended(api, order).await;
    assert_eq!(ended["order_status"], "FAILURE");
    assert_eq!((&ended["error_message"], &ended["paid_at"]), (&json!(error_message), &Value::Null));
    ended
}

fn requests(requests: &[(&str, u16)]) -> Vec<(String, u16)> {
    requests.iter().map(|(kind, status)| ((*kind).to_owned(), *status)).collect()
}

fn execution_arn(stack: &Stack, order: &Value) -> String {
    let machine = stack.state_machine.replace(":stateMachine:", ":execution:");
    format!("{machine}:{}", order["id"].as_str().unwrap())
}

/// Waits until the order's execution ends, and returns its status.
async fn execution_ended(api: &Api, order: &Value) -> ExecutionStatus {
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    let arn = execution_arn(&api.stack, order);
    let look = || async {
        let described = sfn.describe_execution().execution_arn(&arn).send().await.ok()?;
        Some(described.status).filter(|status| *status != ExecutionStatus::Running)
    };
    eventually("the execution ends", look).await
}

/// Returns the JSON lines that the stack's functions have logged.
async fn logged(api: &Api) -> Vec<Value> {
    let lines = lines(&api.stack).await.unwrap();
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A queue that is subscribed to the final orders of one user, by the attribute `user_id`.
struct Notifications {
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Notifications {
    async fn of(stack: &Stack, user_id: &str) -> Self {
        let sdk = stack.sdk_config().await;
        let (sqs, sns) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
        let name = format!("notifications-{}", user_id.replace(' ', "-"));
        let queue = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(QueueAttributeName::QueueArn);
        let arn = attributes.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
        let subscribe = sns.subscribe().topic_arn(&stack.notifications_topic).protocol("sqs").endpoint(arn);
        let subscribe = subscribe.attributes("FilterPolicy", json!({"user_id": [user_id]}).to_string());
        subscribe.send().await.unwrap();
        Self { sqs, queue }
    }

    /// Receives and deletes the messages in the queue.
    async fn received(&self) -> Vec<Value> {
        let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
        let received = receive.send().await.unwrap().messages.unwrap_or_default();
        for message in &received {
            let delete = self.sqs.delete_message().queue_url(&self.queue);
            delete.set_receipt_handle(message.receipt_handle.clone()).send().await.unwrap();
        }
        received.iter().map(|message| serde_json::from_str(message.body().unwrap()).unwrap()).collect()
    }

    /// Asserts that the final order is published exactly once.
    async fn published_once(&self, order: &Value) {
        let first = eventually("the order is published", || async { self.received().await.into_iter().next() }).await;
        assert_eq!(first["MessageAttributes"]["order_status"]["Value"], order["order_status"]);
        assert_eq!(first["MessageAttributes"]["user_id"]["Value"], order["user_id"]);
        let published: Value = serde_json::from_str(first["Message"].as_str().unwrap()).unwrap();
        let id = format!("{}:{}", text(&order["id"]), text(&order["order_status"]));
        assert_eq!(published, json!({"id": id, "order": order}));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(self.received().await, [Value::Null; 0]);
    }
}

#[tokio::test]
async fn an_order_is_saved_accepted_paid_sent_and_published() {
    let api = shared().await;
    let user = user("Ann");
    let notifications = Notifications::of(&api.stack, &user).await;
    let body = json!({"user_id": user, "restaurant_id": plan(&[]), "quantity": "3"});
    let submitted = send(api.request(Method::POST, "/orders").json(&body)).await.is(202);
    let order = submitted.json();
    let fields = ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"];
    let places: Vec<_> = fields.iter().map(|field| submitted.body.find(&format!("\"{field}\":\"")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", submitted.body);
    assert_eq!((&order["order_status"], &order["processing"]), (&json!("PENDING"), &json!("workflow")));

    // The saved order equals the one in the response, and Location leads to it.
    assert_eq!(submitted.header("location"), &path_of(&order)[1..]);
    assert_eq!(saved(&api, &order).await, order);
    let location = submitted.url.join(submitted.header("location")).unwrap();
    assert_eq!(api.follow(location).await.is(200).json(), order);

    let ended = ended(&api, &order).await;
    let mut expected = order.clone();
    expected["order_status"] = json!("SUCCESS");
    expected["version"] = json!(3);
    for field in ["accepted_at", "paid_at", "completed_at", "updated_at"] {
        expected[field] = ended[field].clone();
    }
    assert_eq!(ended, expected);
    let instants = ["created_at", "accepted_at", "paid_at", "completed_at"].map(|field| ended[field].as_str().unwrap());
    assert!(instants.is_sorted(), "{instants:?}");

    // Each provider got one request, with its own key, on the trace of the client's request.
    let id = text(&order["id"]);
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    let execution = sfn.describe_execution().execution_arn(execution_arn(&api.stack, &order)).send().await.unwrap();
    let input: Value = serde_json::from_str(execution.input().unwrap()).unwrap();
    let trace = text(&input["trace"]);
    assert!(trace.starts_with("Root=1-") && trace.contains(";Parent="), "{trace}");
    let ledger = ledger_of(&id);
    assert_eq!(requests_about(&id), requests(&[("charges", 201), ("deliveries", 201)]));
    let body = json!({"order_id": id, "user_id": user, "restaurant_id": plan(&[]), "quantity": "3"});
    for (entry, kind) in ledger.iter().zip(["charge", "delivery"]) {
        assert_eq!((entry.key.clone(), &entry.trace, &entry.body), (format!("{id}:{kind}"), &trace, &body));
    }

    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    notifications.published_once(&ended).await;

    // Every line about the order has its id in the span, and every function that handled it has such a line.
    let mut functions = HashSet::new();
    for line in logged(&api).await {
        let function = line["function"].as_str().unwrap_or_default().to_owned();
        if line["span"]["order_id"] == *id {
            functions.insert(function);
        } else {
            assert!(!line.to_string().contains(&id), "no order_id in the span: {line}");
        }
    }
    for function in [
        "submit-order",
        "start-order",
        "save-order",
        "get-order",
        "accept-order",
        "process-payment",
        "send-order",
        "complete-order",
    ] {
        assert!(functions.contains(function), "{function} is not in {functions:?}");
    }
}

#[tokio::test]
async fn a_declined_payment_is_a_failure_and_nothing_is_sent() {
    let api = shared().await;
    for status in [402, 422] {
        let order = submit(&api, &[("charges", &[status])]).await;
        let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
        let ended = failed(&api, &order, "payment declined: the test says so").await;
        assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", status)]));
        notifications.published_once(&ended).await;
    }
}

#[tokio::test]
async fn a_charge_is_retried_unchanged_while_the_payment_provider_is_down() {
    let api = shared().await;
    let order = submit(&api, &[("charges", &[503, 429, 201])]).await;
    assert_eq!(ended(&api, &order).await["order_status"], "SUCCESS");
    let id = text(&order["id"]);
    let expected = requests(&[("charges", 503), ("charges", 429), ("charges", 201), ("deliveries", 201)]);
    assert_eq!(requests_about(&id), expected);
    let requests: HashSet<_> = ledger_of(&id)
        .into_iter()
        .filter(|entry| entry.kind == "charges")
        .map(|entry| (entry.key, entry.body.to_string()))
        .collect();
    assert_eq!(requests.len(), 1, "the same request each time");
}

#[tokio::test]
async fn a_payment_with_an_unknown_outcome_is_refunded() {
    let api = shared().await;
    // At once after a failure that is not retryable, and otherwise after all attempts.
    for (charges, attempts) in [(400, 1), (503, 6)] {
        let order = submit(&api, &[("charges", &[charges]), ("refunds", &[503, 404])]).await;
        let error_message = "it is not known whether the payment was made; the payment is refunded";
        failed(&api, &order, error_message).await;
        let refunds = [("refunds", 503), ("refunds", 404)];
        let expected = [vec![("charges", charges); attempts], refunds.to_vec()].concat();
        assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&expected));
    }
}

#[tokio::test]
async fn an_order_that_the_restaurant_refuses_is_refunded() {
    let api = shared().await;
    let order = submit(&api, &[("deliveries", &[503, 422])]).await;
    let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
    let ended = failed(&api, &order, "the restaurant refused: the test says so; the payment is refunded").await;
    let expected = [("charges", 201), ("deliveries", 503), ("deliveries", 422), ("refunds", 201)];
    let id = text(&order["id"]);
    assert_eq!(requests_about(&id), requests(&expected));
    assert_eq!(ledger_of(&id).last().unwrap().key, format!("{id}:refund"));
    notifications.published_once(&ended).await;
}

#[tokio::test]
async fn an_order_whose_restaurant_never_answers_is_refunded() {
    let api = shared().await;
    let order = submit(&api, &[("deliveries", &[503])]).await;
    failed(&api, &order, "the restaurant did not answer; the payment is refunded").await;
    let expected = [vec![("charges", 201)], vec![("deliveries", 503); 6], vec![("refunds", 201)]].concat();
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&expected));
}

#[tokio::test]
async fn a_failed_refund_is_noted_in_the_order_and_logged_for_the_alarm() {
    let api = shared().await;
    let order = submit(&api, &[("deliveries", &[422]), ("refunds", &[402])]).await;
    let error_message = "the restaurant refused: the test says so; the refund has failed and is to be made by hand";
    failed(&api, &order, error_message).await;
    let alarming = logged(&api).await.into_iter().filter(|line| line["refund_failed"] == true);
    let alarming: Vec<_> = alarming.filter(|line| line["span"]["order_id"] == order["id"]).collect();
    assert_eq!(alarming.len(), 1, "{alarming:?}");
}

#[tokio::test]
async fn an_order_changed_in_its_grace_period_is_paid_and_sent_with_the_change() {
    let api = shared().await;
    let order = submit(&api, &[]).await;
    saved(&api, &order).await;
    let change = json!({"restaurant_id": order["restaurant_id"], "quantity": 7});
    api.put_if(&path_of(&order), &change, r#""1""#).await.is(200);
    let ended = ended(&api, &order).await;
    assert_eq!((&ended["order_status"], &ended["quantity"]), (&json!("SUCCESS"), &json!("7")));
    let quantities: Vec<_> = ledger_of(order["id"].as_str().unwrap())
        .into_iter()
        .map(|entry| (entry.kind, text(&entry.body["quantity"])))
        .collect();
    assert_eq!(quantities, [("charges".to_owned(), "7".to_owned()), ("deliveries".to_owned(), "7".to_owned())]);
}

#[tokio::test]
async fn an_order_deleted_in_its_grace_period_is_neither_paid_nor_published() {
    let api = shared().await;
    let order = submit(&api, &[]).await;
    let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
    saved(&api, &order).await;
    api.delete(&path_of(&order)).await.is(204);
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    api.get(&path_of(&order)).await.problem(404);
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[]), "nobody was charged");
    assert_eq!(notifications.received().await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_accepted_order_can_neither_be_changed_nor_deleted_until_it_is_final() {
    let api = shared().await;
    let order = submit(&api, &[("charges", &[503, 503, 503, 201])]).await;
    accepted(&api, &order).await;
    let change = json!({"restaurant_id": "Elsewhere", "quantity": 7});
    for answer in [api.put(&path_of(&order), &change).await, api.delete(&path_of(&order)).await] {
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:in-process");
        answer.problem(409);
    }
    let ended = ended(&api, &order).await;
    assert_eq!((&ended["order_status"], &ended["quantity"]), (&json!("SUCCESS"), &json!("3")));
    assert_eq!(api.put(&path_of(&order), &change).await.json()["type"], "urn:problem-type:order-api:not-pending");
    api.delete(&path_of(&order)).await.is(204);
    api.get(&path_of(&order)).await.problem(404);
}

#[tokio::test]
async fn a_stopped_execution_ends_its_order_and_refunds_the_payment() {
    let api = shared().await;
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    let order = submit(&api, &[("deliveries", &[503]), ("refunds", &[503, 201])]).await;
    let id = text(&order["id"]);
    let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
    eventually("the restaurant gets a request", || async { (ledger_of(&id).len() >= 2).then_some(()) }).await;
    sfn.stop_execution().execution_arn(execution_arn(&api.stack, &order)).send().await.unwrap();

    let ended = failed(&api, &order, "the order could not be processed (ABORTED)").await;
    eventually("the payment is refunded", || async {
        requests_about(&id).contains(&("refunds".into(), 201)).then_some(())
    })
    .await;
    notifications.published_once(&ended).await;
    let payment: Vec<_> = requests_about(&id).into_iter().filter(|(kind, _)| kind != "deliveries").collect();
    assert_eq!(payment, requests(&[("charges", 201), ("refunds", 503), ("refunds", 201)]));

    // The same goes for an execution that is stopped before the payment.
    let order = submit(&api, &[("refunds", &[404])]).await;
    saved(&api, &order).await;
    sfn.stop_execution().execution_arn(execution_arn(&api.stack, &order)).send().await.unwrap();
    failed(&api, &order, "the order could not be processed (ABORTED)").await;
    let charges: Vec<_> =
        requests_about(order["id"].as_str().unwrap()).into_iter().filter(|(kind, _)| kind == "charges").collect();
    assert_eq!(charges, requests(&[]), "nobody was charged");
}

#[tokio::test]
async fn an_order_ends_even_if_saving_or_completing_it_fails() {
    let api = stack("order-api-unrecorded", &["GracePeriodSeconds=1"]).await;
    let table = api.stack.orders_table.clone();
    let (paid, unpaid) = (&[("charges", 201), ("deliveries", 201), ("refunds", 201)][..], &[("refunds", 201)][..]);
    for (function, expected) in [("save-order", unpaid), ("complete-order", paid)] {
        set_variable(&api.stack, &[function], "ORDERS_TABLE", Some("gone")).await;
        let order = submit(&api, &[]).await;
        let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
        assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Failed, "{function}");
        let ended = failed(&api, &order, "the order could not be processed (FAILED)").await;
        notifications.published_once(&ended).await;
        assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(expected), "{function}");
        set_variable(&api.stack, &[function], "ORDERS_TABLE", Some(&table)).await;
    }
}

#[tokio::test]
async fn a_failed_refund_after_a_stopped_execution_is_noted_in_the_order() {
    let api = shared().await;
    let order = submit(&api, &[("deliveries", &[503]), ("refunds", &[402])]).await;
    let id = text(&order["id"]);
    eventually("the restaurant gets a request", || async { (ledger_of(&id).len() >= 2).then_some(()) }).await;
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    sfn.stop_execution().execution_arn(execution_arn(&api.stack, &order)).send().await.unwrap();
    let error_message = "the order could not be processed (ABORTED); the refund has failed and is to be made by hand";
    order_when(&api, &order, "noted", |order| order["error_message"] == error_message).await;
}

/// Sends the status change of a failed execution, as EventBridge does.
async fn send_failure_of(api: &Api, order: &Value) {
    let input = json!({"order": order}).to_string();
    let event = json!({"source": "aws.states", "detail": {"status": "FAILED", "input": input}});
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let send = sqs.send_message().queue_url(&api.stack.recovery_queue).message_body(event.to_string());
    send.send().await.unwrap();
}

#[tokio::test]
async fn a_successful_order_is_published_again_but_not_refunded_if_its_execution_fails_afterwards() {
    let api = shared().await;
    for deleted in [false, true] {
        let order = submit(&api, &[]).await;
        let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
        let ended = ended(&api, &order).await;
        notifications.published_once(&ended).await;
        if deleted {
            api.delete(&path_of(&order)).await.is(204);
        }
        send_failure_of(&api, &order).await;
        notifications.published_once(&ended).await;
        assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
    }
}

#[tokio::test]
async fn a_failed_refund_after_a_failed_execution_is_noted_in_the_order() {
    let api = shared().await;
    let order = submit(&api, &[("charges", &[402]), ("refunds", &[422])]).await;
    let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
    notifications.published_once(&ended(&api, &order).await).await;
    for _ in 0..2 {
        send_failure_of(&api, &order).await;
        let error_message = "payment declined: the test says so; the refund has failed and is to be made by hand";
        let noted = order_when(&api, &order, "noted", |order| order["error_message"] == error_message).await;
        notifications.published_once(&noted).await;
    }
}

#[tokio::test]
async fn a_message_delivered_five_times_makes_one_order_one_charge_and_one_outcome() {
    let api = shared().await;
    let order = submit(&api, &[]).await;
    let notifications = Notifications::of(&api.stack, order["user_id"].as_str().unwrap()).await;
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
    let ended = ended(&api, &order).await;
    send_again().await;
    send_again().await;
    notifications.published_once(&ended).await;
    let started = eventually("all five messages are handled", || async {
        let lines = logged(&api).await.into_iter().filter(|line| line["function"] == "start-order");
        let done = lines.filter(|line| line["span"]["order_id"] == order["id"]);
        let done: Vec<_> = done.map(|line| text(&line["message"])).collect();
        (done.len() >= 5).then_some(done)
    });
    assert_eq!(started.await, ["done"; 5]);
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
    assert_eq!(api.get(&path_of(&order)).await.json(), ended);
    let listed = api.get(&format!("/orders?user_id={}", encode(order["user_id"].as_str().unwrap()))).await.json();
    assert_eq!(listed, json!([ended]));

    // The message does not restore a deleted order.
    api.delete(&path_of(&order)).await.is(204);
    send_again().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    api.get(&path_of(&order)).await.problem(404);
}

#[tokio::test]
async fn a_malformed_message_becomes_a_dead_letter_and_the_other_nine_of_its_batch_become_orders() {
    let api = stack("order-api-batch", &["GracePeriodSeconds=1"]).await;
    let user = user("Ann");
    let order = |n: usize| {
        json!({"order": {"user_id": user, "restaurant_id": plan(&[]), "quantity": "3",
            "id": format!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2{n:02}"), "created_at": "2023-01-02T22:06:33.637839308Z",
            "order_status": "PENDING", "updated_at": "2023-01-02T22:06:33.637839308Z", "version": 1, "processing": "workflow"}})
    };
    let mut bodies: Vec<_> = (0..9).map(|n| order(n).to_string()).collect();
    bodies.insert(4, r#"{"order": "none"}"#.to_owned());
    let entries = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build().unwrap());
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    let send = sqs.send_message_batch().queue_url(&api.stack.orders_queue);
    send.set_entries(Some(entries.collect())).send().await.unwrap();

    let list = format!("/orders?user_id={}", encode(&user));
    let all = eventually("nine orders are final", || async {
        let orders = api.get(&list).await.is(200).json().as_array().unwrap().clone();
        let is_done = orders.len() == 9 && orders.iter().all(|order| order["order_status"] == "SUCCESS");
        is_done.then_some(orders)
    });
    for order in all.await {
        assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
    }
    let dead = eventually("the malformed message is a dead letter", || async {
        let received = sqs.receive_message().queue_url(&api.stack.orders_dead_letter_queue).send().await.unwrap();
        received.messages.unwrap_or_default().pop()
    });
    assert_eq!(dead.await.body.as_deref(), Some(r#"{"order": "none"}"#));
    let handled = logged(&api).await.into_iter().filter(|line| line["function"] == "start-order");
    let (done, failed): (Vec<_>, Vec<_>) = handled.partition(|line| line["message"] == "done");
    assert_eq!((done.len(), failed.len()), (9, 3), "nine messages once, and the malformed one three times");
    let more = sqs.receive_message().queue_url(&api.stack.orders_dead_letter_queue).send().await.unwrap();
    assert!(more.messages.unwrap_or_default().is_empty(), "there are no other dead letters");
}

/// The parts of a response that must be the same for a repeated request.
fn seen(answer: &Answer) -> (u16, String, String) {
    (answer.status.as_u16(), answer.header("location").into(), answer.body.clone())
}

fn keyed(api: &Api, key: &str, body: &Value) -> RequestBuilder {
    api.request(Method::POST, "/orders").header("Idempotency-Key", key).json(body)
}

async fn submit_keyed(api: &Api, key: &str, body: &Value) -> Answer {
    send(keyed(api, key, body)).await
}

#[tokio::test]
async fn a_repeated_submission_gets_the_same_response_and_makes_one_order() {
    let api = shared().await;
    let user = user("Ann");
    let key = user.replace(' ', "_");
    let body = json!({"user_id": user, "restaurant_id": plan(&[]), "quantity": 3});
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
    let ended = ended(&api, &order).await;
    assert_eq!(seen(&submit_keyed(&api, &key, &body).await), seen(&first));
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
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
    let good = json!({"user_id": user, "restaurant_id": plan(&[]), "quantity": 3});
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
    let api = stack("order-api-no-queue", &["GracePeriodSeconds=1"]).await;
    let user = user("Ann");
    let body = json!({"user_id": user, "restaurant_id": plan(&[]), "quantity": 3});
    set_variable(&api.stack, &["submit-order"], "AWS_ENDPOINT_URL_SQS", Some(&unreachable_url())).await;
    let failed = submit_keyed(&api, "k", &body).await;
    assert!(failed.header("retry-after").parse::<u32>().unwrap() > 0);
    failed.problem(503);
    set_variable(&api.stack, &["submit-order"], "AWS_ENDPOINT_URL_SQS", None).await;
    let order = submit_keyed(&api, "k", &body).await.is(202).json();
    let ended = ended(&api, &order).await;
    assert_eq!(api.get(&format!("/orders?user_id={}", encode(&user))).await.json(), json!([ended]));
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
}

/// Returns a URL at which nothing listens.
fn unreachable_url() -> String {
    format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// The emulator has no `StartMessageMoveTask`, so this test moves the message by receiving and sending it.
/// `tools/tests/test_redrive.py` tests the request of `make redrive`.
#[tokio::test]
async fn an_order_is_processed_when_its_dead_letter_is_redriven() {
    let api = stack("order-api-redrive", &["GracePeriodSeconds=1"]).await;
    set_variable(&api.stack, &["start-order"], "AWS_ENDPOINT_URL_SFN", Some(&unreachable_url())).await;
    let order = submit(&api, &[]).await;
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
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

    set_variable(&api.stack, &["start-order"], "AWS_ENDPOINT_URL_SFN", None).await;
    sqs.send_message().queue_url(&api.stack.orders_queue).message_body(dead.body.unwrap()).send().await.unwrap();
    println!("redriven by receiving and sending: the emulator has no StartMessageMoveTask");
    let mut ended = ended(&api, &order).await;
    assert_eq!(ended["order_status"], "SUCCESS");
    ended["order_status"] = json!("PENDING");
    for field in ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"] {
        assert_eq!(ended[field], order[field], "{field} is as in the response");
    }
    assert_eq!(requests_about(order["id"].as_str().unwrap()), requests(&[("charges", 201), ("deliveries", 201)]));
}

/// `make e2e` runs this on a system of its own, which throttles many of the requests.
#[tokio::test]
async fn burst_of_300_orders_loses_none_and_duplicates_none() {
    const ORDERS: usize = 300;
    let api = stack("order-api-burst", &["QueueVisibilitySeconds=60"]).await;
    let user = user("Ann");
    let started = Instant::now();
    let backoff = ExponentialBuilder::new()
        .with_jitter()
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
        .with_total_delay(Some(WAIT_TIMEOUT));
    let mut clients = JoinSet::new();
    for n in 0..ORDERS {
        let api = api.clone();
        let body = json!({"user_id": user, "restaurant_id": plan(&[("charges", if n % 10 == 0 { &[402] } else { &[201] })]), "quantity": 1});
        clients.spawn(async move {
            // Like any client, repeat a request that API Gateway's timeout cuts off: with the same key, after a growing
            // pause.
            let submit = || async {
                let request = keyed(&api, &n.to_string(), &body).timeout(Duration::from_secs(29));
                let response = request.send().await?;
                if response.status() != 202 {
                    bail!("{}: {}", response.status(), response.text().await?);
                }
                Ok(text(&response.json::<Value>().await?["id"]))
            };
            submit.retry(backoff).await.expect("the order is accepted")
        });
    }
    let ids: HashSet<_> = clients.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), ORDERS);
    let submitted = started.elapsed();
    let list = format!("/orders?limit=1000&user_id={}", encode(&user));
    let orders = eventually("all orders are final", || async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let answer = api.get(&list).await;
        let orders = answer.json().as_array().cloned().unwrap_or_default();
        let is_done = orders.len() == ORDERS && orders.iter().all(|order| order["order_status"] != "PENDING");
        is_done.then_some(orders)
    });
    let orders = orders.await;
    println!(
        "{ORDERS} orders: all submitted after {:.1} s, all final after {:.1} s",
        submitted.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );

    assert_eq!(orders.iter().map(|order| text(&order["id"])).collect::<HashSet<_>>(), ids);
    let declined = orders.iter().filter(|order| order["order_status"] == "FAILURE").count();
    assert_eq!(declined, ORDERS / 10);
    for order in orders {
        let ledger = ledger_of(order["id"].as_str().unwrap());
        let keys = |kind: &str| {
            ledger.iter().filter(|entry| entry.kind == kind).map(|entry| &entry.key).collect::<HashSet<_>>().len()
        };
        let (charges, deliveries) = if order["order_status"] == "SUCCESS" { (1, 1) } else { (1, 0) };
        assert_eq!((keys("charges"), keys("deliveries"), keys("refunds")), (charges, deliveries, 0), "{ledger:?}");
    }
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    for queue in [&api.stack.orders_dead_letter_queue, &api.stack.recovery_dead_letter_queue] {
        let received = sqs.receive_message().queue_url(queue).send().await.unwrap();
        assert!(received.messages.unwrap_or_default().is_empty(), "there are no dead letters");
    }
}
