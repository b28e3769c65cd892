//! A client of the API, and helpers for the tests.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use base64_simd::URL_SAFE_NO_PAD;
use local::sign_in::{self, Person};
use local::{REGION, Stack, deploy, without_proxy};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::dev::free_port;

/// Instant of what the tests write themselves.
const INSTANT: &str = "2023-01-02T22:06:33.637839308Z";

/// A client of the API.
#[derive(Clone)]
pub struct Api {
    pub stack: Stack,
    pub http: Client,
    token: Option<String>,
}

/// A response: status, headers, body, and the URL of its request.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub url: Url,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Returns the URL of the next page, if there is one: `Link` is relative to the URL of the request.
    pub fn next_page(&self) -> Option<Url> {
        let link = self.headers.get("link")?.to_str().unwrap();
        let reference = link.strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#).unwrap();
        assert!(reference.starts_with("?cursor="), "{link}");
        Some(self.url.join(reference).unwrap())
    }

    /// Asserts that it is a complete problem with this status, and returns the names of its bad fields.
    #[track_caller]
    pub fn problem(self, status: u16) -> Vec<String> {
        let answer = self.is(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let body = answer.json();
        assert_eq!(body["status"], status);
        assert!(body["type"].as_str().unwrap().starts_with("urn:problem-type:order-api:"), "{body}");
        for member in ["title", "detail", "request_id"] {
            assert!(!body[member].as_str().unwrap().is_empty(), "{member} in {body}");
        }
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| {
                assert!(!error["message"].as_str().unwrap().is_empty(), "{body}");
                error["field"].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

impl Api {
    /// Client with a token of an admin machine.
    pub async fn new() -> Self {
        Self::of(Stack::from_environment().unwrap()).await
    }

    /// Deploys a separate stack for one test, with these parameters, and returns an admin client of it.
    pub async fn of_own_stack(name: &str, parameters: &[&str]) -> Self {
        let stack = Stack::from_environment().unwrap();
        Self::of(deploy(stack.emulator().unwrap(), name, parameters).await.unwrap()).await
    }

    /// The same client with its own connections, since connections can't be used after the test that opened them.
    pub fn with_http_of_its_own(&self) -> Self {
        Self { http: self.stack.http().build().unwrap(), ..self.clone() }
    }

    async fn of(stack: Stack) -> Self {
        let token = machine_token(&stack, None).await;
        Self { http: stack.http().build().unwrap(), stack, token: Some(token) }
    }

    /// Client with this token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Client without a token.
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// Client of a development server, which needs no token.
    pub fn of_development(api_url: String, http: Client) -> Self {
        Self { stack: Stack { api_url, ..Stack::from_environment().unwrap() }, http, token: None }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_url(method, format!("{}{path}", self.stack.api_url).parse().unwrap())
    }

    fn request_url(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Gets the URL that a header has named.
    pub async fn follow(&self, url: Url) -> Answer {
        send(self.request_url(Method::GET, url)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn put_if(&self, path: &str, body: &Value, if_match: &str) -> Answer {
        send(self.request(Method::PUT, path).json(body).header("If-Match", if_match)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    pub async fn delete_if(&self, path: &str, if_match: &str) -> Answer {
        send(self.request(Method::DELETE, path).header("If-Match", if_match)).await
    }

    /// Returns all orders of a list, whose query is empty or begins with `?`.
    pub async fn list(&self, query: &str) -> Vec<Value> {
        let mut page = self.get(&format!("/orders{query}")).await.is(200);
        let mut orders = Vec::new();
        loop {
            orders.extend(page.json().as_array().unwrap().iter().cloned());
            let Some(next) = page.next_page() else { return orders };
            page = self.follow(next).await.is(200);
        }
    }

    /// Returns all orders of a list once they are as expected: on AWS, lists may lag behind writes.
    pub async fn list_when(&self, query: &str, expected: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + LIST_TIMEOUT;
        loop {
            let orders = self.list(query).await;
            if expected(&orders) {
                return orders;
            }
            assert!(Instant::now() < deadline, "not as expected within {LIST_TIMEOUT:?}: {query} {orders:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Creates an order of this user.
    pub async fn order(&self, user: &str) -> Value {
        self.put("/orders", &json!({"user_id": user, "restaurant_id": "Restaurant 3", "quantity": 3}))
            .await
            .is(201)
            .json()
    }

    /// Makes the order final and published, which no request can do.
    pub async fn finish(&self, order: &Value) {
        self.accept(order).await;
        for field in ["paid_at", "delivered_at", "completed_at"] {
            self.set(order, field, INSTANT).await;
        }
        self.set(order, "order_status", "SUCCESS").await;
        self.set(order, "published", "SUCCESS").await;
    }

    /// Makes the order accepted, and so in process, which no request can do.
    pub async fn accept(&self, order: &Value) {
        self.set(order, "processing", "workflow").await;
        self.set(order, "accepted_at", INSTANT).await;
    }

    /// Sets an attribute of the order in the table.
    pub async fn set(&self, order: &Value, attribute: &str, value: &str) {
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config().await);
        dynamodb
            .update_item()
            .table_name(&self.stack.orders_table)
            .key("user_id", AttributeValue::S(text(&order["user_id"])))
            .key("id", AttributeValue::S(text(&order["id"])))
            .update_expression("SET #attribute = :value")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", AttributeValue::S(value.into()))
            .send()
            .await
            .unwrap();
    }

    /// An attribute of the order in the table, if it is there and a string.
    pub async fn attribute(&self, order: &Value, attribute: &str) -> Option<String> {
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config().await);
        let get = dynamodb
            .get_item()
            .table_name(&self.stack.orders_table)
            .key("user_id", AttributeValue::S(text(&order["user_id"])))
            .key("id", AttributeValue::S(text(&order["id"])))
            .consistent_read(true);
        get.send().await.unwrap().item?.get(attribute)?.as_s().ok().cloned()
    }
}

/// Returns a URL at which nothing listens.
pub fn unreachable_url() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// Sets or removes a variable of the stack's functions with these names.
pub async fn set_variable(stack: &Stack, names: &[&str], variable: &str, value: Option<&str>) {
    local::variables::set_variable(stack, names, variable, value).await.unwrap();
}

/// Makes the command see the emulator as AWS.
pub fn on_the_emulator<'a>(command: &'a mut Command, stack: &Stack) -> &'a mut Command {
    command
        .env_remove("ORDER_API_STACK")
        .envs([("AWS_ENDPOINT_URL", stack.emulator().unwrap()), ("AWS_REGION", REGION)])
        .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")])
        .envs(without_proxy())
}

pub async fn send(request: RequestBuilder) -> Answer {
    if let Some(request) = request.try_clone().and_then(|request| request.build().ok()) {
        remember_personal(&request);
    }
    let response: Response = request.send().await.unwrap();
    let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
    let answer = Answer { status, headers, url, body: response.text().await.unwrap() };
    if matches!(status, StatusCode::CREATED | StatusCode::ACCEPTED) {
        made("order", &path_of(&answer.json()));
    }
    answer
}

/// Notes what a test has made, for `tools/verify.py`, which deletes it from a stack that outlives the test.
pub fn made(kind: &str, name: &str) {
    if let Ok(file) = std::env::var("ORDER_API_LEDGER") {
        append(file.into(), &json!({ "kind": kind, "name": name }).to_string());
    }
}

/// Appends a line in one write, because other tests write to the file, too.
fn append(file: PathBuf, line: &str) {
    let mut file = File::options().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Returns a user name that no other test has, nor an earlier run.
pub fn user(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static RUN: LazyLock<String> = LazyLock::new(|| Uuid::new_v4().simple().to_string()[..8].to_owned());
    format!("{name} {}-{}", *RUN, NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub fn encode(segment: &str) -> String {
    let mut url = Url::parse("http://localhost").unwrap();
    url.path_segments_mut().unwrap().push(segment);
    url.path()[1..].to_owned()
}

/// Query of the list of this user's orders.
pub fn of_user(user: &str) -> String {
    let url = Url::parse_with_params("http://localhost", [("limit", "1000"), ("user_id", user)]).unwrap();
    format!("?{}", url.query().unwrap())
}

pub fn path_of(order: &Value) -> String {
    format!("/orders/{}/order/{}", encode(order["user_id"].as_str().unwrap()), order["id"].as_str().unwrap())
}

/// The path for deletion in the published examples.
pub fn published_path_of(order: &Value) -> String {
    format!("/order/{}/id/{}", encode(order["user_id"].as_str().unwrap()), order["id"].as_str().unwrap())
}

/// Returns a token of the stack's machine client.
pub async fn machine_token(stack: &Stack, scope: Option<&str>) -> String {
    remember(sign_in::machine_token(stack, scope).await.unwrap())
}

/// Creates an account that no other test has.
pub async fn person(stack: &Stack, name: &str, admin: bool) -> Person {
    let email = format!("{}@example.com", user(name).replace(' ', "."));
    made("person", &email);
    note_personal(&email);
    let person = sign_in::add_person(stack, &email, admin).await.unwrap();
    remember(&person.password);
    person
}

/// Signs the person in with these scopes, by default with all that the web UI may have; returns the access token.
pub async fn person_token(stack: &Stack, person: &Person, scope: Option<&str>) -> String {
    let tokens = sign_in::person_tokens(stack, person, scope).await.unwrap();
    tokens.id_token.into_iter().chain(tokens.refresh_token).for_each(|token| _ = remember(token));
    remember(tokens.access_token)
}

/// Records a secret for the test that looks for secrets in the logs, and returns it. That test is for the emulator only.
pub fn remember<S: AsRef<str>>(secret: S) -> S {
    if Stack::from_environment().unwrap().endpoint.is_some() {
        append(secrets_file(), secret.as_ref());
    }
    secret
}

/// Records what a client says in a request, for the test that looks for it in the logs: the restaurant of an order and the
/// idempotency key. Users' ids may be logged. A short value could be a part of any line.
fn remember_personal(request: &reqwest::Request) {
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let body: Value = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let key = request.headers().get("Idempotency-Key").and_then(|key| key.to_str().ok());
    for value in body["restaurant_id"].as_str().into_iter().chain(key).filter(|value| value.len() >= 8) {
        note_personal(value);
    }
}

fn note_personal(value: &str) {
    let stack = Stack::from_environment().unwrap();
    if stack.endpoint.is_some() && !value.contains('\n') {
        append(stack.scratch().unwrap().join(PERSONAL), value);
    }
}

/// Name of the file with the personal values of this run. It is removed with the stack.
pub const PERSONAL: &str = "personal";

/// Creates a secret with that text in Secrets Manager, and returns its ARN.
pub async fn secret(text: &str) -> String {
    let stack = Stack::from_environment().unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(&stack.sdk_config().await);
    let secret = secrets.create_secret().name(format!("order-api/{}", Uuid::new_v4())).secret_string(text);
    secret.send().await.unwrap().arn.unwrap()
}

/// Path of the file with the secrets of this run. It is removed with the stack.
pub fn secrets_file() -> PathBuf {
    Stack::from_environment().unwrap().scratch().unwrap().join("secrets")
}

/// Returns the claims of a token without verifying it.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap()).unwrap()
}

/// Time limit of everything that a test waits for. Six attempts at a payment take a minute.
const WAIT_TIMEOUT: Duration = Duration::from_mins(4);

/// Time that a list may lag behind writes.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until `look` finds something, and returns it.
pub async fn eventually<T, F: Future<Output = Option<T>>>(expected: &str, look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{expected}: not within {WAIT_TIMEOUT:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
