use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::json;

use super::{Error, Ping, opened, ping_once};
use crate::environment::{self, EnvironmentError};
use crate::order::Order;

/// Topic of the orders that have become final, in SNS.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The function's topic.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `TOPIC_ARN` | ARN of the topic |
    pub fn from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("TOPIC_ARN", "the ARN of a topic")?))
    }

    /// The topic of that ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), arn: arn.into() }
    }

    /// Opens a connection to SNS. Needs no right.
    pub async fn connect(&self) {
        let once = aws_sdk_sns::Config::builder().retry_config(ping_once());
        opened(self.client.publish().customize().interceptor(Ping).config_override(once).send()).await;
    }

    /// Publishes a final order, or a change of its refund, with its status and its user as attributes to filter by. Needs `sns:Publish`.
    pub async fn publish(&self, order: &Order) -> Result<(), Error> {
        let status = order.status().as_str();
        let news = order.news().ok_or_else(|| Error::Failed("only a final order is published".into()))?;
        let attribute = |value: &str| {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            attribute.map_err(|error| Error::Failed(error.into()))
        };
        let message = json!({ "id": format!("{}:{news}", order.id()), "order": order });
        self.client
            .publish()
            .topic_arn(&self.arn)
            .message(message.to_string())
            .message_attributes("order_status", attribute(status)?)
            .message_attributes("user_id", attribute(order.user_id().as_str())?)
            .send()
            .await?;
        tracing::info!("published: {news}");
        Ok(())
    }
}
