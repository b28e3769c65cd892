//! Requests, parsed into the domain's types. A bad request is refused with every bad field at once, and a parsed request
//! is one that its caller is allowed to make.
//!
//! The fields of a body are taken out of a JSON object one by one, rather than by one `Deserialize` of the body: serde
//! stops at the first mistake.

use lambda_http::http::header::IF_MATCH;
use lambda_http::http::{HeaderMap, HeaderValue};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::media_type::MediaType;
use super::problem::Unsupported;
use super::{FieldError, Problem, json};
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

/// All lines of a header that holds a list, as one list (RFC 9110, 5.3).
fn list(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Value of a header that is no list. The same line may come again.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, FieldError> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if lines.any(|line| Some(line) != first) {
        return Err(FieldError::new(name, "must be given once"));
    }
    Ok(first.map(HeaderValue::as_bytes))
}

/// Conditions of a request about one order (RFC 9110, 13.1): `If-Match` and `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    if_match: Expected,
    if_none_match: Expected,
}

impl Conditions {
    /// Parses the headers.
    pub fn parse(request: &Request) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        Self::collect(request.headers(), &mut errors).ok_or(Problem::InvalidRequest(errors))
    }

    fn collect(headers: &HeaderMap, errors: &mut Vec<FieldError>) -> Option<Self> {
        let if_match = Tags::parse(headers, "If-Match").map_err(|error| errors.push(error));
        let if_none_match = Tags::parse(headers, "If-None-Match").map_err(|error| errors.push(error));
        Some(Self {
            if_match: match if_match.ok()? {
                None | Some(Tags::Any) => Expected::Any,
                // Compared strongly (13.1.1): a weak tag matches nothing.
                Some(Tags::Listed { strong, .. }) => Expected::OneOf(strong),
            },
            if_none_match: match if_none_match.ok()? {
                None => Expected::Any,
                // Every order has a version.
                Some(Tags::Any) => Expected::OneOf(Vec::new()),
                // Compared weakly (13.1.2).
                Some(Tags::Listed { strong, weak }) => Expected::NoneOf([strong, weak].concat()),
            },
        })
    }

    /// Versions of an order for which a write is carried out.
    #[must_use]
    pub fn expected(self) -> Expected {
        self.if_match.and(self.if_none_match)
    }

    /// Returns true if a read returns that version, and false if the client has it already. `If-Match` comes first (RFC
    /// 9110, 13.2.2).
    pub fn is_new(&self, version: Version) -> Result<bool, Problem> {
        if self.if_match.matches(version) { Ok(self.if_none_match.matches(version)) } else { Err(Problem::Stale) }
    }
}

/// Value of `If-Match` or `If-None-Match`.
enum Tags {
    /// `*`.
    Any,
    /// Versions that the tags name. A tag that no order can have is left out, because it matches nothing.
    Listed { strong: Vec<Version>, weak: Vec<Version> },
}

impl Tags {
    fn parse(headers: &HeaderMap, name: &str) -> Result<Option<Self>, FieldError> {
        const ALLOWED: &str = r#"must be * or entity tags as the ETag header gives them, such as "3""#;
        let Some(list) = list(headers, name) else { return Ok(None) };
        if list.trim_matches([' ', '\t']) == "*" {
            return Ok(Some(Self::Any));
        }
        let (mut strong, mut weak) = (Vec::new(), Vec::new());
        let mut rest = Some(&*list);
        while let Some(list) = rest {
            let (is_weak, tag, next) = split_entity_tag(list).ok_or_else(|| FieldError::new(name, ALLOWED))?;
            let version = tag.parse().ok().filter(|version: &u64| version.to_string() == tag).map(Version::from);
            let versions = if is_weak { &mut weak } else { &mut strong };
            versions.extend(version);
            rest = next;
        }
        if strong.len() + weak.len() > Expected::MAX {
            return Err(FieldError::new(name, format!("must name at most {} versions", Expected::MAX)));
        }
        Ok(Some(Self::Listed { strong, weak }))
    }
}

/// The first entity tag of a list (RFC 9110, 8.8.3): true if it is weak, its text, and the list after it. Like any list
/// in a header it may have empty elements (5.6.1.2).
fn split_entity_tag(list: &str) -> Option<(bool, &str, Option<&str>)> {
    let list = list.trim_start_matches([' ', '\t', ',']);
    let (is_weak, tag) = list.strip_prefix("W/").map_or((false, list), |tag| (true, tag));
    let (tag, rest) = tag.strip_prefix('"')?.split_once('"')?;
    match rest.trim_matches([' ', '\t']) {
        rest if rest.trim_matches([' ', '\t', ',']).is_empty() => Some((is_weak, tag, None)),
        rest => rest.starts_with(',').then_some((is_weak, tag, Some(rest))),
    }
}

