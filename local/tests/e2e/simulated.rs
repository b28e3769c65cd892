//! Submitted orders on any stack whose providers are simulators, without a look inside: from the public API to the end.

use std::collections::HashMap;

use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use local::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::idempotency::{assert_count, order_of};
use crate::support::{Answer, Api, eventually, made, path_of, send, text, user};

/// Orders that are submitted at once.
const ORDERS: usize = 20;

/// Rounds of orders until one is refunded. By default about one order in 22 is.
const ROUNDS: usize = 20;

/// A queue that gets all final orders.
struct Subscriber {
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    queue: String,
    subscription: String,
}

impl Subscriber {
    async fn new(stack: &Stack) -> Self {
        let sdk = stack.sdk_config().await;
        let (sqs, sns) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
        let topic = &stack.notifications_topic;
        // A name of a queue has at most 80 characters, that of a stack 50.
        let name = format!("{}-verify-{}", stack.name, &Uuid::new_v4().simple().to_string()[..8]);
        let queue = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        made("queue", &queue);
        let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(QueueAttributeName::QueueArn);
        let arn = attributes.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }]});
        let set = sqs.set_queue_attributes().queue_url(&queue);
        set.attributes(QueueAttributeName::Policy, policy.to_string()).send().await.unwrap();
        let subscribe = sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(arn).return_subscription_arn(true);
        let subscription = subscribe.send().await.unwrap().subscription_arn.unwrap();
        made("subscription", &subscription);
        Self { sqs, sns, queue, subscription }
    }

    /// Receives what is in the queue: the ids of the messages, by the orders' ids.
    async fn receive(&self, news: &mut HashMap<String, Vec<String>>) {
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let messages = receive.wait_time_seconds(2).send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return;
            }
            for message in messages {
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                delete.set_receipt_handle(message.receipt_handle.clone()).send().await.unwrap();
                let envelope: Value = serde_json::from_str(message.body().unwrap()).unwrap();
                let published: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
                news.entry(text(&published["order"]["id"])).or_default().push(text(&published["id"]));
            }
        }
    }

    async fn end(self) {
        self.sns.unsubscribe().subscription_arn(self.subscription).send().await.unwrap();
        self.sqs.delete_queue().queue_url(self.queue).send().await.unwrap();
    }
}

async fn submit(api: &Api, key: &str, body: &Value) -> Answer {
    send(api.request(Method::POST, "/orders").header("Idempotency-Key", key).json(body)).await
}

/// Submits an order of a new user.
async fn submitted(api: &Api) -> Value {
    submit(api, &Uuid::new_v4().to_string(), &order_of(&user("Ann"))).await.is(202).json()
}

/// Waits until the order is final and nothing is owed, and returns it.
async fn ended(api: &Api, order: &Value) -> Value {
    let look = || async {
        let answer = api.get(&path_of(order)).await;
        let order = (answer.status == StatusCode::OK).then(|| answer.json())?;
        (order["order_status"] != "PENDING" && order["refund"] != "OWED").then_some(order)
    };
    eventually(&format!("{} is final", order["id"]), look).await
}

/// Waits until the order's execution ends, and returns its status.
async fn execution_ended(api: &Api, order: &Value) -> ExecutionStatus {
    let sfn = aws_sdk_sfn::Client::new(&api.stack.sdk_config().await);
    let machine = api.stack.state_machine.replace(":stateMachine:", ":execution:");
    let arn = format!("{machine}:{}", text(&order["id"]));
    let look = || async {
        let described = sfn.describe_execution().execution_arn(&arn).send().await.ok()?;
        Some(described.status).filter(|status| *status != ExecutionStatus::Running)
    };
    eventually("the execution ends", look).await
}

/// Asserts that the facts of a final order fit together, and returns true if it was paid and refused.
fn assert_consistent(stack: &Stack, submitted: &Value, order: &Value) -> bool {
    for field in ["id", "user_id", "restaurant_id", "quantity", "created_at", "total"] {
        assert_eq!(order[field], submitted[field], "{field} of {order}");
    }
    let amount = stack.unit_price * text(&order["quantity"]).parse::<u64>().unwrap();
    assert_eq!(order["total"], json!({"amount": amount, "currency": stack.currency}), "{order}");
    let instants: Vec<_> = ["created_at", "accepted_at", "paid_at", "delivered_at", "completed_at", "updated_at"]
        .iter()
        .filter_map(|field| order[field].as_str())
        .collect();
    assert!(instants.is_sorted(), "{order}");
    assert!(order["accepted_at"].is_string() && order["completed_at"].is_string(), "{order}");
    let (paid, delivered) = (order["paid_at"].is_string(), order["delivered_at"].is_string());
    if order["order_status"] == "SUCCESS" {
        assert!(paid && delivered, "{order}");
        assert_eq!((&order["error_message"], &order["refund"]), (&Value::Null, &Value::Null), "{order}");
        return false;
    }
    assert_eq!(order["order_status"], "FAILURE", "{order}");
    assert!(!delivered && order["error_message"].is_string(), "{order}");
    assert_eq!(order["refund"], if paid { json!("MADE") } else { Value::Null }, "{order}");
    paid
}

