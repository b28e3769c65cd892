//! The OpenAPI document of the API: its operations, and the schemas of the types that the functions parse and answer
//! with. What those types can't say (routes, headers, which problem where) is said here, in one place.

#![expect(dead_code, reason = "the functions and structs below are here for their descriptions")]

use shared::http::ProblemDetails;
use shared::order::{Order, OrderId, Quantity, RestaurantId, UserId};
use utoipa::openapi::OpenApi as Document;
use utoipa::{IntoParams, OpenApi, ToSchema};

/// The document.
#[must_use]
pub fn document() -> Document {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Order API",
        description = "Lists, creates, reads, changes and deletes orders. Errors are problem details (RFC 9457).",
    ),
    servers((url = "https://{api}.execute-api.{region}.amazonaws.com/{stage}", variables(
        ("api" = (default = "api", description = "Id of the REST API: the stack's output ApiId.")),
        ("region" = (default = "eu-west-1", description = "Where it is deployed.")),
        ("stage" = (default = "Dev", description = "Its stage.")),
    ))),
    paths(get_orders, put_order, get_order, update_order, delete_order, delete_order_as_published),
)]
struct Api;

const PROBLEM: &str = "application/problem+json";

/// How many, as a client may say it.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
enum QuantityInput {
    /// As a string of digits.
    Text(Quantity),
    /// As a number.
    Number(QuantityNumber),
}

/// How many, as a number.
#[derive(serde::Serialize, ToSchema)]
#[schema(minimum = 1, maximum = 1000, example = 3)]
struct QuantityNumber(u16);

/// What a client says of an order. With `id` it is about that order, without about a new one. The fields that the
/// server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutOrder {
    user_id: UserId,
    restaurant_id: RestaurantId,
    quantity: QuantityInput,
    /// The order that is to be changed.
    id: Option<OrderId>,
    #[schema(value_type = Value, required = false)]
    created_at: (),
    #[schema(value_type = Value, required = false)]
    order_status: (),
    #[schema(value_type = Value, required = false)]
    updated_at: (),
    #[schema(value_type = Value, required = false)]
    version: (),
}

/// What is to be in an order. The fields that the server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateOrder {
    restaurant_id: RestaurantId,
    quantity: QuantityInput,
    /// No other than the one in the path.
    user_id: Option<UserId>,
    #[schema(value_type = Value, required = false)]
    id: (),
    #[schema(value_type = Value, required = false)]
    created_at: (),
    #[schema(value_type = Value, required = false)]
    order_status: (),
    #[schema(value_type = Value, required = false)]
    updated_at: (),
    #[schema(value_type = Value, required = false)]
    version: (),
}

/// What names one order in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Key {
    /// Whose order it is.
    #[param(rename = "userId")]
    user_id: UserId,
    /// Which of their orders.
    id: OrderId,
}

/// Which orders are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Listing {
    #[param(nullable = false)]
    /// One user's orders, newest first; without it everybody's, in no promised order.
    user_id: Option<UserId>,
    /// How many on a page.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    #[param(nullable = false)]
    /// Where a page ended: as the `Link` header gave it, for the same list.
    cursor: Option<String>,
}

/// When a write is done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Precondition {
    /// Only while the order has one of these versions: entity tags as `ETag` gave them, or `*`.
    #[param(nullable = false, rename = "If-Match", example = "\"1\"")]
    if_match: Option<String>,
}

/// How often a creation is done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Idempotency {
    /// Your name for this creation: for 24 hours the same key with the same body gets the first answer again. Without
    /// meaning where there is an `id`.
    #[param(
        nullable = false,
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "8e03978e-40d5-43dd-bc93-6894a57f9324"
    )]
    idempotency_key: Option<String>,
}

