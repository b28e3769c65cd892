//! The gate between the functions and the emulator, which refuses what their roles do not allow (`tools/iam/`).
//!
//! The emulator leads its functions to the gate. There, each function has a path of its own, which tells the gate who
//! calls. A function that is not led to its path is refused, so no call passes unseen.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::emulator::{free_port, scratch};
use crate::environment::{command_for, http, root};
use crate::group::Group;
use crate::{Stack, variables};

/// Time that the gate has to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running gate.
#[derive(Debug)]
pub(crate) struct Gate {
    _group: Group,
    url: String,
}

impl Gate {
    /// Starts a gate in front of the emulator at this endpoint, and waits until it listens. It records the calls in
    /// `target/iam/`, for `tools/iam/check.ts`.
    pub(crate) async fn start(endpoint: &str) -> anyhow::Result<Self> {
        let port = free_port(None)?;
        let root = root()?;
        let mut command = command_for(endpoint, &root.join(".tools/aws/bin/node"));
        let record = root.join(format!("target/iam/calls-{port}.json"));
        command.arg(root.join("tools/iam/gate.ts")).args([&port.to_string(), endpoint]).arg(record);
        let mut group = Group::spawn(command).context("the gate does not start: run `make tools`")?;
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(group.exit_status()?.is_none(), "the gate has ended: run `make tools/iam/node_modules`");
            ensure!(Instant::now() < deadline, "the gate does not answer on port {port}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let url = format!("http://127.0.0.1:{port}");
        // Other processes find the gate by this file.
        fs::write(file(&scratch(endpoint)?), &url)?;
        Ok(Self { _group: group, url })
    }

    /// The URL to which the emulator leads its functions. Calls without a path are refused.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn file(scratch: &Path) -> PathBuf {
    scratch.join("gate")
}

/// The URL below which the functions of a stack call AWS, if its emulator has a gate.
pub(crate) fn url_of(stack: &Stack) -> Option<String> {
    let url = fs::read_to_string(file(&stack.scratch().ok()?)).ok()?;
    Some(format!("{url}/{}", stack.name))
}

/// Registers a deployment with the gate, and routes its functions there. Does nothing if the emulator has no gate.
pub(crate) async fn admit(stack: &Stack) -> anyhow::Result<()> {
    let Some(url) = url_of(stack) else { return Ok(()) };
    let cloudformation = aws_sdk_cloudformation::Client::new(&stack.sdk_config().await);
    let described = cloudformation.describe_stacks().stack_name(&stack.name).send().await?;
    let described = described.stacks.unwrap_or_default().into_iter().next().context("the stack is gone")?;
    let parameters = described.parameters.unwrap_or_default().into_iter();
    let parameters: HashMap<_, _> =
        parameters.filter_map(|one| Some((one.parameter_key?, one.parameter_value?))).collect();
    let resources = cloudformation.list_stack_resources().stack_name(&stack.name).into_paginator().items().send();
    let resources = resources.collect::<Result<Vec<_>, _>>().await?.into_iter();
    let resources: HashMap<_, _> =
        resources.filter_map(|one| Some((one.logical_resource_id?, one.physical_resource_id?))).collect();
    let deployment = json!({ "name": stack.name, "parameters": parameters, "resources": resources });
    http().build()?.put(&url).body(deployment.to_string()).send().await?.error_for_status()?;
    variables::route(stack, &url).await
}
