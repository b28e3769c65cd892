//! Logs: JSON lines on standard output, which Lambda carries to CloudWatch.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging from that level on.
///
/// What others' crates say below INFO is never logged: the Lambda runtime's TRACE is the whole event, token and all.
pub fn init(level: LevelFilter) {
    let ours = Targets::new().with_default(level.min(LevelFilter::INFO)).with_target(env!("CARGO_PKG_NAME"), level);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry().with(lines).with(ours).init();
}
