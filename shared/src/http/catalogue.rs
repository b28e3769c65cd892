use lambda_http::http::StatusCode;

/// A kind of problem (RFC 9457, 3.1.1): an entry of the catalogue.
///
/// This is the only catalogue. `openapi.yaml` is generated from it, and tests compare the gateway responses of
/// `template.yaml` and the table in `docs/api.md` with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemKind {
    /// Last part of the kind's `type`.
    pub name: &'static str,
    /// Status of the response.
    pub status: StatusCode,
    /// Short description of the kind.
    pub title: &'static str,
    /// Advice to the client. Where it depends on the request, this is an example.
    pub detail: &'static str,
    /// Situation in which it is sent, for the reference.
    pub when: &'static str,
    /// Header that comes with it: name and value.
    pub header: Option<(&'static str, &'static str)>,
}

/// Header that asks a client to wait two seconds.
const RETRY_AFTER: Option<(&str, &str)> = Some(("Retry-After", "2"));

impl ProblemKind {
    /// Bad fields.
    pub const INVALID_REQUEST: Self = Self {
        name: "invalid-request",
        status: StatusCode::BAD_REQUEST,
        title: "The request is not valid",
        detail: "quantity: must be an integer from 1 to 1000, as a number or as a string of digits",
        when: "fields of the body, the query or the headers are bad; `errors` names each of them",
        header: None,
    };
    /// A body that is not JSON.
    pub const MALFORMED_JSON: Self = Self {
        name: "malformed-json",
        status: StatusCode::BAD_REQUEST,
        title: "The body is not JSON",
        detail: "The body is not JSON: expected value at line 1 column 1.",
        when: "the body is not JSON; `detail` has the line and the column",
        header: None,
    };
    /// No verified caller.
    pub const UNAUTHENTICATED: Self = Self {
        name: "unauthenticated",
        status: StatusCode::UNAUTHORIZED,
        title: "You are not signed in",
        detail: "Send Authorization: Bearer with an access token that has the scope of this operation.",
        when: "there is no token, or none that is valid for this operation",
        header: Some(("WWW-Authenticate", "Bearer")),
    };
    /// A token without a scope of the operation; sent by API Gateway.
    pub const INSUFFICIENT_SCOPE: Self = Self {
        name: "insufficient-scope",
        status: StatusCode::FORBIDDEN,
        title: "The token lacks a scope",
        detail: "Send an access token that has a scope of this operation.",
        when: "the token has no scope of this operation; API Gateway may answer 401 `unauthenticated` instead",
        header: None,
    };
    /// Another user's id.
    pub const FORBIDDEN: Self = Self {
        name: "forbidden",
        status: StatusCode::FORBIDDEN,
        title: "You may not use another user's id",
        detail: "Send your own user_id, or leave it out.",
        when: "`user_id` is another user's",
        header: None,
    };
    /// No such order.
    pub const NOT_FOUND: Self = Self {
        name: "not-found",
        status: StatusCode::NOT_FOUND,
        title: "There is no such order",
        detail: "Check the user id and the order id in the path. A submitted order appears moments after its 202.",
        when: "there is no such order, or it is another user's",
        header: None,
    };
    /// No such route; sent by API Gateway.
    pub const NO_SUCH_ROUTE: Self = Self {
        name: "no-such-route",
        status: StatusCode::NOT_FOUND,
        title: "There is no such route",
        detail: "Check the path and the method against the API's reference.",
        when: "the API has no such path with that method",
        header: None,
    };
    /// An order that is final.
    pub const NOT_PENDING: Self = Self {
        name: "not-pending",
        status: StatusCode::CONFLICT,
        title: "The order is no longer PENDING",
        detail: "Only a PENDING order can be changed. This one is final.",
        when: "the order is no longer PENDING",
        header: None,
    };
    /// An order that is being paid and sent.
    pub const IN_PROCESS: Self = Self {
        name: "in-process",
        status: StatusCode::CONFLICT,
        title: "The order is being paid and sent",
        detail: "It can't be changed any more. It can be deleted when it is final, its end is published and no refund is owed.",
        when: "the order is being paid and sent",
        header: None,
    };
    /// A version that does not fulfil `If-Match` or `If-None-Match`.
    pub const STALE_VERSION: Self = Self {
        name: "stale-version",
        status: StatusCode::PRECONDITION_FAILED,
        title: "The order's version does not meet the condition",
        detail: "If-Match does not name the order's version, or If-None-Match does. Read the order, then repeat the change with its current ETag in If-Match.",
        when: "`If-Match` does not name the order's version, or `If-None-Match` does",
        header: None,
    };
    /// A body over the limit.
    pub const BODY_TOO_LARGE: Self = Self {
        name: "body-too-large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The body is too large",
        detail: "The body may have at most 65536 bytes.",
        when: "the body is over 64 KiB",
        header: None,
    };
    /// A body that is not declared as JSON in UTF-8, or has a content coding.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self {
        name: "unsupported-media-type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "The body's media type is not supported",
        detail: "Send the body with Content-Type: application/json.",
        when: "the body is not declared as `application/json` in UTF-8, or has a `Content-Encoding`",
        header: None,
    };
    /// An idempotency key of another request.
    pub const IDEMPOTENCY_KEY_REUSED: Self = Self {
        name: "idempotency-key-reused",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The key was used for another request",
        detail: "Use a new Idempotency-Key for a new request.",
        when: "the `Idempotency-Key` came with another request before",
        header: None,
    };
    /// Throttling; sent by API Gateway.
    pub const TOO_MANY_REQUESTS: Self = Self {
        name: "too-many-requests",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests",
        detail: "Repeat the request after Retry-After seconds.",
        when: "API Gateway is throttling; repeat the request after `Retry-After` seconds",
        header: RETRY_AFTER,
    };
    /// A request that API Gateway refused for another reason.
    pub const REFUSED: Self = Self {
        name: "refused",
        status: StatusCode::BAD_REQUEST,
        title: "The request was refused",
        detail: "API Gateway refused the request. Check its size, headers and path.",
        when: "API Gateway refused the request for another reason",
        header: None,
    };
    /// A server error.
    pub const INTERNAL: Self = Self {
        name: "internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal error",
        detail: "Repeat the request later. If it fails again, report the request_id.",
        when: "an internal error; the log has its cause under the `request_id`",
        header: None,
    };
    /// A service that is throttling or unavailable.
    pub const UNAVAILABLE: Self = Self {
        name: "unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The service is unavailable",
        detail: "It is not known whether the request was carried out. \
            Read the order, or repeat the request with its Idempotency-Key.",
        when: "DynamoDB, SQS or Lambda is throttling or unavailable; repeat the request after `Retry-After` seconds",
        header: RETRY_AFTER,
    };

    /// The catalogue, by status.
    pub const ALL: [Self; 17] = [
        Self::INVALID_REQUEST,
        Self::MALFORMED_JSON,
        Self::REFUSED,
        Self::UNAUTHENTICATED,
        Self::INSUFFICIENT_SCOPE,
        Self::FORBIDDEN,
        Self::NOT_FOUND,
        Self::NO_SUCH_ROUTE,
        Self::NOT_PENDING,
        Self::IN_PROCESS,
        Self::STALE_VERSION,
        Self::BODY_TOO_LARGE,
        Self::UNSUPPORTED_MEDIA_TYPE,
        Self::IDEMPOTENCY_KEY_REUSED,
        Self::TOO_MANY_REQUESTS,
        Self::INTERNAL,
        Self::UNAVAILABLE,
    ];

    /// The kind's `type`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("urn:problem-type:order-api:{}", self.name)
    }
}
