//! HTTP requests: [`request`] parses them, [`response`] and [`problem`] answer them, and [`serve`] is the loop between.

mod catalogue;
mod event;
mod json;
mod media_type;
mod problem;
pub mod request;
pub mod response;

use std::convert::Infallible;
use std::error::Error;

use lambda_http::Request;
use lambda_http::http::{HeaderValue, StatusCode, Uri};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

pub use catalogue::ProblemKind;
pub use problem::{FieldError, Problem, ProblemDetails, Unsupported};
pub use response::Response;

use crate::caller::Caller;
use crate::environment::{self, EnvironmentError};
use crate::lambda::{Logged, Work};
use event::{Answer, Event};

/// Answers requests with `handler` until Lambda ends the function. `function` is its name in the log.
///
/// | variable | value |
/// |---|---|
/// | `WEB_ORIGIN` | origin of the web UI, the only one that browsers let use the API, as they send it |
/// | `ENVIRONMENT` | `local`, `dev` or `prod`; in `prod` the origin must be an https origin |
///
/// The handler is called only for a verified caller; any other request is 401. Its errors and panics become problem
/// responses here, and so does a request that can't be read.
pub async fn serve<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Caller, Request) -> F + Sync,
    F: Future<Output = Result<Response, Problem>> + Send,
{
    let web_origin = &web_origin(&environment::required("WEB_ORIGIN", "an origin")?, environment::allows_http()?)?;
    #[cfg(feature = "unauthenticated")]
    tracing::warn!(
        function,
        "built with the feature unauthenticated: a request without a token is treated as an administrator's"
    );
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        // Boxed, because the nested futures would exceed the compiler's depth limit.
        Box::pin(async move {
            let mut response = answer(function, handler, event).await;
            response::allow_origin(&mut response, web_origin);
            Ok::<_, Infallible>(Answer::from(response))
        })
    }))
    .await
}

