//! The poller: starts an execution of the state machine for each order in the queue.

use lambda_runtime::Error;
use shared::config::{self, Config};
use shared::workflow::{self, StateMachine};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let sdk = aws::sdk_config().await;
    let state_machine = &StateMachine::new(&sdk, config::required("STATE_MACHINE_ARN", "the ARN of a state machine")?);
    workflow::serve_queue(env!("CARGO_PKG_NAME"), |message| async move { state_machine.start(&message).await }).await
}
