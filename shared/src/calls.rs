//! Calls of AWS and of the providers that a unit of work makes, and the time that they take.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// Calls of the unit of work that is running. Units that run at the same time, such as the messages of a batch,
    /// have their own.
    static CALLS: Cell<Calls>;
}

/// Whom a call goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Callee {
    Aws,
    Provider,
}

/// Calls of a unit of work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calls {
    pub aws: Sum,
    pub provider: Sum,
}

/// Number of calls, and the sum of their times.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub calls: u32,
    pub time: Duration,
}

/// Does a unit of work, and returns the calls that it made.
pub(crate) async fn counted<R>(work: impl Future<Output = R>) -> (R, Calls) {
    CALLS.scope(Cell::default(), async { (work.await, CALLS.get().get()) }).await
}

/// Makes a call, and counts it. Outside of a unit of work, nothing is counted.
pub(crate) async fn timed<R>(callee: Callee, call: impl Future<Output = R>) -> R {
    let _timer = Timer { callee, started: Instant::now() };
    call.await
}

/// Counts a call when it is dropped: a call that is given up counts as well.
struct Timer {
    callee: Callee,
    started: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let count = |calls: &Cell<Calls>| {
            let mut sums = calls.get();
            let sum = match self.callee {
                Callee::Aws => &mut sums.aws,
                Callee::Provider => &mut sums.provider,
            };
            sum.calls += 1;
            sum.time += self.started.elapsed();
            calls.set(sums);
        };
        // It fails outside of a unit of work.
        let _ = CALLS.try_with(count);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    fn sum(calls: u32, ms: u64) -> Sum {
        Sum { calls, time: Duration::from_millis(ms) }
    }

    async fn call(callee: Callee, ms: u64) {
        timed(callee, sleep(Duration::from_millis(ms))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_aws_and_of_providers_are_added_up_apart() {
        call(Callee::Aws, 1).await;
        let ((), calls) = counted(async {
            call(Callee::Aws, 10).await;
            sleep(Duration::from_millis(500)).await;
            call(Callee::Aws, 20).await;
            call(Callee::Provider, 300).await;
        })
        .await;
        assert_eq!(calls, Calls { aws: sum(2, 30), provider: sum(1, 300) });
        assert_eq!(counted(async {}).await.1, Calls::default());
    }

    #[tokio::test(start_paused = true)]
    async fn units_of_work_that_run_at_the_same_time_count_apart() {
        let unit = |ms| {
            counted(async move {
                call(Callee::Aws, ms).await;
                call(Callee::Aws, ms).await;
            })
        };
        let (first, second) = tokio::join!(unit(10), unit(15));
        assert_eq!((first.1.aws, second.1.aws), (sum(2, 20), sum(2, 30)));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_the_same_time_are_added_up() {
        let (_, calls) = counted(async { tokio::join!(call(Callee::Aws, 10), call(Callee::Aws, 15)) }).await;
        assert_eq!(calls.aws, sum(2, 25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_counts_until_then() {
        let (late, calls) = counted(timeout(Duration::from_millis(50), call(Callee::Provider, 60_000))).await;
        assert!(late.is_err());
        assert_eq!(calls.provider, sum(1, 50));
    }
}
