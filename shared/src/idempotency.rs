//! How a creation that is asked for twice is done once: `Idempotency-Key`, after the IETF's
//! `draft-ietf-httpapi-idempotency-key-header`.
//!
//! The first request with a key saves a record of its answer: in one transaction with what it makes, or before it sends it
//! to the queue. Whoever comes
//! again with that key and the same request is given that answer; with another request, nothing but an error.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::order::{Invalid, OrderKey, Timestamp};

/// How long a key is remembered, in seconds.
pub const LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// How long it is remembered that a submitted order was saved, and how it ended, in seconds: as long as Step Functions
/// remembers the name of an execution.
const WORKFLOW_LIFETIME_SECONDS: i64 = 90 * 24 * 60 * 60;

/// A client's name for one creation: 1 to 255 visible ASCII characters, taken as they are.
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

/// A request with a key: which record is its own, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    id: String,
    fingerprint: String,
    lifetime_seconds: i64,
}

impl KeyedRequest {
    /// The request `operation` of that caller with that body. Keys of different callers have nothing to do with each
    /// other. Neither key nor body can be read from what is saved.
    #[must_use]
    pub fn new(caller: &str, key: &IdempotencyKey, operation: &str, body: &[u8]) -> Self {
        Self {
            id: digest(&[caller.as_bytes(), key.0.as_bytes()]),
            fingerprint: digest(&[operation.as_bytes(), body]),
            lifetime_seconds: LIFETIME_SECONDS,
        }
    }

    /// The saving of that order.
    #[must_use]
    pub fn saving(order: &OrderKey) -> Self {
        Self::of_workflow(b"saved", order)
    }

    /// The ending of that order.
    #[must_use]
    pub fn ending(order: &OrderKey) -> Self {
        Self::of_workflow(b"ended", order)
    }

    /// No client's key is like it: those are digests of two parts.
    fn of_workflow(what: &[u8], order: &OrderKey) -> Self {
        let id = digest(&[what, order.user_id.as_str().as_bytes(), order.id.to_string().as_bytes()]);
        Self { id: id.clone(), fingerprint: id, lifetime_seconds: WORKFLOW_LIFETIME_SECONDS }
    }

    /// Which record is the request's own.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The record that keeps `answer` for this request from now on.
    #[must_use]
    pub fn record<A>(&self, answer: A, now: Timestamp) -> Record<A> {
        let Self { id, fingerprint, lifetime_seconds } = self.clone();
        Record { id, fingerprint, answer, expires_at: now.epoch_seconds() + lifetime_seconds }
    }
}

/// What is remembered of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<A> {
    /// Digest of the caller and the key.
    pub id: String,
    /// Digest of the request.
    pub fingerprint: String,
    /// The first answer.
    pub answer: A,
    /// When it may be forgotten, in seconds since 1970: the table's TTL attribute.
    pub expires_at: i64,
}

impl<A> Record<A> {
    /// Whether it is the record of just that request.
    #[must_use]
    pub fn is_of(&self, request: &KeyedRequest) -> bool {
        self.id == request.id && self.fingerprint == request.fingerprint
    }
}

/// Of a list of parts; no other list has the same.
fn digest(parts: &[&[u8]]) -> String {
    let sha =
        parts.iter().fold(Sha256::new(), |sha, part| sha.chain_update(part.len().to_be_bytes()).chain_update(part));
    BASE64_URL_SAFE_NO_PAD.encode(sha.finalize())
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
    fn a_record_is_of_one_callers_one_request() {
        let request = KeyedRequest::new("Ann", &key("k"), "PUT /orders", b"{}");
        let record = request.record((), Timestamp::now());
        assert!(record.is_of(&request));
        for other in [
            KeyedRequest::new("Bob", &key("k"), "PUT /orders", b"{}"),
            KeyedRequest::new("An", &key("nk"), "PUT /orders", b"{}"),
            KeyedRequest::new("Ann", &key("l"), "PUT /orders", b"{}"),
            KeyedRequest::new("Ann", &key("k"), "POST /orders", b"{}"),
            KeyedRequest::new("Ann", &key("k"), "PUT /orders", b"{ }"),
        ] {
            assert!(!record.is_of(&other), "{other:?}");
        }
    }
}
