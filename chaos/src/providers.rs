//! The payment provider and the restaurants, by their contract (`docs/providers.md`). What each decides about an order
//! follows from the seed and the order's restaurant; the first orders have a fixed kind. They keep an account for each
//! order.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

use crate::evidence::{Kind, fixed, number_of};
use crate::seed::Seed;

/// What the providers know of an order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// The order's restaurant in the latest request.
    pub restaurant: String,
    /// Sum of all charges, in minor units.
    pub taken: i64,
    /// Sum of all refunds.
    pub given_back: i64,
    /// Deliveries that the restaurant makes.
    pub deliveries: u32,
    /// A cancellation was granted.
    pub is_cancelled: bool,
    /// Number of requests.
    pub requests: u32,
    /// Requests that break the contract.
    pub complaints: Vec<String>,
}

/// The account, and what the providers remember to answer by the contract.
#[derive(Debug, Default)]
struct Book {
    account: Account,
    /// A refund keeps any charge from being taken.
    is_closed: bool,
    /// Times that the delivery was answered "not yet".
    undecided: u32,
    /// Bodies and final answers, by the key of the request.
    bodies: HashMap<String, String>,
    answers: HashMap<String, u16>,
}

/// Both providers.
#[derive(Debug)]
pub struct Providers {
    seed: Seed,
    /// The key by which the payment provider knows the stack.
    pub payment_key: String,
    /// The key by which the restaurants know it.
    pub restaurant_key: String,
    books: Mutex<BTreeMap<String, Book>>,
}

impl Providers {
    /// Providers with keys of this run.
    pub fn new(seed: Seed) -> Self {
        let key = || format!("key-{}", Uuid::new_v4());
        Self { seed, payment_key: key(), restaurant_key: key(), books: Mutex::default() }
    }

    /// All accounts, by the orders' ids.
    pub fn accounts(&self) -> BTreeMap<String, Account> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.iter().map(|(id, book)| (id.clone(), book.account.clone())).collect()
    }

    /// Carries out a request, and returns the status of its answer.
    pub fn carry_out(&self, kind: &str, headers: &HeaderMap, body: &[u8]) -> u16 {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = if matches!(kind, "charges" | "refunds") { &self.payment_key } else { &self.restaurant_key };
        if header("authorization") != format!("Bearer {key}") {
            return 401;
        }
        let Ok(request) = serde_json::from_slice::<Value>(body) else { return 400 };
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let book = books.entry(text("order_id")).or_default();
        book.account.restaurant = text("restaurant_id");
        book.account.requests += 1;
        let amount = request["total"]["amount"].as_i64().unwrap_or_default();
        book.answer(self.seed, kind, &text("order_id"), header("idempotency-key"), (body, amount))
    }
}

impl Book {
    fn answer(&mut self, seed: Seed, kind: &str, order: &str, key: &str, (body, amount): (&[u8], i64)) -> u16 {
        let suffix = match kind {
            "charges" => "charge",
            "refunds" => "refund",
            "deliveries" => "delivery",
            "cancellations" => "cancellation",
            _ => return 404,
        };
        if key != format!("{order}:{suffix}") {
            self.account.complaints.push(format!("{kind} came with the key {key}"));
        }
        let body = String::from_utf8_lossy(body).into_owned();
        if *self.bodies.entry(key.to_owned()).or_insert_with(|| body.clone()) != body {
            self.account.complaints.push(format!("{kind} came again with another body: {body}"));
        }
        if let Some(answer) = self.answers.get(key) {
            return *answer;
        }
        let restaurant = self.account.restaurant.clone();
        let kind_of_order = number_of(&restaurant).and_then(fixed);
        // What is drawn for an order of a fixed kind makes it one: 0 refuses it, and 0.5 lets it pass.
        let drawn = |about: &str| match kind_of_order {
            Some(Kind::Refused) if about == "refuse" => 0.0,
            Some(_) => 0.5,
            None => seed.draw(format_args!("{about}/{restaurant}"), 0),
        };
        let status = match kind {
            "charges" if self.is_closed || drawn("decline") < 0.12 => 402,
            "charges" => {
                self.account.taken += amount;
                201
            }
            "refunds" => {
                self.account.given_back = self.account.taken;
                self.is_closed = true;
                201
            }
            "deliveries" if self.account.is_cancelled => 422,
            "deliveries" if self.undecided < patience(drawn("patience")) => {
                self.undecided += 1;
                return 202;
            }
            "deliveries" if drawn("refuse") < 0.12 => 422,
            "deliveries" => {
                self.account.deliveries += 1;
                201
            }
            "cancellations" if self.account.deliveries > 0 => 422,
            // Too late: the restaurant decides when it is asked to cancel.
            "cancellations" if self.undecided > 0 && drawn("too late") < 0.3 => {
                self.account.deliveries += 1;
                // The delivery has its answer, too.
                self.answers.insert(format!("{order}:delivery"), 201);
                422
            }
            _ => {
                self.account.is_cancelled = true;
                201
            }
        };
        self.answers.insert(key.to_owned(), status);
        status
    }
}

