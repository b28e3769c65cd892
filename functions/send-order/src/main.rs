//! Step that sends an order to its restaurant.

use lambda_runtime::Error;
use shared::providers::Restaurant;
use shared::steps::{self, DeliveryLimit};
use shared::store::Orders;
use shared::{aws, lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let restaurant = &Restaurant::from_environment(&sdk).await?;
    let limit = DeliveryLimit::from_environment()?;
    orders.connect().await;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| async move {
        steps::deliver(orders, restaurant, limit, task.order.key(), task.trace.as_deref()).await
    })
    .await
}
