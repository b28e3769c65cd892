//! Requests: each part of one that a client sets, and whole events of API Gateway.

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Context, Request};
use lambda_runtime::LambdaEvent;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use shared::caller::Caller;
use shared::fixtures::{euros, key, new_order};
use shared::http::request::{self, Conditions, ListOrders, NewOrder, PutOrder, UpdateOrder};
use shared::http::response::{self, Response, SavedAnswer};
use shared::http::{self, Problem};
use shared::order::{Order, Processing, Timestamp, UserId};
use shared::page::{Cursor, List};

use super::{CANARY, logged, store};

/// Operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    List,
    Put,
    Submit,
    Get,
    Update,
    Delete,
}

impl Operation {
    const ALL: [Self; 6] = [Self::List, Self::Put, Self::Submit, Self::Get, Self::Update, Self::Delete];

    fn route(self) -> (&'static str, &'static str) {
        const ONE: &str = "/orders/{userId}/order/{id}";
        match self {
            Self::List => ("GET", "/orders"),
            Self::Put => ("PUT", "/orders"),
            Self::Submit => ("POST", "/orders"),
            Self::Get => ("GET", ONE),
            Self::Update => ("PUT", ONE),
            Self::Delete => ("DELETE", ONE),
        }
    }

    /// The operation without its writes: what the functions do with the request, and how they answer it.
    async fn handle(self, caller: Caller, request: Request) -> Result<Response, Problem> {
        let now = Timestamp::now();
        let is_own = |user_id: &UserId| caller.name() != "Ann" || user_id.as_str() == "Ann";
        match self {
            Self::List => {
                let ListOrders { list, limit, cursor } = ListOrders::parse(&request, &caller)?;
                let page = store::list(&list, limit.unwrap_or_default(), cursor.as_ref()).await?;
                if caller.name() == "Ann" {
                    assert!(matches!(&list, List::Of(user_id) if is_own(user_id)), "Ann gets another list: {list:?}");
                }
                response::page(&page, &list, limit)
            }
            Self::Put => match PutOrder::parse(&request, &caller)? {
                PutOrder::Create(new) => {
                    assert!(is_own(&new.user_id), "Ann makes another user's order");
                    created(new, Processing::None, now)
                }
                PutOrder::Replace(key, update) => {
                    assert!(is_own(&key.user_id), "Ann changes another user's order");
                    replaced(&update, now)
                }
            },
            Self::Submit => {
                let new = NewOrder::parse(&request, &caller)?;
                assert!(is_own(&new.user_id), "Ann submits another user's order");
                created(new, Processing::Workflow, now)
            }
            Self::Get => {
                let key = request::order_key(&request, &caller)?;
                assert!(is_own(&key.user_id), "Ann reads another user's order");
                response::read(&new_order("Ann", Processing::None), &Conditions::parse(&request)?)
            }
            Self::Update => {
                let key = request::order_key(&request, &caller)?;
                assert!(is_own(&key.user_id), "Ann changes another user's order");
                replaced(&UpdateOrder::parse(&request, &key, &caller)?, now)
            }
            Self::Delete => {
                let key = request::order_key(&request, &caller)?;
                assert!(is_own(&key.user_id), "Ann deletes another user's order");
                let expected = Conditions::parse(&request)?.expected();
                let may = new_order("Ann", Processing::None).may_be_deleted(&expected);
                may.map(|()| response::no_content()).map_err(|_| Problem::Stale)
            }
        }
    }
}

/// Answers with a new order. The answer, saved and replayed, is the same; and the order is read as it was written.
fn created(new: NewOrder, processing: Processing, now: Timestamp) -> Result<Response, Problem> {
    let order = Order::new(new.user_id, new.content, euros(1), processing, now);
    let response = match processing {
        Processing::None => response::created(&order)?,
        Processing::Workflow => response::submitted(&order)?,
    };
    let saved = serde_json::to_string(&SavedAnswer::new(&order, &response)).unwrap();
    let replayed: Response = serde_json::from_str::<SavedAnswer>(&saved).unwrap().try_into()?;
    assert_eq!((replayed.status(), replayed.headers()), (response.status(), response.headers()));
    assert_eq!(replayed.body().as_ref(), response.body().as_ref());
    assert_eq!(serde_json::from_slice::<Order>(response.body()).unwrap(), order);
    Ok(response)
}

fn replaced(update: &UpdateOrder, now: Timestamp) -> Result<Response, Problem> {
    let order = new_order("Ann", Processing::None);
    let order = order.replaced(&update.content, euros(1), &update.expected, now).map_err(|_| Problem::Stale)?;
    response::order(&order)
}

