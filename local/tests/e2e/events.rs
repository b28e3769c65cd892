//! The sample events, each sent through its function's bootstrap.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_lambda::primitives::Blob;
use local::{Stack, deploy, samples};
use serde_json::{Value, json};

/// The functions, in an order in which each event finds what it speaks of: the sample order, or the one before.
pub const FUNCTIONS: [&str; 14] = [
    "get-orders",
    "get-order",
    "update-order",
    "delete-order",
    "put-order",
    "submit-order",
    "save-order",
    "accept-order",
    "process-payment",
    "send-order",
    "refund-payment",
    "complete-order",
    "recover-order",
    "start-order",
];

/// Asserts that this is what the function answers to its event.
pub fn assert_answered(function: &str, answer: &Value) {
    let http = |status: u16| {
        assert_eq!(answer["statusCode"], status, "{function}: {answer}");
        serde_json::from_str::<Value>(answer["body"].as_str().unwrap_or_default()).unwrap_or_default()
    };
    let sample = json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
    match function {
        "get-orders" => assert_eq!(http(200)[0]["user_id"], "Burger_2", "{answer}"),
        "get-order" | "update-order" => assert_eq!(http(200)["id"], sample, "{answer}"),
        "delete-order" => assert_eq!(http(204), Value::Null),
        "put-order" => assert!(http(201)["id"].is_string(), "{answer}"),
        "submit-order" => assert_eq!(http(202)["processing"], "workflow", "{answer}"),
        "save-order" | "complete-order" => assert_eq!(*answer, Value::Null, "{function}"),
        "accept-order" => assert!(answer["accepted_at"].is_string(), "{answer}"),
        "process-payment" | "send-order" | "refund-payment" => {
            assert_eq!(*answer, json!({"decision": "YES"}), "{function}");
        }
        "start-order" | "recover-order" => assert_eq!(*answer, json!({"batchItemFailures": []}), "{function}"),
        other => panic!("{other} has no answer here"),
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(Path::new("..").join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_function_has_its_event() {
    let answered = BTreeSet::from(FUNCTIONS.map(str::to_owned));
    assert_eq!(names("functions"), answered);
    assert_eq!(names("events"), answered);
}

#[tokio::test]
async fn every_event_is_answered() {
    let endpoint = Stack::from_environment().unwrap().endpoint;
    let nothing_fails = ["PaymentFailuresPercent=0", "RestaurantFailuresPercent=0"];
    let stack = deploy(&endpoint, "order-api-events", &nothing_fails).await.unwrap();
    let sdk = stack.sdk_config().await;
    samples::save_order_of_events(&sdk, &stack).await.unwrap();
    let lambda = aws_sdk_lambda::Client::new(&sdk);
    let functions =
        lambda.list_functions().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();

    for name in FUNCTIONS {
        let pascal: String = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let prefix = format!("{}-{pascal}Function-", stack.name);
        let function = functions.iter().filter_map(|f| f.function_name()).find(|f| f.starts_with(&prefix)).unwrap();
        let event = std::fs::read(format!("../events/{name}.json")).unwrap();
        let invoked = lambda.invoke().function_name(function).payload(Blob::new(event)).send().await.unwrap();
        assert_answered(name, &serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap());
    }
}
