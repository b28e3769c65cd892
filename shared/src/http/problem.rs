//! Errors as problem details (RFC 9457). This is the only place that turns an error into a response.

use std::error::Error;

use lambda_http::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::ProblemKind;
use super::response::{Response, json};
use crate::store::StoreError;
use crate::{Cause, aws};

/// Rule for a `user_id` that the caller may not use.
const OWN_USER_ID: &str = "must be your own user id, or be left out";

/// A bad field of a request: of its body, its query or its headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's name, as the client knows it.
    pub field: String,
    /// The allowed values.
    pub message: String,
}

impl FieldError {
    /// `message` follows the field's name: "must be ...".
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Reason why a request is not carried out.
#[derive(Debug)]
pub enum Problem {
    /// 400: these fields are bad.
    InvalidRequest(Vec<FieldError>),
    /// 400: the body is not JSON.
    MalformedJson(serde_json::Error),
    /// 401: the caller is not known.
    Unauthenticated,
    /// 403: `user_id` is another user's.
    Forbidden,
    /// 404: there is no such order, or the caller may not know of it.
    NotFound,
    /// 409: the order is no longer PENDING.
    NotPending,
    /// 409: the order is being paid and sent.
    InProcess,
    /// 412: the order's version does not fulfil `If-Match` or `If-None-Match`.
    Stale,
    /// 413: the body is over [`super::request::MAX_BODY_BYTES`].
    BodyTooLarge,
    /// 415: the body is not declared as `application/json` in UTF-8, or has a content coding.
    UnsupportedMediaType(Unsupported),
    /// 422: the idempotency key was used for another request.
    KeyReused,
    /// 503: an AWS service is throttling or unavailable.
    Unavailable(Cause),
    /// 500: our mistake. Its cause is logged, and not sent.
    Internal(Cause),
}

/// Property of a body that the API does not take.
#[derive(Debug)]
pub enum Unsupported {
    /// A media type other than `application/json`, or none.
    Type,
    /// This charset.
    Charset(String),
    /// This content coding.
    Coding(String),
}

/// Body of a problem response (RFC 9457, 3.1), with two members of our own.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemDetails<'a> {
    /// Kind of the problem.
    r#type: String,
    /// Short description of the kind.
    title: &'static str,
    /// Status of the response.
    status: u16,
    /// Advice to the client.
    detail: String,
    /// Every bad field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    errors: Vec<FieldError>,
    /// Id of the request in the logs.
    request_id: &'a str,
}

impl Problem {
    /// One bad field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest(vec![FieldError::new(field, message)])
    }

    /// The response to the client.
    #[must_use]
    pub fn to_response(&self, request_id: &str) -> Response {
        let kind = self.kind();
        let body = ProblemDetails {
            r#type: kind.uri(),
            title: kind.title,
            status: self.status().as_u16(),
            detail: self.detail(),
            errors: self.errors(),
            request_id,
        };
        let mut response = json(self.status(), &body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = kind.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if let Self::UnsupportedMediaType(Unsupported::Coding(_)) = self {
            // RFC 9110, 15.5.16.
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }

    /// Status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().status
    }

    /// Cause of the problem, for the log, if it is not the client's mistake.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }

    fn kind(&self) -> ProblemKind {
        match self {
            Self::InvalidRequest(_) => ProblemKind::INVALID_REQUEST,
            Self::MalformedJson(_) => ProblemKind::MALFORMED_JSON,
            Self::Unauthenticated => ProblemKind::UNAUTHENTICATED,
            Self::Forbidden => ProblemKind::FORBIDDEN,
            Self::NotFound => ProblemKind::NOT_FOUND,
            Self::NotPending => ProblemKind::NOT_PENDING,
            Self::InProcess => ProblemKind::IN_PROCESS,
            Self::Stale => ProblemKind::STALE_VERSION,
            Self::BodyTooLarge => ProblemKind::BODY_TOO_LARGE,
            Self::UnsupportedMediaType(_) => ProblemKind::UNSUPPORTED_MEDIA_TYPE,
            Self::KeyReused => ProblemKind::IDEMPOTENCY_KEY_REUSED,
            Self::Unavailable(_) => ProblemKind::UNAVAILABLE,
            Self::Internal(_) => ProblemKind::INTERNAL,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::InvalidRequest(errors) => {
                let list: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
                list.join("; ")
            }
            Self::MalformedJson(error) => format!("The body is not JSON: {error}."),
            Self::UnsupportedMediaType(Unsupported::Charset(charset)) => {
                format!("The body's charset is declared as {charset}. Send it in UTF-8.")
            }
            Self::UnsupportedMediaType(Unsupported::Coding(coding)) => {
                format!("The body's Content-Encoding is {coding}. Send it without a coding.")
            }
            _ => self.kind().detail.into(),
        }
    }

    fn errors(&self) -> Vec<FieldError> {
        match self {
            Self::InvalidRequest(errors) => errors.clone(),
            Self::MalformedJson(error) => vec![FieldError::new("body", error.to_string())],
            Self::Forbidden => vec![FieldError::new("user_id", OWN_USER_ID)],
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

impl From<aws::Error> for Problem {
    fn from(error: aws::Error) -> Self {
        match error {
            aws::Error::Unavailable(_) => Self::Unavailable(error.into()),
            aws::Error::Failed(_) => Self::Internal(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::MAX_BODY_BYTES;

    #[test]
    fn a_response_matches_the_catalogue() {
        let bad_json = serde_json::from_str::<u8>("x").unwrap_err();
        for problem in [
            Problem::field("quantity", "must be an integer"),
            Problem::MalformedJson(bad_json),
            Problem::Unauthenticated,
            Problem::Forbidden,
            Problem::NotFound,
            Problem::NotPending,
            Problem::InProcess,
            Problem::Stale,
            Problem::BodyTooLarge,
            Problem::UnsupportedMediaType(Unsupported::Type),
            Problem::KeyReused,
            Problem::Unavailable("away".into()),
            Problem::Internal("broken".into()),
        ] {
            let response = problem.to_response("r1");
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            let kind = ProblemKind::ALL.into_iter().find(|kind| body["type"] == kind.uri()).unwrap();
            assert_eq!((response.status(), &body["title"]), (kind.status, &kind.title.into()), "{body}");
            assert_eq!(body["status"], response.status().as_u16(), "{body}");
            if !matches!(problem, Problem::InvalidRequest(_) | Problem::MalformedJson(_)) {
                assert_eq!(body["detail"], kind.detail);
            }
            if let Some((name, value)) = kind.header {
                assert_eq!(response.headers()[name], value, "{body}");
            }
        }
    }

    #[test]
    fn the_limit_in_the_catalogue_is_the_limit_of_bodies() {
        assert!(ProblemKind::BODY_TOO_LARGE.detail.contains(&format!(" {MAX_BODY_BYTES} bytes")));
    }
}