/// Claims of Ann, who is no administrator.
fn ann() -> Value {
    json!({"token_use": "access", "sub": "Ann", "username": "Ann", "client_id": "web", "scope": "orders/write"})
}

/// Claims of a machine that is an administrator.
fn admin() -> Value {
    json!({"token_use": "access", "sub": "shop", "client_id": "shop", "scope": "orders/admin"})
}

/// An event of API Gateway for that operation.
fn event(operation: Operation, claims: Value) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("../../events/put-order.json")).unwrap();
    let (method, resource) = operation.route();
    event["httpMethod"] = method.into();
    event["path"] = resource.into();
    event["requestContext"]["resourcePath"] = resource.into();
    event["requestContext"]["authorizer"]["claims"] = claims;
    event["pathParameters"] = json!({"userId": "Ann", "id": key("Ann").id});
    event["body"] = json!({"restaurant_id": CANARY, "quantity": 3, "user_id": "Ann"}).to_string().into();
    let event = with_lines(event, "Authorization", &[format!("Bearer {CANARY}")]);
    with_lines(event, "User-Agent", &[CANARY.to_owned()])
}

/// The event with these lines of a header.
fn with_lines(mut event: Value, name: &str, lines: &[String]) -> Value {
    event["headers"][name] = json!(lines.last());
    event["multiValueHeaders"][name] = json!(lines);
    event
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

/// Sends the event to the operation. The answer is complete, and one line is logged.
fn answer(operation: Operation, event: Box<RawValue>) -> Answer {
    let event = LambdaEvent::new(event, Context::default());
    let handler = |caller, request| operation.handle(caller, request);
    let (response, lines) = logged(http::answer("fuzz", &handler, event));
    assert_eq!(lines.iter().filter(|line| line["duration_ms"].is_number()).count(), 1, "{lines:?}");
    let (parts, body) = response.into_parts();
    for (name, value) in &parts.headers {
        // API Gateway takes the response as JSON.
        assert!(value.to_str().is_ok(), "{name}: {value:?}");
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    if parts.status.as_u16() >= 400 {
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        assert_eq!(body["status"], parts.status.as_u16());
        for member in ["type", "title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {body}");
        }
        assert!(body["request_id"].is_string(), "{body}");
    }
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Sends an event that API Gateway could send: the answer is no 500.
fn ask(operation: Operation, event: &Value) -> Answer {
    let answer = answer(operation, to_raw_value(event).unwrap());
    assert!(answer.status.as_u16() < 500, "{} {}", answer.status, answer.body);
    answer
}

/// Events as they are. An event with the types that API Gateway sends is no 500.
pub fn api_event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The runtime takes nothing but JSON.
    let Ok(raw) = serde_json::from_str::<Box<RawValue>>(text) else { return };
    // A name that comes twice in an object, which API Gateway does not send, comes once in the `Value`.
    let possible = serde_json::from_str(text).ok().filter(is_of_api_gateway);
    for operation in Operation::ALL {
        answer(operation, raw.clone());
        if let Some(event) = &possible {
            ask(operation, event);
        }
    }
}

/// Returns true if the event has the types of API Gateway ("Input format of a Lambda function for proxy integration").
fn is_of_api_gateway(event: &Value) -> bool {
    let is_map = |name: &str, is_value: fn(&Value) -> bool| match &event[name] {
        Value::Object(map) => map.values().all(is_value),
        other => other.is_null(),
    };
    let is_list = |value: &Value| value.as_array().is_some_and(|lines| lines.iter().all(Value::is_string));
    let has_body = match (&event["body"], &event["isBase64Encoded"]) {
        (Value::String(body), Value::Bool(true)) => STANDARD.decode_to_vec(body).is_ok(),
        (body, is_base64) => (body.is_string() || body.is_null()) && is_base64.is_boolean(),
    };
    event["httpMethod"].is_string()
        && event["path"].is_string()
        && ["headers", "queryStringParameters", "pathParameters"].iter().all(|name| is_map(name, Value::is_string))
        && ["multiValueHeaders", "multiValueQueryStringParameters"].iter().all(|name| is_map(name, is_list))
        && serde_json::from_value::<ApiGatewayProxyRequestContext>(event["requestContext"].clone()).is_ok()
        && has_body
}

/// Bodies, as text and as bytes. What is accepted is what was sent, and can be sent back as it was received.
pub fn order_body(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (operation, claims) in [(Operation::Put, admin()), (Operation::Submit, ann()), (Operation::Update, ann())] {
        let mut event = event(operation, claims);
        event["body"] = text.as_ref().into();
        let answer = ask(operation, &event);
        if !answer.status.is_success() {
            continue;
        }
        let sent: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        assert_eq!(answer.body["restaurant_id"], sent["restaurant_id"], "{text}");
        let sent = match &sent["quantity"] {
            Value::String(digits) => digits.parse().ok(),
            number => number.as_f64(),
        };
        let taken: f64 = answer.body["quantity"].as_str().unwrap().parse().unwrap();
        assert_eq!(sent, Some(taken), "{text}");
        if operation != Operation::Put {
            event["body"] = answer.body.to_string().into();
            assert!(ask(operation, &event).status.is_success(), "{} can't be sent back", answer.body);
        }
    }
    let mut event = event(Operation::Put, admin());
    event["body"] = STANDARD.encode_to_string(data).into();
    event["isBase64Encoded"] = true.into();
    ask(Operation::Put, &event);
}

/// Cursors, as they are sent, and as what they decode to. A cursor that somebody has made shows nothing that its caller may
/// not see: [`store::list`] asserts it on the request that DynamoDB gets.
pub fn cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for cursor in [text.as_ref(), URL_SAFE_NO_PAD.encode_to_string(data).as_str()] {
        for (claims, user_id) in [(ann(), None), (ann(), Some("Ann")), (admin(), None), (admin(), Some("Ann"))] {
            let mut event = event(Operation::List, claims);
            let mut query = json!({"cursor": [cursor]});
            if let Some(user_id) = user_id {
                query["user_id"] = json!([user_id]);
            }
            event["multiValueQueryStringParameters"] = query;
            ask(Operation::List, &event);
        }
        let of_ann = List::Of(key("Ann").user_id);
        for list in [List::All, of_ann] {
            let Ok(cursor) = Cursor::decode(cursor, &list) else { continue };
            assert_eq!(Cursor::decode(&cursor.encode(), &list).as_ref(), Ok(&cursor));
            assert!(list == List::All || cursor.key().user_id.as_str() == "Ann", "{cursor:?}");
        }
    }
}

