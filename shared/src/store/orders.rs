use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, Value};

use super::attributes::Attributes;
use super::records::{IdempotencyRecords, first_answer};
use super::{Item, StoreError, cancellation_reasons, client, is_too_old, is_transient, once_client, read};
use crate::aws::{Body, Ping, opened, ping_once};
use crate::environment::{self, EnvironmentError};
use crate::idempotency::Operation;
use crate::money::Money;
use crate::order::{Expected, Order, OrderContent, OrderForm, OrderId, OrderKey, OrderStatus, Refusal, Timestamp};
use crate::page::{Cursor, Limit, List, Page};
use crate::telemetry;

/// Name of the index of orders that are not settled.
const UNSETTLED: &str = "unsettled";

/// Attempts to record a fact while others write the order.
const RECORD_ATTEMPTS: usize = 10;

/// The part of a write's condition that names the versions, and the values in it.
fn condition(expected: &Expected) -> (String, Item) {
    let (operator, versions) = match expected {
        Expected::Any => return (String::new(), Item::new()),
        Expected::OneOf(versions) => ("", versions),
        Expected::NoneOf(versions) => ("NOT ", versions),
    };
    // DynamoDB does not allow an empty list, and no order has version 0.
    let numbers = if versions.is_empty() { vec![0] } else { versions.iter().map(|v| v.get()).collect() };
    let values: Item = numbers
        .into_iter()
        .enumerate()
        .map(|(n, version)| (format!(":version{n}"), AttributeValue::N(version.to_string())))
        .collect();
    let names = values.keys().cloned().collect::<Vec<_>>().join(", ");
    (format!(" AND {operator}(version IN ({names}))"), values)
}

/// The actions of an update expression that replace these fields of an item: those that are null are removed. Their names
/// and values go to the maps; any name may be a reserved word.
fn replacement(fields: Item, names: &mut HashMap<String, String>, values: &mut Item) -> String {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        if value.is_null() {
            remove.push(format!("#{name}"));
        } else {
            set.push(format!("#{name} = :{name}"));
            values.insert(format!(":{name}"), value);
        }
        names.insert(format!("#{name}"), name);
    }
    let actions = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, fields)| !fields.is_empty());
    actions.map(|(action, fields)| format!("{action} {}", fields.join(", "))).collect::<Vec<_>>().join(" ")
}

