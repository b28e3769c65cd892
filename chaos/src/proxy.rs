//! The fault proxy: between the functions and the emulator, and in front of the providers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, RwLockWriteGuard};

use crate::fault::{Call, Fault, Faults};
use crate::processes;
use crate::providers::Providers;

/// Time for which a request without an answer is held; its caller gives up before.
const SILENCE: Duration = Duration::from_secs(30);

/// Time that the emulator has for a request.
const PATIENCE: Duration = Duration::from_mins(1);

/// The proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The faults that it injects.
    pub faults: Faults,
    /// The providers behind it.
    pub providers: Providers,
    /// URL at which it listens.
    pub url: String,
    upstream: String,
    http: reqwest::Client,
    /// Closed while the emulator is being restarted.
    gate: RwLock<()>,
    stack: OnceLock<String>,
    killed: AtomicU64,
}

/// A whole response.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Proxy {
    /// Starts a proxy in front of the emulator at `upstream`.
    pub async fn start(upstream: String, faults: Faults, providers: Providers) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Arc::new(Self {
            faults,
            providers,
            url: format!("http://{}", listener.local_addr()?),
            upstream,
            http: local::http().timeout(PATIENCE).pool_max_idle_per_host(8).build()?,
            gate: RwLock::default(),
            stack: OnceLock::new(),
            killed: AtomicU64::new(0),
        });
        let service = Router::new().fallback(serve).with_state(proxy.clone());
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(proxy)
    }

    /// Names the stack whose functions may be killed.
    pub fn may_kill(&self, stack: &str) -> anyhow::Result<()> {
        self.stack.set(stack.to_owned()).ok().context("the stack is named already")
    }

    /// Number of processes that were killed.
    pub fn killed(&self) -> u64 {
        self.killed.load(Ordering::Relaxed)
    }

    /// Waits until the emulator carries out no request, and refuses new ones until the guard is dropped.
    pub async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Carries out a request; none if the emulator is away.
    async fn carry_out(&self, request: &Request) -> Option<Answer> {
        if let Some(kind) = request.provider() {
            let status = self.providers.carry_out(kind, &request.headers, &request.body);
            let body = json!({"reason": "the seed says so"}).to_string();
            return Some(Answer::json(StatusCode::from_u16(status).ok()?, body));
        }
        let _open = self.gate.try_read().ok()?;
        let mut headers = request.headers.clone();
        for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let sent = self.http.request(request.method.clone(), format!("{}{}", self.upstream, request.path));
        let response = sent.headers(headers).body(request.body.clone()).send().await.ok()?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
        Some(Answer { status, headers, body: response.bytes().await.ok()? })
    }

    async fn kill(&self, caller: SocketAddr) -> bool {
        let Some(stack) = self.stack.get().cloned() else { return false };
        let killed = tokio::task::spawn_blocking(move || processes::kill_caller(&stack, caller.port()));
        let killed = killed.await.unwrap_or_default();
        self.killed.fetch_add(u64::from(killed), Ordering::Relaxed);
        killed
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Request {
    method: Method,
    function: String,
    /// Path and query, without the function.
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// Kind of a request to a provider.
    fn provider(&self) -> Option<&str> {
        (self.function == "providers").then(|| self.path.trim_start_matches('/'))
    }

    fn call(&self) -> Call {
        let target = self.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let (api, operation) = target.split_once('.').unwrap_or_default();
        let service = match api {
            _ if matches!(self.provider(), Some("charges" | "refunds")) => "payment",
            _ if self.provider().is_some() => "restaurant",
            _ if self.method == Method::GET => "ping",
            _ if api.starts_with("DynamoDB") => "dynamodb",
            "AmazonSQS" => "sqs",
            "AWSStepFunctions" => "states",
            "secretsmanager" => "secretsmanager",
            // SNS names its action in the form.
            _ => "sns",
        };
        let operation = match service {
            "payment" | "restaurant" | "ping" => self.path.trim_start_matches('/'),
            "sns" => "Publish",
            _ => operation,
        };
        Call { function: self.function.clone(), service, operation: operation.to_owned() }
    }
}

async fn serve(
    State(proxy): State<Arc<Proxy>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).trim_start_matches('/');
    let (function, path) = path.split_once('/').unwrap_or((path, ""));
    let request = Request { method, function: function.into(), path: format!("/{path}"), headers, body };
    let call = request.call();
    let (mut fault, number) = proxy.faults.next(&call);
    if fault == Some(Fault::KilledBefore) && !proxy.kill(caller).await {
        fault = Some(Fault::CutBefore);
    }
    // That one is counted when it is known whether the caller was there.
    if let Some(fault) = fault.filter(|fault| *fault != Fault::KilledAfter) {
        proxy.faults.count(&call, fault);
    }
    match fault {
        Some(Fault::Throttled) => return throttled(&call).into_response(),
        Some(Fault::Error) => return failed(&call, number).into_response(),
        Some(Fault::Silent) => {
            tokio::time::sleep(SILENCE).await;
            cut();
        }
        Some(Fault::CutBefore | Fault::KilledBefore) => cut(),
        Some(Fault::Slow) => {
            tokio::time::sleep(Duration::from_millis(proxy.faults.slowness(&call, number))).await;
        }
        _ => {}
    }
    // In a task of its own: it is carried out even if the caller gives up meanwhile.
    let answer = {
        let (proxy, request) = (proxy.clone(), request.clone());
        tokio::spawn(async move { proxy.carry_out(&request).await }).await
    };
    let Ok(Some(answer)) = answer else { cut() };
    match fault {
        Some(Fault::CutAfter) => cut(),
        Some(fault_after @ Fault::KilledAfter) => {
            let killed = proxy.kill(caller).await;
            proxy.faults.count(&call, if killed { fault_after } else { Fault::CutAfter });
            cut()
        }
        Some(Fault::Torn) => answer.torn(),
        Some(Fault::Late) => {
            tokio::time::sleep(Duration::from_millis(Faults::lateness(&call))).await;
            answer.into_response()
        }
        Some(Fault::Twice) => {
            let delay = Duration::from_millis(proxy.faults.delay_of_the_second(&call, number));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                proxy.carry_out(&request).await
            });
            answer.into_response()
        }
        _ => answer.into_response(),
    }
}

