//! The orders in DynamoDB: partition key `user_id`, sort key `id`.
//!
//! Every write is one conditional request. When its condition fails, DynamoDB returns the order as it is
//! (`ReturnValuesOnConditionCheckFailure`), which tells the reasons apart without a second read.

use std::collections::HashMap;
use std::error::Error;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::aws;
use crate::config::Tables;
use crate::idempotency::{KeyedRequest, Record};
use crate::order::{Order, OrderContent, OrderKey, OrderStatus, Outcome, Timestamp, Version};
use crate::page::{Cursor, Limit, List, Page};

type Item = HashMap<String, AttributeValue>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such order.
    #[error("no such order")]
    NotFound,
    /// The order is no longer PENDING, and only a PENDING one can be changed.
    #[error("the order is no longer PENDING")]
    NotPending,
    /// The order is being paid and sent, and can neither be changed nor deleted until it is final.
    #[error("the order is in process")]
    InProcess,
    /// The order has another version than the write was meant for.
    #[error("the order has another version")]
    Stale,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// DynamoDB throttles, or is away: the same request may do later.
    #[error("DynamoDB is throttling or away")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Anything else: a mistake of ours.
    #[error("DynamoDB refused the request, or an item is not an order")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl<E> From<SdkError<E>> for StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        if aws::may_pass(&error, &[CONFLICT]) { Self::Unavailable(error.into()) } else { Self::Failed(error.into()) }
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Which versions of an order a write is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whichever it has.
    Any,
    /// One of these; none of them if it is empty.
    OneOf(Vec<Version>),
}

impl Expected {
    /// How many versions can be named at once: DynamoDB's limit for `IN`.
    pub const MAX: usize = 100;

    /// What to add to a write's condition, and the values that it speaks of.
    fn condition(&self) -> (String, Item) {
        match self {
            Self::Any => (String::new(), Item::new()),
            Self::OneOf(versions) => {
                // No order has version 0: it keeps the list from being empty, which DynamoDB does not allow.
                let numbers = if versions.is_empty() { vec![0] } else { versions.iter().map(|v| v.get()).collect() };
                let values: Item = numbers
                    .into_iter()
                    .enumerate()
                    .map(|(n, version)| (format!(":version{n}"), AttributeValue::N(version.to_string())))
                    .collect();
                let names = values.keys().cloned().collect::<Vec<_>>().join(", ");
                (format!(" AND version IN ({names})"), values)
            }
        }
    }
}

/// The orders' table, and the table of idempotency keys beside it.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    tables: Tables,
}

