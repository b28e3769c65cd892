//! The forms as today's code writes them, each by the code that writes it in production.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::{Json, Router};
use lambda_http::http::{Request, Response};
use serde_json::{Map, Value, json};
use shared::aws::Topic;
use shared::fixtures::{content, euros};
use shared::http::request::{self, NewOrder, PutOrder};
use shared::http::response::{self, SavedAnswer, SavedSubmission};
use shared::idempotency::Operation;
use shared::order::{Expected, Order, OrderContent, Step, Timestamp};
use shared::page::{Cursor, List};
use shared::providers::{PaymentProvider, Restaurant};
use shared::workflow::{StepAnswer, Submission};
use tokio::net::TcpListener;

use crate::table::{IDEMPOTENCY_TABLE, TABLE, Table, sdk_config};

const TRACE: &str = "Root=1-63b35429-0a1b2c3d4e5f60718293a4b5;Parent=53995c3f42cd8ad8;Sampled=1";

/// All samples by the names of their files.
pub async fn all() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("message", message()),
        ("step", step()),
        ("item", items().await),
        ("record", records().await),
        ("notification", notifications().await),
        ("provider-request", provider_requests().await),
        ("response", responses()),
        ("cursor", cursors()),
    ])
}

/// An instant, some minutes after the order was made.
pub fn after(minutes: u64) -> Timestamp {
    let day = crate::instant("2023-01-03T22:06:33.000000000Z");
    day.before(Duration::from_mins(24 * 60 - minutes))
}

/// A day after the order was made and more: limits are over.
fn next_day() -> Timestamp {
    crate::instant("2023-01-04T08:00:00.000000000Z")
}

/// The order of all samples, as it is made.
fn made(processing: &str) -> Order {
    let mut order = json!({
        "user_id": "Café 東京", "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1",
        "created_at": "2023-01-02T22:06:33.637839308Z", "order_status": "PENDING",
        "updated_at": "2023-01-02T22:06:33.637839308Z", "version": 1,
        "processing": processing, "total": {"amount": 3000, "currency": "EUR"},
    });
    let Value::Object(content) = serde_json::to_value(OrderContent::example()).unwrap() else { unreachable!() };
    order.as_object_mut().unwrap().extend(content);
    serde_json::from_value(order).unwrap()
}

fn submission(trace: Option<&str>) -> Submission {
    Submission { order: made("workflow"), trace: trace.map(str::to_owned) }
}

/// An order in each state.
fn orders() -> BTreeMap<&'static str, Order> {
    let (recorded, submitted) = (made("none"), made("workflow"));
    let accepted = submitted.accepted(after(1)).unwrap();
    let paid = accepted.paid(after(2)).unwrap();
    let delivered = paid.delivered(after(3)).unwrap();
    let success = delivered.completed(after(4)).unwrap();
    let declined = accepted.declined("no money", after(2)).unwrap();
    let payment_unknown = accepted.payment_unknown(after(2)).unwrap();
    let refused = paid.refused("the kitchen is closed", after(3)).unwrap();
    let published = |order: &Order, minutes| order.published(order, after(minutes)).unwrap();
    let completed = |order: &Order, minutes| order.completed(after(minutes)).unwrap();
    let given_up = |order: &Order| order.refund_not_found(order, next_day()).unwrap();

    let not_accepted = submitted.not_accepted("the order could not be processed", after(1)).unwrap();
    let owed = completed(&refused, 4);
    let owed_published = published(&owed, 5);
    let made_after_publication = owed_published.refunded(after(6)).unwrap();
    BTreeMap::from([
        ("recorded", recorded.clone()),
        ("recorded, changed", recorded.replaced(&content(4), euros(40), &Expected::Any, after(1)).unwrap()),
        ("submitted", submitted),
        ("accepted", accepted),
        ("paid", paid.clone()),
        ("paid, cancelling", paid.cancelling(after(3)).unwrap()),
        ("delivered", delivered),
        ("failing", declined.clone()),
        ("failing, payment unknown, refund OWED", payment_unknown.clone()),
        ("failing, refund OWED", refused.clone()),
        ("failing, refund MADE", refused.refunded(after(4)).unwrap()),
        ("failing, refund FAILED", given_up(&refused)),
        ("failing, payment unknown, refund UNKNOWN", given_up(&payment_unknown)),
        ("success", success.clone()),
        ("success, published", published(&success, 5)),
        ("failure, never accepted", not_accepted.clone()),
        ("failure, never accepted, published", published(&not_accepted, 2)),
        ("failure, never accepted, paid late", not_accepted.paid(after(2)).unwrap()),
        ("failure, published", published(&completed(&declined, 3), 4)),
        ("failure, refund OWED", owed),
        ("failure, refund OWED, published", owed_published),
        ("failure, refund MADE, published as OWED", made_after_publication.clone()),
        ("failure, refund MADE, published", published(&made_after_publication, 7)),
        ("failure, refund FAILED, published", published(&completed(&given_up(&refused), 60), 61)),
        ("failure, refund UNKNOWN, published", published(&completed(&given_up(&payment_unknown), 60), 61)),
    ])
}

