//! Logs: JSON lines on standard output, which Lambda carries to CloudWatch.
//!
//! Each request, step or message is handled in a span of its own ([`span`]). Once its order is known, every line within
//! the span names it ([`set_order_id`]), a panic's too.

use std::error::Error;

use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, error_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::environment::{self, EnvironmentError};
use crate::order::OrderId;

/// Starts logging.
///
/// | variable | value |
/// |---|---|
/// | `LOG_LEVEL` | lowest level that is logged: `error`, `warn`, `info` (default), `debug`, `trace` or `off` |
/// | `RELEASE` | id of the function's release (`tools/release.py`), which is logged at the start; none on the local stack |
///
/// Other crates are never logged below INFO: at TRACE the Lambda runtime logs whole events, tokens included.
pub fn init() -> Result<(), EnvironmentError> {
    let level = level(environment::optional("LOG_LEVEL").as_deref())?;
    let filter = Targets::new().with_default(level.min(LevelFilter::INFO)).with_target(env!("CARGO_PKG_NAME"), level);
    // The runtime would log each failed step again, with the whole response and without the order's id.
    let filter = filter.with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    // A panic is logged as a line like any other, with the order's id.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked: {}", panic.payload_as_str().unwrap_or_default());
    }));
    if let Some(release) = environment::optional("RELEASE") {
        // As Lambda names them: this line belongs to no work, whose span would name the function.
        let function_name = environment::optional("AWS_LAMBDA_FUNCTION_NAME");
        let version = environment::optional("AWS_LAMBDA_FUNCTION_VERSION");
        tracing::info!(release, function_name, version, "started");
    }
    Ok(())
}

fn level(text: Option<&str>) -> Result<LevelFilter, EnvironmentError> {
    let Some(text) = text else { return Ok(LevelFilter::INFO) };
    text.parse().map_err(|_| {
        let problem = format!("must be error, warn, info, debug, trace or off, and is {text:?}");
        EnvironmentError::new("LOG_LEVEL", problem)
    })
}

/// Span of a request, step or message that the function handles. It is enabled at every level.
#[must_use]
pub fn span(function: &'static str) -> Span {
    error_span!("work", function, order_id = Empty)
}

/// Names the order in all further lines of the current span.
pub fn set_order_id(id: OrderId) {
    Span::current().record("order_id", display(id));
}

/// Logs that the current order needs an operator; the template's metric filter raises the alarm.
pub fn needs_operator(reason: &str) {
    tracing::error!(needs_operator = true, "an operator is needed: {reason}");
}

/// An error with all its causes, for the log, without the input that it quotes.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = without_input(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {}", without_input(&error.to_string()));
        cause = error.source();
    }
    text
}

/// Error of `serde_dynamo` that quotes a number, and says nothing of what was expected.
const NUMBER: &str = "Failed to parse";

/// The text of an error without the value that it quotes, which may be personal. serde's errors say what was found, then
/// what was expected.
fn without_input(text: &str) -> String {
    const FOUND: [&str; 5] = ["invalid type", "invalid value", "unknown variant", "unknown field", NUMBER];
    let first = FOUND.iter().filter_map(|found| Some((text.find(found)?, *found))).min();
    let Some((start, found)) = first else { return text.to_owned() };
    let (found, rest) = (&text[..start + found.len()], &text[start + found.len()..]);
    // The last one is serde's own: what was expected is never quoted from the input. If nothing was, there is none.
    let has_expected = !found.ends_with(NUMBER) && !rest.contains(", there are no ");
    let expected = rest.rfind(", expected ").filter(|_| has_expected).map_or("", |place| &rest[place..]);
    format!("{found}{expected}")
}

/// Does the work, and returns the lines that it logs.
#[cfg(test)]
pub(crate) async fn logged(work: impl AsyncFn()) -> Vec<serde_json::Value> {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // tracing could lose a line that another test's thread logs for the first time at this moment.
    work().await;
    let log = Log::default();
    let output = log.clone();
    let logging = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || output.clone()).finish();
    let logging = tracing::subscriber::set_default(logging);
    work().await;
    drop(logging);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::order::OrderStatus;

    #[test]
    fn an_error_is_logged_without_the_input_that_it_quotes() {
        #[derive(Debug, Deserialize)]
        struct Form {
            #[expect(dead_code, reason = "only its errors are read")]
            status: OrderStatus,
            #[expect(dead_code, reason = "only its errors are read")]
            version: u64,
        }
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        let described = |json: &str| describe(&serde_json::from_str::<Form>(json).unwrap_err());
        for (json, line) in [
            (r#""Ann""#, "invalid type, expected struct Form at line 1 column 5"),
            (r#"{"version":"Ann, expected Bob"}"#, "invalid type, expected u64 at line 1 column 30"),
            (r#"{"version":-42}"#, "invalid value, expected u64 at line 1 column 14"),
            (
                r#"{"status":"Ann"}"#,
                "unknown variant, expected one of `PENDING`, `SUCCESS`, `FAILURE` at line 1 column 15",
            ),
            (r#"{"version":1}"#, "missing field `status` at line 1 column 13"),
            ("Ann", "expected value at line 1 column 1"),
        ] {
            assert_eq!(described(json), line);
        }

        let error = serde_json::from_str::<Nothing>(r#"{"Bob, expected Ann":1}"#).unwrap_err();
        assert_eq!(describe(&error), "unknown field");
        for quoted in ["4242x", "4242, expected Ann"] {
            let number = serde_dynamo::AttributeValue::N(quoted.into());
            let error = serde_dynamo::from_attribute_value::<_, u64>(number).unwrap_err();
            assert!(error.to_string().contains(quoted), "{error}");
            assert_eq!(describe(&error), "Failed to parse");
        }
    }

    #[test]
    fn a_level_is_one_of_the_known_names() {
        assert_eq!(level(None), Ok(LevelFilter::INFO));
        assert_eq!(level(Some("DEBUG")), Ok(LevelFilter::DEBUG));
        let line = "LOG_LEVEL must be error, warn, info, debug, trace or off, and is \"loud\"";
        assert_eq!(level(Some("loud")).unwrap_err().to_string(), line);
    }
}
