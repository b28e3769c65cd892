use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::records::{IdempotencyRecords, first_answer};
use super::{Item, StoreError, cancellation_reasons, client, is_transient};
use crate::environment::{self, EnvironmentError};
use crate::idempotency::Operation;
use crate::order::{Order, OrderContent, OrderKey, OrderStatus, Outcome, Timestamp, Version};
use crate::page::{Cursor, Limit, List, Page};

/// Versions of an order that a write expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any version.
    Any,
    /// One of these; an empty list matches no order.
    OneOf(Vec<Version>),
}

impl Expected {
    /// Number of versions that can be named at once: DynamoDB's limit for `IN`.
    pub const MAX: usize = 100;

    /// The part of a write's condition that names the versions, and the values in it.
    fn condition(&self) -> (String, Item) {
        match self {
            Self::Any => (String::new(), Item::new()),
            Self::OneOf(versions) => {
                // DynamoDB does not allow an empty list, and no order has version 0.
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

/// The table of orders: partition key `user_id`, sort key `id`.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    table: String,
}

impl Orders {
    /// The function's table.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `ORDERS_TABLE` | name of the table |
    pub fn from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("ORDERS_TABLE", "the name of a table")?))
    }

    /// The table of that name.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: client(sdk), table: table.into() }
    }

    /// One page of a list, from its start or from a cursor on. An item that is not an order is skipped and logged. Needs
    /// `dynamodb:Query` for one user's list and `dynamodb:Scan` for everybody's.
    pub async fn list(&self, list: &List, limit: Limit, from: Option<&Cursor>) -> Result<Page, StoreError> {
        let limit = usize::from(limit.get());
        let mut start = from.map(|cursor| serde_dynamo::to_item(cursor.key())).transpose()?;
        let mut orders: Vec<Order> = Vec::new();
        // One order more than the page holds tells whether another page follows: DynamoDB gives a last key even if
        // nothing follows, and may return fewer items than requested although it has more.
        loop {
            let missing = i32::try_from(limit + 1 - orders.len()).unwrap_or(i32::MAX);
            let (items, end) = self.read(list, missing, start).await?;
            orders.extend(items.into_iter().filter_map(readable));
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
                let scan = self.client.scan().table_name(&self.table).limit(limit);
                let found = scan.set_exclusive_start_key(start).send().await?;
                Ok((found.items.unwrap_or_default(), found.last_evaluated_key))
            }
            List::Of(user_id) => {
                let query = self
                    .client
                    .query()
                    .table_name(&self.table)
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

    /// The order as its last write left it. Needs `dynamodb:GetItem`.
    pub async fn get(&self, key: &OrderKey) -> Result<Order, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
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
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(order)?))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // The SDK repeats a request whose answer got lost: then the order in the table is this one.
                Some(PutItemError::ConditionalCheckFailedException(failed))
                    if failed.item.clone().map(serde_dynamo::from_item).transpose()?.as_ref() == Some(order) =>
                {
                    Ok(())
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Saves a new order and, in the same transaction, the record of the operation with its answer; returns that answer.
    /// If there is a record already, nothing is saved and its answer is returned. Needs `dynamodb:PutItem` on both
    /// tables.
    pub async fn create_once<A: Serialize + DeserializeOwned>(
        &self,
        records: &IdempotencyRecords,
        order: &Order,
        operation: &Operation,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let put = Put::builder().condition_expression("attribute_not_exists(id)");
        match self.write_once(records, order, put, operation, answer, now).await {
            Err(StoreError::Stale) => Err(StoreError::Failed("another order has that id".into())),
            written => written,
        }
    }

    /// Writes an order under the condition of `put` and, in the same transaction, the record of the operation; returns
    /// the answer in the record, the first one if there is a record already. [`StoreError::Stale`] means that the
    /// condition failed.
    async fn write_once<A: Serialize + DeserializeOwned>(
        &self,
        records: &IdempotencyRecords,
        order: &Order,
        put: PutBuilder,
        operation: &Operation,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let record = operation.record(answer, now);
        let put = put.table_name(&self.table).set_item(Some(serde_dynamo::to_item(order)?)).build();
        let put = put.map_err(|error| StoreError::Failed(error.into()))?;
        let written = self
            .client
            .transact_write_items()
            .transact_items(records.save_step(&record, now)?)
            .transact_items(TransactWriteItem::builder().put(put).build())
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
                    return first_answer(item, operation);
                }
                Err(if reasons.iter().any(is_transient) {
                    StoreError::Unavailable(error.into())
                } else if reasons.iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                    StoreError::Stale
                } else {
                    error.into()
                })
            }
        }
    }

    /// Replaces the content of an order, and returns the order after it. Needs `dynamodb:UpdateItem`.
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
            .table_name(&self.table)
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
                        // As in `create`: the write of this very instant is this one, repeated.
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
            .table_name(&self.table)
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

