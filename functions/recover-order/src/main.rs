//! Poller of the recovery queue: takes the order of each failed execution to its end.

use aws_lambda_events::sqs::SqsMessage;
use lambda_runtime::Error;
use shared::aws::{self, Queue};
use shared::lambda::{self, MessageError};
use shared::recovery::{Recovery, StatusChange};
use shared::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let recovery = &Recovery::from_environment(&sdk).await?;
    let dead_letters = &Queue::dead_letters_from_environment(&sdk)?;
    recovery.connect().await;
    lambda::serve_queue(env!("CARGO_PKG_NAME"), dead_letters, |message| recover_order(recovery, message)).await
}

async fn recover_order(recovery: &Recovery, message: SqsMessage) -> Result<(), MessageError> {
    let change = StatusChange::parse(message.body.as_deref().unwrap_or_default())?;
    recovery.recover_submission(&change.submission()?).await
}
