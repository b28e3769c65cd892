//! Steps of a submitted order. The tasks of the state machine, the recovery and the sweep all take them here.
//!
//! A step reads the order, and does nothing unless it is the next one ([`Order::next`]): it may run late, twice, or beside
//! another. It asks the provider, and records the answer before it returns. Each returns the step that is next.

use std::time::Duration;

use crate::aws::Topic;
use crate::lambda::TaskError;
use crate::order::{Order, OrderKey, Step, Timestamp};
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
    /// | `DELIVERY_MINUTES` | minutes from the payment in which a restaurant must confirm an order: 0 to 1440 |
    pub fn from_environment() -> Result<Self, environment::EnvironmentError> {
        Self::parse(&environment::required("DELIVERY_MINUTES", "a number of minutes")?)
    }

    fn parse(minutes: &str) -> Result<Self, environment::EnvironmentError> {
        let minutes: Option<u64> = minutes.parse().ok().filter(|minutes| *minutes <= 24 * 60);
        let minutes =
            minutes.ok_or_else(|| environment::EnvironmentError::new("DELIVERY_MINUTES", "must be 0 to 1440"))?;
        Ok(Self(Duration::from_secs(60 * minutes)))
    }
}

/// The order, if it is there and `step` is its next step; otherwise the step that is next.
async fn due(orders: &Orders, key: &OrderKey, step: Step) -> Result<Result<Order, Step>, StoreError> {
    match orders.get(key).await {
        Ok(order) if order.next() == step => Ok(Ok(order)),
        Ok(order) => Ok(Err(order.next())),
        Err(StoreError::NotFound) => Ok(Err(Step::Nothing)),
        Err(error) => Err(error),
    }
}

/// Records a fact; returns the step that is next.
async fn record(
    orders: &Orders,
    key: &OrderKey,
    transition: impl Fn(&Order) -> Option<Order>,
) -> Result<Step, StoreError> {
    Ok(orders.record(key, transition).await?.map_or(Step::Nothing, |order| order.next()))
}

/// Accepts the order.
pub async fn accept(orders: &Orders, key: &OrderKey) -> Result<Step, TaskError> {
    Ok(record(orders, key, |order| order.accepted(Timestamp::now())).await?)
}

/// Takes the payment. A payment that is learned after the decision to fail is refunded at once.
pub async fn charge(
    orders: &Orders,
    payment: &PaymentProvider,
    key: &OrderKey,
    trace: Option<&str>,
) -> Result<Step, TaskError> {
    let order = match due(orders, key, Step::Charge).await? {
        Ok(order) => order,
        Err(next) => return Ok(next),
    };
    let answer = payment.charge(&order, trace).await?;
    let next = record(orders, key, |order| match &answer {
        Charge::Paid => order.paid(Timestamp::now()),
        Charge::Declined(reason) => order.declined(reason, Timestamp::now()),
    })
    .await?;
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
    let order = match due(orders, key, Step::Deliver).await? {
        Ok(order) => order,
        Err(next) => return Ok(next),
    };
    let answer = restaurant.deliver(&order, trace).await?;
    let next = record(orders, key, |order| match &answer {
        Delivery::Confirmed => order.delivered(Timestamp::now()),
        Delivery::Refused(reason) => order.refused(reason, Timestamp::now()),
        Delivery::NotYet => order.not_delivered_yet(limit.0, Timestamp::now()),
    });
    Ok(next.await?)
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
    let answer = restaurant.cancel(&order, trace).await;
    if let Err(ProviderError::Mistake(_)) = answer {
        telemetry::needs_operator("the restaurant does not accept the cancellation");
    }
    let answer = match answer {
        Err(_) if order.is_cancellation_overdue(Timestamp::now()) => Cancellation::Granted,
        answer => answer?,
    };
    let next = record(orders, key, |order| match answer {
        Cancellation::Granted => order.cancelled(Timestamp::now()),
        Cancellation::TooLate => order.too_late_to_cancel(Timestamp::now()),
    });
    Ok(next.await?)
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
    match payment.refund(&order, trace).await {
        Ok(()) => Ok(record(orders, key, |current| current.refunded(Timestamp::now())).await?),
        Err(ProviderError::NotFound) => {
            let next = record(orders, key, |current| current.refund_not_found(&order, Timestamp::now())).await?;
            if next == Step::Refund {
                return Err(ProviderError::NotFound.into());
            }
            telemetry::needs_operator("the payment provider knows of no such payment: look at its account");
            Ok(next)
        }
        Err(error) => {
            if let ProviderError::Mistake(_) = error {
                telemetry::needs_operator("the payment provider does not accept the refund");
            }
            Err(error.into())
        }
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
