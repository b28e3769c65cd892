//! Events of API Gateway, and the responses to it.
//!
//! `lambda_http` can read an event itself, but it panics at one that it can't read, outside of the handler: at an
//! `X-Forwarded-Proto` or `Host` of which it can't build a URL, or at a header value that no header may have. And of a
//! header that comes in several lines it keeps the last. So the event is read here: without a URL, because nothing needs
//! one, and with all lines of all headers. A request that can't be read is a [`Problem`] like any other.

use std::collections::HashMap;

use base64_simd::STANDARD;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequestContext, ApiGatewayProxyResponse};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Context, Request, RequestExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Problem, Response};

/// Event of a REST API: the parts of it that are used ("Input format of a Lambda function for proxy integration", Amazon
/// API Gateway).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    http_method: String,
    #[serde(default)]
    path: String,
    /// Last line of each header. API Gateway sends all lines besides; an event that was written by hand may not.
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    #[serde(borrow)]
    query_string_parameters: Option<&'a RawValue>,
    multi_value_query_string_parameters: Option<HashMap<String, Vec<String>>>,
    path_parameters: Option<HashMap<String, String>>,
    request_context: ApiGatewayProxyRequestContext,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

impl<'a> Event<'a> {
    /// Parses the event's JSON. An event that can't be parsed is not API Gateway's: no client can cause one.
    pub fn parse(json: &'a str) -> Result<Self, Problem> {
        let event = serde_json::from_str(json);
        #[cfg(feature = "unauthenticated")]
        let event = event.or_else(|error| development::parse(json).map_err(|_| error));
        event.map_err(|error| not_an_event(&error))
    }

    /// Id of the request.
    pub fn request_id(&self) -> &str {
        self.request_context.request_id.as_deref().unwrap_or_default()
    }

    /// Method and route, `GET /orders/{userId}/order/{id}`: the same for every spelling of the path. The path itself names a
    /// user, and is not logged.
    pub fn route(&self) -> String {
        format!("{} {}", self.http_method, self.request_context.resource_path.as_deref().unwrap_or_default())
    }

    /// Returns true if the path ends with a slash. API Gateway takes `/orders/` for `/orders`.
    pub fn has_trailing_slash(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The request.
    pub fn into_request(self, context: Context) -> Result<Request, Problem> {
        let lines = match self.multi_value_headers {
            Some(lines) if !lines.is_empty() => lines,
            _ => single(self.headers)?,
        };
        let query = match self.multi_value_query_string_parameters {
            Some(query) if !query.is_empty() => query,
            _ => single(self.query_string_parameters)?,
        };
        let body = match (self.body, self.is_base64_encoded) {
            (None, _) => Body::Empty,
            (Some(base64), Some(true)) => {
                let bytes = STANDARD.decode_to_vec(base64);
                Body::Binary(bytes.map_err(|error| Problem::Internal(format!("the event's body: {error}").into()))?)
            }
            (Some(text), _) => Body::Text(text),
        };
        let mut request = Request::new(body)
            .with_lambda_context(context)
            .with_path_parameters(self.path_parameters.unwrap_or_default())
            .with_query_string_parameters(query)
            .with_request_context(RequestContext::ApiGatewayV1(self.request_context));
        *request.method_mut() = Method::from_bytes(self.http_method.as_bytes())
            .map_err(|_| Problem::field("method", "must be a method of HTTP"))?;
        *request.headers_mut() = header_map(lines)?;
        Ok(request)
    }
}

fn not_an_event(error: &serde_json::Error) -> Problem {
    Problem::Internal(format!("not an event of API Gateway: {error}").into())
}

/// Parses the last lines, which are only needed where there are no others.
fn single(map: Option<&RawValue>) -> Result<HashMap<String, Vec<String>>, Problem> {
    let Some(map) = map else { return Ok(HashMap::new()) };
    let map: HashMap<String, String> = serde_json::from_str(map.get()).map_err(|error| not_an_event(&error))?;
    Ok(map.into_iter().map(|(name, value)| (name, vec![value])).collect())
}

fn header_map(lines: HashMap<String, Vec<String>>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for (name, values) in lines {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Problem::field(name, "must be a name that a header may have"));
        };
        for value in values {
            let Ok(value) = HeaderValue::try_from(value) else {
                return Err(Problem::field(name.as_str(), "must not contain control characters"));
            };
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

/// Form in which API Gateway takes a response.
#[derive(Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    response: ApiGatewayProxyResponse,
    /// `cargo lambda watch` expects it.
    #[cfg(feature = "unauthenticated")]
    cookies: [String; 0],
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let mut response = ApiGatewayProxyResponse::default();
        response.status_code = parts.status.as_u16().into();
        response.headers = parts.headers;
        response.body = Some(body).filter(|body| !matches!(body, Body::Empty));
        Self {
            response,
            #[cfg(feature = "unauthenticated")]
            cookies: [],
        }
    }
}

