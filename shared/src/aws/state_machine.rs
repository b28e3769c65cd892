use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;

use super::Error;
use crate::environment::{self, EnvironmentError};
use crate::order::OrderId;

/// State machine of submitted orders, in Step Functions.
#[derive(Debug, Clone)]
pub struct StateMachine {
    client: Client,
    arn: String,
}

impl StateMachine {
    /// The function's state machine.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `STATE_MACHINE_ARN` | ARN of the state machine |
    pub fn from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("STATE_MACHINE_ARN", "the ARN of a state machine")?))
    }

    /// The state machine of that ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), arn: arn.into() }
    }

    /// Starts the order's execution with that input, byte for byte. The execution's name is the order's id, so starting
    /// it again is a no-op. Needs `states:StartExecution`.
    pub async fn start(&self, id: OrderId, input: &str, trace: Option<String>) -> Result<(), Error> {
        let start = self.client.start_execution().state_machine_arn(&self.arn).name(id.to_string()).input(input);
        match start.set_trace_header(trace).send().await {
            Ok(_) => Ok(()),
            // AWS answers so once the first execution has ended; while that runs, it answers 200.
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