impl Orders {
    /// The orders in those tables.
    #[must_use]
    pub fn new(sdk: &SdkConfig, tables: &Tables) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(sdk).retry_classifier(RetryConflicts).build();
        Self { client: Client::from_conf(config), tables: tables.clone() }
    }

    /// One page of a list, from its start or from a cursor on. Needs `dynamodb:Query` for one user's list and
    /// `dynamodb:Scan` for everybody's.
    pub async fn list(&self, list: &List, limit: Limit, from: Option<&Cursor>) -> Result<Page, StoreError> {
        let limit = usize::from(limit.get());
        let mut start = from.map(|cursor| serde_dynamo::to_item(cursor.key())).transpose()?;
        let mut orders: Vec<Order> = Vec::new();
        // One order more than the page holds tells whether another page follows. DynamoDB may answer with fewer than
        // it was asked for and still have more.
        loop {
            let missing = i32::try_from(limit + 1 - orders.len()).unwrap_or(i32::MAX);
            let (items, end) = self.read(list, missing, start).await?;
            orders.extend(serde_dynamo::from_items::<_, Order>(items)?);
            start = end;
            if orders.len() > limit || start.is_none() {
                break;
            }
        }
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next = orders.last().filter(|_| more).map(|last| Cursor::after(list.clone(), last));
        Ok(Page { orders, next })
    }

    async fn read(
        &self,
        list: &List,
        limit: i32,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        match list {
            List::All => {
                let scan = self.client.scan().table_name(&self.tables.orders).limit(limit);
                let found = scan.set_exclusive_start_key(start).send().await?;
                Ok((found.items.unwrap_or_default(), found.last_evaluated_key))
            }
            List::Of(user_id) => {
                let query = self
                    .client
                    .query()
                    .table_name(&self.tables.orders)
                    .key_condition_expression("user_id = :user_id")
                    .expression_attribute_values(":user_id", serde_dynamo::to_attribute_value(user_id)?)
                    // Ids sort by age: newest first.
                    .scan_index_forward(false)
                    .limit(limit);
                let found = query.set_exclusive_start_key(start).send().await?;
                Ok((found.items.unwrap_or_default(), found.last_evaluated_key))
            }
        }
    }

    /// That order as its last write left it. Needs `dynamodb:GetItem`.
    pub async fn get(&self, key: &OrderKey) -> Result<Order, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.tables.orders)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .consistent_read(true)
            .send()
            .await?;
        Ok(serde_dynamo::from_item(found.item.ok_or(StoreError::NotFound)?)?)
    }

    /// Saves a new order; never overwrites one. Needs `dynamodb:PutItem`.
    pub async fn create(&self, order: &Order) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.orders)
            .set_item(Some(serde_dynamo::to_item(order)?))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // The SDK tries again when an answer gets lost: then it is this very order that is there already.
                Some(PutItemError::ConditionalCheckFailedException(failed))
                    if failed.item.clone().map(serde_dynamo::from_item).transpose()?.as_ref() == Some(order) =>
                {
                    Ok(())
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Saves a new order and, in the same transaction, the answer to the request that made it; returns that answer.
    /// If the request was answered before, nothing is saved and the first answer is returned. Needs
    /// `dynamodb:PutItem` on both tables.
    pub async fn create_once<A: Serialize + DeserializeOwned>(
        &self,
        order: &Order,
        request: &KeyedRequest,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let save = Put::builder().condition_expression("attribute_not_exists(id)");
        match self.write_once(order, save, request, answer, now).await {
            Err(StoreError::Stale) => Err(StoreError::Failed("another order has that id".into())),
            written => written,
        }
    }

    /// Writes an order under the condition of `save` and, in the same transaction, the answer to the request that
    /// does so; returns that answer, or the one that was written for the request before. If only the condition fails,
    /// it is [`StoreError::Stale`].
    async fn write_once<A: Serialize + DeserializeOwned>(
        &self,
        order: &Order,
        save: PutBuilder,
        request: &KeyedRequest,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let record = request.record(answer, now);
        let remember = Put::builder()
            .table_name(&self.tables.idempotency)
            .set_item(Some(serde_dynamo::to_item(&record)?))
            .condition_expression(NOT_REMEMBERED)
            .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let save = save.table_name(&self.tables.orders).set_item(Some(serde_dynamo::to_item(order)?));
        let step = |put| TransactWriteItem::builder().put(put).build();
        let written = self
            .client
            .transact_write_items()
            .transact_items(step(remember.build().map_err(|error| StoreError::Failed(error.into()))?))
            .transact_items(step(save.build().map_err(|error| StoreError::Failed(error.into()))?))
            .customize()
            .config_override(
                aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::standard().with_max_attempts(10)),
            )
            .send()
            .await;
        match written {
            Ok(_) => Ok(record.answer),
            Err(error) => {
                let reasons = error.as_service_error().map(cancellation_reasons).unwrap_or_default();
                if let Some(item) = reasons.first().and_then(|reason| reason.item.clone()) {
                    return first_answer(item, request);
                }
                Err(if reasons.iter().any(passes) {
                    StoreError::Unavailable(error.into())
                } else if reasons.iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                    StoreError::Stale
                } else {
                    error.into()
                })
            }
        }
    }

    /// Saves what is to be answered to a request from now on, and returns it; or what was saved for it before. Needs
    /// `dynamodb:PutItem` on the table of idempotency keys.
    pub async fn remember<A: Serialize + DeserializeOwned>(
        &self,
        request: &KeyedRequest,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let record = request.record(answer, now);
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.idempotency)
            .set_item(Some(serde_dynamo::to_item(&record)?))
            .condition_expression(NOT_REMEMBERED)
            .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(record.answer),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) if failed.item.is_some() => {
                    first_answer(failed.item.clone().unwrap_or_default(), request)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Replaces what a client says of an order, and returns the order as it then is. Needs `dynamodb:UpdateItem`.
    pub async fn replace(
        &self,
        key: &OrderKey,
        content: &OrderContent,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Order, StoreError> {
        let (condition, mut values) = expected.condition();
        values.insert(":restaurant_id".into(), serde_dynamo::to_attribute_value(&content.restaurant_id)?);
        values.insert(":quantity".into(), serde_dynamo::to_attribute_value(content.quantity)?);
        values.insert(":now".into(), serde_dynamo::to_attribute_value(now)?);
        values.insert(":one".into(), AttributeValue::N("1".into()));
        values.insert(":pending".into(), serde_dynamo::to_attribute_value(OrderStatus::Pending)?);

        let update = self
            .client
            .update_item()
            .table_name(&self.tables.orders)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .update_expression(
                "SET restaurant_id = :restaurant_id, quantity = :quantity, updated_at = :now, version = version + :one",
            )
            .condition_expression(format!(
                "attribute_exists(id) AND order_status = :pending AND attribute_not_exists(accepted_at){condition}"
            ))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match update {
            Ok(updated) => Ok(serde_dynamo::from_item(updated.attributes.unwrap_or_default())?),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item.clone().ok_or(StoreError::NotFound)?;
                    let order: Order = serde_dynamo::from_item(item)?;
                    match order.order_status {
                        _ if order.is_in_process() => Err(StoreError::InProcess),
                        // As in `create`: the write of this very instant is this one, tried again.
                        OrderStatus::Pending if order.updated_at == now && order.content() == *content => Ok(order),
                        OrderStatus::Pending => Err(StoreError::Stale),
                        OrderStatus::Success | OrderStatus::Failure => Err(StoreError::NotPending),
                    }
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Deletes an order. Needs `dynamodb:DeleteItem`.
    pub async fn delete(&self, key: &OrderKey, expected: &Expected) -> Result<(), StoreError> {
        let (condition, mut values) = expected.condition();
        values.insert(":pending".into(), serde_dynamo::to_attribute_value(OrderStatus::Pending)?);
        let delete = self
            .client
            .delete_item()
            .table_name(&self.tables.orders)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .condition_expression(format!(
                "attribute_exists(id) AND (order_status <> :pending OR attribute_not_exists(accepted_at)){condition}"
            ))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match delete {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item.clone().ok_or(StoreError::NotFound)?;
                    let order: Order = serde_dynamo::from_item(item)?;
                    Err(if order.is_in_process() { StoreError::InProcess } else { StoreError::Stale })
                }
                _ => Err(error.into()),
            },
        }
    }
}

/// What the workflow does with an order. Each step may be done twice: the second time it finds its own work.
impl Orders {
    /// Saves an order that was submitted; never a second time, also when it has been deleted meanwhile. Needs
    /// `dynamodb:PutItem` on both tables.
    pub async fn save(&self, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        self.create_once(order, &KeyedRequest::saving(&order.key()), (), now).await
    }

    /// Accepts an order, and returns it as it is paid and sent from now on; none if it was deleted, or is final. Needs
    /// `dynamodb:UpdateItem`.
    pub async fn accept(&self, key: &OrderKey, now: Timestamp) -> Result<Option<Order>, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.orders)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .update_expression("SET accepted_at = :now, updated_at = :now, version = version + :one")
            .condition_expression(
                "attribute_exists(id) AND order_status = :pending AND attribute_not_exists(accepted_at)",
            )
            .expression_attribute_values(":now", serde_dynamo::to_attribute_value(now)?)
            .expression_attribute_values(":one", AttributeValue::N("1".into()))
            .expression_attribute_values(":pending", serde_dynamo::to_attribute_value(OrderStatus::Pending)?)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let item = match update {
            Ok(updated) => updated.attributes,
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.clone(),
                _ => return Err(error.into()),
            },
        };
        let order: Option<Order> = item.map(serde_dynamo::from_item).transpose()?;
        // In process already: accepted before, by this very step.
        Ok(order.filter(Order::is_in_process))
    }

    /// Ends an order, once, and returns it as it ended, the first time, also when it has been deleted since; none if
    /// it was deleted before it could end. [`StoreError::Stale`] if it was written meanwhile: try again. Needs
    /// `dynamodb:GetItem` and `dynamodb:PutItem` on both tables.
    ///
    /// A final order can be deleted at once. So what it was is kept for the steps after this one, in the transaction
    /// that ends it.
    pub async fn complete(
        &self,
        key: &OrderKey,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        let ending = KeyedRequest::ending(key);
        match self.get(key).await {
            Ok(order) if order.order_status == OrderStatus::Pending => {
                let ended = order.ended(outcome, now);
                let save = Put::builder()
                    .condition_expression("version = :version")
                    .expression_attribute_values(":version", serde_dynamo::to_attribute_value(order.version)?);
                self.write_once(&ended, save, &ending, ended.clone(), now).await.map(Some)
            }
            Ok(order) => Ok(Some(order)),
            Err(StoreError::NotFound) => self.remembered(&ending).await,
            Err(error) => Err(error),
        }
    }

    /// Says in a failed order that its refund has failed, if it is still there. Needs `dynamodb:PutItem`.
    pub async fn note_failed_refund(&self, order: &Order, now: Timestamp) -> Result<Order, StoreError> {
        let noted = order.clone().with_failed_refund();
        if noted == *order {
            return Ok(noted);
        }
        let noted = noted.written(now);
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.orders)
            .set_item(Some(serde_dynamo::to_item(&noted)?))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", serde_dynamo::to_attribute_value(order.version)?)
            .send()
            .await;
        match put {
            Ok(_) => Ok(noted),
            // Nobody but this step changes what is final: it was deleted, or is noted already.
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(noted)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The answer that was given to a request, if it was. Needs `dynamodb:GetItem` on the table of idempotency keys.
    async fn remembered<A: DeserializeOwned>(&self, request: &KeyedRequest) -> Result<Option<A>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.tables.idempotency)
            .key("id", AttributeValue::S(request.id().to_owned()))
            .consistent_read(true)
            .send()
            .await?;
        found.item.map(|record| first_answer(record, request)).transpose()
    }
}