/// An origin as browsers send it (Fetch Standard, 3.1): they compare it with the response's byte for byte.
fn web_origin(text: &str, allows_http: bool) -> Result<HeaderValue, EnvironmentError> {
    let schemes = if allows_http { "http or https" } else { "https" };
    let problem = || {
        format!(
            "must be an {schemes} origin as browsers send it: scheme and host in lower case, a port only if it is not \
            the scheme's default, and nothing after it, such as https://orders.example.com; it is {text:?}"
        )
    };
    let invalid = || EnvironmentError::new("WEB_ORIGIN", problem());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (scheme, host) = uri.scheme_str().zip(uri.host()).ok_or_else(invalid)?;
    let default_port = match scheme {
        "https" => 443,
        "http" if allows_http => 80,
        _ => return Err(invalid()),
    };
    let port = match uri.port_u16() {
        Some(port) if port == default_port || port == 0 => return Err(invalid()),
        Some(port) => format!(":{port}"),
        None => String::new(),
    };
    if text != format!("{scheme}://{}{port}", host.to_ascii_lowercase()) {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

/// Answers one event of API Gateway with `handler`: what [`serve`] does with each, except for the headers of CORS.
pub async fn answer<H, F>(function: &'static str, handler: &H, event: LambdaEvent<Box<RawValue>>) -> Response
where
    H: Fn(Caller, Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let LambdaEvent { payload, context } = event;
    let event = Event::parse(payload.get());
    let (request_id, route) = match &event {
        Ok(event) => (event.request_id().to_owned(), Some(event.route())),
        Err(_) => (context.request_id.clone(), None),
    };
    let work = Work { function, request_id: Some(request_id.clone()), route, ..Work::default() };
    let answered = work.run(async {
        let event = event?;
        let has_trailing_slash = event.has_trailing_slash();
        let request = event.into_request(context)?;
        let caller = request::caller(&request)?;
        let mut response = handler(caller, request).await?;
        if has_trailing_slash {
            response::relative_to_trailing_slash(&mut response)?;
        }
        Ok(response)
    });
    answered.await.unwrap_or_else(|problem: Problem| problem.to_response(&request_id))
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

#[cfg(test)]
mod tests {
    use lambda_http::Context;
    use reqwest::Url;
    use serde_json::{Value, json};

    use super::event::samples;
    use super::response::SavedAnswer;
    use super::*;
    use crate::{fixtures, telemetry};

    fn invocation(event: &Value) -> LambdaEvent<Box<RawValue>> {
        LambdaEvent::new(serde_json::value::to_raw_value(event).unwrap(), Context::default())
    }

    async fn answer_to(event: &Value, handled: impl Fn() -> Result<Response, Problem>) -> Response {
        answer("test", &|_, _| std::future::ready(handled()), invocation(event)).await
    }

    async fn answered(handled: impl Fn() -> Result<Response, Problem>) -> (StatusCode, Value) {
        let response = answer_to(&samples::put_order(), handled).await;
        (response.status(), serde_json::from_slice(response.body()).unwrap())
    }

    #[test]
    fn a_web_origin_is_one_that_browsers_send() {
        for origin in [
            "https://orders.example.com",
            "https://orders.example.com:8443",
            "http://localhost:5173",
            "http://localhost",
            "http://127.0.0.1:443",
            "http://[::1]:5173",
        ] {
            assert_eq!(web_origin(origin, true).unwrap(), origin);
        }
        for other in [
            "*",
            "null",
            "orders.example.com",
            "ftp://orders.example.com",
            "https://",
            "https://orders.example.com/",
            "https://orders.example.com/x",
            "https://orders.example.com?",
            "https://orders.example.com#x",
            "https://Orders.example.com",
            "HTTPS://orders.example.com",
            "https://orders.example.com:443",
            "http://orders.example.com:80",
            "https://orders.example.com:",
            "https://orders.example.com:0",
            "https://orders.example.com:08443",
            "https://orders.example.com:99999",
            "https://ann@orders.example.com",
            "https://a.example, https://b.example",
            " https://orders.example.com",
            "https://bücher.example",
            "a\nb",
        ] {
            let line = web_origin(other, true).unwrap_err().to_string();
            assert!(line.starts_with("WEB_ORIGIN must be an http or https origin as browsers send it: "), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        assert!(web_origin("https://orders.example.com", false).is_ok());
        let line = web_origin("http://orders.example.com", false).unwrap_err().to_string();
        assert!(line.starts_with("WEB_ORIGIN must be an https origin"), "{line}");
    }

    #[tokio::test]
    async fn a_request_without_a_verified_identity_is_refused() {
        let ok = || Ok(response::no_content());
        let mut event = samples::put_order();
        assert_eq!(answer_to(&event, ok).await.status(), StatusCode::NO_CONTENT);
        let id_token = json!({"token_use": "id", "sub": "ann", "cognito:username": "ann", "aud": "web"});
        for authorizer in
            [json!({"claims": id_token}), json!({"claims": {}}), json!({"claims": null}), json!({}), json!(null)]
        {
            event["requestContext"]["authorizer"] = authorizer;
            let refused = answer_to(&event, ok).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        }
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert_eq!(answer_to(&event, ok).await.status(), StatusCode::UNAUTHORIZED);
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

    #[tokio::test]
    async fn a_request_that_cannot_be_read_is_a_problem_with_one_log_line() {
        let bad_header = samples::with_lines(samples::put_order(), "If-Match", &["a\u{7f}"]);
        for (event, status, level) in [(bad_header, 400, "INFO"), (json!({"Records": []}), 500, "ERROR")] {
            let lines = telemetry::logged(async || {
                let response = answer_to(&event, || unreachable!()).await;
                assert_eq!(response.status(), status);
                assert_eq!(response.headers()["content-type"], "application/problem+json");
            });
            let lines = lines.await;
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!((&lines[0]["level"], &lines[0]["status"]), (&json!(level), &json!(status)));
        }
    }

    #[tokio::test]
    async fn the_location_of_an_order_is_right_for_every_spelling_of_the_path() {
        let order = fixtures::new_order("Café 東京", crate::order::Processing::None);
        let first = response::created(&order).unwrap();
        let saved = serde_json::to_value(SavedAnswer::new(&order, &first)).unwrap();
        let replayed = || serde_json::from_value::<SavedAnswer>(saved.clone()).unwrap().try_into();
        for base in [
            "https://a1.execute-api.eu-west-1.amazonaws.com/Dev",
            "https://orders.example.com",
            "https://example.com/base/path",
        ] {
            for path in ["/orders", "/orders/"] {
                let url: Url = format!("{base}{path}").parse().unwrap();
                let mut event = samples::put_order();
                event["path"] = json!(path);
                for response in
                    [answer_to(&event, replayed).await, answer_to(&event, || response::created(&order)).await]
                {
                    let location = url.join(response.headers()["location"].to_str().unwrap()).unwrap();
                    let expected = format!("{base}/orders/Caf%C3%A9%20%E6%9D%B1%E4%BA%AC/order/{}", order.id());
                    assert_eq!(location.as_str(), expected);
                }
            }
        }
    }
}
