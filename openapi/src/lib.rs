//! The OpenAPI document of the API: its operations, and the schemas of the types that the functions parse and answer
//! with. What those types can't say (routes, headers, which problem where) is said here, in one place.

#![expect(dead_code, reason = "the functions and structs below are here for their descriptions")]

use shared::http::ProblemDetails;
use shared::order::{Order, OrderId, RestaurantId, UserId};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    AuthorizationCode, ClientCredentials, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoParams, Modify, OpenApi, ToSchema};

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
    modifiers(&Problems, &ServerFields, &SignIn),
    components(schemas(IfMatch, ProblemDetails)),
    paths(get_orders, put_order, submit_order, get_order, update_order, delete_order, delete_order_as_published),
)]
struct Api;

/// What is answered where a request is not carried out: status, which problems, and the header that comes along.
const PROBLEMS: [(&str, &str, Option<Extra>); 12] = [
    (
        "400",
        "Fields are bad (`invalid-request`, with every one of them in `errors`), or the body is not JSON (`malformed-json`).",
        None,
    ),
    (
        "401",
        "No token, or none that is good for this operation (`unauthenticated`).",
        Some(("WWW-Authenticate", "`Bearer`.", Type::String)),
    ),
    ("403", "`user_id` is another user's (`forbidden`).", None),
    ("404", "There is no such order, or it is another user's (`not-found`).", None),
    ("409", "The order is no longer PENDING (`not-pending`), or is being paid and sent (`in-process`).", None),
    ("412", "The order has another version than `If-Match` names (`stale-version`).", None),
    ("413", "The body is over 64 KiB (`body-too-large`).", None),
    ("415", "The body is not declared as JSON (`unsupported-media-type`).", None),
    ("422", "The `Idempotency-Key` came with another body before (`idempotency-key-reused`).", None),
    ("429", "Too many requests (`too-many-requests`).", Some(RETRY_AFTER)),
    ("500", "A mistake of ours (`internal`).", None),
    ("503", "DynamoDB or SQS throttles or is away (`unavailable`).", Some(RETRY_AFTER)),
];

/// A header: its name, what it says, and as what.
type Extra = (&'static str, &'static str, Type);

const RETRY_AFTER: Extra = ("Retry-After", "Seconds to wait.", Type::Integer);

/// Which of them an operation answers. All operations answer the last.
fn problems_of(operation: &str) -> Vec<&'static str> {
    let its_own: &[&str] = match operation {
        "get-orders" => &["400", "403"],
        "put-order" => &["400", "403", "404", "409", "412", "413", "415", "422"],
        "submit-order" => &["400", "403", "412", "413", "415", "422"],
        "get-order" => &["404"],
        "update-order" => &["400", "403", "404", "409", "412", "413", "415"],
        "delete-order" | "delete-order-as-published" => &["400", "404", "409", "412"],
        other => panic!("{other} is not in the list of problems"),
    };
    [its_own, &["401", "429", "500", "503"]].concat()
}

struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        let paths = document.paths.paths.values_mut();
        let operations = paths
            .flat_map(|path| [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten());
        for operation in operations {
            let answered = problems_of(operation.operation_id.as_deref().unwrap_or_default());
            let problems = PROBLEMS.into_iter().filter(|(status, ..)| answered.contains(status));
            operation.responses.responses.extend(problems.map(|(status, description, header)| {
                let body = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
                let response =
                    ResponseBuilder::new().description(description).content("application/problem+json", body);
                let response = header.into_iter().fold(response, |response, (name, says, kind)| {
                    let header = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind)));
                    response.header(name, header.description(Some(says)).build())
                });
                (status.to_owned(), response.build().into())
            }));
        }
    }
}

/// The fields that a client may send although the server sets them.
struct ServerFields;

impl Modify for ServerFields {
    fn modify(&self, document: &mut Document) {
        let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
        for (name, schema) in schemas {
            if let ("PutOrder" | "SubmitOrder" | "UpdateOrder", RefOr::T(Schema::Object(body))) =
                (name.as_str(), schema)
            {
                for field in Order::SERVER_FIELDS {
                    body.properties
                        .entry(field.to_owned())
                        .or_insert_with(|| Object::builder().schema_type(SchemaType::AnyValue).into());
                }
            }
        }
    }
}

/// Who may ask at all: whoever has one of an operation's scopes.
struct SignIn;