#[tokio::test]
async fn submitted_orders_end_with_consistent_facts_a_refund_if_paid_and_refused_and_one_message_each() {
    let api = Api::new().await;
    let subscriber = Subscriber::new(&api.stack).await;
    let (mut orders, mut refunded) = (Vec::new(), false);
    for _ in 0..ROUNDS {
        let mut round = JoinSet::new();
        for _ in 0..ORDERS {
            let api = api.clone();
            round.spawn(async move {
                let order = submitted(&api).await;
                (ended(&api, &order).await, order)
            });
        }
        for (ended, order) in round.join_all().await {
            refunded |= assert_consistent(&api.stack, &order, &ended);
            orders.push(ended);
        }
        if refunded {
            break;
        }
    }
    assert!(refunded, "none of {} orders was paid and refused", orders.len());

    // The end of an order is published after it can be read.
    let mut news = HashMap::new();
    let mut told = 0;
    while told < orders.len() {
        let before = news.clone();
        let look = || async {
            let mut now = before.clone();
            subscriber.receive(&mut now).await;
            (now != before).then_some(now)
        };
        news = eventually("a message comes", look).await;
        told = orders.iter().filter(|order| news.contains_key(&text(&order["id"]))).count();
    }
    subscriber.receive(&mut news).await;
    for order in &orders {
        let id = text(&order["id"]);
        let of_order = &news[&id];
        let end = format!("{id}:{}", text(&order["order_status"]));
        let later = |news: &&String| **news != end;
        assert_eq!(of_order.iter().filter(|news| **news == end).count(), 1, "{of_order:?}");
        // The change of a refund is another message.
        assert!(of_order.iter().filter(later).all(|news| *news == format!("{id}:FAILURE:MADE")), "{of_order:?}");
    }
    subscriber.end().await;
}

#[tokio::test]
async fn an_order_deleted_in_its_grace_period_never_ends() {
    let api = Api::new().await;
    let subscriber = Subscriber::new(&api.stack).await;
    // Where the grace period is short, an order may be accepted before it can be deleted.
    let delete = || async {
        let order = submitted(&api).await;
        eventually("the order is saved", || async { (api.get(&path_of(&order)).await.status == 200).then_some(()) })
            .await;
        let answer = api.delete(&path_of(&order)).await;
        if answer.status == StatusCode::CONFLICT {
            return None;
        }
        answer.is(204);
        Some(order)
    };
    let order = eventually("an order is deleted in its grace period", delete).await;
    assert_eq!(execution_ended(&api, &order).await, ExecutionStatus::Succeeded);
    api.get(&path_of(&order)).await.problem(404);
    let mut news = HashMap::new();
    subscriber.receive(&mut news).await;
    assert_eq!(news.get(&text(&order["id"])), None);
    subscriber.end().await;
}

#[tokio::test]
async fn a_repeated_submission_makes_one_order() {
    let api = Api::new().await;
    let user = user("Ann");
    let (key, body) = (Uuid::new_v4().to_string(), order_of(&user));
    let mut clients = JoinSet::new();
    for _ in 0..10 {
        let (api, key, body) = (api.clone(), key.clone(), body.clone());
        clients.spawn(async move { submit(&api, &key, &body).await.is(202).body });
    }
    let mut answers = clients.join_all().await;
    answers.dedup();
    let [answer] = &answers[..] else { panic!("several answers: {answers:?}") };
    let order: Value = serde_json::from_str(answer).unwrap();
    let ended = ended(&api, &order).await;
    assert_eq!(submit(&api, &key, &body).await.is(202).body, *answer);
    assert_eq!(api.get(&path_of(&order)).await.is(200).json()["completed_at"], ended["completed_at"]);
    assert_count(&api, &user, 1).await;
    // Another body is another submission, so the key refuses it.
    let mut other = body.clone();
    other["quantity"] = json!(4);
    submit(&api, &key, &other).await.problem(422);
}
