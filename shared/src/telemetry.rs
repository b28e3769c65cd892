//! Logs: JSON lines on standard output, which Lambda carries to CloudWatch.

use tracing::level_filters::LevelFilter;

/// Starts logging from that level on.
pub fn init(level: LevelFilter) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .init();
}
