//! Poller of the orders queue: starts an execution of the state machine for each submitted order.

use aws_lambda_events::sqs::SqsMessage;
use lambda_runtime::Error;
use shared::aws::{self, StateMachine};
use shared::workflow::Submission;
use shared::{lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let state_machine = &StateMachine::from_environment(&aws::sdk_config().await)?;
    lambda::serve_queue(env!("CARGO_PKG_NAME"), |message| start_order(state_machine, message)).await
}

async fn start_order(state_machine: &StateMachine, mut message: SqsMessage) -> Result<(), Error> {
    let input = message.body.unwrap_or_default();
    let id = Submission::parse(&input)?.order.id;
    state_machine.start(id, &input, message.attributes.remove("AWSTraceHeader")).await?;
    Ok(())
}
