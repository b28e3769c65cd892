//! JSON bodies, read more strictly than by `serde_json` alone: a name may come once in an object, and a number of a field
//! is judged by its text. The nearest floating-point number of 0.99999999999999999 is 1.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{FieldError, Problem};

/// Levels of objects and arrays in a field, at most.
const MAX_DEPTH: usize = 32;

/// Parses a body that is a JSON object in UTF-8. A byte order mark before it is ignored (RFC 8259, 8.1). Fields that can't
/// be read are left out and added to `errors`; so are names that come twice.
pub(super) fn parse_object(body: &[u8], errors: &mut Vec<FieldError>) -> Result<Map<String, Value>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::field("body", format!("must be UTF-8; its byte {} is not", error.valid_up_to() + 1))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = reader.deserialize_map(Body(errors)).and_then(|object| reader.end().map(|()| object));
    object.map_err(|error| match error.classify() {
        Category::Data => Problem::field("body", "must be a JSON object"),
        _ => Problem::MalformedJson(error),
    })
}

/// Visitor of the body. It takes each field as text first: so a mistake in one does not hide those in others.
struct Body<'e>(&'e mut Vec<FieldError>);

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self(errors) = self;
        let mut object = Map::new();
        while let Some((name, text)) = map.next_entry::<String, &RawValue>()? {
            if object.contains_key(&name) {
                let given_twice = FieldError::new(name, "must be given once");
                if !errors.contains(&given_twice) {
                    errors.push(given_twice);
                }
                continue;
            }
            match field(text.get()) {
                Ok(value) => _ = object.insert(name, value),
                Err(error) => errors.push(FieldError::new(name, reason(&error))),
            }
        }
        Ok(object)
    }
}

/// Value of a field. A whole number becomes an integer, even if it is written as `3.0` or `3e0`; any other number is a
/// fraction.
fn field(text: &str) -> serde_json::Result<Value> {
    match whole(text) {
        Some(number) => Ok(number.into()),
        None => Nested { depth: 0 }.deserialize(&mut serde_json::Deserializer::from_str(text)),
    }
}

/// The number in that JSON text, if it is a whole one, and neither negative nor too large for `u64`.
fn whole(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let zeros = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let count = usize::try_from(zeros.unsigned_abs()).ok().filter(|&count| count <= text.len().max(20))?;
    let zeros_text = "0".repeat(count);
    match zeros {
        0.. => format!("{digits}{zeros_text}").parse().ok(),
        _ => digits.strip_suffix(&zeros_text)?.parse().ok(),
    }
}

/// Message of an error, without its place: that would be one in the field's text, not in the body.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())).unwrap_or(&text).to_owned()
}

/// Reader of a value, and of the values in it.
struct Nested {
    depth: usize,
}

