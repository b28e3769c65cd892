//! Calls a second of a function in 1 to 64 processes at once, as Lambda runs a process for each concurrent call.
//!
//! This program serves all of them in one thread, so it reaches its limit before they do: the floor shows when. The
//! processor time of a call is the function's own.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;

use crate::aws::Aws;
use crate::function::{Function, Subject};
use crate::measure::{ms, us};
use crate::statistics::quantile;

/// Functions that the API calls.
pub const API: [&str; 6] = ["delete-order", "get-order", "get-orders", "put-order", "submit-order", "update-order"];

/// Numbers of processes, one after the other.
const PROCESSES: [usize; 4] = [1, 4, 16, 64];

/// Time of a measurement.
const TIME: Duration = Duration::from_secs(2);

/// A function under load.
#[derive(Debug)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Number of its processes.
    pub processes: usize,
    /// Calls a second, of all processes together.
    pub per_second: f64,
    /// Median of a call, in milliseconds.
    pub p50: f64,
    /// The slowest of a hundred calls, in milliseconds.
    pub p99: f64,
    /// Processor time of a call, in microseconds.
    pub cpu: f64,
}

/// Measures each function with each number of processes.
pub async fn measure(subjects: &[Subject], aws: &Aws) -> anyhow::Result<Vec<Loaded>> {
    let mut measured = Vec::new();
    for subject in subjects {
        eprintln!("{}", subject.name);
        for processes in PROCESSES {
            measured.push(run(subject, aws, processes).await.with_context(|| subject.name.clone())?);
        }
    }
    Ok(measured)
}

async fn run(subject: &Subject, aws: &Aws, processes: usize) -> anyhow::Result<Loaded> {
    // Each process has a log of its own.
    let named = |n| Subject { name: format!("{}-{n}", subject.name), ..subject.clone() };
    let subjects: Vec<_> = (1..=processes).map(named).collect();
    let mut functions = Vec::new();
    for subject in &subjects {
        let mut function = Function::start(subject, aws, &[]).await?;
        // The first call is slower, and no part of the measurement.
        function.call(&subject.event).await?;
        functions.push(function);
    }

    let before = cpu(&functions)?;
    let started = Instant::now();
    let times = try_join_all(functions.iter_mut().map(|function| async {
        let mut times = Vec::new();
        while started.elapsed() < TIME {
            times.push(ms(function.call(&subject.event).await?.1));
        }
        anyhow::Ok(times)
    }));
    let times = times.await?.concat();
    let elapsed = started.elapsed();
    let used = cpu(&functions)?.saturating_sub(before);
    for function in functions {
        function.stop().await?;
    }

    let calls = u32::try_from(times.len())?;
    Ok(Loaded {
        name: subject.name.clone(),
        processes,
        per_second: f64::from(calls) / elapsed.as_secs_f64(),
        p50: quantile(&times, 0.5).context("no calls")?,
        p99: quantile(&times, 0.99).context("no calls")?,
        cpu: us(used / calls),
    })
}

fn cpu(functions: &[Function<'_>]) -> anyhow::Result<Duration> {
    functions.iter().map(Function::cpu).sum()
}
