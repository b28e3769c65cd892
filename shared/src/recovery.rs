//! The recovery of orders whose execution failed, timed out or was stopped, and the sweep, which finds those whose status
//! event was lost.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Debug;
use std::ops::Add;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use crate::aws::{StateMachine, Topic};
use crate::environment::{self, EnvironmentError};
use crate::lambda::{MessageError, TaskError};
use crate::order::{Order, OrderKey, Refund, Step, Timestamp};
use crate::providers::{PaymentProvider, Restaurant};
use crate::store::{IdempotencyRecords, Orders, is_too_old};
use crate::workflow::Submission;
use crate::{Cause, steps, telemetry};

/// Status change of an execution: EventBridge's event "Step Functions Execution Status Change", as far as it is used
/// here ("Step Functions event detail", Step Functions Developer Guide).
#[derive(Debug, Deserialize)]
pub struct StatusChange {
    detail: StatusDetail,
}

#[derive(Debug, Deserialize)]
struct StatusDetail {
    /// Input of the execution. AWS leaves it out over 248 KiB, which no submission has.
    input: String,
}

impl StatusChange {
    /// Parses the event.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Input of the execution.
    pub fn submission(&self) -> Result<Submission, serde_json::Error> {
        Submission::parse(&self.detail.input)
    }
}

/// The recovery of orders, with all that it needs.
#[derive(Debug)]
pub struct Recovery {
    orders: Orders,
    records: IdempotencyRecords,
    payment: PaymentProvider,
    restaurant: Restaurant,
    topic: Topic,
    state_machine: StateMachine,
}

impl Recovery {
    /// The function's recovery. See [`Orders`], [`IdempotencyRecords`], [`PaymentProvider`], [`Restaurant`], [`Topic`] and
    /// [`StateMachine`] for the variables.
    pub async fn from_environment(sdk: &SdkConfig) -> Result<Self, Cause> {
        Ok(Self {
            orders: Orders::from_environment(sdk)?,
            records: IdempotencyRecords::from_environment(sdk)?,
            payment: PaymentProvider::from_environment(sdk).await?,
            restaurant: Restaurant::from_environment(sdk).await?,
            topic: Topic::from_environment(sdk)?,
            state_machine: StateMachine::from_environment(sdk)?,
        })
    }

    /// Opens a connection to each service. Needs no right.
    pub async fn connect(&self) {
        tokio::join!(self.orders.connect(), self.topic.connect(), self.state_machine.connect());
    }

    /// Recovers the order of an execution that failed, even if it was not saved yet.
    pub async fn recover_submission(&self, submission: &Submission) -> Result<(), MessageError> {
        let (order, now) = (&submission.order, Timestamp::now());
        if is_too_old(order.id(), now) {
            return Err(MessageError::Unusable("the order is too old to be recovered".into()));
        }
        let saved = self.orders.save(&self.records, order, now).await;
        saved.map_err(|error| MessageError::Retryable(error.into()))?;
        self.recover(order.key(), submission.trace.as_deref()).await.map_err(MessageError::Retryable)
    }

    /// Takes an order to its end, from the facts in the table. Repeating it is safe. An order whose execution is running is
    /// left alone: the execution may have been redriven, or be waiting for the restaurant.
    pub async fn recover(&self, key: &OrderKey, trace: Option<&str>) -> Result<(), Cause> {
        let found = self.find(key).await?;
        self.finish(key, steps::next(found.as_ref()), trace).await
    }

    /// The order; none if its execution is running.
    async fn find(&self, key: &OrderKey) -> Result<Option<Order>, Cause> {
        telemetry::set_order_id(key.id);
        if self.state_machine.is_running(key.id).await? {
            return Ok(None);
        }
        Ok(self.orders.find(key).await?)
    }

