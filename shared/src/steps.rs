//! Steps of a submitted order. The tasks of the state machine, the recovery and the sweep all take them here.
//!
//! A step reads the order, and does nothing unless it is the next one ([`Order::next`]): it may run late, twice, or beside
//! another. It asks the provider, and records the answer before it returns. Each returns the step that is next.

use std::time::Duration;

use crate::aws::Topic;
use crate::lambda::TaskError;
use crate::order::{Order, OrderKey, Refund, Step, Timestamp};
use crate::providers::{Cancellation, Charge, Delivery, PaymentProvider, ProviderError, Restaurant};
use crate::store::{Orders, StoreError};
use crate::{environment, telemetry};

/// Time for which a restaurant may answer "not yet".
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLimit(pub Duration);

impl DeliveryLimit {
    /// The function's limit.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `DELIVERY_MINUTES` | minutes from the payment in which a restaurant must confirm an order: 0 to 240 |
    pub fn from_environment() -> Result<Self, environment::EnvironmentError> {
        Self::parse(&environment::required("DELIVERY_MINUTES", "a number of minutes")?)
    }

    fn parse(minutes: &str) -> Result<Self, environment::EnvironmentError> {
        let minutes: Option<u64> = minutes.parse().ok().filter(|minutes| *minutes <= 240);
        let minutes =
            minutes.ok_or_else(|| environment::EnvironmentError::new("DELIVERY_MINUTES", "must be 0 to 240"))?;
        Ok(Self(Duration::from_secs(60 * minutes)))
    }
}

/// The step that is next; nothing if the order is gone.
#[must_use]
pub fn next(order: Option<&Order>) -> Step {
    order.map_or(Step::Nothing, Order::next)
}

/// The order, if `step` is its next step; otherwise the step that is next.
pub fn due(order: Option<Order>, step: Step) -> Result<Order, Step> {
    match order {
        Some(order) if order.next() == step => Ok(order),
        order => Err(next(order.as_ref())),
    }
}

/// Records the answer to a charge.
#[must_use]
pub fn charged(order: &Order, answer: &Charge, now: Timestamp) -> Option<Order> {
    match answer {
        Charge::Paid => order.paid(now),
        Charge::Declined(reason) => order.declined(reason, now),
    }
}

/// Records the answer to a delivery.
#[must_use]
pub fn answered(order: &Order, answer: &Delivery, limit: DeliveryLimit, now: Timestamp) -> Option<Order> {
    match answer {
        Delivery::Confirmed => order.delivered(now),
        Delivery::Refused(reason) => order.refused(reason, now),
        Delivery::NotYet => order.not_delivered_yet(limit.0, now),
    }
}

/// The answer to a cancellation that was requested for `order`. A 404 counts as granted if it is overdue. A
/// missing answer never does: the restaurant may have confirmed the order.
pub fn cancellation(
    order: &Order,
    answer: Result<Cancellation, ProviderError>,
    now: Timestamp,
) -> Result<Cancellation, ProviderError> {
    match answer {
        Err(ProviderError::NotFound) if order.is_cancellation_overdue(now) => Ok(Cancellation::Granted),
        answer => answer,
    }
}

/// Records the answer to a cancellation.
#[must_use]
pub fn cancelled(order: &Order, answer: Cancellation, now: Timestamp) -> Option<Order> {
    match answer {
        Cancellation::Granted => order.cancelled(now),
        Cancellation::TooLate => order.too_late_to_cancel(now),
    }
}

/// Records a fact; returns the step that is next.
async fn record(
    orders: &Orders,
    key: &OrderKey,
    transition: impl Fn(&Order) -> Option<Order>,
) -> Result<Step, StoreError> {
    Ok(next(orders.record(key, transition).await?.as_ref()))
}

/// Raises the alarm for a request that the provider does not accept: a mistake on one of the two sides.
fn alarm(error: &ProviderError) {
    if let ProviderError::Mistake(_) = error {
        telemetry::needs_operator(&error.to_string());
    }
}

