//! Bodies of the fuzz targets: each takes any bytes for one kind of input, gives them to the product's code, and panics if
//! a promise is broken. `fuzz_targets/` runs them in libFuzzer (`make fuzz-parsers`). `shared/tests/fuzz.rs` runs them on
//! the corpus, which needs neither libFuzzer nor a C++ compiler.
//!
//! Promises for every input:
//! - **No panic**, not even one that the product catches.
//! - **No 500**, and no answer that is not a complete response or problem. The exception is an event of a form that API
//!   Gateway does not send: see [`api::api_event`].
//! - **No raw input in a log.** [`CANARY`] stands for what must not be logged. It is in the seeds, so the fuzzer carries it
//!   everywhere. Ids may be logged.

mod api;
mod store;
mod workflow;

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// Text that no log may contain.
pub const CANARY: &str = "Zq7Xk";

/// A number that no log may contain.
pub const NUMBER: u64 = 8_675_309_424_242;

/// Name and body of a target.
type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("api_event", api::api_event),
    ("cursor", api::cursor),
    ("idempotency_key", api::idempotency_key),
    ("if_match", api::if_match),
    ("order_body", api::order_body),
    ("path", api::path),
    ("queue_message", workflow::queue_message),
    ("state_machine_event", workflow::state_machine_event),
    ("table_item", store::table_item),
];

/// Runs a target.
///
/// # Panics
/// Panics if there is no target of that name, or a promise is broken.
pub fn run(target: &str, data: &[u8]) {
    let body = TARGETS.iter().find(|(name, _)| *name == target);
    body.unwrap_or_else(|| panic!("no target {target}")).1(data);
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
}

/// Writes to the log of this thread.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does the work, and checks what it logs, at the level of which most is logged. Returns the work's result and the lines.
fn logged<R>(work: impl Future<Output = R>) -> (R, Vec<Value>) {
    static START: Once = Once::new();
    START.call_once(|| {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(|| Log);
        let filter = Targets::new().with_default(LevelFilter::INFO).with_target("shared", LevelFilter::TRACE);
        let subscriber = tracing_subscriber::registry().with(lines).with(filter);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.with_borrow_mut(Vec::clear);
    let done = RUNTIME.with(|runtime| runtime.block_on(work));
    let log = LOG.with_borrow_mut(std::mem::take);
    let lines: Vec<Value> = log
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    for line in &lines {
        check(line);
    }
    (done, lines)
}

/// Checks a line of the log. Ids may be in it: those of requests and messages, the route, and the keys of the table.
fn check(line: &Value) {
    const IDS: [&str; 5] = ["request_id", "route", "message_id", "user_id", "id"];
    let mut rest = line.clone();
    for id in IDS {
        rest.as_object_mut().unwrap().remove(id);
    }
    let rest = rest.to_string();
    assert!(!rest.contains(CANARY) && !rest.contains(&NUMBER.to_string()), "raw input in a log: {line}");
    assert!(!rest.contains("panicked"), "a panic: {line}");
}
