//! Faults of a request, and the decision which request gets one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::seed::Seed;

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The service refuses the request: too many.
    Throttled,
    /// The service fails: 5xx, a provider also 408 or 409, and nothing is carried out.
    Error,
    /// No answer, and nothing is carried out.
    Silent,
    /// The connection is cut before the request is carried out.
    CutBefore,
    /// The connection is cut after the request was carried out.
    CutAfter,
    /// The request is carried out, and the connection is cut in the middle of its answer.
    Torn,
    /// The request waits before it is carried out, and its answer comes in time.
    Slow,
    /// The request is carried out, and its answer comes too late.
    Late,
    /// The calling process is killed before the request is carried out.
    KilledBefore,
    /// The calling process is killed after the request was carried out.
    KilledAfter,
    /// The message is sent once more, some seconds later.
    Twice,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Throttled,
        Self::Error,
        Self::Silent,
        Self::CutBefore,
        Self::CutAfter,
        Self::Torn,
        Self::Slow,
        Self::Late,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Twice,
    ];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Error => "5xx",
            Self::Silent => "no answer",
            Self::CutBefore => "cut before",
            Self::CutAfter => "cut after",
            Self::Torn => "torn answer",
            Self::Slow => "slow",
            Self::Late => "late",
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::Twice => "sent twice",
        }
    }
}

/// Who calls what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the function.
    pub function: String,
    /// `dynamodb`, `sqs`, `sns`, `states`, `secretsmanager`; `ping` for the request of a function's start; `payment` or
    /// `restaurant`.
    pub service: &'static str,
    /// Name of the operation.
    pub operation: String,
}

impl Call {
    fn is_to_provider(&self) -> bool {
        matches!(self.service, "payment" | "restaurant")
    }

    /// Shares of the faults of such a call.
    fn shares(&self) -> &'static [(Fault, f64)] {
        match self.service {
            "payment" | "restaurant" => &[
                (Fault::Throttled, 0.03),
                (Fault::Error, 0.06),
                (Fault::Silent, 0.01),
                (Fault::CutBefore, 0.02),
                (Fault::CutAfter, 0.03),
                (Fault::Torn, 0.02),
                (Fault::Slow, 0.06),
                (Fault::Late, 0.02),
                (Fault::KilledBefore, 0.01),
                (Fault::KilledAfter, 0.02),
            ],
            "sqs" | "sns" => &[
                (Fault::Throttled, 0.03),
                (Fault::Error, 0.03),
                (Fault::Silent, 0.005),
                (Fault::CutBefore, 0.02),
                (Fault::CutAfter, 0.03),
                (Fault::Torn, 0.01),
                (Fault::Slow, 0.03),
                (Fault::Late, 0.01),
                (Fault::KilledBefore, 0.01),
                (Fault::KilledAfter, 0.01),
                (Fault::Twice, 0.08),
            ],
            _ => &[
                (Fault::Throttled, 0.02),
                (Fault::Error, 0.02),
                (Fault::Silent, 0.004),
                (Fault::CutBefore, 0.012),
                (Fault::CutAfter, 0.012),
                (Fault::Torn, 0.008),
                (Fault::Slow, 0.03),
                (Fault::Late, 0.006),
                (Fault::KilledBefore, 0.006),
                (Fault::KilledAfter, 0.008),
            ],
        }
    }
}

/// Requests of a storm: within them, faults come more often, so that retries fail, too.
const STORM: u64 = 12;

/// Share of the storms.
const STORMS: f64 = 0.04;

/// Faults in a storm, compared with the usual.
const FORCE: f64 = 5.0;

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    seed: Seed,
    is_on: AtomicBool,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    calls: HashMap<String, u64>,
    injected: BTreeMap<(&'static str, Fault), u64>,
}

impl Faults {
    /// Faults that are switched off.
    pub fn new(seed: Seed) -> Self {
        Self { seed, is_on: AtomicBool::new(false), books: Mutex::default() }
    }

    /// Switches all of them on or off.
    pub fn switch(&self, on: bool) {
        self.is_on.store(on, Ordering::SeqCst);
    }

    /// The fault of the next such call, and its number among them.
    pub fn next(&self, call: &Call) -> (Option<Fault>, u64) {
        let subject = format!("{}/{}/{}", call.function, call.service, call.operation);
        let number = {
            let mut books = self.books();
            let calls = books.calls.entry(subject.clone()).or_default();
            *calls += 1;
            *calls
        };
        let on = self.is_on.load(Ordering::SeqCst);
        (on.then(|| self.decide(call, &subject, number)).flatten(), number)
    }

    fn decide(&self, call: &Call, subject: &str, number: u64) -> Option<Fault> {
        let storm = self.seed.chance(STORMS, format_args!("storm/{subject}"), number / STORM);
        let force = if storm { FORCE } else { 1.0 };
        let drawn = self.seed.draw(subject, number);
        let mut sum = 0.0;
        call.shares().iter().find_map(|(fault, share)| {
            sum += share * force;
            (drawn < sum).then_some(*fault)
        })
    }

    /// Counts a fault that was injected.
    pub fn count(&self, call: &Call, fault: Fault) {
        *self.books().injected.entry((call.service, fault)).or_default() += 1;
    }

    /// All faults that were injected, by service and kind.
    pub fn injected(&self) -> BTreeMap<(&'static str, Fault), u64> {
        self.books().injected.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds for which a slow request waits.
    pub fn slowness(&self, call: &Call, number: u64) -> u64 {
        let most = if call.is_to_provider() { 3_000 } else { 1_200 };
        u64::from(self.seed.below(most, format_args!("slow/{}", call.function), number))
    }

    /// Milliseconds after which a late answer comes: more than the caller waits.
    pub fn lateness(call: &Call) -> u64 {
        if call.is_to_provider() { 5_500 } else { 2_300 }
    }

    /// Milliseconds after which a message is sent once more.
    pub fn delay_of_the_second(&self, call: &Call, number: u64) -> u64 {
        u64::from(self.seed.below(15_000, format_args!("twice/{}", call.function), number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call { function: "put-order".into(), service: "dynamodb", operation: "PutItem".into() }
    }

    #[test]
    fn the_same_seed_injects_the_same_faults_and_none_when_they_are_off() {
        let faults = |seed, on| {
            let faults = Faults::new(Seed(seed));
            faults.switch(on);
            (0..2000).map(|_| faults.next(&call()).0).collect::<Vec<_>>()
        };
        assert_eq!(faults(1, true), faults(1, true));
        assert_ne!(faults(1, true), faults(2, true));
        assert!(faults(1, false).iter().all(Option::is_none));
        let kinds = [Fault::Throttled, Fault::Silent, Fault::CutAfter, Fault::Late, Fault::KilledAfter];
        let injected = faults(1, true);
        assert!(kinds.iter().all(|kind| injected.contains(&Some(*kind))));
        assert!(!injected.contains(&Some(Fault::Twice)), "only messages are sent twice");
    }
}
