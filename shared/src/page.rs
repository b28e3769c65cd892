//! Pages of a list of orders.
//!
//! A cursor is the key of the last order that was shown. So orders that are created or deleted meanwhile neither repeat nor
//! hide others.

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::order::{Invalid, Order, OrderKey, UserId};

/// Maximum number of orders on a page: 1 to 1000, by default 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl std::str::FromStr for Limit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse::<u16>() {
            Ok(number @ 1..=1000) if number.to_string() == text => Ok(Self(number)),
            _ => Err(Invalid::new("must be an integer from 1 to 1000")),
        }
    }
}

/// A list of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Everybody's, in no promised order.
    All,
    /// One user's, newest first.
    Of(UserId),
}

/// A place in a list: right after an order. It stays valid if the order is changed or deleted.
///
/// To clients it is an opaque string. It contains the version of its form, and its list, so that it can't be used for
/// another list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    list: List,
    after: OrderKey,
}

/// Form of a cursor, by version. A new form is a new variant; old ones stay readable as long as clients have them.
#[derive(Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
enum CursorForm {
    #[serde(rename = "1")]
    V1 { list: List, after: OrderKey },
}

impl Cursor {
    /// The place in `list` right after that order.
    #[must_use]
    pub fn after(list: List, order: &Order) -> Self {
        Self { list, after: order.key().clone() }
    }

    /// The order before the place.
    #[must_use]
    pub fn key(&self) -> &OrderKey {
        &self.after
    }

    /// The string that clients send back.
    ///
    /// # Panics
    /// Never: its form is strings all through, and those have a JSON form.
    #[must_use]
    #[expect(clippy::expect_used, reason = "serialising strings to JSON can't fail")]
    pub fn encode(&self) -> String {
        let form = CursorForm::V1 { list: self.list.clone(), after: self.after.clone() };
        URL_SAFE_NO_PAD.encode_to_string(serde_json::to_vec(&form).expect("strings serialise"))
    }

    /// Parses a cursor of that list.
    pub fn decode(text: &str, list: &List) -> Result<Self, Invalid> {
        let undecodable = Invalid::new("must be a cursor that this API has given in a Link header");
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| undecodable)?;
        let CursorForm::V1 { list: of, after } = serde_json::from_slice(&bytes).map_err(|_| undecodable)?;
        match &of {
            _ if of != *list => Err(Invalid::new("belongs to another list: send it with the user_id it came with")),
            List::Of(user_id) if *user_id != after.user_id => Err(undecodable),
            _ => Ok(Self { list: of, after }),
        }
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The orders on it.
    pub orders: Vec<Order>,
    /// Place where the next page starts, if there is one.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{key, user_id as user};

    #[test]
    fn a_limit_is_1_to_1000() {
        assert_eq!("1".parse::<Limit>().unwrap().get(), 1);
        assert_eq!("1000".parse::<Limit>().unwrap().get(), 1000);
        for bad in ["", "0", "1001", "-1", "+1", "01", "1.0", "x", "99999999999"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_given() {
        for list in [List::All, List::Of(user("Café 東京"))] {
            let cursor = Cursor { list: list.clone(), after: key("Café 東京") };
            assert_eq!(Cursor::decode(&cursor.encode(), &list).unwrap(), cursor);
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let of_ann = Cursor { list: List::Of(user("Ann")), after: key("Ann") }.encode();
        let of_all = Cursor { list: List::All, after: key("Ann") }.encode();
        for (cursor, list) in [(&of_ann, List::Of(user("Bob"))), (&of_ann, List::All), (&of_all, List::Of(user("Ann")))]
        {
            assert!(Cursor::decode(cursor, &list).unwrap_err().to_string().contains("another list"));
        }
    }

    #[test]
    fn anything_else_is_not_a_cursor() {
        let id = key("Ann").id;
        let forms = [
            json!({"v": "2", "list": "all", "after": {"user_id": "Ann", "id": id}}),
            json!({"v": "1", "list": "all", "after": {"user_id": "a/b", "id": id}}),
            json!({"v": "1", "list": "all", "after": {"user_id": "Ann", "id": id}, "more": 1}),
            json!({"v": "1", "list": {"of": "Bob"}, "after": {"user_id": "Ann", "id": id}}),
        ];
        let encoded = forms.map(|form| URL_SAFE_NO_PAD.encode_to_string(form.to_string()));
        let lists = [List::All, List::All, List::All, List::Of(user("Bob"))];
        for (text, list) in encoded.iter().map(String::as_str).zip(&lists).chain([("", &List::All), ("%", &List::All)])
        {
            assert!(Cursor::decode(text, list).unwrap_err().to_string().contains("Link header"), "{text}");
        }
    }
}
