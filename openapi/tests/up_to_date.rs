//! The generated documents are up to date with the types, and their examples are what the types read and write.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::order::Order;

#[test]
fn openapi_yaml_is_up_to_date() {
    let generated = openapi::yaml().expect("the document has a YAML form");
    assert!(generated == include_str!("../../openapi.yaml"), "openapi.yaml is stale: run `make openapi`");
}

#[test]
fn the_schema_of_notifications_is_up_to_date() {
    let generated = openapi::notification_schema().expect("the schema has a JSON form");
    let stored = include_str!("../../docs/notification.schema.json");
    assert!(generated == stored, "docs/notification.schema.json is stale: run `make openapi`");
}

#[test]
fn the_examples_of_notifications_are_orders_and_have_every_field() {
    let schema = openapi::notification_schema().expect("the schema has a JSON form");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let mut fields = BTreeSet::new();
    for example in schema["examples"].as_array().expect("there are examples") {
        let order: Order = serde_json::from_value(example["order"].clone()).expect("it is an order");
        assert_eq!(serde_json::to_value(&order).expect("an order has a JSON form"), example["order"]);
        let id = example["id"].as_str().expect("it has an id");
        assert!(id.starts_with(&format!("{}:{}", order.id(), order.status().as_str())), "{id}");
        fields.extend(example["order"].as_object().expect("it is an object").keys().cloned());
    }
    let described = schema["$defs"]["Order"]["properties"].as_object().expect("an order has fields");
    assert_eq!(fields, described.keys().cloned().collect());
}