/// Events of `cargo lambda watch`, which sends those of HTTP APIs (payload format 2.0).
#[cfg(feature = "unauthenticated")]
mod development {
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
    use lambda_http::aws_lambda_events::query_map::QueryMap;

    use super::{ApiGatewayProxyRequestContext, Event, HashMap};

    pub fn parse(json: &str) -> serde_json::Result<Event<'_>> {
        let event: ApiGatewayV2httpRequest = serde_json::from_str(json)?;
        let path = event.raw_path.unwrap_or_default();
        let mut request_context = ApiGatewayProxyRequestContext::default();
        request_context.request_id = event.request_context.request_id;
        request_context.resource_path = Some(path.trim_end_matches('/').to_owned());
        let mut lines: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in &event.headers {
            lines.entry(name.to_string()).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        let mut query: HashMap<String, Vec<String>> = HashMap::new();
        // Parsing a query can't fail.
        for (name, value) in event.raw_query_string.unwrap_or_default().parse::<QueryMap>().unwrap_or_default().iter() {
            query.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Event {
            http_method: event.request_context.http.method.to_string(),
            path,
            headers: None,
            multi_value_headers: Some(lines),
            query_string_parameters: None,
            multi_value_query_string_parameters: Some(query),
            path_parameters: Some(event.path_parameters.into_iter().map(decoded).collect()),
            request_context,
            body: event.body,
            is_base64_encoded: Some(event.is_base64_encoded),
        })
    }

    /// `cargo lambda watch` does not decode the segments of a path, as API Gateway does. A segment that can't be decoded
    /// keeps its `%`, which no order's key has.
    fn decoded((name, segment): (String, String)) -> (String, String) {
        let decoded = percent_encoding::percent_decode_str(&segment).decode_utf8().map(String::from);
        (name, decoded.unwrap_or(segment))
    }
}

/// The sample event of `put-order`, changed as a test needs it.
#[cfg(test)]
pub(super) mod samples {
    use serde_json::{Value, json};

    use super::{Context, Event, Problem, Request};

    pub fn put_order() -> Value {
        serde_json::from_str(include_str!("../../../events/put-order.json")).unwrap()
    }

    /// The event with these lines of a header, as API Gateway sends them: the last one comes alone besides.
    pub fn with_lines(mut event: Value, name: &str, lines: &[&str]) -> Value {
        event["headers"][name] = json!(lines.last());
        event["multiValueHeaders"][name] = json!(lines);
        event
    }

