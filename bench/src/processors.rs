//! A processor for this program, and another one for the function that it measures.
//!
//! Without this, the kernel lets the two share one or moves the function to another while it runs, so the same call takes
//! half the time in one run and twice in the next. The two may still be threads of one core.

use std::sync::OnceLock;

use anyhow::{Context, ensure};
use core_affinity::CoreId;

/// The processors of this program and of the functions.
static PROCESSORS: OnceLock<[CoreId; 2]> = OnceLock::new();

fn run_on(processor: CoreId) -> anyhow::Result<()> {
    ensure!(core_affinity::set_for_current(processor), "can't choose processor {}", processor.id);
    Ok(())
}

/// Keeps this thread to one processor from now on, and the functions that it starts to another.
pub fn separate() -> anyhow::Result<()> {
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    let &[own, functions, ..] = processors.as_slice() else { anyhow::bail!("there is only one processor") };
    run_on(functions)?;
    run_on(own)?;
    PROCESSORS.set([own, functions]).ok().context("the processors are chosen once")
}

/// Starts a process on the processor of the functions: it has that of the thread that starts it.
pub fn of_functions<R>(start: impl FnOnce() -> R) -> anyhow::Result<R> {
    let Some(&[own, functions]) = PROCESSORS.get() else { return Ok(start()) };
    run_on(functions)?;
    let started = start();
    run_on(own)?;
    Ok(started)
}
