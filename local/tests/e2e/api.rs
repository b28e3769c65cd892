//! Every operation and every error of the API, over HTTP.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Api, encode, of_user, path_of, published_path_of, send, text, user};

/// Well-formed id of no order.
const NO_ID: &str = "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1";

#[tokio::test]
async fn the_published_examples_work_unchanged() {
    let api = Api::new().await;
    let made = api
        .put("/orders", &json!({"user_id": "Burger_2", "quantity": "3", "restaurant_id": "Restaurant 3"}))
        .await
        .is(201);
    let order = made.json();
    // The six published fields come first, in this order and format.
    let fields = ["user_id", "restaurant_id", "quantity", "id", "created_at", "order_status"];
    let places: Vec<_> = fields.iter().map(|field| made.body.find(&format!("\"{field}\":\"")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", made.body);
    assert_eq!((&order["user_id"], &order["quantity"]), (&json!("Burger_2"), &json!("3")));
    assert_eq!((&order["restaurant_id"], &order["order_status"]), (&json!("Restaurant 3"), &json!("PENDING")));
    let created_at = order["created_at"].as_str().unwrap();
    assert!(created_at.len() == "2023-01-02T22:06:33.637839308Z".len() && created_at.ends_with('Z'), "{created_at}");

    assert!(api.get("/orders").await.is(200).json().is_array());
    api.list_when("?limit=1000", |orders| orders.contains(&order)).await;

    let id = text(&order["id"]);
    api.delete(&format!("/order/Burger_2/id/{id}")).await.is(204);
    api.get(&path_of(&order)).await.problem(404);
}

#[tokio::test]
async fn an_order_is_created_read_changed_and_deleted() {
    let api = Api::new().await;
    let body = json!({"user_id": user("Ann"), "restaurant_id": "Restaurant 3", "quantity": 3});
    let made = api.put("/orders", &body).await.is(201);
    let order = made.json();
    assert_eq!((made.header("etag"), made.header("content-type")), (r#""1""#, "application/json"));
    assert_eq!(order["version"], 1);
    assert_eq!(order["total"], json!({"amount": 3000, "currency": "EUR"}));
    assert_eq!(order["updated_at"], order["created_at"]);

    // Location is relative to the URL of the request.
    let location = made.url.join(made.header("location")).unwrap();
    let read = api.follow(location).await.is(200);
    assert_eq!((read.header("etag"), read.json()), (r#""1""#, order.clone()));

    let changed = api.put(&path_of(&order), &json!({"restaurant_id": "Café", "quantity": "1000"})).await.is(200);
    let mut expected = order.clone();
    expected["restaurant_id"] = json!("Café");
    expected["quantity"] = json!("1000");
    expected["total"] = json!({"amount": 1_000_000, "currency": "EUR"});
    expected["version"] = json!(2);
    expected["updated_at"] = changed.json()["updated_at"].clone();
    assert_eq!((changed.header("etag"), changed.json()), (r#""2""#, expected.clone()));
    assert!(expected["updated_at"].as_str() > order["updated_at"].as_str());
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), expected);

    let gone = api.delete(&path_of(&order)).await.is(204);
    assert!(gone.body.is_empty());
    api.get(&path_of(&order)).await.problem(404);
}

#[tokio::test]
async fn put_orders_with_an_id_replaces_the_content_of_that_order() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let mut body = json!({"user_id": order["user_id"], "id": order["id"], "restaurant_id": "Other", "quantity": 7});
    let changed = api.put("/orders", &body).await.is(200);
    assert_eq!(changed.header("etag"), r#""2""#);
    assert_eq!(changed.json()["quantity"], "7");
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), changed.json());

    // If-Match applies here too.
    api.put_if("/orders", &body, r#""1""#).await.problem(412);
    api.put_if("/orders", &body, r#""2""#).await.is(200);

    // It never creates an order: neither for an unknown or malformed id nor for another user's.
    for (field, value) in [("id", json!(NO_ID)), ("id", json!("7")), ("user_id", json!(user("Bob")))] {
        let mut other = body.clone();
        other[field] = value;
        api.put("/orders", &other).await.problem(404);
    }
    body["id"] = json!(7);
    assert_eq!(api.put("/orders", &body).await.problem(400), ["id"]);
    body["id"] = Value::Null;
    api.put("/orders", &body).await.is(201);
    // A new order has no version yet, so no condition holds.
    for condition in ["*", r#""1""#] {
        api.put_if("/orders", &body, condition).await.problem(412);
    }
}

#[tokio::test]
async fn an_order_can_be_sent_back_as_it_was_received() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let changed = api.put(&path_of(&order), &order).await.is(200).json();
    assert_eq!(changed["version"], 2);
    let again = api.put("/orders", &changed).await.is(200).json();
    assert_eq!(again["version"], 3);
    assert_eq!(again["created_at"], order["created_at"]);

    // Fields that the server sets are accepted and ignored.
    let mut forged = order.clone();
    forged["order_status"] = json!("SUCCESS");
    forged["version"] = json!(99);
    forged["total"] = json!({"amount": 1, "currency": "EUR"});
    let changed = api.put(&path_of(&order), &forged).await.is(200).json();
    assert_eq!((&changed["order_status"], &changed["version"]), (&json!("PENDING"), &json!(4)));
    assert_eq!(changed["total"], order["total"]);

    // An optional field may be null.
    let without_user = json!({"user_id": null, "restaurant_id": "R", "quantity": 1});
    api.put(&path_of(&order), &without_user).await.is(200);

    let mut foreign = order.clone();
    foreign["user_id"] = json!(user("Bob"));
    assert_eq!(api.put(&path_of(&order), &foreign).await.problem(400), ["user_id"]);
}

#[tokio::test]
async fn all_bad_fields_of_a_body_are_reported_together_and_nothing_is_created() {
    let api = Api::new().await;
    let bad = json!({"user_id": "a/b", "restaurant_id": "", "quantity": 0, "colour": "red", "size": 1});
    let mut fields = api.put("/orders", &bad).await.problem(400);
    fields.sort();
    assert_eq!(fields, ["colour", "quantity", "restaurant_id", "size", "user_id"]);

    let mut fields = api.put("/orders", &json!({})).await.problem(400);
    fields.sort();
    assert_eq!(fields, ["quantity", "restaurant_id", "user_id"]);

    let name = user("Ann");
    for quantity in [json!(1001), json!("0"), json!("three"), json!(1.5), json!(null), json!([3]), json!(" 3")] {
        let body = json!({"user_id": name, "restaurant_id": "R", "quantity": quantity});
        assert_eq!(api.put("/orders", &body).await.problem(400), ["quantity"], "{quantity}");
    }
    assert_eq!(api.get(&format!("/orders?user_id={name}")).await.is(200).json(), json!([]));

    let order = api.order(&name).await;
    let mut fields = api.put_if(&path_of(&order), &json!({"quantity": "x", "extra": true}), "1").await.problem(400);
    fields.sort();
    assert_eq!(fields, ["If-Match", "extra", "quantity", "restaurant_id"]);
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), order);
}

#[tokio::test]
async fn malformed_json_is_rejected_with_line_and_column() {
    let api = Api::new().await;
    let put = |body: &'static str| {
        send(api.request(Method::PUT, "/orders").header("Content-Type", "application/json").body(body))
    };
    let answer = put("{\"user_id\": \"Ann\",\n  quantity: 3}").await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("line 2 column 3"), "{answer:?}");
    assert_eq!(answer.problem(400), ["body"]);
    for body in ["", "{", "[]", "3", "null", "\"x\""] {
        assert_eq!(put(body).await.problem(400), ["body"], "{body}");
    }
    let order = api.order(&user("Ann")).await;
    let change = api.request(Method::PUT, &path_of(&order)).header("Content-Type", "application/json").body("{");
    assert_eq!(send(change).await.problem(400), ["body"]);
}

#[tokio::test]
async fn a_body_says_one_thing_in_utf_8() {
    let api = Api::new().await;
    let name = user("Ann");
    let put =
        |body: Vec<u8>| send(api.request(Method::PUT, "/orders").header("Content-Type", "application/json").body(body));
    let body = |fields: &str| format!(r#"{{"user_id":"{name}","restaurant_id":"R",{fields}}}"#).into_bytes();
    for (fields, bad) in [
        (r#""quantity":1,"quantity":2"#.to_owned(), "quantity"),
        (r#""quantity":1,"total":{"amount":1,"amount":2}"#.to_owned(), "total"),
        (r#""quantity":0.9999999999999999"#.to_owned(), "quantity"),
        (r#""quantity":1,"total":1e400"#.to_owned(), "total"),
        (format!(r#""quantity":1,"total":{}{}"#, "[".repeat(200), "]".repeat(200)), "total"),
    ] {
        assert_eq!(put(body(&fields)).await.problem(400), [bad], "{fields}");
    }
    let nested = put(body(r#""quantity":1,"total":{"amount":1,"amount":2}"#)).await.is(400).json();
    assert_eq!(nested["detail"], r#"total: must have the name "amount" once in an object"#);
    // A gateway may replace bytes that are not UTF-8 before the function sees them.
    let not_utf_8 = [br#"{"user_id":"Ann ""#.as_slice(), b"\xe9", br#"","restaurant_id":"R","quantity":1}"#].concat();
    let fields = put(not_utf_8).await.problem(400);
    assert!(fields == ["body"] || fields == ["user_id"], "{fields:?}");
    assert_eq!(api.get(&format!("/orders?user_id={}", encode(&name))).await.is(200).json(), json!([]));

    put(["\u{feff}".as_bytes(), &body(r#""quantity":1.0"#)].concat()).await.is(201);
}

#[tokio::test]
async fn only_content_declared_as_json_is_accepted() {
    let api = Api::new().await;
    let body = json!({"user_id": user("Ann"), "restaurant_id": "R", "quantity": 1}).to_string();
    let put = |content_type: &'static str| {
        send(api.request(Method::PUT, "/orders").header("Content-Type", content_type).body(body.clone()))
    };
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "nonsense", ""] {
        put(content_type).await.problem(415);
    }
    send(api.request(Method::PUT, "/orders").body(body.clone())).await.problem(415);
    let order = api.order(&user("Ann")).await;
    send(api.request(Method::PUT, &path_of(&order)).body(body.clone())).await.problem(415);
    put("application/json; charset=utf-8").await.is(201);
    put("Application/JSON").await.is(201);
    put("application/json ;;\tcharset=\"UTF-8\"").await.is(201);

    let detail = |answer: Answer| answer.json()["detail"].as_str().unwrap().to_owned();
    let refused = put("application/json; charset=ISO-8859-1").await.is(415);
    assert!(detail(refused).contains("ISO-8859-1"));
    let coded = api.request(Method::PUT, "/orders").header("Content-Type", "application/json");
    let refused = send(coded.header("Content-Encoding", "gzip").body(body)).await.is(415);
    assert_eq!(refused.header("accept-encoding"), "identity");
    assert!(detail(refused).contains("gzip"));
}

#[tokio::test]
async fn a_body_over_64_kib_is_rejected() {
    let api = Api::new().await;
    let order = json!({"user_id": user("Ann"), "restaurant_id": "R", "quantity": 1}).to_string();
    let put = |size: usize| {
        let padding = " ".repeat(size - order.len());
        let body = format!("{padding}{order}");
        send(api.request(Method::PUT, "/orders").header("Content-Type", "application/json").body(body))
    };
    put(64 * 1024).await.is(201);
    put(64 * 1024 + 1).await.problem(413);
    let path = path_of(&api.order(&user("Ann")).await);
    let change = json!({"restaurant_id": "R".repeat(64 * 1024), "quantity": 1});
    api.put(&path, &change).await.problem(413);
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_404_on_every_route() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let name = encode(order["user_id"].as_str().unwrap());
    let id = text(&order["id"]);
    let body = json!({"restaurant_id": "R", "quantity": 1});
    for (name, id) in [
        (name.as_str(), NO_ID),
        (&name, "7"),
        (&name, &id.to_uppercase()),
        ("Nobody", &id),
        ("a%3Fb", &id),
        ("%01", &id),
        (&"x".repeat(129), &id),
    ] {
        let path = format!("/orders/{name}/order/{id}");
        api.get(&path).await.problem(404);
        api.put(&path, &body).await.problem(404);
        api.delete(&path).await.problem(404);
        api.delete(&format!("/order/{name}/id/{id}")).await.problem(404);
    }
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), order);
}

#[tokio::test]
async fn unusual_characters_survive_a_round_trip() {
    let api = Api::new().await;
    for name in ["Café 東京", "a+b&c=d;e", "ю'\"<>|{}", "💥", "x".repeat(128).as_str(), "a@b:c,d!$*()~"] {
        let name = user(name).chars().rev().take(128).collect::<String>();
        let name = name.trim();
        let body = json!({"user_id": name, "restaurant_id": "100% / \\ ? # Café 東京", "quantity": 1});
        let made = api.put("/orders", &body).await.is(201);
        let order = made.json();
        assert_eq!(order["user_id"], name);
        let location = made.url.join(made.header("location")).unwrap();
        assert_eq!(api.follow(location).await.is(200).json(), order);
        api.list_when(&of_user(name), |orders| orders == [order.clone()]).await;
        api.delete(&published_path_of(&order)).await.is(204);
    }
}

#[tokio::test]
async fn path_segments_are_decoded_exactly_once() {
    let api = Api::new().await;
    let order = api.order(&user("A")).await;
    let id = text(&order["id"]);
    let name = order["user_id"].as_str().unwrap().strip_prefix('A').unwrap().trim();
    api.get(&format!("/orders/%41%20{name}/order/{id}")).await.is(200);
    api.get(&format!("/orders/%2541%20{name}/order/{id}")).await.problem(404);
}

#[tokio::test]
async fn if_match_is_obeyed() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let path = path_of(&order);
    let body = json!({"restaurant_id": "R", "quantity": 7});

    for stale in [r#""2""#, r#""0""#, r#"W/"1""#, r#""x""#, r#""2", "3""#] {
        api.put_if(&path, &body, stale).await.problem(412);
        api.delete_if(&path, stale).await.problem(412);
    }
    for malformed in ["1", r#""1"#, r#""1" "2""#] {
        assert_eq!(api.put_if(&path, &body, malformed).await.problem(400), ["If-Match"]);
        assert_eq!(api.delete_if(&path, malformed).await.problem(400), ["If-Match"]);
    }
    assert_eq!(api.get(&path).await.is(200).json(), order);

    assert_eq!(api.put_if(&path, &body, r#""1""#).await.is(200).header("etag"), r#""2""#);
    api.put_if(&path, &body, r#""1""#).await.problem(412);
    assert_eq!(api.put_if(&path, &body, r#""7", "2""#).await.is(200).header("etag"), r#""3""#);
    assert_eq!(api.put_if(&path, &body, "*").await.is(200).header("etag"), r#""4""#);
    api.delete_if(&path, r#""3""#).await.problem(412);
    api.delete_if(&path, r#""4""#).await.is(204);
    // A deleted order is 404 under any condition, and no change restores it.
    for condition in ["*", r#""4""#] {
        api.put_if(&path, &body, condition).await.problem(404);
        api.delete_if(&path, condition).await.problem(404);
    }
    api.put(&path, &body).await.problem(404);
    api.get(&path).await.problem(404);
}

#[tokio::test]
async fn if_none_match_is_obeyed() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let path = path_of(&order);
    let body = json!({"restaurant_id": "R", "quantity": 7});
    let conditional = |method: Method, path: &str, name: &str, tags: &str| {
        send(api.request(method, path).json(&body).header(name, tags))
    };
    let read = |tags: &'static str| send(api.request(Method::GET, &path).header("If-None-Match", tags));

    for known in ["*", r#""1""#, r#"W/"1""#, r#""7", W/"1""#] {
        let unchanged = read(known).await.is(304);
        assert_eq!((unchanged.header("etag"), unchanged.body.as_str()), (r#""1""#, ""));
        conditional(Method::PUT, &path, "If-None-Match", known).await.problem(412);
        conditional(Method::DELETE, &path, "If-None-Match", known).await.problem(412);
        let mut replace = body.clone();
        replace["user_id"] = order["user_id"].clone();
        replace["id"] = order["id"].clone();
        send(api.request(Method::PUT, "/orders").json(&replace).header("If-None-Match", known)).await.problem(412);
    }
    assert_eq!(read(r#""2", "x""#).await.is(200).json(), order);
    for malformed in ["1", r#""1"#, r#"*, "1""#] {
        assert_eq!(read(malformed).await.problem(400), ["If-None-Match"]);
        assert_eq!(conditional(Method::PUT, &path, "If-None-Match", malformed).await.problem(400), ["If-None-Match"]);
        assert_eq!(
            conditional(Method::DELETE, &path, "If-None-Match", malformed).await.problem(400),
            ["If-None-Match"]
        );
    }

    // If-Match comes first.
    let both = api.request(Method::GET, &path).header("If-Match", r#""2""#).header("If-None-Match", r#""1""#);
    send(both).await.problem(412);
    conditional(Method::GET, &path, "If-Match", r#""1""#).await.is(200);

    let changed = conditional(Method::PUT, &path, "If-None-Match", r#""2""#).await.is(200);
    assert_eq!(changed.header("etag"), r#""2""#);
    read(r#""1""#).await.is(200);
    conditional(Method::DELETE, &path, "If-None-Match", r#""1""#).await.is(204);
    read("*").await.problem(404);
    conditional(Method::PUT, &path, "If-None-Match", "*").await.problem(404);

    // A new order and a list have no tag that it could name.
    let mut new = body.clone();
    new["user_id"] = json!(user("Bob"));
    for method in [Method::PUT, Method::POST] {
        let answer = send(api.request(method, "/orders").json(&new).header("If-None-Match", "*")).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    send(api.request(Method::GET, "/orders?limit=1").header("If-None-Match", "*")).await.is(200);
}

#[tokio::test]
async fn every_spelling_of_the_path_leads_to_the_order() {
    let api = Api::new().await;
    let body = json!({"user_id": user("Ann Bo"), "restaurant_id": "R", "quantity": 1});
    for path in ["/orders", "/orders/"] {
        let made = api.put(path, &body).await.is(201);
        let location = made.url.join(made.header("location")).unwrap();
        assert_eq!(api.follow(location).await.is(200).json(), made.json(), "{path}");
    }
    api.list_when("", |orders| orders.len() > 1).await;
    let page = api.get("/orders/?limit=1").await.is(200);
    api.follow(page.next_page().unwrap()).await.is(200);
}

#[tokio::test]
async fn headers_that_make_no_url_are_no_obstacle() {
    let api = Api::new().await;
    for (name, value) in
        [("X-Forwarded-Proto", "https,http"), ("X-Forwarded-Host", "not a host"), ("User-Agent", "Café")]
    {
        send(api.request(Method::GET, "/orders?limit=1").header(name, value)).await.is(200);
    }
}

#[tokio::test]
async fn a_final_order_can_be_deleted_but_not_changed() {
    let api = Api::new().await;
    for published in [false, true] {
        let order = api.order(&user("Ann")).await;
        let path = path_of(&order);
        api.finish(&order).await;
        let mut body = json!({"restaurant_id": "R", "quantity": 7});
        api.put(&path, &body).await.problem(409);
        api.put_if(&path, &body, r#""9""#).await.problem(409);
        body["user_id"] = order["user_id"].clone();
        body["id"] = order["id"].clone();
        api.put("/orders", &body).await.problem(409);
        assert_eq!(api.get(&path).await.is(200).json()["quantity"], "3");

        let delete = if published { published_path_of(&order) } else { path };
        api.delete(&delete).await.is(204);
    }
}

#[tokio::test]
async fn an_order_in_process_can_neither_be_changed_nor_deleted() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    api.accept(&order).await;
    let accepted = api.get(&path_of(&order)).await.is(200).json();
    let body = json!({"user_id": order["user_id"], "id": order["id"], "restaurant_id": "R", "quantity": 7});
    for answer in [
        api.put("/orders", &body).await,
        api.put(&path_of(&order), &body).await,
        api.put_if(&path_of(&order), &body, r#""9""#).await,
        api.delete(&path_of(&order)).await,
        api.delete(&published_path_of(&order)).await,
    ] {
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:in-process");
        answer.problem(409);
    }
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), accepted);
    // A final order can be deleted.
    api.finish(&order).await;
    api.delete(&path_of(&order)).await.is(204);
}

#[tokio::test]
async fn concurrent_changes_are_not_lost() {
    let api = Api::new().await;
    let order = api.order(&user("Ann")).await;
    let mut writers = JoinSet::new();
    for _ in 0..10 {
        let (api, path) = (api.clone(), path_of(&order));
        writers.spawn(async move {
            loop {
                let read = api.get(&path).await.is(200);
                let quantity: u32 = read.json()["quantity"].as_str().unwrap().parse().unwrap();
                let body = json!({"restaurant_id": "R", "quantity": quantity + 1});
                let answer = api.put_if(&path, &body, read.header("etag")).await;
                if answer.status == 200 {
                    break;
                }
                answer.is(412);
            }
        });
    }
    writers.join_all().await;
    let last = api.get(&path_of(&order)).await.is(200);
    assert_eq!((&last.json()["quantity"], last.header("etag")), (&json!("13"), r#""11""#));
}

#[tokio::test]
async fn paging_neither_skips_nor_repeats_orders_while_others_are_added() {
    let api = Api::new().await;
    let name = user("Pager");
    let mut clients = JoinSet::new();
    for _ in 0..10 {
        let (api, name) = (api.clone(), name.clone());
        clients.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..25 {
                ids.push(text(&api.order(&name).await["id"]));
            }
            ids
        });
    }
    let made: HashSet<String> = clients.join_all().await.concat().into_iter().collect();
    assert_eq!(made.len(), 250);
    api.list_when(&of_user(&name), |orders| orders.len() == 250).await;

    for (query, newest_first) in [(format!("user_id={}&", encode(&name)), true), (String::new(), false)] {
        let mut seen: Vec<String> = Vec::new();
        let mut page = api.get(&format!("/orders?{query}limit=60")).await.is(200);
        loop {
            let orders = page.json();
            let orders = orders.as_array().unwrap();
            seen.extend(orders.iter().map(|order| text(&order["id"])));
            let Some(next) = page.next_page() else { break };
            assert_eq!(orders.len(), 60);
            api.order(&name).await;
            page = api.follow(next).await.is(200);
        }
        let once: HashSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "an order is repeated");
        assert!(once.is_superset(&made), "an order is missing");
        if newest_first {
            assert!(seen.is_sorted_by(|newer, older| newer > older));
        }
    }
}

#[tokio::test]
async fn a_list_is_an_array_of_at_most_100_orders_by_default() {
    let api = Api::new().await;
    let name = user("Lister");
    let list = format!("/orders?user_id={}", encode(&name));
    let empty = api.get(&list).await.is(200);
    assert_eq!((empty.json(), empty.headers.get("link")), (json!([]), None));
    for _ in 0..101 {
        api.order(&name).await;
    }
    api.list_when(&of_user(&name), |orders| orders.len() == 101).await;
    let length = |page: &Answer| page.json().as_array().unwrap().len();
    let page = api.get(&list).await.is(200);
    assert_eq!(length(&page), 100);
    let rest = api.follow(page.next_page().unwrap()).await.is(200);
    assert_eq!((length(&rest), rest.next_page()), (1, None));
    // The last page has no link, even if it is full.
    let exact = api.get(&format!("{list}&limit=101")).await.is(200);
    assert_eq!((length(&exact), exact.next_page()), (101, None));
}

#[tokio::test]
async fn all_bad_parameters_of_a_list_are_reported_together() {
    let api = Api::new().await;
    for limit in ["0", "1001", "-1", "x", "", "1.5"] {
        assert_eq!(api.get(&format!("/orders?limit={limit}")).await.problem(400), ["limit"], "{limit}");
    }
    assert_eq!(api.get("/orders?limit=1&limit=2").await.problem(400), ["limit"]);
    assert_eq!(api.get("/orders?cursor=nonsense").await.problem(400), ["cursor"]);
    assert_eq!(api.get("/orders?limit=0&cursor=x").await.problem(400), ["limit", "cursor"]);
    assert_eq!(api.get("/orders?user_id=a%2Fb&limit=0").await.problem(400), ["user_id", "limit"]);

    let name = user("Ann");
    for _ in 0..2 {
        api.order(&name).await;
    }
    api.list_when(&of_user(&name), |orders| orders.len() == 2).await;
    let of_ann = api.get(&format!("/orders?user_id={}&limit=1", encode(&name))).await.is(200);
    let next = of_ann.next_page().unwrap();
    let (_, cursor) = next.query_pairs().find(|(key, _)| key == "cursor").unwrap();
    for query in [format!("cursor={cursor}"), format!("cursor={cursor}&user_id=Bob")] {
        assert_eq!(api.get(&format!("/orders?{query}")).await.problem(400), ["cursor"]);
    }
}