/// Messages of the queue of orders. An execution starts with the same bytes.
fn message() -> Value {
    json!({
        "with a trace": serde_json::to_value(submission(Some(TRACE))).unwrap(),
        "without a trace": serde_json::to_value(submission(None)).unwrap(),
    })
}

/// Answers of the steps, which the state machine and the executions that are running know.
fn step() -> Value {
    let steps = [
        Step::Accept,
        Step::Charge,
        Step::Deliver,
        Step::Cancel,
        Step::Refund,
        Step::Complete,
        Step::Publish,
        Step::Nothing,
    ];
    let answers = steps.map(|next| (format!("{next:?}"), serde_json::to_value(StepAnswer { next }).unwrap()));
    Value::Object(Map::from_iter(answers))
}

/// Items of the table of orders, with the step that is next.
async fn items() -> Value {
    let mut items = Map::new();
    for (name, order) in orders() {
        let table = Table::new().await;
        table.orders.create(&order).await.unwrap();
        items.insert(name.into(), json!({"next": order.next(), "item": only_item(&table, TABLE).await}));
    }
    items.into()
}

async fn only_item(table: &Table, name: &str) -> Value {
    let items = table.client.scan().table_name(name).send().await.unwrap().items.unwrap();
    let [item] = items.try_into().unwrap();
    sorted(serde_dynamo::from_item(item).unwrap())
}

/// The value with its fields in alphabetical order: those of an item have none.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, sorted(value)));
            Value::Object(fields.collect::<BTreeMap<_, _>>().into_iter().collect())
        }
        other => other,
    }
}

/// Idempotency records, with the request that each belongs to.
async fn records() -> Value {
    let body = r#"{"user_id":"Café 東京","restaurant_id":"Restaurant 3","quantity":3}"#;
    let headers = json!({"Content-Type": "application/json", "Idempotency-Key": "5d2a7c34"});
    let request = |method| json!({"method": method, "resource": "/orders", "headers": headers, "body": body});

    let put = request("PUT");
    let (order, operation) = (made("none"), operation(&put));
    let answer = SavedAnswer::new(&order, &response::created(&order).unwrap());
    let table = Table::new().await;
    table.orders.create_once(&table.records, &order, &operation, answer, after(0)).await.unwrap();
    let put = json!({"request": put, "item": only_item(&table, IDEMPOTENCY_TABLE).await});

    let post = request("POST");
    let submission = submission(Some(TRACE));
    let answer = SavedAnswer::new(&submission.order, &response::submitted(&submission.order).unwrap());
    let saved = SavedSubmission { message: serde_json::to_string(&submission).unwrap(), answer };
    let table = Table::new().await;
    table.records.save(&self::operation(&post), saved, after(0)).await.unwrap();
    let post = json!({"request": post, "item": only_item(&table, IDEMPOTENCY_TABLE).await});

    let table = Table::new().await;
    table.orders.save(&table.records, &submission.order, after(0)).await.unwrap();
    let saved = json!({"order": submission.order, "item": only_item(&table, IDEMPOTENCY_TABLE).await});
    json!({"a creation by PUT": put, "a submission by POST": post, "a submitted order that was saved": saved})
}

