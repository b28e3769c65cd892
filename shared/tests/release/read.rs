//! Today's code reads every sample, and takes it to mean what it meant. It ignores a field that the release after adds.

use lambda_http::Response;
use serde_json::{Value, json};
use shared::fixtures::content;
use shared::http::request::{self, Conditions, PutOrder};
use shared::http::response::{SavedAnswer, SavedSubmission};
use shared::idempotency::Operation;
use shared::order::{Expected, Order, OrderKey, Version};
use shared::page::{Cursor, List};
use shared::recovery::StatusChange;
use shared::store::StoreError;
use shared::workflow::Submission;

use crate::table::{IDEMPOTENCY_TABLE, TABLE, Table};
use crate::written::{after, operation};
use crate::{entries, request, with_added_field};

fn key(order: &Value) -> OrderKey {
    serde_json::from_value(json!({"user_id": order["user_id"], "id": order["id"]})).unwrap()
}

/// Fields of an item that are for the table only.
const NOT_SENT: [&str; 4] = ["failing_since", "cancelling_since", "published", "unsettled"];

/// Asserts that the order sends the fields of that form with their values, except those that are for the table only.
fn assert_same(order: &Order, form: &Value, case: &str) {
    let sent = serde_json::to_value(order).unwrap();
    for (name, value) in form.as_object().unwrap() {
        // The reason of an order that fails is sent at its end.
        if !NOT_SENT.contains(&name.as_str()) && (name != "error_message" || order.is_final()) {
            assert_eq!(sent.get(name), Some(value), "{case}: {name}");
        }
    }
}

async fn put(table: &Table, name: &str, item: &Value) {
    let item = serde_dynamo::to_item(item).unwrap();
    table.client.put_item().table_name(name).set_item(Some(item)).send().await.unwrap();
}

#[test]
fn a_message_starts_an_execution_and_is_the_input_of_its_steps_and_of_its_recovery() {
    for (case, message) in entries("message") {
        for message in [&message, &with_added_field(&message)] {
            let submission = Submission::parse(&message.to_string()).unwrap();
            assert_same(&submission.order, &message["order"], &case);
            assert_eq!(json!(submission.trace), message["trace"], "{case}");

            // As the state machine passes it on: it has a trace in any case.
            let step = json!({"order": with_added_field(&message["order"]), "trace": message["trace"]});
            assert_eq!(serde_json::from_value::<Submission>(step).unwrap(), submission, "{case}");

            let event = include_str!("../../../events/recover-order.json");
            let event: Value = serde_json::from_str(event).unwrap();
            let mut event: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap();
            event["detail"]["input"] = message.to_string().into();
            let change = StatusChange::parse(&with_added_field(&event).to_string()).unwrap();
            assert_eq!(change.submission().unwrap(), submission, "{case}");
        }
    }
}

#[test]
fn the_state_machine_knows_every_answer_of_a_step() {
    let machine: Value = serde_json::from_str(include_str!("../../../statemachine/order.asl.json")).unwrap();
    let conditions = machine["States"]["Next"]["Choices"].as_array().unwrap().iter();
    let conditions: Vec<_> = conditions.map(|choice| choice["Condition"].as_str().unwrap()).collect();
    for (case, answer) in entries("step") {
        let next = answer["next"].as_str().unwrap();
        // SaveOrder does not choose. Nothing is left to do: that is the default.
        let is_known = conditions.contains(&format!("{{% $next = '{next}' %}}").as_str());
        assert!(is_known || matches!(next, "ACCEPT" | "NOTHING"), "{case}: {next}");
    }
}