/// The operation that the request's `Idempotency-Key` names, if it has one. It is known by its route, because one path
/// has several spellings: with a slash at its end, or with the base path of a domain.
fn parse_idempotency_key(
    request: &Request,
    caller: &Caller,
    processing: Processing,
) -> Result<Option<Operation>, FieldError> {
    let Some(key) = once(request.headers(), "Idempotency-Key")? else { return Ok(None) };
    let key = IdempotencyKey::try_from(key).map_err(|error| FieldError::new("Idempotency-Key", error.to_string()))?;
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.resource_path.as_deref(),
        _ => None,
    };
    let route = format!("{} {}", request.method(), path.unwrap_or_default());
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

    /// Refuses `If-Match`: a new order has no version that it could name (RFC 9110, 13.1.1). `If-None-Match` is always
    /// fulfilled.
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
        check_content(request.headers())?;
        let body = request.body().as_ref();
        if body.len() > MAX_BODY_BYTES {
            return Err(Problem::BodyTooLarge);
        }
        let mut errors = Vec::new();
        Ok(Self { object: json::parse_object(body, &mut errors)?, errors })
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.object.remove(name) else {
            // A field that can't be read has its error already.
            if !self.errors.iter().any(|error| error.field == name) {
                self.errors.push(FieldError::new(name, "is required"));
            }
            return None;
        };
        // API Gateway replaces bytes that are not UTF-8, before it sends the body.
        if value.as_str().is_some_and(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
            self.errors.push(FieldError::new(name, "must not contain U+FFFD, which replaces bytes that are not UTF-8"));
            return None;
        }
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
        let conditions = Conditions::collect(request.headers(), &mut self.errors);
        Some(UpdateOrder {
            content: OrderContent { restaurant_id: restaurant_id?, quantity: quantity? },
            expected: conditions?.expected(),
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

/// Checks that the body is declared as JSON in UTF-8, without a content coding.
fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = list(headers, "Content-Encoding").unwrap_or_default();
    let mut codings = codings.split(',').map(str::trim).filter(|coding| !coding.is_empty());
    if let Some(coding) = codings.find(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Problem::UnsupportedMediaType(Unsupported::Coding(coding.to_owned())));
    }
    let content_type = once(headers, "Content-Type").map_err(|error| Problem::InvalidRequest(vec![error]))?;
    let content_type = content_type.and_then(|value| MediaType::parse(std::str::from_utf8(value).ok()?));
    let Some(json) = content_type.filter(|media_type| media_type.essence.eq_ignore_ascii_case("application/json"))
    else {
        return Err(Problem::UnsupportedMediaType(Unsupported::Type));
    };
    // "utf8" is a common misspelling (Encoding Standard, 4.2).
    let is_utf_8 = |charset: &&str| ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name));
    match json.values("charset").find(|charset| !is_utf_8(charset)) {
        Some(charset) => Err(Problem::UnsupportedMediaType(Unsupported::Charset(charset.to_owned()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::event::samples;

    fn parse(name: &'static str, lines: &[&str]) -> Option<Conditions> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        Conditions::collect(&headers, &mut vec![])
    }

    fn if_match(lines: &[&str]) -> Option<Expected> {
        parse("if-match", lines).map(|conditions| conditions.if_match)
    }

    fn if_none_match(lines: &[&str]) -> Option<Expected> {
        parse("if-none-match", lines).map(|conditions| conditions.if_none_match)
    }

    fn versions(numbers: &[u64]) -> Vec<Version> {
        numbers.iter().copied().map(Version::from).collect()
    }

    fn one_of(numbers: &[u64]) -> Expected {
        Expected::OneOf(versions(numbers))
    }

    fn none_of(numbers: &[u64]) -> Expected {
        Expected::NoneOf(versions(numbers))
    }

    #[test]
    fn tags_name_versions() {
        assert_eq!((if_match(&[]), if_none_match(&[])), (Some(Expected::Any), Some(Expected::Any)));
        assert_eq!((if_match(&["*"]), if_none_match(&[" * "])), (Some(Expected::Any), Some(one_of(&[]))));
        for (lines, numbers) in [
            (&[r#""3""#][..], &[3][..]),
            (&[r#" "3" ,"4""#], &[3, 4]),
            (&[r#","3",, "4" , "#], &[3, 4]),
            (&[r#""3""#, r#""4", "5""#], &[3, 4, 5]),
            (&["", r#""3""#], &[3]),
        ] {
            assert_eq!(
                (if_match(lines), if_none_match(lines)),
                (Some(one_of(numbers)), Some(none_of(numbers))),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_weak_tag_matches_in_if_none_match_only() {
        let list = [r#"W/"3", "5""#];
        assert_eq!((if_match(&list), if_none_match(&list)), (Some(one_of(&[5])), Some(none_of(&[5, 3]))));
    }

    #[test]
    fn a_tag_that_no_order_has_matches_nothing() {
        for tag in [r#""abc""#, r#""03""#, r#""+3""#, r#""""#, r#""3,4""#, r#"W/"x""#, "\"é\""] {
            assert_eq!((if_match(&[tag]), if_none_match(&[tag])), (Some(one_of(&[])), Some(none_of(&[]))), "{tag}");
        }
        assert_eq!(if_match(&[r#""x,y", "5""#]), Some(one_of(&[5])));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let too_many = vec![r#""1""#; 101].join(",");
        for lines in [
            &["3"][..],
            &[""],
            &["\"3"],
            &["3\""],
            &[r#""3" "4""#],
            &[","],
            &[r#"w/"3""#],
            &["*, *"],
            &["*", r#""3""#],
            &[&too_many],
        ] {
            assert_eq!((if_match(lines), if_none_match(lines)), (None, None), "{lines:?}");
        }
    }

    /// The request `PUT /orders` with these lines of a header, and this body if it has another one, parsed by an
    /// administrator.
    fn put(name: &str, lines: &[&str], body: Option<&str>) -> Result<PutOrder, Problem> {
        let mut event = samples::with_lines(samples::put_order(), name, lines);
        if let Some(body) = body {
            event["body"] = json!(body);
        }
        let request = samples::request(&event)?;
        PutOrder::parse(&request, &caller(&request)?)
    }

    fn bad_fields<T: std::fmt::Debug>(parsed: Result<T, Problem>) -> Vec<String> {
        match parsed.unwrap_err() {
            Problem::InvalidRequest(errors) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn operation(event: &Value) -> Operation {
        let request = samples::request(event).unwrap();
        NewOrder::parse(&request, &caller(&request).unwrap()).unwrap().operation.unwrap()
    }

    #[test]
    fn a_list_in_several_lines_is_one_list() {
        let id = r#"{"user_id":"Ann","restaurant_id":"R","quantity":1,"id":"01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"}"#;
        for (name, expected) in [("If-Match", one_of(&[1, 2])), ("If-None-Match", none_of(&[1, 2]))] {
            match put(name, &[r#""1""#, r#""2""#], Some(id)) {
                Ok(PutOrder::Replace(_, update)) => assert_eq!(update.expected, expected),
                other => panic!("{name}: {other:?}"),
            }
        }
        let coding = put("Content-Encoding", &["identity", "Identity, br"], None);
        assert!(
            matches!(&coding, Err(Problem::UnsupportedMediaType(Unsupported::Coding(coding))) if coding == "br"),
            "{coding:?}"
        );
        assert!(put("Content-Encoding", &["identity", ""], None).is_ok());
    }

    #[test]
    fn a_header_that_is_no_list_may_be_given_once() {
        for (name, value, other) in
            [("Content-Type", "application/json", "application/json; charset=utf-8"), ("Idempotency-Key", "a", "b")]
        {
            assert!(put(name, &[value, value], None).is_ok(), "{name}");
            assert_eq!(bad_fields(put(name, &[value, other], None)), [name]);
            assert_eq!(bad_fields(put(name, &[other, value], None)), [name]);
        }
        // Names differ in case only.
        let event = samples::with_lines(samples::put_order(), "Idempotency-Key", &["a"]);
        let request = samples::request(&samples::with_lines(event, "idempotency-key", &["b"])).unwrap();
        assert_eq!(bad_fields(NewOrder::parse(&request, &caller(&request).unwrap())), ["Idempotency-Key"]);
    }

    #[test]
    fn both_conditions_of_a_write_must_be_fulfilled() {
        let conditions = |if_match, if_none_match| Conditions { if_match, if_none_match };
        let (two, not_two) = (one_of(&[2]), none_of(&[2]));
        for (if_match, if_none_match, expected) in [
            (Expected::Any, Expected::Any, Expected::Any),
            (two.clone(), Expected::Any, two.clone()),
            (Expected::Any, not_two.clone(), not_two.clone()),
            (two.clone(), not_two.clone(), Expected::OneOf(vec![])),
            (one_of(&[1, 2, 3]), not_two.clone(), one_of(&[1, 3])),
            (Expected::Any, Expected::OneOf(vec![]), Expected::OneOf(vec![])),
            (two.clone(), Expected::OneOf(vec![]), Expected::OneOf(vec![])),
        ] {
            assert_eq!(conditions(if_match, if_none_match).expected(), expected);
        }
        // For a read, If-Match comes first.
        let stale = conditions(two, not_two).is_new(Version::from(1));
        assert!(matches!(stale, Err(Problem::Stale)), "{stale:?}");
    }

    #[test]
    fn a_new_order_fulfils_if_none_match() {
        for header in ["*", r#""1""#, r#"W/"1", "2""#] {
            assert!(matches!(put("If-None-Match", &[header], None), Ok(PutOrder::Create(_))), "{header}");
            let request = samples::with_lines(samples::put_order(), "If-None-Match", &[header]);
            let request = samples::request(&request).unwrap();
            assert!(NewOrder::parse(&request, &caller(&request).unwrap()).is_ok(), "{header}");
        }
        assert_eq!(bad_fields(put("If-None-Match", &["1"], None)), ["If-None-Match"]);
    }

    #[test]
    fn an_operation_is_known_by_its_route() {
        let event = samples::with_lines(samples::put_order(), "Idempotency-Key", &["k"]);
        let first = operation(&event);
        let request = samples::request(&event).unwrap();
        // Records of earlier releases have the fingerprint of this route.
        let key = IdempotencyKey::try_from(&b"k"[..]).unwrap();
        let caller = caller(&request).unwrap();
        let saved = Operation::request(caller.name(), &key, "PUT /orders", request.body(), Processing::Workflow);
        assert_eq!(first, saved);
        for path in ["/orders/", "/base/orders", "/Dev/orders"] {
            let mut other = event.clone();
            other["path"] = json!(path);
            assert_eq!(operation(&other), first, "{path}");
        }
        let mut post = event.clone();
        post["httpMethod"] = json!("POST");
        assert_ne!(operation(&post), first);
    }

    #[test]
    fn json_in_utf_8_is_taken_however_it_is_declared() {
        for good in ["application/json", "Application/JSON ;\tcharset=\"UTF-8\";;", "application/json; charset=utf8"] {
            assert!(put("Content-Type", &[good], None).is_ok(), "{good}");
        }
        for bad in ["", "text/json", "application/json, application/json", "application/problem+json", "é"] {
            let parsed = put("Content-Type", &[bad], None);
            assert!(matches!(parsed, Err(Problem::UnsupportedMediaType(Unsupported::Type))), "{bad}: {parsed:?}");
        }
        for charset in ["latin1", "\"utf-16\"", "utf-8;charset=us-ascii"] {
            let parsed = put("Content-Type", &[&format!("application/json;charset={charset}")], None);
            assert!(
                matches!(parsed, Err(Problem::UnsupportedMediaType(Unsupported::Charset(_)))),
                "{charset}: {parsed:?}"
            );
        }
    }

    #[test]
    fn every_mistake_of_a_body_is_named_once() {
        let parsed = |body| bad_fields(put("Accept", &["*/*"], Some(body)));
        assert_eq!(parsed(r#"{"user_id":"Ann","restaurant_id":"R","quantity":1,"quantity":2}"#), ["quantity"]);
        assert_eq!(
            parsed(
                r#"{"user_id":"Ann","restaurant_id":"\ud800","quantity":1e400,"total":{"a":1,"a":2},"version":-1e400}"#
            ),
            ["restaurant_id", "quantity", "total", "version"]
        );
        assert_eq!(
            parsed(r#"{"user_id":"A�","restaurant_id":"\ufffd","quantity":0.9999999999999999}"#),
            ["user_id", "restaurant_id", "quantity"]
        );
        let whole = r#"{"user_id":"Ann","restaurant_id":"R","quantity":3.0}"#;
        assert!(put("Accept", &["*/*"], Some(whole)).is_ok());
    }
}
