//! The checker. It knows what `docs/api.md`, `docs/providers.md` and `docs/reliability.md` promise, and nothing of the
//! product's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::evidence::{Evidence, Exchange, Operation, number_of, text};
use crate::fault::Fault;
use crate::providers::Account;

/// Returns what is not settled yet. Empty once every order is final and every end is published.
pub fn unsettled(evidence: &Evidence) -> Vec<String> {
    let messages = ids(&evidence.messages);
    let owed: BTreeSet<_> = evidence
        .messages
        .iter()
        .map(|message| &message["order"])
        .filter(|order| text(order, "refund") == "OWED")
        .map(|order| text(order, "id"))
        .collect();
    let mut open = Vec::new();
    for order in evidence.table.iter().filter(|order| text(order, "processing") == "workflow") {
        let (id, status, refund) = (text(order, "id"), text(order, "order_status"), text(order, "refund"));
        if status == "PENDING" || refund == "OWED" {
            open.push(format!("{id} is {status} {refund}"));
        } else if !messages.contains(&format!("{id}:{status}")) {
            open.push(format!("{id}: its end is not published"));
        } else if owed.contains(id) && !messages.contains(&format!("{id}:FAILURE:{refund}")) {
            open.push(format!("{id}: its refund is not published"));
        } else if is_in_index(order) {
            open.push(format!("{id} is still in the index"));
        }
    }
    open.extend(evidence.running.iter().map(|execution| format!("{execution} is running")));
    let present: BTreeSet<_> = evidence.table.iter().map(|order| text(order, "id")).collect();
    let told: BTreeSet<_> = evidence.messages.iter().map(|message| text(&message["order"], "id")).collect();
    for (number, story) in stories(evidence) {
        let id = story.iter().find(|line| line.operation == Operation::Submit && line.is_done());
        let id = id.map(|line| text(&line.answer, "id")).unwrap_or_default();
        let last_deletion = story.iter().rfind(|line| line.operation == Operation::Delete);
        let may_be_deleted = last_deletion.is_some_and(|line| !is_denied(line));
        if !id.is_empty() && !present.contains(id) && !told.contains(id) && !may_be_deleted {
            open.push(format!("{id} (order {number}) is not saved"));
        }
    }
    open
}

/// Every promise that the evidence breaks.
pub fn check(evidence: &Evidence) -> Vec<String> {
    let mut violations = Vec::new();
    let stories = stories(evidence);
    let sources = Sources::of(evidence);
    let mut known = BTreeMap::new();
    for (number, story) in &stories {
        let mut found = Vec::new();
        if let Some(id) = story_of(&sources, story, &mut found) {
            known.insert(id, *number);
        }
        violations.extend(found.into_iter().map(|what| format!("order {number}: {what}")));
    }
    violations.extend(refused(evidence));
    violations.extend(strangers(evidence, &known));
    violations.extend(lists(evidence));
    violations.extend(evidence.running.iter().map(|execution| format!("{execution} has not ended")));
    violations
}

/// Faults and troubles of a run.
pub struct Trial {
    /// Faults that were injected, by service and kind.
    pub injected: BTreeMap<(&'static str, Fault), u64>,
    /// Executions that were stopped by hand.
    pub stopped: u64,
    /// Functions that were killed, where that is possible.
    pub killed: Option<u64>,
    /// Executions that were running when the emulator was restarted.
    pub interrupted: u64,
}

/// Returns the faults and troubles that a run has missed. A run without them shows nothing.
pub fn untried(trial: &Trial) -> Vec<String> {
    let services = ["dynamodb", "sqs", "states", "sns", "payment", "restaurant"];
    let injected = |service| trial.injected.iter().any(|((at, _), count)| *at == service && *count > 0);
    let calm = services.into_iter().filter(|service| !injected(*service));
    let mut untried: Vec<_> = calm.map(|service| format!("no fault was injected into {service}")).collect();
    for (count, what) in [
        (trial.stopped, "no execution was stopped"),
        (trial.killed.unwrap_or(1), "no function was killed"),
        (trial.interrupted, "no execution was running at a restart of the emulator"),
    ] {
        untried.extend((count == 0).then(|| what.to_owned()));
    }
    untried
}

/// The table's index of orders with which something is left to do.
fn is_in_index(item: &Value) -> bool {
    !item["unsettled"].is_null()
}

/// The evidence, by the orders that it is about.
struct Sources<'a> {
    evidence: &'a Evidence,
    items: BTreeMap<u64, Vec<&'a Value>>,
    messages: BTreeMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Sources<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let (mut items, mut messages): (BTreeMap<_, Vec<_>>, BTreeMap<_, Vec<_>>) = Default::default();
        for item in &evidence.table {
            if let Some(number) = number_of(text(item, "restaurant_id")) {
                items.entry(number).or_default().push(item);
            }
        }
        for message in &evidence.messages {
            messages.entry(text(&message["order"], "id")).or_default().push(message);
        }
        Self { evidence, items, messages }
    }
}

