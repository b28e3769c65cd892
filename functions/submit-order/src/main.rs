//! `POST /orders`: takes an order that is accepted, paid and sent by itself.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::config::{self, Config};
use shared::http::request::{self, NewOrder};
use shared::http::{self, Problem, Response, response};
use shared::order::{Order, Processing, Timestamp};
use shared::store::Orders;
use shared::workflow::{Queue, Submission, Submitted};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let sdk = aws::sdk_config().await;
    let orders = &Orders::new(&sdk, &config.tables);
    let queue = &Queue::new(&sdk, config::required("ORDERS_QUEUE_URL", "the URL of a queue")?);
    http::serve(env!("CARGO_PKG_NAME"), &config, |caller, request| submit_order(orders, queue, caller, request)).await
}

async fn submit_order(orders: &Orders, queue: &Queue, caller: Caller, request: Request) -> Result<Response, Problem> {
    let NewOrder { user_id, content, keyed } = NewOrder::parse(&request, &caller)?;
    let now = Timestamp::now();
    let order = Order::new(user_id, content, Processing::Workflow, now);
    let submission = Submission { order, trace: request::trace(&request) };
    let submitted = Submitted::new(&submission, &response::submitted(&submission.order)?)?;
    // What was remembered of the key before is sent again, byte for byte: the first time may have ended before it was.
    let submitted = match keyed {
        None => submitted,
        Some(keyed) => orders.remember(&keyed, submitted, now).await?,
    };
    queue.send(&submitted.message, submission.trace.as_deref()).await?;
    submitted.answer.try_into()
}
