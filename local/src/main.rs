//! The local stack's command: `make dev` and `make e2e` call it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use local::{Emulator, STACK, Stack, deploy, logs};
use serde_json::json;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Runs the whole system on this machine")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the system until Ctrl-C, with sample orders in it, and shows the functions' logs
    Dev {
        /// Port of the emulator
        #[arg(long, default_value_t = 4566)]
        port: u16,
    },
    /// Runs a command beside a fresh system on a free port, described by its environment
    Run {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let work = async {
        match Arguments::parse().verb {
            Verb::Dev { port } => dev(port).await,
            Verb::Run { command } => run(&command).await,
        }
    };
    // A signal ends the work by dropping it, and the emulator with it.
    let done = tokio::select! {
        done = work => done,
        () = interrupted() => {
            println!("\nStopped.");
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn interrupted() {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| signal(kind).unwrap_or_else(|error| panic!("signals can't be handled here: {error}")));
    let [interrupt, terminate, hangup] = &mut signals;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

async fn dev(port: u16) -> anyhow::Result<ExitCode> {
    let emulator = step("Starting the emulator", Emulator::start(Some(port))).await?;
    let stack = step("Deploying template.yaml (sam deploy)", deploy(&emulator.endpoint(), STACK)).await?;
    step("Saving sample orders", save_samples(&stack)).await?;

    let _url = UrlFile::write(port, &stack.api_url)?;

    let (api, table) = (&stack.api_url, &stack.orders_table);
    println!(
        r#"
Order API is running. Ctrl-C stops it; nothing is kept.

  API        {api}
  Table      {table}, at {endpoint}

Try, in another terminal:

  curl -s '{api}/orders?limit=3'

  curl -s -X PUT '{api}/orders' -H 'Content-Type: application/json' -d '{{"user_id":"Burger_2","quantity":"3","restaurant_id":"Restaurant 3"}}'

What the functions log:
"#,
        endpoint = stack.endpoint,
    );
    logs::follow(&stack).await?;
    Ok(ExitCode::SUCCESS)
}

async fn run(command: &[String]) -> anyhow::Result<ExitCode> {
    let emulator = step("Starting the emulator", Emulator::start(None)).await?;
    let stack = step("Deploying template.yaml (sam deploy)", deploy(&emulator.endpoint(), STACK)).await?;
    let status = Command::new(&command[0])
        .args(&command[1..])
        .envs(stack.to_environment())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("{} does not start", command[0]))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file from which `make url` reads where the API is. It goes when the system stops.
struct UrlFile(PathBuf);

impl UrlFile {
    fn write(port: u16, url: &str) -> anyhow::Result<Self> {
        let file = Self(local::staging().join(format!("url-{port}")));
        std::fs::write(&file.0, format!("{url}\n"))?;
        Ok(file)
    }
}

impl Drop for UrlFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Says what is being done, and how long it took.
async fn step<T>(what: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    print!("{what} ... ");
    std::io::stdout().flush()?;
    let started = Instant::now();
    let done = work.await.inspect_err(|_| println!())?;
    println!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(done)
}

async fn save_samples(stack: &Stack) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    for (user, restaurant, quantity) in [
        ("Burger_1", "Restaurant 1", 1),
        ("Burger_1", "Restaurant 2", 2),
        ("Burger_2", "Restaurant 3", 3),
        ("Café 東京", "Sushi ya", 12),
    ] {
        let order = json!({"user_id": user, "restaurant_id": restaurant, "quantity": quantity});
        let response = client.put(format!("{}/orders", stack.api_url)).json(&order).send().await?;
        ensure!(response.status().is_success(), "saving a sample order: {}", response.text().await?);
    }
    Ok(())
}
