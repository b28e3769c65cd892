//! `POST /orders`: submits an order, which is then accepted, paid and sent to the restaurant automatically.

use lambda_http::{Error, Request};
use shared::aws::{self, Queue};
use shared::caller::Caller;
use shared::http::request::{self, NewOrder};
use shared::http::response::{SavedAnswer, SavedSubmission};
use shared::http::{self, Problem, Response, response};
use shared::money::Pricing;
use shared::order::{Order, Processing, Timestamp};
use shared::store::IdempotencyRecords;
use shared::telemetry;
use shared::workflow::Submission;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    let queue = &Queue::from_environment(&sdk)?;
    let pricing = &Pricing::from_environment()?;
    tokio::join!(records.connect(), queue.connect());
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| submit_order(records, queue, pricing, caller, request)).await
}

async fn submit_order(
    records: &IdempotencyRecords,
    queue: &Queue,
    pricing: &Pricing,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let NewOrder { user_id, content, operation } = NewOrder::parse(&request, &caller)?;
    let now = Timestamp::now();
    let total = pricing.total(&content);
    let order = Order::new(user_id, content, total, Processing::Workflow, now);
    let answer = SavedAnswer::new(&order, &response::submitted(&order)?);
    let submission = Submission { order, trace: request::trace(&request) };
    let message = serde_json::to_string(&submission).map_err(|error| Problem::Internal(error.into()))?;
    let mut saved = SavedSubmission { message, answer };
    if let Some(operation) = operation {
        // An earlier request may have ended after this, before it sent the message. So a repeat sends it again.
        saved = records.save(&operation, saved, now).await?;
    }
    queue.send(&saved.message, submission.trace.as_deref()).await?;
    saved.answer.try_into()
}