    /// Takes an order to its end, from its next step.
    async fn finish(&self, key: &OrderKey, mut next: Step, trace: Option<&str>) -> Result<(), Cause> {
        // More steps than an order has.
        for _ in 0..10 {
            next = match Way::of(next) {
                None => return Ok(()),
                Some(Way::Fail) => self.fail(key).await?,
                Some(Way::Refund) => self.refund(key, trace).await?,
                Some(Way::Cancel) => steps::cancel(&self.orders, &self.restaurant, key, trace).await?,
                Some(Way::Complete) => steps::complete(&self.orders, &self.topic, key).await?,
            };
        }
        Err("the order does not come to its end".into())
    }

    async fn fail(&self, key: &OrderKey) -> Result<Step, Cause> {
        let failed = self.orders.record(key, |order| not_accepted(order, Timestamp::now())).await?;
        Ok(steps::next(failed.as_ref()))
    }

    async fn refund(&self, key: &OrderKey, trace: Option<&str>) -> Result<Step, Cause> {
        match steps::refund(&self.orders, &self.payment, key, trace).await {
            Err(TaskError::StoreUnavailable(cause)) => Err(cause),
            Err(TaskError::Retryable(cause) | TaskError::NonRetryable(cause)) => {
                after_failed_refund(self.orders.find(key).await?.as_ref()).ok_or(cause)
            }
            Ok(next) => Ok(next),
        }
    }
}

/// Action of the recovery for the next step of an order: an order that is not accepted fails, a payment that is not known
/// is refunded, a delivery that is not settled is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// End an order that is not accepted.
    Fail,
    /// Refund the payment.
    Refund,
    /// Cancel the delivery.
    Cancel,
    /// Make the order final, and publish it.
    Complete,
}

impl Way {
    /// The action for that step; none if nothing is left to do.
    #[must_use]
    pub fn of(next: Step) -> Option<Self> {
        match next {
            Step::Nothing => None,
            Step::Accept => Some(Self::Fail),
            Step::Charge | Step::Refund => Some(Self::Refund),
            Step::Deliver | Step::Cancel => Some(Self::Cancel),
            Step::Complete | Step::Publish => Some(Self::Complete),
        }
    }
}

/// Ends an order that is not accepted.
#[must_use]
pub fn not_accepted(order: &Order, now: Timestamp) -> Option<Order> {
    order.not_accepted("the order could not be processed", now)
}

/// The next step after a refund that failed. The order is completed nevertheless: its refund stays owed, and the sweep requests
/// it again. None if the order is final already: then the recovery fails.
#[must_use]
pub fn after_failed_refund(order: Option<&Order>) -> Option<Step> {
    match order {
        None => Some(Step::Nothing),
        Some(order) if order.is_final() => None,
        Some(_) => Some(Step::Complete),
    }
}

/// Time for which the sweep leaves an order alone after its grace period and its last write.
const IDLE_TIME: Duration = Duration::from_mins(15);

/// Age up to which the sweep looks at failed executions.
const LOOK_BACK: Duration = Duration::from_hours(48);

/// Number of recoveries that a sweep makes at the same time.
const AT_ONCE: usize = 20;

/// Time that a sweep gives one recovery.
const RECOVERY_LIMIT: Duration = Duration::from_secs(20);

/// The sweep: it finds orders that are not settled although nothing works on them any more, for example because a status
/// event was lost, and recovers them.
#[derive(Debug)]
pub struct Sweep {
    recovery: Recovery,
    grace_period: Duration,
}

impl Sweep {
    /// The function's sweep. See [`Recovery`] for more variables.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `GRACE_PERIOD_SECONDS` | grace period of a submitted order, in seconds |
    pub async fn from_environment(sdk: &SdkConfig) -> Result<Self, Cause> {
        let seconds = environment::required("GRACE_PERIOD_SECONDS", "a number of seconds")?;
        let seconds = seconds.parse();
        let seconds = seconds.map_err(|_| EnvironmentError::new("GRACE_PERIOD_SECONDS", "must be a number of seconds"));
        Ok(Self { recovery: Recovery::from_environment(sdk).await?, grace_period: Duration::from_secs(seconds?) })
    }

    /// Opens a connection to each service. Needs no right.
    pub async fn connect(&self) {
        self.recovery.connect().await;
    }

