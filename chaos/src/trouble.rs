//! Trouble beside the faults of requests: executions that are stopped, status events that are lost, restarts of the emulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use local::{Emulator, Stack};
use tokio::task::JoinHandle;

use crate::clients::Clients;
use crate::proxy::Proxy;
use crate::seed::Seed;
use crate::settle::{Sweeper, running};

/// Counts of a run.
#[derive(Debug, Default)]
pub struct Counts {
    /// Executions that were stopped by hand.
    pub stopped: AtomicU64,
    /// Status events that were taken out of the recovery queue.
    pub swallowed: AtomicU64,
    /// Sweeps that succeeded meanwhile.
    pub sweeps: AtomicU64,
    /// Recoveries by these sweeps. One that finds the same order again counts it again.
    pub recovered: AtomicU64,
    is_over: AtomicBool,
}

/// Stops running executions, swallows status events for ten seconds of every twenty, and calls the sweep, until it is
/// told to end.
pub struct Trouble {
    counts: Arc<Counts>,
    tasks: Vec<JoinHandle<()>>,
}

impl Trouble {
    /// Starts it.
    pub async fn start(seed: Seed, stack: &Stack, pause: Duration) -> Self {
        let sdk = stack.sdk_config().await;
        let counts = Arc::new(Counts::default());
        let stops = stop_executions(seed, aws_sdk_sfn::Client::new(&sdk), stack.clone(), counts.clone(), pause);
        let swallows = swallow_events(aws_sdk_sqs::Client::new(&sdk), stack.clone(), counts.clone());
        let sweeps = sweep(Sweeper::new(stack).await, counts.clone());
        Self { counts, tasks: vec![tokio::spawn(stops), tokio::spawn(swallows), tokio::spawn(sweeps)] }
    }

    /// Ends it, and returns the counts.
    pub async fn end(self) -> Arc<Counts> {
        self.counts.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let _ = task.await;
        }
        self.counts
    }
}

async fn stop_executions(seed: Seed, sfn: aws_sdk_sfn::Client, stack: Stack, counts: Arc<Counts>, pause: Duration) {
    for turn in 0.. {
        tokio::time::sleep(pause).await;
        if counts.is_over.load(Ordering::SeqCst) {
            return;
        }
        // Calls fail while the emulator is away.
        let Ok(mut running) = running(&sfn, &stack).await else { continue };
        running.sort();
        let Some(chosen) = running.get(seed.below(u32::try_from(running.len()).unwrap_or(1), "stop", turn) as usize)
        else {
            continue;
        };
        let stopped = sfn.stop_execution().execution_arn(chosen).send().await;
        counts.stopped.fetch_add(u64::from(stopped.is_ok()), Ordering::Relaxed);
    }
}

async fn swallow_events(sqs: aws_sdk_sqs::Client, stack: Stack, counts: Arc<Counts>) {
    let started = tokio::time::Instant::now();
    while !counts.is_over.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if started.elapsed().as_secs() / 10 % 2 == 1 {
            continue;
        }
        let receive = sqs.receive_message().queue_url(&stack.recovery_queue).max_number_of_messages(10);
        for message in receive.send().await.ok().and_then(|received| received.messages).unwrap_or_default() {
            let delete = sqs.delete_message().queue_url(&stack.recovery_queue);
            let deleted = delete.set_receipt_handle(message.receipt_handle).send().await;
            counts.swallowed.fetch_add(u64::from(deleted.is_ok()), Ordering::Relaxed);
        }
    }
}

/// Sweeps beside everything else: beside recoveries of the same orders, and with faults of its own.
async fn sweep(sweeper: Sweeper, counts: Arc<Counts>) {
    while !counts.is_over.load(Ordering::SeqCst) {
        // It fails while the emulator is away, and by faults.
        if let Ok(recovered) = sweeper.sweep().await {
            counts.sweeps.fetch_add(1, Ordering::Relaxed);
            counts.recovered.fetch_add(recovered, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Time for which a restart waits for a running execution.
const PATIENCE: Duration = Duration::from_mins(1);

/// Restarts the emulator each time that another part of the orders is begun. Its running executions then fail without an
/// event. Returns how many were running.
pub async fn restart(
    emulator: &mut Emulator,
    stack: &Stack,
    proxy: &Proxy,
    clients: &Clients,
    orders: u64,
    restarts: u64,
) -> anyhow::Result<u64> {
    let sfn = aws_sdk_sfn::Client::new(&stack.sdk_config().await);
    let mut interrupted = 0;
    for restart in 1..=restarts {
        while clients.begun() < orders * restart / (restarts + 1) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What the emulator has answered must be in its state: the promises need services that keep what they accept.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let closed = proxy.close().await;
            let running = running(&sfn, stack).await.map_or(0, |running| running.len());
            if running > 0 || Instant::now() > deadline {
                interrupted += u64::try_from(running)?;
                emulator.restart().await?;
                break;
            }
            drop(closed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(interrupted)
}
