//! Instructions of a function, counted by valgrind.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::aws::Aws;
use crate::function::{Function, Subject};

/// Fails with the package to install if there is no valgrind.
pub async fn check() -> anyhow::Result<()> {
    let status = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().await;
    ensure!(status.is_ok_and(|status| status.success()), "install the package valgrind, which counts instructions");
    Ok(())
}

/// Runs whose instructions are counted, at most.
const RUNS: usize = 3;

/// Instructions of a start with that number of calls, outside the kernel.
///
/// valgrind makes a function so slow that it may give up a connection or a request, and repeat it. This needs a further
/// connection, and only adds instructions. So a run with several connections is repeated, and the lowest number counts.
async fn instructions(subject: &Subject, aws: &Aws, calls: u32) -> anyhow::Result<u64> {
    let mut lowest = u64::MAX;
    for _ in 0..RUNS {
        let before = aws.connections();
        lowest = lowest.min(instructions_of_a_run(subject, aws, calls).await?);
        if aws.connections() - before <= 1 {
            break;
        }
    }
    Ok(lowest)
}

async fn instructions_of_a_run(subject: &Subject, aws: &Aws, calls: u32) -> anyhow::Result<u64> {
    let file = aws.bundle.with_file_name("callgrind.out");
    let output = format!("--callgrind-out-file={}", file.display());
    let valgrind = ["valgrind".to_owned(), "--tool=callgrind".to_owned(), output];
    let mut function = Function::start(subject, aws, &valgrind).await?;
    for _ in 0..calls {
        function.call(&subject.event).await?;
    }
    function.stop().await?;
    total(&fs::read_to_string(file)?)
}

fn total(profile: &str) -> anyhow::Result<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.context("the profile has no totals")?.trim().parse()?)
}

/// Instructions of the start with the first call, and of each warm call.
pub async fn start_and_warm(subject: &Subject, aws: &Aws, warm_calls: u32) -> anyhow::Result<(f64, f64)> {
    let start = instructions(subject, aws, 1).await?;
    let all = instructions(subject, aws, 1 + warm_calls).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let (start, warm) = (start as f64, all.saturating_sub(start) as f64);
    Ok((start, warm / f64::from(warm_calls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_in_one_line() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 7\n\ntotals: 12345\n").unwrap(), 12345);
        assert!(total("version: 1\n").is_err());
    }
}
