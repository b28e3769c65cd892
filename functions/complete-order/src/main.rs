//! Last step of the state machine: makes an order final, and publishes it.

use lambda_runtime::Error;
use shared::aws::{self, Topic};
use shared::store::Orders;
use shared::{lambda, steps, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let topic = &Topic::from_environment(&sdk)?;
    tokio::join!(orders.connect(), topic.connect());
    lambda::serve_task(
        env!("CARGO_PKG_NAME"),
        |task| async move { steps::complete(orders, topic, task.order.key()).await },
    )
    .await
}
