//! The end of an order whose execution failed, timed out or was stopped.

use serde::Deserialize;

use crate::Cause;
use crate::aws::Topic;
use crate::order::{OrderStatus, Outcome, Timestamp};
use crate::providers::{Decision, PaymentProvider, ProviderError};
use crate::store::{IdempotencyRecords, Orders};
use crate::telemetry;
use crate::workflow::Submission;

/// Status change of an execution: EventBridge's event "Step Functions Execution Status Change", as far as it is used
/// here ("Step Functions event detail", Step Functions Developer Guide).
#[derive(Debug, Deserialize)]
pub struct StatusChange {
    detail: StatusDetail,
}

#[derive(Debug, Deserialize)]
struct StatusDetail {
    /// `FAILED`, `TIMED_OUT` or `ABORTED`.
    status: String,
    /// Input of the execution. AWS leaves it out over 248 KiB, which no submission has.
    input: String,
}

impl StatusChange {
    /// Parses the event.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

/// Ends the order of a failed execution as FAILURE, unless it has ended already; refunds the payment if the order ended
/// as FAILURE; publishes the end. Repeating it is safe.
pub async fn recover(
    orders: &Orders,
    records: &IdempotencyRecords,
    payment: &PaymentProvider,
    topic: &Topic,
    change: &StatusChange,
) -> Result<(), Cause> {
    let Submission { order, trace } = Submission::parse(&change.detail.input)?;
    let now = Timestamp::now();
    // The execution may have failed before the order was saved.
    orders.save(records, &order, now).await?;
    let outcome = Outcome::Failure {
        error_message: format!("the order could not be processed ({})", change.detail.status),
        refund_failed: false,
    };
    // The end comes before the refund: a step of the execution may still be running, and end the order as SUCCESS.
    let Some(mut order) = orders.complete(records, &order.key(), &outcome, now).await? else { return Ok(()) };
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
    topic.publish(&order).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn event(input: &Value) -> String {
        json!({"detail": {"status": "ABORTED", "input": input}}).to_string()
    }

    #[test]
    fn a_status_change_has_the_submission_of_its_execution() {
        let submission = Submission { order: fixtures::order(), trace: None };
        let change = StatusChange::parse(&event(&serde_json::to_string(&submission).unwrap().into())).unwrap();
        assert_eq!(change.detail.status, "ABORTED");
        assert_eq!(Submission::parse(&change.detail.input).unwrap(), submission);
    }

    #[test]
    fn a_status_change_without_input_is_refused() {
        assert!(StatusChange::parse(&event(&Value::Null)).is_err());
        assert!(StatusChange::parse("").is_err());
    }
}
