//! Evidence of a run: the sources that the checker compares.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::providers::Account;

/// Kind of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `PUT /orders`.
    Create,
    /// `POST /orders`.
    Submit,
    /// `PUT` to an order.
    Change,
    /// `DELETE` of an order.
    Delete,
    /// `GET` of an order.
    Read,
}

/// A client's request and its answer: a line of a client's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Number of the order that the client wants; it is in the name of the order's restaurant.
    pub number: u64,
    /// Kind of the request.
    pub operation: Operation,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// `user_id` in its body or its path.
    pub user: String,
    /// `restaurant_id` in its body.
    pub restaurant: Option<String>,
    /// `quantity` in its body.
    pub quantity: Option<u64>,
    /// The version in its `If-Match`.
    pub if_match: Option<u64>,
    /// Its place in the log of all clients.
    pub sent: u64,
    /// Place of its answer.
    pub answered: u64,
    /// Status of the answer; none if there was no answer.
    pub status: Option<u16>,
    /// The answer's body.
    pub answer: Value,
}

impl Exchange {
    /// It was answered, and carried out.
    pub fn is_done(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// It was answered, and refused.
    pub fn is_refused(&self) -> bool {
        self.status.is_some_and(|status| (400..500).contains(&status))
    }

    /// It may have been carried out.
    pub fn is_open(&self) -> bool {
        !self.is_done() && !self.is_refused()
    }

    /// Version of the order in the answer.
    pub fn version(&self) -> Option<u64> {
        self.answer["version"].as_u64().filter(|_| self.is_done())
    }
}

/// The sources: the table, the API's list, the providers' accounts, the topic's messages, and the clients' logs.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Items of the orders table.
    pub table: Vec<Value>,
    /// Orders as the API lists them.
    pub listed: Vec<Value>,
    /// Accounts of the providers, by the orders' ids.
    pub accounts: BTreeMap<String, Account>,
    /// Messages of the topic.
    pub messages: Vec<Value>,
    /// Executions that are still running.
    pub running: Vec<String>,
    /// Logs of the clients.
    pub log: Vec<Exchange>,
    /// Price of a unit, in minor units.
    pub unit_price: i64,
}

/// What becomes of an order whose kind is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is created, and no more.
    Recorded,
    /// It is submitted, paid and delivered.
    Delivered,
    /// It is submitted and paid, and the restaurant refuses it.
    Refused,
}

/// Kind of the first orders, three of each, so that no run is without one. The seed decides about all others.
pub fn fixed(number: u64) -> Option<Kind> {
    match number {
        0 | 3 | 6 => Some(Kind::Recorded),
        1 | 4 | 7 => Some(Kind::Delivered),
        2 | 5 | 8 => Some(Kind::Refused),
        _ => None,
    }
}

/// The number in `Restaurant 17`, and in `Restaurant 17, moved`.
pub fn number_of(restaurant: &str) -> Option<u64> {
    let number = restaurant.strip_prefix("Restaurant ")?;
    number.split(',').next()?.parse().ok()
}

/// A text field, or nothing.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
