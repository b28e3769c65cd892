//! The way of a submitted order: what passes through the queue and between the steps of the state machine, and the
//! loops around those steps.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use futures_util::FutureExt;
use futures_util::future::join_all;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;

use crate::aws;
use crate::http::response::SavedAnswer;
use crate::http::{Problem, Response};
use crate::order::{Order, OrderStatus, Outcome, Timestamp};
use crate::providers::{Decision, Provider, ProviderError};
use crate::store::{Orders, StoreError};
use crate::telemetry;

type Cause = Box<dyn Error + Send + Sync>;

/// What is queued, and what an execution starts with: the same bytes on every try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The order, as it was submitted.
    pub order: Order,
    /// X-Ray's header of the request that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What is done of a request that submits an order: the message that is sent, and the answer that is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The submission as it is queued, byte for byte.
    pub message: String,
    /// The answer.
    pub answer: SavedAnswer,
}

impl Submitted {
    /// That submission, and that answer to it.
    pub fn new(submission: &Submission, answer: &Response) -> Result<Self, Problem> {
        let message = serde_json::to_string(submission).map_err(|error| Problem::Internal(error.into()))?;
        Ok(Self { message, answer: SavedAnswer::from(answer) })
    }
}

/// How the order of an execution is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The order, as it was submitted.
    pub order: Order,
    /// How it ends.
    pub outcome: Outcome,
}

/// An execution that has ended otherwise than it should: the event "Step Functions Execution Status Change", as far as
/// it is of use here ("Step Functions event detail", Step Functions Developer Guide).
#[derive(Debug, Deserialize)]
pub struct StatusChange {
    detail: StatusDetail,
}

#[derive(Debug, Deserialize)]
struct StatusDetail {
    /// `FAILED`, `TIMED_OUT` or `ABORTED`.
    status: String,
    /// What the execution has started with. It is left out over 248 KiB, which no submission has.
    input: String,
}

impl StatusChange {
    /// The event in that message.
    pub fn parse(message: &SqsMessage) -> Result<Self, Cause> {
        Ok(serde_json::from_str(message.body.as_deref().unwrap_or_default())?)
    }

    /// What it was about.
    fn submission(&self) -> Result<Submission, Cause> {
        let submission: Submission = serde_json::from_str(&self.detail.input)?;
        telemetry::about(submission.order.id);
        Ok(submission)
    }
}

impl AsRef<Order> for Submission {
    fn as_ref(&self) -> &Order {
        &self.order
    }
}

impl AsRef<Order> for Completion {
    fn as_ref(&self) -> &Order {
        &self.order
    }
}

/// The queue of submitted orders.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// The queue at that URL.
    #[must_use]
    pub fn new(sdk: &SdkConfig, url: String) -> Self {
        Self { client: aws_sdk_sqs::Client::new(sdk), url }
    }

    /// Sends a submission, and X-Ray's header with it. Needs `sqs:SendMessage`.
    pub async fn send(&self, submission: &str, trace: Option<&str>) -> Result<(), Problem> {
        let mut send = self.client.send_message().queue_url(&self.url).message_body(submission);
        if let Some(trace) = trace {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
            let value = value.map_err(|error| Problem::Internal(error.into()))?;
            send = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
        match send.send().await {
            Ok(_) => Ok(()),
            Err(error) if aws::may_pass(&error, &[]) => Err(Problem::Unavailable(error.into())),
            Err(error) => Err(Problem::Internal(error.into())),
        }
    }
}

/// The state machine.
#[derive(Debug, Clone)]
pub struct StateMachine {
    client: aws_sdk_sfn::Client,
    arn: String,
}

impl StateMachine {
    /// The state machine of that ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: String) -> Self {
        Self { client: aws_sdk_sfn::Client::new(sdk), arn }
    }

    /// Starts the execution of the submission in that message, named by its order: whoever starts it again has started
    /// it. Its input is the message, byte for byte. Needs `states:StartExecution`.
    pub async fn start(&self, message: &SqsMessage) -> Result<(), Cause> {
        let input = message.body.as_deref().unwrap_or_default();
        let id = serde_json::from_str::<Submission>(input)?.order.id;
        telemetry::about(id);
        let trace = message.attributes.get("AWSTraceHeader").cloned();
        let start = self.client.start_execution().state_machine_arn(&self.arn).name(id.to_string()).input(input);
        match start.set_trace_header(trace).send().await {
            Ok(_) => Ok(()),
            // AWS answers so when the first one has ended, and 200 while it is running.
            Err(error) if error.as_service_error().is_some_and(StartExecutionError::is_execution_already_exists) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The topic that tells how orders end.
#[derive(Debug, Clone)]
pub struct Topic {
    client: aws_sdk_sns::Client,
    arn: String,
}

impl Topic {
    /// The topic of that ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: String) -> Self {
        Self { client: aws_sdk_sns::Client::new(sdk), arn }
    }

    /// Tells how that order has ended. Needs `sns:Publish`.
    pub async fn publish(&self, order: &Order) -> Result<(), Cause> {
        let status = order.order_status.as_str();
        let attribute = |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let ending = serde_json::json!({ "id": format!("{}:{status}", order.id), "order": order });
        self.client
            .publish()
            .topic_arn(&self.arn)
            .message(ending.to_string())
            .message_attributes("order_status", attribute(status)?)
            .message_attributes("user_id", attribute(order.user_id.as_str())?)
            .send()
            .await?;
        tracing::info!("told: {status}");
        Ok(())
    }
}

/// Why a step has failed. The state machine knows them by these names.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The same step may do later.
    #[error("{0}")]
    Retryable(Cause),
    /// It would fail again.
    #[error("{0}")]
    NonRetryable(Cause),
}