    /// Recovers every order in the index that was not written for a while, and every order of a failed execution that was
    /// never saved. If one can't be recovered, the others still are, and the next sweep tries it again.
    pub async fn run(&self) -> Result<Swept, Cause> {
        let now = Timestamp::now();
        let failed = self.recovery.state_machine.failed_executions(now.before(LOOK_BACK));
        let (orders, executions) = tokio::join!(self.unsettled(now), failed);
        // What can be listed is recovered, even if the other list is not available.
        let keys = orders.as_deref().unwrap_or_default();
        let failed = not_among(keys, executions.as_deref().unwrap_or_default());
        let owed = Cell::new(Owed::default());
        let recovered = tokio::join!(
            Swept::all(keys, async |key| {
                let found = self.recovery.find(key).await?;
                owed.update(|owed| owed.with(found.as_ref()));
                self.recovery.finish(key, steps::next(found.as_ref()), None).await
            }),
            Swept::all(failed, async |execution| self.recover_execution(execution).await),
        );
        orders?;
        owed.get().log();
        executions?;
        Ok(recovered.0 + recovered.1)
    }

    /// Keys of the orders in the index that were not written for a while.
    async fn unsettled(&self, now: Timestamp) -> Result<Vec<OrderKey>, Cause> {
        let mut unsettled = self.recovery.orders.unsettled(now.before(self.grace_period + IDLE_TIME)).await?;
        let oldest = unsettled.first().map(|(_, updated_at)| now.since(*updated_at).as_secs());
        tracing::info!(oldest_unsettled_seconds = oldest.unwrap_or_default(), orders = unsettled.len(), "unsettled");
        // Each sweep starts elsewhere, in case the function's time is over before all had their turn.
        let start = usize::try_from(now.epoch_seconds()).unwrap_or_default() % unsettled.len().max(1);
        unsettled.rotate_left(start);
        Ok(unsettled.into_iter().map(|(key, _)| key).collect())
    }

    async fn recover_execution(&self, execution_arn: &str) -> Result<(), Cause> {
        match self.recovery.state_machine.input(execution_arn).await? {
            Some(input) => Ok(self.recovery.recover_submission(&Submission::parse(&input)?).await?),
            None => Ok(()),
        }
    }
}

/// Executions that are not those of these orders: an order that was found in the index and by its execution would be
/// recovered twice at the same time, and so published twice. An execution has the id of its order as its name.
fn not_among<'a>(orders: &[OrderKey], executions: &'a [String]) -> Vec<&'a str> {
    let ids: HashSet<_> = orders.iter().map(|key| key.id.to_string()).collect();
    let name = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
    executions.iter().map(String::as_str).filter(|arn| !ids.contains(&name(arn))).collect()
}

/// Refunds that a sweep has found: those of the orders that it took up, before it requests them.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    /// Number of refunds that are requested automatically.
    refunds: u64,
    /// Number of refunds that an operator must make or look into.
    by_hand: u64,
    /// Sum of both, in minor units of the currency: what is owed at most. Some of these payments may not have been made.
    minor_units: u64,
}

impl Owed {
    /// The sum with the refund of one more order.
    fn with(self, order: Option<&Order>) -> Self {
        let Some(order) = order else { return self };
        let (refunds, by_hand) = match order.refund() {
            Some(Refund::Owed) => (1, 0),
            Some(Refund::Failed | Refund::Unknown) => (0, 1),
            Some(Refund::Made) | None => return self,
        };
        Self {
            refunds: self.refunds + refunds,
            by_hand: self.by_hand + by_hand,
            minor_units: self.minor_units + order.total().map_or(0, |total| total.amount),
        }
    }

    /// Logs the sums; the template's metric filters make metrics of them.
    fn log(self) {
        let Self { refunds, by_hand, minor_units } = self;
        tracing::info!(refunds_owed = refunds, refunds_by_hand = by_hand, owed_minor_units = minor_units, "owed");
    }
}

/// Result of a sweep.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    recovered: usize,
    failed: usize,
}

