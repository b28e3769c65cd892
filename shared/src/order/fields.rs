//! The fields of an order, except its content. Each type is made only by parsing, so a value that exists is valid.
//!
//! Their serde form is the wire form of the API and the form in the table alike: there is one form to keep in step, and an
//! item is readable in the console.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Uuid};

/// Rule that a value breaks: a phrase that follows the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

impl Invalid {
    /// `allowed` says which values are allowed: "must be ...".
    #[must_use]
    pub const fn new(allowed: &'static str) -> Self {
        Self(allowed)
    }
}

/// Length of a name at most, in characters.
const MAX_NAME_CHARS: usize = 128;

pub(super) fn is_name(value: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&value.chars().count())
        && value.chars().all(is_text)
        && value.trim().len() == value.len()
}

/// Returns true if the table, the queue and the topic take the character: SQS refuses U+FFFE and U+FFFF (`SendMessage`,
/// Amazon SQS API Reference).
pub(crate) fn is_text(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

// The patterns of names keep to the syntax that regular expressions share: Go has no `\u`, and Go and Rust have no
// look-ahead. So the descriptions have the rules that such a pattern can't express.

/// Owner of an order. It is part of paths, so it has no character that has a meaning in a path, and it is neither `.` nor
/// `..`. It has no white space at its ends, and no U+FFFD, U+FFFE or U+FFFF.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, min_length = 1, max_length = 128, example = "Burger_2",
    pattern = r"^[^\x00-\x20\x7f-\xa0/\\%?#]([^\x00-\x1f\x7f-\x9f/\\%?#]*[^\x00-\x20\x7f-\xa0/\\%?#])?$",
))]
pub struct UserId(String);

impl UserId {
    /// The value in its wire form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        if is_name(&value) && !value.contains(['/', '\\', '%', '?', '#']) && value != "." && value != ".." {
            Ok(Self(value))
        } else {
            Err(Invalid(
                "must be 1 to 128 characters without control characters, U+FFFE, U+FFFF, surrounding white space or \
                 any of / \\ % ? #, and neither . nor ..",
            ))
        }
    }
}

impl From<UserId> for String {
    fn from(value: UserId) -> Self {
        value.0
    }
}

/// An instant, to the nanosecond. Its wire form is RFC 3339 in UTC, always with nine decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, format = DateTime, example = "2023-01-02T22:06:33.637839308Z",
))]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The present instant.
    #[must_use]
    pub fn now() -> Self {
        Self(Utc::now())
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn epoch_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// The instant `duration` before this one.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }

    /// Time since an earlier instant; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        let instant = DateTime::parse_from_rfc3339(&value).ok().map(|at| at.to_utc());
        // In UTC, the first and the last day that can be written may be in years that can't be.
        let instant = instant.filter(|at| (0..=9999).contains(&at.year()));
        instant.map(Self).ok_or(Invalid("must be an instant in the form of RFC 3339"))
    }
}

impl From<Timestamp> for String {
    fn from(value: Timestamp) -> Self {
        value.0.to_rfc3339_opts(SecondsFormat::Nanos, true)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

/// Id of an order: a `UUIDv7` (RFC 9562) of the instant at which the server made it. So ids sort by age, which gives lists
/// "newest first" without an index.
///
/// Only the canonical spelling (lower case, hyphens) is an id, so an order has one URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, format = "uuid", example = "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1",
))]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id of that instant. The bits after the milliseconds hold the fraction of the instant (RFC 9562, 6.2 method 3),
    /// so orders that several functions make within one millisecond sort as well.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        let seconds = u64::try_from(at.0.timestamp()).unwrap_or_default();
        let context = ContextV7::new().with_additional_precision();
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(context, seconds, at.0.timestamp_subsec_nanos())))
    }
}

impl OrderId {
    /// Its random bits: the last 62 (RFC 9562, 5.7).
    #[must_use]
    pub(crate) fn random_bits(self) -> u64 {
        self.0.as_u64_pair().1 & (u64::MAX >> 2)
    }

    /// Age of the order, by the instant in its id. An id that is not of version 7 counts as made in 1970.
    #[must_use]
    pub fn age(self, now: Timestamp) -> Duration {
        let (seconds, nanos) = self.0.get_timestamp().map(|at| at.to_unix()).unwrap_or_default();
        let made = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, nanos));
        now.since(Timestamp(made.unwrap_or_default()))
    }
}

