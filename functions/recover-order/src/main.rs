//! Poller of the recovery queue: ends the order of each failed execution, and refunds its payment.

use aws_lambda_events::sqs::SqsMessage;
use lambda_runtime::Error;
use shared::aws::{self, Topic};
use shared::providers::PaymentProvider;
use shared::recovery::{StatusChange, recover};
use shared::store::{IdempotencyRecords, Orders};
use shared::{lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config().await;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    let payment = &PaymentProvider::from_environment()?;
    let topic = &Topic::from_environment(&sdk)?;
    lambda::serve_queue(env!("CARGO_PKG_NAME"), |message: SqsMessage| async move {
        let change = StatusChange::parse(message.body.as_deref().unwrap_or_default())?;
        recover(orders, records, payment, topic, &change).await
    })
    .await
}