fn stories(evidence: &Evidence) -> BTreeMap<u64, Vec<&Exchange>> {
    let mut stories: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in &evidence.log {
        stories.entry(line.number).or_default().push(line);
    }
    for story in stories.values_mut() {
        story.sort_by_key(|line| line.answered);
    }
    stories
}

fn ids(messages: &[Value]) -> BTreeSet<String> {
    messages.iter().map(|message| text(message, "id").to_owned()).collect()
}

/// A deletion that was refused, and not because there is no order: that is as good as deleted.
fn is_denied(line: &Exchange) -> bool {
    line.is_refused() && line.status != Some(404)
}

/// Checks all about one order that a client wanted, and returns the order's id.
fn story_of(sources: &Sources<'_>, story: &[&Exchange], found: &mut Vec<String>) -> Option<String> {
    let of = |operation| story.iter().copied().filter(move |line| line.operation == operation);
    let creations: Vec<_> = story
        .iter()
        .copied()
        .filter(|line| matches!(line.operation, Operation::Create | Operation::Submit))
        .filter(|line| line.restaurant.as_deref().is_some_and(|name| !name.contains(',')))
        .collect();
    // A comma is in the names of requests that must be refused, and of changes.
    let refused = story.iter().filter(|line| matches!(line.operation, Operation::Create | Operation::Submit));
    let refused =
        refused.filter(|line| line.is_done() && line.restaurant.as_deref().is_some_and(|name| name.contains(',')));
    found.extend(refused.map(|line| format!("{:?} was not refused", line.restaurant)));
    let done: Vec<_> = creations.iter().filter(|line| line.is_done()).collect();
    let Some(first) = done.first() else {
        found.push(format!("{} requests did not settle it", creations.len()));
        return None;
    };
    if let Some(other) = done.iter().find(|line| line.answer != first.answer) {
        found.push(format!("one key was answered {} and {}", first.answer, other.answer));
    }
    let is_submitted = first.operation == Operation::Submit;
    let id = text(&first.answer, "id").to_owned();
    let number = first.number;

    let items = sources.items.get(&number).map(Vec::as_slice).unwrap_or_default();
    if items.len() > 1 {
        found.push(format!("it is {} times in the table", items.len()));
    }
    let item = items.iter().copied().find(|item| text(item, "id") == id);

    let deletions: Vec<_> = of(Operation::Delete).collect();
    let gone = deletions.iter().find(|line| line.is_done() || line.status == Some(404));
    match (item, gone) {
        (Some(_), Some(gone)) => {
            found.push(format!("{id} is in the table, but DELETE was answered {:?}", gone.status));
        }
        (None, None) if !deletions.last().is_some_and(|line| line.is_open()) => {
            found.push(format!("{id} was answered {:?} and is lost", first.status));
        }
        _ => {}
    }

    let account = sources.evidence.accounts.get(&id);
    let messages = sources.messages.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
    reads(story, is_submitted, found);
    answers(&id, story, messages, found);
    versions(story, messages, found);
    let latest = latest(messages);
    for (order, place) in item.map(|item| (item, "the table")).into_iter().chain(latest.zip(Some("its last message"))) {
        contents((order, place), story, sources.evidence.unit_price, found);
    }
    if item.is_some_and(is_in_index) {
        found.push(format!("{id} is still in the index of orders that are not settled"));
    }
    let never_saved = deletions.first().is_some_and(|line| line.status == Some(404));
    if is_submitted {
        money(&id, item, account, messages, found);
        if never_saved && (account.is_some() || !messages.is_empty()) {
            found.push(format!("DELETE was answered 404, but {id} was processed"));
        }
    } else {
        if account.is_some() || !messages.is_empty() {
            found.push(format!("{id} was only recorded, but it was processed"));
        }
        if item.is_some_and(|item| text(item, "order_status") != "PENDING" || text(item, "processing") != "none") {
            found.push(format!("{id} was only recorded, but is not PENDING"));
        }
    }
    Some(id)
}

