//! An order, and the rules for each of its fields.
//!
//! Every type here is parsed, once, where its value comes in; whoever holds one holds a good value.
//! The serde form of these types is the wire form of the API and the form in the table alike.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{ContextV7, Uuid};

/// Why a value is not allowed: a phrase that follows the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

impl Invalid {
    /// The phrase that says what is allowed.
    #[must_use]
    pub const fn new(allowed: &'static str) -> Self {
        Self(allowed)
    }
}

/// Characters of a name: at least one, at most this many.
const MAX_NAME_CHARS: usize = 128;

fn is_name(value: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&value.chars().count())
        // Neither can SQS carry the last two ("SendMessage", Amazon SQS API Reference).
        && !value.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
        && value.trim().len() == value.len()
}

/// Who ordered. It stands in paths, so it is free of what a path gives a meaning to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, min_length = 1, max_length = 128, example = "Burger_2",
    pattern = "^(?!\\.\\.?$)[^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000/\\\\%?#]([^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff/\\\\%?#]*[^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000/\\\\%?#])?$",
))]
pub struct UserId(String);

impl UserId {
    /// The value as it stands on the wire.
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

/// Where it is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, min_length = 1, max_length = 128, example = "Restaurant 3",
    pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]([^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff]*[^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000])?$",
))]
pub struct RestaurantId(String);

impl TryFrom<String> for RestaurantId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        if is_name(&value) {
            Ok(Self(value))
        } else {
            Err(Invalid(
                "must be 1 to 128 characters without control characters, U+FFFE, U+FFFF or surrounding white space",
            ))
        }
    }
}

impl From<RestaurantId> for String {
    fn from(value: RestaurantId) -> Self {
        value.0
    }
}

/// How many: 1 to 1000. Answered as a string; accepted as a string of digits or as a JSON integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, pattern = "^([1-9][0-9]{0,2}|1000)$", example = "3",
))]
pub struct Quantity(u16);

impl Quantity {
    const ALLOWED: &str = "must be an integer from 1 to 1000, as a number or as a string of digits";
}

impl TryFrom<u64> for Quantity {
    type Error = Invalid;

    fn try_from(value: u64) -> Result<Self, Invalid> {
        match u16::try_from(value) {
            Ok(value @ 1..=1000) => Ok(Self(value)),
            _ => Err(Invalid(Self::ALLOWED)),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 1 to 1000, or the same as a string")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
                Quantity::try_from(value).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, _negative: i64) -> Result<Quantity, E> {
                Err(E::custom(Invalid(Quantity::ALLOWED)))
            }

            // To JSON 3.0 and 3 are the same number.
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
                (1..=1000)
                    .find(|&whole| f64::from(whole).total_cmp(&value).is_eq())
                    .map(Quantity)
                    .ok_or_else(|| E::custom(Invalid(Quantity::ALLOWED)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Quantity, E> {
                // One spelling a number: neither "+3" nor "03".
                match value.parse::<u64>() {
                    Ok(number) if number.to_string() == value => self.visit_u64(number),
                    _ => Err(E::custom(Invalid(Quantity::ALLOWED))),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// An instant, to the nanosecond. On the wire it is RFC 3339 in UTC, always with nine decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Nanos, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An order's name within its user's orders: a `UUIDv7` (RFC 9562) that the server makes, so that ids sort by age.
///
/// Only the canonical spelling (lower case, hyphens) is an id: one order has one URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, format = "uuid", example = "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1",
))]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id of that instant. The bits after the milliseconds carry the instant's fraction (RFC 9562, 6.2
    /// method 3), so that orders made within one millisecond by several functions sort too.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        let seconds = u64::try_from(at.0.timestamp()).unwrap_or_default();
        let context = ContextV7::new().with_additional_precision();
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(context, seconds, at.0.timestamp_subsec_nanos())))
    }
}

