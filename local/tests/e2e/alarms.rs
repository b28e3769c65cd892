//! Alarms: from a metric to the people who subscribe to the topic. The emulator evaluates an alarm when its metric gets
//! data, but makes no metrics from log lines: `tools/tests/test_alarms.py` compares those with the code.

use aws_sdk_sqs::types::QueueAttributeName;
use local::Stack;
use serde_json::Value;
use uuid::Uuid;

/// Puts a value of one of the stack's own metrics. Not with the SDK: its client of CloudWatch brings a second HTTP stack,
/// which `deny.toml` refuses.
pub async fn put_metric(stack: &Stack, name: &str) {
    let namespace = format!("OrderApi/{}", stack.name);
    let form = [
        ("Action", "PutMetricData"),
        ("Version", "2010-08-01"),
        ("Namespace", &namespace),
        ("MetricData.member.1.MetricName", name),
        ("MetricData.member.1.Value", "1"),
    ];
    let put = stack.http().build().unwrap().post(stack.emulator().unwrap()).form(&form);
    // The emulator reads the service from the credentials, and does not check the signature.
    let credential = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{}/monitoring/aws4_request", stack.region);
    put.header("Authorization", credential).send().await.unwrap().error_for_status().unwrap();
}

#[tokio::test]
async fn an_order_that_needs_an_operator_raises_an_alarm_that_leads_to_its_runbook() {
    let stack = Stack::from_environment().unwrap();
    let sdk = stack.sdk_config().await;
    let (sqs, sns) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
    let resource = aws_sdk_cloudformation::Client::new(&sdk).describe_stack_resource().stack_name(&stack.name);
    let topic = resource.logical_resource_id("AlarmsTopic").send().await.unwrap().stack_resource_detail.unwrap();
    let queue = sqs.create_queue().queue_name(format!("alarms-{}", Uuid::new_v4())).send().await.unwrap();
    let queue = queue.queue_url.unwrap();
    let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(QueueAttributeName::QueueArn);
    let arn = attributes.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
    let subscribe = sns.subscribe().set_topic_arn(topic.physical_resource_id).protocol("sqs").endpoint(arn);
    subscribe.send().await.unwrap();

    put_metric(&stack, "NeedsOperator").await;
    let receive = sqs.receive_message().queue_url(&queue).wait_time_seconds(20);
    let [message] = <[_; 1]>::try_from(receive.send().await.unwrap().messages.unwrap()).unwrap();
    let envelope: Value = serde_json::from_str(message.body().unwrap()).unwrap();
    let call: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert!(call["AlarmName"].as_str().unwrap().contains("NeedsOperatorAlarm"), "{call}");
    assert_eq!(call["NewStateValue"], "ALARM");
    let description = call["AlarmDescription"].as_str().unwrap();
    assert!(description.ends_with(" docs/operations.md#orders-that-need-an-operator"), "{description}");
}
