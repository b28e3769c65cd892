//! What is asked of SQS, Step Functions and SNS: the requests themselves, by stubbed HTTP.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use lambda_http::http::{Request, Response};
use serde_json::{Value, json};
use shared::http::Problem;
use shared::order::{Order, OrderContent, Outcome, Processing, Timestamp};
use shared::workflow::{Queue, StateMachine, Submission, Topic};

const ARN: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders";
const TRACE: &str = "Root=1-63b35429-0a1b2c3d4e5f60718293a4b5;Parent=53995c3f42cd8ad8;Sampled=1";

/// Clients whose request is answered so, each time that it is tried.
fn answered(status: u16, body: &Value) -> (SdkConfig, StaticReplayClient) {
    let response = || Response::builder().status(status).body(SdkBody::from(body.to_string())).unwrap();
    let events = (0..3).map(|_| ReplayEvent::new(Request::new(SdkBody::empty()), response()));
    let http = StaticReplayClient::new(events.collect());
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .http_client(http.clone())
        .build();
    (sdk, http)
}

/// The body of the one request.
fn asked(http: &StaticReplayClient) -> String {
    let requests: Vec<_> = http.actual_requests().collect();
    assert_eq!(requests.len(), 1);
    String::from_utf8(requests[0].body().bytes().unwrap().to_vec()).unwrap()
}

fn order() -> Order {
    let content =
        OrderContent { restaurant_id: "Restaurant 3".to_owned().try_into().unwrap(), quantity: 3.try_into().unwrap() };
    Order::new("Ann".to_owned().try_into().unwrap(), content, Processing::Workflow, Timestamp::now())
}

/// A message with that submission, in a spelling of its own.
fn message(submission: &Submission) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.body = Some(serde_json::to_string_pretty(submission).unwrap());
    message.attributes.insert("AWSTraceHeader".into(), TRACE.into());
    message
}

#[tokio::test]
async fn an_execution_is_named_by_its_order_starts_with_the_very_message_and_goes_on_with_its_trace() {
    let (sdk, http) = answered(200, &json!({"executionArn": "arn", "startDate": 1}));
    let submission = Submission { order: order(), trace: Some(TRACE.into()) };
    let message = message(&submission);
    StateMachine::new(&sdk, ARN.into()).start(&message).await.unwrap();
    let wished =
        json!({"stateMachineArn": ARN, "name": submission.order.id, "input": message.body, "traceHeader": TRACE});
    assert_eq!(serde_json::from_str::<Value>(&asked(&http)).unwrap(), wished);
}

#[tokio::test]
async fn an_execution_that_is_there_already_is_a_success_and_any_other_refusal_is_none() {
    let message = message(&Submission { order: order(), trace: None });
    for (kind, is_fine) in
        [("ExecutionAlreadyExists", true), ("StateMachineDoesNotExist", false), ("InvalidName", false)]
    {
        let (sdk, _) = answered(400, &json!({"__type": kind, "message": "no"}));
        assert_eq!(StateMachine::new(&sdk, ARN.into()).start(&message).await.is_ok(), is_fine, "{kind}");
    }
}

#[tokio::test]
async fn what_is_no_submission_starts_nothing() {
    let (sdk, http) = answered(200, &json!({"executionArn": "arn", "startDate": 1}));
    for body in [None, Some(""), Some("{}"), Some(r#"{"order": "none"}"#), Some(r#"{"order": {"id": "7"}}"#)] {
        let mut message = SqsMessage::default();
        message.body = body.map(str::to_owned);
        assert!(StateMachine::new(&sdk, ARN.into()).start(&message).await.is_err(), "{body:?}");
    }
    assert_eq!(http.actual_requests().count(), 0);
}

#[tokio::test]
async fn a_submission_is_sent_as_it_is_with_the_trace_of_its_request() {
    let (sdk, http) = answered(200, &json!({"MessageId": "1", "MD5OfMessageBody": "99914b932bd37a50b983c5e7c90ae93b"}));
    let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
    Queue::new(&sdk, url.into()).send("{}", Some(TRACE)).await.unwrap();
    let trace = json!({"AWSTraceHeader": {"DataType": "String", "StringValue": TRACE}});
    let wished = json!({"QueueUrl": url, "MessageBody": "{}", "MessageSystemAttributes": trace});
    assert_eq!(serde_json::from_str::<Value>(&asked(&http)).unwrap(), wished);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_mistake_and_one_that_throttles_is_unavailable() {
    for (kind, may_pass) in
        [("QueueDoesNotExist", false), ("AccessDeniedException", false), ("ThrottlingException", true)]
    {
        let (sdk, _) = answered(400, &json!({"__type": format!("com.amazonaws.sqs#{kind}"), "message": "no"}));
        let queue = Queue::new(&sdk, "https://sqs.eu-west-1.amazonaws.com/123456789012/orders".into());
        let problem = queue.send("{}", None).await.unwrap_err();
        assert_eq!(matches!(problem, Problem::Unavailable(_)), may_pass, "{kind}: {problem:?}");
    }
}

#[tokio::test]
async fn an_ending_is_told_by_a_name_of_its_own_and_with_attributes_to_filter_by() {
    let (sdk, http) = answered(200, &json!(""));
    let failure = Outcome::Failure { error_message: "declined".into(), refund_failed: false };
    let order = order().ended(&failure, Timestamp::now());
    // The stub's answer is no XML, as SNS's is: what counts here is what was asked.
    let _ = Topic::new(&sdk, "arn:aws:sns:eu-west-1:123456789012:notifications".into()).publish(&order).await;
    let form: std::collections::HashMap<String, String> = serde_urlencoded::from_str(&asked(&http)).unwrap();
    let told: Value = serde_json::from_str(&form["Message"]).unwrap();
    assert_eq!(told, json!({"id": format!("{}:FAILURE", order.id), "order": order}));
    let entry = |n: u8| {
        let field = |name: &str| form[&format!("MessageAttributes.entry.{n}.{name}")].clone();
        (field("Name"), field("Value.DataType"), field("Value.StringValue"))
    };
    let mut entries = [entry(1), entry(2)];
    entries.sort();
    let text = |name: &str, value: &str| (name.to_owned(), "String".to_owned(), value.to_owned());
    assert_eq!(entries, [text("order_status", "FAILURE"), text("user_id", "Ann")]);
}
