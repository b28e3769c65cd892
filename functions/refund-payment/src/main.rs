//! Step that refunds the payment of an order, and keeps any later payment from being taken.

use lambda_runtime::Error;
use shared::providers::PaymentProvider;
use shared::store::Orders;
use shared::{aws, lambda, steps, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let payment = &PaymentProvider::from_environment(&sdk).await?;
    orders.connect().await;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task| async move {
        steps::refund(orders, payment, task.order.key(), task.trace.as_deref()).await
    })
    .await
}
