//! Authorization over HTTP: every operation with every kind of token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cognitoidentityprovider::Client as Cognito;
use aws_sdk_cognitoidentityprovider::types::{
    OAuthFlowType, ResourceServerScopeType, TimeUnitsType, TokenValidityUnitsType,
};
use base64_simd::URL_SAFE_NO_PAD;
use local::{Stack, sign_in};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Answer, Api, claims, machine_token, made, of_user, path_of, person, person_token, published_path_of, remember,
    send, text, user,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    List,
    Create,
    Submit,
    Replace,
    Read,
    Update,
    Delete,
    DeleteAsPublished,
}

use Operation::{Create, Delete, DeleteAsPublished, List, Read, Replace, Submit, Update};

const OPERATIONS: [Operation; 8] = [List, Create, Submit, Replace, Read, Update, Delete, DeleteAsPublished];

impl Operation {
    fn reads(self) -> bool {
        matches!(self, List | Read)
    }

    /// Request for the operation on this order, or on the orders of its user.
    fn on(self, order: &Value, api: &Api) -> RequestBuilder {
        let content = json!({"restaurant_id": "Changed", "quantity": 7});
        let with = |fields: &[&str]| {
            let mut body = content.clone();
            for field in fields {
                body[field] = order[field].clone();
            }
            body
        };
        match self {
            List => api.request(Method::GET, "/orders").query(&[("user_id", order["user_id"].as_str())]),
            Create => api.request(Method::PUT, "/orders").json(&with(&["user_id"])),
            Submit => api.request(Method::POST, "/orders").json(&with(&["user_id"])),
            Replace => api.request(Method::PUT, "/orders").json(&with(&["user_id", "id"])),
            Read => api.request(Method::GET, &path_of(order)),
            Update => api.request(Method::PUT, &path_of(order)).json(&content),
            Delete => api.request(Method::DELETE, &path_of(order)),
            DeleteAsPublished => api.request(Method::DELETE, &published_path_of(order)),
        }
    }

    fn success_status(self) -> u16 {
        match self {
            List | Replace | Read | Update => 200,
            Create => 201,
            Submit => 202,
            Delete | DeleteAsPublished => 204,
        }
    }
}

/// Statuses of an answer to a request without a valid token.
const UNAUTHENTICATED: &[u16] = &[401];

/// Statuses of an answer to a request whose token has no scope of the operation. AWS tells these from the others; the
/// emulator does not.
const UNSCOPED: &[u16] = &[401, 403];

/// Status of an answer about another user, whom the request names.
const FORBIDDEN: &[u16] = &[403];

/// Status of an answer about an order of another user.
const NOT_FOUND: &[u16] = &[404];

/// Asserts that every operation on this order, its user's only one, is refused and changes nothing.
async fn assert_refused(
    who: &str,
    api: &Api,
    admin: &Api,
    order: &Value,
    statuses: impl Fn(Operation) -> &'static [u16],
) {
    let its_user = of_user(order["user_id"].as_str().unwrap());
    for operation in OPERATIONS {
        let answer = send(operation.on(order, api)).await;
        assert!(statuses(operation).contains(&answer.status.as_u16()), "{operation:?} {who}: {answer:?}");
        admin.list_when(&its_user, |orders| orders == [order.clone()]).await;
    }
}

/// Asserts that every operation on an order of this user succeeds.
async fn assert_allowed(who: &str, api: &Api, admin: &Api, user_id: &Value) {
    for operation in OPERATIONS {
        let order = admin.order(user_id.as_str().unwrap()).await;
        let answer = send(operation.on(&order, api)).await;
        assert_eq!(answer.status, operation.success_status(), "{operation:?} {who}: {answer:?}");
        let now = admin.get(&path_of(&order)).await;
        match operation {
            List | Create | Submit | Read => assert_eq!(now.json(), order, "{operation:?} {who}"),
            Replace | Update => assert_eq!(now.json()["version"], 2, "{operation:?} {who}"),
            Delete | DeleteAsPublished => assert_eq!(now.status, 404, "{operation:?} {who}"),
        }
    }
}

