//! The local stack: an emulated AWS (MiniStack) on this machine, and the real `sam deploy` of the real template to it.
//!
//! `make dev` and the end-to-end tests both stand on this crate. It expects what the Makefile has put in place: the
//! tools in `.tools/` and the host builds of the functions in `target/local/`.

mod deploy;
mod emulator;
mod group;
pub mod logs;
pub mod samples;
mod serve;
pub mod sign_in;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use serde::{Deserialize, Serialize};

pub use deploy::deploy;
pub use emulator::{Emulator, Reach};
pub use serve::Server;

/// The region that the emulator plays. It is the one of `samconfig.toml`'s `local`.
pub const REGION: &str = "eu-west-1";

/// The name that `samconfig.toml` gives to the local stack.
pub const STACK: &str = "order-api-local";

/// The web origin that `template.yaml` has by default, and so the local stack.
pub const WEB_ORIGIN: &str = "http://localhost:5173";

/// A deployed stack: where its API, its users and its data are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stack {
    /// Name of the CloudFormation stack.
    pub name: String,
    /// Where the emulator serves the AWS APIs.
    pub endpoint: String,
    /// Where the orders' API is served, with its stage and without a slash at its end.
    pub api_url: String,
    /// Id of the user pool.
    pub user_pool_id: String,
    /// Client of the hosted sign-in, for people.
    pub web_client_id: String,
    /// Client of the token endpoint, for machines.
    pub machine_client_id: String,
    /// Name of the orders' table.
    pub orders_table: String,
    /// Name of the table of idempotency keys.
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
    /// ARN of the topic that tells how orders end.
    pub notifications_topic: String,
}

impl Stack {
    /// The variable by which a stack is handed down to a process.
    const VARIABLE: &str = "ORDER_API_STACK";

    /// The stack that `local run` has handed down to this process.
    pub fn from_environment() -> anyhow::Result<Self> {
        let stack = std::env::var(Self::VARIABLE);
        let stack = stack.with_context(|| format!("{} is not set: start the tests with `make e2e`", Self::VARIABLE))?;
        Ok(serde_json::from_str(&stack)?)
    }

    /// The variable that [`Self::from_environment`] reads, and its value.
    pub fn to_environment(&self) -> anyhow::Result<(&'static str, String)> {
        Ok((Self::VARIABLE, serde_json::to_string(self)?))
    }

    /// The stack that `local dev` runs on that port of the emulator's.
    pub fn running(port: u16) -> anyhow::Result<Self> {
        let stack = std::fs::read(StackFile::path(port))
            .with_context(|| format!("no system runs on port {port}: start one with `make dev`"))?;
        Ok(serde_json::from_slice(&stack)?)
    }

    /// The emulator's own folder, with its log in `emulator.log`. It goes when the emulator ends.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        emulator::scratch(&self.endpoint)
    }

    /// What AWS clients of the emulator start from.
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

/// The file from which other processes read which stack runs on a port. It goes when the system stops.
pub struct StackFile(PathBuf);

impl StackFile {
    /// Says that this stack runs on that port.
    pub fn write(port: u16, stack: &Stack) -> anyhow::Result<Self> {
        let file = Self(Self::path(port));
        std::fs::write(&file.0, serde_json::to_vec(stack)?)?;
        Ok(file)
    }

    fn path(port: u16) -> PathBuf {
        staging().join(format!("stack-{port}.json"))
    }
}

impl Drop for StackFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What HTTP clients of the stack start from. reqwest is built without a TLS provider of its own (see
/// `shared::providers`), and no client can be made before one is installed.
pub fn http() -> reqwest::ClientBuilder {
    shared::providers::install_tls();
    reqwest::Client::builder()
}

/// The checkout's own folder.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder from which the template is deployed locally. Within it stand a copy of the template, byte for byte,
/// and host builds of the functions under the paths that the template gives: so no host build ever stands where the
/// arm64 build for AWS belongs.
#[must_use]
pub fn staging() -> PathBuf {
    root().join("target/local")
}

/// What a process must know to see the emulator at `endpoint` and nothing of the user's AWS account.
fn aws_environment(endpoint: &str) -> [(&'static str, &str); 8] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("NO_PROXY", "localhost,127.0.0.1"),
    ]
}

/// A command in that environment.
fn command_for(endpoint: &str, program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(aws_environment(endpoint));
    command
}
