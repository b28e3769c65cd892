//! The end of a run: waits until all is settled, and collects the evidence.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use local::{Stack, invoke};
use serde_json::{Value, json};

use crate::check::unsettled;
use crate::clients::Clients;
use crate::evidence::Evidence;
use crate::proxy::Proxy;

/// ARNs of the running executions.
pub async fn running(sfn: &aws_sdk_sfn::Client, stack: &Stack) -> Result<Vec<String>> {
    let list = sfn.list_executions().state_machine_arn(&stack.state_machine).status_filter(ExecutionStatus::Running);
    let executions = list.into_paginator().items().send();
    let executions = executions.collect::<Result<Vec<_>, _>>().await?;
    Ok(executions.into_iter().map(|execution| execution.execution_arn).collect())
}

/// The sweep, as the schedule calls it every 15 minutes.
#[derive(Clone)]
pub struct Sweeper {
    stack: Stack,
    dynamodb: aws_sdk_dynamodb::Client,
}

/// A stack, seen from its data.
pub struct Observer {
    stack: Stack,
    sweeper: Sweeper,
    sfn: aws_sdk_sfn::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
    messages: Vec<Value>,
    /// Sweeps that succeeded.
    pub sweeps: u64,
    /// Recoveries by these sweeps.
    pub recovered: u64,
    /// Dead letters that were moved back to their queues.
    pub redriven: u64,
}

impl Sweeper {
    /// A sweeper of this stack.
    pub async fn new(stack: &Stack) -> Self {
        Self { stack: stack.clone(), dynamodb: aws_sdk_dynamodb::Client::new(&stack.sdk_config().await) }
    }

    /// Calls the sweep. It leaves orders alone that were just written, so their `updated_at` is put back first.
    /// Returns the number of its recoveries.
    pub async fn sweep(&self) -> Result<u64> {
        for item in self.items().await? {
            if !item.contains_key("unsettled") {
                continue;
            }
            let update = self.dynamodb.update_item().table_name(&self.stack.orders_table);
            let update = ["user_id", "id"].iter().fold(update, |update, name| {
                update.key(*name, item.get(*name).cloned().unwrap_or(AttributeValue::Null(true)))
            });
            // Fails if the order was settled or deleted meanwhile.
            let _ = update
                .condition_expression("attribute_exists(unsettled)")
                .update_expression("SET updated_at = :long_ago")
                .expression_attribute_values(":long_ago", AttributeValue::S("2026-01-01T00:00:00Z".into()))
                .send()
                .await;
        }
        let swept = invoke::invoke(&self.stack, "sweep-orders", &json!({})).await?;
        swept.payload["recovered"].as_u64().with_context(|| format!("the sweep failed: {}", swept.payload))
    }

    async fn items(&self) -> Result<Vec<std::collections::HashMap<String, AttributeValue>>> {
        let scan = self.dynamodb.scan().table_name(&self.stack.orders_table).consistent_read(true);
        Ok(scan.into_paginator().items().send().collect::<Result<_, _>>().await?)
    }
}

impl Observer {
    /// Subscribes a queue to the topic.
    pub async fn new(stack: &Stack) -> Result<Self> {
        let sdk = stack.sdk_config().await;
        let (sqs, sns) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
        let queue = sqs.create_queue().queue_name(format!("{}-observer", stack.name)).send().await?;
        let queue = queue.queue_url.context("a queue without a URL")?;
        let attributes = sqs.get_queue_attributes().queue_url(&queue).attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await?.attributes.unwrap_or_default();
        let arn = attributes.get(&QueueAttributeName::QueueArn).context("a queue without an ARN")?;
        sns.subscribe().topic_arn(&stack.notifications_topic).protocol("sqs").endpoint(arn).send().await?;
        Ok(Self {
            stack: stack.clone(),
            sweeper: Sweeper::new(stack).await,
            sfn: aws_sdk_sfn::Client::new(&sdk),
            sqs,
            queue,
            messages: Vec::new(),
            sweeps: 0,
            recovered: 0,
            redriven: 0,
        })
    }

