//! Deployment of the template.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::environment::{architecture, command_for, root, staging};
use crate::{REGION, Stack, gate};

/// Deploys the template as stack `name` to the emulator at `endpoint` by `sam deploy --config-env local`. `parameters`
/// (`Name=value`) are added to those in `samconfig.toml`, and to this machine's architecture: the emulator runs the
/// functions as processes of this machine. The gate of the emulator, if it has one, enforces the stack's policies.
pub async fn deploy(endpoint: &str, name: &str, parameters: &[&str]) -> anyhow::Result<Stack> {
    for file in ["template.yaml", "samconfig.toml", "statemachine/order.asl.json"] {
        stage(file).await.with_context(|| format!("staging {file}"))?;
    }
    let overrides = configured_parameters().await?;
    let architecture = format!("Architecture={}", architecture());
    let overrides = overrides.iter().map(String::as_str).chain([&*architecture]).chain(parameters.iter().copied());
    let command = ["deploy", "--config-env", "local", "--stack-name", name, "--parameter-overrides"];
    sam(endpoint, &command.into_iter().chain(overrides).collect::<Vec<_>>()).await?;
    let stack = Stack::read(name, REGION, Some(endpoint)).await?;
    gate::admit(&stack).await?;
    Ok(stack)
}

/// Copies a file of the checkout to the staging folder atomically, because another deployment may be reading it there.
async fn stage(file: &str) -> anyhow::Result<()> {
    static COPIES: AtomicU32 = AtomicU32::new(0);
    let copy = format!("{file}.{}.{}", std::process::id(), COPIES.fetch_add(1, Ordering::Relaxed));
    let staging = staging()?;
    if let Some(folder) = staging.join(file).parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::copy(root()?.join(file), staging.join(&copy)).await?;
    Ok(tokio::fs::rename(staging.join(copy), staging.join(file)).await?)
}

/// The parameters in `samconfig.toml` for `local`. They are repeated on the command line, which replaces all of them.
async fn configured_parameters() -> anyhow::Result<Vec<String>> {
    let config: toml::Table = tokio::fs::read_to_string(root()?.join("samconfig.toml")).await?.parse()?;
    let parameters = config["local"]["deploy"]["parameters"]["parameter_overrides"].clone();
    parameters.try_into().context("parameter_overrides in samconfig.toml")
}

async fn sam(endpoint: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let sam = root()?.join(".tools/aws/bin/sam");
    let ran = Command::from(command_for(endpoint, &sam))
        .args(arguments)
        .current_dir(staging()?)
        .env("SAM_CLI_POLL_DELAY", "0.5")
        .env("SAM_CLI_TELEMETRY", "0")
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} does not start: run `make tools`", sam.display()))?;
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "sam {} failed:\n{out}\n{err}", arguments.join(" "));
    Ok(())
}
