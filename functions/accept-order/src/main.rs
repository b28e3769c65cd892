//! Step after the grace period: accepts an order. Until its end is published, it can't be changed or deleted.

use lambda_runtime::Error;
use shared::store::Orders;
use shared::{aws, lambda, steps, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let orders = &Orders::from_environment(&aws::sdk_config()?)?;
    orders.connect().await;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| async move { steps::accept(orders, task.order.key()).await })
        .await
}
