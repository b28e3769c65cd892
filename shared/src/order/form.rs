use serde::{Deserialize, Serialize};

use super::life::{Delivered, Failing, Life, Published, Refund};
use super::{
    Invalid, Order, OrderContent, OrderId, OrderKey, OrderStatus, Processing, Quantity, RestaurantId, Timestamp,
    UserId, Version,
};
use crate::money::Money;

/// Form of an order on the wire and in the table. The first six fields stand on the wire in this order; more may follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    as = Order, description = "An order. The first six fields stand on the wire in this order; more may follow."
))]
pub struct OrderForm {
    /// Owner of the order.
    user_id: UserId,
    /// Restaurant of the order.
    restaurant_id: RestaurantId,
    /// Quantity of the order.
    quantity: Quantity,
    /// Id of the order.
    id: OrderId,
    /// Instant at which the order was made.
    created_at: Timestamp,
    /// Status of the order.
    order_status: OrderStatus,
    /// Instant of the last write.
    updated_at: Timestamp,
    /// Number of writes.
    version: Version,
    /// Automatic processing of the order.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    processing: Processing,
    /// Price of the order. Orders made before prices were introduced have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    total: Option<Money>,
    /// Instant of the acceptance. From then on the order can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    accepted_at: Option<Timestamp>,
    /// Instant of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    paid_at: Option<Timestamp>,
    /// Instant at which the restaurant confirmed the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    delivered_at: Option<Timestamp>,
    /// Instant at which the order became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    completed_at: Option<Timestamp>,
    /// Reason of a FAILURE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    error_message: Option<String>,
    /// State of the refund of an order that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    refund: Option<Refund>,
    /// In the table only: instant of the decision to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    failing_since: Option<Timestamp>,
    /// In the table only: instant of the decision to cancel the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    cancelling_since: Option<Timestamp>,
    /// In the table only: the end that was published last, `SUCCESS`, `FAILURE` or `FAILURE:{refund}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    published: Option<String>,
    /// In the table only: partition of the index of orders that are not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    unsettled: Option<String>,
}

impl OrderForm {
    /// Fields that the server sets. A client may send them, so that an order can be sent back as it was received; they are
    /// ignored.
    pub const SERVER_FIELDS: [&str; 13] = [
        "id",
        "created_at",
        "order_status",
        "updated_at",
        "version",
        "processing",
        "total",
        "accepted_at",
        "paid_at",
        "delivered_at",
        "completed_at",
        "error_message",
        "refund",
    ];

    /// Partitions of the index of orders that are not settled: the last digit of an id.
    pub const PARTITIONS: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

    /// Partition of an order in that index.
    #[must_use]
    pub fn partition(id: OrderId) -> &'static str {
        Self::PARTITIONS[usize::try_from(id.random_bits() % 16).unwrap_or_default()]
    }

    /// Form of an order in the table.
    #[must_use]
    pub fn stored(order: &Order) -> Self {
        let mut form = Self::from(order.clone());
        match &order.life {
            Life::Paid { cancelling_since, .. } => form.cancelling_since = *cancelling_since,
            Life::Failing(failing) => {
                form.failing_since = Some(failing.since);
                form.error_message = Some(failing.reason.clone());
            }
            Life::Success { is_published, .. } => form.published = is_published.then(|| "SUCCESS".into()),
            Life::Failure { failing, published, .. } => {
                form.failing_since = Some(failing.since);
                form.published = match published {
                    Published::No => None,
                    Published::With(None) => Some("FAILURE".into()),
                    Published::With(Some(refund)) => Some(format!("FAILURE:{}", refund.as_str())),
                };
            }
            _ => {}
        }
        form.unsettled = order.is_unsettled().then(|| Self::partition(order.id()).into());
        form
    }
}

impl From<Order> for OrderForm {
    fn from(order: Order) -> Self {
        let (completed_at, error_message) = match &order.life {
            Life::Success { completed_at, .. } => (Some(*completed_at), None),
            Life::Failure { failing, completed_at, .. } => (Some(*completed_at), Some(failing.reason.clone())),
            _ => (None, None),
        };
        Self {
            order_status: order.status(),
            processing: order.processing(),
            accepted_at: order.accepted_at(),
            paid_at: order.paid_at(),
            delivered_at: match &order.life {
                Life::Delivered(delivered) | Life::Success { delivered, .. } => Some(delivered.delivered_at),
                _ => None,
            },
            completed_at,
            error_message,
            refund: order.refund(),
            failing_since: None,
            cancelling_since: None,
            published: None,
            unsettled: None,
            total: order.total,
            created_at: order.created_at,
            updated_at: order.updated_at,
            version: order.version,
            user_id: order.key.user_id,
            id: order.key.id,
            restaurant_id: order.content.restaurant_id,
            quantity: order.content.quantity,
        }
    }
}

