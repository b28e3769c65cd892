use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::error::Elapsed;

use super::{Logged, Work};
use crate::Cause;
use crate::aws::{self, Queue};

/// Time reserved before the function's deadline; messages that are unfinished by then are returned to the queue.
const MARGIN: Duration = Duration::from_secs(1);

/// Reason why a message was not handled.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The message may be handled later: it stays in the queue.
    #[error("{0}")]
    Retryable(Cause),
    /// The message can't be handled: it goes to the dead-letter queue at once.
    #[error("{0}")]
    Unusable(Cause),
}

impl From<serde_json::Error> for MessageError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unusable(error.into())
    }
}

impl From<aws::Error> for MessageError {
    fn from(error: aws::Error) -> Self {
        Self::Retryable(error.into())
    }
}

impl Logged for Result<(), MessageError> {
    fn panicked() -> Self {
        Err(MessageError::Retryable("panicked".into()))
    }

    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Ok(()) => None,
            Err(MessageError::Retryable(cause) | MessageError::Unusable(cause)) => Some(cause.as_ref()),
        }
    }
}

/// Handles the messages of a queue with `handler` until Lambda ends the function. `function` is its name in the log.
///
/// The messages of a batch are handled at the same time, so a slow one delays no other. A message that fails, panics or
/// takes too long is returned to the queue, and only that one. An unusable message goes to `dead_letters`.
pub async fn serve_queue<H, F>(
    function: &'static str,
    dead_letters: &Queue,
    handler: H,
) -> Result<(), lambda_runtime::Error>
where
    H: Fn(SqsMessage) -> F,
    F: Future<Output = Result<(), MessageError>>,
{
    let handler = &async |message: SqsMessage| {
        let body = message.body.clone().unwrap_or_default();
        let done = handler(message).await;
        if let Err(MessageError::Unusable(_)) = &done {
            dead_letters.send(&body, None).await?;
        }
        done
    };
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        // `cargo lambda watch` sends a deadline in 1970, which means none.
        let left = event.context.deadline().duration_since(SystemTime::now());
        let time = left.map_or(Duration::MAX, |left| left.saturating_sub(MARGIN));
        Ok::<_, lambda_runtime::Error>(handle_batch(function, handler, event.payload, time).await)
    }))
    .await
}

/// Handles one batch with `handler`, each message within that time: what [`serve_queue`] does with each batch, except for
/// the sending of unusable messages. Returns the messages that stay in the queue.
pub async fn handle_batch<H>(function: &'static str, handler: &H, batch: SqsEvent, time: Duration) -> SqsBatchResponse
where
    H: AsyncFn(SqsMessage) -> Result<(), MessageError>,
{
    let works = batch.records.into_iter().map(async |message| {
        let message_id = message.message_id.clone();
        let work = Work { function, message_id: message_id.clone(), ..Work::default() };
        let late = |error: Elapsed| MessageError::Retryable(error.into());
        let done = work.run(async { tokio::time::timeout(time, handler(message)).await.map_err(late)? }).await;
        match done {
            // The dead-letter queue has the unusable message by now.
            Ok(()) | Err(MessageError::Unusable(_)) => None,
            Err(MessageError::Retryable(_)) => Some(message_id.unwrap_or_default()),
        }
    });
    let mut answer = SqsBatchResponse::default();
    join_all(works).await.into_iter().flatten().for_each(|message_id| answer.add_failure(message_id));
    answer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::calls::{self, Callee};
    use crate::telemetry;

    fn batch(bodies: &[&str]) -> SqsEvent {
        let messages = bodies.iter().enumerate().map(|(n, body)| {
            let mut message = SqsMessage::default();
            message.message_id = Some(n.to_string());
            message.body = Some((*body).to_owned());
            message
        });
        let mut event = SqsEvent::default();
        event.records = messages.collect();
        event
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_a_panic_or_a_slow_message_holds_back_no_other_of_the_batch() {
        let handler = async |message: SqsMessage| match message.body.as_deref() {
            Some("bad") => Err(MessageError::Retryable("bad".into())),
            Some("unusable") => Err(MessageError::Unusable("unusable".into())),
            Some("worse") => panic!("worse"),
            Some("endless") => std::future::pending().await,
            Some("slow") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
            _ => Ok(()),
        };
        let bodies = ["slow", "bad", "slow", "worse", "slow", "endless", "slow", "unusable", "slow", "slow"];
        let started = tokio::time::Instant::now();
        let answer = handle_batch("test", &handler, batch(&bodies), Duration::from_secs(5)).await;
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["1", "3", "5"]);
        // The paused clock advances by the longest wait, not by the sum of all.
        assert!(started.elapsed().as_millis() < 5100, "no message waits for another");
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_of_each_message_of_a_batch_has_its_own_calls() {
        let handler = async |message: SqsMessage| {
            let call = async |callee, ms| calls::timed(callee, tokio::time::sleep(Duration::from_millis(ms))).await;
            match message.body.as_deref() {
                Some("none") => return Ok(()),
                Some("endless") => call(Callee::Provider, 60_000).await,
                _ => {}
            }
            call(Callee::Aws, 10).await;
            call(Callee::Aws, 10).await;
            panic!("on purpose")
        };
        let bodies = ["none", "two", "endless"];
        let lines = telemetry::logged(async || {
            handle_batch("test", &handler, batch(&bodies), Duration::from_secs(5)).await;
        });
        let lines = lines.await;
        let calls_of = |message_id: &str| {
            let line = lines.iter().find(|line| line["message_id"] == message_id).unwrap();
            ["aws_calls", "aws_ms", "provider_calls", "provider_ms"].map(|field| line[field].clone())
        };
        assert_eq!(json!(calls_of("0")), json!([0, 0.0, 0, 0.0]));
        assert_eq!(json!(calls_of("1")), json!([2, 20.0, 0, 0.0]));
        assert_eq!(json!(calls_of("2")), json!([0, 0.0, 1, 5000.0]));
    }
}
