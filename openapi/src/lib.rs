//! The OpenAPI document of the API, and the JSON Schema of the topic's messages.
//!
//! Their schemas are those of the types in `shared`, and the problems are the catalogue's ([`ProblemKind`]). Only the
//! operations, their headers and their problems are described here.

#![expect(dead_code, reason = "the functions and structs below are here for their descriptions")]

mod notification;

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Map, Value};
use shared::http::{ProblemDetails, ProblemKind};
use shared::order::{OrderContent, OrderForm, OrderId, UserId};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    AuthorizationCode, ClientCredentials, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, Modify, OpenApi, PartialSchema, ToSchema};

pub use notification::notification_schema;

/// The document, in YAML.
pub fn yaml() -> anyhow::Result<String> {
    Ok(Api::openapi().to_yaml()?.lines().map(|line| quote_instant(line) + "\n").collect())
}

/// Returns the line with its value in quotes if that is an instant. Readers of YAML 1.1 take an instant without quotes for a
/// date, and the writer follows YAML 1.2, where it is a string.
fn quote_instant(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((key, value)) if key.ends_with([':', '-']) && DateTime::parse_from_rfc3339(value).is_ok() => {
            format!("{key} '{value}'")
        }
        _ => line.to_owned(),
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Order API",
        description = "Lists, creates, reads, changes and deletes orders. Errors are problem details (RFC 9457).",
    ),
    tags(
        (name = "Orders", description = "Orders of any kind: list, record, read, change and delete them."),
        (name = "Submitted orders", description = "Orders that are paid and delivered."),
    ),
    servers((url = "/api", description = "The API on the origin of the web UI, and of this page under `make docs`."),
    (url = "https://{api}.execute-api.{region}.amazonaws.com/{stage}", variables(
        ("api" = (default = "api", description = "Id of the REST API: the stack's output ApiId.")),
        ("region" = (default = "eu-west-1", description = "Region of the API.")),
        ("stage" = (default = "Dev", description = "Stage of the API.")),
    ))),
    modifiers(&Problems, &Catalogue, &Bodies, &SignIn),
    components(schemas(IfMatch, ProblemDetails)),
    paths(get_orders, put_order, submit_order, get_order, update_order, delete_order, delete_order_as_published),
)]
struct Api;

/// Problems that an operation can return.
fn problems_of(operation: &str) -> Vec<ProblemKind> {
    const BODY: [ProblemKind; 5] = [
        ProblemKind::INVALID_REQUEST,
        ProblemKind::MALFORMED_JSON,
        ProblemKind::FORBIDDEN,
        ProblemKind::BODY_TOO_LARGE,
        ProblemKind::UNSUPPORTED_MEDIA_TYPE,
    ];
    const CHANGE: [ProblemKind; 4] =
        [ProblemKind::NOT_FOUND, ProblemKind::NOT_PENDING, ProblemKind::IN_PROCESS, ProblemKind::STALE_VERSION];
    const ALWAYS: [ProblemKind; 6] = [
        ProblemKind::REFUSED,
        ProblemKind::UNAUTHENTICATED,
        ProblemKind::INSUFFICIENT_SCOPE,
        ProblemKind::TOO_MANY_REQUESTS,
        ProblemKind::INTERNAL,
        ProblemKind::UNAVAILABLE,
    ];
    let own = match operation {
        "get-orders" => vec![ProblemKind::INVALID_REQUEST, ProblemKind::FORBIDDEN],
        "put-order" => [&BODY[..], &CHANGE, &[ProblemKind::IDEMPOTENCY_KEY_REUSED]].concat(),
        "submit-order" => [&BODY[..], &[ProblemKind::STALE_VERSION, ProblemKind::IDEMPOTENCY_KEY_REUSED]].concat(),
        "get-order" => vec![ProblemKind::INVALID_REQUEST, ProblemKind::NOT_FOUND, ProblemKind::STALE_VERSION],
        "update-order" => [&BODY[..], &CHANGE].concat(),
        "delete-order" | "delete-order-as-published" => vec![
            ProblemKind::INVALID_REQUEST,
            ProblemKind::NOT_FOUND,
            ProblemKind::IN_PROCESS,
            ProblemKind::STALE_VERSION,
        ],
        other => panic!("{other} is not in the list of problems"),
    };
    [own, ALWAYS.to_vec()].concat()
}

