use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Item, StoreError, client, read};
use crate::aws::{Ping, opened, ping_once};
use crate::environment::{self, EnvironmentError};
use crate::idempotency::{IdempotencyRecord, Operation};
use crate::order::Timestamp;

/// Condition under which a record can be saved. An expired record counts as none: DynamoDB deletes it some time later.
const IS_NEW: &str = "attribute_not_exists(id) OR expires_at <= :now";

/// The table of idempotency records: partition key `id`.
#[derive(Debug, Clone)]
pub struct IdempotencyRecords {
    client: Client,
    table: String,
}

impl IdempotencyRecords {
    /// The function's table.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `IDEMPOTENCY_TABLE` | name of the table |
    pub fn from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("IDEMPOTENCY_TABLE", "the name of a table")?))
    }

    /// The table of that name.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: client(sdk), table: table.into() }
    }

    /// Opens a connection to DynamoDB. Needs no right.
    pub async fn connect(&self) {
        let once = aws_sdk_dynamodb::Config::builder().retry_config(ping_once());
        let ping = self.client.put_item().table_name(&self.table).customize().interceptor(Ping);
        opened(ping.config_override(once).send()).await;
    }

    /// Saves the answer to an operation and returns it, or returns the answer that was saved for it before. Needs
    /// `dynamodb:PutItem`.
    pub async fn save<A: Serialize + DeserializeOwned>(
        &self,
        operation: &Operation,
        answer: A,
        now: Timestamp,
    ) -> Result<A, StoreError> {
        let record = operation.record(answer, now);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(&record)?))
            .condition_expression(IS_NEW)
            .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(record.answer),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) if failed.item.is_some() => {
                    first_answer(failed.item.clone().unwrap_or_default(), operation)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Saves the answer to an operation, unless there is a record of it. Returns true if it did; if the answer to the request
    /// gets lost, the SDK's repeat returns false. Needs `dynamodb:PutItem`.
    pub async fn save_new<A: Serialize>(
        &self,
        operation: &Operation,
        answer: A,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(operation.record(answer, now))?))
            .condition_expression(IS_NEW)
            .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Step of a transaction that saves a record, unless there is one.
    pub(super) fn save_step<A: Serialize>(
        &self,
        record: &IdempotencyRecord<A>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(serde_dynamo::to_item(record)?))
            .condition_expression(IS_NEW)
            .expression_attribute_values(":now", AttributeValue::N(now.epoch_seconds().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = put.build().map_err(|error| StoreError::Failed(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The answer in a record, if it is a record of that operation. The answer to another operation may have another form.
pub(super) fn first_answer<A: DeserializeOwned>(record: Item, operation: &Operation) -> Result<A, StoreError> {
    if !read::<IdempotencyRecord<IgnoredAny>>(record.clone())?.is_of(operation) {
        return Err(StoreError::KeyReused);
    }
    Ok(read::<IdempotencyRecord<A>>(record)?.answer)
}