/// Forgeries of a token: with a wrong signature, with changed claims, and unsigned.
fn forged(token: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("no JWT") };
    let mut bytes = URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
    bytes[0] ^= 1;
    let other_signature = URL_SAFE_NO_PAD.encode_to_string(bytes);
    let encode = |json: Value| URL_SAFE_NO_PAD.encode_to_string(json.to_string());
    let mut other_claims = claims(token);
    other_claims["scope"] = json!("orders/admin");
    other_claims["cognito:groups"] = json!(["admins"]);
    let mut unsigned: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(header).unwrap()).unwrap();
    unsigned["alg"] = json!("none");
    vec![
        ("with a tampered signature", format!("{header}.{payload}.{other_signature}")),
        ("with tampered claims", format!("{header}.{}.{signature}", encode(other_claims))),
        ("with alg none", format!("{}.{payload}.", encode(unsigned.clone()))),
        ("with alg none and the signature", format!("{}.{payload}.{signature}", encode(unsigned))),
    ]
}

/// Returns a machine's token with all scopes, issued by another user pool.
async fn token_of_another_pool(stack: &Stack, cognito: &Cognito) -> String {
    // By this tag, the role of `ephemeral.yml` may use and delete it.
    let pool = cognito.create_user_pool().pool_name(user("other")).user_pool_tags("order-api-stack", &stack.name);
    let pool = pool.send().await.unwrap().user_pool.unwrap();
    let domain = format!("order-api-{}", Uuid::new_v4().simple());
    made("user-pool", &format!("{domain} {}", pool.id().unwrap()));
    cognito.create_user_pool_domain().user_pool_id(pool.id().unwrap()).domain(&domain).send().await.unwrap();
    let scope = |name| ResourceServerScopeType::builder().scope_name(name).scope_description(name).build().unwrap();
    let server = cognito.create_resource_server().user_pool_id(pool.id().unwrap()).identifier("orders").name("orders");
    let server = ["read", "write", "admin"].into_iter().fold(server, |server, name| server.scopes(scope(name)));
    server.send().await.unwrap();
    // On the emulator one token endpoint serves all pools.
    let of_domain = || format!("https://{domain}.auth.{}.amazoncognito.com", stack.region);
    let sign_in_url = stack.endpoint.clone().unwrap_or_else(of_domain);
    let other = Stack { user_pool_id: pool.id().unwrap().to_owned(), sign_in_url, ..stack.clone() };
    let client = machine_client(&other, cognito, TimeUnitsType::Hours, 1).await;
    machine_token(&Stack { machine_client_id: client, ..other }, None).await
}

/// Creates a machine's client whose tokens are valid for this time.
async fn machine_client(stack: &Stack, cognito: &Cognito, unit: TimeUnitsType, lifetime: i32) -> String {
    let create = cognito.create_user_pool_client().user_pool_id(&stack.user_pool_id).client_name(user("client"));
    let created = create
        .generate_secret(true)
        .allowed_o_auth_flows_user_pool_client(true)
        .allowed_o_auth_flows(OAuthFlowType::ClientCredentials)
        .set_allowed_o_auth_scopes(Some(["orders/read", "orders/write", "orders/admin"].map(String::from).into()))
        .token_validity_units(TokenValidityUnitsType::builder().access_token(unit).build())
        .access_token_validity(lifetime)
        .send()
        .await
        .unwrap();
    let client = created.user_pool_client.unwrap();
    made("client", client.client_id().unwrap());
    remember(client.client_secret().unwrap());
    client.client_id.unwrap()
}

/// Returns an expired token with all scopes. No token of AWS expires before five minutes.
async fn expired_token(stack: &Stack, cognito: &Cognito) -> String {
    let shortest = if stack.endpoint.is_some() { 1 } else { 300 };
    let client = machine_client(stack, cognito, TimeUnitsType::Seconds, shortest).await;
    let token = machine_token(&Stack { machine_client_id: client, ..stack.clone() }, None).await;
    let end = Duration::from_secs(claims(&token)["exp"].as_u64().unwrap() + 1);
    tokio::time::sleep(end.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())).await;
    token
}

