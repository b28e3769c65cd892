use std::error::Error;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;

use super::{Logged, Work};
use crate::order::Step;
use crate::providers::ProviderError;
use crate::store::StoreError;
use crate::workflow::{StepAnswer, Submission};
use crate::{Cause, aws};

/// Reason why a step failed. The state machine knows the variants by their names.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The table or the topic is throttling or away. This is retried for much longer: a fact must not get lost.
    #[error("{0}")]
    StoreUnavailable(Cause),
    /// The same step may succeed later.
    #[error("{0}")]
    Retryable(Cause),
    /// The same step would fail again.
    #[error("{0}")]
    NonRetryable(Cause),
}

impl From<TaskError> for Diagnostic {
    fn from(error: TaskError) -> Self {
        let name = match &error {
            TaskError::StoreUnavailable(_) => "StoreUnavailable",
            TaskError::Retryable(_) => "Retryable",
            TaskError::NonRetryable(_) => "NonRetryable",
        };
        Self { error_type: name.into(), error_message: error.to_string() }
    }
}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::StoreUnavailable(error.into()),
            _ => Self::NonRetryable(error.into()),
        }
    }
}

impl From<ProviderError> for TaskError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Retryable(_) | ProviderError::NotFound => Self::Retryable(error.into()),
            ProviderError::Mistake(_) => Self::NonRetryable(error.into()),
        }
    }
}

impl From<aws::Error> for TaskError {
    fn from(error: aws::Error) -> Self {
        match error {
            // As important as the store: an end that is not published must not be given up after some tries.
            aws::Error::Unavailable(_) => Self::StoreUnavailable(error.into()),
            aws::Error::Failed(_) => Self::NonRetryable(error.into()),
        }
    }
}

impl<A> Logged for Result<A, TaskError> {
    fn panicked() -> Self {
        Err(TaskError::NonRetryable("panicked".into()))
    }

    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Ok(_) => None,
            Err(TaskError::StoreUnavailable(cause) | TaskError::Retryable(cause) | TaskError::NonRetryable(cause)) => {
                Some(cause.as_ref())
            }
        }
    }
}

/// Serves a step of the state machine with `handler` until Lambda ends the function. `function` is its name in the log.
pub async fn serve_task<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Submission) -> F,
    F: Future<Output = Result<Step, TaskError>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event| take_step(function, handler, event))).await
}

/// Takes one step with `handler`: what [`serve_task`] does with each event of the state machine.
pub async fn take_step<H, F>(
    function: &'static str,
    handler: &H,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<StepAnswer, TaskError>
where
    H: Fn(Submission) -> F,
    F: Future<Output = Result<Step, TaskError>>,
{
    let work = Work { function, request_id: Some(event.context.request_id), ..Work::default() };
    let step = work.run(async move {
        let task = Submission::parse(event.payload.get()).map_err(|error| TaskError::NonRetryable(error.into()))?;
        Ok(StepAnswer { next: handler(task).await? })
    });
    step.await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(error: impl Into<TaskError>) -> String {
        Diagnostic::from(error.into()).error_type
    }

    #[test]
    fn the_state_machine_knows_errors_by_their_names() {
        assert_eq!(name(TaskError::Retryable("away".into())), "Retryable");
        assert_eq!(name(TaskError::NonRetryable("broken".into())), "NonRetryable");
    }

    #[test]
    fn only_transient_errors_are_retryable() {
        assert_eq!(name(StoreError::Unavailable("away".into())), "StoreUnavailable");
        assert_eq!(name(StoreError::Failed("broken".into())), "NonRetryable");
        assert_eq!(name(ProviderError::Retryable("away".into())), "Retryable");
        assert_eq!(name(aws::Error::Unavailable("away".into())), "StoreUnavailable");
        assert_eq!(name(aws::Error::Failed("forbidden".into())), "NonRetryable");
    }

    #[tokio::test]
    async fn a_step_that_panics_fails_and_is_not_retried() {
        let done: Result<(), TaskError> = Work::default().run(async { panic!("on purpose") }).await;
        assert_eq!(name(done.unwrap_err()), "NonRetryable");
    }
}