/// The table of orders: partition key `user_id`, sort key `id`.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    /// Repeats no write whose answer got lost.
    once: Client,
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
        Self { client: client(sdk), once: once_client(sdk), table: table.into() }
    }

    /// Opens a connection to DynamoDB. Needs no right.
    pub async fn connect(&self) {
        let once = aws_sdk_dynamodb::Config::builder().retry_config(ping_once());
        let ping = self.client.get_item().table_name(&self.table).customize().interceptor(Ping);
        opened(ping.config_override(once).send()).await;
    }

    /// One page of a list, from its start or from a cursor on. An item that is not an order is skipped and logged. Needs
    /// `dynamodb:Query` for one user's list and `dynamodb:Scan` for everybody's.
    pub async fn list(&self, list: &List, limit: Limit, from: Option<&Cursor>) -> Result<Page, StoreError> {
        let limit = usize::from(limit.get());
        let mut start = from.map(|cursor| serde_dynamo::to_item(cursor.key())).transpose()?;
        let mut orders: Vec<Order> = Vec::new();
        // One order more than the page holds shows that another page follows: DynamoDB gives a last key even if
        // nothing follows, and may return fewer items than requested although it has more.
        loop {
            let missing = i32::try_from(limit + 1 - orders.len()).unwrap_or(i32::MAX);
            let answer = self.read(list, missing, start).await?;
            let (found, end) = found(&answer)?;
            orders.extend(found);
            start = end.map(|Attributes(key)| serde_dynamo::to_item(key)).transpose()?;
            if orders.len() > limit || start.is_none() {
                break;
            }
        }
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next = orders.last().filter(|_| more).map(|last| Cursor::after(list.clone(), last));
        Ok(Page { orders, next })
    }

    /// DynamoDB's answer to a request for items of a list.
    async fn read(&self, list: &List, limit: i32, start: Option<Item>) -> Result<String, StoreError> {
        let body = Body::default();
        match list {
            List::All => {
                let scan = self.client.scan().table_name(&self.table).limit(limit);
                scan.set_exclusive_start_key(start).customize().interceptor(body.clone()).send().await?;
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
                query.set_exclusive_start_key(start).customize().interceptor(body.clone()).send().await?;
            }
        }
        Ok(body.take())
    }

    /// The order as its last write left it. Needs `dynamodb:GetItem`.
    pub async fn get(&self, key: &OrderKey) -> Result<Order, StoreError> {
        let body = Body::default();
        let get = self.client.get_item().table_name(&self.table).set_key(Some(serde_dynamo::to_item(key)?));
        get.consistent_read(true).customize().interceptor(body.clone()).send().await?;
        let Got { item } = serde_json::from_str(&body.take())?;
        item.map(|Attributes(order)| order).ok_or(StoreError::NotFound)
    }

    /// The order as its last write left it; none if it is gone. Needs `dynamodb:GetItem`.
    pub async fn find(&self, key: &OrderKey) -> Result<Option<Order>, StoreError> {
        match self.get(key).await {
            Err(StoreError::NotFound) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Saves a new order; never overwrites one. Needs `dynamodb:PutItem`.
    pub async fn create(&self, order: &Order) -> Result<(), StoreError> {
        let put = self.once.put_item().table_name(&self.table).set_item(Some(stored(order)?));
        put.condition_expression("attribute_not_exists(id)").send().await?;
        Ok(())
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
        let record = operation.record(answer, now);
        let put = Put::builder().table_name(&self.table).set_item(Some(stored(order)?));
        let put = put.condition_expression("attribute_not_exists(id)").build();
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
                Err(if reasons.iter().any(is_transient) { StoreError::Unavailable(error.into()) } else { error.into() })
            }
        }
    }

    /// Replaces the content and the total of an order, and returns the order after it. Needs `dynamodb:UpdateItem`.
    pub async fn replace(
        &self,
        key: &OrderKey,
        content: &OrderContent,
        total: Money,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Order, StoreError> {
        let (condition, mut values) = condition(expected);
        let mut fields: Item = serde_dynamo::to_item(content)?;
        fields.insert("total".into(), serde_dynamo::to_attribute_value(total)?);
        fields.insert("updated_at".into(), serde_dynamo::to_attribute_value(now)?);
        let mut names = HashMap::new();
        let replacement = replacement(fields, &mut names, &mut values);
        values.insert(":one".into(), AttributeValue::N("1".into()));
        values.insert(":pending".into(), serde_dynamo::to_attribute_value(OrderStatus::Pending)?);

        let body = Body::default();
        let update = self
            .once
            .update_item()
            .table_name(&self.table)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .update_expression(format!("{replacement} ADD version :one"))
            .set_expression_attribute_names(Some(names))
            .condition_expression(format!(
                "attribute_exists(id) AND order_status = :pending AND attribute_not_exists(accepted_at){condition}"
            ))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .interceptor(body.clone())
            .send()
            .await;
        match update {
            Ok(_) => Ok(serde_json::from_str::<Updated>(&body.take())?.attributes.0),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let before = order(failed.item.clone().ok_or(StoreError::NotFound)?)?;
                    Err(refusal(before.replaced(content, total, expected, now).err()))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Deletes an order. If there is none, it keeps a submitted order of that id from being saved later, so that
    /// [`StoreError::NotFound`] is final. Needs `dynamodb:DeleteItem`, and `dynamodb:PutItem` on the table of records.
    pub async fn delete(
        &self,
        records: &IdempotencyRecords,
        key: &OrderKey,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.delete_item(key, expected).await {
            // An older order is not saved any more.
            Err(StoreError::NotFound) if !is_too_old(key.id, now) => {
                if records.save_new(&Operation::save(key), (), now).await? {
                    return Err(StoreError::NotFound);
                }
                // The order was saved before, perhaps only now: between the deletion and the record.
                self.delete_item(key, expected).await
            }
            deleted => deleted,
        }
    }

    async fn delete_item(&self, key: &OrderKey, expected: &Expected) -> Result<(), StoreError> {
        let (condition, mut values) = condition(expected);
        values.insert(":pending".into(), serde_dynamo::to_attribute_value(OrderStatus::Pending)?);
        let delete = self
            .once
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(serde_dynamo::to_item(key)?))
            .condition_expression(format!(
                "attribute_exists(id) AND ((order_status = :pending AND attribute_not_exists(accepted_at)) \
                 OR (order_status <> :pending AND attribute_not_exists(unsettled))){condition}"
            ))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match delete {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                    let before = order(failed.item.clone().ok_or(StoreError::NotFound)?)?;
                    Err(refusal(before.may_be_deleted(expected).err()))
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
        if is_too_old(order.id(), now) {
            // Its record may have expired, so it could be saved for the second time.
            return Err(StoreError::Failed("the order is too old to be saved".into()));
        }
        self.create_once(records, order, &Operation::save(order.key()), (), now).await
    }

    /// Records a fact: reads the order, makes the transition, and saves the result if the order was not written meanwhile;
    /// otherwise starts again. Returns the order after it; none if the order is gone. Needs `dynamodb:GetItem` and
    /// `dynamodb:PutItem`.
    pub async fn record(
        &self,
        key: &OrderKey,
        transition: impl Fn(&Order) -> Option<Order>,
    ) -> Result<Option<Order>, StoreError> {
        for _ in 0..RECORD_ATTEMPTS {
            // Boxed, because the futures of the steps would exceed the compiler's depth limit.
            let Some(before) = Box::pin(self.find(key)).await? else { return Ok(None) };
            let Some(after) = transition(&before) else { return Ok(Some(before)) };
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(stored(&after)?))
                .condition_expression("version = :version")
                .expression_attribute_values(":version", serde_dynamo::to_attribute_value(before.version())?);
            match Box::pin(put.send()).await {
                Ok(_) => return Ok(Some(after)),
                // The SDK repeats a write whose answer got lost. So this may be its own work, which the transition
                // recognises in the order that it finds next.
                Err(error)
                    if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("the order is written too often at the same time".into()))
    }

    /// Key of the order with that id, if the order is not settled. Needs `dynamodb:Query` on the index.
    pub async fn find_unsettled(&self, id: OrderId) -> Result<Option<OrderKey>, StoreError> {
        let items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(UNSETTLED)
            .key_condition_expression("unsettled = :partition")
            .filter_expression("id = :id")
            .expression_attribute_values(":partition", AttributeValue::S(OrderForm::partition(id).into()))
            .expression_attribute_values(":id", serde_dynamo::to_attribute_value(id)?)
            .into_paginator()
            .items()
            .send();
        let found = items.collect::<Result<Vec<_>, _>>().await?;
        Ok(found.into_iter().next().map(read).transpose()?)
    }

    /// Keys of the orders that are not settled, and were last written before that instant, the oldest first. Needs
    /// `dynamodb:Query` on the index.
    pub async fn unsettled(&self, before: Timestamp) -> Result<Vec<(OrderKey, Timestamp)>, StoreError> {
        let mut found = Vec::new();
        for partition in OrderForm::PARTITIONS {
            let items = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(UNSETTLED)
                .key_condition_expression("unsettled = :partition AND updated_at < :before")
                .expression_attribute_values(":partition", AttributeValue::S(partition.into()))
                .expression_attribute_values(":before", serde_dynamo::to_attribute_value(before)?)
                .into_paginator()
                .items()
                .send();
            for item in items.collect::<Result<Vec<_>, _>>().await? {
                let Unsettled { key, updated_at } = read(item)?;
                found.push((key, updated_at));
            }
        }
        found.sort_by_key(|(_, updated_at)| *updated_at);
        Ok(found)
    }
}

/// Answer of a `GetItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    item: Option<Attributes<Order>>,
}

/// Answer of an `UpdateItem` that returns the item.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Updated {
    attributes: Attributes<Order>,
}