impl Nested {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(E::custom(format_args!("must not be nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(self.inner()?)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.inner()?)?;
            if object.contains_key(&name) {
                return Err(Error::custom(format_args!("must have the name {name:?} once in an object")));
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The object, and the names of the fields that are bad.
    fn parse(body: impl AsRef<[u8]>) -> (Value, Vec<String>) {
        let mut errors = Vec::new();
        let object = parse_object(body.as_ref(), &mut errors).unwrap();
        (object.into(), errors.into_iter().map(|error| error.field).collect())
    }

    fn refused(body: impl AsRef<[u8]>) -> String {
        serde_json::from_slice::<Value>(parse_object(body.as_ref(), &mut vec![]).unwrap_err().to_response("r").body())
            .unwrap()["detail"]
            .to_string()
    }

    fn message(body: &str) -> String {
        let mut errors = Vec::new();
        parse_object(body.as_bytes(), &mut errors).unwrap();
        errors.remove(0).message
    }

    #[test]
    fn a_body_is_read_like_any_json() {
        let body = r#" {"a": "x\u00e9\n", "b": [1, -2, 1.5, true, null], "c": {"a": {}}, "d": null, "" : false} "#;
        assert_eq!(parse(body), (serde_json::from_str(body).unwrap(), vec![]));
        assert_eq!(parse("\u{feff}{}"), (json!({}), vec![]));
    }

    #[test]
    fn a_name_that_comes_twice_is_named_at_every_depth() {
        assert_eq!(parse(r#"{"a":1,"a":1}"#).1, ["a"]);
        // Escapes don't make another name of it.
        assert_eq!(parse(r#"{"a":1,"\u0061":2,"b":3}"#), (json!({"a": 1, "b": 3}), vec!["a".into()]));
        assert_eq!(parse(r#"{"a":1,"a":2,"a":3}"#), (json!({"a": 1}), vec!["a".into()]));
        let (object, fields) = parse(r#"{"a":{"b":1,"b":2},"c":[[{"d":1,"d":2}]],"b":1,"e":1,"e":2}"#);
        assert_eq!((object, fields), (json!({"b": 1, "e": 1}), vec!["a".into(), "c".into(), "e".into()]));
        assert_eq!(message(r#"{"a":[{"b":{"c":1,"c":2}}]}"#), r#"must have the name "c" once in an object"#);
        assert_eq!(parse(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#).1, [""; 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn a_whole_number_is_read_however_it_is_written(number: u64, zeros in 0..20_usize) {
            let (text, zeros_text) = (number.to_string(), "0".repeat(zeros));
            let (head, tail) = text.split_at(1);
            let shifted = format!("{head}.{tail}{zeros_text}e{}", tail.len());
            let with_zeros = format!("{text}{zeros_text}E-{zeros}");
            let texts = [text.clone(), format!("{text}.0{zeros_text}"), format!("{text}e+0"), with_zeros];
            // A point needs digits after it.
            let shifted = (!tail.is_empty() || zeros > 0).then_some(shifted);
            for text in texts.into_iter().chain(shifted) {
                assert_eq!(whole(&text), Some(number), "{text}");
            }
        }
    }

    #[test]
    fn a_number_is_whole_by_its_text() {
        for (text, number) in [
            ("0", 0),
            ("3", 3),
            ("3.0", 3),
            ("3e0", 3),
            ("0.3e1", 3),
            ("30E-1", 3),
            ("1e+3", 1000),
            ("100000.00e-2", 1000),
            ("0.0", 0),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        for text in [
            "0.9999999999999999",
            "0.99999999999999999999999999",
            "1.0000000000000000000001",
            "10.00000000000000000000001e-1",
            "1e-400",
            "1e400",
            "1e99999999999999999999",
            "-1",
            "-0.0",
            "18446744073709551616",
            r#""3""#,
            "null",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_read_says_why() {
        assert_eq!(message(r#"{"a": 1e400}"#), "number out of range");
        assert_eq!(message(r#"{"a": [{"b": -1e400}]}"#), "number out of range");
        assert!(message(r#"{"a": "\ud800"}"#).contains("hex escape"));
        let nested = |levels| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(parse(nested(MAX_DEPTH)).1, [""; 0]);
        for levels in [MAX_DEPTH + 1, 30_000] {
            assert_eq!(message(&nested(levels)), "must not be nested deeper than 32 levels");
        }
        assert_eq!(parse(r#"{"a": 1e400, "b": 2, "c": "\ud800"}"#), (json!({"b": 2}), vec!["a".into(), "c".into()]));
    }

    #[test]
    fn a_body_that_is_no_object_in_utf_8_is_refused() {
        for body in ["[]", "3", "null", r#""x""#] {
            assert!(refused(body).contains("must be a JSON object"), "{body}");
        }
        for body in ["", "{", "{}}", "{} x", "{a:1}", "\u{feff}\u{feff}{}", "{\"a\":\"\u{1}\"}"] {
            assert!(refused(body).contains("is not JSON"), "{body}");
        }
        assert!(refused(b"{\"a\":\"\xe9\"}").contains("must be UTF-8; its byte 7 is not"));
        let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(refused(utf_16).contains("must be UTF-8; its byte 1 is not"));
    }
}
