//! The caller of a request, and their rights.
//!
//! API Gateway verifies the token: its signature, its times, its pool, and that it has a scope of the method. The token's
//! claims arrive with the request, and are parsed into a [`Caller`]. ID tokens are refused: they identify a person and
//! grant no scopes.

use serde::Deserialize;
use serde_json::Value;

use crate::order::{OrderKey, UserId};
use crate::page::List;

/// Group of the people who are administrators.
const ADMINS: &str = "admins";

/// Scope of the machines that are administrators.
const ADMIN_SCOPE: &str = "orders/admin";

/// The caller of a request: a person or a machine.
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

/// Subject of a request.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Everybody's orders.
    Everybody,
    /// The orders of one user: to list them, or to create one.
    User(&'a UserId),
    /// One order.
    Order(&'a OrderKey),
}

/// Reason why a caller may not make a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The subject is another user's.
    Forbidden,
    /// The caller may not even learn whether the order exists.
    Hidden,
}

/// Claims of an access token that identify its bearer ("Understanding the access token", Amazon Cognito).
#[derive(Deserialize)]
struct Claims {
    token_use: String,
    sub: String,
    client_id: String,
    /// Only people have it.
    username: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default, rename = "cognito:groups")]
    groups: String,
}

impl Caller {
    /// The bearer of the access token with those claims, which API Gateway passes on as strings. None if they are not an
    /// access token's.
    #[must_use]
    pub fn from_claims(claims: &Value) -> Option<Self> {
        let claims = Claims::deserialize(claims).ok()?;
        if claims.token_use != "access" {
            return None;
        }
        let (kind, is_admin) = match claims.username {
            Some(_) => (Kind::Person, groups(&claims.groups).any(|group| group == ADMINS)),
            None if claims.sub == claims.client_id => {
                (Kind::Machine, claims.scope.split(' ').any(|scope| scope == ADMIN_SCOPE))
            }
            None => return None,
        };
        Some(Self { name: UserId::try_from(claims.sub).ok()?, kind, is_admin })
    }

    /// The caller of a development server, which needs no token.
    #[cfg(feature = "unauthenticated")]
    pub(crate) fn of_development() -> Option<Self> {
        let name = UserId::try_from("development".to_owned()).ok()?;
        Some(Self { name, kind: Kind::Machine, is_admin: true })
    }

    /// Unique name of the caller: a person's `sub`, a machine's client id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The caller as a user. A machine that is an administrator acts for users and is not one itself.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match (self.kind, self.is_admin) {
            (Kind::Machine, true) => None,
            _ => Some(&self.name),
        }
    }

    /// List of a request that names no user: for administrators everybody's orders, for others their own.
    #[must_use]
    pub fn default_list(&self) -> List {
        if self.is_admin { List::All } else { List::Of(self.name.clone()) }
    }

    /// Decides whether the caller may make a request about that subject. API Gateway has compared the scopes, which
    /// distinguish reading and writing.
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

/// Groups in the claim `cognito:groups`. API Gateway joins them with commas, `a,b`; the local stack sends `[a b]`. Only a
/// claim with both brackets has the second form, so `[admins` is a group of that name.
fn groups(claim: &str) -> impl Iterator<Item = &str> {
    let (list, separator) = match claim.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) => (list, ' '),
        None => (claim, ','),
    };
    list.split(separator)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{key, user_id as user};

    fn person(groups: &str) -> Value {
        json!({"token_use": "access", "sub": "ann", "username": "ann", "client_id": "web",
            "scope": "openid orders/read orders/write", "cognito:groups": groups})
    }

    fn machine(scope: &str) -> Value {
        json!({"token_use": "access", "sub": "shop", "client_id": "shop", "scope": scope})
    }

    fn caller(claims: &Value) -> Caller {
        Caller::from_claims(claims).unwrap()
    }

    #[test]
    fn rights_by_caller_and_subject() {
        use Denied::{Forbidden, Hidden};
        let table = [
            // caller, own name, everybody's orders, own orders, another's orders, own order, another's order
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
    fn user_and_default_list_by_caller() {
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
        for groups in ["admins", "[admins]", "staff,admins", "[staff admins]", "[staff,admins"] {
            assert!(caller(&person(groups)).is_admin, "{groups}");
        }
        for groups in [
            "",
            "[]",
            "staff",
            "adminsx",
            "[no-admins staff]",
            "[admins",
            "admins]",
            "[[admins]]",
            "[admins,x]",
            "[admins,x",
        ] {
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
    fn claims_of_another_token_are_refused() {
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