/// Answer of a Query or a Scan.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found<I> {
    items: Vec<I>,
    #[serde(rename = "LastEvaluatedKey")]
    last: Option<Attributes<Key>>,
}

/// Key of an item, also of one that is not an order.
#[derive(Serialize, Deserialize)]
struct Key {
    user_id: String,
    id: String,
}

/// Item of the index.
#[derive(Deserialize)]
struct Unsettled {
    #[serde(flatten)]
    key: OrderKey,
    updated_at: Timestamp,
}

fn stored(order: &Order) -> Result<Item, StoreError> {
    Ok(serde_dynamo::to_item(OrderForm::stored(order))?)
}

fn order(item: Item) -> Result<Order, StoreError> {
    Ok(read(item)?)
}

/// Meaning of a write that DynamoDB refused, as the domain judges the order before it.
fn refusal(judged: Option<Refusal>) -> StoreError {
    match judged {
        Some(Refusal::NotPending) => StoreError::NotPending,
        Some(Refusal::InProcess) => StoreError::InProcess,
        Some(Refusal::Stale) => StoreError::Stale,
        None => StoreError::Failed("DynamoDB refused a write that the order allows".into()),
    }
}

/// The orders in an answer, and the key after which it ends.
fn found(answer: &str) -> Result<(Vec<Order>, Option<Attributes<Key>>), serde_json::Error> {
    if let Ok(Found { items, last }) = serde_json::from_str::<Found<Attributes<Order>>>(answer) {
        return Ok((items.into_iter().map(|Attributes(order)| order).collect(), last));
    }
    // An item is not an order: it must not spoil the others.
    let Found { items, last } = serde_json::from_str::<Found<&RawValue>>(answer)?;
    Ok((items.into_iter().filter_map(readable).collect(), last))
}

