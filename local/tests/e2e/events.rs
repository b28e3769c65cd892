//! The sample events, each sent to its function. Their submitted order is from the year 2099, because an order that is
//! older than 60 days is neither saved nor recovered.

use std::collections::BTreeSet;
use std::path::Path;

use local::{Stack, StackFile, deploy, samples};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::dev::in_a_terminal;

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
    assert_eq!(names("functions"), &expected | &BTreeSet::from(["function".to_owned()]));
    assert_eq!(names("events"), &expected | &BTreeSet::from(["release".to_owned()]));
}

/// `make invoke` in the folder of a function.
fn make_invoke(function: &str, arguments: &[&str]) -> Command {
    let folder = Path::new("../functions").join(function);
    let mut make = in_a_terminal("make");
    // As in README.md. Without the `s`, make prints its folder before the answer.
    make.arg("-sC").arg(folder).arg("invoke").args(arguments);
    make
}

#[tokio::test]
async fn every_function_can_be_invoked_with_its_sample_event() {
    let running = Stack::from_environment().unwrap();
    let no_failures = ["PaymentFailuresPercent=0", "RestaurantFailuresPercent=0"];
    let stack = deploy(running.emulator().unwrap(), "order-api-events", &no_failures).await.unwrap();
    samples::save_order_of_events(&stack.sdk_config().await, &stack).await.unwrap();

    for name in FUNCTIONS {
        let invoked = make_invoke(name, &[]).envs([stack.to_environment().unwrap()]).output().await.unwrap();
        assert!(invoked.status.success(), "{name}: {invoked:?}");
        let response = serde_json::from_slice(&invoked.stdout).unwrap();
        assert_response(name, &response);
        println!("{name} answers {response}");
    }
}

#[tokio::test]
async fn a_function_can_be_invoked_with_another_event() {
    let stack = Stack::from_environment().unwrap();
    // Make and the shell would expand the name if it did not reach the program as it was typed.
    let file = stack.scratch().unwrap().canonicalize().unwrap().join("the $HOME's event.json");
    let invoke = async |content: &str| {
        std::fs::write(&file, content).unwrap();
        let invoked = make_invoke("settle-order", &[&format!("EVENT={}", file.display())]).output().await.unwrap();
        let [answer, error] = [invoked.stdout, invoked.stderr].map(|output| String::from_utf8(output).unwrap());
        (invoked.status.success(), answer, error)
    };

    let (succeeded, answer, error) = invoke(r#"{"id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"}"#).await;
    assert!(succeeded, "{error}");
    assert_response("settle-order", &serde_json::from_str(&answer).unwrap());

    let (succeeded, answer, error) = invoke("{}").await;
    assert!(!succeeded);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["errorMessage"].as_str().unwrap().contains("missing field `id`"), "{answer}");
    assert!(error.starts_with("error: settle-order failed with this event\n"), "{error}");

    let (succeeded, _, error) = invoke("no").await;
    assert!(!succeeded && error.contains("event.json is not JSON: "), "{error}");
}

#[tokio::test]
async fn an_event_that_is_missing_is_named() {
    let invoked = make_invoke("get-orders", &["EVENT=../../events/no-such.json"]).output().await.unwrap();
    assert!(!invoked.status.success() && invoked.stdout.is_empty(), "{invoked:?}");
    let error = String::from_utf8(invoked.stderr).unwrap();
    let expected = "error: can't read the event ../../events/no-such.json: No such file or directory";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_function_is_invoked_in_the_running_system() {
    let stack = Stack::from_environment().unwrap();
    let port = stack.emulator().unwrap().rsplit(':').next().unwrap();
    // As `make dev` records its system.
    let _file = StackFile::write(port.parse().unwrap(), &stack).unwrap();
    let mut make = make_invoke("settle-order", &[&format!("PORT={port}")]);
    let invoked = make.env_remove(stack.to_environment().unwrap().0).output().await.unwrap();
    let [answer, error] = [invoked.stdout, invoked.stderr].map(|output| String::from_utf8(output).unwrap());
    assert!(invoked.status.success() && !error.contains("Starting the emulator"), "{error}");
    assert!(error.contains("with the code it was started with"), "an edit has no effect there: {error}");
    assert_response("settle-order", &serde_json::from_str(&answer).unwrap());
}
