//! MiniStack, the emulator of AWS, as a child process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::environment::{command_for, http, root, staging};
use crate::group::Group;

/// Time that the emulator has to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

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
    port: u16,
    scratch: PathBuf,
}

impl Emulator {
    /// Default limit of concurrent function calls.
    pub const CONCURRENCY: u16 = 100;

    /// Starts an empty emulator on this port, or on a free one, and waits until it answers. Like AWS, it throttles
    /// function calls beyond `concurrency`; here each concurrent call is a process.
    pub async fn start(port: Option<u16>, reach: Reach, concurrency: u16) -> anyhow::Result<Self> {
        let port = free_port(port)?;
        let endpoint = endpoint(port);
        let scratch = scratch(&endpoint);
        fs::create_dir_all(&scratch)?;
        let log = fs::File::create(scratch.join("emulator.log"))?;

        let ministack = root().join(".tools/emulator/bin/ministack");
        let mut command = command_for(&endpoint, &ministack);
        command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", if matches!(reach, Reach::Processes) { "127.0.0.1" } else { "0.0.0.0" })
            .env("LOG_LEVEL", "ERROR")
            .env("LAMBDA_ACCOUNT_CONCURRENCY", concurrency.to_string())
            .env("STATE_DIR", scratch.join("state"))
            .env("TMPDIR", &scratch)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let group = Group::spawn(command).context("the emulator does not start: run `make tools`")?;

        let mut emulator = Self { group, port, scratch };
        emulator.wait_until_ready().await?;
        Ok(emulator)
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

impl Drop for Emulator {
    fn drop(&mut self) {
        self.group.stop();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// The folder of the emulator at this URL.
pub(crate) fn scratch(endpoint: &str) -> PathBuf {
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    staging().join(format!("emulator-{port}"))
}

fn endpoint(port: u16) -> String {
    format!("http://localhost:{port}")
}

/// Returns this port, or any free one if none is given. Fails if something listens on it.
pub fn free_port(port: Option<u16>) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).with_context(|| {
        format!(
            "port {} is in use: stop the program that listens there, or choose another port: make dev PORT=4600 \
             WEB_PORT=5180",
            port.unwrap_or(0)
        )
    })?;
    Ok(listener.local_addr()?.port())
}
