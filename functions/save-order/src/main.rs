//! First step of the state machine: saves a submitted order, once.

use lambda_runtime::Error;
use shared::order::Timestamp;
use shared::store::{IdempotencyRecords, Orders};
use shared::workflow::Submission;
use shared::{aws, lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config().await;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(orders.save(records, &task.order, Timestamp::now()).await?)
    })
    .await
}