impl Modify for SignIn {
    fn modify(&self, document: &mut Document) {
        // A stack's own address is its output SignInUrl.
        let url = |path| format!("https://order-api-dev-123456789012.auth.eu-west-1.amazoncognito.com/oauth2/{path}");
        let own = [("orders/read", "See orders"), ("orders/write", "Create, change and delete orders")];
        let admin = ("orders/admin", "Everything, with everybody's orders");
        let people = AuthorizationCode::new(url("authorize"), url("token"), Scopes::from_iter(own));
        let machines = ClientCredentials::new(url("token"), own.into_iter().chain([admin]).collect());
        let flows = [Flow::AuthorizationCode(people), Flow::ClientCredentials(machines)];
        let described = "Amazon Cognito. People sign in with a code and PKCE, and have their own orders; admins by the \
            group `admins` have everybody's. Machines have client credentials. The address is the stack's output SignInUrl.";
        let scheme = SecurityScheme::OAuth2(OAuth2::with_description(flows, described));
        document.components.get_or_insert_default().add_security_scheme("sign-in", scheme);

        for path in document.paths.paths.values_mut() {
            let reads = path.get.iter_mut().map(|operation| (operation, "orders/read"));
            let writes = path
                .put
                .iter_mut()
                .chain(&mut path.post)
                .chain(&mut path.delete)
                .map(|operation| (operation, "orders/write"));
            for (operation, scope) in reads.chain(writes) {
                let any_of = [scope, "orders/admin"].map(|scope| SecurityRequirement::new("sign-in", [scope]));
                operation.security = Some(any_of.into());
            }
        }
    }
}

/// How many, as a client may say it: as a number or as a string of digits.
fn quantity() -> Object {
    let text_or_number = SchemaType::from_iter([Type::String, Type::Integer]);
    let quantity = ObjectBuilder::new().schema_type(text_or_number).pattern(Some("^([1-9][0-9]{0,2}|1000)$"));
    quantity.minimum(Some(1)).maximum(Some(1000)).examples([3]).build()
}

/// What a client says of an order. With `id` it is about that order, without about a new one. The fields that the
/// server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutOrder {
    /// No other than your own, unless you are an admin. A machine that is an admin must say whose order it is; to all
    /// others it is their own when it is left out.
    user_id: Option<UserId>,
    restaurant_id: RestaurantId,
    #[schema(schema_with = quantity)]
    quantity: (),
    /// The order that is to be changed.
    id: Option<OrderId>,
}

/// What a client says of an order that is to be accepted, paid and sent. The fields that the server sets may be sent, and
/// are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubmitOrder {
    /// No other than your own, unless you are an admin. A machine that is an admin must say whose order it is; to all
    /// others it is their own when it is left out.
    user_id: Option<UserId>,
    restaurant_id: RestaurantId,
    #[schema(schema_with = quantity)]
    quantity: (),
}

/// What is to be in an order. The fields that the server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateOrder {
    restaurant_id: RestaurantId,
    #[schema(schema_with = quantity)]
    quantity: (),
    /// No other than the one in the path.
    user_id: Option<UserId>,
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
    /// One user's orders, newest first. Without it your own; to an admin everybody's, in no promised order.
    user_id: Option<UserId>,
    /// How many on a page.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    #[param(nullable = false)]
    /// Where a page ended: as the `Link` header gave it, for the same list.
    cursor: Option<String>,
}

/// Entity tags (RFC 9110, 8.8.3), or `*`.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r#"^(\*|[ \t,]*(W/)?"[\t !#-~]*"([ \t]*,[ \t,]*(W/)?"[\t !#-~]*")*[ \t,]*)$"#,
    example = "\"1\""
)]
struct IfMatch(String);

/// When a write is done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Precondition {
    /// Only while the order has one of these versions: entity tags as `ETag` gave them, or `*`.
    #[param(nullable = false, rename = "If-Match")]
    if_match: Option<IfMatch>,
}

/// How often a creation is done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Idempotency {
    /// Your name for this creation: for 24 hours the same key with the same body gets the first answer again. It has
    /// no meaning where `PUT` has an `id`.
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
    ))]
fn put_order() {}

/// Submit an order, which is then accepted, paid and sent to the restaurant
///
/// Until it is saved, moments later, its path is 404. It is PENDING until it ends as SUCCESS or FAILURE; `accepted_at`
/// says when its grace period was over, in which it could be changed and deleted.
#[utoipa::path(post, path = "/orders", operation_id = "submit-order", params(Idempotency), request_body = SubmitOrder,
    responses(
        (status = 202, body = Order, description = "The order as it will be.", headers(
            ("Location" = String, description = "The order's path, relative to the request's URL."),
        )),
    ))]
fn submit_order() {}

/// Read an order
#[utoipa::path(get, path = "/orders/{userId}/order/{id}", operation_id = "get-order", params(Key),
    responses(
        (status = 200, body = Order, description = "The order as its last write left it.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
    ))]
fn get_order() {}

/// Replace what is in an order
#[utoipa::path(put, path = "/orders/{userId}/order/{id}", operation_id = "update-order", params(Key, Precondition),
    request_body = UpdateOrder,
    responses(
        (status = 200, body = Order, description = "The order as it now is.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
    ))]
fn update_order() {}

/// Delete an order
#[utoipa::path(delete, path = "/orders/{userId}/order/{id}", operation_id = "delete-order", params(Key, Precondition),
    responses(
        (status = 204, description = "It is gone."),
    ))]
fn delete_order() {}

/// Delete an order, by the path of the published examples
#[utoipa::path(delete, path = "/order/{userId}/id/{id}", operation_id = "delete-order-as-published",
    params(Key, Precondition),
    responses(
        (status = 204, description = "It is gone."),
    ))]
fn delete_order_as_published() {}
