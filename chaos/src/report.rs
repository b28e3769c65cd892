//! The figures of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::evidence::{Evidence, Operation, text};
use crate::fault::Fault;
use crate::proxy::Proxy;
use crate::settle::Observer;
use crate::trouble::Counts;

/// All that a run has to say.
pub struct Report<'a> {
    pub evidence: &'a Evidence,
    pub proxy: &'a Proxy,
    pub counts: &'a Counts,
    pub observer: &'a Observer,
    pub restarts: u64,
    /// Executions that were running when the emulator was restarted.
    pub interrupted: u64,
    pub load: Duration,
    pub settling: Duration,
}

impl Display for Report<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.clients(out)?;
        self.faults(out)?;
        self.orders(out)?;
        let seconds = |time: Duration| time.as_secs();
        writeln!(out, "\nload {} s, settling {} s", seconds(self.load), seconds(self.settling))
    }
}

impl Report<'_> {
    fn clients(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:12}{:>10}{:>10}{:>10}{:>10}{:>10}", "requests", "all", "2xx", "4xx", "5xx", "none")?;
        for (name, operation) in [
            ("create", Operation::Create),
            ("submit", Operation::Submit),
            ("change", Operation::Change),
            ("delete", Operation::Delete),
            ("read", Operation::Read),
        ] {
            let lines: Vec<_> = self.evidence.log.iter().filter(|line| line.operation == operation).collect();
            let of = |first| lines.iter().filter(|line| line.status.map(|status| status / 100) == Some(first)).count();
            let none = lines.iter().filter(|line| line.status.is_none()).count();
            let all = lines.len();
            writeln!(out, "{name:12}{all:>10}{:>10}{:>10}{:>10}{none:>10}", of(2), of(4), of(5))?;
        }
        Ok(())
    }

    fn faults(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let injected = self.proxy.faults.injected();
        let services = ["dynamodb", "sqs", "states", "sns", "secretsmanager", "ping", "payment", "restaurant"];
        write!(out, "\n{:14}", "faults")?;
        for service in services {
            write!(out, "{:>12}", service.replace("secretsmanager", "secrets"))?;
        }
        writeln!(out)?;
        let mut all = 0;
        for fault in Fault::ALL {
            write!(out, "{:14}", fault.name())?;
            for service in services {
                let count = injected.get(&(service, fault)).copied().unwrap_or_default();
                all += count;
                write!(out, "{count:>12}")?;
            }
            writeln!(out)?;
        }
        let (stopped, swallowed) = (&self.counts.stopped, &self.counts.swallowed);
        let lines = [
            ("faults in all", all),
            ("functions killed", self.proxy.killed()),
            ("executions stopped", stopped.load(Ordering::Relaxed)),
            ("status events swallowed", swallowed.load(Ordering::Relaxed)),
            ("restarts of the emulator", self.restarts),
            ("  executions running then", self.interrupted),
            ("sweeps under load", self.counts.sweeps.load(Ordering::Relaxed)),
            ("  recoveries by them", self.counts.recovered.load(Ordering::Relaxed)),
            ("sweeps afterwards", self.observer.sweeps),
            ("  recoveries by them", self.observer.recovered),
            ("dead letters redriven", self.observer.redriven),
        ];
        writeln!(out)?;
        lines.iter().try_for_each(|(name, count)| writeln!(out, "{name:28}{count:>8}"))
    }

    fn orders(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut by_state: BTreeMap<String, u64> = BTreeMap::new();
        for order in &self.evidence.table {
            let refund = text(order, "refund");
            let refund = if refund.is_empty() { String::new() } else { format!(", refund {refund}") };
            let kind = if text(order, "processing") == "none" { "recorded" } else { "submitted" };
            *by_state.entry(format!("{kind}, {}{refund}", text(order, "order_status"))).or_default() += 1;
        }
        writeln!(out, "\n{:28}{:>8}", "orders in the table", self.evidence.table.len())?;
        for (state, count) in by_state {
            writeln!(out, "  {state:26}{count:>8}")?;
        }
        let accounts = self.evidence.accounts.values();
        let sum = |of: fn(&crate::providers::Account) -> i64| accounts.clone().map(of).sum::<i64>();
        for (name, count) in [
            ("accounts at the providers", i64::try_from(self.evidence.accounts.len()).unwrap_or_default()),
            ("  requests", sum(|account| account.requests.into())),
            ("  taken, in minor units", sum(|account| account.taken)),
            ("  given back", sum(|account| account.given_back)),
            ("  delivered", sum(|account| account.deliveries.into())),
            ("  cancelled", sum(|account| account.is_cancelled.into())),
        ] {
            writeln!(out, "{name:28}{count:>8}")?;
        }
        writeln!(out, "{:28}{:>8}", "messages of the topic", self.evidence.messages.len())
    }
}
