use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use lambda_runtime::{LambdaEvent, service_fn};

use super::{Logged, Work};
use crate::Cause;

/// Time reserved before the function's deadline; messages that are unfinished by then are returned to the queue.
const MARGIN: Duration = Duration::from_secs(1);

impl Logged for Result<(), Cause> {
    fn panicked() -> Self {
        Err("panicked".into())
    }

    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Ok(()) => None,
            Err(cause) => Some(cause.as_ref()),
        }
    }
}

/// Handles the messages of a queue with `handler` until Lambda ends the function. `function` is its name in the log.
///
/// The messages of a batch are handled at the same time, so a slow one delays no other. A message that fails, panics or
/// takes too long is returned to the queue, and only that one.
pub async fn serve_queue<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(SqsMessage) -> F,
    F: Future<Output = Result<(), Cause>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        // `cargo lambda watch` sends a deadline in 1970, which means none.
        let left = event.context.deadline().duration_since(SystemTime::now());
        let time = left.map_or(Duration::MAX, |left| left.saturating_sub(MARGIN));
        Ok::<_, lambda_runtime::Error>(handle_batch(function, handler, event.payload, time).await)
    }))
    .await
}

async fn handle_batch<H, F>(function: &'static str, handler: &H, batch: SqsEvent, time: Duration) -> SqsBatchResponse
where
    H: Fn(SqsMessage) -> F,
    F: Future<Output = Result<(), Cause>>,
{
    let works = batch.records.into_iter().map(async |message| {
        let message_id = message.message_id.clone();
        let work = Work { function, message_id: message_id.clone(), ..Work::default() };
        let done = work.run(async { tokio::time::timeout(time, handler(message)).await? }).await;
        done.err().map(|_| message_id.unwrap_or_default())
    });
    let mut answer = SqsBatchResponse::default();
    join_all(works).await.into_iter().flatten().for_each(|message_id| answer.add_failure(message_id));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let handler = |message: SqsMessage| async move {
            match message.body.as_deref() {
                Some("bad") => Err("bad".into()),
                Some("worse") => panic!("worse"),
                Some("endless") => std::future::pending().await,
                Some("slow") => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        let bodies = ["slow", "bad", "slow", "worse", "slow", "endless", "slow", "slow", "slow", "slow"];
        let started = tokio::time::Instant::now();
        let answer = handle_batch("test", &handler, batch(&bodies), Duration::from_secs(5)).await;
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["1", "3", "5"]);
        // The paused clock advances by the longest wait, not by the sum of all.
        assert!(started.elapsed().as_millis() < 5100, "no message waits for another");
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_fails_its_own_message_only() {
        let handler = |message: SqsMessage| {
            assert_ne!(message.body.as_deref(), Some("worse"));
            std::future::ready(Ok(()))
        };
        let answer = handle_batch("test", &handler, batch(&["good", "worse", "good"]), Duration::from_secs(5)).await;
        assert_eq!(answer.batch_item_failures.len(), 1);
    }
}
