//! The life of an order: its states, and the transitions between them.
//!
//! ```text
//! Recorded                                       made by PUT; nothing happens to it
//!
//! Submitted -> Accepted -> Paid -> Delivered -> Success
//!     |           |         |
//!     |           +---------+----> Failing ---> Failure
//!     +---------------------------------------> Failure
//! ```
//!
//! - **A fact is recorded where it is learned.** The step that gets a provider's answer makes one transition, and saves it
//!   before it returns. So the table holds all that is known, and [`Order::next`] tells every step, the recovery and the
//!   sweep alike, how it goes on.
//! - **Both or neither.** A SUCCESS is paid and delivered. A FAILURE is not delivered, and its payment is refunded or owed.
//! - **The decision to fail is a state of its own** ([`Life::Failing`]). It is made only if nothing will be delivered: no
//!   payment is known, or the restaurant refused the order or granted the cancellation. After it no order becomes SUCCESS.
//! - **The decision to cancel is a fact, too.** From then on only the restaurant's answer to the cancellation, or a
//!   refusal of the delivery, settles the delivery. A late "yes" to the delivery does not: the answer to the cancellation
//!   says which of the two came first at the restaurant.
//! - **What is owed is written before it is requested**: `refund: OWED` is in the table before the first refund.
//! - **A transition may come late or twice**, from a process that runs beside another. It then returns none, and the order
//!   stays as it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Expected, Order, OrderContent, OrderStatus, Processing, Timestamp};
use crate::money::Money;

/// Time after the decision to cancel. From then on, a 404 to the cancellation counts as granted.
pub const CANCELLATION_LIMIT: Duration = Duration::from_hours(24);

/// Time after the decision to fail. Until then, a refund that is answered with 404 is repeated.
const REFUND_LIMIT: Duration = Duration::from_hours(24);

/// State of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Life {
    /// Made by PUT; it stays PENDING.
    Recorded,
    /// Submitted, and in its grace period.
    Submitted,
    /// Accepted; the payment is not settled.
    Accepted { accepted_at: Timestamp },
    /// Paid; the delivery is not settled. `cancelling_since` is the decision to cancel it.
    Paid { accepted_at: Timestamp, paid_at: Timestamp, cancelling_since: Option<Timestamp> },
    /// Paid and delivered.
    Delivered(Delivered),
    /// Decided to fail.
    Failing(Failing),
    /// SUCCESS. `is_published` is true once its end was published.
    Success { delivered: Delivered, completed_at: Timestamp, is_published: bool },
    /// FAILURE.
    Failure { failing: Failing, completed_at: Timestamp, published: Published },
}

/// Publication of a FAILURE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Published {
    /// It is not published.
    No,
    /// Its last publication had that refund.
    With(Option<Refund>),
}

/// Facts about an order that is paid and delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire form")]
pub(super) struct Delivered {
    pub accepted_at: Timestamp,
    pub paid_at: Timestamp,
    pub delivered_at: Timestamp,
}

/// Facts about an order that fails.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Failing {
    pub accepted_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    /// Instant of the decision to fail.
    pub since: Timestamp,
    pub reason: String,
    pub refund: Option<Refund>,
}

/// State of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Refund {
    /// Not made yet.
    Owed,
    /// Made.
    Made,
    /// Failed; an operator must make it.
    Failed,
    /// Neither the payment nor its refund is known; an operator must look at the provider's account.
    Unknown,
}

impl Refund {
    /// The state in its wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "OWED",
            Self::Made => "MADE",
            Self::Failed => "FAILED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Next step of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Step {
    /// Accept it, after its grace period.
    Accept,
    /// Take the payment.
    Charge,
    /// Send it to the restaurant.
    Deliver,
    /// Cancel the delivery.
    Cancel,
    /// Refund the payment.
    Refund,
    /// Make it final.
    Complete,
    /// Publish its end, or a change of its refund.
    Publish,
    /// Nothing is left to do automatically.
    Nothing,
}

/// Reason why a client may not change or delete an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The order is no longer PENDING.
    NotPending,
    /// The order is being paid and sent, its end is not published yet, or a refund is owed.
    InProcess,
    /// The order has another version than expected.
    Stale,
}

