//! Poller of the orders queue: starts an execution of the state machine for each submitted order.

use aws_lambda_events::sqs::SqsMessage;
use lambda_runtime::Error;
use shared::aws::{self, Queue, StateMachine};
use shared::lambda::{self, MessageError};
use shared::order::Timestamp;
use shared::store::is_too_old;
use shared::telemetry;
use shared::workflow::Submission;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let state_machine = &StateMachine::from_environment(&sdk)?;
    let dead_letters = &Queue::dead_letters_from_environment(&sdk)?;
    state_machine.connect().await;
    lambda::serve_queue(env!("CARGO_PKG_NAME"), dead_letters, |message| start_order(state_machine, message)).await
}

async fn start_order(state_machine: &StateMachine, mut message: SqsMessage) -> Result<(), MessageError> {
    let input = message.body.unwrap_or_default();
    let id = Submission::parse(&input)?.order.id();
    if is_too_old(id, Timestamp::now()) {
        return Err(MessageError::Unusable("the order is too old to be saved".into()));
    }
    state_machine.start(id, &input, message.attributes.remove("AWSTraceHeader")).await?;
    Ok(())
}
