//! Folders, environment variables and HTTP clients for work with the emulator.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::REGION;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder from which the template is deployed locally.
///
/// It holds a copy of the template, byte for byte, and the functions' builds for this machine under the paths that the
/// template names. They stay out of `target/lambda/`, where the arm64 builds for AWS belong.
#[must_use]
pub fn staging() -> PathBuf {
    root().join("target/local")
}

/// The sample event of a function.
#[must_use]
pub fn sample_event(function: &str) -> PathBuf {
    root().join("events").join(function).with_extension("json")
}

/// Environment of a process that works with the emulator at `endpoint` and must not see the user's AWS account.
pub(crate) fn aws_environment(endpoint: &str) -> [(&'static str, &str); 8] {
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

/// A command with [`aws_environment`] and no other AWS variable.
pub(crate) fn command_for(endpoint: &str, program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(aws_environment(endpoint));
    command
}

/// Builder of HTTP clients. reqwest is built without a TLS provider, so one must be installed before the first client.
pub fn http() -> reqwest::ClientBuilder {
    shared::aws::install_tls();
    reqwest::Client::builder()
}
