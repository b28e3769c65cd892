//! The table: items of it, and what DynamoDB is asked for.

use std::cell::RefCell;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use lambda_http::http;
use serde_json::{Value, json};
use shared::fixtures::{content, euros};
use shared::order::{Expected, Order, OrderForm, Timestamp};
use shared::page::{Cursor, Limit, List, Page};
use shared::store::{Orders, StoreError};

use super::logged;

thread_local! {
    static ORDERS: Orders = Orders::new(&sdk_config(), "orders");
    /// The item that DynamoDB has.
    static ITEM: RefCell<Value> = const { RefCell::new(Value::Null) };
    /// The last request that DynamoDB got: its operation and its body.
    static REQUEST: RefCell<(String, Value)> = const { RefCell::new((String::new(), Value::Null)) };
}

/// Clients of a DynamoDB with one item at most, in this thread.
fn sdk_config() -> SdkConfig {
    let credentials = Credentials::new("id", "secret", None, None, "fuzz");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(infallible_client_fn(|request| dynamodb(&request)))
        .build()
}

fn dynamodb(request: &http::Request<SdkBody>) -> http::Response<SdkBody> {
    let target = request.headers()["x-amz-target"].to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
    let item = ITEM.with_borrow(Clone::clone);
    let answer = match operation.as_str() {
        "GetItem" if item.is_null() => json!({}),
        "GetItem" => json!({ "Item": item }),
        "Query" | "Scan" if item.is_null() => json!({"Items": []}),
        "Query" | "Scan" => json!({"Items": [item]}),
        "PutItem" => {
            ITEM.set(body["Item"].clone());
            json!({})
        }
        other => panic!("{other} is not expected"),
    };
    REQUEST.set((operation, body));
    let mut response = http::Response::new(SdkBody::from(answer.to_string()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// Lists orders, and asserts that a list of one user's orders asks DynamoDB for nothing else, whatever the cursor says.
pub(super) async fn list(list: &List, limit: Limit, from: Option<&Cursor>) -> Result<Page, StoreError> {
    let page = ORDERS.with(Clone::clone).list(list, limit, from).await?;
    let (operation, request) = REQUEST.take();
    if let List::Of(user_id) = list {
        assert_eq!(operation, "Query");
        assert_eq!(request["KeyConditionExpression"], "user_id = :user_id");
        assert_eq!(request["ExpressionAttributeValues"], json!({":user_id": {"S": user_id}}));
        if let Some(start) = request.get("ExclusiveStartKey") {
            assert_eq!(start["user_id"], json!({"S": user_id}));
        }
    }
    Ok(page)
}

/// Items of the table, as DynamoDB sends them. What is no order is an error, and is skipped in a list. An order survives
/// every transition, and is stored and read as it is.
pub fn table_item(data: &[u8]) {
    let Ok(item @ Value::Object(_)) = serde_json::from_slice(data) else { return };
    ITEM.set(item);
    let orders = ORDERS.with(Clone::clone);
    let key = shared::fixtures::key("Ann");
    let (read, _) = logged(orders.get(&key));
    let (page, _) = logged(orders.list(&List::All, Limit::default(), None));
    match read {
        Ok(order) => {
            assert_eq!(page.unwrap().orders, std::slice::from_ref(&order));
            // Written back by the function's own code, it is read as the same order.
            let (recorded, _) = logged(orders.record(&key, |order| Some(order.clone())));
            assert_eq!(recorded.unwrap().as_ref(), Some(&order));
            let (again, _) = logged(orders.get(&key));
            assert_eq!(again.unwrap(), order);
            logged(judge(&order));
        }
        Err(StoreError::Failed(_)) => assert!(page.map_or(true, |page| page.orders.is_empty())),
        Err(error) => panic!("{error:?}"),
    }
    ITEM.take();
}

/// Asserts that every transition of the order makes an order that is stored and read as it is: from an answer of DynamoDB,
/// and, as after a refused write, from the SDK's map of attributes.
pub(super) async fn judge(order: &Order) {
    let orders = ORDERS.with(Clone::clone);
    let now = Timestamp::now();
    let (limit, reason) = (Duration::ZERO, "the reason");
    let next = [
        order.replaced(&content(5), euros(50), &Expected::Any, now).ok(),
        order.accepted(now),
        order.not_accepted(reason, now),
        order.paid(now),
        order.declined(reason, now),
        order.payment_unknown(now),
        order.delivered(now),
        order.refused(reason, now),
        order.not_delivered_yet(limit, now),
        order.cancelling(now),
        order.cancelled(now),
        order.too_late_to_cancel(now),
        order.refunded(now),
        order.refund_not_found(order, now),
        order.settled_by_hand(now),
        order.completed(now),
        order.published(order, now),
    ];
    for after in next.into_iter().flatten().chain([order.clone()]) {
        let item: serde_dynamo::Item = serde_dynamo::to_item(OrderForm::stored(&after)).unwrap();
        ITEM.set(json!(item));
        assert_eq!(orders.get(after.key()).await.unwrap(), after);
        assert_eq!(serde_dynamo::from_item::<_, Order>(item).unwrap(), after);
        assert!(after == *order || after.version() == order.version().next());
        let _ = (after.next(), after.news(), after.is_unsettled(), after.is_cancellation_overdue(now));
        serde_json::to_string(&after).unwrap();
    }
    ITEM.take();
}
