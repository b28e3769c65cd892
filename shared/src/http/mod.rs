//! HTTP requests: [`request`] parses them, [`response`] and [`problem`] answer them, and [`serve`] is the loop between.

mod catalogue;
mod problem;
pub mod request;
pub mod response;

use std::convert::Infallible;
use std::error::Error;

use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt, service_fn};

pub use catalogue::ProblemKind;
pub use problem::{FieldError, Problem, ProblemDetails};
pub use response::Response;

use crate::caller::Caller;
use crate::environment::{self, EnvironmentError};
use crate::lambda::{Logged, Work};

/// Answers requests with `handler` until Lambda ends the function. `function` is its name in the log.
///
/// | variable | value |
/// |---|---|
/// | `WEB_ORIGIN` | origin of the web UI, the only one that browsers let use the API |
///
/// The handler is called only for a verified caller; any other request is 401. Its errors and panics become problem
/// responses here.
pub async fn serve<H, F>(function: &'static str, handler: H) -> Result<(), lambda_http::Error>
where
    H: Fn(Caller, Request) -> F + Sync,
    F: Future<Output = Result<Response, Problem>> + Send,
{
    let web_origin = &web_origin(&environment::required("WEB_ORIGIN", "an origin")?)?;
    #[cfg(feature = "unauthenticated")]
    tracing::warn!(
        function,
        "built with the feature unauthenticated: a request without a token is treated as an administrator's"
    );
    let handler = &handler;
    lambda_http::run(service_fn(move |request: Request| async move {
        let mut response = answer(function, handler, request).await;
        response::allow_origin(&mut response, web_origin);
        Ok::<_, Infallible>(response)
    }))
    .await
}

fn web_origin(text: &str) -> Result<HeaderValue, EnvironmentError> {
    text.parse().map_err(|_| EnvironmentError::new("WEB_ORIGIN", "must be set: an origin"))
}

async fn answer<H, F>(function: &'static str, handler: &H, request: Request) -> Response
where
    H: Fn(Caller, Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let (request_id, route) = origin(&request);
    let work = Work { function, request_id: Some(request_id.clone()), route: Some(route), ..Work::default() };
    let answered = work.run(async {
        let caller = request::caller(&request)?;
        handler(caller, request).await
    });
    answered.await.unwrap_or_else(|problem| problem.to_response(&request_id))
}

impl Logged for Result<Response, Problem> {
    fn panicked() -> Self {
        Err(Problem::Internal("panicked".into()))
    }

    fn failure(&self) -> Option<&(dyn Error + 'static)> {
        self.as_ref().err().and_then(Problem::cause)
    }

    fn status(&self) -> Option<StatusCode> {
        Some(match self {
            Ok(response) => response.status(),
            Err(problem) => problem.status(),
        })
    }
}

/// Id and route of the request, from API Gateway.
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

    #[test]
    fn a_web_origin_is_a_header_value() {
        assert_eq!(web_origin("https://orders.example.com").unwrap(), "https://orders.example.com");
        assert_eq!(web_origin("a\nb").unwrap_err().to_string(), "WEB_ORIGIN must be set: an origin");
    }

    #[tokio::test]
    async fn a_request_without_a_verified_identity_is_refused() {
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
    async fn a_panic_is_500_and_reveals_nothing() {
        let (status, body) = answered(|| panic!("the secret")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_internal_error_is_500_and_reveals_nothing() {
        let (status, body) = answered(|| Err(Problem::Internal("the secret".into()))).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