    /// Waits until everything is settled, at most for this time, and returns the evidence. A call that fails is repeated
    /// until then.
    pub async fn settle(&mut self, clients: &Clients, proxy: &Proxy, limit: Duration) -> Result<Evidence> {
        let deadline = Instant::now() + limit;
        let mut shown = Instant::now();
        loop {
            let looked = self.look(clients, proxy).await;
            let is_over = Instant::now() > deadline;
            match looked {
                Ok((evidence, open)) if open.is_empty() || is_over => return Ok(evidence),
                Ok((_, open)) if shown.elapsed() > Duration::from_secs(20) => {
                    shown = Instant::now();
                    println!("  {} not settled, such as: {}", open.len(), open.first().map_or("", String::as_str));
                }
                Ok(_) => {}
                Err(error) if is_over => return Err(error),
                Err(error) => println!("  looks again: {error:#}"),
            }
            if let Err(error) = self.help().await {
                println!("  tries again: {error:#}");
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// Collects the evidence, and says what is not settled.
    async fn look(&mut self, clients: &Clients, proxy: &Proxy) -> Result<(Evidence, Vec<String>)> {
        let evidence = self.collect(clients, proxy).await?;
        let mut open = unsettled(&evidence);
        if !open.is_empty() {
            return Ok((evidence, open));
        }
        if !self.is_quiet().await? {
            open.push("a message waits".to_owned());
            return Ok((evidence, open));
        }
        // Once more: the first evidence is older than the silence.
        let evidence = self.collect(clients, proxy).await?;
        let open = unsettled(&evidence);
        Ok((evidence, open))
    }

    /// Moves dead letters back, and sweeps.
    async fn help(&mut self) -> Result<()> {
        self.redrive(&self.stack.orders_dead_letter_queue.clone(), &self.stack.orders_queue.clone()).await?;
        self.redrive(&self.stack.recovery_dead_letter_queue.clone(), &self.stack.recovery_queue.clone()).await?;
        self.recovered += self.sweeper.sweep().await?;
        self.sweeps += 1;
        Ok(())
    }

    /// No message waits, and none is being handled.
    async fn is_quiet(&self) -> Result<bool> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        for queue in [&self.stack.orders_queue, &self.stack.recovery_queue, &self.queue] {
            let get = self.sqs.get_queue_attributes().queue_url(queue).set_attribute_names(Some(names.to_vec()));
            let attributes = get.send().await?.attributes.unwrap_or_default();
            if names.iter().any(|name| attributes.get(name).is_some_and(|number| number != "0")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves dead letters back, as `make redrive` does.
    async fn redrive(&mut self, from: &str, to: &str) -> Result<()> {
        loop {
            let received = self.sqs.receive_message().queue_url(from).max_number_of_messages(10).send().await?;
            let letters = received.messages.unwrap_or_default();
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                let send = self.sqs.send_message().queue_url(to).set_message_body(letter.body);
                send.send().await?;
                let delete = self.sqs.delete_message().queue_url(from).set_receipt_handle(letter.receipt_handle);
                delete.send().await?;
                self.redriven += 1;
            }
        }
    }

    async fn collect(&mut self, clients: &Clients, proxy: &Proxy) -> Result<Evidence> {
        // First: an execution that ends later may still write.
        let running = running(&self.sfn, &self.stack).await?;
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let received = receive.send().await?.messages.unwrap_or_default();
            if received.is_empty() {
                break;
            }
            for message in received {
                let envelope: Value = serde_json::from_str(message.body().unwrap_or_default())?;
                self.messages.push(serde_json::from_str(envelope["Message"].as_str().unwrap_or_default())?);
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                delete.set_receipt_handle(message.receipt_handle).send().await?;
            }
        }
        let table = self.sweeper.items().await?;
        let table = table.into_iter().map(serde_dynamo::aws_sdk_dynamodb_1::from_item);
        Ok(Evidence {
            table: table.collect::<Result<_, _>>()?,
            listed: clients.list().await.context("the API does not list its orders")?,
            accounts: proxy.providers.accounts(),
            messages: self.messages.clone(),
            running,
            log: clients.log().await,
            unit_price: i64::try_from(self.stack.unit_price)?,
        })
    }
}
