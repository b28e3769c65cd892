//! Who asks, and what they may do.
//!
//! API Gateway verifies the token: its signature, its times, its pool, and that it has the scope of the method. What
//! the token says arrives as claims, and [`Caller`] is what they come to.

use serde::Deserialize;
use serde_json::Value;

use crate::order::{OrderKey, UserId};
use crate::page::List;

/// The group of the people who may do everything.
const ADMINS: &str = "admins";

/// The scope of the machines that may do everything.
const ADMIN_SCOPE: &str = "orders/admin";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: UserId,
    kind: Kind,
    is_admin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Machine,
}

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Everybody's orders.
    Everybody,
    /// The orders of one user: to list them, or to make one more.
    User(&'a UserId),
    /// One order.
    Order(&'a OrderKey),
}

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It is not theirs to do.
    Forbidden,
    /// They are not even to learn whether it is there.
    Hidden,
}

/// The claims of an access token that say who its bearer is ("Understanding the access token", Amazon Cognito).
#[derive(Deserialize)]
struct Claims {
    token_use: String,
    sub: String,
    client_id: String,
    /// Of people alone.
    username: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default, rename = "cognito:groups")]
    groups: String,
}

impl Caller {
    /// The bearer of the access token with those claims, as API Gateway hands them on: strings all of them. None if
    /// they are no access token's.
    #[must_use]
    pub fn from_claims(claims: &Value) -> Option<Self> {
        let claims = Claims::deserialize(claims).ok()?;
        if claims.token_use != "access" {
            return None;
        }
        let (kind, is_admin) = match claims.username {
            Some(_) => (Kind::Person, names(&claims.groups).any(|group| group == ADMINS)),
            None if claims.sub == claims.client_id => (Kind::Machine, names(&claims.scope).any(|s| s == ADMIN_SCOPE)),
            None => return None,
        };
        Some(Self { name: UserId::try_from(claims.sub).ok()?, kind, is_admin })
    }

    /// Whoever asks a development server, which asks nobody for a token.
    #[cfg(feature = "unauthenticated")]
    pub(crate) fn of_development() -> Option<Self> {
        let name = UserId::try_from("development".to_owned()).ok()?;
        Some(Self { name, kind: Kind::Machine, is_admin: true })
    }

    /// A name that no other caller has: a person's `sub`, a machine's client id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The user that the caller is. A machine that is an admin acts for others and is none itself.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match (self.kind, self.is_admin) {
            (Kind::Machine, true) => None,
            _ => Some(&self.name),
        }
    }

    /// The list that the caller means by naming none: for admins everybody's, for all others their own.
    #[must_use]
    pub fn default_list(&self) -> List {
        if self.is_admin { List::All } else { List::Of(self.name.clone()) }
    }

    /// Who may do what. Whether it is to read or to write is in the scopes, which API Gateway has compared.
    pub fn may(&self, subject: Subject<'_>) -> Result<(), Denied> {
        match subject {
            _ if self.is_admin => Ok(()),
            Subject::User(user_id) if *user_id == self.name => Ok(()),
            Subject::Order(key) if key.user_id == self.name => Ok(()),
            Subject::Everybody | Subject::User(_) => Err(Denied::Forbidden),
            Subject::Order(_) => Err(Denied::Hidden),
        }
    }
}

