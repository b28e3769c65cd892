//! Step that sends an order to its restaurant.

use lambda_runtime::Error;
use shared::providers::Restaurant;
use shared::workflow::Submission;
use shared::{lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let restaurant = &Restaurant::from_environment()?;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(restaurant.deliver(&task.order, task.trace.as_deref()).await?)
    })
    .await
}
