use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;

use super::{Error, Ping, opened, ping_once};
use crate::environment::{self, EnvironmentError};
use crate::order::{OrderId, Timestamp};

/// Length of X-Ray's header at most (`StartExecution`, Step Functions API Reference).
const MAX_TRACE_LENGTH: usize = 256;

/// Ends of an execution that leave its order to the recovery.
const FAILED: [ExecutionStatus; 3] = [ExecutionStatus::Failed, ExecutionStatus::TimedOut, ExecutionStatus::Aborted];

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

    /// Opens a connection to Step Functions. Needs no right.
    pub async fn connect(&self) {
        let once = aws_sdk_sfn::Config::builder().retry_config(ping_once());
        opened(self.client.start_execution().customize().interceptor(Ping).config_override(once).send()).await;
    }

    /// Starts the order's execution with that input, byte for byte. The execution's name is the order's id, so starting
    /// it again is a no-op. Needs `states:StartExecution`.
    pub async fn start(&self, id: OrderId, input: &str, trace: Option<String>) -> Result<(), Error> {
        let start = self.client.start_execution().state_machine_arn(&self.arn).name(id.to_string()).input(input);
        // A client may send a longer header than StartExecution takes. The order must not fail for it.
        let trace = trace.filter(|trace| trace.len() <= MAX_TRACE_LENGTH);
        match start.set_trace_header(trace).send().await {
            Ok(_) => Ok(()),
            // AWS answers so once the first execution has ended; while that runs, it answers 200.
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns true if the order's execution is running. One that Step Functions has forgotten is not. Needs
    /// `states:DescribeExecution`.
    pub async fn is_running(&self, id: OrderId) -> Result<bool, Error> {
        let execution_arn = format!("{}:{id}", self.arn.replacen(":stateMachine:", ":execution:", 1));
        match self.client.describe_execution().execution_arn(execution_arn).send().await {
            Ok(described) => Ok(described.status == ExecutionStatus::Running),
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Input of an execution; none if AWS has left it out. Needs `states:DescribeExecution`.
    pub async fn input(&self, execution_arn: &str) -> Result<Option<String>, Error> {
        Ok(self.client.describe_execution().execution_arn(execution_arn).send().await?.input)
    }

    /// ARNs of the executions that started after that instant and failed, timed out or were stopped. Needs
    /// `states:ListExecutions`.
    pub async fn failed_executions(&self, after: Timestamp) -> Result<Vec<String>, Error> {
        let mut failed = Vec::new();
        for status in FAILED {
            let list = self.client.list_executions().state_machine_arn(&self.arn).status_filter(status);
            let mut executions = list.into_paginator().items().send();
            // The newest come first.
            while let Some(execution) = executions.next().await.transpose()? {
                if execution.start_date.secs() < after.epoch_seconds() {
                    break;
                }
                failed.push(execution.execution_arn);
            }
        }
        Ok(failed)
    }
}
