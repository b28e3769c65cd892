//! Requests, parsed into the domain's types. A bad request is refused with every bad field at once, and a parsed request
//! is one that its caller is allowed to make.
//!
//! The fields of a body are taken out of a JSON object one by one, rather than by one `Deserialize` of the body: serde
//! stops at the first mistake.

use lambda_http::http::HeaderMap;
use lambda_http::http::header::{CONTENT_TYPE, IF_MATCH};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{FieldError, Problem};
use crate::caller::{Caller, Denied, Subject};
use crate::idempotency::{IdempotencyKey, Operation};
use crate::order::{Expected, OrderContent, OrderForm, OrderId, OrderKey, Processing, UserId, Version};
use crate::page::{Cursor, Limit, List};
use crate::telemetry;

/// Maximum size of a body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The caller of the request, from the claims of the token that API Gateway's authorizer has verified.
pub fn caller(request: &Request) -> Result<Caller, Problem> {
    let claims = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.authorizer.fields.get("claims"),
        _ => None,
    };
    // Development servers verify no tokens, and send no claims.
    #[cfg(feature = "unauthenticated")]
    let nobody = Caller::of_development;
    #[cfg(not(feature = "unauthenticated"))]
    let nobody = || None;
    claims.map_or_else(nobody, Caller::from_claims).ok_or(Problem::Unauthenticated)
}

/// X-Ray's header of the request, from Lambda.
#[must_use]
pub fn trace(request: &Request) -> Option<String> {
    request.lambda_context_ref().and_then(|context| context.xray_trace_id.clone())
}

/// The order that the path names by `{userId}` and `{id}`. A path that can't name an order is 404, like an order that
/// does not exist or is another user's.
///
/// API Gateway has percent-decoded the segments once, and has encoded a `%` in them again ("Amazon API Gateway important
/// notes for REST APIs"). So nothing is decoded here, and no user's id contains a `%`.
pub fn order_key(request: &Request, caller: &Caller) -> Result<OrderKey, Problem> {
    let path = request.path_parameters_ref();
    let segment = |name| path.and_then(|path| path.first(name)).map(str::to_owned).ok_or(Problem::NotFound);
    #[cfg(feature = "unauthenticated")]
    let segment = |name| decode_v2_segment(request, segment(name)?);
    let key = OrderKey {
        user_id: UserId::try_from(segment("userId")?).map_err(|_| Problem::NotFound)?,
        id: OrderId::try_from(segment("id")?).map_err(|_| Problem::NotFound)?,
    };
    telemetry::set_order_id(key.id);
    check(caller, Subject::Order(&key))?;
    Ok(key)
}

/// Refuses the request if its caller may not make it.
fn check(caller: &Caller, subject: Subject<'_>) -> Result<(), Problem> {
    caller.may(subject).map_err(|denied| match denied {
        Denied::Forbidden => Problem::Forbidden,
        Denied::Hidden => Problem::NotFound,
    })
}

/// `cargo lambda watch` does not decode the segments, as API Gateway does.
#[cfg(feature = "unauthenticated")]
fn decode_v2_segment(request: &Request, segment: String) -> Result<String, Problem> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(_)) => {
            let decoded = percent_encoding::percent_decode_str(&segment).decode_utf8();
            decoded.map(String::from).map_err(|_| Problem::NotFound)
        }
        _ => Ok(segment),
    }
}

/// Versions that `If-Match` names; without that header, any.
///
/// Tags are compared strongly (RFC 9110, 13.1.1): a weak tag matches nothing, and neither does a tag that no order can
/// have.
pub fn if_match(headers: &HeaderMap) -> Result<Expected, Problem> {
    parse_if_match(headers).map_err(|error| Problem::InvalidRequest(vec![error]))
}

fn parse_if_match(headers: &HeaderMap) -> Result<Expected, FieldError> {
    const ALLOWED: &str = r#"must be * or entity tags as the ETag header gives them, such as "3""#;
    let Some(header) = headers.get(IF_MATCH) else { return Ok(Expected::Any) };
    let header = header.to_str().unwrap_or_default().trim();
    if header == "*" {
        return Ok(Expected::Any);
    }
    let mut versions = Vec::new();
    let mut rest = Some(header);
    while let Some(list) = rest {
        let (tag, next) = split_entity_tag(list).ok_or_else(|| FieldError::new("If-Match", ALLOWED))?;
        versions.extend(tag.parse().ok().filter(|version: &u64| version.to_string() == tag).map(Version::from));
        rest = next;
    }
    if versions.len() > Expected::MAX {
        return Err(FieldError::new("If-Match", format!("must name at most {} versions", Expected::MAX)));
    }
    Ok(Expected::OneOf(versions))
}

