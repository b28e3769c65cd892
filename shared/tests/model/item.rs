//! Items of the table.
//!
//! An item is an order in a canonical form: whatever no decision depends on is the same in all of them. Each instant is
//! either present or old, which means longer ago than every limit. So there are few items, and each transition is made
//! once: by the functions that the product uses, and through the form of the table.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use shared::money::Money;
use shared::order::{Order, OrderForm, OrderStatus, Refund, Step, Timestamp};
use shared::providers::{Cancellation, Charge, Delivery};
use shared::steps::DeliveryLimit;
use shared::{recovery, steps};

/// The present: the instant in the order's id.
pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| serde_json::from_value(json!(INSTANT)).unwrap());

const INSTANT: &str = "2023-01-02T22:06:33.637000000Z";

/// Longer ago than every limit.
static OLD: LazyLock<Timestamp> = LazyLock::new(|| NOW.before(Duration::from_hours(25)));

const LIMIT: DeliveryLimit = DeliveryLimit(Duration::from_mins(20));

/// An order in its canonical form, and what the model asks of it.
pub struct Known {
    number: u16,
    pub order: Order,
    pub next: Step,
    pub status: OrderStatus,
    pub refund: Option<Refund>,
    pub is_paid: bool,
    pub is_unsettled: bool,
    pub amount: u16,
}

/// An item of the table.
#[derive(Clone, Copy)]
pub struct Item(&'static Known);

impl std::ops::Deref for Item {
    type Target = Known;

    fn deref(&self) -> &Known {
        self.0
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = stored(&self.order);
        let old = json!(*OLD);
        let facts = ["paid_at", "cancelling_since", "failing_since", "delivered_at", "published", "refund"];
        let facts = facts.iter().filter_map(|name| match form.get(*name)? {
            value if *value == old => Some(format!(" {name}=old")),
            Value::String(value) if name.ends_with("_at") || name.ends_with("since") => {
                Some(format!(" {name}{}", if *value == INSTANT { "" } else { "?" }))
            }
            value => Some(format!(" {name}={}", value.as_str().unwrap_or_default())),
        });
        write!(f, "{}->{:?}{}", self.status.as_str(), self.next, facts.collect::<String>())
    }
}

/// A transition of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    Accepted,
    NotAccepted,
    Paid,
    Declined,
    Confirmed,
    Refused,
    NotYet,
    Cancelling,
    Granted,
    TooLate,
    PaymentUnknown,
    Refunded,
    RefundNotFound(Item),
    Completed,
    Published(Item),
    SettledByHand,
    Replaced,
    /// Time passes; no transition of the product.
    Aged,
    /// A fault: a payment after the decision to fail is ignored.
    PaidInTime,
    /// A fault: a "yes" to the delivery counts although it is being cancelled.
    ConfirmedLate,
}

impl Transition {
    fn of(self, order: &Order) -> Option<Order> {
        let now = *NOW;
        match self {
            Self::Accepted => order.accepted(now),
            Self::NotAccepted => recovery::not_accepted(order, now),
            Self::Paid => steps::charged(order, &Charge::Paid, now),
            Self::Declined => steps::charged(order, &Charge::Declined("no money".into()), now),
            Self::Confirmed => steps::answered(order, &Delivery::Confirmed, LIMIT, now),
            Self::Refused => steps::answered(order, &Delivery::Refused("closed".into()), LIMIT, now),
            Self::NotYet => steps::answered(order, &Delivery::NotYet, LIMIT, now),
            Self::Cancelling => order.cancelling(now),
            Self::Granted => steps::cancelled(order, Cancellation::Granted, now),
            Self::TooLate => steps::cancelled(order, Cancellation::TooLate, now),
            Self::PaymentUnknown => order.payment_unknown(now),
            Self::Refunded => order.refunded(now),
            Self::RefundNotFound(asked) => order.refund_not_found(&asked.order, now),
            Self::Completed => order.completed(now),
            Self::Published(published) => order.published(&published.order, now),
            Self::SettledByHand => order.settled_by_hand(now),
            Self::Replaced => {
                let content = shared::fixtures::content(4);
                order.replaced(&content, shared::fixtures::euros(40), &shared::order::Expected::Any, now).ok()
            }
            Self::Aged => Some(order.clone()),
            Self::PaidInTime => {
                order.paid(now).filter(|after| after.status() == OrderStatus::Pending && after.refund().is_none())
            }
            Self::ConfirmedLate => order.delivered(now).or_else(|| order.too_late_to_cancel(now)),
        }
    }
}

#[derive(Default)]
struct Items {
    items: HashMap<Order, Item>,
    made: HashMap<(Item, Transition), Option<Item>>,
}

static ITEMS: LazyLock<RwLock<Items>> = LazyLock::new(RwLock::default);

impl Item {
    /// The order as it is submitted.
    pub fn submitted() -> Self {
        let order = json!({
            "user_id": "Ann", "restaurant_id": "Restaurant 3", "quantity": "3",
            "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "created_at": INSTANT, "order_status": "PENDING",
            "updated_at": INSTANT, "version": 1, "processing": "workflow", "total": shared::fixtures::euros(30),
        });
        Self::new(&serde_json::from_value(order).unwrap(), false)
    }

    /// The item after a transition; none if it stays as it is.
    pub fn after(self, transition: Transition) -> Option<Self> {
        if let Some(made) = ITEMS.read().unwrap().made.get(&(self, transition)) {
            return *made;
        }
        let after = transition.of(&self.order).map(|order| Self::new(&order, transition == Transition::Aged));
        ITEMS.write().unwrap().made.insert((self, transition), after);
        after
    }

    fn new(order: &Order, aged: bool) -> Self {
        let order = canonical(order, aged);
        let mut items = ITEMS.write().unwrap();
        if let Some(item) = items.items.get(&order) {
            return *item;
        }
        let number = u16::try_from(items.items.len()).unwrap();
        let item = Self(Box::leak(Box::new(Known {
            number,
            next: order.next(),
            status: order.status(),
            refund: order.refund(),
            is_paid: order.paid_at().is_some(),
            is_unsettled: order.is_unsettled(),
            amount: u16::try_from(order.total().map_or(0, |Money { amount, .. }| amount)).unwrap(),
            order: order.clone(),
        })));
        items.items.insert(order, item);
        item
    }
}

fn stored(order: &Order) -> Value {
    serde_json::to_value(OrderForm::stored(order)).unwrap()
}

fn canonical(order: &Order, aged: bool) -> Order {
    let mut form = stored(order);
    let fields = form.as_object_mut().unwrap();
    let is_paid = fields["order_status"] == "PENDING"
        && fields.contains_key("paid_at")
        && !["delivered_at", "cancelling_since", "failing_since"].iter().any(|name| fields.contains_key(*name));
    for (name, value) in fields.iter_mut() {
        match name.as_str() {
            // Limits are counted from these.
            "paid_at" if is_paid => {}
            "cancelling_since" | "failing_since" => {}
            "created_at" | "updated_at" | "accepted_at" | "paid_at" | "delivered_at" | "completed_at" => {
                *value = json!(*NOW);
                continue;
            }
            "error_message" => {
                *value = json!("a reason");
                continue;
            }
            "version" => {
                *value = json!(1);
                continue;
            }
            _ => continue,
        }
        if aged {
            *value = json!(*OLD);
        }
    }
    let form: OrderForm = serde_json::from_value(form).unwrap();
    Order::try_from(form).unwrap()
}
