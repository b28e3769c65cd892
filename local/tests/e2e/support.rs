//! The API as a client speaks to it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::types::Environment;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use local::sign_in::{self, Person};
use local::{Stack, deploy, http};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

/// A client of the API.
#[derive(Clone)]
pub struct Api {
    pub stack: Stack,
    pub http: Client,
    token: Option<String>,
}

/// What came back: status, headers and body.
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

    /// Asserts that it is a problem of that status, in full form, and returns the names of its bad fields.
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
    /// As a machine that is an admin.
    pub async fn new() -> Self {
        Self::of(Stack::from_environment().unwrap()).await
    }

    /// The same, of a stack of the test's own, with those values of its parameters.
    pub async fn of_own_stack(name: &str, parameters: &[&str]) -> Self {
        Self::of(deploy(&Stack::from_environment().unwrap().endpoint, name, parameters).await.unwrap()).await
    }

    /// The same for another test: connections belong to the test that has made them.
    pub fn with_http_of_its_own(&self) -> Self {
        Self { http: http().build().unwrap(), ..self.clone() }
    }

    async fn of(stack: Stack) -> Self {
        let token = machine_token(&stack, None).await;
        Self { stack, http: http().build().unwrap(), token: Some(token) }
    }

    /// As the bearer of that token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// As nobody.
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The API of a development server, which asks for no token.
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

    /// What is at the URL that a header has named.
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

    /// A new order of that user.
    pub async fn order(&self, user: &str) -> Value {
        self.put("/orders", &json!({"user_id": user, "restaurant_id": "Restaurant 3", "quantity": 3}))
            .await
            .is(201)
            .json()
    }

    /// What no request can do: an order that is final.
    pub async fn finish(&self, order: &Value) {
        self.set(order, "order_status", "SUCCESS").await;
    }

    /// What no request can do: an order that is accepted, and so in process.
    pub async fn accept(&self, order: &Value) {
        self.set(order, "accepted_at", "2023-01-02T22:06:33.637839308Z").await;
    }

    async fn set(&self, order: &Value, field: &str, value: &str) {
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config().await);
        dynamodb
            .update_item()
            .table_name(&self.stack.orders_table)
            .key("user_id", AttributeValue::S(text(&order["user_id"])))
            .key("id", AttributeValue::S(text(&order["id"])))
            .update_expression(format!("SET {field} = :value"))
            .expression_attribute_values(":value", AttributeValue::S(value.into()))
            .send()
            .await
            .unwrap();
    }
}

/// Gives a variable of the stack's functions another value, or takes it away: of those whose names in the template begin
/// so.
pub async fn set_variable(stack: &Stack, functions: &str, variable: &str, value: Option<&str>) {
    let lambda = aws_sdk_lambda::Client::new(&stack.sdk_config().await);
    let all = lambda.list_functions().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let prefix = format!("{}-{functions}", stack.name);
    for function in all.into_iter().filter(|function| function.function_name().unwrap().starts_with(&prefix)) {
        let mut variables = function.environment.unwrap().variables.unwrap();
        match value {
            Some(value) => variables.insert(variable.to_owned(), value.to_owned()),
            None => variables.remove(variable),
        };
        let environment = Environment::builder().set_variables(Some(variables)).build();
        let update = lambda.update_function_configuration().set_function_name(function.function_name);
        update.environment(environment).send().await.unwrap();
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
    Answer { status, headers, url, body: response.text().await.unwrap() }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A user that no other test has.
pub fn user(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{name} {}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub fn encode(segment: &str) -> String {
    let mut url = Url::parse("http://localhost").unwrap();
    url.path_segments_mut().unwrap().push(segment);
    url.path()[1..].to_owned()
}

pub fn path_of(order: &Value) -> String {
    format!("/orders/{}/order/{}", encode(order["user_id"].as_str().unwrap()), order["id"].as_str().unwrap())
}

/// The path that the published examples delete by.
pub fn published_path_of(order: &Value) -> String {
    format!("/order/{}/id/{}", encode(order["user_id"].as_str().unwrap()), order["id"].as_str().unwrap())
}

/// A token of the stack's machine client.
pub async fn machine_token(stack: &Stack, scope: Option<&str>) -> String {
    remember(sign_in::machine_token(stack, scope).await.unwrap())
}

/// Somebody with an account that no other test has.
pub async fn person(stack: &Stack, name: &str, admin: bool) -> Person {
    let person = sign_in::add_person(stack, &format!("{}@example.com", user(name).replace(' ', ".")), admin).await;
    let person = person.unwrap();
    remember(&person.password);
    person
}

/// The access token that the person gets by signing in, with those scopes or all that the web UI may have.
pub async fn person_token(stack: &Stack, person: &Person, scope: Option<&str>) -> String {
    let tokens = sign_in::person_tokens(stack, person, scope).await.unwrap();
    tokens.id_token.into_iter().chain(tokens.refresh_token).for_each(|token| _ = remember(token));
    remember(tokens.access_token)
}

/// Keeps a secret for the test that looks for it in the logs, and gives it back.
pub fn remember<S: AsRef<str>>(secret: S) -> S {
    let mut file = File::options().append(true).create(true).open(secrets_file()).unwrap();
    // In one write, for other tests write too.
    file.write_all(format!("{}\n", secret.as_ref()).as_bytes()).unwrap();
    secret
}

/// Where the secrets of this run are kept, as long as its stack runs.
pub fn secrets_file() -> PathBuf {
    Stack::from_environment().unwrap().scratch().join("secrets")
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// How long anything may take that is waited for. Six tries of a payment take a minute.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// What is found in the end.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
