//! The transitions of an order, in every state that it can reach, and the form in which it is stored and sent.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use shared::fixtures::{content, euros, user_id};
use shared::order::{Expected, Order, OrderContent, OrderForm, OrderStatus, Processing, Refusal, Step, Timestamp};

static NOW: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// A day ago: every limit is over.
static BEFORE: LazyLock<Timestamp> = LazyLock::new(|| NOW.before(Duration::from_hours(24)));

const MINUTES: Duration = Duration::from_mins(20);

type Transition = fn(&Order, Timestamp) -> Option<Order>;

const TRANSITIONS: [(&str, Transition); 18] = [
    ("replaced", |order, now| order.replaced(&content(4), euros(40), &Expected::Any, now).ok()),
    ("accepted", |order, now| order.accepted(now)),
    ("not accepted", |order, now| order.not_accepted("late", now)),
    ("paid", |order, now| order.paid(now)),
    ("declined", |order, now| order.declined("no money", now)),
    ("payment unknown", |order, now| order.payment_unknown(now)),
    ("delivered", |order, now| order.delivered(now)),
    ("refused", |order, now| order.refused("closed", now)),
    ("not delivered yet", |order, now| order.not_delivered_yet(MINUTES, now)),
    ("cancelling", |order, now| order.cancelling(now)),
    ("cancelled", |order, now| order.cancelled(now)),
    ("too late to cancel", |order, now| order.too_late_to_cancel(now)),
    ("refunded", |order, now| order.refunded(now)),
    ("refund not found", |order, now| order.refund_not_found(order, now)),
    ("completed", |order, now| order.completed(now)),
    ("published", |order, now| order.published(order, now)),
    ("settled by hand", |order, now| order.settled_by_hand(now)),
    ("deleted", |order, _| order.may_be_deleted(&Expected::Any).is_ok().then(|| order.clone())),
];

fn stored(order: &Order) -> Value {
    serde_json::to_value(OrderForm::stored(order)).unwrap()
}

fn read(form: Value) -> Result<Order, String> {
    let form: OrderForm = serde_json::from_value(form).map_err(|error| error.to_string())?;
    Order::try_from(form).map_err(|error| error.to_string())
}

/// A state of an order: what is the same in all orders that behave in the same way.
fn state(order: &Order) -> String {
    let form = stored(order);
    let mut state = form["order_status"].as_str().unwrap().to_owned();
    for (field, name) in [
        ("accepted_at", "accepted"),
        ("paid_at", "paid"),
        ("cancelling_since", "cancelling"),
        ("delivered_at", "delivered"),
        ("failing_since", "failing"),
    ] {
        if form.get(field).is_some() && (name, form["order_status"].as_str()) != ("failing", Some("FAILURE")) {
            write!(state, " {name}").unwrap();
        }
    }
    if let Some(refund) = order.refund() {
        write!(state, " refund {}", refund.as_str()).unwrap();
    }
    if let Some(published) = form.get("published") {
        write!(state, ", published {}", published.as_str().unwrap()).unwrap();
    }
    state
}

/// Every state that is reached from a new order by transitions, with an order in it that was written a day ago.
fn states(processing: Processing) -> BTreeMap<String, Order> {
    let mut states = BTreeMap::new();
    let mut queue = VecDeque::from([Order::new(user_id("Ann"), content(3), euros(30), processing, *BEFORE)]);
    while let Some(order) = queue.pop_front() {
        if states.insert(state(&order), order.clone()).is_none() {
            for (_, transition) in TRANSITIONS {
                // A day ago, so that limits are over for the next transition; or else now, when this one's is.
                queue.extend(transition(&order, *BEFORE).or_else(|| transition(&order, *NOW)));
            }
        }
    }
    states
}

#[test]
fn each_transition_is_made_in_these_states_only() {
    let mut table = String::new();
    for order in all_states() {
        let next = serde_json::to_value(order.next()).unwrap();
        let unsettled = if order.is_unsettled() { "in the index" } else { "not in the index" };
        writeln!(table, "{}: {} is next, {unsettled}", state(&order), next.as_str().unwrap()).unwrap();
        for (name, transition) in TRANSITIONS {
            if let Some(after) = transition(&order, *NOW) {
                let after = if name == "deleted" { "(none)".to_owned() } else { state(&after) };
                writeln!(table, "    {name} -> {after}").unwrap();
            }
        }
    }
    assert!(table == include_str!("life.txt"), "shared/tests/life.txt has other transitions than these:\n{table}");
}

fn all_states() -> Vec<Order> {
    states(Processing::None).into_values().chain(states(Processing::Workflow).into_values()).collect()
}

