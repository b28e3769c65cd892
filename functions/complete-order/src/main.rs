//! Last step of the state machine: records the end of an order, once, and publishes it.

use lambda_runtime::Error;
use shared::aws::{self, Topic};
use shared::lambda::{self, TaskError};
use shared::order::Timestamp;
use shared::store::{IdempotencyRecords, Orders};
use shared::telemetry;
use shared::workflow::Completion;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config().await;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    let topic = &Topic::from_environment(&sdk)?;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| complete_order(orders, records, topic, task)).await
}

async fn complete_order(
    orders: &Orders,
    records: &IdempotencyRecords,
    topic: &Topic,
    task: Completion,
) -> Result<(), TaskError> {
    if task.outcome.is_refund_failed() {
        telemetry::refund_failed();
    }
    if let Some(order) = orders.complete(records, &task.order.key(), &task.outcome, Timestamp::now()).await? {
        topic.publish(&order).await?;
    }
    Ok(())
}
