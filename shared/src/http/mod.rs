//! The edge of the functions that answer HTTP requests: [`request`] parses what comes in, [`response`] and
//! [`problem`] make what goes out, and [`serve`] is the loop between them.

mod problem;
pub mod request;
pub mod response;

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use lambda_http::http::StatusCode;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt, service_fn};

pub use problem::{FieldError, Problem, ProblemDetails};
pub use response::Response;

/// Answers requests with `handler` until Lambda ends the function.
///
/// What `handler` returns as an error, or panics with, becomes a problem response here; every request is logged as
/// one line here. `function` is its name in that line.
pub async fn serve<H, F>(function: &'static str, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Request) -> F + Sync,
    F: Future<Output = Result<Response, Problem>> + Send,
{
    let handler = &handler;
    lambda_http::run(service_fn(move |request: Request| async move {
        Ok::<_, Infallible>(answer(function, handler, request).await)
    }))
    .await
}

async fn answer<H, F>(function: &'static str, handler: &H, request: Request) -> Response
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let started = Instant::now();
    let (request_id, route) = origin(&request);
    let (response, error) = match AssertUnwindSafe(async { handler(request).await }).catch_unwind().await {
        Ok(Ok(response)) => (response, None),
        Ok(Err(problem)) => (problem.to_response(&request_id), problem.cause().map(describe)),
        // The panic's own message is on standard error already, from the panic hook.
        Err(_panic) => (Problem::Internal("panicked".into()).to_response(&request_id), Some("panicked".to_owned())),
    };

    let status = response.status().as_u16();
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    if response.status() >= StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id, function, route, status, duration_ms, error, "request");
    } else {
        tracing::info!(request_id, function, route, status, duration_ms, "request");
    }
    response
}

/// The request's id and route as API Gateway has them.
fn origin(request: &Request) -> (String, String) {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (
            context.request_id.clone().unwrap_or_default(),
            format!("{} {}", request.method(), context.resource_path.as_deref().unwrap_or_default()),
        ),
        #[cfg(feature = "local")]
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.request_id.clone().unwrap_or_default(), format!("{} {}", request.method(), request.uri().path()))
        }
        _ => (String::new(), format!("{} {}", request.method(), request.uri().path())),
    }
}

/// An error with all its causes, for the log.
fn describe(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;
    use serde_json::Value;

    use super::*;

    async fn answered(handled: impl Fn() -> Result<Response, Problem>) -> (StatusCode, Value) {
        let response = answer("test", &|_| std::future::ready(handled()), Request::new(Body::Empty)).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_answered_500_and_says_nothing_of_the_inside() {
        let (status, body) = answered(|| panic!("the secret")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_internal_error_is_answered_500_and_says_nothing_of_the_inside() {
        let (status, body) = answered(|| Err(Problem::Internal("the secret".into()))).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