/// Accepts the order.
pub async fn accept(orders: &Orders, key: &OrderKey) -> Result<Step, TaskError> {
    Ok(record(orders, key, |order| order.accepted(Timestamp::now())).await?)
}

/// Takes the payment. A payment that is learned after the decision to fail is refunded at once, or by the sweep if the
/// order is final.
pub async fn charge(
    orders: &Orders,
    payment: &PaymentProvider,
    key: &OrderKey,
    trace: Option<&str>,
) -> Result<Step, TaskError> {
    let order = match due(orders.find(key).await?, Step::Charge) {
        Ok(order) => order,
        Err(next) => return Ok(next),
    };
    let answer = payment.charge(&order, trace).await.inspect_err(alarm)?;
    let next = record(orders, key, |order| charged(order, &answer, Timestamp::now())).await?;
    if next == Step::Refund { refund(orders, payment, key, trace).await } else { Ok(next) }
}

/// Sends the order to the restaurant. "Not yet" leaves [`Step::Deliver`] as the next step, until the limit is over.
pub async fn deliver(
    orders: &Orders,
    restaurant: &Restaurant,
    limit: DeliveryLimit,
    key: &OrderKey,
    trace: Option<&str>,
) -> Result<Step, TaskError> {
    let order = match due(orders.find(key).await?, Step::Deliver) {
        Ok(order) => order,
        Err(next) => return Ok(next),
    };
    let answer = restaurant.deliver(&order, trace).await.inspect_err(alarm)?;
    Ok(record(orders, key, |order| answered(order, &answer, limit, Timestamp::now())).await?)
}

/// Cancels the delivery: records that decision, then asks the restaurant.
pub async fn cancel(
    orders: &Orders,
    restaurant: &Restaurant,
    key: &OrderKey,
    trace: Option<&str>,
) -> Result<Step, TaskError> {
    let Some(order) = orders.record(key, |order| order.cancelling(Timestamp::now())).await? else {
        return Ok(Step::Nothing);
    };
    if order.next() != Step::Cancel {
        return Ok(order.next());
    }
    let answer = restaurant.cancel(&order, trace).await.inspect_err(alarm);
    let answer = cancellation(&order, answer, Timestamp::now())?;
    Ok(record(orders, key, |order| cancelled(order, answer, Timestamp::now())).await?)
}

/// Refunds the payment. If it is not known whether the payment was made, it first records the decision to fail.
pub async fn refund(
    orders: &Orders,
    payment: &PaymentProvider,
    key: &OrderKey,
    trace: Option<&str>,
) -> Result<Step, TaskError> {
    let Some(order) = orders.record(key, |order| order.payment_unknown(Timestamp::now())).await? else {
        return Ok(Step::Nothing);
    };
    if order.next() != Step::Refund {
        return Ok(order.next());
    }
    match payment.refund(&order, trace).await.inspect_err(alarm) {
        Ok(()) => Ok(record(orders, key, |current| current.refunded(Timestamp::now())).await?),
        Err(ProviderError::NotFound) => {
            let order = orders.record(key, |current| current.refund_not_found(&order, Timestamp::now())).await?;
            match order.as_ref().and_then(Order::refund) {
                Some(Refund::Owed) => return Err(ProviderError::NotFound.into()),
                Some(Refund::Failed | Refund::Unknown) => {
                    telemetry::needs_operator("the payment provider knows of no such payment: look at its account");
                }
                // Another process has refunded it, or the order is gone.
                Some(Refund::Made) | None => {}
            }
            Ok(next(order.as_ref()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the order final, and publishes it; or publishes a change of its refund.
pub async fn complete(orders: &Orders, topic: &Topic, key: &OrderKey) -> Result<Step, TaskError> {
    let Some(order) = orders.record(key, |order| order.completed(Timestamp::now())).await? else {
        return Ok(Step::Nothing);
    };
    match order.next() {
        Step::Publish => {
            topic.publish(&order).await?;
            Ok(record(orders, key, |current| current.published(&order, Timestamp::now())).await?)
        }
        next => Ok(next),
    }
}