/// Times that a restaurant answers "not yet": often none, sometimes some, rarely for ever.
fn patience(drawn: f64) -> u32 {
    match drawn {
        _ if drawn < 0.80 => 0,
        _ if drawn < 0.97 => 2,
        _ => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(providers: &Providers, kind: &str, restaurant: &str, suffix: &str) -> u16 {
        let mut headers = HeaderMap::new();
        let is_payment = matches!(kind, "charges" | "refunds");
        let key = if is_payment { &providers.payment_key } else { &providers.restaurant_key };
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
        headers.insert("idempotency-key", format!("{restaurant}:{suffix}").parse().unwrap());
        let body = format!(
            r#"{{"order_id":"{restaurant}","restaurant_id":"{restaurant}","total":{{"amount":3000,"currency":"EUR"}}}}"#
        );
        providers.carry_out(kind, &headers, body.as_bytes())
    }

    #[test]
    fn they_keep_the_contract() {
        let providers = Providers::new(Seed(3));
        let names: Vec<_> = (0..200).map(|n| format!("R{n}")).collect();
        let mut seen = Vec::new();
        for name in &names {
            let charged = ask(&providers, "charges", name, "charge");
            assert_eq!(ask(&providers, "charges", name, "charge"), charged, "the first answer again");
            let mut delivered = 202;
            for _ in 0..4 {
                if delivered == 202 {
                    delivered = ask(&providers, "deliveries", name, "delivery");
                }
            }
            let cancelled = ask(&providers, "cancellations", name, "cancellation");
            let after = ask(&providers, "deliveries", name, "delivery");
            assert_eq!(ask(&providers, "refunds", name, "refund"), 201);
            let account = providers.accounts().remove(name).unwrap();
            assert_eq!(account.taken, if charged == 201 { 3000 } else { 0 });
            assert_eq!(account.given_back, account.taken);
            assert_eq!(account.deliveries == 1, cancelled == 422, "delivered or cancelled, and never both");
            assert_eq!(after == 201, account.deliveries == 1);
            assert!(account.complaints.is_empty());
            seen.extend([charged, delivered, cancelled + 1000]);
        }
        assert!([201, 402, 202, 422, 1201, 1422].iter().all(|status| seen.contains(status)), "each outcome comes");
        // The first orders have a fixed kind, whatever the seed.
        for number in 0..9 {
            let name = format!("Restaurant {number}, moved 1");
            let delivered = if fixed(number) == Some(Kind::Refused) { 422 } else { 201 };
            assert_eq!(ask(&providers, "charges", &name, "charge"), 201);
            assert_eq!(ask(&providers, "deliveries", &name, "delivery"), delivered);
        }
        // A refund comes first: the charge is refused.
        ask(&providers, "refunds", "first", "refund");
        assert_eq!(ask(&providers, "charges", "first", "charge"), 402);
        // A second key is another charge, and a complaint.
        let paid = names.iter().find(|name| providers.accounts()[*name].taken > 0).unwrap();
        let providers = Providers::new(Seed(3));
        ask(&providers, "charges", paid, "charge");
        ask(&providers, "charges", paid, "charge-again");
        let account = providers.accounts().remove(paid).unwrap();
        assert_eq!((account.taken, account.complaints.len()), (6000, 1));
    }
}
