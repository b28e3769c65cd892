use std::error::Error;

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Logged, Work};
use crate::Cause;

impl<A> Logged for Result<A, Cause> {
    fn panicked() -> Self {
        Err("panicked".into())
    }

    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Ok(_) => None,
            Err(cause) => Some(cause.as_ref()),
        }
    }
}

/// Answers calls of a schedule or an operator with `handler` until Lambda ends the function. `function` is its name in
/// the log.
pub async fn serve_calls<T, A, H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    T: DeserializeOwned,
    A: Serialize,
    H: Fn(T) -> F,
    F: Future<Output = Result<A, Cause>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<T>| {
        let work = Work { function, request_id: Some(event.context.request_id), ..Work::default() };
        work.run(async move { handler(event.payload).await })
    }))
    .await
}