/// The order in an item of the table. An item that is not an order is logged by its key, and counted by the template's
/// metric filter: one damaged item must not make a whole list unreadable.
fn readable(item: &RawValue) -> Option<Order> {
    match serde_json::from_str(item.get()) {
        Ok(Attributes(order)) => Some(order),
        Err(error) => {
            let item = serde_json::from_str::<Value>(item.get()).unwrap_or_default();
            let [user_id, id] = ["user_id", "id"].map(|name| item[name]["S"].as_str());
            let error = telemetry::describe(&error);
            tracing::error!(unreadable_item = true, user_id, id, error, "skipped an item that is not an order");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_item_that_is_not_an_order_is_logged_by_its_key() {
        let item = r#"{"user_id": {"S": "Ann"}, "id": {"S": "1"}, "order_status": {"X": "secret"}}"#;
        let answer = format!(r#"{{"Items": [{item}, {{}}]}}"#);
        let lines = telemetry::logged(async || assert!(found(&answer).unwrap().0.is_empty())).await;
        let keys: Vec<_> = lines.iter().map(|line| [&line["user_id"], &line["id"]]).collect();
        assert_eq!(keys, [[&json!("Ann"), &json!("1")], [&Value::Null, &Value::Null]]);
    }

    #[test]
    fn a_replacement_sets_the_fields_that_have_a_value_and_removes_the_others() {
        let of = |fields: &[(&str, AttributeValue)]| {
            let (mut names, mut values) = (HashMap::new(), Item::new());
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            (replacement(fields, &mut names, &mut values), names.len(), values.len())
        };
        let (set, null) = (("size", AttributeValue::S("L".into())), ("note", AttributeValue::Null(true)));
        assert_eq!(of(std::slice::from_ref(&set)), ("SET #size = :size".into(), 1, 1));
        assert_eq!(of(&[set, null]), ("SET #size = :size REMOVE #note".into(), 2, 1));
    }
}
