//! The last step: records how an order has ended, once, and tells it.

use lambda_runtime::Error;
use shared::config::{self, Config};
use shared::order::Timestamp;
use shared::store::Orders;
use shared::workflow::{self, Completion, TaskError, Topic};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let sdk = aws::sdk_config().await;
    let orders = &Orders::new(&sdk, &config.tables);
    let topic = &Topic::new(&sdk, config::required("TOPIC_ARN", "the ARN of a topic")?);
    workflow::serve_task(env!("CARGO_PKG_NAME"), |task| complete_order(orders, topic, task)).await
}

async fn complete_order(orders: &Orders, topic: &Topic, task: Completion) -> Result<(), TaskError> {
    let now = Timestamp::now();
    if task.outcome.is_refund_failed() {
        telemetry::refund_failed();
    }
    if let Some(order) = orders.complete(&task.order.key(), &task.outcome, now).await? {
        topic.publish(&order).await.map_err(TaskError::Retryable)?;
    }
    Ok(())
}
