//! Ends the order of an execution that has ended otherwise than it should, and gives back what was paid for it.

use lambda_runtime::Error;
use shared::config::{self, Config, ProviderConfig};
use shared::providers::Provider;
use shared::store::Orders;
use shared::workflow::{self, StatusChange, Topic};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let sdk = aws::sdk_config().await;
    let orders = &Orders::new(&sdk, &config.tables);
    let payment = &Provider::new(&ProviderConfig::from_environment("PAYMENT")?)?;
    let topic = &Topic::new(&sdk, config::required("TOPIC_ARN", "the ARN of a topic")?);
    workflow::serve_queue(env!("CARGO_PKG_NAME"), |message| async move {
        workflow::recover(orders, payment, topic, &StatusChange::parse(&message)?).await
    })
    .await
}
