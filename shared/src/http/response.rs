//! Responses to requests that succeeded.

use lambda_http::Body;
use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ETAG, LINK, LOCATION,
};
use lambda_http::http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::Problem;
use super::request::Conditions;
use crate::order::{Order, OrderId, OrderKey};
use crate::page::{Cursor, Limit, List, Page};
use crate::telemetry;

/// HTTP response of a function.
pub type Response = lambda_http::Response<Body>;

/// A response that can be saved, and replayed byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    /// Order that it is about. Records of releases before this field lack it.
    #[serde(default)]
    order_id: Option<OrderId>,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl SavedAnswer {
    /// The response, which is about that order.
    #[must_use]
    pub fn new(order: &Order, response: &Response) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            order_id: Some(order.id()),
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(response.body()),
        }
    }
}

impl TryFrom<SavedAnswer> for Response {
    type Error = Problem;

    fn try_from(saved: SavedAnswer) -> Result<Self, Problem> {
        // The answer may be to an earlier request, and so about another order than this request's.
        if let Some(id) = saved.order_id {
            telemetry::set_order_id(id);
        }
        let builder = lambda_http::Response::builder().status(saved.status);
        let builder = saved.headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        builder.body(Body::Text(saved.body)).map_err(|error| Problem::Internal(error.into()))
    }
}

/// Message and answer of a submission, as its idempotency record keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSubmission {
    /// The submission as it is queued. Identical on every repeat.
    pub message: String,
    /// The answer.
    pub answer: SavedAnswer,
}

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A response with that JSON body.
///
/// # Panics
/// Panics if the body has no JSON form. The bodies here are structs of strings and numbers, which always have one.
#[expect(clippy::expect_used, reason = "see Panics")]
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("a body of strings and numbers serialises");
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Lets pages of that origin read the response, and the headers that they need (Fetch Standard, 3.2).
pub(super) fn allow_origin(response: &mut Response, origin: &HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag, Link, Location, Retry-After"));
}

/// Makes a relative `Location` that is meant for `.../orders` right for `.../orders/`. A saved answer is replayed to both.
pub(super) fn relative_to_trailing_slash(response: &mut Response) -> Result<(), Problem> {
    if let Some(location) = response.headers().get(LOCATION) {
        let location = [b"../", location.as_bytes()].concat();
        let location = HeaderValue::from_bytes(&location).map_err(|error| Problem::Internal(error.into()))?;
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(())
}

/// 200 with the order and its `ETag`.
pub fn order(order: &Order) -> Result<Response, Problem> {
    with_etag(json(StatusCode::OK, order), order)
}

/// 200 with the order and its `ETag`, or 304 with the `ETag` alone if the client has that version already.
pub fn read(order: &Order, conditions: &Conditions) -> Result<Response, Problem> {
    if conditions.is_new(order.version())? {
        return self::order(order);
    }
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    with_etag(response, order)
}

/// 201 with the new order, its `ETag`, and its `Location`, relative to the request's URL `.../orders`.
pub fn created(order: &Order) -> Result<Response, Problem> {
    telemetry::set_order_id(order.id());
    let mut response = with_etag(json(StatusCode::CREATED, order), order)?;
    response.headers_mut().insert(LOCATION, header(&path(order.key()))?);
    Ok(response)
}

/// 202 with the order as it will be saved, and its `Location` as for [`created`]. Until then the `Location` is 404.
pub fn submitted(order: &Order) -> Result<Response, Problem> {
    telemetry::set_order_id(order.id());
    let mut response = json(StatusCode::ACCEPTED, order);
    response.headers_mut().insert(LOCATION, header(&path(order.key()))?);
    Ok(response)
}

/// 204.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 200 with a bare array of the page's orders. If more follow, `Link` names the next page (RFC 8288), relative to the
/// request's URL.
pub fn page(page: &Page, list: &List, limit: Option<Limit>) -> Result<Response, Problem> {
    let mut response = json(StatusCode::OK, &page.orders);
    if let Some(cursor) = &page.next {
        response.headers_mut().insert(LINK, header(&next_link(cursor, list, limit))?);
    }
    Ok(response)
}

/// A relative reference replaces the whole query, so it repeats the parameters of this page.
fn next_link(cursor: &Cursor, list: &List, limit: Option<Limit>) -> String {
    let user_id = match list {
        List::All => String::new(),
        List::Of(user_id) => format!("&user_id={}", utf8_percent_encode(user_id.as_str(), RESERVED)),
    };
    let limit = limit.map(|limit| format!("&limit={}", limit.get())).unwrap_or_default();
    format!(r#"<?cursor={}{user_id}{limit}>; rel="next""#, cursor.encode())
}

fn path(key: &OrderKey) -> String {
    format!("orders/{}/order/{}", utf8_percent_encode(key.user_id.as_str(), RESERVED), key.id)
}

fn with_etag(mut response: Response, order: &Order) -> Result<Response, Problem> {
    response.headers_mut().insert(ETAG, header(&format!(r#""{}""#, order.version()))?);
    Ok(response)
}

fn header(value: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(value).map_err(|error| Problem::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_saved_answer_is_replayed_byte_for_byte() {
        let order = fixtures::order();
        let first = created(&order).unwrap();
        let saved = serde_json::to_string(&SavedAnswer::new(&order, &first)).unwrap();
        let again = Response::try_from(serde_json::from_str::<SavedAnswer>(&saved).unwrap()).unwrap();
        assert_eq!((again.status(), again.headers()), (first.status(), first.headers()));
        assert_eq!(again.body().as_ref(), first.body().as_ref());
    }

    #[test]
    fn a_record_of_a_release_without_the_orders_id_is_readable() {
        let saved = r#"{"status":201,"headers":[["etag","\"1\""]],"body":"{}"}"#;
        let response = Response::try_from(serde_json::from_str::<SavedAnswer>(saved).unwrap()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["etag"], "\"1\"");
    }

    #[test]
    fn a_submission_is_answered_202_with_the_order_as_it_will_be_saved() {
        let order = fixtures::order();
        let response = submitted(&order).unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(serde_json::from_slice::<Order>(response.body()).unwrap(), order);
    }
}
