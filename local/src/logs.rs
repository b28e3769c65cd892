//! The functions' logs in a readable form.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use chrono::{DateTime, Local, Utc};
use serde::Deserialize;
use shared::order::{OrderId, Timestamp};

use crate::Stack;

/// Delay, in milliseconds, with which a line may turn up after its timestamp.
const MAX_DELAY_MS: i64 = 5_000;

/// A logged line: its timestamp in milliseconds since 1970, and its message.
type Event = (i64, String);

/// Prints every line that the stack's functions log. Ends only if the emulator no longer answers.
pub async fn follow(stack: &Stack) -> anyhow::Result<()> {
    let client = Client::new(&stack.sdk_config().await);
    let mut latest = 0;
    // The emulator gives events no ids.
    let mut seen = HashSet::new();
    loop {
        let mut fresh = events(&client, &stack.function_logs, (latest - MAX_DELAY_MS).max(0)).await?;
        fresh.retain(|event| seen.insert(event.clone()));
        fresh.sort();
        for (timestamp, message) in fresh {
            latest = latest.max(timestamp);
            if let Some(line) = readable(&message) {
                println!("{line}");
            }
        }
        seen.retain(|(timestamp, _)| *timestamp >= latest - MAX_DELAY_MS);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Returns every line that the stack's functions have logged.
pub async fn lines(stack: &Stack) -> anyhow::Result<Vec<String>> {
    lines_of(&Client::new(&stack.sdk_config().await), &stack.function_logs).await
}

/// Returns every line of a log group.
pub async fn lines_of(client: &Client, group: &str) -> anyhow::Result<Vec<String>> {
    Ok(events(client, group, 0).await?.into_iter().map(|(_, message)| message).collect())
}

/// Returns the lines about an order as they are shown, without their time and the order's id. Needs
/// `logs:FilterLogEvents`.
pub async fn about(stack: &Stack, id: OrderId) -> anyhow::Result<Vec<(DateTime<Utc>, String)>> {
    let client = Client::new(&stack.sdk_config().await);
    // The instant of the id is that of the order's creation. A minute more, because clocks differ.
    let now = Timestamp::now();
    let from = (now.before(id.age(now)).epoch_seconds() - 60).max(0) * 1000;
    let id = id.to_string();
    let events = if stack.endpoint.is_some() {
        // The emulator does not filter.
        events(&client, &stack.function_logs, from).await?
    } else {
        let found = client.filter_log_events().log_group_name(&stack.function_logs).start_time(from);
        let found = found.filter_pattern(format!(r#"{{ $.span.order_id = "{id}" }}"#)).into_paginator().send();
        let pages = found.collect::<Result<Vec<_>, _>>().await?;
        let found = pages.into_iter().flat_map(|page| page.events.unwrap_or_default());
        found.filter_map(|event| Some((event.timestamp?, event.message?))).collect()
    };
    let lines = events.iter().filter_map(|(_, message)| serde_json::from_str::<Line>(message).ok());
    let lines = lines.filter(|line| line.span.order_id.as_ref() == Some(&id));
    Ok(lines.map(|line| (line.timestamp, line.text(""))).collect())
}

/// Returns the events of a log group from this instant on, in milliseconds since 1970. They are read stream by stream:
/// the emulator's `FilterLogEvents` leaves out what is beyond 10,000 events.
async fn events(client: &Client, group: &str, from: i64) -> anyhow::Result<Vec<Event>> {
    let streams = client.describe_log_streams().log_group_name(group).into_paginator().items().send();
    let mut events = Vec::new();
    for stream in streams.collect::<Result<Vec<_>, _>>().await? {
        let found = client.get_log_events().log_group_name(group).set_log_stream_name(stream.log_stream_name);
        let pages = found.start_from_head(true).start_time(from).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await?;
        let logged = pages.into_iter().flat_map(|page| page.events.unwrap_or_default());
        events.extend(logged.filter_map(|event| Some((event.timestamp?, event.message?))));
    }
    Ok(events)
}

/// A line of a function's log. Lines that end a request, a step or a message have more fields than others.
#[derive(Deserialize)]
struct Line {
    timestamp: DateTime<Utc>,
    level: String,
    message: String,
    function: Option<String>,
    #[serde(default)]
    route: String,
    status: Option<u16>,
    duration_ms: Option<f64>,
    error: Option<String>,
    #[serde(default)]
    span: Span,
}

/// The request, step or message during which a line was logged; see `shared::telemetry`.
#[derive(Default, Deserialize)]
struct Span {
    function: Option<String>,
    order_id: Option<String>,
}

impl Line {
    /// The line as it is shown, after its time.
    fn text(&self, order: &str) -> String {
        let result = self.status.map_or_else(|| self.message.clone(), |status| format!("{status} {}", self.route));
        let duration = self.duration_ms.map(|ms| format!(" {ms:.1} ms")).unwrap_or_default();
        let function = self.function.as_deref().or(self.span.function.as_deref()).unwrap_or_default();
        let mut text = format!("{:5} {function:15} {result}{duration}", self.level);
        for part in [order, self.error.as_deref().unwrap_or_default()].iter().filter(|part| !part.is_empty()) {
            text = format!("{text}  {part}");
        }
        text
    }
}

/// Returns a line as it is shown, or nothing for a line that Lambda itself logs around each call.
fn readable(message: &str) -> Option<String> {
    let message = message.trim_end();
    if message.is_empty() || ["START ", "END ", "REPORT "].iter().any(|word| message.starts_with(word)) {
        return None;
    }
    let Ok(line) = serde_json::from_str::<Line>(message) else { return Some(message.to_owned()) };
    let time = line.timestamp.with_timezone(&Local).format("%H:%M:%S%.3f");
    Some(format!("{time} {}", line.text(line.span.order_id.as_deref().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn the_line_of_a_request_has_status_and_route() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"INFO","message":"done","function":"put-order",
            "request_id":"r1","route":"PUT /orders","status":201,"duration_ms":12.345,
            "span":{"name":"work","order_id":"o1"}}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("INFO  put-order       201 PUT /orders 12.3 ms  o1"), "{shown}");
    }

    #[test]
    fn the_line_of_a_step_has_message_and_error() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"ERROR","message":"failed",
            "function":"process-payment","error":"timeout","duration_ms":12.345,"span":{"name":"work","order_id":"o1"}}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("ERROR process-payment failed 12.3 ms  o1  timeout"), "{shown}");
    }

    #[test]
    fn a_line_during_a_step_has_the_function_of_its_span() {
        let line = r#"{"timestamp":"2026-11-22T23:06:21.492908Z","level":"INFO","message":"charges: yes",
            "span":{"name":"work","function":"process-payment","order_id":"o1"}}"#;
        let shown = readable(line).unwrap();
        assert!(shown.ends_with("INFO  process-payment charges: yes  o1"), "{shown}");
    }

    #[test]
    fn other_text_is_shown_unchanged_and_lambdas_own_lines_are_hidden() {
        assert_eq!(readable("thread 'main' panicked\n").as_deref(), Some("thread 'main' panicked"));
        assert_eq!(readable("START RequestId: 1 Version: $LATEST"), None);
    }
}
