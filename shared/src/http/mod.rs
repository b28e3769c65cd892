//! The edge of the functions that answer HTTP requests: [`request`] parses what comes in, [`response`] and
//! [`problem`] make what goes out, and [`serve`] is the loop between them.

mod problem;
pub mod request;
pub mod response;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use lambda_http::http::StatusCode;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt, service_fn};
use tracing::Instrument;

pub use problem::{FieldError, Problem, ProblemDetails};
pub use response::Response;

use crate::caller::Caller;
use crate::config::Config;
use crate::telemetry;

/// Answers requests with `handler` until Lambda ends the function. `handler` is asked only on behalf of somebody: a
/// request without a verified identity is 401.
///
/// What `handler` returns as an error, or panics with, becomes a problem response here; every request is logged as
/// one line here. `function` is its name in that line.
pub async fn serve<H, F>(function: &'static str, config: &Config, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Caller, Request) -> F + Sync,
    F: Future<Output = Result<Response, Problem>> + Send,
{
    #[cfg(feature = "unauthenticated")]
    tracing::warn!(function, "built with the feature unauthenticated: a request without a token is treated as an administrator's");
    let handler = &handler;
    lambda_http::run(service_fn(move |request: Request| async move {
        let mut response = answer(function, handler, request).await;
        response::allow_origin(&mut response, &config.web_origin);
        Ok::<_, Infallible>(response)
    }))
    .await
}

async fn answer<H, F>(function: &'static str, handler: &H, request: Request) -> Response
where
    H: Fn(Caller, Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let started = Instant::now();
    let span = telemetry::span(function);
    let (request_id, route) = origin(&request);
    let work = async {
        let caller = request::caller(&request)?;
        handler(caller, request).await
    };
    let (response, error) = match AssertUnwindSafe(work.instrument(span.clone())).catch_unwind().await {
        Ok(Ok(response)) => (response, None),
        Ok(Err(problem)) => (problem.to_response(&request_id), problem.cause().map(|cause| telemetry::describe(cause))),
        // The panic's own message is logged already, by the panic hook.
        Err(_panic) => (Problem::Internal("panicked".into()).to_response(&request_id), Some("panicked".to_owned())),
    };

    let _entered = span.enter();
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
        #[cfg(feature = "unauthenticated")]
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.request_id.clone().unwrap_or_default(), format!("{} {}", request.method(), request.uri().path()))
        }
        _ => (String::new(), format!("{} {}", request.method(), request.uri().path())),
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;
    use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
    use serde_json::{Value, json};

    use super::*;

    /// A request whose token has those claims.
    fn request(claims: Option<Value>) -> Request {
        let mut context = ApiGatewayProxyRequestContext::default();
        context.authorizer.fields.extend(claims.map(|claims| ("claims".to_owned(), claims)));
        Request::new(Body::Empty).with_request_context(RequestContext::ApiGatewayV1(context))
    }

    fn machine() -> Value {
        json!({"token_use": "access", "sub": "shop", "client_id": "shop", "scope": "orders/read"})
    }

    async fn answered(handled: impl Fn() -> Result<Response, Problem>) -> (StatusCode, Value) {
        let response = answer("test", &|_, _| std::future::ready(handled()), request(Some(machine()))).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    #[tokio::test]
    async fn nothing_is_answered_where_no_verified_identity_is_present() {
        let ok = |_, _| std::future::ready(Ok(response::no_content()));
        assert_eq!(answer("test", &ok, request(Some(machine()))).await.status(), StatusCode::NO_CONTENT);
        let id_token = json!({"token_use": "id", "sub": "ann", "cognito:username": "ann", "aud": "web"});
        for nobody in [Some(id_token), Some(json!({})), Some(Value::Null), None] {
            let refused = answer("test", &ok, request(nobody)).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        }
        assert_eq!(answer("test", &ok, Request::new(Body::Empty)).await.status(), StatusCode::UNAUTHORIZED);
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
