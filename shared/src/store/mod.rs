//! Orders and idempotency records in DynamoDB, each in a table of its own.
//!
//! **One conditional write.** Every write is one conditional request, or one transaction where a record is saved, too.
//! When a condition fails, DynamoDB returns the order as it is (`ReturnValuesOnConditionCheckFailure`), which tells 404,
//! 409 and 412 apart. A second read could see another state. 409 comes before 412, because a precondition
//! counts only where the request would succeed without it (RFC 9110, 13.2.1).
//!
//! **A lost answer.** The SDK repeats what a service refused without carrying it out: throttles and conflicts. It repeats
//! a write whose answer got lost only if the repeat is recognised as the same: a creation by its idempotency record, a
//! fact by the transition that finds it recorded. A client's other writes are not repeated, because the repeat could
//! undo a write that came between the two; they are 503, which says that the outcome is not known.
//!
//! **Reads.** A single order is read with strong consistency. A list is not: that would cost twice as much, and the list
//! would still be old when it arrives.
//!
//! **A type per table, not a trait per operation.** A handler's signature names the tables that it touches: [`Orders`],
//! [`IdempotencyRecords`] or both. It could name the operations as well, by a trait for each (`GetOrder`,
//! `CreateOrder`), as serverless-rust-demo does. Those traits would have one implementation each, because the tests use
//! a real engine, and they would not stop a handler from a call that its policy denies: DynamoDB does. So each method
//! names the actions that it needs in its doc comment, and `RIGHTS` in `tools/tests/test_template.py` holds each
//! function's policy to one list.

mod attributes;
mod orders;
mod records;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
use serde::de::{self, DeserializeOwned};

use crate::Cause;
use crate::aws::{self, TRANSACTION_CONFLICT};
use crate::order::{OrderId, Timestamp};

pub use orders::Orders;
pub use records::IdempotencyRecords;

type Item = HashMap<String, AttributeValue>;

/// Reason why the store did not carry out an operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such order.
    #[error("no such order")]
    NotFound,
    /// The order is no longer PENDING; only a PENDING order can be changed.
    #[error("the order is no longer PENDING")]
    NotPending,
    /// The order is being paid and sent: it can't be changed any more, nor deleted until it is settled.
    #[error("the order is in process")]
    InProcess,
    /// The order has another version than the write expects.
    #[error("the order has another version")]
    Stale,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// DynamoDB is throttling or unavailable: retryable.
    #[error("DynamoDB is throttling or unavailable")]
    Unavailable(#[source] Cause),
    /// DynamoDB refused the request, or an item is not readable: a mistake of ours.
    #[error("DynamoDB refused the request, or an item is not readable")]
    Failed(#[source] Cause),
}

impl From<aws::Error> for StoreError {
    fn from(error: aws::Error) -> Self {
        match error {
            aws::Error::Unavailable(cause) => Self::Unavailable(cause),
            aws::Error::Failed(cause) => Self::Failed(cause),
        }
    }
}

impl<E> From<SdkError<E>> for StoreError
where
    aws::Error: From<SdkError<E>>,
{
    fn from(error: SdkError<E>) -> Self {
        aws::Error::from(error).into()
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What an item holds. `serde_dynamo` panics at an attribute of a type that the SDK does not know.
fn read<T: DeserializeOwned>(item: Item) -> Result<T, serde_dynamo::Error> {
    if !item.values().all(is_known) {
        return Err(de::Error::custom("an attribute has an unknown type"));
    }
    serde_dynamo::from_item(item)
}

fn is_known(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::L(values) => values.iter().all(is_known),
        AttributeValue::M(fields) => fields.values().all(is_known),
        value => !value.is_unknown(),
    }
}

/// Age from which an order is not saved any more. The record of its first saving lives longer (90 days), so no order is
/// saved twice.
const MAX_SAVE_AGE: Duration = Duration::from_hours(60 * 24);

/// Returns true if an order of that id is not saved any more.
#[must_use]
pub fn is_too_old(id: OrderId, now: Timestamp) -> bool {
    id.age(now) >= MAX_SAVE_AGE
}

/// DynamoDB's client for writes that must not be repeated after a lost answer.
fn once_client(sdk: &SdkConfig) -> Client {
    let config = aws_sdk_dynamodb::config::Builder::from(sdk).retry_classifier(RetryConflicts);
    Client::from_conf(config.retry_classifier(KeepLostAnswers).build())
}

/// DynamoDB's client.
fn client(sdk: &SdkConfig) -> Client {
    Client::from_conf(aws_sdk_dynamodb::config::Builder::from(sdk).retry_classifier(RetryConflicts).build())
}

fn cancellation_reasons(error: &TransactWriteItemsError) -> &[CancellationReason] {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        _ => &[],
    }
}

/// Returns true if a transaction that was cancelled for that reason may succeed later.
fn is_transient(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

/// Makes the SDK repeat a transaction that was cancelled because of another, and a write that met a transaction: for
/// example when a client sends the same request twice at once. Without it the SDK repeats neither.
#[derive(Debug)]
struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let cancelled = error.and_then(|error| error.downcast_ref::<TransactWriteItemsError>());
        let conflict = Some(TRANSACTION_CONFLICT);
        let is_conflict = cancelled.is_some_and(|error| cancellation_reasons(error).iter().any(is_transient))
            || error.and_then(|error| error.downcast_ref::<UpdateItemError>()?.code()) == conflict
            || error.and_then(|error| error.downcast_ref::<DeleteItemError>()?.code()) == conflict
            || error.and_then(|error| error.downcast_ref::<PutItemError>()?.code()) == conflict;
        if is_conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

/// Keeps the SDK from repeating a request of which it is not known whether it was carried out.
#[derive(Debug)]
struct KeepLostAnswers;

impl ClassifyRetry for KeepLostAnswers {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let is_refused = context.response().is_some_and(|response| response.status().is_client_error());
        match context.output_or_error() {
            Some(Err(_)) if !is_refused => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "lost answers"
    }
}
