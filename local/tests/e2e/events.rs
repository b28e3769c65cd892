//! The sample events, each sent to its function. Their submitted order is from the year 2099, because an order that is
//! older than 60 days is neither saved nor recovered.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_lambda::primitives::Blob;
use local::{Stack, deploy, samples};
use serde_json::{Value, json};

use crate::support::functions;

/// Names of the functions, in an order in which each sample event finds the order that it needs.
pub const FUNCTIONS: [&str; 17] = [
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
    "cancel-delivery",
    "refund-payment",
    "complete-order",
    "settle-order",
    "recover-order",
    "sweep-orders",
    "start-order",
];

/// Asserts that this is the function's response to its sample event.
pub fn assert_response(function: &str, response: &Value) {
    let http = |status: u16| {
        assert_eq!(response["statusCode"], status, "{function}: {response}");
        serde_json::from_str::<Value>(response["body"].as_str().unwrap_or_default()).unwrap_or_default()
    };
    let sample = json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
    match function {
        "get-orders" => assert_eq!(http(200)[0]["user_id"], "Burger_2", "{response}"),
        "get-order" | "update-order" => assert_eq!(http(200)["id"], sample, "{response}"),
        "delete-order" => assert_eq!(http(204), Value::Null),
        "put-order" => assert!(http(201)["id"].is_string(), "{response}"),
        "submit-order" => assert_eq!(http(202)["processing"], "workflow", "{response}"),
        // The tasks take one order from its submission to its end. Two of them find that they are not due.
        "save-order" => assert_eq!(*response, json!({"next": "ACCEPT"}), "{function}"),
        "accept-order" => assert_eq!(*response, json!({"next": "CHARGE"}), "{function}"),
        "process-payment" => assert_eq!(*response, json!({"next": "DELIVER"}), "{function}"),
        "send-order" | "cancel-delivery" | "refund-payment" => {
            assert_eq!(*response, json!({"next": "COMPLETE"}), "{function}");
        }
        "complete-order" => assert_eq!(*response, json!({"next": "NOTHING"}), "{function}"),
        "settle-order" => {
            let error = "no order with that id waits to be settled";
            assert_eq!(*response, json!({"error": error}), "{function}");
        }
        "sweep-orders" => assert_eq!(*response, json!({"recovered": 0, "failed": 0}), "{function}"),
        "start-order" | "recover-order" => assert_eq!(*response, json!({"batchItemFailures": []}), "{function}"),
        other => panic!("{other} has no expected response here"),
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(Path::new("..").join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_function_has_a_sample_event() {
    let expected = BTreeSet::from(FUNCTIONS.map(str::to_owned));
    assert_eq!(names("functions"), expected);
    assert_eq!(names("events"), expected);
}

#[tokio::test]
async fn every_sample_event_gets_the_expected_response() {
    let endpoint = Stack::from_environment().unwrap().endpoint;
    let no_failures = ["PaymentFailuresPercent=0", "RestaurantFailuresPercent=0"];
    let stack = deploy(&endpoint, "order-api-events", &no_failures).await.unwrap();
    let sdk = stack.sdk_config().await;
    samples::save_order_of_events(&sdk, &stack).await.unwrap();
    let lambda = aws_sdk_lambda::Client::new(&sdk);
    let functions = functions(&stack).await;

    for name in FUNCTIONS {
        let function = functions[name].function_name().unwrap();
        let event = std::fs::read(format!("../events/{name}.json")).unwrap();
        let invoked = lambda.invoke().function_name(function).payload(Blob::new(event)).send().await.unwrap();
        assert_response(name, &serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap());
    }
}
