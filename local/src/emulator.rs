//! MiniStack, the emulator of AWS, as a child process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use uuid::Uuid;

use crate::environment::{command_for, http, root, staging};
use crate::gate::Gate;
use crate::group::Group;

/// Time that the emulator has to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Time since its last call after which the emulator ends an idle process of a function that has another one. It looks for
/// them every 30 s. For each process, idle or not, it wakes up 20 times a second: with 480 of them, it took three times as
/// long to make six change sets.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// The addresses on which the emulator listens.
#[derive(Debug, Clone, Copy)]
pub enum Reach {
    /// Only `localhost`: for this machine's own processes.
    Processes,
    /// All addresses of this machine, which `sam local` needs for its containers. So the machine's network reaches it too.
    Containers,
}

/// A running emulator. Dropping it stops the emulator and the functions that it runs.
#[derive(Debug)]
pub struct Emulator {
    group: Group,
    gate: Option<Gate>,
    port: u16,
    scratch: PathBuf,
    settings: Settings,
}

/// Settings of an emulator.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The addresses on which it listens.
    pub reach: Reach,
    /// Limit of concurrent function calls, each a process here. Calls beyond it are throttled, as on AWS.
    pub concurrency: u16,
    /// Whether a gate enforces the policies of the functions.
    pub iam: bool,
    /// More environment variables.
    pub variables: &'static [(&'static str, &'static str)],
}

impl Default for Settings {
    fn default() -> Self {
        Self { reach: Reach::Processes, concurrency: Emulator::CONCURRENCY, iam: false, variables: &[] }
    }
}

impl Emulator {
    /// Default limit of concurrent function calls.
    pub const CONCURRENCY: u16 = 100;

    /// Starts an empty emulator on this port, or on a free one, and waits until it answers.
    pub async fn start(port: Option<u16>, settings: Settings) -> anyhow::Result<Self> {
        let port = free_port(port)?;
        let endpoint = endpoint(port);
        let scratch = scratch(&endpoint)?;
        // It is still there if a system on this port was killed.
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)?;
        let gate = if settings.iam { Some(Gate::start(&endpoint).await?) } else { None };
        let group = settings.spawn(port, &scratch, gate.as_ref())?;
        let mut emulator = Self { group, gate, port, scratch, settings };
        emulator.wait_until_ready().await?;
        Ok(emulator)
    }

    /// Stops the emulator by SIGTERM, starts it again on its port, and waits until it answers. With the variables
    /// `PERSIST_STATE=1` and `S3_PERSIST=1` its state outlives this.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        tokio::task::block_in_place(|| self.group.stop());
        self.group = self.settings.spawn(self.port, &self.scratch, self.gate.as_ref())?;
        self.wait_until_ready().await
    }

    /// URL of its AWS APIs.
    #[must_use]
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let health = format!("{}/_ministack/health", self.endpoint());
        let deadline = Instant::now() + START_TIMEOUT;
        let client = http().build()?;
        while client.get(&health).send().await.is_err() {
            if let Some(status) = self.group.exit_status()? {
                let log = fs::read_to_string(self.scratch.join("emulator.log"))?;
                bail!("the emulator failed to start ({status}):\n{log}");
            }
            ensure!(Instant::now() < deadline, "the emulator does not answer at {health}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Settings {
    fn spawn(self, port: u16, scratch: &Path, gate: Option<&Gate>) -> anyhow::Result<Group> {
        let endpoint = endpoint(port);
        let log = fs::File::options().append(true).create(true).open(scratch.join("emulator.log"))?;
        let ministack = root()?.join(".tools/emulator/bin/ministack");
        let mut command = command_for(&endpoint, &ministack);
        command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", if matches!(self.reach, Reach::Processes) { "127.0.0.1" } else { "0.0.0.0" })
            // Its MQTT broker, which the system does not use, listens on all addresses whatever `BIND_HOST` says.
            .env("IOT_MTLS_ENABLED", "0")
            .env("LOG_LEVEL", "ERROR")
            .env("LAMBDA_ACCOUNT_CONCURRENCY", self.concurrency.to_string())
            .env("LAMBDA_WARM_TTL_SECONDS", IDLE_LIMIT.as_secs().to_string())
            .env("STATE_DIR", scratch.join("state"))
            .env("S3_DATA_DIR", scratch.join("s3"))
            .env("TMPDIR", scratch)
            .envs(self.variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(gate) = gate {
            // The emulator passes it to its functions.
            command.env("AWS_ENDPOINT_URL", gate.url());
        }
        Group::spawn(command).context("the emulator does not start: run `make tools`")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.group.stop();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// The folder of the emulator at this URL.
pub(crate) fn scratch(endpoint: &str) -> anyhow::Result<PathBuf> {
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    Ok(staging()?.join(format!("emulator-{port}")))
}

fn endpoint(port: u16) -> String {
    format!("http://localhost:{port}")
}

/// Ports that no system gives to outgoing connections, which could take one before its server starts.
const PORTS: Range<u16> = 20_000..32_000;

/// Returns this port, or any free one if none is given. Fails if nothing can listen on it. `make` has checked the port
/// before it compiled; `tools/port.py` explains the error.
pub fn free_port(port: Option<u16>) -> anyhow::Result<u16> {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop);
    if let Some(port) = port {
        is_free(port).with_context(|| format!("can't use port {port}"))?;
        return Ok(port);
    }
    // Random, because programs that start at the same time must not choose the same port.
    let random = Uuid::new_v4().as_u64_pair().0 % u64::from(PORTS.end - PORTS.start);
    let first = PORTS.start + u16::try_from(random)?;
    let mut ports = (first..PORTS.end).chain(PORTS.start..first);
    ports.find(|port| is_free(*port).is_ok()).context("there is no free port")
}
