//! Lambda's Runtime API, for one function.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

/// Time that a function gets for a call.
const TIMEOUT: Duration = Duration::from_mins(1);

const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:benchmark";
const TRACE: &str = "Root=1-63b35429-0a1b2c3d4e5f60718293a4b5;Parent=53995c3f42cd8ad8;Sampled=1";

/// What a function tells its runtime.
pub enum Told {
    /// It asks for the next event.
    Ready(Instant),
    /// It has answered.
    Answer(Instant, Bytes),
    /// It has failed.
    Error(Bytes),
}

/// The server of one function.
pub struct RuntimeApi {
    /// Its address.
    pub address: SocketAddr,
    events: mpsc::UnboundedSender<Bytes>,
    told: mpsc::UnboundedReceiver<Told>,
    server: AbortHandle,
}

struct Ends {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    told: mpsc::UnboundedSender<Told>,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (events, events_end) = mpsc::unbounded_channel();
        let (told_end, told) = mpsc::unbounded_channel();
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::new(Ends { events: Mutex::new(events_end), told: told_end }));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(axum::serve(listener, app).into_future()).abort_handle();
        Ok(Self { address, events, told, server })
    }

    /// Gives the function its next event.
    pub fn send(&self, event: Bytes) -> anyhow::Result<()> {
        self.events.send(event).context("the runtime's server has ended")
    }

    /// What the function tells next.
    pub async fn told(&mut self) -> anyhow::Result<Told> {
        let told = tokio::time::timeout(TIMEOUT, self.told.recv()).await;
        told.context("the function does not answer")?.context("the runtime's server has ended")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(ends): State<Arc<Ends>>) -> Response {
    let _ = ends.told.send(Told::Ready(Instant::now()));
    let Some(event) = ends.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let deadline = (SystemTime::now() + TIMEOUT).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", ID.to_owned()),
        ("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", ARN.to_owned()),
        ("Lambda-Runtime-Trace-Id", TRACE.to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(ends): State<Arc<Ends>>, answer: Bytes) -> StatusCode {
    let _ = ends.told.send(Told::Answer(Instant::now(), answer));
    StatusCode::ACCEPTED
}

async fn error(State(ends): State<Arc<Ends>>, error: Bytes) -> StatusCode {
    let _ = ends.told.send(Told::Error(error));
    StatusCode::ACCEPTED
}