#[tokio::test]
async fn an_item_is_the_order_that_was_stored_with_the_same_step_next() {
    for (case, sample) in entries("item") {
        let mut extended = with_added_field(&sample["item"]);
        extended["total"] = with_added_field(&sample["item"]["total"]);
        for item in [&sample["item"], &extended] {
            let (table, key) = (Table::new().await, key(item));
            put(&table, TABLE, item).await;
            let order = table.orders.get(&key).await.unwrap();
            assert_same(&order, &sample["item"], &case);
            assert_eq!(json!(order.next()), sample["next"], "{case}");
            assert_eq!(order.is_unsettled(), item.get("unsettled").is_some(), "{case}");
            let unsettled = table.orders.find_unsettled(key.id).await.unwrap();
            assert_eq!(unsettled, order.is_unsettled().then(|| key.clone()), "{case}");
            let listed = table.orders.list(&List::Of(key.user_id), shared::page::Limit::default(), None).await.unwrap();
            assert_eq!(listed.orders, [order], "{case}");
        }
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_answer_in_its_record() {
    for (case, sample) in entries("record") {
        let (item, Some(request)) = (&sample["item"], sample.get("request")) else { continue };
        let mut extended = with_added_field(item);
        extended["answer"] = with_added_field(&item["answer"]);
        for item in [item, &extended] {
            let table = Table::new().await;
            put(&table, IDEMPOTENCY_TABLE, item).await;
            let (records, operation) = (&table.records, operation(request));
            // The answer that the repeat would get if its record were not found.
            let other = json!({"status": 500, "headers": [], "body": ""});
            let other: SavedAnswer = serde_json::from_value(other).unwrap();
            let answer = if request["method"] == "POST" {
                let other = SavedSubmission { message: String::new(), answer: other };
                let saved = records.save(&operation, other, after(1)).await.unwrap();
                assert_eq!(saved.message, item["answer"]["message"].as_str().unwrap(), "{case}");
                Submission::parse(&saved.message).unwrap();
                (saved.answer, &item["answer"]["answer"])
            } else {
                (records.save(&operation, other, after(1)).await.unwrap(), &item["answer"])
            };
            let (response, expected): (Response<_>, _) = (answer.0.try_into().unwrap(), answer.1);
            assert_eq!(json!(response.status().as_u16()), expected["status"], "{case}");
            assert_eq!(json!(String::from_utf8_lossy(response.body().as_ref())), expected["body"], "{case}");
            let headers =
                response.headers().iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()]));
            assert_eq!(Value::Array(headers.collect()), expected["headers"], "{case}");
        }
    }
}

#[tokio::test]
async fn an_order_with_a_record_that_it_was_saved_is_not_saved_again() {
    for (case, sample) in entries("record") {
        let Some(order) = sample.get("order") else { continue };
        for item in [&sample["item"], &with_added_field(&sample["item"])] {
            let table = Table::new().await;
            put(&table, IDEMPOTENCY_TABLE, item).await;
            let order: Order = serde_json::from_value(order.clone()).unwrap();
            table.orders.save(&table.records, &order, after(1)).await.unwrap();
            assert_eq!(table.orders.find(order.key()).await.unwrap(), None, "{case}");
            assert!(!table.records.save_new(&Operation::save(order.key()), (), after(1)).await.unwrap(), "{case}");
        }
    }
}

#[tokio::test]
async fn a_response_can_be_sent_back_with_its_etag() {
    for (case, response) in entries("response") {
        let order: Order = serde_json::from_value(with_added_field(&response["body"])).unwrap();
        assert_same(&order, &response["body"], &case);

        let etag = response["headers"].get("etag").cloned();
        let headers = json!({"Content-Type": "application/json", "If-Match": etag.clone().unwrap_or("*".into())});
        let request = request("PUT", "/orders", &headers, &response["body"].to_string());
        let caller = request::caller(&request).unwrap();
        let PutOrder::Replace(key, update) = PutOrder::parse(&request, &caller).unwrap() else {
            panic!("{case}: the order has an id");
        };
        assert_eq!((&key, &update.content), (order.key(), order.content()), "{case}");
        let Some(etag) = etag else { continue };
        assert_eq!(update.expected, Expected::OneOf(vec![order.version()]), "{case}: {etag}");

        let request = crate::request("GET", "/orders", &json!({"If-None-Match": etag}), "");
        let conditions = Conditions::parse(&request).unwrap();
        let changed = Version::from(order.version().get() + 1);
        assert_eq!(
            (conditions.is_new(order.version()).ok(), conditions.is_new(changed).ok()),
            (Some(false), Some(true))
        );
    }
}

#[tokio::test]
async fn an_etag_of_the_last_release_names_the_version_in_the_table() {
    let (_, item) = entries("item").into_iter().find(|(case, _)| case == "recorded, changed").unwrap();
    let (_, response) = entries("response").into_iter().find(|(case, _)| case == "recorded, changed").unwrap();
    let (table, key) = (Table::new().await, key(&item["item"]));
    put(&table, TABLE, &item["item"]).await;
    let headers = json!({"Content-Type": "application/json", "If-Match": response["headers"]["etag"]});
    let expected = Conditions::parse(&request("PUT", "/orders", &headers, "")).unwrap().expected();
    let changed = table.replace(&key, &content(5), &expected).await.unwrap();
    assert_eq!(changed.version().get(), item["item"]["version"].as_u64().unwrap() + 1);
    assert!(matches!(table.replace(&key, &content(6), &expected).await, Err(StoreError::Stale)));
}

#[test]
fn a_cursor_is_a_place_in_its_list() {
    for (case, cursor) in entries("cursor") {
        let (cursor, of_user) = (cursor.as_str().unwrap(), case.contains("a user's"));
        let key = key(&entries("item")[0].1["item"]);
        let list = if of_user { List::Of(key.user_id.clone()) } else { List::All };
        assert_eq!(*Cursor::decode(cursor, &list).unwrap().key(), key, "{case}");
    }
}
