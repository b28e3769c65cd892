//! The API as a client speaks to it.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use local::Stack;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

/// A client of the API.
#[derive(Clone)]
pub struct Api {
    pub stack: Stack,
    pub http: Client,
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
    pub fn new() -> Self {
        Self::of(Stack::from_environment().unwrap())
    }

    pub fn of(stack: Stack) -> Self {
        Self { stack, http: Client::new() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stack.api_url))
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

    /// What no request can do in this part of the system: an order that has moved on.
    pub async fn finish(&self, order: &Value) {
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config().await);
        dynamodb
            .update_item()
            .table_name(&self.stack.orders_table)
            .key("user_id", AttributeValue::S(text(&order["user_id"])))
            .key("id", AttributeValue::S(text(&order["id"])))
            .update_expression("SET order_status = :done")
            .expression_attribute_values(":done", AttributeValue::S("SUCCESS".into()))
            .send()
            .await
            .unwrap();
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
