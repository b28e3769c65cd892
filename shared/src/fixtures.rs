//! Values that the tests of several modules start from.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test with an invalid value has failed")]

use crate::money::Money;
use crate::order::{Order, OrderContent, OrderKey, Processing, Timestamp, UserId};

/// A user of that name.
#[must_use]
pub fn user_id(name: &str) -> UserId {
    name.to_owned().try_into().unwrap()
}

/// A key of an order of that user.
#[must_use]
pub fn key(user: &str) -> OrderKey {
    OrderKey { user_id: user_id(user), id: "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1".to_owned().try_into().unwrap() }
}

/// An order's content with that quantity, and with every other field.
#[must_use]
pub fn content(quantity: u64) -> OrderContent {
    OrderContent { quantity: quantity.try_into().unwrap(), ..OrderContent::example() }
}

/// A new order of Ann's that goes through the workflow, with a quantity of 3.
#[must_use]
pub fn order() -> Order {
    new_order("Ann", Processing::Workflow)
}

/// A new order of that user, with a quantity of 3.
#[must_use]
pub fn new_order(user: &str, processing: Processing) -> Order {
    Order::new(user_id(user), content(3), euros(30), processing, Timestamp::now())
}

/// An amount in euros.
#[must_use]
pub fn euros(amount: u64) -> Money {
    Money { amount: 100 * amount, currency: "EUR".to_owned().try_into().unwrap() }
}
