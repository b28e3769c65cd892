//! Step after the grace period: accepts an order. Until it is final, it can't be changed or deleted.

use lambda_runtime::Error;
use shared::order::Timestamp;
use shared::store::Orders;
use shared::workflow::Submission;
use shared::{aws, lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let orders = &Orders::from_environment(&aws::sdk_config().await)?;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(orders.accept(&task.order.key(), Timestamp::now()).await?)
    })
    .await
}
