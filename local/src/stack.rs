//! A deployed stack, and the ways to hand it to other processes.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use serde::{Deserialize, Serialize};

use crate::environment::staging;
use crate::{REGION, emulator};

/// A deployed stack: its API, its users, its data and its logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stack {
    /// Name of the CloudFormation stack.
    pub name: String,
    /// URL of the emulator's AWS APIs.
    pub endpoint: String,
    /// URL of the Order API, with its stage and without a slash at the end.
    pub api_url: String,
    /// Id of the user pool.
    pub user_pool_id: String,
    /// Client of the hosted sign-in, for people.
    pub web_client_id: String,
    /// URL at which the emulator serves the distribution of the web UI, without a slash at the end.
    pub web_url: String,
    /// Client of the token endpoint, for machines.
    pub machine_client_id: String,
    /// Price of one unit of any order, in minor units of the currency.
    pub unit_price: u64,
    /// Currency of all prices.
    pub currency: String,
    /// Name of the orders table.
    pub orders_table: String,
    /// Name of the table of idempotency records.
    pub idempotency_table: String,
    /// URL of the queue of submitted orders.
    pub orders_queue: String,
    /// URL of its dead-letter queue.
    pub orders_dead_letter_queue: String,
    /// URL of the queue of failed executions.
    pub recovery_queue: String,
    /// URL of its dead-letter queue.
    pub recovery_dead_letter_queue: String,
    /// ARN of the state machine.
    pub state_machine: String,
    /// ARN of the topic to which final orders are published.
    pub notifications_topic: String,
    /// Alias of the function that settles orders that have not been settled in time.
    pub sweep_function: String,
    /// Alias of the function that closes a refund made by hand.
    pub settle_function: String,
    /// Name of the functions' log group.
    pub function_logs: String,
}

impl Stack {
    /// The environment variable that hands a stack down to a child process.
    const VARIABLE: &str = "ORDER_API_STACK";

    /// Returns the stack that `local run` has handed down to this process.
    pub fn from_environment() -> anyhow::Result<Self> {
        let stack = std::env::var(Self::VARIABLE);
        let stack = stack.with_context(|| format!("{} is not set: start the tests with `make e2e`", Self::VARIABLE))?;
        Ok(serde_json::from_str(&stack)?)
    }

    /// Name and value of the variable that [`Self::from_environment`] reads.
    pub fn to_environment(&self) -> anyhow::Result<(&'static str, String)> {
        Ok((Self::VARIABLE, serde_json::to_string(self)?))
    }

    /// Returns the stack that `local dev` runs on this port of the emulator.
    pub fn running(port: u16) -> anyhow::Result<Self> {
        let absent = || format!("no system runs on port {port}: start one with `make dev`");
        let stack = std::fs::read(StackFile::path(port)?).with_context(absent)?;
        // The file is still there if the system was killed.
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(absent)?;
        Ok(serde_json::from_slice(&stack)?)
    }

    /// The emulator's own folder, with its log in `emulator.log`. It is removed when the emulator ends.
    pub fn scratch(&self) -> anyhow::Result<PathBuf> {
        emulator::scratch(&self.endpoint)
    }

    /// Configuration of AWS clients of the emulator.
    pub async fn sdk_config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(shared::aws::http_client())
            .endpoint_url(&self.endpoint)
            .region(Region::new(REGION))
            .test_credentials()
            .load()
            .await
    }
}

/// The file that names the stack on a port for other processes. It is removed when the system stops.
pub struct StackFile(PathBuf);

impl StackFile {
    /// Records that this stack runs on this port.
    pub fn write(port: u16, stack: &Stack) -> anyhow::Result<Self> {
        let file = Self(Self::path(port)?);
        std::fs::write(&file.0, serde_json::to_vec(stack)?)?;
        Ok(file)
    }

    fn path(port: u16) -> anyhow::Result<PathBuf> {
        Ok(staging()?.join(format!("stack-{port}.json")))
    }
}

impl Drop for StackFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