/// Steps of the workflow. Each can be repeated: it finds its own work done.
impl Orders {
    /// Saves a submitted order, at most once, even if it has been deleted since. Needs `dynamodb:PutItem` on both tables.
    pub async fn save(&self, records: &IdempotencyRecords, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        self.create_once(records, order, &Operation::save(&order.key()), (), now).await
    }

    /// Accepts an order, and returns it as it will be paid and sent; none if it was deleted, or is final. Needs
    /// `dynamodb:UpdateItem`.
    pub async fn accept(&self, key: &OrderKey, now: Timestamp) -> Result<Option<Order>, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
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
        // If it is in process already, an earlier attempt of this step accepted it.
        Ok(order.filter(Order::is_in_process))
    }

    /// Ends an order, once, and returns it as it ended the first time, even if it has been deleted since; none if it was
    /// deleted before it ended. [`StoreError::Stale`] means that it was changed at the same time: retryable. Needs
    /// `dynamodb:GetItem` and `dynamodb:PutItem` on both tables.
    ///
    /// A final order can be deleted at once. So the transaction that ends it saves it in a record, too, for the steps that
    /// follow.
    pub async fn complete(
        &self,
        records: &IdempotencyRecords,
        key: &OrderKey,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        let operation = Operation::complete(key);
        match self.get(key).await {
            Ok(order) if order.order_status == OrderStatus::Pending => {
                let ended = order.ended(outcome, now);
                let put = Put::builder()
                    .condition_expression("version = :version")
                    .expression_attribute_values(":version", serde_dynamo::to_attribute_value(order.version)?);
                self.write_once(records, &ended, put, &operation, ended.clone(), now).await.map(Some)
            }
            Ok(order) => Ok(Some(order)),
            Err(StoreError::NotFound) => records.answer(&operation).await,
            Err(error) => Err(error),
        }
    }

    /// Records in a failed order that its refund failed, unless the order was deleted. Needs `dynamodb:PutItem`.
    pub async fn note_failed_refund(&self, order: &Order, now: Timestamp) -> Result<Order, StoreError> {
        let noted = order.clone().with_failed_refund();
        if noted == *order {
            return Ok(noted);
        }
        let noted = noted.written(now);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(&noted)?))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", serde_dynamo::to_attribute_value(order.version)?)
            .send()
            .await;
        match put {
            Ok(_) => Ok(noted),
            // Only this step changes a final order: the order was deleted, or an earlier attempt wrote it.
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(noted)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The order in an item of the table. An item that is not an order is logged by its key, and counted by the template's
/// metric filter: one damaged item must not make a whole list unreadable.
fn readable(item: Item) -> Option<Order> {
    let key = ["user_id", "id"].map(|name| item.get(name).and_then(|value| value.as_s().ok()).cloned());
    match serde_dynamo::from_item(item) {
        Ok(order) => Some(order),
        Err(error) => {
            let [user_id, id] = key;
            let error = error.to_string();
            tracing::error!(unreadable_item = true, user_id, id, error, "skipped an item that is not an order");
            None
        }
    }
}
