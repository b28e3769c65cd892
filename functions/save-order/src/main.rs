//! The state machine's first step: saves a submitted order, once.

use lambda_runtime::Error;
use shared::config::Config;
use shared::order::Timestamp;
use shared::store::Orders;
use shared::workflow::{self, Submission};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let orders = &Orders::new(&aws::sdk_config().await, &config.tables);
    workflow::serve_task(env!("CARGO_PKG_NAME"), |task: Submission| async move {
        Ok(orders.save(&task.order, Timestamp::now()).await?)
    })
    .await
}