/// Checks that reads agree with the answers before them.
fn reads(story: &[&Exchange], is_submitted: bool, found: &mut Vec<String>) {
    for read in story.iter().filter(|line| line.operation == Operation::Read && !line.is_open()) {
        let before: Vec<_> = story.iter().filter(|line| line.answered < read.sent).collect();
        let deleted = before
            .iter()
            .any(|line| line.operation == Operation::Delete && (line.is_done() || line.status == Some(404)));
        let may_be_deleted = story.iter().any(|line| line.operation == Operation::Delete && line.sent < read.answered);
        let exists = before.iter().any(|line| match line.operation {
            Operation::Create => line.is_done() && !is_submitted,
            Operation::Change | Operation::Read => line.is_done(),
            _ => false,
        });
        if read.is_done() && deleted {
            found.push("it was read after its deletion".to_owned());
        }
        if read.status == Some(404) && exists && !may_be_deleted {
            found.push("it could not be read although it existed".to_owned());
        }
        // The answers to a creation are those to its first request.
        let told = before.iter().filter(|line| matches!(line.operation, Operation::Change | Operation::Read));
        let told = told.filter_map(|line| line.version()).max();
        if read.version().is_some_and(|version| told.is_some_and(|told| version < told)) {
            found.push(format!("version {:?} was read after version {told:?}", read.version()));
        }
    }
}

/// Each answer must be about this order, and an end that was read must be published.
fn answers(id: &str, story: &[&Exchange], messages: &[&Value], found: &mut Vec<String>) {
    for line in story.iter().filter(|line| line.is_done() && line.operation != Operation::Delete) {
        let (other, status) = (text(&line.answer, "id"), text(&line.answer, "order_status"));
        if other != id {
            found.push(format!("a {:?} of {id} was answered with {other}", line.operation));
        }
        let news = format!("{id}:{status}");
        if matches!(status, "SUCCESS" | "FAILURE") && !messages.iter().any(|message| text(message, "id") == news) {
            found.push(format!("{id} was answered as {status}, which was never published"));
        }
    }
}

/// Checks that each request with `If-Match` has changed that version.
fn versions(story: &[&Exchange], messages: &[&Value], found: &mut Vec<String>) {
    for line in story.iter().filter(|line| line.is_done()) {
        let Some(expected) = line.if_match else { continue };
        if line.operation == Operation::Change && line.version() != Some(expected + 1) {
            found.push(format!("a change of version {expected} was answered with version {:?}", line.version()));
        }
        if line.operation == Operation::Delete {
            let told = story.iter().filter(|other| other.answered < line.sent && other.operation != Operation::Delete);
            let told = told.filter_map(|other| other.version());
            let published = messages.iter().filter_map(|message| message["order"]["version"].as_u64());
            if let Some(newer) = told.chain(published).find(|version| *version > expected) {
                found.push(format!("version {expected} was deleted, but there was a version {newer}"));
            }
        }
    }
}

/// The order of the latest message.
fn latest<'a>(messages: &[&'a Value]) -> Option<&'a Value> {
    let latest = messages.iter().max_by_key(|message| message["order"]["version"].as_u64());
    latest.map(|message| &message["order"])
}

