//! Ends the order of an execution that has ended otherwise than it should, and gives back what was paid for it.

use lambda_runtime::Error;
use shared::config::{self, Config, ProviderConfig};
use shared::order::{OrderStatus, Outcome, Timestamp};
use shared::providers::{Decision, Provider, ProviderError};
use shared::store::Orders;
use shared::workflow::{self, StatusChange, Submission, Topic};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let sdk = aws::sdk_config().await;
    let orders = &Orders::new(&sdk, &config.tables);
    let payment = &Provider::new(&ProviderConfig::from_environment("PAYMENT")?)?;
    let topic = &Topic::new(&sdk, config::required("TOPIC_ARN", "the ARN of a topic")?);
    workflow::serve_queue(env!("CARGO_PKG_NAME"), |message| async move {
        recover_order(orders, payment, topic, &StatusChange::parse(&message)?).await
    })
    .await
}

async fn recover_order(orders: &Orders, payment: &Provider, topic: &Topic, change: &StatusChange) -> Result<(), Error> {
    let Submission { order, trace } = change.submission()?;
    let now = Timestamp::now();
    // What could not be saved before ends all the same.
    orders.save(&order, now).await?;
    let outcome = Outcome::Failure {
        error_message: format!("the order could not be processed ({})", change.status()),
        refund_failed: false,
    };
    // First its end, then the refund: a step of the execution that is still at work may end it too, and well.
    let Some(mut order) = orders.complete(&order.key(), &outcome, now).await? else { return Ok(()) };
    if order.order_status == OrderStatus::Failure {
        match payment.refund(&order, trace.as_deref()).await {
            Ok(Decision::Yes) => {}
            Ok(Decision::No { .. }) | Err(ProviderError::Failed(_)) => {
                telemetry::refund_failed();
                order = orders.note_failed_refund(&order, now).await?;
            }
            Err(error @ ProviderError::Retryable(_)) => return Err(error.into()),
        }
    }
    topic.publish(&order).await
}