/// Adds each operation's problems to its responses.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        let paths = document.paths.paths.values_mut();
        let operations = paths
            .flat_map(|path| [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten());
        for operation in operations {
            let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
            for kind in problems_of(operation.operation_id.as_deref().unwrap_or_default()) {
                by_status.entry(kind.status.as_u16()).or_default().push(kind);
            }
            let responses = by_status.into_iter().map(|(status, kinds)| (status.to_string(), response(&kinds).into()));
            operation.responses.responses.extend(responses);
        }
    }
}

/// Response of one status: one of these problems.
fn response(kinds: &[ProblemKind]) -> Response {
    let description: Vec<_> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.name, kind.when)).collect();
    let body = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
    let response = ResponseBuilder::new().description(description.join(" ")).content("application/problem+json", body);
    let headers = kinds.iter().filter_map(|kind| kind.header);
    let response = headers.fold(response, |response, (name, value)| {
        let (kind, description) = match name {
            "Retry-After" => (Type::Integer, "Seconds to wait.".to_owned()),
            _ => (Type::String, format!("`{value}`.")),
        };
        let header = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind)));
        response.header(name, header.description(Some(description)).build())
    });
    response.build()
}

/// Adds the catalogue to the schema of problems: the values of `type`, and an example of each kind.
struct Catalogue;

impl Modify for Catalogue {
    fn modify(&self, document: &mut Document) {
        let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
        for (_, schema) in schemas.filter(|(name, _)| *name == "ProblemDetails") {
            let RefOr::T(Schema::Object(schema)) = schema else { panic!("ProblemDetails is an object") };
            let Some(RefOr::T(Schema::Object(kind))) = schema.properties.get_mut("type") else {
                panic!("ProblemDetails has a type")
            };
            kind.enum_values = Some(ProblemKind::ALL.iter().map(|kind| kind.uri().into()).collect());
            schema.examples = ProblemKind::ALL.iter().map(example).collect();
        }
    }
}

fn example(kind: &ProblemKind) -> Value {
    // By name: serde_json keeps either this order or the names', as the features of other crates have it.
    let mut example = Map::new();
    example.insert("detail".into(), kind.detail.into());
    example.insert("request_id".into(), "5431c0c4-c129-4bc5-9a73-16c7be03a2a5".into());
    example.insert("status".into(), kind.status.as_u16().into());
    example.insert("title".into(), kind.title.into());
    example.insert("type".into(), kind.uri().into());
    example.into()
}

/// Adds the content of an order to the bodies, and the fields that a client may send although the server sets them.
struct Bodies;

impl Modify for Bodies {
    fn modify(&self, document: &mut Document) {
        let RefOr::T(Schema::Object(content)) = OrderContent::schema() else { panic!("the content is an object") };
        let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
        for (name, schema) in schemas {
            if let ("PutOrder" | "SubmitOrder" | "UpdateOrder", RefOr::T(Schema::Object(body))) =
                (name.as_str(), schema)
            {
                body.properties.extend(content.properties.clone());
                body.required.extend(content.required.clone());
                for field in OrderForm::SERVER_FIELDS {
                    body.properties
                        .entry(field.to_owned())
                        .or_insert_with(|| Object::builder().schema_type(SchemaType::AnyValue).into());
                }
            }
        }
    }
}

/// Adds the security scheme, and the scopes of each operation.
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
        let described = "Amazon Cognito. People sign in with a code and PKCE, and use their own orders; people in the \
            group `admins` may use everybody's. Machines use client credentials. The address is the stack's output SignInUrl.";
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

/// Content of an order: with `id` of that order, without `id` of a new one. Fields that the server sets may be sent, and
/// are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutOrder {
    /// Owner of the order: your own user id, which is the default. An administrator may set another; a machine that is
    /// an administrator must set it.
    user_id: Option<UserId>,
    /// Order to change.
    id: Option<OrderId>,
}

/// Content of an order to submit. Fields that the server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubmitOrder {
    /// Owner of the order: your own user id, which is the default. An administrator may set another; a machine that is
    /// an administrator must set it.
    user_id: Option<UserId>,
}

/// New content of an order. Fields that the server sets may be sent, and are ignored.
#[derive(serde::Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateOrder {
    /// The user in the path.
    user_id: Option<UserId>,
}

/// Key of an order, in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Key {
    /// Owner of the order.
    #[param(rename = "userId")]
    user_id: UserId,
    /// Id of the order.
    id: OrderId,
}

/// Query of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Listing {
    #[param(nullable = false)]
    /// User whose orders are listed, newest first. The default is your own; for an administrator it is everybody's orders,
    /// in no particular order.
    user_id: Option<UserId>,
    /// Maximum number of orders on a page.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    #[param(nullable = false)]
    /// Start of the page: a cursor from the `Link` header of the same list.
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

