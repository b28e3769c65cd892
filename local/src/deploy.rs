//! The deployment of the template.

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::{REGION, Stack, aws_environment, root, staging};

/// Deploys the template as stack `name` to the emulator at `endpoint`, by `sam deploy --config-env local`.
pub async fn deploy(endpoint: &str, name: &str) -> anyhow::Result<Stack> {
    for file in ["template.yaml", "samconfig.toml"] {
        tokio::fs::copy(root().join(file), staging().join(file)).await?;
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
        orders_table: output("OrdersTableName")?,
    })
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
    let ran = Command::new(&sam)
        .args(arguments)
        .current_dir(staging())
        .envs(aws_environment(endpoint))
        .env("SAM_CLI_POLL_DELAY", "1")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} does not start: run `make tools`", sam.display()))?;
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "sam {} failed:\n{out}\n{err}", arguments.join(" "));
    Ok(out.into_owned())
}
