//! Logs: JSON lines on standard output, which Lambda carries to CloudWatch.
//!
//! What is done for one request, step or message is done in a span of its own ([`span`]); each line that is logged
//! there names, once it is known, the order that it is about.

use std::error::Error;

use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, error_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::order::OrderId;

/// Starts logging from that level on.
///
/// What others' crates say below INFO is never logged: the Lambda runtime's TRACE is the whole event, token and all.
pub fn init(level: LevelFilter) {
    let ours = Targets::new().with_default(level.min(LevelFilter::INFO)).with_target(env!("CARGO_PKG_NAME"), level);
    // It says again, without the order's id and with whole responses, what is logged of a step that failed.
    let ours = ours.with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry().with(lines).with(ours).init();
    // A panic is a line like any other, with the order's id in it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or_default());
    }));
}

/// The span of a piece of work of that function. It is there at every level.
#[must_use]
pub fn span(function: &'static str) -> Span {
    error_span!("work", function, order_id = Empty)
}

/// Says that what was paid for the current order could not be given back. An alarm is raised on this line: see the
/// template's metric filters.
pub fn refund_failed() {
    tracing::error!(refund_failed = true, "the refund has failed: give the money back by hand");
}

/// Names the order that the current work is about.
pub fn about(id: OrderId) {
    Span::current().record("order_id", display(id));
}

/// An error with all its causes, for the log.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