/// The order in the state of that name.
fn in_state(name: &str) -> Order {
    states(Processing::Workflow).remove(name).unwrap()
}

#[test]
fn a_transition_that_is_made_again_changes_nothing() {
    for order in all_states() {
        for (name, transition) in TRANSITIONS {
            if matches!(name, "replaced" | "deleted") {
                continue;
            }
            if let Some(after) = transition(&order, *NOW) {
                assert_eq!(transition(&after, *NOW), None, "{name} after {}", state(&order));
            }
        }
    }
}

#[test]
fn a_transition_writes_the_next_version_and_keeps_the_content_and_the_total() {
    for order in all_states() {
        for (name, transition) in TRANSITIONS {
            let Some(after) = transition(&order, *NOW) else { continue };
            if name == "deleted" {
                continue;
            }
            let case = format!("{name} after {}", state(&order));
            assert_eq!((after.version(), after.updated_at()), (order.version().next(), *NOW), "{case}");
            assert_eq!(after.key(), order.key(), "{case}");
            if name != "replaced" {
                assert_eq!((after.content(), after.total()), (order.content(), order.total()), "{case}");
            }
        }
    }
}

#[test]
fn a_restaurant_has_its_minutes_from_the_payment_on() {
    let paid = in_state("PENDING accepted").paid(NOW.before(MINUTES)).unwrap();
    assert_eq!(paid.not_delivered_yet(MINUTES, NOW.before(Duration::from_secs(1))), None);
    assert_eq!(paid.not_delivered_yet(MINUTES, *NOW).unwrap().next(), Step::Cancel);
}

#[test]
fn a_refund_that_is_not_found_is_given_up_a_day_after_the_decision_to_fail() {
    let day = Duration::from_hours(24);
    let owed = in_state("PENDING accepted").payment_unknown(NOW.before(day)).unwrap();
    assert_eq!(owed.refund_not_found(&owed, NOW.before(Duration::from_secs(1))), None);
    let refund = |owed: &Order, asked: &Order| owed.refund_not_found(asked, *NOW).unwrap().refund().unwrap().as_str();
    assert_eq!(refund(&owed, &owed), "UNKNOWN");
    // It is the order for which the refund was requested that counts.
    let paid = owed.paid(*NOW).unwrap();
    assert_eq!((refund(&paid, &owed), refund(&paid, &paid)), ("UNKNOWN", "FAILED"));
}

#[test]
fn a_cancellation_is_overdue_a_day_after_the_decision() {
    let cancelling = in_state("PENDING accepted paid").cancelling(NOW.before(Duration::from_hours(24))).unwrap();
    assert!(!cancelling.is_cancellation_overdue(NOW.before(Duration::from_secs(1))));
    assert!(cancelling.is_cancellation_overdue(*NOW));
}

#[test]
fn an_order_without_a_price_is_not_accepted() {
    let mut form = stored(&in_state("PENDING"));
    form.as_object_mut().unwrap().remove("total");
    let order = read(form).unwrap().accepted(*NOW).unwrap();
    assert_eq!((order.status(), order.refund(), order.next()), (OrderStatus::Failure, None, Step::Publish));
}

#[test]
fn a_change_says_why_it_is_refused() {
    let replaced = |name| in_state(name).replaced(&content(4), euros(40), &Expected::OneOf(vec![]), *NOW).unwrap_err();
    assert_eq!(replaced("PENDING"), Refusal::Stale);
    assert_eq!(replaced("PENDING accepted"), Refusal::InProcess);
    assert_eq!(replaced("SUCCESS accepted paid delivered"), Refusal::NotPending);
}

#[test]
fn every_state_is_read_as_it_was_stored() {
    for order in all_states() {
        assert_eq!(read(stored(&order)).as_ref(), Ok(&order), "{}", state(&order));
    }
}

#[test]
fn the_wire_form_has_the_six_fields_first_and_nothing_that_is_only_for_the_table() {
    let six = ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"];
    let Value::Object(content) = serde_json::to_value(OrderContent::example()).unwrap() else { unreachable!() };
    for order in all_states() {
        let json = serde_json::to_string(&order).unwrap();
        let form: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
        for name in form.keys().map(String::as_str) {
            let is_sent = name == "user_id" || content.contains_key(name) || OrderForm::SERVER_FIELDS.contains(&name);
            assert!(is_sent, "{name}");
        }
        // In their order; serde_json's map does not keep it.
        let place = |name: &str| json.find(&format!("\"{name}\":")).unwrap();
        let mut places: Vec<_> = form.keys().map(|name| place(name)).collect();
        places.sort_unstable();
        assert_eq!(places[..six.len()], six.map(place), "{json}");
        assert_eq!(form.contains_key("error_message"), order.status() == OrderStatus::Failure, "{json}");
        // A client that sends it back is understood.
        assert!(serde_json::from_str::<Order>(&json).is_ok() || state(&order).contains("failing"), "{json}");
    }
}

