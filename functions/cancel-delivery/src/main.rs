//! Step that cancels the delivery of an order, and keeps any later delivery from being accepted.

use lambda_runtime::Error;
use shared::providers::Restaurant;
use shared::store::Orders;
use shared::{aws, lambda, steps, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let restaurant = &Restaurant::from_environment(&sdk).await?;
    orders.connect().await;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| async move {
        steps::cancel(orders, restaurant, task.order.key(), task.trace.as_deref()).await
    })
    .await
}
