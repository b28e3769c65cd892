//! One screen about a running system: what an operator looks at first. It only reads.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_cloudformation::types::Stack as Deployed;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use chrono::{DateTime, Local, TimeZone, Utc};
use futures_util::{StreamExt, stream};
use shared::money::{Currency, Money};
use shared::order::{Order, OrderId, Refund, Step, Timestamp};
use shared::store::Orders;

use crate::Stack;
use crate::alarms::{Alarm, alarms};
use crate::shown;

/// Number of orders that are read at most, the oldest ones. The index counts all of them.
const MAX_ORDERS: usize = 500;

/// Number of orders that are read at the same time.
const AT_ONCE: usize = 20;

/// Number of refunds that are named at most.
const MAX_NAMED: usize = 10;

/// Executions of each state that are counted at most.
const MAX_EXECUTIONS: usize = 1000;

/// Time after the grace period and `DeliveryMinutes` from which an order is late, as for `UnsettledOrdersAlarm`.
const LATE: Duration = Duration::from_mins(30);

/// States of executions, as they are shown.
const EXECUTIONS: [(ExecutionStatus, &str); 5] = [
    (ExecutionStatus::Running, "running"),
    (ExecutionStatus::Succeeded, "succeeded"),
    (ExecutionStatus::Failed, "failed"),
    (ExecutionStatus::TimedOut, "timed out"),
    (ExecutionStatus::Aborted, "stopped"),
];

/// Steps of an order that is not settled, in the order of its life.
const STEPS: [Step; 8] = [
    Step::Accept,
    Step::Charge,
    Step::Deliver,
    Step::Cancel,
    Step::Complete,
    Step::Refund,
    Step::Publish,
    Step::Nothing,
];

/// State of an order that is not settled, by its next step.
pub(crate) fn state(next: Step) -> &'static str {
    match next {
        Step::Accept => "submitted, in its grace period",
        Step::Charge => "accepted, not paid",
        Step::Deliver => "paid, not delivered",
        Step::Cancel => "paid, its delivery being cancelled",
        Step::Complete => "delivered or failed, not final",
        Step::Refund => "failed, its refund being made",
        Step::Publish => "final, not published",
        Step::Nothing => "final, its refund waits for an operator",
    }
}

/// Returns the screen. A part that can't be read says so, and the others are still shown.
pub async fn status(stack: &Stack) -> anyhow::Result<String> {
    let deployment = Deployment::read(stack).await?;
    let (queues, executions, unsettled, alarms) =
        tokio::join!(queues(stack), executions(stack), Unsettled::read(stack), alarms(stack));
    let now = Timestamp::now();
    let (orders, refunds) = match unsettled {
        Ok(unsettled) => (unsettled.section(deployment.late_after, now), unsettled.refunds()),
        Err(error) => (Section::unread("Orders not settled", &error), Section::default()),
    };
    Ok(screen(&[
        deployment.section(stack, &Local),
        part("Queues", queues, |queues| queues_section(&queues)),
        part("Executions", executions, |counts| executions_section(&counts)),
        orders,
        refunds,
        part("Alarms", alarms, |alarms| alarms_section(&alarms)),
    ]))
}

/// A part of the screen.
#[derive(Debug, Default)]
struct Section {
    lines: Vec<String>,
    /// What needs attention, with the section of the runbook.
    needs: Vec<String>,
}

impl Section {
    fn unread(title: &str, error: &anyhow::Error) -> Self {
        let reason = shown::shortened(&format!("{error:#}"), 200);
        Self {
            lines: vec![title.to_owned(), format!("  can't be read: {reason}")],
            needs: vec![format!("{title}: can't be read")],
        }
    }
}

fn part<T>(title: &str, read: anyhow::Result<T>, section: impl FnOnce(T) -> Section) -> Section {
    read.map_or_else(|error| Section::unread(title, &error), section)
}

