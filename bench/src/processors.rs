//! A processor for this program, and another one for the function that it measures.
//!
//! Without this, the kernel lets the two share one or moves the function to another while it runs, so the same call takes
//! half the time in one run and twice in the next.

use std::sync::OnceLock;

use core_affinity::CoreId;

/// The processors of this program and of the functions.
static PROCESSORS: OnceLock<[CoreId; 2]> = OnceLock::new();

/// Keeps this thread to one processor from now on, and the functions that it starts to another. Returns false if there is
/// only one.
pub fn separate() -> bool {
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    let &[own, functions, ..] = processors.as_slice() else { return false };
    let is_separate = core_affinity::set_for_current(functions) && core_affinity::set_for_current(own);
    is_separate && PROCESSORS.set([own, functions]).is_ok()
}

/// Starts a process on the processor of the functions: it has that of the thread that starts it.
pub fn of_functions<R>(start: impl FnOnce() -> R) -> R {
    let Some(&[own, functions]) = PROCESSORS.get() else { return start() };
    core_affinity::set_for_current(functions);
    let started = start();
    core_affinity::set_for_current(own);
    started
}
