//! Submitted orders: from the public API through the real queue and the real state machine to the tests' providers. Each
//! scenario ends with the balance of the order's account there: what was charged and not refunded, and whether the order
//! is delivered.

mod charges;
mod data;
mod deliveries;
mod faults;
mod operate;
mod queue;

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use local::Stack;
use local::logs::lines;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::order::{OrderKey, Timestamp};
use shared::store::Orders;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::providers::{ACCEPTED, Balance, PAYMENT_KEY, RESTAURANT_KEY, balance_of, ledger_of, requests_about, url};
use crate::support::{Api, eventually, path_of, secret, send, text, user};

/// Balance of an order that was never paid, or is refunded, and that no restaurant was asked about.
const NOTHING: Balance = Balance { kept: 0, delivered: false, cancelled: false };

/// Balance of an order that is refunded because its delivery was cancelled.
const CANCELLED: Balance = Balance { kept: 0, delivered: false, cancelled: true };

/// Balance of an order of three units that is paid and delivered.
const DELIVERED: Balance = Balance { kept: 3000, delivered: true, cancelled: false };

/// Deploys a separate stack that uses the tests' providers and knows their keys, with these parameters. Its visibility
/// timeout suits a slow machine: no message may come again while it is being handled.
async fn stack(name: &str, parameters: &[&str]) -> Api {
    let mut all = vec![
        format!("PaymentUrl={}", url()),
        format!("RestaurantUrl={}", url()),
        format!("PaymentKeySecret={}", secret(&PAYMENT_KEY).await),
        format!("RestaurantKeySecret={}", secret(&RESTAURANT_KEY).await),
    ];
    all.extend(parameters.iter().map(ToString::to_string));
    let api = Api::of_own_stack(name, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    set_queue(&api, &api.stack.orders_queue, QueueAttributeName::VisibilityTimeout, "60").await;
    api
}

/// Sets an attribute of a queue.
async fn set_queue(api: &Api, queue: &str, attribute: QueueAttributeName, value: &str) {
    let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
    sqs.set_queue_attributes().queue_url(queue).attributes(attribute, value).send().await.unwrap();
}

/// Returns the stack of the tests that need some time before the order is accepted, or a patient restaurant.
async fn shared() -> Api {
    static STACK: OnceCell<Api> = OnceCell::const_new();
    let deploy = || stack("order-api-workflow", &["GracePeriodSeconds=15"]);
    STACK.get_or_init(deploy).await.with_http_of_its_own()
}

/// Returns the stack of the other tests. Orders are accepted at once, and a restaurant that has not decided at once is
/// asked to cancel.
async fn quick() -> Api {
    static STACK: OnceCell<Api> = OnceCell::const_new();
    let deploy = || stack("order-api-quick", &["GracePeriodSeconds=1", "DeliveryMinutes=0"]);
    STACK.get_or_init(deploy).await.with_http_of_its_own()
}

/// A stack that several tests break, one after the other.
struct Breakable {
    name: &'static str,
    stack: OnceCell<Api>,
    turn: Mutex<()>,
}

impl Breakable {
    const fn new(name: &'static str) -> Self {
        Self { name, stack: OnceCell::const_new(), turn: Mutex::const_new(()) }
    }

    /// Waits for the test's turn.
    async fn take(&'static self) -> (Api, MutexGuard<'static, ()>) {
        let turn = self.turn.lock().await;
        let deploy = || stack(self.name, &["GracePeriodSeconds=1"]);
        (self.stack.get_or_init(deploy).await.with_http_of_its_own(), turn)
    }
}

/// Submits an order with this plan for its providers.
async fn submit(api: &Api, plan: &str) -> Value {
    let body = json!({"user_id": user("Ann"), "restaurant_id": plan, "quantity": 3});
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

/// Waits until this end of the order is published, and returns the order.
async fn published(api: &Api, order: &Value, end: &str) -> Value {
    let look = || async { api.attribute(order, "published").await.filter(|published| published == end) };
    eventually(&format!("{} is published as {end}", order["id"]), look).await;
    api.get(&path_of(order)).await.is(200).json()
}

/// Waits until the order is published, and asserts that it is a complete SUCCESS: paid, delivered and settled.
async fn succeeded(api: &Api, order: &Value) -> Value {
    let ended = published(api, order, "SUCCESS").await;
    assert_eq!(ended["order_status"], "SUCCESS");
    for field in ["accepted_at", "paid_at", "delivered_at", "completed_at"] {
        assert!(ended[field].is_string(), "{field} in {ended}");
    }
    assert_eq!((&ended["error_message"], &ended["refund"]), (&Value::Null, &Value::Null));
    assert_eq!(api.attribute(order, "unsettled").await, None, "it is not in the index any more");
    assert_eq!(balance(order), Balance { kept: ended["total"]["amount"].as_i64().unwrap(), ..DELIVERED });
    ended
}

/// Waits until the order is published with this refund, and asserts that it is a FAILURE with this message.
async fn failed(api: &Api, order: &Value, error_message: &str, refund: Option<&str>) -> Value {
    let end = refund.map_or_else(|| "FAILURE".to_owned(), |refund| format!("FAILURE:{refund}"));
    let ended = published(api, order, &end).await;
    assert_eq!((&ended["order_status"], &ended["error_message"]), (&json!("FAILURE"), &json!(error_message)));
    assert_eq!((&ended["refund"], &ended["delivered_at"]), (&json!(refund), &Value::Null));
    assert!(ended["completed_at"].is_string(), "{ended}");
    let is_settled = matches!(refund, None | Some("MADE"));
    assert_eq!(api.attribute(order, "unsettled").await.is_none(), is_settled, "it is in the index until it is settled");
    ended
}

fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}

/// What the providers have done about the order.
fn balance(order: &Value) -> Balance {
    balance_of(id(order))
}

fn requests(requests: &[(&str, u16)]) -> Vec<(String, u16)> {
    requests.iter().map(|(kind, status)| ((*kind).to_owned(), *status)).collect()
}

/// Waits until a provider has got this many requests of a kind about the order.
async fn requested(order: &Value, kind: &str, count: usize) {
    let look = || async {
        let entries = ledger_of(id(order)).into_iter().filter(|entry| entry.kind == kind);
        (entries.count() >= count).then_some(())
    };
    eventually(&format!("{count} {kind}"), look).await;
}

fn execution_arn(stack: &Stack, order: &Value) -> String {
    let machine = stack.state_machine.replace(":stateMachine:", ":execution:");
    format!("{machine}:{}", id(order))
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

async fn stop_execution(api: &Api, order: &Value) {
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    sfn.stop_execution().execution_arn(execution_arn(&api.stack, order)).send().await.unwrap();
}

/// Returns the JSON lines that the stack's functions have logged.
async fn logged(api: &Api) -> Vec<Value> {
    let lines = lines(&api.stack).await.unwrap();
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until this function has logged this message about the order so many times.
async fn logged_about(api: &Api, order: &Value, function: &str, count: usize, message: &str) {
    let look = || async {
        let about = |line: &&Value| line["span"]["order_id"] == order["id"] && line["function"] == function;
        let lines = logged(api).await;
        (lines.iter().filter(about).filter(|line| line["message"] == message).count() >= count).then_some(())
    };
    eventually(&format!("{function} logs {message} {count} times"), look).await;
}

/// Messages by which the functions have asked for an operator about this order.
async fn calls_for_an_operator(api: &Api, order: &Value) -> Vec<String> {
    let calls = logged(api).await.into_iter().filter(|line| line["needs_operator"] == true);
    let calls = calls.filter(|line| line["span"]["order_id"] == order["id"]);
    calls.map(|line| text(&line["message"]).replacen("an operator is needed: ", "", 1)).collect()
}

/// Calls a function as a schedule or an operator does, and returns its answer.
async fn invoke(api: &Api, function: &str, payload: &Value) -> Value {
    let lambda = aws_sdk_lambda::Client::new(&api.stack.sdk_config().await);
    let invoked = lambda.invoke().function_name(function).payload(Blob::new(payload.to_string())).send().await.unwrap();
    serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap()
}

/// An instant that many hours ago.
fn hours_ago(hours: u64) -> String {
    Timestamp::now().before(Duration::from_hours(hours)).to_string()
}

/// Runs the sweep as if this order had not been written for an hour. Its execution has ended before.
async fn sweep(api: &Api, order: &Value) -> Value {
    execution_ended(api, order).await;
    api.set(order, "updated_at", &hours_ago(1)).await;
    invoke(api, &api.stack.sweep_function, &json!({})).await
}

/// Whether an operator finds the order among those that are not settled.
async fn is_found(api: &Api, order: &Value) -> bool {
    let orders = Orders::new(&api.stack.sdk_config().await, api.stack.orders_table.as_str());
    let key: OrderKey = serde_json::from_value(order.clone()).unwrap();
    orders.unsettled(Timestamp::now()).await.unwrap().iter().any(|(found, _)| *found == key)
}

/// The order without what changes when the table notes that it is published.
fn as_published(order: &Value) -> Value {
    let mut order = order.clone();
    let fields = order.as_object_mut().unwrap();
    fields.remove("version");
    fields.remove("updated_at");
    order
}

/// A queue that is subscribed to the final orders of one user, by the attribute `user_id`.
struct Notifications {
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Notifications {
    async fn of(stack: &Stack, order: &Value) -> Self {
        Self::of_user(stack, order["user_id"].as_str().unwrap()).await
    }

    async fn of_user(stack: &Stack, user_id: &str) -> Self {
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

    /// Receives and deletes the next message in the queue, if there is one.
    async fn received(&self) -> Option<Value> {
        let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(1);
        let received = receive.send().await.unwrap().messages.unwrap_or_default();
        let message = received.into_iter().next()?;
        let delete = self.sqs.delete_message().queue_url(&self.queue);
        delete.set_receipt_handle(message.receipt_handle.clone()).send().await.unwrap();
        Some(serde_json::from_str(message.body().unwrap()).unwrap())
    }

    /// Waits for the next message, asserts its id and its attributes, and returns the order in it.
    async fn next(&self, order: &Value, news: &str) -> Value {
        let first = eventually("the order is published", || self.received()).await;
        assert_eq!(first["MessageAttributes"]["order_status"]["Value"], news.split(':').next().unwrap());
        assert_eq!(first["MessageAttributes"]["user_id"]["Value"], order["user_id"]);
        let mut published: Value = serde_json::from_str(first["Message"].as_str().unwrap()).unwrap();
        assert_eq!(published["id"], format!("{}:{news}", id(order)));
        published["order"].take()
    }

    /// Asserts that the final order is published exactly once.
    async fn published_once(&self, order: &Value) {
        let published = self.next(order, order["order_status"].as_str().unwrap()).await;
        assert_eq!(as_published(&published), as_published(order));
        self.nothing_more().await;
    }

    /// Asserts that no other message comes.
    async fn nothing_more(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(self.received().await, None);
    }
}

#[tokio::test]
async fn an_order_is_saved_accepted_paid_sent_and_published() {
    let api = shared().await;
    let user = user("Ann");
    let notifications = Notifications::of_user(&api.stack, &user).await;
    let body = json!({"user_id": user, "restaurant_id": ACCEPTED, "quantity": "3"});
    let submitted = send(api.request(Method::POST, "/orders").json(&body)).await.is(202);
    let order = submitted.json();
    let fields = ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"];
    let places: Vec<_> = fields.iter().map(|field| submitted.body.find(&format!("\"{field}\":\"")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", submitted.body);
    assert_eq!((&order["order_status"], &order["processing"]), (&json!("PENDING"), &json!("workflow")));
    let total = json!({"amount": 3000, "currency": "EUR"});
    assert_eq!(order["total"], total);

    // The saved order equals the one in the response, and Location leads to it.
    assert_eq!(submitted.header("location"), &path_of(&order)[1..]);
    assert_eq!(saved(&api, &order).await, order);
    let location = submitted.url.join(submitted.header("location")).unwrap();
    assert_eq!(api.follow(location).await.is(200).json(), order);

    let ended = succeeded(&api, &order).await;
    let mut expected = order.clone();
    expected["order_status"] = json!("SUCCESS");
    // Saved, accepted, paid, delivered, completed, published.
    expected["version"] = json!(6);
    let instants = ["created_at", "accepted_at", "paid_at", "delivered_at", "completed_at", "updated_at"];
    for field in instants {
        expected[field] = ended[field].clone();
    }
    assert_eq!(ended, expected);
    let instants = instants.map(|field| ended[field].as_str().unwrap());
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
    let body =
        json!({"order_id": id, "user_id": user, "restaurant_id": ACCEPTED, "quantity": "3", "total": total.clone()});
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
async fn an_order_changed_in_its_grace_period_is_paid_and_sent_with_the_change() {
    let api = shared().await;
    let order = submit(&api, ACCEPTED).await;
    saved(&api, &order).await;
    let change = json!({"restaurant_id": order["restaurant_id"], "quantity": 7});
    let total = json!({"amount": 7000, "currency": "EUR"});
    assert_eq!(api.put_if(&path_of(&order), &change, r#""1""#).await.is(200).json()["total"], total);
    let ended = succeeded(&api, &order).await;
    assert_eq!((&ended["quantity"], &ended["total"]), (&json!("7"), &total));
    let requested: Vec<_> = ledger_of(id(&order))
        .into_iter()
        .map(|mut entry| (entry.kind, text(&entry.body["quantity"]), entry.body["total"].take()))
        .collect();
    let expected = ["charges", "deliveries"].map(|kind| (kind.to_owned(), "7".to_owned(), total.clone()));
    assert_eq!(requested, expected);
}

#[tokio::test]
async fn an_order_deleted_in_its_grace_period_is_neither_paid_nor_published() {
    let api = shared().await;
    let order = submit(&api, ACCEPTED).await;
    let notifications = Notifications::of(&api.stack, &order).await;
    saved(&api, &order).await;
    api.delete(&path_of(&order)).await.is(204);
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    api.get(&path_of(&order)).await.problem(404);
    assert_eq!(balance(&order), NOTHING);
    assert_eq!(requests_about(id(&order)), requests(&[]), "nobody was asked for money");
    assert_eq!(notifications.received().await, None);
}

#[tokio::test]
async fn an_accepted_order_can_neither_be_changed_nor_deleted_until_it_is_settled() {
    let api = shared().await;
    let order = submit(&api, "charges 503 503 503 201").await;
    accepted(&api, &order).await;
    let change = json!({"restaurant_id": "Elsewhere", "quantity": 7});
    for answer in [api.put(&path_of(&order), &change).await, api.delete(&path_of(&order)).await] {
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:in-process");
        answer.problem(409);
    }
    let ended = succeeded(&api, &order).await;
    assert_eq!(ended["quantity"], "3");
    assert_eq!(api.put(&path_of(&order), &change).await.json()["type"], "urn:problem-type:order-api:not-pending");
    api.delete(&path_of(&order)).await.is(204);
    api.get(&path_of(&order)).await.problem(404);
}
