//! The message that takes a submitted order through the queue and the state machine, and the answer of each step.

use serde::{Deserialize, Serialize};

use crate::order::{Order, Step};
use crate::telemetry;

/// Message in the queue, input of the execution, and input of each of its steps. Identical on every repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The order as it was submitted. The steps read the current one from the table.
    pub order: Order,
    /// X-Ray's header of the request that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Submission {
    /// Parses a submission, and names its order in the log.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let submission: Self = serde_json::from_str(json)?;
        telemetry::set_order_id(submission.order.id());
        Ok(submission)
    }
}

/// Answer of a step to the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepAnswer {
    /// The step that is next.
    pub next: Step,
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
