//! Answers that went well.

use lambda_http::Body;
use lambda_http::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ETAG, LINK, LOCATION,
};
use lambda_http::http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::order::{Order, OrderKey};
use crate::page::{Cursor, Limit, List, Page};
use crate::telemetry;

/// What a function answers.
pub type Response = lambda_http::Response<Body>;

/// An answer in a form that can be saved, to be given again byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl From<&Response> for SavedAnswer {
    fn from(response: &Response) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
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
        // It may be of an earlier request, and so of another order than this one would have made.
        if let Ok(order) = serde_json::from_str::<Order>(&saved.body) {
            telemetry::about(order.id);
        }
        let builder = lambda_http::Response::builder().status(saved.status);
        let builder = saved.headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        builder.body(Body::Text(saved.body)).map_err(|error| Problem::Internal(error.into()))
    }
}

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A response with that JSON body.
///
/// # Panics
/// When the body has no JSON form. The bodies here are structs of strings and numbers, which always have one.
#[expect(clippy::expect_used, reason = "see Panics")]
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("a body of strings and numbers serialises");
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Lets pages of that origin read the response, and the headers that they have a use for (Fetch Standard, 3.2).
pub(super) fn allow_origin(response: &mut Response, origin: &HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag, Link, Location, Retry-After"));
}

/// 200 with the order and its `ETag`.
pub fn order(order: &Order) -> Result<Response, Problem> {
    with_etag(json(StatusCode::OK, order), order)
}

/// 201 with the new order, its `ETag`, and its `Location` relative to the URL `.../orders` that it was sent to.
pub fn created(order: &Order) -> Result<Response, Problem> {
    telemetry::about(order.id);
    let mut response = with_etag(json(StatusCode::CREATED, order), order)?;
    response.headers_mut().insert(LOCATION, header(&path(&order.key()))?);
    Ok(response)
}

/// 202 with the order as it will be, and its `Location` as for [`created`]. Until it is saved nothing is there.
pub fn submitted(order: &Order) -> Result<Response, Problem> {
    telemetry::about(order.id);
    let mut response = json(StatusCode::ACCEPTED, order);
    response.headers_mut().insert(LOCATION, header(&path(&order.key()))?);
    Ok(response)
}

/// 204.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 200 with a bare array of the page's orders. Where more follow, `Link` names the next page (RFC 8288), relative to
/// the URL that was asked for.
pub fn page(page: &Page, list: &List, limit: Option<Limit>) -> Result<Response, Problem> {
    let mut response = json(StatusCode::OK, &page.orders);
    if let Some(cursor) = &page.next {
        response.headers_mut().insert(LINK, header(&next_link(cursor, list, limit))?);
    }
    Ok(response)
}

/// A relative reference replaces the whole query, so the next page's says again what this one's said.
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
    response.headers_mut().insert(ETAG, header(&format!(r#""{}""#, order.version))?);
    Ok(response)
}

fn header(value: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(value).map_err(|error| Problem::Internal(error.into()))
}
