//! Runs on a schedule: finds the orders that nothing takes to their end any more, and recovers them.

use lambda_runtime::Error;
use serde_json::Value;
use shared::aws;
use shared::recovery::Sweep;
use shared::{lambda, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let sweep = &Sweep::from_environment(&sdk).await?;
    sweep.connect().await;
    lambda::serve_calls(env!("CARGO_PKG_NAME"), |_: Value| sweep.run()).await
}
