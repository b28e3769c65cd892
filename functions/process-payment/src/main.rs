//! Step that takes the payment of an order.

use lambda_runtime::Error;
use shared::providers::PaymentProvider;
use shared::workflow::Submission;
use shared::{lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let provider = &PaymentProvider::from_environment()?;
    lambda::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(provider.charge(&task.order, task.trace.as_deref()).await?)
    })
    .await
}