/// The order in this place must be what the writes have left.
fn contents((order, place): (&Value, &str), story: &[&Exchange], unit_price: i64, found: &mut Vec<String>) {
    let changes = || story.iter().filter(|line| line.operation == Operation::Change);
    let version = order["version"].as_u64().unwrap_or_default();
    let sent = |line: &Exchange| (line.restaurant.clone().unwrap_or_default(), line.quantity.unwrap_or_default());
    let mut written: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    for line in changes().filter(|line| line.is_done()) {
        let at = line.version().unwrap_or_default();
        if written.insert(at, sent(line)).is_some_and(|other| other != sent(line)) {
            found.push(format!("two changes were answered with version {at}"));
        }
        if at > version {
            found.push(format!("version {at} was answered, and {place} has version {version}"));
        }
    }
    let quantity: u64 = text(order, "quantity").parse().unwrap_or_default();
    let content = (text(order, "restaurant_id").to_owned(), quantity);
    let first = story.iter().find(|line| line.is_done());
    let last = written.pop_last().map(|(_, sent)| sent).or(first.map(|line| sent(line)));
    if last.as_ref() != Some(&content) && !changes().any(|line| line.is_open() && sent(line) == content) {
        found.push(format!("{place} has {content:?}, and the last write was {last:?}"));
    }
    let user = first.map(|line| line.user.as_str());
    if user != Some(text(order, "user_id")) {
        found.push(format!("{place} has the user {}, and the order is of {user:?}", order["user_id"]));
    }
    if order["total"]["amount"].as_i64() != i64::try_from(quantity).ok().map(|quantity| quantity * unit_price) {
        found.push(format!("{place} has {quantity} units for {}", order["total"]));
    }
}

/// Checks the payment, the refund and the delivery against the order's end.
fn money(id: &str, item: Option<&Value>, account: Option<&Account>, messages: &[&Value], found: &mut Vec<String>) {
    let nothing = Account::default();
    let Account { taken, given_back, deliveries, is_cancelled, complaints, .. } = account.unwrap_or(&nothing);
    found.extend(complaints.iter().cloned());

    let published: BTreeSet<_> = messages.iter().map(|message| text(&message["order"], "order_status")).collect();
    if published.len() > 1 {
        found.push(format!("{id} was published with the ends {published:?}"));
    }
    let latest = latest(messages);
    let Some(order) = item.or(latest) else {
        // Deleted in its grace period, or before it was saved.
        if (*taken, *deliveries) != (0, 0) {
            found.push(format!("{id} has no end, but {taken} were taken, and it has {deliveries} deliveries"));
        }
        return;
    };
    let (status, refund) = (text(order, "order_status"), text(order, "refund"));
    let total = order["total"]["amount"].as_i64().unwrap_or_default();
    let kept = taken - given_back;
    match status {
        "SUCCESS" => {
            if (kept, *taken) != (total, total) {
                found.push(format!("{id} is a SUCCESS of {total}: {taken} were taken, {given_back} given back"));
            }
            if *deliveries != 1 || *is_cancelled {
                found.push(format!("{id} is a SUCCESS with {deliveries} deliveries, cancelled: {is_cancelled}"));
            }
            let facts = ["accepted_at", "paid_at", "delivered_at", "completed_at"];
            if facts.iter().any(|fact| text(order, fact).is_empty()) || !refund.is_empty() {
                found.push(format!("{id} is a SUCCESS that lacks a fact or has a refund: {order}"));
            }
        }
        "FAILURE" => {
            if kept != 0 || *taken > total {
                found.push(format!("{id} is a FAILURE of {total}: {taken} were taken, {given_back} given back"));
            }
            if *deliveries != 0 {
                found.push(format!("{id} is a FAILURE with {deliveries} deliveries"));
            }
            if !matches!(refund, "" | "MADE") || (*taken > 0 && refund != "MADE") {
                found.push(format!("{id} is a FAILURE with the refund {refund:?}, and {taken} were taken"));
            }
            if text(order, "error_message").is_empty() || text(order, "completed_at").is_empty() {
                found.push(format!("{id} is a FAILURE without its reason or its time: {order}"));
            }
        }
        other => found.push(format!("{id} has not come to its end: {other}")),
    }
    let has = |news: String| messages.iter().any(|message| text(message, "id") == news);
    if matches!(status, "SUCCESS" | "FAILURE") && !has(format!("{id}:{status}")) {
        found.push(format!("{id}: its end {status} is not published"));
    }
    let owed = messages.iter().any(|message| text(&message["order"], "refund") == "OWED");
    if owed && !has(format!("{id}:FAILURE:MADE")) {
        found.push(format!("{id}: the refund is published as OWED only"));
    }
    if let Some((item, latest)) = item.zip(latest) {
        let seen = |order: &Value| (text(order, "order_status").to_owned(), text(order, "refund").to_owned());
        if seen(item) != seen(latest) {
            found.push(format!("{id} is {:?} in the table, and {:?} was published", seen(item), seen(latest)));
        }
    }
}