/// The condition under which a key is free. An expired record counts as none: DynamoDB takes its time to delete it.
const NOT_REMEMBERED: &str = "attribute_not_exists(id) OR expires_at <= :now";

/// The answer that is kept in a record, if it is that request's. Another request's may be of another form.
fn first_answer<A: DeserializeOwned>(record: Item, request: &KeyedRequest) -> Result<A, StoreError> {
    if !serde_dynamo::from_item::<_, Record<IgnoredAny>>(record.clone())?.is_of(request) {
        return Err(StoreError::KeyReused);
    }
    Ok(serde_dynamo::from_item::<_, Record<A>>(record)?.answer)
}

fn cancellation_reasons(error: &TransactWriteItemsError) -> &[CancellationReason] {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        _ => &[],
    }
}

/// Whether a transaction that was cancelled for that reason may succeed when it is tried again.
fn passes(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

/// What DynamoDB calls a single write that meets a transaction on the same item.
const CONFLICT: &str = "TransactionConflictException";

/// The SDK does not by itself try a cancelled transaction again, whatever the reason, nor a write that met one. What ran
/// into another, such as the same request sent twice at once, is worth it.
#[derive(Debug)]
struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let cancelled = error.and_then(|error| error.downcast_ref::<TransactWriteItemsError>());
        let conflicts = cancelled.is_some_and(|error| cancellation_reasons(error).iter().any(passes))
            || error.and_then(|error| error.downcast_ref::<UpdateItemError>()?.code()) == Some(CONFLICT)
            || error.and_then(|error| error.downcast_ref::<DeleteItemError>()?.code()) == Some(CONFLICT)
            || error.and_then(|error| error.downcast_ref::<PutItemError>()?.code()) == Some(CONFLICT);
        if conflicts { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}
