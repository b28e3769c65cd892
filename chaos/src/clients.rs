//! The load: clients that create, submit, read, change and delete orders, repeat what was not answered, and log all of it.
//!
//! Each order has a number, and what its client does with it follows from the seed and the number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use local::{Stack, sign_in};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinSet;

use crate::evidence::{Exchange, Kind, Operation, fixed, text};
use crate::seed::Seed;

/// Time that API Gateway gives a request.
const PATIENCE: Duration = Duration::from_secs(29);

/// Time for which a client repeats a request.
const PERSISTENCE: Duration = Duration::from_mins(8);

/// The load.
pub struct Clients {
    seed: Seed,
    stack: Stack,
    http: Client,
    token: RwLock<String>,
    log: Mutex<Vec<Exchange>>,
    clock: AtomicU64,
    next: AtomicU64,
}

/// A request of a client.
struct Request<'a> {
    number: u64,
    operation: Operation,
    user: &'a str,
    path: String,
    key: Option<&'a str>,
    body: Option<Value>,
    if_match: Option<u64>,
}

impl Clients {
    /// Clients of a stack, signed in as an administrator.
    pub async fn new(seed: Seed, stack: &Stack) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            seed,
            stack: stack.clone(),
            http: stack.http().build()?,
            token: RwLock::new(sign_in::machine_token(stack, None).await?),
            log: Mutex::default(),
            clock: AtomicU64::new(1),
            next: AtomicU64::new(0),
        }))
    }

    /// Makes these many orders, some at the same time.
    pub async fn run(self: &Arc<Self>, orders: u64, at_once: u64) -> anyhow::Result<()> {
        let mut clients = JoinSet::new();
        for _ in 0..at_once {
            let clients_too = self.clone();
            clients.spawn(async move {
                loop {
                    let number = clients_too.next.fetch_add(1, Ordering::SeqCst);
                    if number >= orders {
                        return;
                    }
                    if number > 0 && number.is_multiple_of(250) {
                        println!("{number} orders are begun");
                    }
                    clients_too.story(number).await;
                }
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended.context("a client")?;
        }
        Ok(())
    }

    /// Number of orders that are begun.
    pub fn begun(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// The log of all clients.
    pub async fn log(&self) -> Vec<Exchange> {
        self.log.lock().await.clone()
    }

    /// All orders, page by page; none if a page can't be had.
    pub async fn list(&self) -> Option<Vec<Value>> {
        let mut url = format!("{}/orders?limit=200", self.stack.api_url);
        let mut orders = Vec::new();
        loop {
            let token = self.token.read().await.clone();
            let response = self.http.get(&url).bearer_auth(token).timeout(PATIENCE).send().await.ok()?;
            if response.status() == 401 {
                self.sign_in().await;
                return None;
            }
            let next = response.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
            let page: Value = response.error_for_status().ok()?.json().await.ok()?;
            orders.extend(page.as_array()?.iter().cloned());
            let Some(next) = next else { return Some(orders) };
            let query = next.strip_prefix('<')?.split('>').next()?;
            url = format!("{}/orders{query}", self.stack.api_url);
        }
    }

    async fn story(&self, number: u64) {
        let does = |share, what: &str| self.seed.chance(share, what, number);
        let below = |limit, what: &str| self.seed.below(limit, what, number);
        let user = format!("Customer {}", number % 10);
        let kind = fixed(number);
        let is_submitted = kind.map_or_else(|| does(0.75, "submit"), |kind| kind != Kind::Recorded);
        let operation = if is_submitted { Operation::Submit } else { Operation::Create };
        let is_deleted = |share, what: &str| kind.is_none() && does(share, what);
        let quantity = 1 + below(9, "quantity");
        let key = format!("{}-{number}", self.seed.0);
        let create = |restaurant: String, quantity: u32| Request {
            number,
            operation,
            user: &user,
            path: "/orders".to_owned(),
            key: Some(&key),
            body: Some(json!({"user_id": user, "restaurant_id": restaurant, "quantity": quantity})),
            if_match: None,
        };
        if does(0.06, "bad") {
            self.until_settled(&create(format!("Restaurant {number}, bad"), 0)).await;
        }
        let wanted = create(format!("Restaurant {number}"), quantity);
        let created = if does(0.15, "double click") {
            tokio::join!(self.until_settled(&wanted), self.until_settled(&wanted)).0
        } else {
            self.until_settled(&wanted).await
        };
        let Some(created) = created.filter(Exchange::is_done) else { return };
        let id = text(&created.answer, "id").to_owned();
        let path = format!("/orders/{}/order/{id}", user.replace(' ', "%20"));
        let to = |operation, restaurant: Option<String>, if_match| Request {
            number,
            operation,
            user: &user,
            path: path.clone(),
            key: None,
            body: restaurant
                .map(|restaurant| json!({"restaurant_id": restaurant, "quantity": 1 + below(9, &restaurant)})),
            if_match,
        };
        if does(0.06, "another body") {
            self.until_settled(&create(format!("Restaurant {number}, other"), quantity)).await;
        }
        if is_deleted(0.05, "delete at once") {
            self.until_settled(&to(Operation::Delete, None, None)).await;
        }
        if does(0.6, "read") {
            // A submitted order is saved moments later.
            self.pause(300 + below(1500, "reading")).await;
            self.until_settled(&to(Operation::Read, None, None)).await;
        }
        for change in 0..3 {
            if !does(0.25, &format!("change {change}")) {
                continue;
            }
            let read = self.until_settled(&to(Operation::Read, None, None)).await;
            let version = read.and_then(|read| read.version());
            let if_match = version.filter(|_| does(0.7, &format!("If-Match {change}")));
            let name = format!("Restaurant {number}, moved {change}");
            self.until_settled(&to(Operation::Change, Some(name), if_match)).await;
            if let Some(version) = version.filter(|_| does(0.3, &format!("stale {change}"))) {
                // The order may have this version still, if the change was refused: then it is a change like any other.
                let name = format!("Restaurant {number}, stale {change}");
                self.until_settled(&to(Operation::Change, Some(name), Some(version))).await;
            }
        }
        if is_deleted(0.08, "delete early") {
            self.until_settled(&to(Operation::Delete, None, None)).await;
        }
        if does(0.1, "repeat") {
            self.until_settled(&wanted).await;
        }
        if is_deleted(0.12, "delete late") {
            self.pause(3000 + below(6000, "late")).await;
            let read = self.until_settled(&to(Operation::Read, None, None)).await;
            let version = read.and_then(|read| read.version()).filter(|_| does(0.5, "If-Match of the deletion"));
            self.until_settled(&to(Operation::Delete, None, version)).await;
        }
        if does(0.4, "read again") {
            self.until_settled(&to(Operation::Read, None, None)).await;
        }
    }

    async fn pause(&self, milliseconds: u32) {
        tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
    }

    /// Sends a request, and repeats it while it is not known whether it was carried out. Returns the answer that settles it.
    async fn until_settled(&self, request: &Request<'_>) -> Option<Exchange> {
        let started = Instant::now();
        let mut attempt = 0;
        while started.elapsed() < PERSISTENCE {
            let exchange = self.send(request, attempt).await;
            let again = exchange.is_open() || matches!(exchange.status, Some(401 | 429));
            if exchange.status == Some(401) {
                self.sign_in().await;
            }
            if !again {
                return Some(exchange);
            }
            let most = 200 << attempt.min(5);
            self.pause(most / 2 + self.seed.below(most, "backoff", request.number * 100 + u64::from(attempt))).await;
            attempt += 1;
        }
        None
    }

    async fn send(&self, request: &Request<'_>, attempt: u32) -> Exchange {
        let method = match request.operation {
            Operation::Create | Operation::Change => Method::PUT,
            Operation::Submit => Method::POST,
            Operation::Delete => Method::DELETE,
            Operation::Read => Method::GET,
        };
        let restaurant = request.body.as_ref().map(|body| text(body, "restaurant_id").to_owned());
        let subject = format!("patience/{:?}/{restaurant:?}", request.operation);
        // Some clients give up soon.
        let is_impatient = attempt == 0 && self.seed.chance(0.08, &subject, request.number);
        let short = Duration::from_millis((20 + self.seed.below(300, &subject, request.number)).into());
        let mut sent = self.http.request(method, format!("{}{}", self.stack.api_url, request.path));
        sent = sent.bearer_auth(self.token.read().await.as_str()).timeout(if is_impatient { short } else { PATIENCE });
        if let Some(key) = request.key {
            sent = sent.header("Idempotency-Key", key);
        }
        if let Some(version) = request.if_match {
            sent = sent.header("If-Match", format!("\"{version}\""));
        }
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let mut exchange = Exchange {
            number: request.number,
            operation: request.operation,
            key: request.key.map(str::to_owned),
            user: request.user.to_owned(),
            restaurant,
            quantity: request.body.as_ref().and_then(|body| body["quantity"].as_u64()),
            if_match: request.if_match,
            sent: self.clock.fetch_add(1, Ordering::SeqCst),
            answered: 0,
            status: None,
            answer: Value::Null,
        };
        if let Ok(response) = sent.send().await {
            let status = response.status().as_u16();
            // An answer without its body is no answer.
            if let Ok(body) = response.text().await {
                exchange.status = Some(status);
                exchange.answer = serde_json::from_str(&body).unwrap_or_default();
            }
        }
        exchange.answered = self.clock.fetch_add(1, Ordering::SeqCst);
        self.log.lock().await.push(exchange.clone());
        exchange
    }

    /// Gets a new token; keeps the old one if there is none.
    async fn sign_in(&self) {
        if let Ok(token) = sign_in::machine_token(&self.stack, None).await {
            *self.token.write().await = token;
        }
    }
}
