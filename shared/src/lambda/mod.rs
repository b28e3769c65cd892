//! Entry points of the functions behind the state machine and the queues, and [`Work`], with which every function runs
//! and logs a unit of work.

mod call;
mod queue;
mod task;

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lambda_http::http::StatusCode;
use tracing::Instrument;

use crate::calls::{self, Calls};
use crate::telemetry;

pub use call::serve_calls;
pub use queue::{MessageError, handle_batch, serve_queue};
pub use task::{TaskError, serve_task, take_step};

/// A unit of work, as its log line identifies it: a request, a step of the state machine, or a message of a queue.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Name of the function.
    pub function: &'static str,
    /// Id of the request or of the invocation.
    pub request_id: Option<String>,
    /// Id of the message.
    pub message_id: Option<String>,
    /// Method and route of the request.
    pub route: Option<String>,
}

/// Result of a unit of work, as its log line shows it.
pub(crate) trait Logged {
    /// The result after a panic.
    fn panicked() -> Self;

    /// Cause of a failure that is ours to look into; none for a success, and for a mistake of the client.
    fn failure(&self) -> Option<&(dyn Error + 'static)>;

    /// Status of the HTTP response.
    fn status(&self) -> Option<StatusCode> {
        None
    }
}

impl Work {
    /// Does the work in a span of its own, catches a panic, and logs one line with the time and the calls that it took.
    pub async fn run<R: Logged>(self, work: impl Future<Output = R>) -> R {
        let Self { function, request_id, message_id, route } = self;
        let started = Instant::now();
        let span = telemetry::span(function);
        // Boxed, because the nested futures would exceed the compiler's depth limit.
        let work = AssertUnwindSafe(Box::pin(work).instrument(span.clone()));
        // The panic hook has logged the panic's own message.
        let (done, Calls { aws, provider }) = calls::counted(work.catch_unwind()).await;
        let done = done.unwrap_or_else(|_| R::panicked());

        let _entered = span.enter();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let duration_ms = ms(started.elapsed());
        let (aws_calls, aws_ms) = (aws.calls, ms(aws.time));
        let (provider_calls, provider_ms) = (provider.calls, ms(provider.time));
        let status = done.status().map(|status| status.as_u16());
        match done.failure().map(telemetry::describe) {
            None => tracing::info!(
                function,
                request_id,
                message_id,
                route,
                status,
                duration_ms,
                aws_calls,
                aws_ms,
                provider_calls,
                provider_ms,
                "done"
            ),
            Some(error) => tracing::error!(
                function,
                request_id,
                message_id,
                route,
                status,
                duration_ms,
                aws_calls,
                aws_ms,
                provider_calls,
                provider_ms,
                error,
                "failed"
            ),
        }
        done
    }
}
