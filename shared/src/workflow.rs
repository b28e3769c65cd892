//! Messages between the steps of a submitted order.

use serde::{Deserialize, Serialize};

use crate::order::{Order, Outcome};
use crate::telemetry;

/// Message in the queue, input of the execution, and input of most of its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The order as it was submitted; after the grace period, as it was accepted.
    pub order: Order,
    /// X-Ray's header of the request that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Submission {
    /// Parses a submission, and names its order in the log.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let submission: Self = serde_json::from_str(json)?;
        telemetry::set_order_id(submission.order.id);
        Ok(submission)
    }
}

/// Input of the last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The order as it was accepted.
    pub order: Order,
    /// The end of the order.
    pub outcome: Outcome,
}

impl AsRef<Order> for Submission {
    fn as_ref(&self) -> &Order {
        &self.order
    }
}

impl AsRef<Order> for Completion {
    fn as_ref(&self) -> &Order {
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_submission_is_read_as_it_was_written() {
        for trace in [None, Some("Root=1".to_owned())] {
            let submission = Submission { order: fixtures::order(), trace };
            assert_eq!(Submission::parse(&serde_json::to_string(&submission).unwrap()).unwrap(), submission);
        }
    }

    #[test]
    fn anything_else_is_not_a_submission() {
        for json in ["", "{}", r#"{"order": "none"}"#, r#"{"order": {"id": "7"}}"#] {
            assert!(Submission::parse(json).is_err(), "{json}");
        }
    }
}
