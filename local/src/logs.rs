//! The functions' logs, for a person to read.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use chrono::{DateTime, Local, Utc};
use serde::Deserialize;

use crate::Stack;

/// How long after its instant a line may still turn up, in milliseconds.
const LATE: i64 = 5_000;

/// Prints every line that the stack's functions log. Ends only when the emulator can't be asked any more.
pub async fn follow(stack: &Stack) -> anyhow::Result<()> {
    let client = Client::new(&stack.sdk_config().await);
    let prefix = format!("/aws/lambda/{}-", stack.name);
    let mut latest = 0;
    // The emulator gives events no ids.
    let mut seen = HashSet::new();
    loop {
        let groups = client.describe_log_groups().log_group_name_prefix(&prefix).send().await?;
        let mut fresh = Vec::new();
        for group in groups.log_groups().iter().filter_map(|group| group.log_group_name()) {
            let found = client.filter_log_events().log_group_name(group).start_time((latest - LATE).max(0));
            let pages = found.into_paginator().send().collect::<Result<Vec<_>, _>>().await?;
            let events = pages.into_iter().flat_map(|page| page.events.unwrap_or_default());
            let events = events.filter_map(|event| Some((event.timestamp?, event.message?)));
            fresh.extend(events.filter(|event| seen.insert(event.clone())));
        }
        fresh.sort();
        for (timestamp, message) in fresh {
            latest = latest.max(timestamp);
            if let Some(line) = readable(&message) {
                println!("{line}");
            }
        }
        seen.retain(|(timestamp, _)| *timestamp >= latest - LATE);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What a request's line says; see `shared::http::serve`.
#[derive(Deserialize)]
struct Line {
    timestamp: DateTime<Utc>,
    level: String,
    message: String,
    #[serde(default)]
    function: String,
    #[serde(default)]
    route: String,
    status: Option<u16>,
    duration_ms: Option<f64>,
    error: Option<String>,
    #[serde(default)]
    request_id: String,
}

/// A logged line as it is shown, if it is worth showing: what Lambda itself says around each request is not.
fn readable(message: &str) -> Option<String> {
    let message = message.trim_end();
    if message.is_empty() || ["START ", "END ", "REPORT "].iter().any(|word| message.starts_with(word)) {
        return None;
    }
    let Ok(line) = serde_json::from_str::<Line>(message) else { return Some(message.to_owned()) };
    let time = line.timestamp.with_timezone(&Local).format("%H:%M:%S%.3f");
    let head = format!("{time} {:5} {:12}", line.level, line.function);
    Some(match (line.status, line.duration_ms) {
        (Some(status), Some(ms)) => {
            let error = line.error.map(|error| format!("  {error}")).unwrap_or_default();
            format!("{head} {status} {} {ms:.1} ms  {}{error}", line.route, line.request_id)
        }
        _ => format!("{head} {}", line.message),
    })
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_requests_line_is_readable() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"INFO","message":"request","request_id":"r1",
            "function":"put-order","route":"PUT /orders","status":201,"duration_ms":12.345}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("INFO  put-order    201 PUT /orders 12.3 ms  r1"), "{shown}");
    }

    #[test]
    fn other_lines_are_shown_as_they_are_and_lambdas_own_are_not() {
        assert_eq!(readable("thread 'main' panicked\n").as_deref(), Some("thread 'main' panicked"));
        assert_eq!(readable("START RequestId: 1 Version: $LATEST"), None);
    }
}