impl From<TaskError> for Diagnostic {
    fn from(error: TaskError) -> Self {
        let name = match &error {
            TaskError::Retryable(_) => "Retryable",
            TaskError::NonRetryable(_) => "NonRetryable",
        };
        Self { error_type: name.into(), error_message: error.to_string() }
    }
}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Stale => Self::Retryable(error.into()),
            _ => Self::NonRetryable(error.into()),
        }
    }
}

impl From<ProviderError> for TaskError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Retryable(_) => Self::Retryable(error.into()),
            ProviderError::Failed(_) => Self::NonRetryable(error.into()),
        }
    }
}

/// Ends the order of an execution that has ended otherwise than it should: as FAILURE, unless it has ended already; gives
/// back what was paid, if FAILURE is how it ended; and tells it. May be done twice.
pub async fn recover(orders: &Orders, payment: &Provider, topic: &Topic, change: &StatusChange) -> Result<(), Cause> {
    let Submission { order, trace } = change.submission()?;
    let now = Timestamp::now();
    // What could not be saved before ends all the same.
    orders.save(&order, now).await?;
    let outcome = Outcome::Failure {
        error_message: format!("the order could not be processed ({})", change.detail.status),
        refund_failed: false,
    };
    // First its end, then the refund: a step of the execution that is still at work may end it too, and well.
    let Some(mut order) = orders.complete(&order.key(), &outcome, now).await? else { return Ok(()) };
    if order.order_status == OrderStatus::Failure {
        match payment.refund(&order, trace.as_deref()).await {
            Ok(Decision::Yes) => {}
            Ok(Decision::No { .. }) | Err(ProviderError::Failed(_)) => {
                telemetry::refund_failed();
                order = orders.note_failed_refund(&order, now).await?;
            }
            Err(error @ ProviderError::Retryable(_)) => return Err(error.into()),
        }
    }
    topic.publish(&order).await
}

/// Does one step of the state machine, again and again, until Lambda ends the function. `function` is its name in the
/// line that is logged of each.
pub async fn serve_task<T, A, H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    T: DeserializeOwned + AsRef<Order>,
    A: Serialize,
    H: Fn(T) -> F,
    F: Future<Output = Result<A, TaskError>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let work = async move {
            let started = Instant::now();
            let request_id = event.context.request_id;
            let done = async {
                let task = T::deserialize(event.payload).map_err(|error| TaskError::NonRetryable(error.into()))?;
                telemetry::about(task.as_ref().id);
                handler(task).await
            };
            let done = done.await;
            let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
            match &done {
                Ok(_) => tracing::info!(request_id, function, duration_ms, "done"),
                Err(TaskError::Retryable(cause) | TaskError::NonRetryable(cause)) => {
                    let error = telemetry::describe(cause.as_ref());
                    tracing::error!(request_id, function, duration_ms, error, "failed");
                }
            }
            done
        };
        work.instrument(telemetry::span(function))
    }))
    .await
}

/// Handles the messages of a queue, a batch at a time. `function` is its name in the line that is logged of each.
pub async fn serve_queue<H, F>(function: &'static str, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(SqsMessage) -> F,
    F: Future<Output = Result<(), Cause>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        // `cargo lambda watch` gives a deadline in 1970: then there is none.
        let left = event.context.deadline().duration_since(SystemTime::now());
        let time = left.map_or(Duration::MAX, |left| left.saturating_sub(MARGIN));
        Ok::<_, lambda_runtime::Error>(handle_batch(function, handler, event.payload, time).await)
    }))
    .await
}

/// How long before the end of the function a message that is not done by then is given up.
const MARGIN: Duration = Duration::from_secs(1);