impl OrderId {
    /// The bits of it that are there by chance alone: its last 62 (RFC 9562, 5.7).
    #[must_use]
    pub(crate) fn random_bits(self) -> u64 {
        self.0.as_u64_pair().1 & (u64::MAX >> 2)
    }
}

impl TryFrom<String> for OrderId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        match Uuid::parse_str(&value) {
            Ok(uuid) if uuid.to_string() == value => Ok(Self(uuid)),
            _ => Err(Invalid("must be an order's id")),
        }
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the writes of one order, from 1. Its `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u64, minimum = 1, example = 1))]
pub struct Version(u64);

impl Version {
    /// The version of an order that has just been made.
    pub const FIRST: Self = Self(1);

    /// What the writer of this version would write next.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
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

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderStatus {
    /// Made, and still open to changes.
    Pending,
    /// Ended well.
    Success,
    /// Ended, but not as it was wished.
    Failure,
}

impl OrderStatus {
    /// The status as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        }
    }
}

/// What becomes of an order by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Processing {
    /// Nothing: it is recorded, and stays PENDING.
    #[default]
    None,
    /// It is accepted, paid and sent to the restaurant.
    Workflow,
}

/// How an order ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order_status", rename_all = "UPPERCASE")]
pub enum Outcome {
    /// It is paid, and the restaurant has it.
    Success {
        /// When it was paid.
        paid_at: Timestamp,
    },
    /// It has failed, and nobody is to pay for it.
    Failure {
        /// Why.
        error_message: String,
        /// Whether what was paid could not be given back: an operator must do it.
        #[serde(default)]
        refund_failed: bool,
    },
}

impl Outcome {
    /// Whether an operator must give back what was paid.
    #[must_use]
    pub fn is_refund_failed(&self) -> bool {
        matches!(self, Self::Failure { refund_failed: true, .. })
    }
}

/// What is said of an order for which a refund could not be made.
const REFUND_FAILED: &str = "; the refund has failed and is to be made by hand";

/// What names one order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// Whose order it is.
    pub user_id: UserId,
    /// Which of their orders.
    pub id: OrderId,
}

/// What a client says of an order that it makes or changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderContent {
    /// Where it is ordered.
    pub restaurant_id: RestaurantId,
    /// How many.
    pub quantity: Quantity,
}

/// An order. The first six fields stand on the wire in just this order; more may follow them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Order {
    /// Whose order it is.
    pub user_id: UserId,
    /// Where it is ordered.
    pub restaurant_id: RestaurantId,
    /// How many.
    pub quantity: Quantity,
    /// Which of the user's orders this is.
    pub id: OrderId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How far it has come.
    pub order_status: OrderStatus,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// How often it was written.
    pub version: Version,
    /// What becomes of it by itself.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub processing: Processing,
    /// When it was accepted. From then on until it is final nobody changes or deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub accepted_at: Option<Timestamp>,
    /// When it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub paid_at: Option<Timestamp>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub completed_at: Option<Timestamp>,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error_message: Option<String>,
}

impl Order {
    /// The fields that the server sets. Sent by a client they are ignored, so that an order can be sent back as it
    /// was received.
    pub const SERVER_FIELDS: [&str; 10] = [
        "id",
        "created_at",
        "order_status",
        "updated_at",
        "version",
        "processing",
        "accepted_at",
        "paid_at",
        "completed_at",
        "error_message",
    ];

    /// A new order of that instant, PENDING.
    #[must_use]
    pub fn new(user_id: UserId, content: OrderContent, processing: Processing, now: Timestamp) -> Self {
        Self {
            user_id,
            restaurant_id: content.restaurant_id,
            quantity: content.quantity,
            id: OrderId::new(now),
            created_at: now,
            order_status: OrderStatus::Pending,
            updated_at: now,
            version: Version::FIRST,
            processing,
            accepted_at: None,
            paid_at: None,
            completed_at: None,
            error_message: None,
        }
    }

    /// Whether it is being paid and sent: accepted, and not final yet.
    #[must_use]
    pub fn is_in_process(&self) -> bool {
        self.order_status == OrderStatus::Pending && self.accepted_at.is_some()
    }

    /// The order as it is when it ends in that way at that instant.
    #[must_use]
    pub fn ended(&self, outcome: &Outcome, now: Timestamp) -> Self {
        let ended = Self { completed_at: Some(now), ..self.clone() }.written(now);
        match outcome {
            Outcome::Success { paid_at } => {
                Self { order_status: OrderStatus::Success, paid_at: Some(*paid_at), ..ended }
            }
            Outcome::Failure { error_message, refund_failed } => {
                let failed =
                    Self { order_status: OrderStatus::Failure, error_message: Some(error_message.clone()), ..ended };
                if *refund_failed { failed.with_failed_refund() } else { failed }
            }
        }
    }

    /// The order, and in it that what was paid could not be given back.
    #[must_use]
    pub fn with_failed_refund(self) -> Self {
        let message = self.error_message.unwrap_or_default();
        let message = if message.ends_with(REFUND_FAILED) { message } else { message + REFUND_FAILED };
        Self { error_message: Some(message), ..self }
    }

    /// The order after a write at that instant.
    #[must_use]
    pub fn written(self, now: Timestamp) -> Self {
        Self { updated_at: now, version: self.version.next(), ..self }
    }

    /// What a client says of it.
    #[must_use]
    pub fn content(&self) -> OrderContent {
        OrderContent { restaurant_id: self.restaurant_id.clone(), quantity: self.quantity }
    }

    /// What names it.
    #[must_use]
    pub fn key(&self) -> OrderKey {
        OrderKey { user_id: self.user_id.clone(), id: self.id }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse<T: de::DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn order() -> Order {
        parse(json!({
            "user_id": "Burger_2", "restaurant_id": "Restaurant 3", "quantity": "3",
            "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "created_at": "2023-01-02T22:06:33.637839308Z",
            "order_status": "PENDING", "updated_at": "2023-01-02T22:06:33.637839308Z", "version": 1,
        }))
        .unwrap()
    }

    #[test]
    fn an_order_has_exactly_its_wire_form() {
        assert_eq!(
            serde_json::to_string(&order()).unwrap(),
            r#"{"user_id":"Burger_2","restaurant_id":"Restaurant 3","quantity":"3","#.to_owned()
                + r#""id":"01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1","created_at":"2023-01-02T22:06:33.637839308Z","#
                + r#""order_status":"PENDING","updated_at":"2023-01-02T22:06:33.637839308Z","version":1,"processing":"none"}"#,
        );
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
    fn a_quantity_is_a_string_or_an_integer() {
        for good in [json!("1"), json!(1), json!(1.0), json!("1000"), json!(1000)] {
            assert!(parse::<Quantity>(good.clone()).is_ok(), "{good}");
        }
        assert_eq!(serde_json::to_value(parse::<Quantity>(json!(42)).unwrap()).unwrap(), json!("42"));
    }

    #[test]
    fn a_quantity_out_of_range_or_shape_is_refused() {
        let bad = [
            json!(0),
            json!("0"),
            json!(1001),
            json!("1001"),
            json!(-1),
            json!("-1"),
            json!(1.5),
            json!("1.0"),
            json!("+1"),
            json!("01"),
            json!(" 1"),
            json!(""),
            json!("three"),
            json!(null),
            json!(true),
            json!([1]),
            json!(1e300),
            json!(18_446_744_073_709_551_615_u64),
        ];
        for bad in bad {
            let message = parse::<Quantity>(bad.clone()).unwrap_err();
            assert!(message.contains("1 to 1000"), "{bad}: {message}");
        }
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
        let id = order().id.to_string();
        assert!(OrderId::try_from(id.clone()).is_ok());
        for other in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), String::new(), "7".into()] {
            assert!(OrderId::try_from(other.clone()).is_err(), "{other}");
        }
    }
}