#[tokio::test]
async fn without_a_valid_token_every_operation_is_401_and_changes_nothing() {
    let admin = Api::new().await;
    let stack = admin.stack.clone();
    let cognito = Cognito::new(&stack.sdk_config().await);
    let order = admin.order(&user("Ann")).await;
    let good = machine_token(&stack, None).await;
    let ann = person(&stack, "ann", true).await;
    let id_token = sign_in::person_tokens(&stack, &ann, None).await.unwrap().id_token.unwrap();

    assert_refused("without a token", &admin.without_token(), &admin, &order, |_| UNAUTHENTICATED).await;
    let mut tokens = vec![
        ("with garbage", "garbage".to_owned()),
        ("with garbage of the right shape", "a.b.c".to_owned()),
        ("of another pool", token_of_another_pool(&stack, &cognito).await),
        ("that has expired", expired_token(&stack, &cognito).await),
    ];
    tokens.extend(forged(&good));
    for (who, token) in tokens {
        assert_refused(who, &admin.with_token(token), &admin, &order, |_| UNAUTHENTICATED).await;
    }
    for (who, token) in [
        ("that is an admin's ID token", remember(id_token)),
        ("with no scope of ours", person_token(&stack, &ann, Some("openid email")).await),
    ] {
        assert_refused(who, &admin.with_token(token), &admin, &order, |_| UNSCOPED).await;
    }
    // Valid tokens from the same sources work, so nothing else was wrong with those above.
    let client = machine_client(&stack, &cognito, TimeUnitsType::Hours, 1).await;
    let lasting = machine_token(&Stack { machine_client_id: client, ..stack.clone() }, None).await;
    for token in [good, lasting] {
        assert_eq!(admin.with_token(token).get(&path_of(&order)).await.is(200).json(), order);
    }
}

#[tokio::test]
async fn reading_needs_the_read_scope_and_writing_the_write_scope() {
    let admin = Api::new().await;
    let ann = person(&admin.stack, "ann", false).await;
    let machine = text(&json!(admin.stack.machine_client_id));
    for (scope, reads, writes) in [("orders/read", true, false), ("orders/write", false, true)] {
        let persons = person_token(&admin.stack, &ann, Some(scope)).await;
        let machines = machine_token(&admin.stack, Some(scope)).await;
        let names = [text(&claims(&persons)["sub"]), machine.clone()];
        for (token, name) in [persons, machines].into_iter().zip(names) {
            let api = admin.with_token(token);
            for operation in OPERATIONS {
                let order = admin.order(&name).await;
                let answer = send(operation.on(&order, &api)).await;
                let allowed = if operation.reads() { reads } else { writes };
                let success = [operation.success_status()];
                let statuses = if allowed { &success[..] } else { UNSCOPED };
                assert!(statuses.contains(&answer.status.as_u16()), "{operation:?} with {scope}: {answer:?}");
                if !allowed {
                    assert_eq!(admin.get(&path_of(&order)).await.is(200).json(), order, "{operation:?} with {scope}");
                }
            }
        }
    }
}