/// Requests of a client.
impl Order {
    /// The order with new content, if a client may change it.
    pub fn replaced(
        &self,
        content: &OrderContent,
        total: Money,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        match self.life {
            Life::Recorded | Life::Submitted if expected.matches(self.version) => {
                Ok(Self { content: content.clone(), total: Some(total), ..self.written(self.life.clone(), now) })
            }
            Life::Recorded | Life::Submitted => Err(Refusal::Stale),
            Life::Success { .. } | Life::Failure { .. } => Err(Refusal::NotPending),
            _ => Err(Refusal::InProcess),
        }
    }

    /// Checks that a client may delete the order.
    pub fn may_be_deleted(&self, expected: &Expected) -> Result<(), Refusal> {
        match self.life {
            Life::Recorded | Life::Submitted => {}
            _ if self.is_unsettled() => return Err(Refusal::InProcess),
            _ => {}
        }
        if expected.matches(self.version) { Ok(()) } else { Err(Refusal::Stale) }
    }
}

/// Transitions of the workflow. None means that the order stays as it is.
impl Order {
    /// Accepts the order. From now on no client changes or deletes it, and its total is fixed. An order without a total,
    /// of a release without prices, fails.
    #[must_use]
    pub fn accepted(&self, now: Timestamp) -> Option<Self> {
        match self.life {
            Life::Submitted if self.total.is_none() => self.not_accepted("the order has no price", now),
            Life::Submitted => Some(self.written(Life::Accepted { accepted_at: now }, now)),
            _ => None,
        }
    }

    /// Ends an order that was not accepted.
    #[must_use]
    pub fn not_accepted(&self, reason: &str, now: Timestamp) -> Option<Self> {
        let Life::Submitted = self.life else { return None };
        let failing = Failing { accepted_at: None, paid_at: None, since: now, reason: reason.into(), refund: None };
        Some(self.written(Life::Failure { failing, completed_at: now, published: Published::No }, now))
    }

    /// Records the payment. A payment that is learned after the decision to fail is owed back, unless its refund was made or
    /// has failed.
    #[must_use]
    pub fn paid(&self, now: Timestamp) -> Option<Self> {
        match &self.life {
            Life::Accepted { accepted_at } => {
                let paid = Life::Paid { accepted_at: *accepted_at, paid_at: now, cancelling_since: None };
                Some(self.written(paid, now))
            }
            _ => self.refund_changed(now, |failing| {
                let refund = match failing.refund {
                    None | Some(Refund::Unknown) => Some(Refund::Owed),
                    settled => settled,
                };
                failing.paid_at.is_none().then(|| Failing { paid_at: Some(now), refund, ..failing.clone() })
            }),
        }
    }

    /// Decides to fail, because the payment was declined.
    #[must_use]
    pub fn declined(&self, reason: &str, now: Timestamp) -> Option<Self> {
        let Life::Accepted { .. } = self.life else { return None };
        Some(self.failing(format!("the payment was declined: {reason}"), None, now))
    }

    /// Decides to fail, because it is not known whether the payment was made.
    #[must_use]
    pub fn payment_unknown(&self, now: Timestamp) -> Option<Self> {
        let Life::Accepted { .. } = self.life else { return None };
        Some(self.failing("it is not known whether the payment was made".into(), Some(Refund::Owed), now))
    }

    /// Records the delivery, unless it is being cancelled.
    #[must_use]
    pub fn delivered(&self, now: Timestamp) -> Option<Self> {
        match self.life {
            Life::Paid { accepted_at, paid_at, cancelling_since: None } => {
                Some(self.written(Life::Delivered(Delivered { accepted_at, paid_at, delivered_at: now }), now))
            }
            _ => None,
        }
    }

    /// Decides to fail, because the restaurant refused the order.
    #[must_use]
    pub fn refused(&self, reason: &str, now: Timestamp) -> Option<Self> {
        let Life::Paid { .. } = self.life else { return None };
        Some(self.failing(format!("the restaurant refused: {reason}"), Some(Refund::Owed), now))
    }

    /// Decides to cancel the delivery, because the restaurant has not confirmed it within `limit` from the payment.
    #[must_use]
    pub fn not_delivered_yet(&self, limit: Duration, now: Timestamp) -> Option<Self> {
        let is_over = matches!(self.life, Life::Paid { paid_at, .. } if now.since(paid_at) >= limit);
        is_over.then(|| self.cancelling(now)).flatten()
    }

