//! The order store against a real DynamoDB engine, in this process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod table;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{AsyncSleep, Sleep};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::json;
use shared::fixtures;
use shared::fixtures::{content, euros, new_order, user_id};
use shared::idempotency::{IdempotencyKey, Operation};
use shared::order::{Expected, Order, OrderForm, OrderId, OrderKey, Processing, Refusal, Step, Timestamp, Version};
use shared::page::{Cursor, Limit, List};
use shared::store::{IdempotencyRecords, Orders, StoreError};
use table::{IDEMPOTENCY_TABLE, TABLE, Table, sdk_config};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

fn limit(number: u16) -> Limit {
    number.to_string().parse().unwrap()
}

async fn all_pages(orders: &Orders, list: &List, per_page: u16) -> Vec<Vec<Order>> {
    let mut pages = Vec::new();
    let mut from: Option<Cursor> = None;
    loop {
        let page = orders.list(list, limit(per_page), from.as_ref()).await.unwrap();
        pages.push(page.orders);
        from = page.next;
        if from.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn an_order_is_read_as_it_was_saved() {
    let table = Table::new().await;
    let order = table.created("Café 東京").await;
    assert_eq!(table.orders.get(order.key()).await.unwrap(), order);
}

#[tokio::test]
async fn an_item_that_is_not_an_order_is_skipped_in_lists_and_is_an_error_when_read() {
    let table = Table::new().await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(table.created("Ann").await);
    }
    let (damaged, mut expected) = (orders.remove(2), orders);
    expected.reverse();
    let key: HashMap<String, AttributeValue> = serde_dynamo::to_item(damaged.key()).unwrap();
    let put = table.client.put_item().table_name(TABLE).set_item(Some(key));
    put.item("quantity", AttributeValue::S("many".into())).send().await.unwrap();

    let of_ann = List::Of(user_id("Ann"));
    for per_page in [1, 2, 3, 4, 100] {
        assert_eq!(all_pages(&table.orders, &of_ann, per_page).await.concat(), expected, "{per_page} a page");
        assert_eq!(all_pages(&table.orders, &List::All, per_page).await.concat().len(), 4, "{per_page} a page");
    }
    let read = table.orders.get(damaged.key()).await;
    assert!(matches!(read, Err(StoreError::Failed(_))), "{read:?}");
}

#[tokio::test]
async fn a_missing_order_is_not_found() {
    let table = Table::new().await;
    table.created("Ann").await;
    let missing = OrderKey { user_id: user_id("Ann"), id: OrderId::new(Timestamp::now()) };
    let any = &Expected::Any;
    assert!(matches!(table.orders.get(&missing).await, Err(StoreError::NotFound)));
    assert!(matches!(table.replace(&missing, &content(2), any).await, Err(StoreError::NotFound)));
    assert!(matches!(table.delete(&missing, any).await, Err(StoreError::NotFound)));
    // A failed update has made nothing.
    assert!(matches!(table.orders.get(&missing).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_creation_never_overwrites_an_order() {
    let table = Table::new().await;
    let order = table.created("Ann").await;
    let changed = table.replace(order.key(), &content(7), &Expected::Any).await.unwrap();
    assert!(matches!(table.orders.create(&order).await, Err(StoreError::Failed(_))));
    assert_eq!(table.orders.get(order.key()).await.unwrap(), changed);
}

#[tokio::test]
async fn a_change_replaces_the_content_and_raises_the_version() {
    let table = Table::new().await;
    let order = table.created("Ann").await;
    let now = Timestamp::now();
    let changed = table.orders.replace(order.key(), &content(7), euros(70), &Expected::Any, now).await.unwrap();
    assert_eq!(changed, order.replaced(&content(7), euros(70), &Expected::Any, now).unwrap());
    assert_eq!(
        (changed.content(), changed.total(), changed.version()),
        (&content(7), Some(euros(70)), Version::from(2))
    );
    assert_eq!(table.orders.get(order.key()).await.unwrap(), changed);

    // Fields that are left out are gone.
    let least = serde_json::from_value(json!({"restaurant_id": "Restaurant 4", "quantity": 1})).unwrap();
    table.replace(order.key(), &least, &Expected::Any).await.unwrap();
    assert_eq!(table.orders.get(order.key()).await.unwrap().content(), &least);
}

#[tokio::test]
async fn a_write_for_another_version_is_stale_and_changes_nothing() {
    let table = Table::new().await;
    let order = table.created("Ann").await;
    for expected in [
        Expected::OneOf(vec![]),
        Expected::OneOf(vec![order.version().next()]),
        Expected::OneOf(vec![Version::from(7), Version::from(8)]),
        Expected::NoneOf(vec![Version::from(7), order.version()]),
    ] {
        let replaced = table.replace(order.key(), &content(7), &expected).await;
        assert!(matches!(replaced, Err(StoreError::Stale)), "{replaced:?}");
        assert!(matches!(table.delete(order.key(), &expected).await, Err(StoreError::Stale)));
    }
    assert_eq!(table.orders.get(order.key()).await.unwrap(), order);

    let many = Expected::OneOf((1..=100).map(Version::from).collect());
    let others = Expected::NoneOf((3..=102).map(Version::from).collect());
    for expected in [many, others, Expected::NoneOf(vec![])] {
        let order = table.created("Ann").await;
        table.replace(order.key(), &content(7), &expected).await.unwrap();
        table.delete(order.key(), &expected).await.unwrap();
    }
}

#[tokio::test]
async fn a_final_order_can_be_deleted_but_not_changed() {
    let table = Table::new().await;
    let order = table.submitted().await;
    let order = table.finish(&order).await;
    for expected in [Expected::Any, Expected::OneOf(vec![]), Expected::OneOf(vec![order.version()])] {
        let replaced = table.replace(order.key(), &content(7), &expected).await;
        assert!(matches!(replaced, Err(StoreError::NotPending)), "{replaced:?}");
    }
    assert_eq!(table.orders.get(order.key()).await.unwrap(), order);
    table.delete(order.key(), &Expected::Any).await.unwrap();
}

#[tokio::test]
async fn a_deleted_order_is_never_revived() {
    let table = Table::new().await;
    let order = table.created("Ann").await;
    table.delete(order.key(), &Expected::OneOf(vec![order.version()])).await.unwrap();
    let replaced = table.replace(order.key(), &content(7), &Expected::Any).await;
    assert!(matches!(replaced, Err(StoreError::NotFound)));
    assert!(matches!(table.orders.get(order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_writers_lose_no_update() {
    let table = Table::new().await;
    let order = table.created("Ann").await;

    // Each adds one to the quantity that it has read, and starts again if another was faster.
    let mut writers = JoinSet::new();
    for _ in 0..50 {
        let (orders, key) = (table.orders.clone(), order.key().clone());
        writers.spawn(async move {
            loop {
                let read = orders.get(&key).await.unwrap();
                let more = content(u64::from(read.content().quantity.get()) + 1);
                match orders
                    .replace(&key, &more, euros(1), &Expected::OneOf(vec![read.version()]), Timestamp::now())
                    .await
                {
                    Ok(_) => break,
                    Err(StoreError::Stale) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    writers.join_all().await;

    let last = table.orders.get(order.key()).await.unwrap();
    assert_eq!((last.content().quantity.to_string().as_str(), last.version().get()), ("53", 51));
}

#[tokio::test]
async fn a_users_list_is_theirs_newest_first() {
    let table = Table::new().await;
    let mut anns = Vec::new();
    for _ in 0..5 {
        anns.insert(0, table.created("Ann").await);
        table.created("Bob").await;
    }
    let list = List::Of(user_id("Ann"));
    for (per_page, sizes) in [(1, vec![1; 5]), (2, vec![2, 2, 1]), (5, vec![5]), (1000, vec![5])] {
        let pages = all_pages(&table.orders, &list, per_page).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{per_page} a page");
        assert_eq!(pages.concat(), anns);
    }
    assert!(all_pages(&table.orders, &List::Of(user_id("Nobody")), 10).await.concat().is_empty());
}

#[tokio::test]
async fn a_forged_cursor_shows_only_orders_of_its_own_list() {
    let table = Table::new().await;
    let (mut orders, mut own) = (Vec::new(), HashSet::new());
    for name in ["Al", "Ann", "Annie", "Bob"].iter().cycle().take(20) {
        let order = table.created(name).await;
        own.extend((*name == "Ann").then(|| order.key().clone()));
        orders.push(order);
    }
    let list = List::Of(user_id("Ann"));
    // Ids of others' orders, and ids before and after all of them.
    let ends = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"].map(str::to_owned);
    let ids = orders.iter().map(|order| order.id().to_string()).chain(ends);
    for id in ids {
        for (of, user) in [("Ann", "Ann"), ("Ann", "Bob"), ("Ann", "Al"), ("Bob", "Ann"), ("Bob", "Bob")] {
            let form = json!({"v": "1", "list": {"of": of}, "after": {"user_id": user, "id": id}});
            let forged = Cursor::decode(&URL_SAFE_NO_PAD.encode_to_string(form.to_string()), &list);
            assert_eq!(forged.is_ok(), of == "Ann" && user == "Ann", "{form}");
            let Ok(cursor) = forged else { continue };
            let page = table.orders.list(&list, limit(1000), Some(&cursor)).await.unwrap();
            assert!(page.orders.iter().all(|order| own.contains(order.key())), "{form}");
            assert!(page.orders.iter().all(|order| order.id().to_string() < id), "{form}");
        }
        let form = json!({"v": "1", "list": "all", "after": {"user_id": "Ann", "id": id}});
        assert!(Cursor::decode(&URL_SAFE_NO_PAD.encode_to_string(form.to_string()), &list).is_err(), "{form}");
    }
}

#[tokio::test]
async fn everybodys_list_has_every_order_once_though_some_go_and_come() {
    let table = Table::new().await;
    let mut there = HashSet::new();
    for n in 0..60 {
        there.insert(table.created(&format!("user {}", n % 7)).await.key().clone());
    }
    let mut seen = Vec::new();
    let mut from = None;
    loop {
        let page = table.orders.list(&List::All, limit(7), from.as_ref()).await.unwrap();
        seen.extend(page.orders.iter().map(|order| order.key().clone()));
        // The order that the cursor stands after goes, and a new one comes.
        if let Some(last) = page.orders.last() {
            table.delete(last.key(), &Expected::Any).await.unwrap();
            table.created("newcomer").await;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let once: HashSet<_> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "an order came twice");
    assert!(once.is_superset(&there), "an order is missing");
}

#[tokio::test]
async fn a_list_goes_on_past_the_megabyte_that_one_request_reads() {
    let table = Table::new().await;
    // No client can make orders this large: the padding stands for a table of many.
    for _ in 0..8 {
        let mut item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(new_order("Ann", Processing::None)).unwrap();
        item.insert("padding".into(), AttributeValue::S("x".repeat(300_000)));
        table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
    for list in [List::All, List::Of(user_id("Ann"))] {
        let page = table.orders.list(&list, limit(8), None).await.unwrap();
        assert_eq!((page.orders.len(), page.next), (8, None));
    }
}

#[tokio::test]
async fn an_engine_that_is_away_is_unavailable_and_a_missing_table_is_a_mistake() {
    let table = Table::new().await;
    let key = table.created("Ann").await.key().clone();

    // Nobody listens on the port of a listener that is gone.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = Orders::new(&sdk_config(&format!("http://{port}")), TABLE);
    assert!(matches!(away.get(&key).await, Err(StoreError::Unavailable(_))));

    table.client.delete_table().table_name(TABLE).send().await.unwrap();
    assert!(matches!(table.orders.get(&key).await, Err(StoreError::Failed(_))));
}

fn request(key: &str, body: &str) -> Operation {
    Operation::request(
        "caller",
        &IdempotencyKey::try_from(key.as_bytes()).unwrap(),
        "PUT /orders",
        body.as_bytes(),
        Processing::None,
    )
}

impl Table {
    /// Creates an order for that request; its answer is the order's id.
    async fn create_once(&self, operation: &Operation, now: Timestamp) -> Result<String, StoreError> {
        let order = new_order("Ann", Processing::None);
        self.orders.create_once(&self.records, &order, operation, order.id().to_string(), now).await
    }

    async fn ids(&self) -> Vec<String> {
        let page = self.orders.list(&List::All, limit(1000), None).await.unwrap();
        page.orders.iter().map(|order| order.id().to_string()).collect()
    }
}

#[tokio::test]
async fn a_repeated_creation_gives_the_first_answer_whatever_became_of_the_order() {
    let table = Table::new().await;
    let request = request("k", "body");
    let first = table.create_once(&request, Timestamp::now()).await.unwrap();
    assert_eq!(table.create_once(&request, Timestamp::now()).await.unwrap(), first);

    let key = OrderKey { user_id: user_id("Ann"), id: first.clone().try_into().unwrap() };
    table.replace(&key, &content(7), &Expected::Any).await.unwrap();
    assert_eq!(table.create_once(&request, Timestamp::now()).await.unwrap(), first);
    assert_eq!(table.orders.get(&key).await.unwrap().content(), &content(7));

    table.delete(&key, &Expected::Any).await.unwrap();
    assert_eq!(table.create_once(&request, Timestamp::now()).await.unwrap(), first);
    assert_eq!(table.ids().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_creations_with_one_key_at_once_make_one_order() {
    let table = std::sync::Arc::new(Table::new().await);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let table = table.clone();
        callers.spawn(async move { table.create_once(&request("k", "body"), Timestamp::now()).await.unwrap() });
    }
    let answers: HashSet<String> = callers.join_all().await.into_iter().collect();
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), table.ids().await);
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_and_makes_nothing() {
    let table = Table::new().await;
    let first = table.create_once(&request("k", "body"), Timestamp::now()).await.unwrap();
    let other = table.create_once(&request("k", "tampered"), Timestamp::now()).await;
    assert!(matches!(other, Err(StoreError::KeyReused)), "{other:?}");
    assert_eq!(table.ids().await, [first]);
}

#[tokio::test]
async fn an_expired_key_is_a_new_one_though_its_record_is_still_there() {
    let table = Table::new().await;
    let at = |text: &str| serde_json::from_value::<Timestamp>(text.into()).unwrap();
    let first = table.create_once(&request("k", "body"), at("2026-01-01T00:00:00Z")).await.unwrap();
    let in_time = table.create_once(&request("k", "body"), at("2026-01-01T23:59:59Z")).await.unwrap();
    assert_eq!(in_time, first);
    let late = table.create_once(&request("k", "other body"), at("2026-01-02T00:00:00Z")).await.unwrap();
    assert_ne!(late, first);
    assert_eq!(table.ids().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_cut_off_anywhere_is_done_once_when_it_is_repeated() {
    let table = std::sync::Arc::new(Table::new().await);
    let started = std::time::Instant::now();
    let mut answers = vec![table.create_once(&request("whole", "body"), Timestamp::now()).await.unwrap()];
    let whole = started.elapsed();
    let mut uncut = 0;
    for n in 0..200 {
        let cut_off = {
            let table = table.clone();
            tokio::spawn(async move { table.create_once(&request(&n.to_string(), "body"), Timestamp::now()).await })
        };
        // From before the request leaves until after its answer has come.
        tokio::time::sleep(whole * n / 50).await;
        cut_off.abort();
        let before = cut_off.await.ok().map(Result::unwrap);
        uncut += usize::from(before.is_some());
        let after = table.create_once(&request(&n.to_string(), "body"), Timestamp::now()).await.unwrap();
        assert!(before.is_none_or(|before| before == after));
        answers.push(after);
    }
    assert!((1..200).contains(&uncut), "{uncut} of 200 were not cut off");
    // One order for each key: every creation that was cut off left both of its writes or none.
    let mut ids = table.ids().await;
    ids.sort();
    answers.sort();
    assert_eq!(ids, answers);
}

#[tokio::test]
async fn a_transaction_that_conflicts_with_another_is_repeated() {
    let cancelled = |code: &str| {
        let body = format!(
            r#"{{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "CancellationReasons":[{{"Code":"{code}"}},{{"Code":"None"}}]}}"#
        );
        (400, body)
    };
    let now = Timestamp::now();
    let order = new_order("Ann", Processing::None);
    let create = async |answers| {
        let sdk = answered(answers);
        let (orders, records) = (Orders::new(&sdk, TABLE), IdempotencyRecords::new(&sdk, IDEMPOTENCY_TABLE));
        orders.create_once(&records, &order, &request("k", "body"), 1, now).await
    };

    let conflict = || cancelled("TransactionConflict");
    let made = create(vec![conflict(), conflict(), conflict(), conflict(), (200, "{}".into())]).await;
    assert_eq!(made.unwrap(), 1);
    for code in ["TransactionConflict", "ThrottlingError"] {
        let made = create(vec![cancelled(code); 10]).await;
        assert!(matches!(made, Err(StoreError::Unavailable(_))), "{made:?}");
    }
    let made = create(vec![cancelled("ValidationError")]).await;
    assert!(matches!(made, Err(StoreError::Failed(_))), "{made:?}");
}

/// Configuration of a DynamoDB client that gets these answers, one after the other, and never waits before a repeat.
fn answered(answers: Vec<(u16, String)>) -> SdkConfig {
    let events = answers.into_iter().map(|(status, body)| {
        let response = lambda_http::http::Response::builder().status(status).body(SdkBody::from(body)).unwrap();
        ReplayEvent::new(lambda_http::http::Request::new(SdkBody::empty()), response)
    });
    let sdk = sdk_config("http://localhost").into_builder().http_client(StaticReplayClient::new(events.collect()));
    sdk.sleep_impl(NoSleep).build()
}

#[tokio::test]
async fn a_write_that_conflicts_with_a_transaction_is_repeated() {
    let conflict = || (400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException"}"#.to_owned());
    let key = OrderKey { user_id: user_id("Ann"), id: OrderId::new(Timestamp::now()) };
    let delete = async |answers| {
        let sdk = answered(answers);
        let records = IdempotencyRecords::new(&sdk, IDEMPOTENCY_TABLE);
        Orders::new(&sdk, TABLE).delete(&records, &key, &Expected::Any, Timestamp::now()).await
    };
    delete(vec![conflict(), (200, "{}".into())]).await.unwrap();
    let deleted = delete(vec![conflict(); 3]).await;
    assert!(matches!(deleted, Err(StoreError::Unavailable(_))), "{deleted:?}");
    let orders = Orders::new(&answered(vec![conflict(); 3]), TABLE);
    let replaced = orders.replace(&key, &content(2), euros(20), &Expected::Any, Timestamp::now()).await;
    assert!(matches!(replaced, Err(StoreError::Unavailable(_))), "{replaced:?}");
}

/// Does not wait.
#[derive(Debug)]
struct NoSleep;

impl AsyncSleep for NoSleep {
    fn sleep(&self, _duration: std::time::Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_record_keeps_the_first_answer_of_its_request() {
    let table = Table::new().await;
    let now = Timestamp::now();
    let first = table.records.save(&request("k", "{}"), "first".to_owned(), now).await.unwrap();
    let second = table.records.save(&request("k", "{}"), "second".to_owned(), now).await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("first", "first"));
    let tampered = table.records.save(&request("k", "{ }"), "third".to_owned(), now).await;
    assert!(matches!(tampered, Err(StoreError::KeyReused)), "{tampered:?}");
    // Even if that request's answer has another form.
    let of_another_form = table.records.save(&request("k", "{ }"), vec![3], now).await;
    assert!(matches!(of_another_form, Err(StoreError::KeyReused)), "{of_another_form:?}");
}

// --- The workflow ---

#[tokio::test]
async fn a_submitted_order_is_saved_once_even_if_it_was_changed_or_deleted_since() {
    let table = Table::new().await;
    let order = table.submitted().await;
    assert_eq!(table.orders.get(order.key()).await.unwrap(), order);

    let changed = table.replace(order.key(), &content(7), &Expected::Any).await.unwrap();
    table.save(&order).await.unwrap();
    assert_eq!(table.orders.get(order.key()).await.unwrap(), changed, "no change is undone");

    table.delete(order.key(), &Expected::Any).await.unwrap();
    table.save(&order).await.unwrap();
    assert!(matches!(table.orders.get(order.key()).await, Err(StoreError::NotFound)), "a deleted order stays deleted");
}

#[tokio::test]
async fn an_order_that_is_deleted_before_it_is_saved_is_never_saved() {
    let table = Table::new().await;
    let order = fixtures::order();
    for _ in 0..2 {
        let deleted = table.delete(order.key(), &Expected::Any).await;
        assert!(matches!(deleted, Err(StoreError::NotFound)), "{deleted:?}");
    }
    table.save(&order).await.unwrap();
    assert!(matches!(table.orders.get(order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_saved_and_deleted_at_the_same_time_is_gone() {
    let table = Table::new().await;
    for _ in 0..50 {
        let order = fixtures::order();
        let (saved, deleted) = tokio::join!(table.save(&order), table.delete(order.key(), &Expected::Any));
        saved.unwrap();
        assert!(matches!(deleted, Ok(()) | Err(StoreError::NotFound)), "{deleted:?}");
        assert!(matches!(table.orders.get(order.key()).await, Err(StoreError::NotFound)));
    }
}

#[tokio::test]
async fn an_order_older_than_60_days_is_not_saved() {
    let table = Table::new().await;
    let order = fixtures::order();
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    let then = |age| Timestamp::now().before(age);
    let of_age = |age| Order::new(user_id("Ann"), content(1), euros(10), Processing::Workflow, then(age));
    let too_old = table.save(&of_age(days(60))).await;
    assert!(matches!(too_old, Err(StoreError::Failed(_))), "{too_old:?}");
    table.save(&of_age(days(59))).await.unwrap();
    table.save(&order).await.unwrap();
}

/// An order in every state of its life.
fn states() -> Vec<(&'static str, Order)> {
    let now = Timestamp::now();
    let later = now; // the instants do not matter here
    let submitted = fixtures::order();
    let accepted = submitted.accepted(now).unwrap();
    let paid = accepted.paid(now).unwrap();
    let cancelling = paid.cancelling(now).unwrap();
    let delivered = paid.delivered(now).unwrap();
    let declined = accepted.declined("no", now).unwrap();
    let owed = cancelling.cancelled(now).unwrap();
    let refunded = owed.refunded(now).unwrap();
    let success = delivered.completed(now).unwrap();
    let failure = refunded.completed(now).unwrap();
    let still_owed = owed.completed(now).unwrap();
    vec![
        ("recorded", new_order("Ann", Processing::None)),
        ("submitted", submitted.clone()),
        ("accepted", accepted),
        ("paid", paid),
        ("cancelling", cancelling),
        ("delivered", delivered),
        ("declined", declined),
        ("owed", owed),
        ("refunded", refunded),
        ("success, not published", success.clone()),
        ("success", success.published(&success, later).unwrap()),
        ("failure, not published", failure.clone()),
        ("failure", failure.published(&failure, later).unwrap()),
        ("failure that owes", still_owed.published(&still_owed, later).unwrap()),
        ("not accepted", submitted.not_accepted("no", now).unwrap()),
    ]
}

#[tokio::test]
async fn the_conditions_of_writes_decide_as_the_order_does() {
    let table = Table::new().await;
    for (state, order) in states() {
        for expected in [
            Expected::Any,
            Expected::OneOf(vec![order.version()]),
            Expected::OneOf(vec![]),
            Expected::NoneOf(vec![order.version()]),
            Expected::NoneOf(vec![order.version().next()]),
        ] {
            let put = async || {
                let item = serde_dynamo::to_item(OrderForm::stored(&order)).unwrap();
                table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
            };
            put().await;
            let (now, total) = (Timestamp::now(), euros(70));
            let replaced = table.orders.replace(order.key(), &content(7), total, &expected, now).await;
            match (replaced, order.replaced(&content(7), total, &expected, now)) {
                (Ok(replaced), Ok(judged)) => assert_eq!(replaced, judged, "{state}"),
                (Err(StoreError::NotPending), Err(Refusal::NotPending))
                | (Err(StoreError::InProcess), Err(Refusal::InProcess))
                | (Err(StoreError::Stale), Err(Refusal::Stale)) => {}
                (replaced, judged) => panic!("{state}, {expected:?}: {replaced:?}, {judged:?}"),
            }
            put().await;
            match (table.delete(order.key(), &expected).await, order.may_be_deleted(&expected)) {
                (Ok(()), Ok(()))
                | (Err(StoreError::InProcess), Err(Refusal::InProcess))
                | (Err(StoreError::Stale), Err(Refusal::Stale)) => {}
                (deleted, judged) => panic!("{state}, {expected:?}: {deleted:?}, {judged:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_index_holds_an_order_until_nothing_is_left_to_do() {
    let table = Table::new().await;
    for (state, order) in states() {
        let item = serde_dynamo::to_item(OrderForm::stored(&order)).unwrap();
        table.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
        let in_a_second = Timestamp::now().before(Duration::ZERO);
        let unsettled = table.orders.unsettled(in_a_second).await.unwrap();
        let is_found = unsettled.iter().any(|(key, at)| key == order.key() && *at == order.updated_at());
        assert_eq!(is_found, order.is_unsettled(), "{state}");
        let by_id = table.orders.find_unsettled(order.id()).await.unwrap();
        assert_eq!(by_id, is_found.then(|| order.key().clone()), "{state}");
        let before_it = table.orders.unsettled(order.updated_at()).await.unwrap();
        assert!(!before_it.iter().any(|(key, _)| key == order.key()), "{state}: it is written too recently");
    }
}

#[tokio::test]
async fn a_fact_is_recorded_once_and_survives_a_write_at_the_same_time() {
    let table = Table::new().await;
    for _ in 0..20 {
        let order = table.submitted().await;
        let (key, change) = (order.key(), content(7));
        let now = Timestamp::now();
        let (accepted, changed) = tokio::join!(
            table.orders.record(key, |order| order.accepted(now)),
            table.replace(key, &change, &Expected::Any),
        );
        let accepted = accepted.unwrap().unwrap();
        assert_eq!(accepted.next(), Step::Charge);
        match changed {
            Ok(changed) => assert_eq!(accepted.total(), changed.total(), "what is paid is what was ordered"),
            Err(StoreError::InProcess) => assert_eq!(accepted.total(), order.total()),
            Err(other) => panic!("{other}"),
        }
        let again = table.record(&order, |order| order.accepted(Timestamp::now())).await;
        assert_eq!(again, accepted, "the second time it changes nothing");
        assert_eq!(table.orders.get(key).await.unwrap(), accepted);
    }
}

#[tokio::test]
async fn a_fact_about_an_order_that_is_gone_is_not_recorded() {
    let table = Table::new().await;
    let order = table.submitted().await;
    table.delete(order.key(), &Expected::Any).await.unwrap();
    let recorded = table.orders.record(order.key(), |order| order.accepted(Timestamp::now())).await.unwrap();
    assert_eq!(recorded, None);
    assert!(matches!(table.orders.get(order.key()).await, Err(StoreError::NotFound)), "nothing is revived");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_at_once_are_one() {
    let table = std::sync::Arc::new(Table::new().await);
    for _ in 0..20 {
        let order = table.submitted().await;
        let now = Timestamp::now();
        table.record(&order, |order| order.accepted(now)).await;
        table.record(&order, |order| order.paid(now)).await;
        let ends = [Order::delivered as fn(&Order, Timestamp) -> Option<Order>, Order::cancelling];
        let mut ended = JoinSet::new();
        for end in ends {
            let (table, order) = (table.clone(), order.clone());
            ended.spawn(async move { table.record(&order, |order| end(order, now)).await });
        }
        let last = ended.join_all().await.into_iter().max_by_key(|order| order.version().get()).unwrap();
        assert_eq!(table.orders.get(order.key()).await.unwrap(), last);
        assert_eq!(last.version(), Version::from(4), "one of the two counts");
    }
}