impl Swept {
    /// Recovers all of them, some at a time and each within a limit, so that those whose provider hangs do not hold up the
    /// others.
    async fn all<S: Debug>(
        subjects: impl IntoIterator<Item = S>,
        recover: impl AsyncFn(&S) -> Result<(), Cause>,
    ) -> Self {
        let recover = &recover;
        let recoveries = subjects.into_iter().map(|subject| {
            let recovery = async move {
                // Boxed, because the nested futures would exceed the compiler's depth limit.
                let recovered = tokio::time::timeout(RECOVERY_LIMIT, Box::pin(recover(&subject))).await;
                match recovered.unwrap_or_else(|late| Err(late.into())) {
                    Ok(()) => Self { recovered: 1, failed: 0 },
                    Err(cause) => {
                        let error = telemetry::describe(cause.as_ref());
                        tracing::error!(subject = format!("{subject:?}"), error, "not recovered");
                        Self { recovered: 0, failed: 1 }
                    }
                }
            };
            recovery.instrument(telemetry::span("sweep-orders"))
        });
        stream::iter(recoveries).buffer_unordered(AT_ONCE).fold(Self::default(), async |sum, one| sum + one).await
    }
}

impl Add for Swept {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { recovered: self.recovered + other.recovered, failed: self.failed + other.failed }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn event(input: &Value) -> String {
        json!({"detail": {"status": "ABORTED", "input": input}}).to_string()
    }

    #[test]
    fn a_status_change_has_the_submission_of_its_execution() {
        let submission = Submission { order: fixtures::order(), trace: None };
        let change = StatusChange::parse(&event(&serde_json::to_string(&submission).unwrap().into())).unwrap();
        assert_eq!(change.submission().unwrap(), submission);
    }

    #[test]
    fn a_status_change_without_input_is_refused() {
        assert!(StatusChange::parse(&event(&Value::Null)).is_err());
        assert!(StatusChange::parse("").is_err());
    }

    #[test]
    fn an_order_in_the_index_is_not_recovered_by_its_execution_as_well() {
        let key = fixtures::order().key().clone();
        let arn = |name: &str| format!("arn:aws:states:eu-west-1:123456789012:execution:Orders:{name}");
        let executions = [arn(&key.id.to_string()), arn("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1")];
        assert_eq!(not_among(&[key], &executions), [&executions[1]]);
        assert_eq!(not_among(&[], &executions), [&executions[0], &executions[1]]);
    }

    #[tokio::test]
    async fn a_sweep_logs_what_is_owed() {
        let (now, then) = (Timestamp::now(), Timestamp::now().before(Duration::from_hours(48)));
        let accepted = fixtures::order().accepted(then).unwrap();
        let maybe_paid = accepted.payment_unknown(then).unwrap();
        let paid = accepted.paid(then).unwrap().refused("closed", then).unwrap();
        let unknown = maybe_paid.refund_not_found(&maybe_paid, now).unwrap();
        let failed = paid.refund_not_found(&paid, now).unwrap();
        let made = failed.refunded(now).unwrap();
        let found = [None, Some(&accepted), Some(&maybe_paid), Some(&unknown), Some(&failed), Some(&made)];
        for (found, expected) in [(&found[..], (1, 2, 9000)), (&[], (0, 0, 0))] {
            let log = async || found.iter().fold(Owed::default(), |owed, order| owed.with(*order)).log();
            let [line] = <[Value; 1]>::try_from(telemetry::logged(log).await).unwrap();
            let number = |field: &str| line[field].as_u64().unwrap();
            let logged = (number("refunds_owed"), number("refunds_by_hand"), number("owed_minor_units"));
            assert_eq!(logged, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn orders_that_hang_hold_up_no_other() {
        let started = tokio::time::Instant::now();
        let swept = Swept::all(0..101, async |n| match n {
            100 => Ok(()),
            0 => Err("refused".into()),
            _ => std::future::pending().await,
        });
        assert_eq!(swept.await, Swept { recovered: 1, failed: 100 });
        assert!(started.elapsed() <= 6 * RECOVERY_LIMIT, "they are recovered at the same time");
    }
}
