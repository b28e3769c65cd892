//! Requests to SQS, Step Functions, SNS and Secrets Manager, and the meaning of their answers, by stubbed HTTP.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use lambda_http::http::{Request, Response};
use serde_json::{Value, json};
use shared::aws::{self, Error, Queue, StateMachine, Topic};
use shared::fixtures;
use shared::order::{Expected, Timestamp};
use shared::page::{Limit, List};
use shared::store::{Orders, StoreError};

const QUEUE_URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
const TOPIC_ARN: &str = "arn:aws:sns:eu-west-1:123456789012:notifications";
const ARN: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders";
const TRACE: &str = "Root=1-63b35429-0a1b2c3d4e5f60718293a4b5;Parent=53995c3f42cd8ad8;Sampled=1";

/// Configuration of clients whose every request gets that answer.
fn answered(status: u16, body: &Value) -> (SdkConfig, StaticReplayClient) {
    answered_with(status, &body.to_string())
}

fn answered_with(status: u16, body: &str) -> (SdkConfig, StaticReplayClient) {
    let response = || Response::builder().status(status).body(SdkBody::from(body)).unwrap();
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

/// Body of the one request.
fn sent(http: &StaticReplayClient) -> String {
    let requests: Vec<_> = http.actual_requests().collect();
    assert_eq!(requests.len(), 1);
    String::from_utf8(requests[0].body().bytes().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_execution_is_named_by_its_order_and_starts_with_that_input_and_trace() {
    let (sdk, http) = answered(200, &json!({"executionArn": "arn", "startDate": 1}));
    let id = fixtures::order().id();
    let input = r#"{ "order": "in a spelling of its own" }"#;
    StateMachine::new(&sdk, ARN).start(id, input, Some(TRACE.into())).await.unwrap();
    let expected = json!({"stateMachineArn": ARN, "name": id, "input": input, "traceHeader": TRACE});
    assert_eq!(serde_json::from_str::<Value>(&sent(&http)).unwrap(), expected);
}

#[tokio::test]
async fn a_trace_that_is_too_long_is_dropped_and_the_order_is_not() {
    for (length, is_sent) in [(256, true), (257, false)] {
        let (sdk, http) = answered(200, &json!({"executionArn": "arn", "startDate": 1}));
        let trace = "x".repeat(length);
        StateMachine::new(&sdk, ARN).start(fixtures::order().id(), "{}", Some(trace)).await.unwrap();
        let sent: Value = serde_json::from_str(&sent(&http)).unwrap();
        assert_eq!(sent.get("traceHeader").is_some(), is_sent, "{length}");
    }
}

#[tokio::test]
async fn an_execution_that_was_started_before_is_a_success_and_any_other_refusal_is_not() {
    for (kind, is_success) in
        [("ExecutionAlreadyExists", true), ("StateMachineDoesNotExist", false), ("InvalidName", false)]
    {
        let (sdk, _) = answered(400, &json!({"__type": kind, "message": "no"}));
        let started = StateMachine::new(&sdk, ARN).start(fixtures::order().id(), "{}", None).await;
        assert_eq!(started.is_ok(), is_success, "{kind}");
    }
}

#[tokio::test]
async fn a_message_is_sent_as_it_is_with_the_trace_of_its_request() {
    let (sdk, http) = answered(200, &json!({"MessageId": "1", "MD5OfMessageBody": "99914b932bd37a50b983c5e7c90ae93b"}));
    Queue::new(&sdk, QUEUE_URL).send("{}", Some(TRACE)).await.unwrap();
    let trace = json!({"AWSTraceHeader": {"DataType": "String", "StringValue": TRACE}});
    let expected = json!({"QueueUrl": QUEUE_URL, "MessageBody": "{}", "MessageSystemAttributes": trace});
    assert_eq!(serde_json::from_str::<Value>(&sent(&http)).unwrap(), expected);
}

#[tokio::test]
async fn a_service_that_throttles_or_is_away_is_unavailable_and_a_refusal_is_a_failure() {
    let refusals = [
        (400, "QueueDoesNotExist", false),
        (403, "AccessDeniedException", false),
        (400, "ThrottlingException", true),
        (400, "KMS.ThrottlingException", true),
        (400, "KMS.AccessDeniedException", false),
        (500, "InternalFailure", true),
        (503, "ServiceUnavailable", true),
    ];
    for (status, kind, is_unavailable) in refusals {
        let (sdk, _) = answered(status, &json!({"__type": format!("com.amazonaws.sqs#{kind}"), "message": "no"}));
        let error = Queue::new(&sdk, QUEUE_URL).send("{}", None).await.unwrap_err();
        assert_eq!(matches!(error, Error::Unavailable(_)), is_unavailable, "{kind}: {error:?}");
    }
}

#[tokio::test]
async fn a_list_that_dynamodb_refuses_or_cuts_short_is_no_empty_list() {
    let error =
        |kind| json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "no"}).to_string();
    for (status, body, is_unavailable) in [
        (400, error("ProvisionedThroughputExceededException"), true),
        (500, error("InternalServerError"), true),
        (400, error("AccessDeniedException"), false),
        (200, r#"{"Items": [], "Count""#.to_owned(), false),
        (200, "{}".to_owned(), false),
    ] {
        let (sdk, _) = answered_with(status, &body);
        let listed = Orders::new(&sdk, "orders").list(&List::All, Limit::default(), None).await;
        let error = listed.map(|page| page.orders).unwrap_err();
        assert_eq!(matches!(error, StoreError::Unavailable(_)), is_unavailable, "{body}: {error:?}");
    }
}

#[tokio::test]
async fn an_order_that_dynamodb_does_not_send_is_not_found_and_one_that_it_sends_damaged_is_a_failure() {
    let order = fixtures::order();
    let (key, content) = (order.key(), order.content());
    for (body, is_missing) in [("{}", true), (r#"{"Item": null}"#, true), ("", false), (r#"{"Item": {}}"#, false)] {
        let (sdk, _) = answered_with(200, body);
        let got = Orders::new(&sdk, "orders").find(key).await;
        assert!(if is_missing { matches!(got, Ok(None)) } else { matches!(got, Err(StoreError::Failed(_))) }, "{body}");
    }
    for body in ["{}", r#"{"Attributes": {}}"#] {
        let (sdk, _) = answered_with(200, body);
        let total = order.total().unwrap();
        let replaced = Orders::new(&sdk, "orders").replace(key, content, total, &Expected::Any, Timestamp::now()).await;
        assert!(matches!(replaced, Err(StoreError::Failed(_))), "{body}: {replaced:?}");
    }
}

#[tokio::test]
async fn a_topic_that_may_not_be_published_to_is_a_failure() {
    let body = "<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>";
    let (sdk, _) = answered_with(403, body);
    let order = fixtures::order().not_accepted("for the test", Timestamp::now()).unwrap();
    let error = Topic::new(&sdk, TOPIC_ARN).publish(&order).await.unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error:?}");
}

#[tokio::test]
async fn a_topic_whose_key_is_throttled_is_unavailable() {
    let order = fixtures::order().not_accepted("for the test", Timestamp::now()).unwrap();
    for (code, is_unavailable) in [("KMSThrottling", true), ("KMSThrottlingException", true), ("KMSDisabled", false)] {
        let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>");
        let (sdk, _) = answered_with(400, &body);
        let error = Topic::new(&sdk, TOPIC_ARN).publish(&order).await.unwrap_err();
        assert_eq!(matches!(error, Error::Unavailable(_)), is_unavailable, "{code}: {error:?}");
    }
}

#[tokio::test]
async fn a_secret_is_its_text() {
    const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:payment-AbCdEf";
    let (sdk, http) = answered(200, &json!({"ARN": SECRET_ARN, "SecretString": "key"}));
    assert_eq!(aws::secret(&sdk, SECRET_ARN).await.unwrap(), "key");
    assert_eq!(serde_json::from_str::<Value>(&sent(&http)).unwrap(), json!({"SecretId": SECRET_ARN}));
    let (sdk, _) = answered(200, &json!({"ARN": SECRET_ARN, "SecretBinary": "a2V5"}));
    assert!(aws::secret(&sdk, SECRET_ARN).await.is_err());
    let (sdk, _) = answered(400, &json!({"__type": "ResourceNotFoundException", "Message": "no"}));
    assert!(matches!(aws::secret(&sdk, SECRET_ARN).await, Err(Error::Failed(_))));
}

#[tokio::test]
async fn an_order_that_is_not_final_is_not_published() {
    let (sdk, http) = answered(200, &json!(""));
    assert!(Topic::new(&sdk, TOPIC_ARN).publish(&fixtures::order()).await.is_err());
    assert_eq!(http.actual_requests().count(), 0);
}

#[tokio::test]
async fn a_final_order_is_published_with_an_id_and_with_attributes_to_filter_by() {
    let published = "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>";
    let (sdk, http) = answered_with(200, published);
    let order = fixtures::order().not_accepted("for the test", Timestamp::now()).unwrap();
    Topic::new(&sdk, TOPIC_ARN).publish(&order).await.unwrap();
    let form: std::collections::HashMap<String, String> = serde_urlencoded::from_str(&sent(&http)).unwrap();
    let message: Value = serde_json::from_str(&form["Message"]).unwrap();
    assert_eq!(message, json!({"id": format!("{}:FAILURE", order.id()), "order": order}));
    let entry = |n: u8| {
        let field = |name: &str| form[&format!("MessageAttributes.entry.{n}.{name}")].clone();
        (field("Name"), field("Value.DataType"), field("Value.StringValue"))
    };
    let mut entries = [entry(1), entry(2)];
    entries.sort();
    let text = |name: &str, value: &str| (name.to_owned(), "String".to_owned(), value.to_owned());
    assert_eq!(entries, [text("order_status", "FAILURE"), text("user_id", "Ann")]);
}
