use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};

use super::{Error, Ping, opened, ping_once};
use crate::environment::{self, EnvironmentError};

/// Queue in SQS.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue of submitted orders.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `ORDERS_QUEUE_URL` | URL of the queue |
    pub fn from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("ORDERS_QUEUE_URL", "the URL of a queue")?))
    }

    /// The dead-letter queue of the function's source queue.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `DEAD_LETTER_QUEUE_URL` | URL of the queue |
    pub fn dead_letters_from_environment(sdk: &SdkConfig) -> Result<Self, EnvironmentError> {
        Ok(Self::new(sdk, environment::required("DEAD_LETTER_QUEUE_URL", "the URL of a queue")?))
    }

    /// The queue at that URL.
    #[must_use]
    pub fn new(sdk: &SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(sdk), url: url.into() }
    }

    /// Opens a connection to SQS. Needs no right.
    pub async fn connect(&self) {
        let once = aws_sdk_sqs::Config::builder().retry_config(ping_once());
        opened(self.client.send_message().customize().interceptor(Ping).config_override(once).send()).await;
    }

    /// Sends a message, with X-Ray's header as its system attribute `AWSTraceHeader`. Needs `sqs:SendMessage`.
    pub async fn send(&self, body: &str, trace: Option<&str>) -> Result<(), Error> {
        let mut send = self.client.send_message().queue_url(&self.url).message_body(body);
        if let Some(trace) = trace {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
            let value = value.map_err(|error| Error::Failed(error.into()))?;
            send = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
        send.send().await?;
        Ok(())
    }
}