    /// Decides to cancel the delivery.
    #[must_use]
    pub fn cancelling(&self, now: Timestamp) -> Option<Self> {
        match self.life {
            Life::Paid { accepted_at, paid_at, cancelling_since: None } => {
                Some(self.written(Life::Paid { accepted_at, paid_at, cancelling_since: Some(now) }, now))
            }
            _ => None,
        }
    }

    /// Decides to fail, because the restaurant granted the cancellation.
    #[must_use]
    pub fn cancelled(&self, now: Timestamp) -> Option<Self> {
        let Life::Paid { cancelling_since: Some(_), .. } = self.life else { return None };
        Some(self.failing("the restaurant did not confirm the order".into(), Some(Refund::Owed), now))
    }

    /// Returns true if a 404 to the cancellation counts as granted.
    #[must_use]
    pub fn is_cancellation_overdue(&self, now: Timestamp) -> bool {
        matches!(self.life, Life::Paid { cancelling_since: Some(since), .. } if now.since(since) >= CANCELLATION_LIMIT)
    }

    /// Records the delivery, because it is too late to cancel it.
    #[must_use]
    pub fn too_late_to_cancel(&self, now: Timestamp) -> Option<Self> {
        match self.life {
            Life::Paid { accepted_at, paid_at, cancelling_since: Some(_) } => {
                Some(self.written(Life::Delivered(Delivered { accepted_at, paid_at, delivered_at: now }), now))
            }
            _ => None,
        }
    }

    /// Records the refund.
    #[must_use]
    pub fn refunded(&self, now: Timestamp) -> Option<Self> {
        self.refund_changed(now, |failing| {
            let is_owed = matches!(failing.refund, Some(Refund::Owed | Refund::Failed | Refund::Unknown));
            is_owed.then(|| Failing { refund: Some(Refund::Made), ..failing.clone() })
        })
    }

    /// Gives up a refund that the provider has answered with 404 for too long. `asked` is the order as it was when the
    /// refund was requested: its payment was known by then, or not.
    #[must_use]
    pub fn refund_not_found(&self, asked: &Self, now: Timestamp) -> Option<Self> {
        let given_up = if asked.paid_at().is_some() { Refund::Failed } else { Refund::Unknown };
        self.refund_changed(now, |failing| {
            let is_due = failing.refund == Some(Refund::Owed) && now.since(failing.since) >= REFUND_LIMIT;
            is_due.then(|| Failing { refund: Some(given_up), ..failing.clone() })
        })
    }

    /// Records the refund that an operator made by hand.
    #[must_use]
    pub fn settled_by_hand(&self, now: Timestamp) -> Option<Self> {
        match &self.life {
            Life::Failure { failing: Failing { refund: Some(Refund::Failed | Refund::Unknown), .. }, .. } => {
                self.refunded(now)
            }
            _ => None,
        }
    }

    /// Makes the order final: SUCCESS if it is delivered, FAILURE if that was decided.
    #[must_use]
    pub fn completed(&self, now: Timestamp) -> Option<Self> {
        match self.life.clone() {
            Life::Delivered(delivered) => {
                Some(self.written(Life::Success { delivered, completed_at: now, is_published: false }, now))
            }
            Life::Failing(failing) => {
                Some(self.written(Life::Failure { failing, completed_at: now, published: Published::No }, now))
            }
            _ => None,
        }
    }

    /// Records that `published` was published.
    #[must_use]
    pub fn published(&self, published: &Self, now: Timestamp) -> Option<Self> {
        match (&self.life, &published.life) {
            (Life::Success { delivered, completed_at, is_published: false }, _) => {
                let life = Life::Success { delivered: *delivered, completed_at: *completed_at, is_published: true };
                Some(self.written(life, now))
            }
            (Life::Failure { failing, completed_at, published: before }, Life::Failure { failing: told, .. })
                if *before != Published::With(told.refund) =>
            {
                let (failing, completed_at) = (failing.clone(), *completed_at);
                Some(
                    self.written(Life::Failure { failing, completed_at, published: Published::With(told.refund) }, now),
                )
            }
            _ => None,
        }
    }

