//! What takes a submitted order along: messages of the queues, and events of the state machine.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use lambda_http::Context;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;
use shared::lambda::{MessageError, TaskError, handle_batch, take_step};
use shared::order::Timestamp;
use shared::recovery::StatusChange;
use shared::store::is_too_old;
use shared::workflow::{StepAnswer, Submission};

use super::{logged, store};

/// Batches of messages, and bodies of one, for both queues. A submission is read as it was written.
pub fn queue_message(data: &[u8]) {
    let batch = serde_json::from_slice(data).unwrap_or_else(|_| {
        let mut message = SqsMessage::default();
        message.message_id = Some("message".into());
        message.body = Some(String::from_utf8_lossy(data).into_owned());
        let mut batch = SqsEvent::default();
        batch.records = vec![message];
        batch
    });
    let start = async |message: SqsMessage| {
        let submission = Submission::parse(&message.body.unwrap_or_default())?;
        is_same(&submission);
        let _ = is_too_old(submission.order.id(), Timestamp::now());
        Ok(())
    };
    let recover = async |message: SqsMessage| {
        let change = StatusChange::parse(&message.body.unwrap_or_default())?;
        is_same(&change.submission()?);
        Ok::<_, MessageError>(())
    };
    let time = Duration::from_mins(1);
    let (failed, _) = logged(handle_batch("fuzz", &start, batch.clone(), time));
    assert!(failed.batch_item_failures.is_empty(), "what can't be parsed is not to be repeated");
    let (failed, _) = logged(handle_batch("fuzz", &recover, batch, time));
    assert!(failed.batch_item_failures.is_empty(), "what can't be parsed is not to be repeated");
}

/// Inputs of a step.
pub fn state_machine_event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The runtime takes nothing but JSON.
    let Ok(raw) = serde_json::from_str::<Box<RawValue>>(text) else { return };
    let handler = async |task: Submission| {
        is_same(&task);
        store::judge(&task.order).await;
        Ok(task.order.next())
    };
    let (step, _) = logged(take_step("fuzz", &handler, LambdaEvent::new(raw, Context::default())));
    match step {
        Ok(StepAnswer { next }) => assert_eq!(next, serde_json::from_str::<Submission>(text).unwrap().order.next()),
        Err(error) => assert!(matches!(error, TaskError::NonRetryable(_)), "{error:?}"),
    }
}

/// Asserts that a submission is read as it was written.
fn is_same(submission: &Submission) {
    // An order has more states than its form shows: a message has an order that was just submitted.
    if let Ok(again) = Submission::parse(&serde_json::to_string(submission).unwrap()) {
        assert_eq!(again, *submission);
    }
}
