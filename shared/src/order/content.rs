//! The part of an order that a client sets: its fields, and their rules.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fields::{Invalid, is_name};

/// Part of an order that a client sets. A field that may be left out is an `Option`.
///
/// A replacement replaces all of it: the store writes what `Serialize` gives, and removes the fields that are null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderContent {
    /// Restaurant of the order.
    pub restaurant_id: RestaurantId,
    /// Quantity of the order.
    #[cfg_attr(feature = "openapi", schema(schema_with = quantity_of_request))]
    pub quantity: Quantity,
}

#[cfg(any(test, feature = "fixtures", feature = "openapi"))]
impl OrderContent {
    /// A content with every field, for examples and tests.
    #[must_use]
    #[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "the values are good")]
    pub fn example() -> Self {
        Self { restaurant_id: "Restaurant 3".to_owned().try_into().unwrap(), quantity: Quantity(3) }
    }
}

/// Restaurant of an order. It has no white space at its ends, and no U+FFFD, U+FFFE or U+FFFF.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, min_length = 1, max_length = 128, example = "Restaurant 3",
    pattern = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$",
))]
pub struct RestaurantId(String);

impl TryFrom<String> for RestaurantId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        if is_name(&value) {
            Ok(Self(value))
        } else {
            Err(Invalid::new(
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

/// Quantity: 1 to 1000. Sent as a string; accepted as a string of digits or as a JSON integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(
    value_type = String, pattern = "^([1-9][0-9]{0,2}|1000)$", example = "3",
))]
pub struct Quantity(u16);

impl Quantity {
    const ALLOWED: &str = "must be an integer from 1 to 1000, as a number or as a string of digits";
}

impl Quantity {
    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u64> for Quantity {
    type Error = Invalid;

    fn try_from(value: u64) -> Result<Self, Invalid> {
        match u16::try_from(value) {
            Ok(value @ 1..=1000) => Ok(Self(value)),
            _ => Err(Invalid::new(Self::ALLOWED)),
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
                Err(E::custom(Invalid::new(Quantity::ALLOWED)))
            }

            // Requests with 3.0 arrive here as 3: `http::json` knows which numbers are whole.
            fn visit_f64<E: de::Error>(self, _fraction: f64) -> Result<Quantity, E> {
                Err(E::custom(Invalid::new(Quantity::ALLOWED)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Quantity, E> {
                // One spelling for each number: neither "+3" nor "03".
                match value.parse::<u64>() {
                    Ok(number) if value.starts_with(|first: char| matches!(first, '1'..='9')) => self.visit_u64(number),
                    _ => Err(E::custom(Invalid::new(Quantity::ALLOWED))),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Schema of a quantity as a client may send it: a number or a string of digits.
#[cfg(feature = "openapi")]
fn quantity_of_request() -> utoipa::openapi::Schema {
    use utoipa::openapi::Ref;
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};

    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1000));
    OneOfBuilder::new().item(number).item(Ref::from_schema_name("Quantity")).examples([3]).build().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse<T: de::DeserializeOwned>(value: Value) -> Result<T, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_quantity_is_a_string_or_an_integer() {
        for good in [json!("1"), json!(1), json!("1000"), json!(1000)] {
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
}
