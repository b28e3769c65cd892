//! Values from DynamoDB's JSON, without a map of attributes in between.
//!
//! The SDK makes a map of each item, with a new string for every name and value, and `serde_dynamo` makes an order of the
//! map. Without the maps, a page of 1,000 orders takes half the instructions (`docs/performance.md`).

use std::fmt::{self, Formatter};
use std::iter;

use serde::de::value::{SeqDeserializer, UnitDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// A value that an item holds: `{"user_id": {"S": "Ann"}, "total": {"M": {"amount": {"N": "3000"}}}}`.
pub(super) struct Attributes<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Attributes<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Nested(deserializer)).map(Self)
    }
}

/// Type of an attribute (`AttributeValue`, DynamoDB API Reference).
#[derive(Deserialize)]
enum Type {
    S,
    N,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    #[serde(alias = "L")]
    M,
    /// Types that a field can't have: it can only be ignored.
    #[serde(rename = "B", alias = "BS", alias = "NS", alias = "SS")]
    Other,
}

/// A map or a list of attributes: a deserializer of one, its visitor, and access to its values.
struct Nested<T>(T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Nested<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Nested(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Nested<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Nested(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Nested(elements))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Nested<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Attribute(seed))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Nested<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Attribute(seed))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nested<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Nested(deserializer))
    }
}

/// One attribute: `{"S": "Ann"}`.
struct Attribute<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Attribute<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Attribute<S> {
    type Value = S::Value;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("an attribute")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut attribute: A) -> Result<S::Value, A::Error> {
        match attribute.next_key()?.ok_or_else(|| A::Error::custom("an attribute has no type"))? {
            Type::S | Type::Bool => attribute.next_value_seed(self.0),
            // DynamoDB sends a number as a string, which has the syntax of a number in JSON.
            Type::N => {
                let number: &str = attribute.next_value()?;
                self.0.deserialize(&mut serde_json::Deserializer::from_str(number)).map_err(A::Error::custom)
            }
            Type::M => attribute.next_value_seed(Nested(self.0)),
            Type::Null => {
                attribute.next_value::<IgnoredAny>()?;
                self.0.deserialize(UnitDeserializer::new())
            }
            Type::Other => {
                attribute.next_value::<IgnoredAny>()?;
                self.0.deserialize(SeqDeserializer::new(iter::empty::<()>()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        name: String,
        count: Option<u64>,
        paid: Option<bool>,
        tags: Option<Vec<String>>,
        prices: Option<BTreeMap<String, f64>>,
    }

    fn read(item: &str) -> Result<Sample, String> {
        let read = serde_json::from_str(item).map(|Attributes(sample)| sample);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn an_attribute_of_each_type_is_read_as_its_value() {
        let item = r#"{
            "name": {"S": "A\nn"}, "count": {"N": "18446744073709551615"}, "paid": {"BOOL": true},
            "tags": {"L": [{"S": "a"}, {"S": "b"}]},
            "prices": {"M": {"a": {"N": "-1.5E+3"}}}, "binary": {"B": "YQ=="}, "set": {"NS": ["1"]}
        }"#;
        let expected = Sample {
            name: "A\nn".into(),
            count: Some(u64::MAX),
            paid: Some(true),
            tags: Some(vec!["a".into(), "b".into()]),
            prices: Some(BTreeMap::from([("a".into(), -1500.0)])),
        };
        assert_eq!(read(item), Ok(expected));
    }

    #[test]
    fn an_attribute_that_is_missing_or_null_is_no_value() {
        let expected = Sample { name: "Ann".into(), count: None, paid: None, tags: None, prices: None };
        assert_eq!(read(r#"{"name": {"S": "Ann"}, "count": {"NULL": true}}"#), Ok(expected));
        assert_eq!(
            read(r#"{"name": {"NULL": true}}"#).unwrap_err(),
            "invalid type: null, expected a string at line 1 column 23"
        );
    }

    #[test]
    fn an_attribute_of_another_type_is_refused() {
        for item in [
            r#"{"name": {"N": "1"}}"#,
            r#"{"name": {"B": "YQ=="}}"#,
            r#"{"name": {"S": "Ann"}, "count": {"S": "1"}}"#,
            r#"{"name": {"S": "Ann"}, "count": {"N": "1"}, "tags": {"SS": ["a"]}}"#,
            r#"{"name": {"S": "Ann"}, "unknown": {"X": "1"}}"#,
            r#"{"name": {"S": "Ann"}, "unknown": {}}"#,
            r#"{"name": {"S": "Ann", "N": "1"}}"#,
            r#"{"name": "Ann"}"#,
        ] {
            assert!(read(item).is_err(), "{item}");
        }
    }
}