/// The names in a claim that was a list: `a b` and `a,b`; the local stack has `[a b]`.
fn names(claim: &str) -> impl Iterator<Item = &str> {
    claim.trim_start_matches('[').trim_end_matches(']').split([',', ' '])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(groups: &str) -> Value {
        json!({"token_use": "access", "sub": "ann", "username": "ann", "client_id": "web",
            "scope": "openid orders/read orders/write", "cognito:groups": groups})
    }

    fn machine(scope: &str) -> Value {
        json!({"token_use": "access", "sub": "shop", "client_id": "shop", "scope": scope})
    }

    fn user(name: &str) -> UserId {
        name.to_owned().try_into().unwrap()
    }

    fn caller(claims: &Value) -> Caller {
        Caller::from_claims(claims).unwrap()
    }

    #[test]
    fn who_may_do_what() {
        use Denied::{Forbidden, Hidden};
        let key = |name| OrderKey {
            user_id: user(name),
            id: "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1".to_owned().try_into().unwrap(),
        };
        let table = [
            // who, their own name, everybody's orders, own orders, another's orders, own order, another's order
            (person(""), "ann", Err(Forbidden), Ok(()), Err(Forbidden), Ok(()), Err(Hidden)),
            (person("admins"), "ann", Ok(()), Ok(()), Ok(()), Ok(()), Ok(())),
            (machine("orders/read orders/write"), "shop", Err(Forbidden), Ok(()), Err(Forbidden), Ok(()), Err(Hidden)),
            (machine("orders/admin"), "shop", Ok(()), Ok(()), Ok(()), Ok(()), Ok(())),
        ];
        for (claims, own, everybody, own_orders, others_orders, own_order, others_order) in table {
            let caller = caller(&claims);
            assert_eq!(caller.may(Subject::Everybody), everybody, "{claims}");
            assert_eq!(caller.may(Subject::User(&user(own))), own_orders, "{claims}");
            assert_eq!(caller.may(Subject::User(&user("bob"))), others_orders, "{claims}");
            assert_eq!(caller.may(Subject::Order(&key(own))), own_order, "{claims}");
            assert_eq!(caller.may(Subject::Order(&key("bob"))), others_order, "{claims}");
        }
    }

    #[test]
    fn who_they_are_as_a_user_and_what_they_list() {
        for (claims, user_id, list) in [
            (person(""), Some("ann"), List::Of(user("ann"))),
            (person("admins"), Some("ann"), List::All),
            (machine("orders/read"), Some("shop"), List::Of(user("shop"))),
            (machine("orders/admin orders/read"), None, List::All),
        ] {
            let caller = caller(&claims);
            assert_eq!(caller.user_id().map(UserId::as_str), user_id, "{claims}");
            assert_eq!(caller.default_list(), list, "{claims}");
        }
    }

    #[test]
    fn people_are_admins_by_group_and_machines_by_scope() {
        for groups in ["admins", "[admins]", "staff,admins", "[staff admins]"] {
            assert!(caller(&person(groups)).is_admin, "{groups}");
        }
        for groups in ["", "[]", "staff", "adminsx", "[no-admins staff]"] {
            assert!(!caller(&person(groups)).is_admin, "{groups}");
        }
        let mut with_scope = person("");
        with_scope["scope"] = json!("orders/admin");
        assert!(!caller(&with_scope).is_admin);
        let mut with_group = machine("orders/read");
        with_group["cognito:groups"] = json!("admins");
        assert!(!caller(&with_group).is_admin);
    }

    #[test]
    fn what_is_no_access_tokens_is_nobodys() {
        let id_token = json!({"token_use": "id", "sub": "ann", "cognito:username": "ann", "aud": "web"});
        for claims in [json!(null), json!({}), json!("access"), json!([]), id_token] {
            assert_eq!(Caller::from_claims(&claims), None, "{claims}");
        }
        for (field, value) in [
            ("token_use", json!("id")),
            ("token_use", json!(null)),
            ("sub", json!("")),
            ("sub", json!("a/b")),
            ("sub", json!(7)),
            ("client_id", json!(null)),
            ("scope", json!(["orders/admin"])),
            ("cognito:groups", json!(["admins"])),
        ] {
            let mut claims = person("");
            claims[field] = value;
            assert_eq!(Caller::from_claims(&claims), None, "{claims}");
        }
        // Without a user name it must be a machine's, which is its own subject.
        let mut nameless = person("");
        nameless.as_object_mut().unwrap().remove("username");
        assert_eq!(Caller::from_claims(&nameless), None);
    }
}
