//! A deployed stack, on the emulator or on AWS, and the ways to hand it to other processes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use serde::{Deserialize, Serialize};

use crate::emulator;
use crate::environment::{http, internet, staging};

/// A deployed stack: its API, its users, its data and its logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stack {
    /// Name of the CloudFormation stack.
    pub name: String,
    /// AWS region.
    pub region: String,
    /// URL of the emulator's AWS APIs; none if the stack is on AWS.
    pub endpoint: Option<String>,
    /// URL of the Order API, with its stage and without a slash at the end.
    pub api_url: String,
    /// Id of the user pool.
    pub user_pool_id: String,
    /// URL of the hosted sign-in and the token endpoint, without a slash at the end.
    pub sign_in_url: String,
    /// Client of the hosted sign-in, for people.
    pub web_client_id: String,
    /// URL of the distribution of the web UI, without a slash at the end.
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

    /// Returns the stack of that name. It is on AWS and is read with the user's credentials, unless the environment has
    /// `AWS_ENDPOINT_URL`: then it is on the emulator there.
    pub async fn deployed(name: &str, region: &str) -> anyhow::Result<Self> {
        Self::read(name, region, std::env::var("AWS_ENDPOINT_URL").ok().as_deref()).await
    }

    /// Reads the outputs of a stack on the emulator at `endpoint`, or on AWS.
    pub(crate) async fn read(name: &str, region: &str, endpoint: Option<&str>) -> anyhow::Result<Self> {
        let cloudformation = aws_sdk_cloudformation::Client::new(&sdk_config(region, endpoint).await);
        let described = cloudformation.describe_stacks().stack_name(name).send().await;
        let described = described.with_context(|| {
            format!("the stack {name} can't be read in {region}: is it deployed, and are AWS credentials set?")
        })?;
        let stack = described.stacks.unwrap_or_default().into_iter().next();
        let outputs =
            stack.with_context(|| format!("there is no stack {name} in {region}"))?.outputs.unwrap_or_default();
        let outputs: HashMap<_, _> =
            outputs.into_iter().filter_map(|output| Some((output.output_key?, output.output_value?))).collect();
        let output = |key: &str| outputs.get(key).cloned().with_context(|| format!("the stack has no output {key}"));
        let mut stack = Self {
            name: name.to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            api_url: output("ApiUrl")?,
            user_pool_id: output("UserPoolId")?,
            sign_in_url: output("SignInUrl")?,
            web_client_id: output("WebClientId")?,
            web_url: output("WebUrl")?,
            machine_client_id: output("MachineClientId")?,
            unit_price: output("UnitPrice")?.parse().context("the output UnitPrice")?,
            currency: output("Currency")?,
            orders_table: output("OrdersTableName")?,
            idempotency_table: output("IdempotencyTableName")?,
            orders_queue: output("OrdersQueueUrl")?,
            orders_dead_letter_queue: output("OrdersDeadLetterQueueUrl")?,
            recovery_queue: output("RecoveryQueueUrl")?,
            recovery_dead_letter_queue: output("RecoveryDeadLetterQueueUrl")?,
            state_machine: output("StateMachineArn")?,
            notifications_topic: output("NotificationsTopicArn")?,
            sweep_function: output("SweepFunctionName")?,
            settle_function: output("SettleFunctionName")?,
            function_logs: output("FunctionLogGroup")?,
        };
        // These outputs are addresses of AWS. The emulator serves the same under its own.
        if let Some(endpoint) = endpoint {
            let stage = stack.api_url.rsplit('/').next().unwrap_or_default();
            stack.api_url = format!("{endpoint}/_aws/execute-api/{}/{stage}", output("ApiId")?);
            endpoint.clone_into(&mut stack.sign_in_url);
            let (_, port) = endpoint.rsplit_once(':').context("the emulator's URL has no port")?;
            let host = stack.web_url.replace("https://", "").replace(".cloudfront.net", ".cloudfront.localhost");
            stack.web_url = format!("http://{host}:{port}");
        }
        Ok(stack)
    }

    /// URL of the emulator's AWS APIs. Fails if the stack is on AWS.
    pub fn emulator(&self) -> anyhow::Result<&str> {
        self.endpoint.as_deref().with_context(|| format!("the stack {} is not on the emulator", self.name))
    }

    /// The emulator's own folder, with its log in `emulator.log`. It is removed when the emulator ends.
    pub fn scratch(&self) -> anyhow::Result<PathBuf> {
        emulator::scratch(self.emulator()?)
    }

    /// Configuration of AWS clients for the stack.
    pub async fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.region, self.endpoint.as_deref()).await
    }

    /// Builder of HTTP clients for the stack's addresses. The user's proxy is not for those of this machine.
    pub fn http(&self) -> reqwest::ClientBuilder {
        if self.endpoint.is_some() { http() } else { internet() }
    }
}

/// Configuration of AWS clients of the emulator, or of AWS with the user's credentials.
///
/// # Panics
///
/// If this machine has no certificates.
pub async fn sdk_config(region: &str, endpoint: Option<&str>) -> SdkConfig {
    let http_client = shared::aws::http_client().unwrap_or_else(|error| panic!("can't make an HTTP client: {error}"));
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .region(Region::new(region.to_owned()));
    match endpoint {
        Some(endpoint) => config.endpoint_url(endpoint).test_credentials().load().await,
        None => config.load().await,
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
