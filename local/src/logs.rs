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
        let mut fresh = events(&client, &prefix, (latest - LATE).max(0)).await?;
        fresh.retain(|event| seen.insert(event.clone()));
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

/// Every line that the stack's functions have logged.
pub async fn lines(stack: &Stack) -> anyhow::Result<Vec<String>> {
    let client = Client::new(&stack.sdk_config().await);
    let events = events(&client, &format!("/aws/lambda/{}-", stack.name), 0).await?;
    Ok(events.into_iter().map(|(_, message)| message).collect())
}

/// What was logged in the groups of that prefix, from that instant (milliseconds since 1970) on.
async fn events(client: &Client, prefix: &str, from: i64) -> anyhow::Result<Vec<(i64, String)>> {
    let groups = client.describe_log_groups().log_group_name_prefix(prefix).into_paginator().items().send();
    let mut events = Vec::new();
    for group in groups.collect::<Result<Vec<_>, _>>().await? {
        let found = client.filter_log_events().set_log_group_name(group.log_group_name).start_time(from);
        let pages = found.into_paginator().send().collect::<Result<Vec<_>, _>>().await?;
        let logged = pages.into_iter().flat_map(|page| page.events.unwrap_or_default());
        events.extend(logged.filter_map(|event| Some((event.timestamp?, event.message?))));
    }
    Ok(events)
}

/// What the line of a request, a step or a message says; see `shared::http::serve` and `shared::workflow`.
#[derive(Deserialize)]
struct Line {
    timestamp: DateTime<Utc>,
    level: String,
    message: String,
    #[serde(default)]
    route: String,
    status: Option<u16>,
    duration_ms: Option<f64>,
    error: Option<String>,
    #[serde(default)]
    span: About,
}

/// What a line is about; see `shared::telemetry`.
#[derive(Default, Deserialize)]
struct About {
    function: Option<String>,
    order_id: Option<String>,
}

/// A logged line as it is shown, if it is worth showing: what Lambda itself says around each request is not.
fn readable(message: &str) -> Option<String> {
    let message = message.trim_end();
    if message.is_empty() || ["START ", "END ", "REPORT "].iter().any(|word| message.starts_with(word)) {
        return None;
    }
    let Ok(line) = serde_json::from_str::<Line>(message) else { return Some(message.to_owned()) };
    let time = line.timestamp.with_timezone(&Local).format("%H:%M:%S%.3f");
    let what = line.status.map_or(line.message, |status| format!("{status} {}", line.route));
    let took = line.duration_ms.map(|ms| format!(" {ms:.1} ms")).unwrap_or_default();
    let (function, about) = (line.span.function.unwrap_or_default(), line.span.order_id.unwrap_or_default());
    let error = line.error.unwrap_or_default();
    let shown = format!("{time} {:5} {function:15} {what}{took}  {about}  {error}", line.level);
    Some(shown.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_requests_line_is_readable() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"INFO","message":"request","request_id":"r1",
            "route":"PUT /orders","status":201,"duration_ms":12.345,
            "span":{"name":"work","function":"put-order","order_id":"o1"}}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("INFO  put-order       201 PUT /orders 12.3 ms  o1"), "{shown}");
    }

    #[test]
    fn a_steps_line_is_readable() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"ERROR","message":"failed","request_id":"r1",
            "error":"away","duration_ms":12.345,"span":{"name":"work","function":"process-payment","order_id":"o1"}}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("ERROR process-payment failed 12.3 ms  o1  away"), "{shown}");
    }

    #[test]
    fn other_lines_are_shown_as_they_are_and_lambdas_own_are_not() {
        assert_eq!(readable("thread 'main' panicked\n").as_deref(), Some("thread 'main' panicked"));
        assert_eq!(readable("START RequestId: 1 Version: $LATEST"), None);
    }
}