/// The first entity tag of a list (RFC 9110, 8.8.3), with its `W/` if it is weak, and the list after it. Like any list
/// in a header it may have empty elements (5.6.1.2).
fn split_entity_tag(list: &str) -> Option<(&str, Option<&str>)> {
    let list = list.trim_start_matches([' ', '\t', ',']);
    let opaque = list.strip_prefix("W/").unwrap_or(list).strip_prefix('"')?;
    let (opaque, rest) = opaque.split_once('"')?;
    let tag = if list.starts_with("W/") { list } else { opaque };
    match rest.trim_matches([' ', '\t']) {
        rest if rest.trim_matches([' ', '\t', ',']).is_empty() => Some((tag, None)),
        rest => rest.starts_with(',').then_some((tag, Some(rest))),
    }
}

/// The operation that the request's `Idempotency-Key` names, if it has one.
fn parse_idempotency_key(
    request: &Request,
    caller: &Caller,
    processing: Processing,
) -> Result<Option<Operation>, FieldError> {
    let Some(key) = request.headers().get("Idempotency-Key") else { return Ok(None) };
    let key = IdempotencyKey::try_from(key.as_bytes())
        .map_err(|error| FieldError::new("Idempotency-Key", error.to_string()))?;
    let route = format!("{} {}", request.method(), request.raw_http_path());
    Ok(Some(Operation::request(caller.name(), &key, &route, request.body().as_ref(), processing)))
}

/// Request to list orders.
#[derive(Debug, PartialEq, Eq)]
pub struct ListOrders {
    /// Orders to list.
    pub list: List,
    /// Size of the page, if the request sets it.
    pub limit: Option<Limit>,
    /// Place where the page starts; none for the start of the list.
    pub cursor: Option<Cursor>,
}

impl ListOrders {
    /// Parses the query.
    pub fn parse(request: &Request, caller: &Caller) -> Result<Self, Problem> {
        let mut query = Query { request, errors: Vec::new() };
        let user_id = query.parameter("user_id", |text| UserId::try_from(text.to_owned()));
        let limit = query.parameter("limit", str::parse);
        let list = user_id.map_or_else(|| caller.default_list(), List::Of);
        // Without a valid user the list is not known, and so the cursor can't be checked.
        let user_is_known = !query.errors.iter().any(|error| error.field == "user_id");
        let cursor = user_is_known.then(|| query.parameter("cursor", |text| Cursor::decode(text, &list))).flatten();
        if !query.errors.is_empty() {
            return Err(Problem::InvalidRequest(query.errors));
        }
        match &list {
            List::All => check(caller, Subject::Everybody)?,
            List::Of(user_id) => check(caller, Subject::User(user_id))?,
        }
        Ok(Self { list, limit, cursor })
    }
}

struct Query<'a> {
    request: &'a Request,
    errors: Vec<FieldError>,
}

impl Query<'_> {
    fn parameter<T, E: ToString>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let values = self.request.query_string_parameters_ref()?.all(name)?;
        let parsed = match values.as_slice() {
            [value] => parse(value).map_err(|error| error.to_string()),
            _ => Err("must be given once".to_owned()),
        };
        parsed.map_err(|message| self.errors.push(FieldError::new(name, message))).ok()
    }
}

/// Request to create an order.
#[derive(Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Owner of the order.
    pub user_id: UserId,
    /// Content of the order.
    pub content: OrderContent,
    /// Operation to carry out once, if the request has an idempotency key.
    pub operation: Option<Operation>,
}

impl NewOrder {
    /// Parses a request to submit an order. Without `user_id` the caller is the owner, if they are a user.
    pub fn parse(request: &Request, caller: &Caller) -> Result<Self, Problem> {
        let (new, _) = Fields::parse(request)?.new_order(request, caller, Processing::Workflow)?;
        new.without_condition(request)
    }

    /// Refuses `If-Match`: a new order has no version that it could name (RFC 9110, 13.1.1).
    fn without_condition(self, request: &Request) -> Result<Self, Problem> {
        if request.headers().contains_key(IF_MATCH) { Err(Problem::Stale) } else { Ok(self) }
    }
}

/// Request `PUT /orders`.
#[derive(Debug, PartialEq, Eq)]
pub enum PutOrder {
    /// Create an order.
    Create(NewOrder),
    /// Replace the content of an order.
    Replace(OrderKey, UpdateOrder),
}

impl PutOrder {
    /// Parses the request: with an `id` it is about that order, without one about a new order.
    pub fn parse(request: &Request, caller: &Caller) -> Result<Self, Problem> {
        let mut fields = Fields::parse(request)?;
        let id: Option<String> = fields.optional("id");
        let (new, expected) = fields.new_order(request, caller, Processing::None)?;
        match id {
            None => new.without_condition(request).map(Self::Create),
            // As in a path, an id that no order can have is 404.
            Some(id) => {
                let id = OrderId::try_from(id).map_err(|_| Problem::NotFound)?;
                telemetry::set_order_id(id);
                let NewOrder { user_id, content, .. } = new;
                Ok(Self::Replace(OrderKey { user_id, id }, UpdateOrder { content, expected }))
            }
        }
    }
}

