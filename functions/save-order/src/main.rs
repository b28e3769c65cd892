//! First step of the state machine: saves a submitted order, once.

use lambda_runtime::Error;
use shared::order::{Step, Timestamp};
use shared::store::{IdempotencyRecords, Orders};
use shared::{aws, lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    orders.connect().await;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| async move {
        orders.save(records, &task.order, Timestamp::now()).await?;
        Ok(Step::Accept)
    })
    .await
}