/// Closes the connection without an answer: ends its task, without the message of a panic.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("the connection is cut"))
}

impl Answer {
    fn json(status: StatusCode, body: String) -> Self {
        Self::of(status, "application/json", body)
    }

    fn of(status: StatusCode, media_type: &'static str, body: String) -> Self {
        let headers = [(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type))];
        Self { status, headers: headers.into_iter().collect(), body: body.into() }
    }

    /// The same, which ends in the middle.
    fn torn(self) -> Response {
        let half = self.body.slice(..self.body.len() / 2);
        let length = self.body.len().max(1);
        let parts = [Ok(half), Err(std::io::Error::other("the connection is cut"))];
        let mut response = (self.status, self.headers, Body::from_stream(stream::iter(parts))).into_response();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

/// The answer by which a service throttles.
fn throttled(call: &Call) -> Answer {
    let code = match call.service {
        "payment" | "restaurant" => return Answer::json(StatusCode::TOO_MANY_REQUESTS, "{}".into()),
        "dynamodb" => "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "sqs" => "com.amazonaws.sqs#RequestThrottled",
        "sns" => "Throttled",
        _ => "ThrottlingException",
    };
    refused(call, StatusCode::BAD_REQUEST, code)
}

/// The answer of a service that fails.
fn failed(call: &Call, number: u64) -> Answer {
    let statuses = match call.service {
        "payment" | "restaurant" => &[500, 503, 502, 408, 409][..],
        _ => &[500, 503],
    };
    let turn = usize::try_from(number).unwrap_or_default() % statuses.len();
    let status = StatusCode::from_u16(statuses[turn]).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match (call.service, status) {
        ("payment" | "restaurant", _) => return Answer::json(status, "{}".into()),
        (_, StatusCode::SERVICE_UNAVAILABLE) => "ServiceUnavailable",
        ("dynamodb", _) => "com.amazonaws.dynamodb.v20120810#InternalServerError",
        ("secretsmanager", _) => "InternalServiceError",
        _ => "InternalFailure",
    };
    refused(call, status, code)
}

fn refused(call: &Call, status: StatusCode, code: &str) -> Answer {
    if call.service == "sns" {
        let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
        let error = format!("<Error><Type>{kind}</Type><Code>{code}</Code><Message>chaos</Message></Error>");
        return Answer::of(status, "text/xml", format!("<ErrorResponse>{error}</ErrorResponse>"));
    }
    Answer::of(status, "application/x-amz-json-1.0", json!({"__type": code, "message": "chaos"}).to_string())
}
