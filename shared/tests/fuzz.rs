//! The fuzz targets on their corpus, without libFuzzer: `fuzz/src/lib.rs` has the promises.

#![expect(clippy::unwrap_used, reason = "a test that can't continue has failed")]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

use fuzz::{CANARY, NUMBER, TARGETS};
use serde_json::{Value, json};

#[test]
fn the_corpus_breaks_no_promise() {
    for (name, target) in TARGETS {
        let corpus = Path::new("../fuzz/corpus").join(name);
        let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
        let inputs: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(inputs.len() >= 3, "{name} has a corpus");
        for input in inputs {
            println!("{}", input.display());
            target(&fs::read(&input).unwrap());
        }
    }
}

/// All values of a JSON text with one of its values replaced by something that must not be logged, also in JSON texts
/// inside it.
fn with_a_canary(value: &Value) -> Vec<Value> {
    let long = "9".repeat(40);
    let mut all =
        vec![json!(CANARY), json!(NUMBER), json!(format!("{CANARY}, expected {CANARY}")), json!([CANARY]), json!(long)];
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                all.extend(with_a_canary(inner).into_iter().map(|inner| {
                    let mut object = object.clone();
                    object[name] = inner;
                    Value::Object(object)
                }));
            }
            let mut more = object.clone();
            more.insert(CANARY.to_owned(), json!(CANARY));
            all.push(more.into());
        }
        Value::Array(values) => {
            for (place, inner) in values.iter().enumerate() {
                all.extend(with_a_canary(inner).into_iter().map(|inner| {
                    let mut values = values.clone();
                    values[place] = inner;
                    Value::Array(values)
                }));
            }
        }
        Value::String(text) => {
            if let Ok(inner @ Value::Object(_)) = serde_json::from_str(text) {
                all.extend(with_a_canary(&inner).into_iter().map(|inner| inner.to_string().into()));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn no_value_that_is_not_expected_gets_into_a_log() {
    for (target, sample) in [
        ("api_event", include_str!("../../events/put-order.json")),
        ("queue_message", include_str!("../../events/start-order.json")),
        ("queue_message", include_str!("../../events/recover-order.json")),
        ("state_machine_event", include_str!("../../events/save-order.json")),
        (
            "table_item",
            r#"{"user_id":{"S":"Ann"},"id":{"S":"01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"},
            "restaurant_id":{"S":"R"},"quantity":{"S":"3"},"order_status":{"S":"PENDING"},"version":{"N":"1"},
            "created_at":{"S":"2023-01-02T22:06:33Z"},"updated_at":{"S":"2023-01-02T22:06:33Z"},
            "total":{"M":{"amount":{"N":"1"},"currency":{"S":"EUR"}}}}"#,
        ),
    ] {
        for changed in with_a_canary(&serde_json::from_str(sample).unwrap()) {
            fuzz::run(target, changed.to_string().as_bytes());
        }
    }
}

#[test]
fn an_item_with_an_attribute_of_an_unknown_type_is_no_order() {
    fuzz::run("table_item", include_bytes!("../../fuzz/corpus/table_item/an-unknown-type"));
}
