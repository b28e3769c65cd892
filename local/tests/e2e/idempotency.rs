//! `Idempotency-Key` on creation.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Api, of_user, path_of, send, user};

pub fn order_of(user: &str) -> Value {
    json!({"user_id": user, "restaurant_id": "Restaurant 3", "quantity": 3})
}

async fn create(api: &Api, key: &str, body: &Value) -> Answer {
    send(api.request(Method::PUT, "/orders").header("Idempotency-Key", key).json(body)).await
}

/// Asserts that this user has so many orders.
pub async fn assert_count(api: &Api, user: &str, count: usize) {
    api.list_when(&of_user(user), |orders| orders.len() == count).await;
}

/// The parts of a response that a client sees.
fn seen(answer: &Answer) -> (u16, String, String, String) {
    (answer.status.as_u16(), answer.header("location").into(), answer.header("etag").into(), answer.body.clone())
}

#[tokio::test]
async fn a_repeated_creation_returns_the_first_response_byte_for_byte() {
    let api = Api::new().await;
    let user = user("Ann");
    let (key, body) = (format!("{user}:1").replace(' ', "_"), order_of(&user));
    let first = create(&api, &key, &body).await.is(201);
    let order = first.json();
    assert_eq!(seen(&create(&api, &key, &body).await), seen(&first));

    api.put(&path_of(&order), &json!({"restaurant_id": "Other", "quantity": 7})).await.is(200);
    assert_eq!(seen(&create(&api, &key, &body).await), seen(&first));
    api.delete(&path_of(&order)).await.is(204);
    assert_eq!(seen(&create(&api, &key, &body).await), seen(&first));
    assert_count(&api, &user, 0).await;
}

#[tokio::test]
async fn a_repeat_by_another_spelling_of_the_path_is_the_same_creation() {
    let api = Api::new().await;
    let user = user("Ann");
    let (key, body) = (format!("{user}:1").replace(' ', "_"), order_of(&user));
    let first = create(&api, &key, &body).await.is(201);
    let again = send(api.request(Method::PUT, "/orders/").header("Idempotency-Key", &key).json(&body)).await.is(201);
    assert_eq!(again.body, first.body);
    let location = |answer: &Answer| answer.url.join(answer.header("location")).unwrap();
    assert_eq!(location(&again), location(&first));
    assert_count(&api, &user, 1).await;
}

#[tokio::test]
async fn another_body_with_a_used_key_is_422_and_creates_nothing() {
    let api = Api::new().await;
    let user = user("Ann");
    let key = format!("{user}:1").replace(' ', "_");
    create(&api, &key, &order_of(&user)).await.is(201);
    let mut other = order_of(&user);
    other["quantity"] = json!(4);
    create(&api, &key, &other).await.problem(422);
    assert_count(&api, &user, 1).await;
}

#[tokio::test]
async fn fifty_concurrent_creations_with_one_key_create_one_order() {
    let api = Api::new().await;
    let user = user("Ann");
    let (key, body) = (format!("{user}:1").replace(' ', "_"), order_of(&user));
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (api, key, body) = (api.clone(), key.clone(), body.clone());
        clients.spawn(async move { seen(&create(&api, &key, &body).await.is(201)) });
    }
    let answers: HashSet<_> = clients.join_all().await.into_iter().collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_count(&api, &user, 1).await;
}

#[tokio::test]
async fn an_expired_key_can_be_used_again() {
    let api = Api::new().await;
    let user = user("Ann");
    let (key, body) = (format!("{user}:1").replace(' ', "_"), order_of(&user));
    let first = create(&api, &key, &body).await.is(201);

    // Expire this idempotency record; the order's id in it identifies it.
    let dynamodb = aws_sdk_dynamodb::Client::new(&api.stack.sdk_config().await);
    let table = &api.stack.idempotency_table;
    let records = dynamodb.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    let records: Vec<HashMap<_, _>> = records.collect::<Result<_, _>>().await.unwrap();
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let record = records.into_iter().find(|record| format!("{record:?}").contains(&id)).unwrap();
    dynamodb
        .update_item()
        .table_name(table)
        .key("id", record["id"].clone())
        .update_expression("SET expires_at = expires_at - :day")
        .expression_attribute_values(":day", AttributeValue::N("86400".into()))
        .send()
        .await
        .unwrap();

    let second = create(&api, &key, &body).await.is(201);
    assert_ne!(second.body, first.body);
    assert_count(&api, &user, 2).await;
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_ascii_characters() {
    let api = Api::new().await;
    let user = user("Ann");
    for bad in ["", "a b", "k".repeat(256).as_str()] {
        assert_eq!(create(&api, bad, &order_of(&user)).await.problem(400), ["Idempotency-Key"], "{bad}");
    }
    let mut fields = create(&api, "a b", &json!({"user_id": user, "restaurant_id": "R"})).await.problem(400);
    fields.sort();
    assert_eq!(fields, ["Idempotency-Key", "quantity"]);
    assert_count(&api, &user, 0).await;
    let longest = format!("{:k>255}", user.replace(' ', "_"));
    create(&api, &longest, &order_of(&user)).await.is(201);
}