    pub fn request(event: &Value) -> Result<Request, Problem> {
        Event::parse(&event.to_string())?.into_request(Context::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::samples::{put_order, request, with_lines};
    use super::*;

    #[test]
    fn an_event_becomes_a_request() {
        let mut event = put_order();
        event["multiValueQueryStringParameters"] = json!({"limit": ["1", "2"]});
        event["queryStringParameters"] = json!({"limit": "2"});
        event["pathParameters"] = json!({"userId": "Café"});
        let request = request(&with_lines(event, "If-Match", &["\"1\"", "\"é\""])).unwrap();
        assert_eq!(
            (request.method(), request.headers()["content-type"].to_str().unwrap()),
            (&Method::PUT, "application/json")
        );
        let lines: Vec<_> = request.headers().get_all("if-match").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(lines, ["\"1\"".as_bytes(), "\"é\"".as_bytes()]);
        assert_eq!(request.query_string_parameters().all("limit").unwrap(), ["1", "2"]);
        assert_eq!(request.path_parameters().first("userId"), Some("Café"));
        assert!(matches!(request.body(), Body::Text(text) if text.starts_with('{')));
    }

    #[test]
    fn an_event_by_hand_needs_no_lists_of_lines() {
        let mut event = put_order();
        event.as_object_mut().unwrap().remove("multiValueHeaders");
        event["queryStringParameters"] = json!({"limit": "2"});
        event["body"] = json!("e30=");
        event["isBase64Encoded"] = json!(true);
        let request = request(&event).unwrap();
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.query_string_parameters().all("limit").unwrap(), ["2"]);
        assert_eq!(request.body().as_ref(), b"{}");
    }

    #[test]
    fn headers_and_paths_that_make_no_url_are_no_obstacle() {
        for (name, value) in [
            ("X-Forwarded-Proto", "https,http"),
            ("X-Forwarded-Proto", ""),
            ("Host", "not a host"),
            ("Host", "[::1"),
            ("Host", ""),
            ("Host", "orders.example.com:99999999"),
            ("User-Agent", "Café \u{fffd} 東京"),
        ] {
            assert!(request(&with_lines(put_order(), name, &[value])).is_ok(), "{name}: {value}");
        }
        for path in ["", ":x", "//", "/Café 東京?#[", "/%zz"] {
            let mut event = put_order();
            event["path"] = json!(path);
            event["requestContext"]["domainName"] = json!("[");
            assert!(request(&event).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_header_that_no_header_may_be_is_named() {
        for (name, value) in [("If-Match", "\"1\"\u{7f}"), ("X-Anything", "a\nb"), ("X Anything", "a"), ("", "a")] {
            let problem = request(&with_lines(put_order(), name, &[value])).unwrap_err();
            assert!(
                matches!(&problem, Problem::InvalidRequest(errors) if errors[0].field.eq_ignore_ascii_case(name)),
                "{name}: {problem:?}"
            );
        }
    }

    #[test]
    fn what_api_gateway_does_not_send_is_our_mistake() {
        let mut bad_body = put_order();
        bad_body["isBase64Encoded"] = json!(true);
        let [mut bad_headers, mut bad_query] = [put_order(), put_order()];
        bad_headers["headers"] = json!([]);
        bad_query["queryStringParameters"] = json!([]);
        // There are lines of headers besides.
        assert!(request(&bad_headers).is_ok());
        bad_headers.as_object_mut().unwrap().remove("multiValueHeaders");
        for event in [bad_body, bad_headers, bad_query, json!({}), json!([]), Value::Null, json!({"Records": []})] {
            assert!(matches!(request(&event), Err(Problem::Internal(_))), "{event}");
        }
    }

    #[test]
    fn a_response_has_one_line_per_header() {
        let mut response = Response::new(Body::Text("{}".into()));
        response.headers_mut().insert("etag", HeaderValue::from_static("\"1\""));
        let sent = serde_json::to_value(Answer::from(response)).unwrap();
        assert_eq!(
            (&sent["statusCode"], &sent["body"], &sent["headers"]["etag"]),
            (&json!(200), &json!("{}"), &json!("\"1\""))
        );
        assert_eq!((&sent["multiValueHeaders"], &sent["isBase64Encoded"]), (&json!({}), &json!(false)));
        assert_eq!(serde_json::to_value(Answer::from(Response::default())).unwrap().get("body"), None);
    }
}
