//! Errors as RFC 9457 problem details. This is the one place that turns an error into a response.

use std::error::Error;

use lambda_http::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::request::MAX_BODY_BYTES;
use super::response::{Response, json};
use crate::store::StoreError;

type Cause = Box<dyn Error + Send + Sync>;

/// Seconds that a client is asked to wait when the service is unavailable.
const RETRY_AFTER_SECONDS: u16 = 2;

/// Which users somebody may name who is no admin.
const OWN: &str = "must be your own user id, or be left out";

/// What is wrong with one field of a request: of its body, its query or its headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's name, as the client knows it.
    pub field: String,
    /// What is allowed.
    pub message: String,
}

impl FieldError {
    /// That field is not as it must be.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Why a request is not answered as it was wished.
#[derive(Debug)]
pub enum Problem {
    /// 400: fields are bad; these, all of them.
    InvalidRequest(Vec<FieldError>),
    /// 400: the body is not JSON.
    MalformedJson(serde_json::Error),
    /// 401: nobody is known to have sent it.
    Unauthenticated,
    /// 403: `user_id` names a user whose orders are not the caller's to see or to make.
    Forbidden,
    /// 404: there is no such order, or none that the caller may know of.
    NotFound,
    /// 409: the order is no longer PENDING.
    NotPending,
    /// 409: the order is being paid and sent.
    InProcess,
    /// 412: the order has another version than `If-Match` names.
    Stale,
    /// 413: the body is over [`MAX_BODY_BYTES`].
    BodyTooLarge,
    /// 415: the body is not declared as `application/json`.
    UnsupportedMediaType,
    /// 422: the idempotency key was used for another request.
    KeyReused,
    /// 503: what we stand on is away for the moment.
    Unavailable(Cause),
    /// 500: our mistake. Its cause is logged, and not answered.
    Internal(Cause),
}

/// The body of a problem response: RFC 9457, 3.1, and two members of our own.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemDetails<'a> {
    /// Which kind of problem it is.
    r#type: String,
    /// What that kind is, in short.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What it is about this request.
    detail: String,
    /// What is wrong with which field, for all that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    errors: Vec<FieldError>,
    /// The request's name in our logs.
    request_id: &'a str,
}

impl Problem {
    /// One bad field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest(vec![FieldError::new(field, message)])
    }

    /// The response that tells the client.
    #[must_use]
    pub fn to_response(&self, request_id: &str) -> Response {
        let (status, name, title) = self.kind();
        let body = ProblemDetails {
            r#type: format!("urn:problem-type:order-api:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            errors: self.errors(),
            request_id,
        };
        let mut response = json(status, &body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Unavailable(_) => response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into()),
            Self::Unauthenticated => {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            _ => None,
        };
        response
    }

    /// What lies behind it, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }

    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid"),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "You are not signed in"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "That is not yours to do"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such order"),
            Self::NotPending => (StatusCode::CONFLICT, "not-pending", "The order is no longer PENDING"),
            Self::InProcess => (StatusCode::CONFLICT, "in-process", "The order is being paid and sent"),
            Self::Stale => (StatusCode::PRECONDITION_FAILED, "stale-version", "The order has another version"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not declared as JSON")
            }
            Self::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The key was used for another request")
            }
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::InvalidRequest(errors) => {
                let list: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
                list.join("; ")
            }
            Self::MalformedJson(error) => format!("The body is not JSON: {error}."),
            Self::Unauthenticated => {
                "Send Authorization: Bearer with an access token that has the scope of this operation.".into()
            }
            Self::Forbidden => format!("user_id: {OWN}"),
            Self::NotFound => "There is no order of that user with that id.".into(),
            Self::NotPending => {
                "Only a PENDING order can be changed. This one has moved on; it can still be deleted.".into()
            }
            Self::InProcess => {
                "It can neither be changed nor deleted until it is final. Then it can be deleted.".into()
            }
            Self::Stale => {
                "The order's version is not among those in If-Match. Get the order again and decide anew.".into()
            }
            Self::BodyTooLarge => format!("The body may have at most {MAX_BODY_BYTES} bytes."),
            Self::UnsupportedMediaType => "Send the body with Content-Type: application/json.".into(),
            Self::KeyReused => {
                "That Idempotency-Key came with another request before. Send a new request with a new key.".into()
            }
            Self::Unavailable(_) => {
                "It is not known whether the request was carried out. Look, or repeat it with its Idempotency-Key."
                    .into()
            }
            Self::Internal(_) => "Tell us the request_id and we can find out what happened.".into(),
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        match self {
            Self::InvalidRequest(errors) => errors.clone(),
            Self::MalformedJson(error) => vec![FieldError::new("body", error.to_string())],
            Self::Forbidden => vec![FieldError::new("user_id", OWN)],
            _ => Vec::new(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::NotPending => Self::NotPending,
            StoreError::InProcess => Self::InProcess,
            StoreError::Stale => Self::Stale,
            StoreError::KeyReused => Self::KeyReused,
            StoreError::Unavailable(_) => Self::Unavailable(error.into()),
            StoreError::Failed(_) => Self::Internal(error.into()),
        }
    }
}
