//! Development servers on the local stack's resources: `cargo lambda watch` and `sam local start-api` for the API, Vite
//! for the web UI.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tokio::net::TcpStream;

use crate::environment::{architecture, aws_environment, command_for, root, staging, without_proxy};
use crate::group::Group;
use crate::{Stack, WEB_ORIGIN};

/// Time that Vite has to start.
const WEB_START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running development server.
#[derive(Debug)]
pub struct Server(Group);

impl Server {
    /// Starts `cargo lambda watch`: every route of the API on this port, recompiled after an edit. The routes stand in
    /// the workspace's `Cargo.toml`.
    pub fn watch(stack: &Stack, port: u16) -> anyhow::Result<Self> {
        let variables = aws_environment(stack.emulator()?).into_iter().chain(variables(stack));
        let lines: Vec<_> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        let file = staging()?.join(format!("watch-{port}.env"));
        fs::write(&file, lines.join("\n"))?;

        let root = root()?;
        let mut command = Command::new(root.join(".tools/aws/bin/cargo-lambda"));
        command.args(["lambda", "watch", "--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        command.arg("--env-file").arg(file).envs(without_proxy()).current_dir(root);
        Ok(Self(Group::spawn(command).context("cargo-lambda does not start: run `make tools`")?))
    }

    /// Starts `sam local start-api` on this port: the template's routes, with each function in a container of Lambda's
    /// image. It needs the functions' builds for that image in `target/start-api/`, and an emulator that listens on all
    /// addresses of this machine.
    pub fn start_api(stack: &Stack, port: u16) -> anyhow::Result<Self> {
        let root = root()?;
        let folder = root.join("target/start-api");
        fs::copy(root.join("template.yaml"), folder.join("template.yaml"))?;
        // SAM's own temporary folder for this port, empty at each start: SAM unpacks the functions there for as long as it
        // runs. It also keeps a lock there while it builds an image; a lock that an interrupted start has left would hold
        // up the next one.
        let temporary = folder.join(format!("tmp-{port}"));
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir_all(&temporary)?;
        let emulator = stack.emulator()?.replace("localhost", "host.docker.internal");
        let endpoints = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"].map(|name| (name, &*emulator));
        let variables: BTreeMap<_, _> = variables(stack).into_iter().chain(endpoints).collect();
        fs::write(folder.join("variables.json"), json!({ "Parameters": variables }).to_string())?;

        let mut command = command_for(stack.emulator()?, &root.join(".tools/aws/bin/sam"));
        command
            .args(["local", "start-api", "--port", &port.to_string(), "--env-vars", "variables.json"])
            .args(["--parameter-overrides", &format!("Environment=dev Architecture={}", architecture())])
            .args(["--add-host", "host.docker.internal:host-gateway", "--warm-containers", "LAZY"])
            .env("SAM_CLI_TELEMETRY", "0")
            // An image that is there is used as it is, so a start needs no network. One that is missing is pulled.
            .env("SAM_SKIP_PULL_IMAGE", "true")
            .env("TMPDIR", temporary)
            .current_dir(folder);
        Ok(Self(Group::spawn(command).context("sam does not start: run `make tools`")?))
    }

    /// Starts Vite on this port and waits until it answers: the web UI from its sources, renewed after an edit. The API
    /// and the sign-in of the stack have the same origin there, as on AWS (`web/vite.local.ts`).
    pub async fn web(stack: &Stack, port: u16) -> anyhow::Result<Self> {
        let mut command = Command::new("npm");
        command
            .args(["run", "--silent", "dev", "--", "--host", "127.0.0.1", "--port", &port.to_string(), "--strictPort"])
            .args(["--logLevel", "warn"])
            .envs([stack.to_environment()?])
            // Vite would take keys from the terminal.
            .stdin(Stdio::null())
            .current_dir(root()?.join("web"));
        let mut server = Self(Group::spawn(command).context("npm does not start: run `make tools`")?);
        let deadline = Instant::now() + WEB_START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if let Some(status) = server.0.exit_status()? {
                bail!("the server of the web UI ended ({status})");
            }
            ensure!(Instant::now() < deadline, "the server of the web UI does not answer on port {port}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    /// Waits until the server ends, which is always an error.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(status) = self.0.exit_status()? {
                bail!("the server ended ({status})");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Variables of the functions. One file serves them all, so it has the variables of each.
///
/// `PAYMENT_URL` and `RESTAURANT_URL` are left out, so simulators stand in for the providers. They refuse nothing:
/// every sample event is to get the same response each time.
fn variables(stack: &Stack) -> [(&'static str, &str); 15] {
    [
        ("LOG_LEVEL", "info"),
        ("ENVIRONMENT", "local"),
        ("WEB_ORIGIN", WEB_ORIGIN),
        ("ORDERS_TABLE", &stack.orders_table),
        ("IDEMPOTENCY_TABLE", &stack.idempotency_table),
        ("ORDERS_QUEUE_URL", &stack.orders_queue),
        ("STATE_MACHINE_ARN", &stack.state_machine),
        ("DEAD_LETTER_QUEUE_URL", &stack.orders_dead_letter_queue),
        ("TOPIC_ARN", &stack.notifications_topic),
        ("UNIT_PRICE", "1000"),
        ("CURRENCY", "EUR"),
        ("DELIVERY_MINUTES", "20"),
        ("GRACE_PERIOD_SECONDS", "2"),
        ("PAYMENT_FAILURES_PERCENT", "0"),
        ("RESTAURANT_FAILURES_PERCENT", "0"),
    ]
}
