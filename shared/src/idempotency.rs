//! Operations that are carried out once, even if they are requested twice: `Idempotency-Key`
//! (`draft-ietf-httpapi-idempotency-key-header`), and the saving of a submitted order.
//!
//! The first request saves an idempotency record with its answer, in one transaction with the order, or before it sends
//! the order to the queue. So both are there or neither, wherever the function is cut off. A repeat of the request gets
//! that answer; another request with the same key gets an error. The request's fingerprint is of the body's bytes: that
//! needs no rule about which bodies mean the same.

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::order::{Invalid, OrderKey, Processing, Timestamp};

/// Lifetime of the record of a creation by PUT, in seconds.
pub const LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// Lifetime of the records of a submitted order, in seconds. Step Functions remembers the names of executions as long, and
/// a message may stay in the queue and its dead-letter queue for weeks: a repeat of its request must find the record.
const WORKFLOW_LIFETIME_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Name that a client gives to one creation: 1 to 255 visible ASCII characters, taken as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl TryFrom<&[u8]> for IdempotencyKey {
    type Error = Invalid;

    fn try_from(value: &[u8]) -> Result<Self, Invalid> {
        match std::str::from_utf8(value) {
            Ok(text) if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Invalid::new("must be 1 to 255 visible ASCII characters")),
        }
    }
}

/// An operation that is carried out once. It determines the key of its idempotency record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    record_id: String,
    fingerprint: String,
    lifetime_seconds: i64,
}

impl Operation {
    /// The request of that caller for `route` with that body, to create an order with that processing. Each caller has
    /// their own keys. The record reveals neither the key nor the body.
    #[must_use]
    pub fn request(caller: &str, key: &IdempotencyKey, route: &str, body: &[u8], processing: Processing) -> Self {
        Self {
            record_id: digest(&[caller.as_bytes(), key.0.as_bytes()]),
            fingerprint: digest(&[route.as_bytes(), body]),
            lifetime_seconds: match processing {
                Processing::None => LIFETIME_SECONDS,
                Processing::Workflow => WORKFLOW_LIFETIME_SECONDS,
            },
        }
    }

    /// Saving a submitted order. The digest is of three parts, a client's of two, so no client's key can match this record.
    #[must_use]
    pub fn save(order: &OrderKey) -> Self {
        let id = digest(&[b"saved", order.user_id.as_str().as_bytes(), order.id.to_string().as_bytes()]);
        Self { record_id: id.clone(), fingerprint: id, lifetime_seconds: WORKFLOW_LIFETIME_SECONDS }
    }

    /// Key of the operation's record in the table.
    #[must_use]
    pub fn record_id(&self) -> &str {
        &self.record_id
    }

    /// The record that keeps `answer` from now on.
    #[must_use]
    pub fn record<A>(&self, answer: A, now: Timestamp) -> IdempotencyRecord<A> {
        let Self { record_id: id, fingerprint, lifetime_seconds } = self.clone();
        IdempotencyRecord { id, fingerprint, answer, expires_at: now.epoch_seconds() + lifetime_seconds }
    }
}

/// An idempotency record, as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord<A> {
    /// Key of the record: a digest of the caller and the key.
    pub id: String,
    /// Digest of the request.
    pub fingerprint: String,
    /// The first answer.
    pub answer: A,
    /// Instant from which it can be deleted, in seconds since 1970: the table's TTL attribute.
    pub expires_at: i64,
}

impl<A> IdempotencyRecord<A> {
    /// Returns true if the record belongs to the operation.
    #[must_use]
    pub fn is_of(&self, operation: &Operation) -> bool {
        self.id == operation.record_id && self.fingerprint == operation.fingerprint
    }
}

/// Digest of a list of parts; no other list has the same.
fn digest(parts: &[&[u8]]) -> String {
    let sha =
        parts.iter().fold(Sha256::new(), |sha, part| sha.chain_update(part.len().to_be_bytes()).chain_update(part));
    URL_SAFE_NO_PAD.encode_to_string(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::try_from(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        for good in ["x", "!\"~", "8e03978e-40d5-43dd-bc93-6894a57f9324", &"k".repeat(255)] {
            assert_eq!(key(good).0, good);
        }
        for bad in ["", " ", "a b", "a\tb", "é", "\u{7f}", &"k".repeat(256)] {
            assert!(IdempotencyKey::try_from(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_record_of_put_lives_a_day_and_one_of_a_submitted_order_90_days() {
        let now = Timestamp::now();
        let days =
            |operation: &Operation| (operation.record((), now).expires_at - now.epoch_seconds()) / (24 * 60 * 60);
        let request = |processing| Operation::request("Ann", &key("k"), "/orders", b"{}", processing);
        assert_eq!((days(&request(Processing::None)), days(&request(Processing::Workflow))), (1, 90));
        assert_eq!(days(&Operation::save(&crate::fixtures::key("Ann"))), 90);
    }

    #[test]
    fn a_record_is_of_one_callers_one_request() {
        let request = Operation::request("Ann", &key("k"), "PUT /orders", b"{}", Processing::None);
        let record = request.record((), Timestamp::now());
        assert!(record.is_of(&request));
        for other in [
            Operation::request("Bob", &key("k"), "PUT /orders", b"{}", Processing::None),
            Operation::request("An", &key("nk"), "PUT /orders", b"{}", Processing::None),
            Operation::request("Ann", &key("l"), "PUT /orders", b"{}", Processing::None),
            Operation::request("Ann", &key("k"), "POST /orders", b"{}", Processing::None),
            Operation::request("Ann", &key("k"), "PUT /orders", b"{ }", Processing::None),
        ] {
            assert!(!record.is_of(&other), "{other:?}");
        }
    }
}