/// Segments of a path, the user's and the order's, with a line break between them. Ann reaches her own orders only, and the
/// `Location` of an order leads to it.
pub fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (user_id, id) = text.split_once('\n').unwrap_or((&text, "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"));
    for operation in [Operation::Get, Operation::Update, Operation::Delete] {
        for (claims, is_admin) in [(ann(), false), (admin(), true)] {
            let mut event = event(operation, claims);
            event["pathParameters"] = json!({"userId": user_id, "id": id});
            event["body"] = json!({"restaurant_id": CANARY, "quantity": 3}).to_string().into();
            let answer = ask(operation, &event);
            assert!(
                is_admin || user_id == "Ann" || answer.status == StatusCode::NOT_FOUND,
                "{user_id}: {}",
                answer.body
            );
        }
    }
    let mut event = event(Operation::Put, admin());
    event["body"] = json!({"user_id": user_id, "restaurant_id": CANARY, "quantity": 3}).to_string().into();
    let answer = ask(Operation::Put, &event);
    let location = answer.headers.get("location").map(|location| location.to_str().unwrap().to_owned());
    assert_eq!(location.is_some(), answer.status == StatusCode::CREATED);
    if let Some(location) = location {
        let segments: Vec<_> = location.split('/').collect();
        let ["orders", user, "order", id] = segments[..] else { panic!("{location}") };
        assert_eq!(percent_encoding::percent_decode_str(user).decode_utf8().unwrap(), user_id);
        assert_eq!(answer.body["id"], id);
    }
}

/// Lines of `If-Match`, then a line that is only `-`, then lines of `If-None-Match`.
pub fn if_match(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
    let (if_match, if_none_match) = match lines.iter().position(|line| line == "-") {
        Some(place) => (&lines[..place], &lines[place + 1..]),
        None => (&lines[..], &[][..]),
    };
    for operation in [Operation::Get, Operation::Put, Operation::Submit, Operation::Update, Operation::Delete] {
        let mut event = event(operation, ann());
        for (name, lines) in [("If-Match", if_match), ("If-None-Match", if_none_match)] {
            if !lines.is_empty() {
                event = with_lines(event, name, lines);
            }
        }
        let answer = ask(operation, &event);
        let expected = [200, 201, 202, 204, 304, 400, 412];
        assert!(expected.contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
    }
}

/// Lines of `Idempotency-Key`: one key, however often, of visible ASCII characters.
pub fn idempotency_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.split('\n').map(str::to_owned).collect();
    let is_key = (1..=255).contains(&lines[0].len()) && lines[0].bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let is_one = lines.iter().all(|line| *line == lines[0]);
    for (operation, success) in [(Operation::Put, StatusCode::CREATED), (Operation::Submit, StatusCode::ACCEPTED)] {
        let answer = ask(operation, &with_lines(event(operation, ann()), "Idempotency-Key", &lines));
        let expected = if is_key && is_one { success } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{lines:?}: {}", answer.body);
    }
}