/// List orders
#[utoipa::path(get, path = "/orders", operation_id = "get-orders", params(Listing),
    responses(
        (status = 200, body = Vec<Order>, description = "A page of the list.", headers(
            ("Link" = String, description = "Where more follow: `<?cursor=...>; rel=\"next\"` (RFC 8288), relative to the request's URL."),
        )),
        (status = 400, body = ProblemDetails, content_type = PROBLEM,
            description = "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn get_orders() {}

/// Create an order, or replace what is in one
#[utoipa::path(put, path = "/orders", operation_id = "put-order", params(Idempotency, Precondition), request_body = PutOrder,
    responses(
        (status = 200, body = Order, description = "The order as it now is.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
        (status = 201, body = Order, description = "The new order.", headers(
            ("ETag" = String, description = "The order's `version` in quotes."),
            ("Location" = String, description = "The order's path, relative to the request's URL."),
        )),
        (status = 400, body = ProblemDetails, content_type = PROBLEM,
            description = "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`)."),
        (status = 404, body = ProblemDetails, content_type = PROBLEM,
            description = "There is no such order (`not-found`)."),
        (status = 409, body = ProblemDetails, content_type = PROBLEM,
            description = "The order is no longer PENDING (`not-pending`)."),
        (status = 412, body = ProblemDetails, content_type = PROBLEM,
            description = "The order has another version than `If-Match` names (`stale-version`)."),
        (status = 413, body = ProblemDetails, content_type = PROBLEM,
            description = "The body is over 64 KiB (`body-too-large`)."),
        (status = 415, body = ProblemDetails, content_type = PROBLEM,
            description = "The body is not declared as JSON (`unsupported-media-type`)."),
        (status = 422, body = ProblemDetails, content_type = PROBLEM,
            description = "The `Idempotency-Key` came with another body before (`idempotency-key-reused`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn put_order() {}

/// Read an order
#[utoipa::path(get, path = "/orders/{userId}/order/{id}", operation_id = "get-order", params(Key),
    responses(
        (status = 200, body = Order, description = "The order as its last write left it.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
        (status = 404, body = ProblemDetails, content_type = PROBLEM,
            description = "There is no such order (`not-found`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn get_order() {}

/// Replace what is in an order
#[utoipa::path(put, path = "/orders/{userId}/order/{id}", operation_id = "update-order", params(Key, Precondition),
    request_body = UpdateOrder,
    responses(
        (status = 200, body = Order, description = "The order as it now is.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
        (status = 400, body = ProblemDetails, content_type = PROBLEM,
            description = "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`)."),
        (status = 404, body = ProblemDetails, content_type = PROBLEM,
            description = "There is no such order (`not-found`)."),
        (status = 409, body = ProblemDetails, content_type = PROBLEM,
            description = "The order is no longer PENDING (`not-pending`)."),
        (status = 412, body = ProblemDetails, content_type = PROBLEM,
            description = "The order has another version than `If-Match` names (`stale-version`)."),
        (status = 413, body = ProblemDetails, content_type = PROBLEM,
            description = "The body is over 64 KiB (`body-too-large`)."),
        (status = 415, body = ProblemDetails, content_type = PROBLEM,
            description = "The body is not declared as JSON (`unsupported-media-type`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn update_order() {}

/// Delete an order
#[utoipa::path(delete, path = "/orders/{userId}/order/{id}", operation_id = "delete-order", params(Key, Precondition),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, body = ProblemDetails, content_type = PROBLEM,
            description = "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`)."),
        (status = 404, body = ProblemDetails, content_type = PROBLEM,
            description = "There is no such order (`not-found`)."),
        (status = 412, body = ProblemDetails, content_type = PROBLEM,
            description = "The order has another version than `If-Match` names (`stale-version`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn delete_order() {}

/// Delete an order, by the path of the published examples
#[utoipa::path(delete, path = "/order/{userId}/id/{id}", operation_id = "delete-order-as-published",
    params(Key, Precondition),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, body = ProblemDetails, content_type = PROBLEM,
            description = "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`)."),
        (status = 404, body = ProblemDetails, content_type = PROBLEM,
            description = "There is no such order (`not-found`)."),
        (status = 412, body = ProblemDetails, content_type = PROBLEM,
            description = "The order has another version than `If-Match` names (`stale-version`)."),
        (status = 500, body = ProblemDetails, content_type = PROBLEM,
            description = "A mistake of ours (`internal`)."),
        (status = 503, body = ProblemDetails, content_type = PROBLEM,
            description = "DynamoDB throttles or is away (`unavailable`).", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ))]
fn delete_order_as_published() {}
