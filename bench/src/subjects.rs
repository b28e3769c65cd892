//! What is measured: the floor, our functions with their sample events, and bootstraps that are named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use axum::body::Bytes;
use serde_json::Value;

use crate::aws::{self, Content};
use crate::function::Subject;

/// Number of orders that a list has.
pub const LISTED: usize = 25;

/// The function for which the reach is set.
pub const MAIN: &str = "get-orders";

/// The function without an SDK.
pub const FLOOR: &str = "floor";

/// State, among the samples of a release, in which a function finds its order.
fn state(function: &str) -> Option<&'static str> {
    Some(match function {
        "accept-order" | "sweep-orders" => "submitted",
        "cancel-delivery" => "paid, cancelling",
        "complete-order" => "delivered",
        "get-order" => "success, published",
        "process-payment" => "accepted",
        "refund-payment" => "failing, refund OWED",
        "send-order" => "paid",
        "settle-order" => "failure, refund FAILED, published",
        "update-order" => "recorded, changed",
        _ => return None,
    })
}

/// The samples in the checkout.
pub struct Samples {
    /// Orders by their state, as JSON.
    orders: BTreeMap<String, Value>,
}

impl Samples {
    /// Reads the samples of orders. The current folder is the root of the checkout.
    pub fn read() -> anyhow::Result<Self> {
        let samples: BTreeMap<String, Value> = serde_json::from_slice(&read("events/release/item.json")?)?;
        Ok(Self { orders: samples.into_iter().map(|(state, mut sample)| (state, sample["item"].take())).collect() })
    }

    /// The order in that state, as JSON.
    pub fn order(&self, state: &str) -> anyhow::Result<&Value> {
        self.orders.get(state).with_context(|| format!("events/release/item.json has no order that is {state}"))
    }

    fn content(&self, state: Option<&str>) -> anyhow::Result<Content> {
        let order = state.map(|state| aws::item(self.order(state)?)).transpose()?;
        Ok(Content { listed: LISTED, order })
    }

    /// The floor, and our functions, all or those that are named. The executables are in `folder`.
    pub fn ours(&self, folder: &Path, only: &[String]) -> anyhow::Result<Vec<Subject>> {
        let mut names = Vec::new();
        for entry in fs::read_dir("events").context("run this in the root folder of the checkout")? {
            let path = entry?.path();
            names.extend(path.file_stem().filter(|_| path.is_file()).map(|name| name.to_string_lossy().into_owned()));
        }
        for name in only {
            ensure!(names.contains(name), "there is no function {name}");
        }
        names.retain(|name| only.is_empty() || only.contains(name));
        // The function of the reach comes right after the floor, then the others by their names.
        names.sort_by_key(|name| (name != MAIN, name.clone()));
        let mut subjects = vec![floor(folder)?];
        for name in names {
            let content = self.content(state(&name))?;
            let sample: Value = serde_json::from_slice(&read(format!("events/{name}.json"))?)?;
            let event = if name == MAIN { list_event(&sample, LISTED, None) } else { sample };
            let bootstrap = folder.join(&name);
            subjects.push(Subject { name, bootstrap, environment: Vec::new(), event: bytes(&event), content });
        }
        Ok(subjects)
    }

    /// The floor, and bootstraps that are named, each with its own event or all with the one.
    pub fn named(
        &self,
        folder: &Path,
        bootstraps: &[PathBuf],
        events: &[PathBuf],
        environment: &[(String, String)],
    ) -> anyhow::Result<Vec<Subject>> {
        let count = (bootstraps.len(), events.len());
        ensure!(events.len() == 1 || count.0 == count.1, "name one event, or one for each bootstrap");
        let mut subjects = vec![floor(folder)?];
        for (bootstrap, event) in bootstraps.iter().zip(events.iter().cycle()) {
            subjects.push(Subject {
                name: bootstrap.display().to_string(),
                bootstrap: fs::canonicalize(bootstrap).with_context(|| format!("no {}", bootstrap.display()))?,
                environment: environment.to_vec(),
                event: read(event)?.into(),
                content: self.content(Some("success, published"))?,
            });
        }
        Ok(subjects)
    }
}

/// The floor gets the event of the main function.
fn floor(folder: &Path) -> anyhow::Result<Subject> {
    let sample = serde_json::from_slice(&read(format!("events/{MAIN}.json"))?)?;
    Ok(Subject {
        name: FLOOR.into(),
        bootstrap: folder.join(FLOOR),
        environment: Vec::new(),
        event: bytes(&list_event(&sample, LISTED, None)),
        content: Content::default(),
    })
}

/// The event of a request for a page of a list.
pub fn list_event(sample: &Value, limit: usize, cursor: Option<&str>) -> Value {
    let mut event = sample.clone();
    for (name, value) in [("limit", Some(limit.to_string())), ("cursor", cursor.map(str::to_owned))] {
        let Some(value) = value else { continue };
        event["queryStringParameters"][name] = value.clone().into();
        event["multiValueQueryStringParameters"][name] = vec![value].into();
    }
    event
}

/// A JSON value as the body of an event.
pub fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn read(path: impl AsRef<Path>) -> anyhow::Result<Vec<u8>> {
    let path = path.as_ref();
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}