/// Checks that refused requests have left nothing. Each creation and each change sends a restaurant name of its own.
fn refused(evidence: &Evidence) -> Vec<String> {
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for line in &evidence.log {
        if let Some(name) = line.restaurant.as_deref() {
            *names.entry(name).or_insert(true) &= line.is_refused();
        }
    }
    let in_table = evidence.table.iter().chain(&evidence.listed).map(|item| (text(item, "restaurant_id"), "the table"));
    let in_accounts = evidence.accounts.values().map(|account| (account.restaurant.as_str(), "an account"));
    let in_messages = evidence.messages.iter().map(|message| (text(&message["order"], "restaurant_id"), "a message"));
    let in_answers = evidence.log.iter().map(|line| (text(&line.answer, "restaurant_id"), "an answer"));
    let all = in_table.chain(in_accounts).chain(in_messages).chain(in_answers);
    let found = all.filter(|(name, _)| names.get(name).copied().unwrap_or_default());
    found.map(|(name, place)| format!("{name} was refused, and is in {place}")).collect()
}

/// Everything must be an order that a client was told of.
fn strangers(evidence: &Evidence, known: &BTreeMap<String, u64>) -> Vec<String> {
    let table = evidence.table.iter().map(|item| (text(item, "id"), "the table"));
    let listed = evidence.listed.iter().map(|order| (text(order, "id"), "the list"));
    let accounts = evidence.accounts.keys().map(|id| (id.as_str(), "the accounts"));
    let messages = evidence.messages.iter().map(|message| (text(&message["order"], "id"), "the messages"));
    let all = table.chain(listed).chain(accounts).chain(messages);
    let strangers: BTreeSet<_> = all.filter(|(id, _)| !known.contains_key(*id)).collect();
    strangers.into_iter().map(|(id, place)| format!("{id} in {place} is no client's order")).collect()
}