fn screen(sections: &[Section]) -> String {
    let parts = sections.iter().filter(|section| !section.lines.is_empty()).map(|section| section.lines.join("\n"));
    let mut parts: Vec<_> = parts.collect();
    let needs: Vec<_> = sections.iter().flat_map(|section| &section.needs).map(|need| format!("  {need}")).collect();
    parts.push(if needs.is_empty() {
        "All is well.".to_owned()
    } else {
        format!("Needs attention:\n{}", needs.join("\n"))
    });
    parts.join("\n\n")
}

/// A link to the runbook.
fn runbook(section: &str) -> String {
    format!("docs/operations.md#{section}")
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The state of the stack.
struct Deployment {
    status: String,
    updated: Option<DateTime<Utc>>,
    /// Time from the last write of an order from which it is late.
    late_after: Duration,
}

impl Deployment {
    /// Needs `cloudformation:DescribeStacks`.
    async fn read(stack: &Stack) -> anyhow::Result<Self> {
        let cloudformation = aws_sdk_cloudformation::Client::new(&stack.sdk_config().await);
        let described = cloudformation.describe_stacks().stack_name(&stack.name).send().await;
        let described = described.with_context(|| format!("the stack {} can't be read", stack.name))?;
        Self::of(&described.stacks.unwrap_or_default().into_iter().next().context("there is no such stack")?)
    }

    fn of(deployed: &Deployed) -> anyhow::Result<Self> {
        let number = |name: &str| -> anyhow::Result<u64> {
            let parameter = deployed.parameters().iter().find(|parameter| parameter.parameter_key() == Some(name));
            let value = parameter.and_then(|parameter| parameter.parameter_value());
            value.with_context(|| format!("the stack has no parameter {name}"))?.parse().context(name.to_owned())
        };
        let grace = Duration::from_secs(number("GracePeriodSeconds")?);
        let delivery = Duration::from_mins(number("DeliveryMinutes")?);
        let updated = deployed.last_updated_time.or(deployed.creation_time);
        Ok(Self {
            status: deployed.stack_status().map_or_else(String::new, ToString::to_string),
            updated: updated.and_then(|at| DateTime::from_timestamp_millis(at.to_millis().ok()?)),
            late_after: grace + delivery + LATE,
        })
    }

    fn section<Z: TimeZone<Offset: Display>>(&self, stack: &Stack, zone: &Z) -> Section {
        let place = stack.endpoint.as_ref().map_or_else(
            || format!("on AWS in {}", stack.region),
            |endpoint| format!("on the emulator at {endpoint} ({})", stack.region),
        );
        let updated = self.updated.map_or_else(|| "unknown".to_owned(), |at| shown::time(at, zone));
        let lines = vec![
            format!("{} {place}", stack.name),
            format!("  Stack     {}, last updated {updated}", self.status),
            format!("  Web UI    {}", stack.web_url),
            format!("  API       {}", stack.api_url),
            format!("  Sign-in   {}", stack.sign_in_url),
        ];
        let is_good = matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE");
        let needs = if is_good { vec![] } else { vec![format!("the stack is {}", self.status)] };
        Section { lines, needs }
    }
}

/// A queue and the number of its messages.
struct Queue {
    name: &'static str,
    holds_dead_letters: bool,
    waiting: u64,
    in_flight: u64,
    delayed: u64,
}

/// Needs `sqs:GetQueueAttributes`.
async fn queues(stack: &Stack) -> anyhow::Result<Vec<Queue>> {
    let sqs = aws_sdk_sqs::Client::new(&stack.sdk_config().await);
    let mut queues = Vec::new();
    for (name, url, holds_dead_letters) in [
        ("submitted orders", &stack.orders_queue, false),
        ("  dead letters", &stack.orders_dead_letter_queue, true),
        ("failed executions", &stack.recovery_queue, false),
        ("  dead letters", &stack.recovery_dead_letter_queue, true),
    ] {
        let get = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let attributes = get.send().await.with_context(|| format!("the queue {url}"))?.attributes.unwrap_or_default();
        let number = |attribute| attributes.get(&attribute).and_then(|text| text.parse().ok()).unwrap_or_default();
        queues.push(Queue {
            name,
            holds_dead_letters,
            waiting: number(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        });
    }
    Ok(queues)
}

fn queues_section(queues: &[Queue]) -> Section {
    let mut lines = vec![format!("{:24}{:>9}{:>11}{:>9}", "Queues", "waiting", "in flight", "delayed")];
    let mut dead = 0;
    for Queue { name, holds_dead_letters, waiting, in_flight, delayed } in queues {
        // One that somebody looks at is in flight.
        let letters = if *holds_dead_letters { waiting + in_flight + delayed } else { 0 };
        let mark = if letters > 0 { "  <- dead letters" } else { "" };
        lines.push(format!("  {name:22}{waiting:>9}{in_flight:>11}{delayed:>9}{mark}"));
        dead += letters;
    }
    let dead = usize::try_from(dead).unwrap_or(usize::MAX);
    let needs = (dead > 0).then(|| format!("{}: {}", counted(dead, "dead letter"), runbook("dead-letters")));
    Section { lines, needs: needs.into_iter().collect() }
}

/// Numbers of executions, in the order of [`EXECUTIONS`]; whether there are more.
type Executions = Vec<(usize, bool)>;

/// Needs `states:ListExecutions`.
async fn executions(stack: &Stack) -> anyhow::Result<Executions> {
    let sfn = aws_sdk_sfn::Client::new(&stack.sdk_config().await);
    let mut counts = Vec::new();
    for (status, _) in EXECUTIONS {
        // AWS may return fewer at once than there are.
        let list = sfn.list_executions().state_machine_arn(&stack.state_machine).status_filter(status);
        let mut pages = list.max_results(i32::try_from(MAX_EXECUTIONS)?).into_paginator().send();
        let (mut count, mut more) = (0, false);
        while count < MAX_EXECUTIONS
            && let Some(page) = pages.try_next().await?
        {
            count += page.executions.len();
            more = page.next_token.is_some();
        }
        counts.push((count, more));
    }
    Ok(counts)
}

fn executions_section(counts: &[(usize, bool)]) -> Section {
    let counts = EXECUTIONS.iter().zip(counts);
    let counts = counts.map(|((_, name), (count, more))| format!("{count}{} {name}", if *more { "+" } else { "" }));
    let counts = counts.collect::<Vec<_>>().join(", ");
    Section { lines: vec![format!("Executions: {counts}; AWS keeps ended ones for 90 days")], needs: vec![] }
}

/// Orders that are not settled, the oldest first.
struct Unsettled {
    /// Number of them all.
    found: usize,
    /// Those that were read.
    orders: Vec<Order>,
    /// Ids of those that can't be read, with the error.
    unreadable: Vec<String>,
}

impl Unsettled {
    /// Needs `dynamodb:Query` on the index and `dynamodb:GetItem`.
    async fn read(stack: &Stack) -> anyhow::Result<Self> {
        let table = Orders::new(&stack.sdk_config().await, stack.orders_table.as_str());
        let keys = table.unsettled(Timestamp::now()).await?;
        let reads = keys.iter().take(MAX_ORDERS).map(|(key, _)| async {
            let found = table.find(key).await.map_err(anyhow::Error::new);
            found.map_err(|error| format!("{}: {}", key.id, shown::shortened(&format!("{error:#}"), 160)))
        });
        Ok(Self::of(keys.len(), stream::iter(reads).buffered(AT_ONCE).collect::<Vec<_>>().await))
    }

    /// Of the number of orders in the index, and of those that were read. One that was settled or deleted in between does
    /// not count.
    fn of(found: usize, reads: Vec<Result<Option<Order>, String>>) -> Self {
        let mut unsettled = Self { found, orders: Vec::new(), unreadable: Vec::new() };
        for read in reads {
            match read {
                Ok(Some(order)) if order.is_unsettled() => unsettled.orders.push(order),
                Ok(_) => unsettled.found -= 1,
                Err(error) => unsettled.unreadable.push(error),
            }
        }
        unsettled
    }

    /// Whether there are more than were read.
    fn is_cut(&self) -> bool {
        self.found > self.orders.len() + self.unreadable.len()
    }

    fn section(&self, late_after: Duration, now: Timestamp) -> Section {
        let cut = if self.is_cut() { format!(", the oldest {MAX_ORDERS} are read") } else { String::new() };
        let mut lines = vec![format!("Orders not settled: {}{cut}", self.found)];
        for step in STEPS {
            let count = self.orders.iter().filter(|order| order.next() == step).count();
            if count > 0 {
                lines.push(format!("  {:40}{count:>7}", state(step)));
            }
        }
        if let Some(oldest) = self.orders.iter().min_by_key(|order| order.updated_at()) {
            let age = shown::age(now.since(oldest.updated_at()));
            lines.push(format!("  oldest: {}, written {age} ago, {}", oldest.id(), state(oldest.next())));
        }
        lines.extend(self.unreadable.iter().map(|error| format!("  can't be read: {error}")));

        // Those that wait for an operator are counted with the refunds.
        let is_late = |order: &&Order| order.next() != Step::Nothing && now.since(order.updated_at()) >= late_after;
        let late = self.orders.iter().filter(is_late).count();
        let mut needs = Vec::new();
        if late > 0 {
            let age = shown::age(late_after);
            let late = counted(late, "order");
            needs.push(format!("{late} not written for {age} or longer: {}", runbook("unsettled-orders")));
        }
        if !self.unreadable.is_empty() {
            let orders = counted(self.unreadable.len(), "order");
            needs.push(format!("{orders} can't be read: {}", runbook("unreadable-items")));
        }
        Section { lines, needs }
    }

    fn refunds(&self) -> Section {
        let with = |refund| self.orders.iter().filter(move |order| order.refund() == Some(refund));
        let cut = if self.is_cut() { format!("  of the oldest {MAX_ORDERS}") } else { String::new() };
        let mut lines = vec![format!("{:24}{:>9}{:>16}{cut}", "Refunds owed", "orders", "money")];
        // Those that wait for an operator come first.
        let mut named = Vec::new();
        for (refund, meaning) in [
            (Refund::Failed, "an operator must make it"),
            (Refund::Unknown, "an operator must look whether it was paid"),
            (Refund::Owed, "requested again by the sweep"),
        ] {
            let count = with(refund).count();
            let money = sum(with(refund));
            lines.push(format!("  {:22}{count:>9}{money:>16}  {meaning}", refund.as_str()));
            named.extend(with(refund).map(|order| (order.id(), refund, owed(order))));
        }
        let ids = named.iter().take(MAX_NAMED);
        lines.extend(
            ids.map(|(id, refund, owed): &(OrderId, Refund, String)| format!("  {id}  {:7}  {owed}", refund.as_str())),
        );
        if named.len() > MAX_NAMED {
            lines.push(format!("  and {} more", named.len() - MAX_NAMED));
        }
        let waiting = with(Refund::Failed).count() + with(Refund::Unknown).count();
        let section = runbook("orders-that-need-an-operator");
        let needs = (waiting > 0).then(|| format!("{} for an operator: {section}", counted(waiting, "refund")));
        Section { lines, needs: needs.into_iter().collect() }
    }
}

/// What is owed for an order whose refund is not made.
pub(crate) fn owed(order: &Order) -> String {
    let total = order.total().map_or_else(|| "an unknown amount".to_owned(), shown::money);
    if order.paid_at().is_some() { total } else { format!("{total}, if it was paid") }
}

/// Sum of the totals, by currency.
fn sum<'a>(orders: impl Iterator<Item = &'a Order>) -> String {
    let mut sums: BTreeMap<String, Money> = BTreeMap::new();
    for Money { amount, currency } in orders.filter_map(Order::total) {
        let none = |currency: Currency| Money { amount: 0, currency };
        sums.entry(currency.to_string()).or_insert_with(|| none(currency)).amount += amount;
    }
    let sums: Vec<_> = sums.into_values().map(shown::money).collect();
    if sums.is_empty() { "-".to_owned() } else { sums.join(" + ") }
}

fn alarms_section(alarms: &[Alarm]) -> Section {
    let raised = |alarm: &&Alarm| alarm.state == "ALARM";
    let mut lines = vec![format!("Alarms: {} of {} raised", alarms.iter().filter(raised).count(), alarms.len())];
    if alarms.is_empty() {
        lines = vec!["Alarms: the stack has none, because PaidMonitoring is false".to_owned()];
    }
    let mut needs = Vec::new();
    for Alarm { name, section, .. } in alarms.iter().filter(raised) {
        lines.push(format!("  ALARM  {name}"));
        needs.push(format!("{name} is raised: {section}"));
    }
    for (state, title) in [("OK", "OK"), ("INSUFFICIENT_DATA", "no data yet")] {
        let names = alarms.iter().filter(|alarm| alarm.state == state).map(|alarm| alarm.name.as_str());
        let names = names.collect::<Vec<_>>();
        lines.extend(wrapped(&format!("  {title}: "), &names, 100));
    }
    Section { lines, needs }
}

/// The words in lines of at most this width, the first with the prefix and the others indented like it.
fn wrapped(prefix: &str, words: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 2 <= width => *line = format!("{line}, {word}"),
            Some(line) => {
                line.push(',');
                lines.push(format!("{:indent$}{word}", "", indent = prefix.len()));
            }
            None => lines.push(format!("{prefix}{word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::{Parameter, StackStatus};
    use serde_json::{Value, json};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        serde_json::from_value(json!("2026-11-26T12:00:00Z")).unwrap()
    }

    /// A submitted order whose id ends with this digit, written an hour ago, with these fields added.
    fn order(digit: u8, more: &Value) -> Order {
        let at = "2026-11-26T11:00:00Z";
        let mut order = json!({"user_id": "Burger_2", "restaurant_id": "Restaurant 3", "quantity": "3",
            "id": format!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b{digit}"), "created_at": at, "updated_at": at,
            "order_status": "PENDING", "version": 1, "processing": "workflow",
            "total": {"amount": 3000, "currency": "EUR"}});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(order).unwrap()
    }

    fn with_refund(digit: u8, refund: &str, paid_at: Option<&str>) -> Order {
        let at = "2026-11-26T11:00:00Z";
        let facts = json!({"order_status": "FAILURE", "completed_at": at, "failing_since": at, "accepted_at": at,
            "error_message": "refused", "refund": refund, "paid_at": paid_at, "published": format!("FAILURE:{refund}")});
        order(digit, &facts)
    }

    fn unsettled(orders: Vec<Order>) -> Unsettled {
        Unsettled::of(orders.len(), orders.into_iter().map(|order| Ok(Some(order))).collect())
    }

    #[test]
    fn the_state_of_the_stack_is_shown_and_says_when_an_order_is_late() {
        let parameter =
            |name: &str, value: &str| Parameter::builder().parameter_key(name).parameter_value(value).build();
        let deployed = Deployed::builder().parameters(parameter("GracePeriodSeconds", "60"));
        let deployed = deployed.stack_name("order-api-dev").stack_status(StackStatus::UpdateRollbackFailed);
        let deployed = deployed.creation_time(aws_sdk_cloudformation::primitives::DateTime::from_secs(0));
        let deployment = Deployment::of(&deployed.parameters(parameter("DeliveryMinutes", "29")).build()).unwrap();
        assert_eq!(deployment.late_after, HOUR);
        let names =
            ["name", "region", "api_url", "user_pool_id", "sign_in_url", "web_client_id", "web_url", "currency"];
        let more =
            ["machine_client_id", "orders_table", "idempotency_table", "orders_queue", "orders_dead_letter_queue"];
        let rest = ["recovery_queue", "recovery_dead_letter_queue", "state_machine", "notifications_topic"];
        let last = ["sweep_function", "settle_function", "function_logs"];
        let names = names.iter().chain(&more).chain(&rest).chain(&last);
        let mut fields: serde_json::Map<_, _> = names.map(|name| ((*name).to_owned(), json!(name))).collect();
        fields.insert("unit_price".into(), json!(1000));
        let stack = serde_json::from_value(fields.into()).unwrap();
        let section = deployment.section(&stack, &Utc);
        let lines = [
            "name on AWS in region",
            "  Stack     UPDATE_ROLLBACK_FAILED, last updated 1970-01-01 00:00:00.000",
            "  Web UI    web_url",
            "  API       api_url",
            "  Sign-in   sign_in_url",
        ];
        assert_eq!(section.lines, lines);
        assert_eq!(section.needs, ["the stack is UPDATE_ROLLBACK_FAILED"]);
    }

    #[test]
    fn dead_letters_are_marked() {
        let queue =
            |name, holds_dead_letters, waiting| Queue { name, holds_dead_letters, waiting, in_flight: 1, delayed: 0 };
        let section = queues_section(&[queue("submitted orders", false, 7), queue("  dead letters", true, 2)]);
        let lines = [
            "Queues                    waiting  in flight  delayed",
            "  submitted orders              7          1        0",
            "    dead letters                2          1        0  <- dead letters",
        ];
        assert_eq!(section.lines, lines);
        assert_eq!(section.needs, ["3 dead letters: docs/operations.md#dead-letters"]);
    }

    #[test]
    fn executions_that_are_not_counted_are_a_plus() {
        let section = executions_section(&[(3, false), (1000, true), (0, false), (0, false), (1, false)]);
        let line = "Executions: 3 running, 1000+ succeeded, 0 failed, 0 timed out, 1 stopped; \
                    AWS keeps ended ones for 90 days";
        assert_eq!(section.lines, [line]);
    }

    #[test]
    fn orders_are_counted_by_state_and_late_ones_need_attention() {
        let fresh = order(1, &json!({"updated_at": "2026-11-26T11:59:50Z"}));
        let paid = order(2, &json!({"accepted_at": "2026-11-26T11:00:00Z", "paid_at": "2026-11-26T11:00:00Z"}));
        let waiting = with_refund(3, "FAILED", Some("2026-11-26T11:00:00Z"));
        let mut unsettled = unsettled(vec![paid, waiting, fresh]);
        let section = unsettled.section(HOUR, now());
        let lines = [
            "Orders not settled: 3",
            "  submitted, in its grace period                1",
            "  paid, not delivered                           1",
            "  final, its refund waits for an operator       1",
            "  oldest: 01857488-ed35-7c3a-b3a1-3c1cf4a3e2b2, written 1 h 0 min ago, paid, not delivered",
        ];
        assert_eq!(section.lines, lines);
        // A refund that waits for an operator is counted elsewhere.
        let late = "1 order not written for 1 h 0 min or longer: docs/operations.md#unsettled-orders";
        assert_eq!(section.needs, [late]);

        unsettled.found = 501;
        unsettled.unreadable.push("01857488: no status".to_owned());
        let refunds = unsettled.refunds().lines;
        assert_eq!(refunds[0], "Refunds owed               orders           money  of the oldest 500");
        let section = unsettled.section(2 * HOUR, now());
        assert_eq!(section.lines[0], "Orders not settled: 501, the oldest 500 are read");
        assert_eq!(section.lines.last().unwrap(), "  can't be read: 01857488: no status");
        assert_eq!(section.needs, ["1 order can't be read: docs/operations.md#unreadable-items"]);
    }

    #[test]
    fn an_order_that_is_settled_or_gone_when_it_is_read_is_not_counted() {
        let paid = Some("2026-11-26T11:00:00Z");
        let (made, owed) = (with_refund(1, "MADE", paid), with_refund(2, "FAILED", paid));
        let unsettled = Unsettled::of(3, vec![Ok(Some(made)), Ok(None), Ok(Some(owed))]);
        let lines = unsettled.section(2 * HOUR, now()).lines;
        assert_eq!(lines[..2], ["Orders not settled: 1", "  final, its refund waits for an operator       1"]);
    }

    #[test]
    fn refunds_are_summed_and_those_for_an_operator_come_first() {
        let paid = Some("2026-11-26T11:00:00Z");
        let section = unsettled(vec![
            with_refund(1, "OWED", paid),
            with_refund(2, "UNKNOWN", None),
            with_refund(3, "FAILED", paid),
            with_refund(4, "OWED", paid),
        ]);
        let section = section.refunds();
        let lines = [
            "Refunds owed               orders           money",
            "  FAILED                        1       30.00 EUR  an operator must make it",
            "  UNKNOWN                       1       30.00 EUR  an operator must look whether it was paid",
            "  OWED                          2       60.00 EUR  requested again by the sweep",
            "  01857488-ed35-7c3a-b3a1-3c1cf4a3e2b3  FAILED   30.00 EUR",
            "  01857488-ed35-7c3a-b3a1-3c1cf4a3e2b2  UNKNOWN  30.00 EUR, if it was paid",
            "  01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1  OWED     30.00 EUR",
            "  01857488-ed35-7c3a-b3a1-3c1cf4a3e2b4  OWED     30.00 EUR",
        ];
        assert_eq!(section.lines, lines);
        assert_eq!(section.needs, ["2 refunds for an operator: docs/operations.md#orders-that-need-an-operator"]);
        let many = (0..6).flat_map(|n| [with_refund(n, "OWED", paid), with_refund(n, "FAILED", paid)]).collect();
        assert_eq!(unsettled(many).refunds().lines.last().unwrap(), "  and 2 more");
    }

    #[test]
    fn raised_alarms_come_first() {
        let alarm = |name: &str, state: &str| Alarm {
            name: format!("{name}AlarmWithALongName"),
            state: state.to_owned(),
            section: "docs/operations.md#dead-letters".to_owned(),
        };
        let alarms = [alarm("A", "OK"), alarm("B", "OK"), alarm("C", "ALARM"), alarm("D", "OK"), alarm("E", "OK")];
        let section =
            alarms_section(&[alarms.as_slice(), &[alarm("F", "OK"), alarm("G", "INSUFFICIENT_DATA")]].concat());
        let lines = [
            "Alarms: 1 of 7 raised",
            "  ALARM  CAlarmWithALongName",
            "  OK: AAlarmWithALongName, BAlarmWithALongName, DAlarmWithALongName, EAlarmWithALongName,",
            "      FAlarmWithALongName",
            "  no data yet: GAlarmWithALongName",
        ];
        assert_eq!(section.lines, lines);
        assert_eq!(section.needs, ["CAlarmWithALongName is raised: docs/operations.md#dead-letters"]);
        assert_eq!(alarms_section(&[]).lines, ["Alarms: the stack has none, because PaidMonitoring is false"]);
    }

    #[test]
    fn a_part_that_cannot_be_read_leaves_the_others() {
        let good = Section { lines: vec!["Queues".into(), "  empty".into()], needs: vec![] };
        let bad = part("Alarms", Err(anyhow::anyhow!("access\ndenied")), |()| Section::default());
        assert_eq!(
            screen(&[good, bad]),
            "Queues\n  empty\n\nAlarms\n  can't be read: access denied\n\nNeeds attention:\n  Alarms: can't be read"
        );
        assert_eq!(screen(&[]), "All is well.");
    }
}