impl TryFrom<String> for OrderId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        match Uuid::parse_str(&value) {
            Ok(uuid) if *uuid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *value => Ok(Self(uuid)),
            _ => Err(Invalid("must be an order's id")),
        }
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Version of an order: the number of its writes, from 1. The `ETag` is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u64, minimum = 1, example = 1))]
pub struct Version(u64);

impl Version {
    /// Version of a new order.
    pub const FIRST: Self = Self(1);

    /// The version after the next write. A damaged item may have the largest number, which no count of writes reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Version {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderStatus {
    /// Not final.
    Pending,
    /// Paid and delivered.
    Success,
    /// Not delivered, and the payment is refunded or owed.
    Failure,
}

impl OrderStatus {
    /// The status in its wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        }
    }
}

/// Automatic processing of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Processing {
    /// None: it is recorded, and stays PENDING.
    #[default]
    None,
    /// It is accepted, paid and sent to the restaurant.
    Workflow,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::RestaurantId;
    use super::*;

    fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn instants_always_have_nine_decimals() {
        for (text, canonical) in [
            ("2023-01-02T22:06:33Z", "2023-01-02T22:06:33.000000000Z"),
            ("2023-01-02T22:06:33.5+01:00", "2023-01-02T21:06:33.500000000Z"),
        ] {
            assert_eq!(parse::<Timestamp>(json!(text)).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn an_instant_that_can_not_be_written_in_utc_is_refused() {
        for good in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
            let instant = parse::<Timestamp>(json!(good)).unwrap();
            assert_eq!(parse::<Timestamp>(json!(instant.to_string())).unwrap(), instant);
        }
        for bad in ["0000-01-01T00:59:59+01:00", "9999-12-31T23:00:00-01:00"] {
            assert!(parse::<Timestamp>(json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_largest_version_stays() {
        assert_eq!(Version::FIRST.next(), Version(2));
        assert_eq!(Version(u64::MAX).next(), Version(u64::MAX));
    }

    #[test]
    fn names_of_any_script_are_good() {
        for name in ["Burger_2", "Café 東京", "a b", "💥", "ю", &"é".repeat(128), "...", "a@b.c", "a+b&c=d;e"] {
            assert_eq!(parse::<UserId>(json!(name)).unwrap().as_str(), name);
            assert!(parse::<RestaurantId>(json!(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", " a", "a ", "\u{3000}a", "a\nb", "\u{0}", "\u{85}", "\u{fffe}", "a\u{ffff}", &"é".repeat(129)]
        {
            assert!(parse::<UserId>(json!(name)).is_err(), "{name:?}");
            assert!(parse::<RestaurantId>(json!(name)).is_err(), "{name:?}");
        }
        for name in ["a/b", "a\\b", "100%", "a?", "#1", ".", ".."] {
            assert!(parse::<UserId>(json!(name)).is_err(), "{name:?}");
            assert!(parse::<RestaurantId>(json!(name)).is_ok(), "{name:?}");
        }
        assert!(parse::<UserId>(json!(3)).unwrap_err().starts_with("invalid type: integer `3`, expected a string"));
    }

    #[test]
    fn an_id_is_of_its_orders_instant_and_ids_sort_by_age() {
        let at = |text: &str| parse::<Timestamp>(json!(text)).unwrap();
        let id = OrderId::new(at("2023-01-02T22:06:33.637839308Z"));
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_timestamp().unwrap().to_unix(), (1_672_697_193, 637_000_000));

        for _ in 0..100 {
            let earlier = OrderId::new(at("2023-01-02T22:06:33.637839308Z"));
            let later = OrderId::new(at("2023-01-02T22:06:33.637840308Z"));
            assert!(earlier.to_string() < later.to_string());
            assert_ne!(earlier, OrderId::new(at("2023-01-02T22:06:33.637839308Z")));
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = OrderId::new(Timestamp::now()).to_string();
        assert!(OrderId::try_from(id.clone()).is_ok());
        for other in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), String::new(), "7".into()] {
            assert!(OrderId::try_from(other.clone()).is_err(), "{other}");
        }
    }
}