#[tokio::test]
async fn people_can_access_only_their_own_orders() {
    let admin = Api::new().await;
    let (ann, bob) = (person(&admin.stack, "ann", false).await, person(&admin.stack, "bob", false).await);
    let ann_token = person_token(&admin.stack, &ann, None).await;
    let bob_id = claims(&person_token(&admin.stack, &bob, None).await)["sub"].clone();
    let ann_id = claims(&ann_token)["sub"].clone();
    let ann = admin.with_token(ann_token);

    assert_allowed("by their owner", &ann, &admin, &ann_id).await;

    // An order of another user is hidden if the path names it, and forbidden if a body or a query names the user.
    let of_bob = admin.order(bob_id.as_str().unwrap()).await;
    let status = |operation| match operation {
        List | Create | Submit | Replace => FORBIDDEN,
        Read | Update | Delete | DeleteAsPublished => NOT_FOUND,
    };
    assert_refused("of another", &ann, &admin, &of_bob, status).await;
    let named: Vec<Answer> = vec![
        send(List.on(&of_bob, &ann)).await,
        send(Create.on(&of_bob, &ann)).await,
        send(Submit.on(&of_bob, &ann)).await,
        send(Replace.on(&of_bob, &ann)).await,
    ];
    for answer in named {
        assert_eq!(answer.problem(403), ["user_id"]);
    }
    let own = admin.order(ann_id.as_str().unwrap()).await;
    let update = ann.put(&path_of(&own), &json!({"user_id": bob_id, "restaurant_id": "R", "quantity": 1})).await;
    assert_eq!(update.problem(403), ["user_id"]);
    assert_eq!(ann.get(&path_of(&own)).await.is(200).json(), own);

    // Orders of others and orders that do not exist get the same response.
    let mut absent = of_bob.clone();
    absent["id"] = json!("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
    for operation in [Read, Update, Delete, DeleteAsPublished] {
        let mut bodies = Vec::new();
        for order in [&of_bob, &absent] {
            let stale = operation.on(order, &ann).header("If-Match", "\"9\"");
            let mut body = send(stale).await.is(404).json();
            body["request_id"] = Value::Null;
            bodies.push(body);
        }
        assert_eq!(bodies[0], bodies[1], "{operation:?}");
    }
}

#[tokio::test]
async fn user_id_defaults_to_the_person_who_is_signed_in() {
    let admin = Api::new().await;
    let ann = person(&admin.stack, "ann", false).await;
    let token = person_token(&admin.stack, &ann, None).await;
    let (ann, ann_id) = (admin.with_token(&token), claims(&token)["sub"].clone());
    admin.order(&user("Somebody else")).await;

    let order = ann.put("/orders", &json!({"restaurant_id": "R", "quantity": 1})).await.is(201).json();
    assert_eq!(order["user_id"], ann_id);
    ann.list_when("", |orders| orders == [order.clone()]).await;
    let replaced = json!({"id": order["id"], "restaurant_id": "R", "quantity": 2});
    assert_eq!(ann.put("/orders", &replaced).await.is(200).json()["quantity"], "2");

    // The next page has only their own orders too.
    ann.put("/orders", &json!({"restaurant_id": "R", "quantity": 1})).await.is(201);
    let orders = ann.list_when("?limit=1", |orders| orders.len() == 2).await;
    assert_eq!(orders[1]["id"], order["id"]);
}

#[tokio::test]
async fn admins_can_access_all_orders() {
    let admin = Api::new().await;
    let boss = person(&admin.stack, "boss", true).await;
    let token = person_token(&admin.stack, &boss, None).await;
    let boss_id = claims(&token)["sub"].clone();
    let boss = admin.with_token(token);
    let somebody = json!(user("Ann"));
    assert_allowed("by an admin", &boss, &admin, &somebody).await;
    assert_allowed("by an admin machine", &admin, &admin, &json!(user("Ann"))).await;

    boss.list_when("?limit=1000", |all| all.iter().any(|order| order["user_id"] == somebody)).await;
    // An admin is a user too; an admin machine must name the user.
    let without_user = json!({"restaurant_id": "R", "quantity": 1});
    assert_eq!(boss.put("/orders", &without_user).await.is(201).json()["user_id"], boss_id);
    assert_eq!(admin.put("/orders", &without_user).await.problem(400), ["user_id"]);
}

#[tokio::test]
async fn a_machine_without_the_admin_scope_is_the_user_named_by_its_client_id() {
    let admin = Api::new().await;
    let client =
        machine_client(&admin.stack, &Cognito::new(&admin.stack.sdk_config().await), TimeUnitsType::Hours, 1).await;
    let stack = Stack { machine_client_id: client.clone(), ..admin.stack.clone() };
    let machine = admin.with_token(machine_token(&stack, Some("orders/read orders/write")).await);
    let order = machine.put("/orders", &json!({"restaurant_id": "R", "quantity": 1})).await.is(201).json();
    assert_eq!(order["user_id"], client);
    machine.list_when("", |orders| orders == [order.clone()]).await;
    assert_allowed("by its machine", &machine, &admin, &json!(client)).await;
    let of_ann = admin.order(&user("Ann")).await;
    let status = |operation| if matches!(operation, List | Create | Submit | Replace) { FORBIDDEN } else { NOT_FOUND };
    assert_refused("by a machine", &machine, &admin, &of_ann, status).await;
    // With the admin scope, it may access all orders.
    assert_allowed(
        "by its machine as an admin",
        &admin.with_token(machine_token(&stack, None).await),
        &admin,
        &json!(client),
    )
    .await;
}

#[tokio::test]
async fn idempotency_keys_of_different_callers_are_independent() {
    let admin = Api::new().await;
    let key = user("key").replace(' ', "_");
    let mut orders = Vec::new();
    for name in ["ann", "bob"] {
        let token = person_token(&admin.stack, &person(&admin.stack, name, false).await, None).await;
        let create = admin.with_token(token).request(Method::PUT, "/orders").header("Idempotency-Key", &key);
        orders.push(send(create.json(&json!({"restaurant_id": "R", "quantity": 1}))).await.is(201).json());
    }
    assert_ne!(orders[0]["user_id"], orders[1]["user_id"]);
    assert_ne!(orders[0]["id"], orders[1]["id"]);
}

#[tokio::test]
async fn browsers_can_read_responses_and_headers_and_preflights_need_no_token() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    for answer in [api.get(&path_of(&order)).await.is(200), api.get("/orders/Ann/order/7").await.is(404)] {
        assert_eq!(answer.header("access-control-allow-origin"), local::WEB_ORIGIN);
        assert_eq!(answer.header("access-control-expose-headers"), "ETag, Link, Location, Retry-After");
    }
    for path in ["/orders", &path_of(&order), &published_path_of(&order)] {
        send(api.without_token().request(Method::OPTIONS, path)).await.is(200);
    }
}