/// Handles each message by itself, all at once: none waits for another. Those that fail, or panic, or are not done within
/// that time, stay in the queue, and the others do not come again.
async fn handle_batch<H, F>(function: &'static str, handler: &H, batch: SqsEvent, time: Duration) -> SqsBatchResponse
where
    H: Fn(SqsMessage) -> F,
    F: Future<Output = Result<(), Cause>>,
{
    let works = batch.records.into_iter().map(|message| {
        let work = async move {
            let message_id = message.message_id.clone().unwrap_or_default();
            let started = Instant::now();
            let done = tokio::time::timeout(time, async { handler(message).await });
            let done = AssertUnwindSafe(done).catch_unwind().await;
            let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
            let cause: Cause = match done {
                Ok(Ok(Ok(()))) => {
                    tracing::info!(function, message_id, duration_ms, "done");
                    return None;
                }
                Ok(Ok(Err(cause))) => cause,
                Ok(Err(late)) => late.into(),
                Err(_panic) => "panicked".into(),
            };
            let error = telemetry::describe(cause.as_ref());
            tracing::error!(function, message_id, duration_ms, error, "failed");
            Some(message_id)
        };
        work.instrument(telemetry::span(function))
    });
    let mut answer = SqsBatchResponse::default();
    join_all(works).await.into_iter().flatten().for_each(|message_id| answer.add_failure(message_id));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response;
    use crate::order::{OrderContent, Processing};

    fn order() -> Order {
        let content = OrderContent {
            restaurant_id: "Restaurant 3".to_owned().try_into().unwrap(),
            quantity: 3.try_into().unwrap(),
        };
        Order::new("Ann".to_owned().try_into().unwrap(), content, Processing::Workflow, Timestamp::now())
    }

    #[test]
    fn a_submission_is_queued_as_it_will_be_saved_and_answered() {
        let submission = Submission { order: order(), trace: Some("Root=1".into()) };
        let answer = response::submitted(&submission.order).unwrap();
        let submitted = Submitted::new(&submission, &answer).unwrap();
        assert_eq!(serde_json::from_str::<Submission>(&submitted.message).unwrap(), submission);
        let answered: Order = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((answer.status().as_u16(), &answered), (202, &submission.order));
    }

    #[test]
    fn the_state_machine_knows_errors_by_their_names() {
        let names = [TaskError::Retryable("away".into()), TaskError::NonRetryable("broken".into())]
            .map(|error| Diagnostic::from(error).error_type);
        assert_eq!(names, ["Retryable", "NonRetryable"]);
    }

    #[test]
    fn an_outcome_has_the_form_that_the_state_machine_gives_it() {
        let failed = serde_json::json!({"order_status": "FAILURE", "error_message": "declined"});
        let failed: Outcome = serde_json::from_value(failed).unwrap();
        assert_eq!(failed, Outcome::Failure { error_message: "declined".into(), refund_failed: false });
        // JSONata's $now() has milliseconds.
        let paid = serde_json::json!({"order_status": "SUCCESS", "paid_at": "2026-11-23T10:24:02.591Z"});
        let paid: Outcome = serde_json::from_value(paid).unwrap();
        assert!(
            matches!(paid, Outcome::Success { paid_at } if paid_at.to_string() == "2026-11-23T10:24:02.591000000Z")
        );
    }

    fn batch(bodies: &[&str]) -> SqsEvent {
        let messages = bodies.iter().enumerate().map(|(n, body)| {
            let mut message = SqsMessage::default();
            message.message_id = Some(n.to_string());
            message.body = Some((*body).to_owned());
            message
        });
        let mut event = SqsEvent::default();
        event.records = messages.collect();
        event
    }

    #[tokio::test(start_paused = true)]
    async fn neither_an_error_nor_a_panic_keeps_the_rest_of_a_batch_from_being_handled() {
        let handler = |message: SqsMessage| async move {
            match message.body.as_deref() {
                Some("bad") => Err("bad".into()),
                Some("worse") => panic!("worse"),
                Some("endless") => std::future::pending().await,
                Some("slow") => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        let bodies = ["slow", "bad", "slow", "worse", "slow", "endless", "slow", "slow", "slow", "slow"];
        let started = tokio::time::Instant::now();
        let answer = handle_batch("test", &handler, batch(&bodies), Duration::from_secs(5)).await;
        let failed: Vec<_> =
            answer.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["1", "3", "5"]);
        // The clock stands still but for those who wait: it shows the longest wait, not the sum.
        assert!(started.elapsed().as_millis() < 5100, "none waits for another");
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_is_one_messages_too() {
        let handler = |message: SqsMessage| {
            assert_ne!(message.body.as_deref(), Some("worse"));
            std::future::ready(Ok(()))
        };
        let answer = handle_batch("test", &handler, batch(&["good", "worse", "good"]), Duration::from_secs(5)).await;
        assert_eq!(answer.batch_item_failures.len(), 1);
    }

    #[test]
    fn an_execution_that_failed_says_what_it_was_about() {
        let submission = Submission { order: order(), trace: None };
        let event = |input: &Value| serde_json::json!({"detail": {"status": "ABORTED", "input": input}}).to_string();
        let input = Value::String(serde_json::to_string(&submission).unwrap());
        let message = batch(&[&event(&input)]).records.remove(0);
        let change = StatusChange::parse(&message).unwrap();
        assert_eq!((change.detail.status.as_str(), change.submission().unwrap()), ("ABORTED", submission));
        assert!(StatusChange::parse(&batch(&[&event(&Value::Null)]).records[0]).is_err());
    }
}