    fn failing(&self, reason: String, refund: Option<Refund>, now: Timestamp) -> Self {
        let (accepted_at, paid_at) = (self.accepted_at(), self.paid_at());
        self.written(Life::Failing(Failing { accepted_at, paid_at, since: now, reason, refund }), now)
    }

    fn refund_changed(&self, now: Timestamp, change: impl FnOnce(&Failing) -> Option<Failing>) -> Option<Self> {
        let life = match &self.life {
            Life::Failing(failing) => Life::Failing(change(failing)?),
            Life::Failure { failing, completed_at, published } => {
                Life::Failure { failing: change(failing)?, completed_at: *completed_at, published: *published }
            }
            _ => return None,
        };
        Some(self.written(life, now))
    }
}

/// Questions about the life of an order.
impl Order {
    /// The next step. A step asks its provider only if it is the next one.
    #[must_use]
    pub fn next(&self) -> Step {
        match &self.life {
            Life::Submitted => Step::Accept,
            Life::Accepted { .. } => Step::Charge,
            Life::Paid { cancelling_since: None, .. } => Step::Deliver,
            Life::Paid { cancelling_since: Some(_), .. } => Step::Cancel,
            Life::Failing(Failing { refund: Some(Refund::Owed), .. }) => Step::Refund,
            Life::Delivered(_) | Life::Failing(_) => Step::Complete,
            Life::Success { is_published: false, .. } => Step::Publish,
            Life::Failure { failing, published, .. } if *published != Published::With(failing.refund) => Step::Publish,
            Life::Failure { failing: Failing { refund: Some(Refund::Owed), .. }, .. } => Step::Refund,
            Life::Recorded | Life::Success { .. } | Life::Failure { .. } => Step::Nothing,
        }
    }

    /// Returns true if something is left to do, automatically or by an operator. Such an order is in the index, and can't be
    /// deleted except in its grace period.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        match &self.life {
            Life::Recorded => false,
            Life::Failure { failing: Failing { refund: Some(Refund::Failed | Refund::Unknown), .. }, .. } => true,
            _ => self.next() != Step::Nothing,
        }
    }

    /// Status of the order.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        match self.life {
            Life::Success { .. } => OrderStatus::Success,
            Life::Failure { .. } => OrderStatus::Failure,
            _ => OrderStatus::Pending,
        }
    }

    /// Returns true if the order is SUCCESS or FAILURE.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.status() != OrderStatus::Pending
    }

    /// Automatic processing of the order.
    #[must_use]
    pub fn processing(&self) -> Processing {
        match self.life {
            Life::Recorded => Processing::None,
            _ => Processing::Workflow,
        }
    }

    /// Instant of the acceptance.
    #[must_use]
    pub fn accepted_at(&self) -> Option<Timestamp> {
        match &self.life {
            Life::Recorded | Life::Submitted => None,
            Life::Accepted { accepted_at } | Life::Paid { accepted_at, .. } => Some(*accepted_at),
            Life::Delivered(delivered) | Life::Success { delivered, .. } => Some(delivered.accepted_at),
            Life::Failing(failing) | Life::Failure { failing, .. } => failing.accepted_at,
        }
    }

    /// Instant at which the payment was learned.
    #[must_use]
    pub fn paid_at(&self) -> Option<Timestamp> {
        match &self.life {
            Life::Recorded | Life::Submitted | Life::Accepted { .. } => None,
            Life::Paid { paid_at, .. } => Some(*paid_at),
            Life::Delivered(delivered) | Life::Success { delivered, .. } => Some(delivered.paid_at),
            Life::Failing(failing) | Life::Failure { failing, .. } => failing.paid_at,
        }
    }

    /// State of the refund; none where nothing is or was owed.
    #[must_use]
    pub fn refund(&self) -> Option<Refund> {
        match &self.life {
            Life::Failing(failing) | Life::Failure { failing, .. } => failing.refund,
            _ => None,
        }
    }

    /// Last part of the id of the message that publishes the order: its status, and for a change of the refund after the
    /// end, the refund.
    #[must_use]
    pub fn news(&self) -> Option<String> {
        match &self.life {
            Life::Success { .. } => Some("SUCCESS".into()),
            Life::Failure { published: Published::No, .. } => Some("FAILURE".into()),
            Life::Failure { failing, .. } => Some(format!("FAILURE:{}", failing.refund.map_or("NONE", Refund::as_str))),
            _ => None,
        }
    }
}