/// The operation of a request in a sample.
pub fn operation(sample: &Value) -> Operation {
    let text = |name: &str| sample[name].as_str().unwrap();
    let request = crate::request(text("method"), text("resource"), &sample["headers"], text("body"));
    let caller = request::caller(&request).unwrap();
    let new = match text("method") {
        "POST" => NewOrder::parse(&request, &caller).unwrap(),
        _ => match PutOrder::parse(&request, &caller).unwrap() {
            PutOrder::Create(new) => new,
            PutOrder::Replace(..) => unreachable!("the request has no id"),
        },
    };
    new.operation.unwrap()
}

/// Messages of the topic, with their attributes.
async fn notifications() -> Value {
    let orders = orders();
    let mut notifications = Map::new();
    for name in
        ["success", "failure, never accepted", "failure, refund OWED", "failure, refund MADE, published as OWED"]
    {
        let answer = "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>";
        let answer = Response::builder().status(200).body(SdkBody::from(answer)).unwrap();
        let http = StaticReplayClient::new(vec![ReplayEvent::new(Request::new(SdkBody::empty()), answer)]);
        let sdk: SdkConfig = sdk_config("http://localhost").into_builder().http_client(http.clone()).build();
        Topic::new(&sdk, "arn:aws:sns:eu-west-1:123456789012:notifications").publish(&orders[name]).await.unwrap();

        let sent = http.actual_requests().next().unwrap().body().bytes().unwrap().to_vec();
        let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(&sent).unwrap();
        let attribute = |n: u8| form[&format!("MessageAttributes.entry.{n}.Value.StringValue")].clone();
        let attribute = |n: u8| (form[&format!("MessageAttributes.entry.{n}.Name")].clone(), attribute(n).into());
        notifications.insert(
            name.into(),
            json!({
                "message": serde_json::from_str::<Value>(&form["Message"]).unwrap(),
                "attributes": BTreeMap::<String, Value>::from([attribute(1), attribute(2)]),
            }),
        );
    }
    notifications.into()
}

/// Requests to the providers. A provider compares a repeat with the first one, which the other release may have sent.
async fn provider_requests() -> Value {
    let ledger: Arc<Mutex<Map<String, Value>>> = Arc::default();
    let received = ledger.clone();
    let answer = move |uri: Uri, headers: HeaderMap, Json(body): Json<Value>| {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let headers =
            json!({"Idempotency-Key": header("Idempotency-Key"), "X-Amzn-Trace-Id": header("X-Amzn-Trace-Id")});
        received.lock().unwrap().insert(format!("POST {uri}"), json!({"headers": headers, "body": body}));
        std::future::ready(StatusCode::CREATED)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });

    let order = &orders()["paid"];
    let payment = PaymentProvider::at(url.parse().unwrap(), None).unwrap();
    let restaurant = Restaurant::at(url.parse().unwrap(), None).unwrap();
    payment.charge(order, Some(TRACE)).await.unwrap();
    payment.refund(order, Some(TRACE)).await.unwrap();
    restaurant.deliver(order, Some(TRACE)).await.unwrap();
    restaurant.cancel(order, Some(TRACE)).await.unwrap();
    let requests = ledger.lock().unwrap().clone();
    requests.into()
}

/// Responses of the API about one order. Callers keep them, and send their `ETag` back.
fn responses() -> Value {
    let orders = orders();
    let read = ["recorded, changed", "submitted", "success, published", "failure, refund FAILED, published"];
    let read = read.map(|name| (name.to_owned(), response::order(&orders[name]).unwrap()));
    let new = [
        ("created".to_owned(), response::created(&orders["recorded"]).unwrap()),
        ("submitted just now".to_owned(), response::submitted(&orders["submitted"]).unwrap()),
    ];
    let responses = new.into_iter().chain(read).map(|(name, response)| {
        let headers = response.headers().iter();
        let headers: BTreeMap<_, _> = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        (name, json!({"status": status, "headers": headers, "body": body}))
    });
    Value::Object(responses.collect())
}

/// Cursors, which callers find in `Link` and send back.
fn cursors() -> Value {
    let order = made("none");
    json!({
        "of everybody's orders": Cursor::after(List::All, &order).encode(),
        "of a user's orders": Cursor::after(List::Of(order.user_id().clone()), &order).encode(),
    })
}
