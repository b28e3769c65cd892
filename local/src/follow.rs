//! Everything that happened to one order, in the order of time: from the table, its execution and the logs. It only
//! reads.

use std::fmt::Display;

use anyhow::{Context, anyhow};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Event};
use chrono::{DateTime, Local, TimeZone, Utc};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use shared::order::{Order, OrderForm, OrderId, OrderKey, Processing, Refund, Step, UserId, Version};
use shared::store::Orders;
use shared::workflow::Submission;

use crate::{Stack, logs, shown, status};

/// Characters of an error that are shown at most. The logs have all of it.
const MAX_ERROR: usize = 120;

/// Returns the story of an order. `given` is its id or its `Location`.
pub async fn follow(stack: &Stack, given: &str) -> anyhow::Result<String> {
    let Given { id, user_id } = Given::parse(given)?;
    let names_user = user_id.is_some();
    let orders = Orders::new(&stack.sdk_config().await, stack.orders_table.as_str());
    let execution = Execution::read(stack, id).await?;
    let key = match user_id {
        Some(user_id) => Some(OrderKey { user_id, id }),
        None => orders.find_unsettled(id).await?.or(execution.as_ref().and_then(|execution| execution.key.clone())),
    };
    let found = match &key {
        Some(key) => orders.find(key).await,
        None => Ok(None),
    };
    // The logs say what happened to an order that can't be read.
    let (order, unreadable) = match found {
        Ok(order) => (order, None),
        Err(error) => (None, Some(shown::shortened(&format!("{:#}", anyhow::Error::new(error)), MAX_ERROR))),
    };
    let logged = logs::about(stack, id).await.context("the logs can't be read")?;

    let mut entries: Vec<_> = logged.into_iter().map(|(at, text)| Entry { at, source: "log", text }).collect();
    if let Some(order) = &order {
        entries.extend(facts(order)?);
    }
    if let Some(execution) = &execution {
        entries.extend(steps(&execution.events));
    }
    let mut parts = vec![format!("Order {id} in the stack {}", stack.name), timeline(entries, &Local)];
    parts.push(match &order {
        None if let Some(error) = &unreadable => {
            format!("The order can't be read: {error}\nSee docs/operations.md#unreadable-items")
        }
        Some(order) => format!("{}\n\n{}", as_it_is(order)?, money(order, &Local)?),
        None if parts[1].is_empty() => {
            let hint = if names_user { OTHER_USER } else { BY_LOCATION };
            return Err(anyhow!("nothing is known of the order {id}.\n{hint}"));
        }
        None if names_user => format!("{ABSENT}\n{OTHER_USER}"),
        None if key.is_some() => ABSENT.to_owned(),
        None => format!("The order itself was not found.\n{BY_LOCATION}"),
    });
    let is_recorded = order.is_some_and(|order| order.processing() == Processing::None);
    if execution.is_none() && !is_recorded {
        parts.push(NO_EXECUTION.to_owned());
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts.join("\n\n"))
}

/// What to give for an order that neither the index nor an execution has.
const BY_LOCATION: &str = "An order that was created by PUT, or whose execution AWS has forgotten after 90 days, is\n\
    found by its Location only: make follow ORDER=orders/USER/order/ID";

/// What to look at if the user of a `Location` has no such order.
const OTHER_USER: &str = "Is the user in the Location its owner? Each user has orders of their own.";

const ABSENT: &str = "The order is not in the table: it was not saved yet, or it was deleted. Only an order that is\n\
    settled, or that was never accepted, can be deleted.";

const NO_EXECUTION: &str = "It has no execution. If it was submitted in the last 90 days, its message is still in the\n\
    queue or is a dead letter: make status shows how many there are.";

/// The order that a caller names.
#[derive(Debug, PartialEq)]
struct Given {
    id: OrderId,
    user_id: Option<UserId>,
}

impl Given {
    fn parse(given: &str) -> anyhow::Result<Self> {
        let wrong = || {
            anyhow!(
                "ORDER must be the id of an order, such as 01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1, or its Location, such \
                 as orders/Burger_2/order/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1, and is {given:?}"
            )
        };
        let mut segments = given.rsplit('/');
        let id = segments.next().unwrap_or_default().to_owned().try_into().map_err(|_| wrong())?;
        let user_id = match segments.collect::<Vec<_>>()[..] {
            [] => None,
            ["order", user_id, "orders", ..] => {
                let user_id = percent_decode_str(user_id).decode_utf8().map_err(|_| wrong())?;
                Some(user_id.into_owned().try_into().map_err(|_| wrong())?)
            }
            _ => return Err(wrong()),
        };
        Ok(Self { id, user_id })
    }
}