/// The API must list what the table has.
fn lists(evidence: &Evidence) -> Vec<String> {
    let seen = |order: &Value| {
        let fields = ["id", "user_id", "restaurant_id", "quantity", "order_status", "version", "refund", "total"];
        fields.map(|field| order[field].to_string()).join(" ")
    };
    let table: BTreeSet<_> = evidence.table.iter().map(seen).collect();
    let listed: BTreeSet<_> = evidence.listed.iter().map(seen).collect();
    let mut violations: Vec<_> = table.difference(&listed).map(|order| format!("not listed: {order}")).collect();
    violations.extend(listed.difference(&table).map(|order| format!("not in the table: {order}")));
    if evidence.listed.len() != listed.len() {
        violations.push("an order is listed twice".to_owned());
    }
    violations
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plant::planted;

    const PAID: i64 = 3000;

    fn order(number: u64, fields: &Value) -> Value {
        let mut order = json!({"id": format!("id-{number}"), "user_id": "Ann", "quantity": "3", "version": 6,
            "restaurant_id": format!("Restaurant {number}"), "total": {"amount": PAID, "currency": "EUR"},
            "processing": "workflow", "order_status": "PENDING", "accepted_at": "t", "completed_at": "t"});
        for (name, value) in fields.as_object().unwrap() {
            order[name] = value.clone();
        }
        order
    }

    fn line(evidence: &mut Evidence, number: u64, operation: Operation, status: Option<u16>) {
        let at = 2 * evidence.log.len() as u64;
        let has_body = !matches!(operation, Operation::Delete | Operation::Read);
        let done = status.is_some_and(|status| status < 300);
        evidence.log.push(Exchange {
            number,
            operation,
            key: None,
            user: "Ann".to_owned(),
            quantity: has_body.then_some(3),
            if_match: None,
            restaurant: has_body.then(|| format!("Restaurant {number}")),
            sent: at,
            answered: at + 1,
            status,
            answer: if done { json!({"id": format!("id-{number}"), "version": 1}) } else { Value::Null },
        });
    }

    fn message(order: &Value, news: &str) -> Value {
        json!({"id": format!("{}:{news}", text(order, "id")), "order": order})
    }

    /// One order that was recorded, a SUCCESS, a FAILURE with a refund, and one that was deleted before it was saved.
    fn sound() -> Evidence {
        let recorded = order(1, &json!({"processing": "none", "version": 1}));
        let success = order(2, &json!({"order_status": "SUCCESS", "paid_at": "t", "delivered_at": "t"}));
        let failure =
            order(3, &json!({"order_status": "FAILURE", "paid_at": "t", "refund": "MADE", "error_message": "e"}));
        let table = vec![recorded, success.clone(), failure.clone()];
        let account =
            |number: u64| Account { restaurant: format!("Restaurant {number}"), taken: PAID, ..Account::default() };
        let accounts = [
            ("id-2".to_owned(), Account { deliveries: 1, ..account(2) }),
            ("id-3".to_owned(), Account { given_back: PAID, ..account(3) }),
        ];
        let messages = vec![message(&success, "SUCCESS"), message(&failure, "FAILURE")];
        let (listed, accounts) = (table.clone(), accounts.into_iter().collect());
        let mut evidence = Evidence { table, listed, accounts, messages, unit_price: 1000, ..Evidence::default() };
        line(&mut evidence, 1, Operation::Create, None);
        line(&mut evidence, 1, Operation::Create, Some(201));
        for number in 2..=4 {
            line(&mut evidence, number, Operation::Submit, Some(503));
            line(&mut evidence, number, Operation::Submit, Some(202));
        }
        line(&mut evidence, 4, Operation::Delete, Some(404));
        evidence
    }

    /// Asserts that this is among the violations.
    #[track_caller]
    fn found(plant: impl FnOnce(&mut Evidence), expected: &str) {
        let mut evidence = sound();
        plant(&mut evidence);
        let violations = check(&evidence);
        assert!(
            violations.iter().any(|violation| violation.contains(expected)),
            "{expected} is not in {violations:#?}"
        );
    }

    #[test]
    fn sound_evidence_has_no_violation_and_is_settled() {
        assert_eq!(check(&sound()), Vec::<String>::new());
        assert_eq!(unsettled(&sound()), Vec::<String>::new());
    }

    #[test]
    fn each_planted_fault_is_found() {
        let plants = planted(&sound()).unwrap();
        assert_eq!(plants.len(), 11);
        for (name, evidence) in plants {
            assert!(!check(&evidence).is_empty(), "not found: {name}");
        }
    }

    #[test]
    fn what_the_table_has_lost_or_should_not_have_is_found() {
        found(|evidence| drop(evidence.table.remove(0)), "order 1: id-1 was answered Some(201) and is lost");
        found(|evidence| line(evidence, 2, Operation::Delete, Some(204)), "is in the table, but DELETE was answered");
        found(
            |evidence| {
                let mut other = evidence.table[1].clone();
                other["id"] = json!("id-9");
                evidence.table.push(other);
            },
            "order 2: it is 2 times in the table",
        );
        found(|evidence| evidence.table[1]["order_status"] = json!("PENDING"), "has not come to its end: PENDING");
        found(|evidence| evidence.table[0]["restaurant_id"] = json!("Restaurant 1, moved 0"), "the last write was");
        found(|evidence| evidence.table[0]["quantity"] = json!("4"), "4 units for");
        found(|evidence| evidence.table[2]["refund"] = json!("OWED"), r#"with the refund "OWED""#);
        found(|evidence| drop(evidence.listed.pop()), "not listed");
        found(|evidence| evidence.table[1]["unsettled"] = json!("1"), "id-2 is still in the index");
        let mut evidence = sound();
        evidence.table[1]["unsettled"] = json!("1");
        assert_eq!(unsettled(&evidence), ["id-2 is still in the index"]);
        // Each part of the order, in the table and in the last message.
        for (field, value) in [("quantity", "4"), ("user_id", "Bob"), ("restaurant_id", "Restaurant 2, moved 0")] {
            found(|evidence| evidence.table[1][field] = json!(value), "order 2: the table has");
            found(|evidence| evidence.messages[0]["order"][field] = json!(value), "order 2: its last message has");
        }
    }

    #[test]
    fn executions_that_are_running_are_found() {
        found(|evidence| evidence.running.push("execution 1".into()), "execution 1 has not ended");
        let evidence = Evidence { running: vec!["execution 1".into()], ..sound() };
        assert_eq!(unsettled(&evidence), ["execution 1 is running"]);
    }

    #[test]
    fn a_run_that_tries_too_little_is_found() {
        let services = ["dynamodb", "sqs", "states", "sns", "payment", "restaurant"];
        let trial = || Trial {
            injected: services.map(|service| ((service, Fault::Error), 1)).into(),
            stopped: 1,
            killed: Some(1),
            interrupted: 1,
        };
        assert_eq!(untried(&trial()), Vec::<String>::new());
        assert_eq!(untried(&Trial { killed: None, ..trial() }), Vec::<String>::new());
        for service in services {
            let mut trial = trial();
            trial.injected.remove(&(service, Fault::Error));
            assert_eq!(untried(&trial), [format!("no fault was injected into {service}")]);
        }
        assert_eq!(untried(&Trial { stopped: 0, ..trial() }), ["no execution was stopped"]);
        assert_eq!(untried(&Trial { killed: Some(0), ..trial() }), ["no function was killed"]);
        let calm = untried(&Trial { interrupted: 0, ..trial() });
        assert_eq!(calm, ["no execution was running at a restart of the emulator"]);
    }

    #[test]
    fn a_run_without_the_subject_of_a_planted_fault_is_found() {
        let mut evidence = sound();
        evidence.table[1]["order_status"] = json!("FAILURE");
        assert!(planted(&evidence).unwrap_err().to_string().contains("an order is PENDING for ever"));
    }

    #[test]
    fn answers_about_other_orders_and_versions_are_found() {
        let answered = |operation, status, change: fn(&mut Exchange)| {
            move |evidence: &mut Evidence| {
                line(evidence, 1, operation, Some(status));
                change(evidence.log.last_mut().unwrap());
            }
        };
        let read = |change| answered(Operation::Read, 200, change);
        found(read(|line| line.answer["id"] = json!("id-2")), "a Read of id-1 was answered with id-2");
        found(read(|line| line.answer["order_status"] = json!("SUCCESS")), "as SUCCESS, which was never published");
        found(
            |evidence| {
                answered(Operation::Change, 412, |line| line.restaurant = Some("Restaurant 1, moved 0".into()))(
                    evidence,
                );
                read(|line| line.answer["restaurant_id"] = json!("Restaurant 1, moved 0"))(evidence);
            },
            "Restaurant 1, moved 0 was refused, and is in an answer",
        );
        found(
            answered(Operation::Change, 200, |line| {
                (line.if_match, line.answer["version"]) = (Some(1), json!(3));
            }),
            "a change of version 1 was answered with version Some(3)",
        );
        let deletion = answered(Operation::Delete, 204, |line| line.if_match = Some(1));
        found(
            |evidence| {
                read(|line| line.answer["version"] = json!(2))(evidence);
                deletion(evidence);
            },
            "version 1 was deleted, but there was a version 2",
        );
        found(
            |evidence| {
                line(evidence, 2, Operation::Delete, Some(204));
                evidence.log.last_mut().unwrap().if_match = Some(5);
            },
            "version 5 was deleted, but there was a version 6",
        );
    }

    #[test]
    fn a_refused_deletion_excuses_no_loss() {
        found(
            |evidence| {
                line(evidence, 1, Operation::Delete, None);
                line(evidence, 1, Operation::Delete, Some(412));
                evidence.table.remove(0);
                evidence.listed.remove(0);
            },
            "id-1 was answered Some(201) and is lost",
        );
        let mut evidence = sound();
        line(&mut evidence, 2, Operation::Delete, None);
        line(&mut evidence, 2, Operation::Delete, Some(409));
        evidence.table.remove(1);
        evidence.messages.remove(0);
        assert_eq!(unsettled(&evidence), ["id-2 (order 2) is not saved"]);
    }

    #[test]
    fn money_and_deliveries_that_are_wrong_are_found() {
        let account = |id: &'static str, change: fn(&mut Account)| {
            move |evidence: &mut Evidence| change(evidence.accounts.get_mut(id).unwrap())
        };
        found(account("id-2", |account| account.taken *= 2), "is a SUCCESS of 3000: 6000 were taken");
        found(account("id-2", |account| account.given_back = PAID), "3000 given back");
        found(account("id-2", |account| account.deliveries = 2), "a SUCCESS with 2 deliveries");
        found(account("id-2", |account| account.is_cancelled = true), "cancelled: true");
        found(account("id-3", |account| account.given_back = 0), "is a FAILURE of 3000: 3000 were taken, 0 given back");
        found(account("id-3", |account| account.deliveries = 1), "is a FAILURE with 1 deliveries");
        found(account("id-2", |account| account.complaints.push("a complaint".into())), "a complaint");
        let paid = || Account { taken: PAID, ..Account::default() };
        found(|evidence| drop(evidence.accounts.insert("id-4".into(), paid())), "id-4 was processed");
        found(|evidence| drop(evidence.accounts.insert("id-1".into(), paid())), "was only recorded");
        found(
            |evidence| drop(evidence.accounts.insert("id-9".into(), paid())),
            "id-9 in the accounts is no client's order",
        );
    }

    #[test]
    fn messages_that_are_missing_or_wrong_are_found() {
        found(|evidence| drop(evidence.messages.remove(0)), "id-2: its end SUCCESS is not published");
        found(
            |evidence| {
                let failure = message(&evidence.table[1], "FAILURE");
                evidence.messages.push(failure);
                evidence.messages[2]["order"]["order_status"] = json!("FAILURE");
            },
            "was published with the ends",
        );
        found(|evidence| evidence.messages[1]["order"]["refund"] = json!("OWED"), "published as OWED only");
        let owed = |evidence: &mut Evidence| evidence.messages[1]["order"]["refund"] = json!("OWED");
        let mut evidence = sound();
        owed(&mut evidence);
        assert_eq!(unsettled(&evidence).len(), 1, "its last message is still to come");
        evidence.messages.clear();
        assert_eq!(unsettled(&evidence).len(), 2);
    }

    #[test]
    fn answers_that_are_not_true_are_found() {
        found(|evidence| evidence.log[1].status = Some(503), "2 requests did not settle it");
        found(
            |evidence| evidence.log[0] = Exchange { answer: json!({"id": "id-9"}), ..evidence.log[1].clone() },
            "one key",
        );
        found(
            |evidence| {
                evidence.log.retain(|line| line.operation != Operation::Delete);
            },
            "id-4 was answered Some(202) and is lost",
        );
        found(
            |evidence| {
                line(evidence, 1, Operation::Create, Some(201));
                evidence.log.last_mut().unwrap().restaurant = Some("Restaurant 1, bad".into());
            },
            "was not refused",
        );
        found(
            |evidence| {
                line(evidence, 1, Operation::Change, Some(412));
                evidence.log.last_mut().unwrap().restaurant = Some("Restaurant 1, moved 0".into());
                evidence.table[0]["restaurant_id"] = json!("Restaurant 1, moved 0");
            },
            "Restaurant 1, moved 0 was refused, and is in the table",
        );
        found(
            |evidence| {
                line(evidence, 1, Operation::Change, Some(200));
                evidence.log.last_mut().unwrap().answer["version"] = json!(2);
            },
            "version 2 was answered, and the table has version 1",
        );
        found(|evidence| line(evidence, 1, Operation::Read, Some(404)), "could not be read although it existed");
        found(
            |evidence| {
                line(evidence, 1, Operation::Delete, Some(204));
                line(evidence, 1, Operation::Read, Some(200));
            },
            "read after its deletion",
        );
        found(
            |evidence| {
                line(evidence, 1, Operation::Read, Some(200));
                evidence.log.last_mut().unwrap().answer["version"] = json!(5);
                line(evidence, 1, Operation::Read, Some(200));
            },
            "was read after version Some(5)",
        );
    }

    #[test]
    fn what_may_have_happened_is_no_violation() {
        // A change without an answer was carried out; a deletion without an answer, too.
        let mut evidence = sound();
        line(&mut evidence, 1, Operation::Change, None);
        evidence.log.last_mut().unwrap().restaurant = Some("Restaurant 1, moved 0".into());
        line(&mut evidence, 1, Operation::Change, Some(412));
        evidence.log.last_mut().unwrap().restaurant = Some("Restaurant 1, moved 0".into());
        for orders in [&mut evidence.table, &mut evidence.listed] {
            orders[0]["restaurant_id"] = json!("Restaurant 1, moved 0");
            orders[0]["version"] = json!(2);
        }
        assert_eq!(check(&evidence), Vec::<String>::new());
        line(&mut evidence, 1, Operation::Delete, None);
        evidence.table.remove(0);
        evidence.listed.remove(0);
        assert_eq!(check(&evidence), Vec::<String>::new());
    }
}