impl TryFrom<OrderForm> for Order {
    type Error = Invalid;

    fn try_from(form: OrderForm) -> Result<Self, Invalid> {
        let life = life(&form).filter(|life| fits(life, &form));
        let life = life.ok_or(Invalid::new("the fields of an order contradict each other"))?;
        Ok(Self {
            key: OrderKey { user_id: form.user_id, id: form.id },
            content: OrderContent { restaurant_id: form.restaurant_id, quantity: form.quantity },
            created_at: form.created_at,
            updated_at: form.updated_at,
            version: form.version,
            total: form.total,
            life,
        })
    }
}

/// State of an order; none if its fields contradict each other.
fn life(form: &OrderForm) -> Option<Life> {
    let OrderForm { accepted_at, paid_at, delivered_at, completed_at, refund, .. } = *form;
    match (form.order_status, form.processing) {
        (OrderStatus::Pending, Processing::None) => {
            (accepted_at.is_none() && paid_at.is_none()).then_some(Life::Recorded)
        }
        (OrderStatus::Pending, Processing::Workflow) => {
            match (form.failing_since, accepted_at, paid_at, delivered_at) {
                (Some(since), ..) => {
                    let reason = form.error_message.clone()?;
                    Some(Life::Failing(Failing { accepted_at, paid_at, since, reason, refund }))
                }
                (None, None, None, None) => Some(Life::Submitted),
                (None, Some(accepted_at), None, None) => Some(Life::Accepted { accepted_at }),
                (None, Some(accepted_at), Some(paid_at), None) => {
                    Some(Life::Paid { accepted_at, paid_at, cancelling_since: form.cancelling_since })
                }
                (None, Some(accepted_at), Some(paid_at), Some(delivered_at)) => {
                    Some(Life::Delivered(Delivered { accepted_at, paid_at, delivered_at }))
                }
                _ => None,
            }
        }
        (OrderStatus::Success, _) => {
            let (accepted_at, paid_at, completed_at) = (accepted_at?, paid_at?, completed_at?);
            // Releases without `delivered_at` completed an order as soon as it was delivered.
            let delivered = Delivered { accepted_at, paid_at, delivered_at: delivered_at.unwrap_or(completed_at) };
            // They published before they completed, and had no index.
            let is_published = match form.published.as_deref() {
                Some("SUCCESS") => true,
                Some(_) => return None,
                None => form.unsettled.is_none(),
            };
            Some(Life::Success { delivered, completed_at, is_published })
        }
        (OrderStatus::Failure, _) => {
            let completed_at = completed_at?;
            let failing = Failing {
                accepted_at,
                paid_at,
                since: form.failing_since.unwrap_or(completed_at),
                reason: form.error_message.clone()?,
                refund,
            };
            let published = match form.published.as_deref() {
                Some("FAILURE") => Published::With(None),
                Some("FAILURE:OWED") => Published::With(Some(Refund::Owed)),
                Some("FAILURE:MADE") => Published::With(Some(Refund::Made)),
                Some("FAILURE:FAILED") => Published::With(Some(Refund::Failed)),
                Some("FAILURE:UNKNOWN") => Published::With(Some(Refund::Unknown)),
                Some(_) => return None,
                None if form.unsettled.is_none() => Published::With(refund),
                None => Published::No,
            };
            Some(Life::Failure { failing, completed_at, published })
        }
    }
}

/// Whether an order has no field that its state does not have.
fn fits(life: &Life, form: &OrderForm) -> bool {
    let fails = form.failing_since.is_some() || form.error_message.is_some() || form.refund.is_some();
    let (is_delivered, is_completed) = (form.delivered_at.is_some(), form.completed_at.is_some());
    let has = [form.cancelling_since.is_some(), is_delivered, fails, is_completed, form.published.is_some()];
    let may_have = match life {
        Life::Recorded | Life::Submitted | Life::Accepted { .. } => [false, false, false, false, false],
        Life::Paid { .. } => [true, false, false, false, false],
        Life::Delivered(_) => [false, true, false, false, false],
        Life::Failing(_) => [false, false, true, false, false],
        Life::Success { .. } => [false, true, false, true, true],
        Life::Failure { .. } => [false, false, true, true, true],
    };
    has.iter().zip(may_have).all(|(has, may_have)| may_have || !has)
}