/// Something that happened to the order.
struct Entry {
    at: DateTime<Utc>,
    source: &'static str,
    text: String,
}

fn timeline<Z: TimeZone<Offset: Display>>(mut entries: Vec<Entry>, zone: &Z) -> String {
    entries.sort_by_key(|entry| entry.at);
    let lines = entries.into_iter().map(|Entry { at, source, text }| {
        format!("{}  {source:9}  {text}", shown::time(at, zone)).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// An order as the table has it.
#[derive(Deserialize)]
struct Stored {
    user_id: String,
    restaurant_id: String,
    quantity: String,
    order_status: String,
    version: Version,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    accepted_at: Option<DateTime<Utc>>,
    paid_at: Option<DateTime<Utc>>,
    cancelling_since: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    error_message: Option<String>,
    published: Option<String>,
}

impl Stored {
    fn of(order: &Order) -> anyhow::Result<Self> {
        Ok(serde_json::from_value(serde_json::to_value(OrderForm::stored(order))?)?)
    }

    /// The status, and the reason of a failure.
    fn status(&self) -> String {
        let reason = self.error_message.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{}{reason}", self.order_status)
    }
}

/// What the table says of the life of an order.
fn facts(order: &Order) -> anyhow::Result<Vec<Entry>> {
    let stored = Stored::of(order)?;
    let reason = stored.error_message.as_deref().unwrap_or_default();
    let price = order.total().map(shown::money).unwrap_or_default();
    let published = stored.published.as_ref().map(|end| format!(", published as {end}")).unwrap_or_default();
    let facts = [
        (Some(stored.created_at), "created".to_owned()),
        (stored.accepted_at, "accepted".to_owned()),
        (stored.paid_at, format!("paid: {price}")),
        (stored.cancelling_since, "decided to cancel the delivery".to_owned()),
        (stored.delivered_at, "delivered".to_owned()),
        (stored.failing_since, format!("decided to fail: {reason}")),
        (stored.completed_at, format!("final: {}", stored.order_status)),
        (Some(stored.updated_at), format!("last write: version {}{published}", stored.version)),
    ];
    let facts = facts.into_iter().filter_map(|(at, text)| Some(Entry { at: at?, source: "table", text }));
    Ok(facts.collect())
}

fn as_it_is(order: &Order) -> anyhow::Result<String> {
    let stored = Stored::of(order)?;
    let left = if order.is_unsettled() { status::state(order.next()) } else { "nothing is left to do" };
    let rows = [
        ("user", stored.user_id.clone()),
        ("restaurant", stored.restaurant_id.clone()),
        ("quantity", stored.quantity.clone()),
        ("status", stored.status()),
        ("state", left.to_owned()),
    ];
    Ok(table("The order as it is", &rows))
}

/// What was charged, refunded and is owed, as far as the table knows.
fn money<Z: TimeZone<Offset: Display>>(order: &Order, zone: &Z) -> anyhow::Result<String> {
    let price = order.total().map_or_else(|| "unknown".to_owned(), shown::money);
    let charged = match (Stored::of(order)?.paid_at, order.refund()) {
        (Some(at), _) => format!("{price} on {}", shown::time(at, zone)),
        (None, Some(_)) => "not known".to_owned(),
        // The payment may be made, and its answer lost or on its way.
        (None, None) if order.next() == Step::Charge => "not known yet".to_owned(),
        (None, None) => "nothing".to_owned(),
    };
    let nothing = || "nothing".to_owned();
    let (refunded, owed) = match order.refund() {
        None => (nothing(), nothing()),
        Some(Refund::Made) => (status::owed(order), nothing()),
        Some(Refund::Owed) => (nothing(), format!("{} (OWED: requested again by the sweep)", status::owed(order))),
        Some(refund) => (nothing(), format!("{} ({}: waits for an operator)", status::owed(order), refund.as_str())),
    };
    Ok(table("The money", &[("price", price), ("charged", charged), ("refunded", refunded), ("owed", owed)]))
}

fn table(title: &str, rows: &[(&str, String)]) -> String {
    let rows = rows.iter().map(|(name, value)| format!("  {name:12}{value}"));
    [title.to_owned()].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// The order's execution.
struct Execution {
    /// Key of its order; none if the input is not readable.
    key: Option<OrderKey>,
    events: Vec<HistoryEvent>,
}

impl Execution {
    /// None if there is no execution, or if Step Functions has forgotten it. Needs `states:DescribeExecution` and
    /// `states:GetExecutionHistory`.
    async fn read(stack: &Stack, id: OrderId) -> anyhow::Result<Option<Self>> {
        let sfn = Client::new(&stack.sdk_config().await);
        let arn = format!("{}:{id}", stack.state_machine.replacen(":stateMachine:", ":execution:", 1));
        let described = match sfn.describe_execution().execution_arn(&arn).send().await {
            Ok(described) => described,
            Err(error) if error.as_service_error().is_some_and(DescribeExecutionError::is_execution_does_not_exist) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("the execution can't be read"),
        };
        let submission = described.input.and_then(|input| Submission::parse(&input).ok());
        // Without the inputs and outputs of the steps.
        let history = sfn.get_execution_history().execution_arn(arn).include_execution_data(false).max_results(1000);
        let events = history.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let events = events.context("the history of the execution can't be read")?;
        Ok(Some(Self { key: submission.map(|submission| submission.order.key().clone()), events }))
    }
}

/// The steps of an execution and their attempts. Choices take no time and are left out.
fn steps(events: &[HistoryEvent]) -> Vec<Entry> {
    let (mut step, mut attempt) = (String::new(), 0);
    let mut entries = Vec::new();
    for event in events {
        if let Some(entered) = event.state_entered_event_details() {
            (step, attempt) = (entered.name().to_owned(), 0);
        }
        let text = match event.r#type() {
            Event::ExecutionStarted => "the execution starts".to_owned(),
            Event::ExecutionRedriven => "the execution is redriven".to_owned(),
            Event::ExecutionSucceeded => "the execution has succeeded".to_owned(),
            Event::ExecutionFailed => format!("the execution has failed{}", reason(event)),
            Event::ExecutionAborted => "the execution was stopped".to_owned(),
            Event::ExecutionTimedOut => "the execution has timed out".to_owned(),
            Event::TaskStateEntered => format!("{step} begins"),
            Event::WaitStateEntered => format!("{step} begins to wait"),
            Event::TaskStateExited | Event::WaitStateExited => format!("{step} ends"),
            Event::TaskScheduled => {
                attempt += 1;
                if attempt == 1 {
                    continue;
                }
                format!("{step} is tried again, attempt {attempt}")
            }
            Event::TaskFailed | Event::TaskTimedOut | Event::TaskStartFailed | Event::TaskSubmitFailed => {
                format!("{step} failed{}", reason(event))
            }
            _ => continue,
        };
        let at = event.timestamp().to_millis().ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
        entries.push(Entry { at, source: "execution", text });
    }
    entries
}

/// Error and cause of an event, shortened.
fn reason(event: &HistoryEvent) -> String {
    let execution = event.execution_failed_event_details().map(|details| (details.error(), details.cause()));
    let failed = event.task_failed_event_details().map(|details| (details.error(), details.cause()));
    let late = event.task_timed_out_event_details().map(|details| (details.error(), details.cause()));
    let start = event.task_start_failed_event_details().map(|details| (details.error(), details.cause()));
    let submit = event.task_submit_failed_event_details().map(|details| (details.error(), details.cause()));
    let (error, cause) = execution.or(failed).or(late).or(start).or(submit).unwrap_or_default();
    // A function's error is JSON with its message.
    let message = cause.and_then(|cause| serde_json::from_str::<Value>(cause).ok());
    let message = message.as_ref().and_then(|cause| cause["errorMessage"].as_str()).or(cause);
    let parts = [error, message].into_iter().flatten().filter(|part| !part.is_empty());
    [String::new()]
        .into_iter()
        .chain(parts.map(|part| shown::shortened(part, MAX_ERROR)))
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime as Instant;
    use aws_sdk_sfn::types::{StateEnteredEventDetails, TaskFailedEventDetails};
    use serde_json::json;

    use super::*;

    const ID: &str = "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1";

    /// An order of `Burger_2`, with these fields added.
    fn order(more: &Value) -> Order {
        let mut order = json!({"user_id": "Burger_2", "restaurant_id": "Restaurant 3", "quantity": "3", "id": ID,
            "created_at": "2026-11-26T10:00:00.5Z", "updated_at": "2026-11-26T10:00:31Z", "order_status": "FAILURE",
            "version": 6, "processing": "workflow", "total": {"amount": 3000, "currency": "EUR"},
            "accepted_at": "2026-11-26T10:00:30Z", "completed_at": "2026-11-26T10:00:31Z",
            "failing_since": "2026-11-26T10:00:30.9Z", "error_message": "refused", "unsettled": "1"});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(order).unwrap()
    }

    fn event(seconds: i64, kind: Event) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder().id(1).r#type(kind).timestamp(Instant::from_secs(1_795_687_200 + seconds))
    }

    fn entered(seconds: i64, kind: Event, name: &str) -> HistoryEvent {
        let details = StateEnteredEventDetails::builder().name(name).build().unwrap();
        event(seconds, kind).state_entered_event_details(details).build().unwrap()
    }

    #[test]
    fn an_order_is_named_by_its_id_or_by_its_location() {
        let user_id = |given: &str| Given::parse(given).unwrap().user_id.map(String::from);
        assert_eq!(user_id(ID), None);
        for (path, user) in [
            (format!("orders/Burger_2/order/{ID}"), "Burger_2"),
            (format!("https://example.com/Prod/orders/Caf%C3%A9%201/order/{ID}"), "Café 1"),
        ] {
            assert_eq!(user_id(&path).as_deref(), Some(user), "{path}");
        }
        for wrong in ["", "7", "orders/Ann/order/7", &format!("order/{ID}"), &format!("orders/%FF/order/{ID}")] {
            let error = Given::parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with("ORDER must be the id of an order, such as "), "{error}");
        }
    }

    #[test]
    fn what_happened_is_shown_in_the_order_of_time() {
        let cause = json!({"errorType": "NonRetryable", "errorMessage": "the provider\nanswered 400"}).to_string();
        let failed = TaskFailedEventDetails::builder().resource_type("lambda").resource("invoke");
        let failed = failed.error("NonRetryable").cause(cause).build().unwrap();
        let events = vec![
            event(0, Event::ExecutionStarted).build().unwrap(),
            entered(30, Event::ChoiceStateEntered, "Next"),
            entered(30, Event::TaskStateEntered, "RefundPayment"),
            event(30, Event::TaskScheduled).build().unwrap(),
            event(31, Event::TaskFailed).task_failed_event_details(failed).build().unwrap(),
            event(33, Event::TaskScheduled).build().unwrap(),
            event(34, Event::TaskStateExited).build().unwrap(),
            event(35, Event::ExecutionSucceeded).build().unwrap(),
        ];
        let mut entries = facts(&order(&json!({"paid_at": "2026-11-26T10:00:30.7Z", "refund": "OWED"}))).unwrap();
        entries.extend(steps(&events));
        assert_eq!(
            timeline(entries, &Utc),
            "\
2026-11-26 10:00:00.000  execution  the execution starts
2026-11-26 10:00:00.500  table      created
2026-11-26 10:00:30.000  table      accepted
2026-11-26 10:00:30.000  execution  RefundPayment begins
2026-11-26 10:00:30.700  table      paid: 30.00 EUR
2026-11-26 10:00:30.900  table      decided to fail: refused
2026-11-26 10:00:31.000  table      final: FAILURE
2026-11-26 10:00:31.000  table      last write: version 6
2026-11-26 10:00:31.000  execution  RefundPayment failed: NonRetryable: the provider answered 400
2026-11-26 10:00:33.000  execution  RefundPayment is tried again, attempt 2
2026-11-26 10:00:34.000  execution  RefundPayment ends
2026-11-26 10:00:35.000  execution  the execution has succeeded"
        );
    }

    #[test]
    fn the_order_is_shown_as_it_is() {
        assert_eq!(
            as_it_is(&order(&json!({}))).unwrap(),
            "\
The order as it is
  user        Burger_2
  restaurant  Restaurant 3
  quantity    3
  status      FAILURE: refused
  state       final, not published"
        );
    }

    #[test]
    fn the_money_is_as_the_table_knows_it() {
        let paid = json!("2026-11-26T10:00:30.7Z");
        let charged = "30.00 EUR on 2026-11-26 10:00:30.700";
        // As it is while its payment is requested.
        let accepted = json!({"order_status": "PENDING", "completed_at": null, "failing_since": null,
            "error_message": null});
        for (more, expected) in [
            (json!({}), ["nothing", "nothing", "nothing"]),
            (accepted, ["not known yet", "nothing", "nothing"]),
            (json!({"paid_at": paid, "refund": "MADE"}), [charged, "30.00 EUR", "nothing"]),
            (
                json!({"paid_at": paid, "refund": "OWED"}),
                [charged, "nothing", "30.00 EUR (OWED: requested again by the sweep)"],
            ),
            (
                json!({"paid_at": paid, "refund": "FAILED"}),
                [charged, "nothing", "30.00 EUR (FAILED: waits for an operator)"],
            ),
            (
                json!({"refund": "UNKNOWN"}),
                ["not known", "nothing", "30.00 EUR, if it was paid (UNKNOWN: waits for an operator)"],
            ),
        ] {
            let [charged, refunded, owed] = expected;
            assert_eq!(
                money(&order(&more), &Utc).unwrap().lines().collect::<Vec<_>>(),
                [
                    "The money",
                    "  price       30.00 EUR",
                    &format!("  charged     {charged}"),
                    &format!("  refunded    {refunded}"),
                    &format!("  owed        {owed}"),
                ]
            );
        }
    }
}