/// Conditions of a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Precondition {
    /// Versions of the order for which the write is carried out: entity tags from `ETag`, or `*` for any.
    #[param(nullable = false, rename = "If-Match")]
    if_match: Option<IfMatch>,
    /// Versions of the order for which the write is not carried out: entity tags from `ETag`, or `*` for any. A new order
    /// always fulfils it.
    #[param(nullable = false, rename = "If-None-Match")]
    if_none_match: Option<IfMatch>,
}

/// Conditions of a read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct ReadCondition {
    /// Versions of the order that are returned: entity tags from `ETag`, or `*` for any. Another one is 412.
    #[param(nullable = false, rename = "If-Match")]
    if_match: Option<IfMatch>,
    /// Versions of the order that the client has: entity tags from `ETag`, or `*` for any. If it is one of them, the answer
    /// is 304.
    #[param(nullable = false, rename = "If-None-Match")]
    if_none_match: Option<IfMatch>,
}

/// Idempotency key of a creation.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Idempotency {
    /// Your name for this creation: the same key with the same body gets the first answer again, for 24 hours after a `PUT`
    /// and for 90 days after a `POST`. It is ignored if `PUT` has an `id`.
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
#[utoipa::path(get, tag = "Orders", path = "/orders", operation_id = "get-orders", params(Listing),
    responses(
        (status = 200, body = Vec<OrderForm>, description = "A page of the list.", headers(
            ("Link" = String, description = "If more orders follow: `<?cursor=...>; rel=\"next\"` (RFC 8288), relative to the request's URL."),
        )),
    ))]
fn get_orders() {}

/// Create an order, or replace the content of one
#[utoipa::path(put, tag = "Orders", path = "/orders", operation_id = "put-order", params(Idempotency, Precondition), request_body = PutOrder,
    responses(
        (status = 200, body = OrderForm, description = "The order after the change.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
        (status = 201, body = OrderForm, description = "The new order.", headers(
            ("ETag" = String, description = "The order's `version` in quotes."),
            ("Location" = String, description = "The order's path, relative to the request's URL."),
        )),
    ))]
fn put_order() {}

/// Submit an order, which is then accepted, paid and sent to the restaurant
///
/// The order is saved moments later; until then, reading it answers 404. It is PENDING until it ends: as SUCCESS, paid and
/// delivered, or as FAILURE, where `refund` says what became of a payment. In its grace period, until it has `accepted_at`,
/// it can be changed and deleted. Its total is then fixed, and charged once.
#[utoipa::path(post, tag = "Submitted orders", path = "/orders", operation_id = "submit-order", params(Idempotency), request_body = SubmitOrder,
    responses(
        (status = 202, body = OrderForm, description = "The order as it will be saved.", headers(
            ("Location" = String, description = "The order's path, relative to the request's URL."),
        )),
    ))]
fn submit_order() {}

/// Read an order
#[utoipa::path(get, tag = "Orders", path = "/orders/{userId}/order/{id}", operation_id = "get-order", params(Key, ReadCondition),
    responses(
        (status = 200, body = OrderForm, description = "The order as its last write left it.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
        (status = 304, description = "`If-None-Match` names the order's version.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
    ))]
fn get_order() {}

/// Replace the content of an order
#[utoipa::path(put, tag = "Orders", path = "/orders/{userId}/order/{id}", operation_id = "update-order", params(Key, Precondition),
    request_body = UpdateOrder,
    responses(
        (status = 200, body = OrderForm, description = "The order after the change.", headers(("ETag" = String, description = "The order's `version` in quotes."))),
    ))]
fn update_order() {}

/// Delete an order
///
/// A PENDING order can be deleted until it is accepted. Then the answer is `in-process` until the order is settled: it is
/// final, this and each change of its refund is published, and no refund is owed. After a 404 no order with that id will be
/// saved, even if it was submitted just before.
#[utoipa::path(delete, tag = "Orders", path = "/orders/{userId}/order/{id}", operation_id = "delete-order", params(Key, Precondition),
    responses(
        (status = 204, description = "The order is deleted."),
    ))]
fn delete_order() {}

/// Delete an order, by the path of the published examples
///
/// The same as `delete-order`.
#[utoipa::path(delete, tag = "Orders", path = "/order/{userId}/id/{id}", operation_id = "delete-order-as-published",
    params(Key, Precondition),
    responses(
        (status = 204, description = "The order is deleted."),
    ))]
fn delete_order_as_published() {}