/// Request to change an order.
#[derive(Debug, PartialEq, Eq)]
pub struct UpdateOrder {
    /// New content of the order.
    pub content: OrderContent,
    /// Versions of the order that may be changed.
    pub expected: Expected,
}

impl UpdateOrder {
    /// Parses the request. Its body may name the order's user, but no other one.
    pub fn parse(request: &Request, key: &OrderKey, caller: &Caller) -> Result<Self, Problem> {
        let mut fields = Fields::parse(request)?;
        if let Some(user_id) = fields.optional::<UserId>("user_id")
            && user_id != key.user_id
        {
            check(caller, Subject::User(&user_id))?;
            fields.errors.push(FieldError::new("user_id", "must be the one in the path, or be left out"));
        }
        let update = fields.update(request);
        fields.finish(update)
    }
}

/// Fields of a JSON body, taken out one by one, and the errors found so far.
struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    fn parse(request: &Request) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::UnsupportedMediaType);
        }
        let body = request.body().as_ref();
        if body.len() > MAX_BODY_BYTES {
            return Err(Problem::BodyTooLarge);
        }
        match serde_json::from_slice(body).map_err(Problem::MalformedJson)? {
            Value::Object(object) => Ok(Self { object, errors: Vec::new() }),
            _ => Err(Problem::field("body", "must be a JSON object")),
        }
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.object.remove(name) else {
            self.errors.push(FieldError::new(name, "is required"));
            return None;
        };
        serde_json::from_value(value).map_err(|error| self.errors.push(FieldError::new(name, error.to_string()))).ok()
    }

    /// A field that may be left out, or be null.
    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.object.get(name) {
            None => None,
            Some(Value::Null) => {
                self.object.remove(name);
                None
            }
            Some(_) => self.required(name),
        }
    }

    fn update(&mut self, request: &Request) -> Option<UpdateOrder> {
        let restaurant_id = self.required("restaurant_id");
        let quantity = self.required("quantity");
        let expected = parse_if_match(request.headers()).map_err(|error| self.errors.push(error)).ok();
        Some(UpdateOrder {
            content: OrderContent { restaurant_id: restaurant_id?, quantity: quantity? },
            expected: expected?,
        })
    }

    fn new_order(
        mut self,
        request: &Request,
        caller: &Caller,
        processing: Processing,
    ) -> Result<(NewOrder, Expected), Problem> {
        let user_id = match caller.user_id() {
            Some(own) => self.optional("user_id").or_else(|| Some(own.clone())),
            None => self.required("user_id"),
        };
        let update = self.update(request);
        let operation = parse_idempotency_key(request, caller, processing);
        let operation = operation.map_err(|error| self.errors.push(error)).unwrap_or_default();
        let (user_id, UpdateOrder { content, expected }) = self.finish(user_id.zip(update))?;
        check(caller, Subject::User(&user_id))?;
        Ok((NewOrder { user_id, content, operation }, expected))
    }

    /// Returns the value if no field was invalid and none is unknown.
    fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        let unknown = self.object.keys().filter(|name| !OrderForm::SERVER_FIELDS.contains(&name.as_str()));
        self.errors.extend(unknown.map(|name| FieldError::new(name, "is not a field of an order")));
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Problem::InvalidRequest(self.errors)),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.parse::<mime::Mime>().ok())
        .is_some_and(|mime| mime.essence_str() == mime::APPLICATION_JSON.essence_str())
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;

    use super::*;

    fn versions(header: &str) -> Option<Vec<u64>> {
        let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_str(header).unwrap())]);
        match if_match(&headers) {
            Ok(Expected::OneOf(versions)) => Some(versions.into_iter().map(Version::get).collect()),
            Ok(Expected::Any) => panic!("{header} is taken for any version"),
            Err(_) => None,
        }
    }

    #[test]
    fn if_match_names_versions() {
        assert_eq!(versions(r#""3""#), Some(vec![3]));
        assert_eq!(versions(r#" "3" ,"4""#), Some(vec![3, 4]));
        assert_eq!(versions(r#","3",, "4" , "#), Some(vec![3, 4]));
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), Expected::Any);
        assert_eq!(
            if_match(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static("*"))])).unwrap(),
            Expected::Any
        );
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing() {
        for header in [r#"W/"3""#, r#""abc""#, r#""03""#, r#""+3""#, r#""""#, r#""3,4""#] {
            assert_eq!(versions(header), Some(vec![]), "{header}");
        }
        assert_eq!(versions(r#"W/"3", "5", "x,y""#), Some(vec![5]));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let too_many = vec![r#""1""#; 101].join(",");
        for header in ["3", "", "\"3", "3\"", r#""3" "4""#, ",", r#"w/"3""#, &too_many] {
            assert_eq!(versions(header), None, "{header}");
        }
    }
}
