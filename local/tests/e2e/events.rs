//! The sample events, each sent through its function's bootstrap.

use std::collections::BTreeSet;
use std::path::Path;

use aws_sdk_lambda::primitives::Blob;
use local::{Stack, deploy, samples};
use serde_json::{Value, json};

/// What each event is answered with: status, and what is in the body's JSON, if it has a body. In an order in which
/// each finds the sample order.
const ANSWERS: [(&str, u16, Option<&str>); 5] = [
    ("get-orders", 200, Some("/0/id")),
    ("get-order", 200, Some("/id")),
    ("update-order", 200, Some("/id")),
    ("delete-order", 204, None),
    ("put-order", 201, Some("/id")),
];

fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(Path::new("..").join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_function_has_its_event() {
    let answered: BTreeSet<String> = ANSWERS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names("functions"), answered);
    assert_eq!(names("events"), answered);
}

#[tokio::test]
async fn every_event_is_answered() {
    let endpoint = Stack::from_environment().unwrap().endpoint;
    let stack = deploy(&endpoint, "order-api-events").await.unwrap();
    let sdk = stack.sdk_config().await;
    samples::save_order_of_events(&sdk, &stack).await.unwrap();
    let lambda = aws_sdk_lambda::Client::new(&sdk);
    let functions = lambda.list_functions().send().await.unwrap().functions.unwrap_or_default();

    for (name, status, pointer) in ANSWERS {
        let pascal: String = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let prefix = format!("{}-{pascal}Function-", stack.name);
        let function = functions.iter().filter_map(|f| f.function_name()).find(|f| f.starts_with(&prefix)).unwrap();
        let event = std::fs::read(format!("../events/{name}.json")).unwrap();
        let invoked = lambda.invoke().function_name(function).payload(Blob::new(event)).send().await.unwrap();
        let answer: Value = serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap();
        assert_eq!(answer["statusCode"], status, "{name}: {answer}");
        let body = answer["body"].as_str().unwrap_or_default();
        match pointer {
            None => assert_eq!(body, "", "{name}"),
            Some(pointer) => {
                let body: Value = serde_json::from_str(body).unwrap();
                let id = body.pointer(pointer).unwrap_or_else(|| panic!("{name}: {body}"));
                let is_the_sample = *id == json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
                assert_eq!(is_the_sample, name != "put-order", "{name}: {body}");
            }
        }
    }
}
