//! Takes the payment of an order.

use lambda_runtime::Error;
use shared::config::{Config, ProviderConfig};
use shared::providers::Provider;
use shared::telemetry;
use shared::workflow::{self, Submission};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init(Config::from_environment()?.log_level);
    let provider = &Provider::new(&ProviderConfig::from_environment("PAYMENT")?)?;
    workflow::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(provider.charge(&task.order, task.trace.as_deref()).await?)
    })
    .await
}
