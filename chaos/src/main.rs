//! The command `chaos`, which `make chaos` runs: a mixed load on a local stack of its own, while calls to AWS and to
//! the providers fail in every way, functions are killed, executions are stopped, status events are lost, and the
//! emulator is restarted. Then it compares what is left. `docs/reliability.md` has the promises that must hold.

mod check;
mod clients;
mod evidence;
mod fault;
mod plant;
mod processes;
mod providers;
mod proxy;
mod report;
mod seed;
mod settle;
mod trouble;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use local::{Emulator, REGION, Settings, Stack, deploy, sdk_config, variables};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::check::Trial;
use crate::clients::Clients;
use crate::fault::Faults;
use crate::providers::Providers;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::seed::Seed;
use crate::settle::Observer;
use crate::trouble::Trouble;

#[derive(Parser)]
#[command(about = "Injects faults into a local stack under load; fails if a promise is broken")]
struct Arguments {
    /// Number of orders
    #[arg(long, default_value_t = 2000)]
    orders: u64,
    /// Number of clients at the same time
    #[arg(long, default_value_t = 12)]
    clients: u64,
    /// Seed of all decisions; by default another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// Minutes after the load within which everything must be settled
    #[arg(long, default_value_t = 15)]
    settle_minutes: u64,
}

/// The emulator keeps its state over a restart, and waits a fifth of the state machine's times.
const VARIABLES: &[(&str, &str)] = &[("PERSIST_STATE", "1"), ("S3_PERSIST", "1"), ("SFN_WAIT_SCALE", "0.2")];

#[tokio::main]
async fn main() -> ExitCode {
    // A signal drops the work and, with it, the emulator.
    let result = tokio::select! {
        result = bounded(Arguments::parse()) => result,
        result = interrupted() => result.map(|()| ExitCode::FAILURE),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn interrupted() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// A run, within a limit that is far more than it needs: one that hangs fails.
async fn bounded(arguments: Arguments) -> Result<ExitCode> {
    let minutes = 30 + arguments.orders / 20;
    let result = tokio::time::timeout(Duration::from_mins(minutes), run(arguments)).await;
    result.unwrap_or_else(|_| bail!("the run was not over after {minutes} minutes"))
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let seed = Seed(arguments.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 % 1_000_000));
    println!("{} orders, seed {}", arguments.orders, seed.0);
    let settings = Settings { concurrency: 30, variables: VARIABLES, ..Settings::default() };
    let mut emulator = Emulator::start(None, settings).await?;
    let proxy = Proxy::start(emulator.endpoint(), Faults::new(seed), Providers::new(seed)).await?;
    let stack = deployed(&emulator, &proxy).await?;
    proxy.may_kill(&stack.name)?;
    let mut observer = Observer::new(&stack).await?;
    let clients = Clients::new(seed, &stack).await?;
    println!("deployed after {:.0} s", started.elapsed().as_secs_f64());

    proxy.faults.switch(true);
    let restarts = (arguments.orders / 700).max(1);
    let trouble = Trouble::start(seed, &stack, Duration::from_millis(2500)).await;
    let load = Instant::now();
    let restarting = trouble::restart(&mut emulator, &stack, &proxy, &clients, arguments.orders, restarts);
    let ((), interrupted) = tokio::try_join!(clients.run(arguments.orders, arguments.clients), async {
        restarting.await.context("a restart of the emulator")
    })?;
    proxy.faults.switch(false);
    let counts = trouble.end().await;
    let load = load.elapsed();
    println!("all clients are done after {:.0} s; settling", started.elapsed().as_secs_f64());

    let settling = Instant::now();
    let limit = Duration::from_secs(arguments.settle_minutes * 60);
    let evidence = observer.settle(&clients, &proxy, limit).await?;
    let mut violations = check::check(&evidence);
    violations.extend(check::untried(&Trial {
        injected: proxy.faults.injected(),
        stopped: counts.stopped.load(Ordering::Relaxed),
        killed: cfg!(target_os = "linux").then(|| proxy.killed()),
        interrupted,
    }));
    let report = Report {
        evidence: &evidence,
        proxy: &proxy,
        counts: &counts,
        observer: &observer,
        restarts,
        interrupted,
        load,
        settling: settling.elapsed(),
    };
    println!("{report}");
    for violation in &violations {
        println!("VIOLATION: {violation}");
    }
    if !violations.is_empty() {
        println!("{} violations; run it again with SEED={}", violations.len(), seed.0);
        return Ok(ExitCode::FAILURE);
    }
    // The checker is of use only if it finds what is wrong in this very evidence.
    for (planted, evidence) in plant::planted(&evidence)? {
        anyhow::ensure!(!check::check(&evidence).is_empty(), "the checker did not find a planted fault: {planted}");
        println!("a planted fault is found: {planted}");
    }
    println!("no promise is broken; {:.0} s in all", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// Deploys the template with our providers, and leads the functions through the proxy.
async fn deployed(emulator: &Emulator, proxy: &Proxy) -> Result<Stack> {
    let endpoint = emulator.endpoint();
    let name = format!("order-api-chaos-{}", endpoint.rsplit(':').next().unwrap_or_default());
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk_config(REGION, Some(&endpoint)).await);
    let secret = async |text: &str| {
        let secret = secrets.create_secret().name(format!("order-api/{}", Uuid::new_v4())).secret_string(text);
        secret.send().await?.arn.context("a secret without an ARN")
    };
    let parameters = [
        format!("PaymentUrl={}/providers", proxy.url),
        format!("RestaurantUrl={}/providers", proxy.url),
        format!("PaymentKeySecret={}", secret(&proxy.providers.payment_key).await?),
        format!("RestaurantKeySecret={}", secret(&proxy.providers.restaurant_key).await?),
        "LogLevel=info".to_owned(),
        // A fifth of it here: the emulator scales waits.
        "GracePeriodSeconds=10".to_owned(),
        "DeliveryMinutes=1".to_owned(),
    ];
    let stack = deploy(&endpoint, &name, &parameters.each_ref().map(String::as_str)).await?;
    variables::route(&stack, &proxy.url).await?;
    Ok(stack)
}
