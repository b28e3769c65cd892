//! The forms that outlive a function call. While a release is rolled out, and after it is rolled back, functions of two
//! releases work side by side: each reads what the other has written.
//!
//! `events/release/` has samples of these forms. [`written`] makes them with the code that writes them in production, and
//! [`read`] reads them with the code that reads them there. `make samples` writes the files. It keeps a sample that is
//! written in another form by now: as `NAME.1.json`, `NAME.2.json` and so on, which are read from then on as well.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod read;
#[path = "../table/mod.rs"]
mod table;
mod written;

use std::fs;
use std::path::PathBuf;

use lambda_http::Request;
use serde_json::{Value, json};
use shared::order::Timestamp;

fn events() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn folder() -> PathBuf {
    events().join("release")
}

fn parse(file: &PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// File of the latest sample of a form.
fn latest(name: &str) -> PathBuf {
    folder().join(format!("{name}.json"))
}

/// File of its nth sample that was written otherwise, from 1.
fn earlier(name: &str, n: usize) -> PathBuf {
    folder().join(format!("{name}.{n}.json"))
}

/// The samples of a form: the latest, and those that were written otherwise before.
fn samples(name: &str) -> Vec<Value> {
    let earlier = (1..).map(|n| earlier(name, n)).take_while(|file| file.exists());
    std::iter::once(latest(name)).chain(earlier).map(|file| parse(&file)).collect()
}

/// The entries of all samples of a form, with their names.
fn entries(name: &str) -> Vec<(String, Value)> {
    let entries = samples(name).into_iter().flat_map(|sample| sample.as_object().unwrap().clone());
    let entries: Vec<_> = entries.collect();
    assert!(!entries.is_empty(), "{name}");
    entries
}

/// The same with a field that the release after may add.
fn with_added_field(form: &Value) -> Value {
    let mut form = form.clone();
    form.as_object_mut().unwrap().insert("added".into(), json!({"by": ["the release after", 1, true, null]}));
    form
}

fn instant(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

/// A request of a machine that is an administrator, as API Gateway passes it on.
fn request(method: &str, resource: &str, headers: &Value, body: &str) -> Request {
    let mut event = parse(&events().join("put-order.json"));
    let (event, context) = (&mut event, ["requestContext", "authorizer", "claims"]);
    for (name, value) in [("httpMethod", method), ("resource", resource), ("body", body)] {
        event[name] = value.into();
    }
    event["headers"] = headers.clone();
    event["multiValueHeaders"] = json!({});
    event[context[0]]["httpMethod"] = method.into();
    event[context[0]]["resourcePath"] = resource.into();
    event[context[0]][context[1]][context[2]] = json!({
        "sub": "5example7client9id1machine", "client_id": "5example7client9id1machine", "token_use": "access",
        "scope": "orders/admin orders/read orders/write",
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

#[tokio::test]
async fn todays_code_writes_what_the_samples_show() {
    for (name, value) in written::all().await {
        let file = latest(name);
        assert!(
            file.exists() && parse(&file) == value,
            "events/release/{name}.json is not what the code writes:\n{value:#}\n\
             The functions of the last release must be able to read this form, and these to read the old one: see \"A \
             release works beside the one before\" in docs/architecture.md. If both hold, run `make samples`: it writes \
             the new sample and keeps the old one, which these tests go on reading.",
        );
    }
}

#[tokio::test]
#[ignore = "writes the samples: `make samples`"]
async fn write() {
    for (name, value) in written::all().await {
        let file = latest(name);
        if file.exists() {
            if parse(&file) == value {
                continue;
            }
            fs::rename(&file, earlier(name, samples(name).len())).unwrap();
        }
        fs::create_dir_all(folder()).unwrap();
        fs::write(file, format!("{value:#}\n")).unwrap();
    }
}
