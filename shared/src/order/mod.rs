//! An order: its fields, its life and its form.

mod content;
mod fields;
mod form;
mod life;

use serde::{Deserialize, Serialize};

pub use content::{OrderContent, Quantity, RestaurantId};
pub(crate) use fields::is_text;
pub use fields::{Invalid, OrderId, OrderStatus, Processing, Timestamp, UserId, Version};
pub use form::OrderForm;
pub use life::{CANCELLATION_LIMIT, Refund, Refusal, Step};

use crate::money::Money;
use life::Life;

/// Key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// Owner of the order.
    pub user_id: UserId,
    /// Id of the order.
    pub id: OrderId,
}

/// An order. Its fields are private: it is made by [`Order::new`] or by parsing, and changed only by the transitions of
/// its life, so an impossible order can't be built.
///
/// `Serialize` writes its wire form, `Deserialize` reads it. See [`OrderForm`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "OrderForm", into = "OrderForm")]
pub struct Order {
    key: OrderKey,
    content: OrderContent,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: Version,
    /// Price of the order. Orders of releases without prices have none.
    total: Option<Money>,
    life: Life,
}

impl Order {
    /// A new order, made at that instant.
    #[must_use]
    pub fn new(user_id: UserId, content: OrderContent, total: Money, processing: Processing, now: Timestamp) -> Self {
        Self {
            key: OrderKey { user_id, id: OrderId::new(now) },
            content,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
            total: Some(total),
            life: match processing {
                Processing::None => Life::Recorded,
                Processing::Workflow => Life::Submitted,
            },
        }
    }

    /// Key of the order.
    #[must_use]
    pub fn key(&self) -> &OrderKey {
        &self.key
    }

    /// Id of the order.
    #[must_use]
    pub fn id(&self) -> OrderId {
        self.key.id
    }

    /// Owner of the order.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.key.user_id
    }

    /// Part of the order that a client sets.
    #[must_use]
    pub fn content(&self) -> &OrderContent {
        &self.content
    }

    /// Instant of the last write.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Version of the order.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Price of the order.
    #[must_use]
    pub fn total(&self) -> Option<Money> {
        self.total
    }

    /// The order after a write at that instant, with that life.
    fn written(&self, life: Life, now: Timestamp) -> Self {
        Self { life, updated_at: now, version: self.version.next(), ..self.clone() }
    }
}

/// Versions of an order that a write expects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Any version.
    Any,
    /// One of these; an empty list matches no order.
    OneOf(Vec<Version>),
    /// Any but these.
    NoneOf(Vec<Version>),
}

impl Expected {
    /// Number of versions that can be named at once: DynamoDB's limit for `IN`.
    pub const MAX: usize = 100;

    /// Returns true if that version is expected.
    #[must_use]
    pub fn matches(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
            Self::NoneOf(versions) => !versions.contains(&version),
        }
    }

    /// The versions that both expect.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, expected) | (expected, Self::Any) => expected,
            (Self::OneOf(mut versions), expected) | (expected, Self::OneOf(mut versions)) => {
                versions.retain(|version| expected.matches(*version));
                Self::OneOf(versions)
            }
            (Self::NoneOf(mut versions), Self::NoneOf(others)) => {
                versions.extend(others);
                Self::NoneOf(versions)
            }
        }
    }
}