/// Fields of an order as the release without prices (72649e3) stored it, with these in addition.
fn item(more: Value) -> Value {
    let mut item = json!({
        "user_id": "Ann", "restaurant_id": "Restaurant 3", "quantity": "3",
        "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "created_at": "2023-01-02T22:06:33.637839308Z",
        "order_status": "PENDING", "updated_at": "2023-01-02T22:06:33.637839308Z", "version": 1,
    });
    let Value::Object(more) = more else { unreachable!() };
    item.as_object_mut().unwrap().extend(more);
    item
}

const AT: &str = "2023-01-02T22:07:33.000000000Z";

#[test]
fn items_of_the_release_without_prices_are_read() {
    for (more, expected) in [
        (json!({}), "PENDING"),
        (json!({"processing": "none"}), "PENDING"),
        (json!({"processing": "workflow"}), "PENDING"),
        (json!({"processing": "workflow", "accepted_at": AT, "version": 2}), "PENDING accepted"),
        (
            json!({"processing": "workflow", "order_status": "SUCCESS", "accepted_at": AT, "paid_at": AT,
                "completed_at": AT}),
            "SUCCESS accepted paid delivered, published SUCCESS",
        ),
        (
            json!({"processing": "workflow", "order_status": "FAILURE", "accepted_at": AT, "completed_at": AT,
                "error_message": "the payment was declined"}),
            "FAILURE accepted, published FAILURE",
        ),
        (
            json!({"processing": "workflow", "order_status": "FAILURE", "accepted_at": AT, "paid_at": AT,
                "completed_at": AT, "error_message": "the restaurant refused"}),
            "FAILURE accepted paid, published FAILURE",
        ),
        (
            json!({"processing": "workflow", "order_status": "FAILURE", "completed_at": AT,
                "error_message": "the order could not be processed"}),
            "FAILURE, published FAILURE",
        ),
    ] {
        let order = read(item(more)).unwrap();
        assert_eq!((state(&order).as_str(), order.total()), (expected, None));
        assert!(!order.is_final() || order.next() == Step::Nothing && !order.is_unsettled(), "{expected}");
    }
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    let workflow = |more: Value| {
        let mut item = item(more);
        item["processing"] = "workflow".into();
        item
    };
    for form in [
        item(json!({"accepted_at": AT})),
        item(json!({"paid_at": AT})),
        item(json!({"completed_at": AT})),
        workflow(json!({"paid_at": AT})),
        workflow(json!({"delivered_at": AT})),
        workflow(json!({"accepted_at": AT, "delivered_at": AT})),
        workflow(json!({"accepted_at": AT, "refund": "OWED"})),
        workflow(json!({"accepted_at": AT, "cancelling_since": AT})),
        workflow(json!({"accepted_at": AT, "completed_at": AT})),
        workflow(json!({"accepted_at": AT, "error_message": "closed"})),
        workflow(json!({"accepted_at": AT, "published": "FAILURE"})),
        workflow(json!({"accepted_at": AT, "failing_since": AT})),
        workflow(
            json!({"accepted_at": AT, "paid_at": AT, "failing_since": AT, "error_message": "", "delivered_at": AT}),
        ),
        workflow(json!({"order_status": "SUCCESS"})),
        workflow(json!({"order_status": "SUCCESS", "accepted_at": AT, "completed_at": AT})),
        workflow(json!({"order_status": "SUCCESS", "accepted_at": AT, "paid_at": AT})),
        workflow(json!({"order_status": "SUCCESS", "accepted_at": AT, "paid_at": AT, "completed_at": AT,
            "refund": "MADE"})),
        workflow(json!({"order_status": "SUCCESS", "accepted_at": AT, "paid_at": AT, "completed_at": AT,
            "published": "FAILURE"})),
        workflow(json!({"order_status": "FAILURE", "error_message": "closed"})),
        workflow(json!({"order_status": "FAILURE", "completed_at": AT})),
        workflow(json!({"order_status": "FAILURE", "completed_at": AT, "error_message": "closed", "delivered_at": AT})),
        workflow(json!({"order_status": "FAILURE", "completed_at": AT, "error_message": "closed",
            "published": "SUCCESS"})),
    ] {
        assert_eq!(read(form.clone()), Err("the fields of an order contradict each other".into()), "{form}");
    }
}
