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

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};

pub use deploy::deploy;
pub use emulator::{Emulator, Reach};
pub use serve::Server;

/// The region that the emulator plays. It is the one of `samconfig.toml`'s `local`.
pub const REGION: &str = "eu-west-1";

/// The name that `samconfig.toml` gives to the local stack.
pub const STACK: &str = "order-api-local";

/// A deployed stack: where its API and its data are.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Name of the CloudFormation stack.
    pub name: String,
    /// Where the emulator serves the AWS APIs.
    pub endpoint: String,
    /// Where the orders' API is served, with its stage and without a slash at its end.
    pub api_url: String,
    /// Name of the orders' table.
    pub orders_table: String,
    /// Name of the table of idempotency keys.
    pub idempotency_table: String,
}

impl Stack {
    /// The stack that `local run` has handed down to this process.
    pub fn from_environment() -> anyhow::Result<Self> {
        let variable =
            |name| std::env::var(name).with_context(|| format!("{name} is not set: start the tests with `make e2e`"));
        Ok(Self {
            name: variable("ORDER_API_STACK")?,
            endpoint: variable("ORDER_API_ENDPOINT")?,
            api_url: variable("ORDER_API_URL")?,
            orders_table: variable("ORDER_API_ORDERS_TABLE")?,
            idempotency_table: variable("ORDER_API_IDEMPOTENCY_TABLE")?,
        })
    }

    /// The variables that [`Self::from_environment`] reads.
    #[must_use]
    pub fn to_environment(&self) -> [(&'static str, &str); 5] {
        [
            ("ORDER_API_STACK", &self.name),
            ("ORDER_API_ENDPOINT", &self.endpoint),
            ("ORDER_API_URL", &self.api_url),
            ("ORDER_API_ORDERS_TABLE", &self.orders_table),
            ("ORDER_API_IDEMPOTENCY_TABLE", &self.idempotency_table),
        ]
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
