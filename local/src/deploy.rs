//! The deployment of the template.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::{REGION, Stack, command_for, root, staging};

/// Deploys the template as stack `name` to the emulator at `endpoint`, by `sam deploy --config-env local`.
pub async fn deploy(endpoint: &str, name: &str) -> anyhow::Result<Stack> {
    for file in ["template.yaml", "samconfig.toml"] {
        stage(file).await.with_context(|| format!("staging {file}"))?;
    }
    sam(endpoint, &["deploy", "--config-env", "local", "--stack-name", name]).await?;
    let list = ["list", "stack-outputs", "--stack-name", name, "--region", REGION, "--output", "json"];
    let outputs: Vec<Output> = serde_json::from_str(&sam(endpoint, &list).await?).context("the stack's outputs")?;
    let output = |key: &str| {
        let found = outputs.iter().find(|output| output.key == key);
        found.map(|output| output.value.clone()).with_context(|| format!("the stack has no output {key}"))
    };
    // The output's own URL leads to AWS. This is how the emulator serves the same API to every client.
    let stage = output("ApiUrl")?.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Stack {
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        api_url: format!("{endpoint}/_aws/execute-api/{}/{stage}", output("ApiId")?),
        user_pool_id: output("UserPoolId")?,
        web_client_id: output("WebClientId")?,
        machine_client_id: output("MachineClientId")?,
        orders_table: output("OrdersTableName")?,
        idempotency_table: output("IdempotencyTableName")?,
    })
}

/// Copies a file of the checkout to the staging folder, in one step: another deployment may be reading it there.
async fn stage(file: &str) -> std::io::Result<()> {
    static COPIES: AtomicU32 = AtomicU32::new(0);
    let copy = format!("{file}.{}.{}", std::process::id(), COPIES.fetch_add(1, Ordering::Relaxed));
    tokio::fs::copy(root().join(file), staging().join(&copy)).await?;
    tokio::fs::rename(staging().join(copy), staging().join(file)).await
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "OutputKey")]
    key: String,
    #[serde(rename = "OutputValue")]
    value: String,
}

async fn sam(endpoint: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let sam = root().join(".tools/aws/bin/sam");
    let ran = Command::from(command_for(endpoint, &sam))
        .args(arguments)
        .current_dir(staging())
        .env("SAM_CLI_POLL_DELAY", "1")
        .env("SAM_CLI_TELEMETRY", "0")
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} does not start: run `make tools`", sam.display()))?;
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "sam {} failed:\n{out}\n{err}", arguments.join(" "));
    Ok(out.into_owned())
}
