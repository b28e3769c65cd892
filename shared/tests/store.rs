//! The order store against a real DynamoDB engine, in this process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::{HashMap, HashSet};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{AsyncSleep, Sleep};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use shared::fixtures::{content, user_id};
use shared::idempotency::{IdempotencyKey, Operation};
use shared::order::{Order, OrderId, OrderKey, OrderStatus, Outcome, Processing, Timestamp, Version};
use shared::page::{Cursor, Limit, List};
use shared::store::{Expected, IdempotencyRecords, Orders, StoreError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const TABLE: &str = "orders";
const IDEMPOTENCY_TABLE: &str = "idempotency";

/// Tables of the test's own, behind the SDK that the functions use.
struct Table {
    orders: Orders,
    records: IdempotencyRecords,
    client: Client,
}

impl Table {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));

        let sdk = sdk_config(&endpoint);
        let client = Client::new(&sdk);
        create_table(&client, TABLE, &["user_id", "id"]).await;
        create_table(&client, IDEMPOTENCY_TABLE, &["id"]).await;
        let (orders, records) = (Orders::new(&sdk, TABLE), IdempotencyRecords::new(&sdk, IDEMPOTENCY_TABLE));
        Self { orders, records, client }
    }

    async fn saved(&self, user: &str) -> Order {
        let order = Order::new(user_id(user), content(1), Processing::None, Timestamp::now());
        self.orders.create(&order).await.unwrap();
        order
    }

    async fn save(&self, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        self.orders.save(&self.records, order, now).await
    }

    async fn complete(&self, key: &OrderKey, outcome: &Outcome, now: Timestamp) -> Result<Option<Order>, StoreError> {
        self.orders.complete(&self.records, key, outcome, now).await
    }

    /// Makes an order final, as no request can.
    async fn finish(&self, order: &Order) {
        let done = Order { order_status: OrderStatus::Success, ..order.clone() };
        let item = serde_dynamo::to_item(done).unwrap();
        self.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
}

async fn create_table(client: &Client, name: &str, key: &[&str]) {
    let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in key.iter().zip([KeyType::Hash, KeyType::Range]) {
        let definition = AttributeDefinition::builder().attribute_name(*attribute);
        let element = KeySchemaElement::builder().attribute_name(*attribute).key_type(kind);
        create = create
            .attribute_definitions(definition.attribute_type(ScalarAttributeType::S).build().unwrap())
            .key_schema(element.build().unwrap());
    }
    create.send().await.unwrap();
}

fn sdk_config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .http_client(shared::aws::http_client())
        .build()
}

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
    let order = table.saved("Café 東京").await;
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), order);
}

#[tokio::test]
async fn an_item_that_is_not_an_order_is_skipped_in_lists_and_is_an_error_when_read() {
    let table = Table::new().await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(table.saved("Ann").await);
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
    let read = table.orders.get(&damaged.key()).await;
    assert!(matches!(read, Err(StoreError::Failed(_))), "{read:?}");
}

#[tokio::test]
async fn a_missing_order_is_not_found() {
    let table = Table::new().await;
    table.saved("Ann").await;
    let missing = OrderKey { user_id: user_id("Ann"), id: OrderId::new(Timestamp::now()) };
    let (any, now) = (&Expected::Any, Timestamp::now());
    assert!(matches!(table.orders.get(&missing).await, Err(StoreError::NotFound)));
    assert!(matches!(table.orders.replace(&missing, &content(2), any, now).await, Err(StoreError::NotFound)));
    assert!(matches!(table.orders.delete(&missing, any).await, Err(StoreError::NotFound)));
    // A failed update has made nothing.
    assert!(matches!(table.orders.get(&missing).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn saving_the_same_order_again_is_fine_and_another_never_overwrites_it() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    table.orders.create(&order).await.unwrap();

    let other = Order { quantity: 7.try_into().unwrap(), ..order.clone() };
    assert!(matches!(table.orders.create(&other).await, Err(StoreError::Failed(_))));
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), order);
}

#[tokio::test]
async fn a_change_replaces_the_content_and_raises_the_version() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    let now = Timestamp::now();
    let changed = table.orders.replace(&order.key(), &content(7), &Expected::Any, now).await.unwrap();
    let expected =
        Order { quantity: 7.try_into().unwrap(), updated_at: now, version: order.version.next(), ..order.clone() };
    assert_eq!(changed, expected);
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), expected);
}

#[tokio::test]
async fn a_write_for_another_version_is_stale_and_changes_nothing() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    let now = Timestamp::now();
    for versions in [vec![], vec![order.version.next()], vec![Version::from(7), Version::from(8)]] {
        let expected = Expected::OneOf(versions);
        let replaced = table.orders.replace(&order.key(), &content(7), &expected, now).await;
        assert!(matches!(replaced, Err(StoreError::Stale)), "{replaced:?}");
        assert!(matches!(table.orders.delete(&order.key(), &expected).await, Err(StoreError::Stale)));
    }
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), order);

    let many = Expected::OneOf((1..=100).map(Version::from).collect());
    table.orders.replace(&order.key(), &content(7), &many, now).await.unwrap();
    table.orders.delete(&order.key(), &many).await.unwrap();
}

#[tokio::test]
async fn a_change_that_is_tried_again_after_its_answer_got_lost_has_succeeded() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    let (now, expected) = (Timestamp::now(), Expected::OneOf(vec![order.version]));
    let changed = table.orders.replace(&order.key(), &content(7), &expected, now).await.unwrap();
    assert_eq!(table.orders.replace(&order.key(), &content(7), &expected, now).await.unwrap(), changed);
    let others = table.orders.replace(&order.key(), &content(8), &expected, now).await;
    assert!(matches!(others, Err(StoreError::Stale)), "{others:?}");
}

#[tokio::test]
async fn an_order_that_moved_on_can_be_deleted_but_not_changed() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    table.finish(&order).await;
    for expected in [Expected::Any, Expected::OneOf(vec![]), Expected::OneOf(vec![order.version])] {
        let replaced = table.orders.replace(&order.key(), &content(7), &expected, Timestamp::now()).await;
        assert!(matches!(replaced, Err(StoreError::NotPending)), "{replaced:?}");
    }
    assert_eq!(table.orders.get(&order.key()).await.unwrap().quantity, order.quantity);
    table.orders.delete(&order.key(), &Expected::Any).await.unwrap();
}

#[tokio::test]
async fn a_deleted_order_is_never_revived() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;
    table.orders.delete(&order.key(), &Expected::OneOf(vec![order.version])).await.unwrap();
    let replaced = table.orders.replace(&order.key(), &content(7), &Expected::Any, Timestamp::now()).await;
    assert!(matches!(replaced, Err(StoreError::NotFound)));
    assert!(matches!(table.orders.get(&order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_writers_lose_no_update() {
    let table = Table::new().await;
    let order = table.saved("Ann").await;

    // Each adds one to what it has read, and tries again when somebody was faster.
    let mut writers = JoinSet::new();
    for _ in 0..50 {
        let (orders, key) = (table.orders.clone(), order.key());
        writers.spawn(async move {
            loop {
                let read = orders.get(&key).await.unwrap();
                let more = content(read.quantity.to_string().parse::<u64>().unwrap() + 1);
                match orders.replace(&key, &more, &Expected::OneOf(vec![read.version]), Timestamp::now()).await {
                    Ok(_) => break,
                    Err(StoreError::Stale) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    writers.join_all().await;

    let last = table.orders.get(&order.key()).await.unwrap();
    assert_eq!((last.quantity.to_string().as_str(), last.version.get()), ("51", 51));
}

#[tokio::test]
async fn a_users_list_is_theirs_newest_first() {
    let table = Table::new().await;
    let mut anns = Vec::new();
    for _ in 0..5 {
        anns.insert(0, table.saved("Ann").await);
        table.saved("Bob").await;
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
async fn everybodys_list_has_every_order_once_though_some_go_and_come() {
    let table = Table::new().await;
    let mut there = HashSet::new();
    for n in 0..60 {
        there.insert(table.saved(&format!("user {}", n % 7)).await.key());
    }
    let mut seen = Vec::new();
    let mut from = None;
    loop {
        let page = table.orders.list(&List::All, limit(7), from.as_ref()).await.unwrap();
        seen.extend(page.orders.iter().map(Order::key));
        // The order that the cursor stands after goes, and a new one comes.
        if let Some(last) = page.orders.last() {
            table.orders.delete(&last.key(), &Expected::Any).await.unwrap();
            table.saved("newcomer").await;
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
        let mut item: std::collections::HashMap<String, AttributeValue> =
            serde_dynamo::to_item(Order::new(user_id("Ann"), content(1), Processing::None, Timestamp::now())).unwrap();
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
    let key = table.saved("Ann").await.key();

    // Nobody listens on the port of a listener that is gone.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = Orders::new(&sdk_config(&format!("http://{port}")), TABLE);
    assert!(matches!(away.get(&key).await, Err(StoreError::Unavailable(_))));

    table.client.delete_table().table_name(TABLE).send().await.unwrap();
    assert!(matches!(table.orders.get(&key).await, Err(StoreError::Failed(_))));
}

fn request(key: &str, body: &str) -> Operation {
    Operation::request("caller", &IdempotencyKey::try_from(key.as_bytes()).unwrap(), "PUT /orders", body.as_bytes())
}

impl Table {
    /// Creates an order for that request; its answer is the order's id.
    async fn create_once(&self, operation: &Operation, now: Timestamp) -> Result<String, StoreError> {
        let order = Order::new(user_id("Ann"), content(1), Processing::None, now);
        self.orders.create_once(&self.records, &order, operation, order.id.to_string(), now).await
    }

    async fn ids(&self) -> Vec<String> {
        let page = self.orders.list(&List::All, limit(1000), None).await.unwrap();
        page.orders.iter().map(|order| order.id.to_string()).collect()
    }
}

#[tokio::test]
async fn a_repeated_creation_gives_the_first_answer_whatever_became_of_the_order() {
    let table = Table::new().await;
    let request = request("k", "body");
    let first = table.create_once(&request, Timestamp::now()).await.unwrap();
    assert_eq!(table.create_once(&request, Timestamp::now()).await.unwrap(), first);

    let key = OrderKey { user_id: user_id("Ann"), id: first.clone().try_into().unwrap() };
    table.orders.replace(&key, &content(7), &Expected::Any, Timestamp::now()).await.unwrap();
    assert_eq!(table.create_once(&request, Timestamp::now()).await.unwrap(), first);
    assert_eq!(table.orders.get(&key).await.unwrap().quantity, 7.try_into().unwrap());

    table.orders.delete(&key, &Expected::Any).await.unwrap();
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
    let order = Order::new(user_id("Ann"), content(1), Processing::None, now);
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

fn orders_answered(answers: Vec<(u16, String)>) -> Orders {
    Orders::new(&answered(answers), TABLE)
}

#[tokio::test]
async fn a_write_that_conflicts_with_a_transaction_is_repeated() {
    let conflict = || (400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException"}"#.to_owned());
    let key = OrderKey { user_id: user_id("Ann"), id: OrderId::new(Timestamp::now()) };
    orders_answered(vec![conflict(), (200, "{}".into())]).delete(&key, &Expected::Any).await.unwrap();
    let deleted = orders_answered(vec![conflict(); 3]).delete(&key, &Expected::Any).await;
    assert!(matches!(deleted, Err(StoreError::Unavailable(_))), "{deleted:?}");
    let now = Timestamp::now();
    let replaced = orders_answered(vec![conflict(); 3]).replace(&key, &content(2), &Expected::Any, now).await;
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

/// A submitted order that is saved.
async fn submitted(table: &Table) -> Order {
    let now = Timestamp::now();
    let order = Order::new(user_id("Ann"), content(1), Processing::Workflow, now);
    table.save(&order, now).await.unwrap();
    order
}

fn failure() -> Outcome {
    Outcome::Failure { error_message: "the card is declined".into(), refund_failed: false }
}

#[tokio::test]
async fn a_submitted_order_is_saved_once_even_if_it_was_changed_or_deleted_since() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), order);

    let changed = table.orders.replace(&order.key(), &content(7), &Expected::Any, Timestamp::now()).await.unwrap();
    table.save(&order, Timestamp::now()).await.unwrap();
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), changed, "no change is undone");

    table.orders.delete(&order.key(), &Expected::Any).await.unwrap();
    table.save(&order, Timestamp::now()).await.unwrap();
    assert!(matches!(table.orders.get(&order.key()).await, Err(StoreError::NotFound)), "what is deleted stays so");
}

#[tokio::test]
async fn an_order_in_process_can_neither_be_changed_nor_deleted() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    let now = Timestamp::now();
    let accepted = table.orders.accept(&order.key(), now).await.unwrap().unwrap();
    let expected = Order { accepted_at: Some(now), updated_at: now, version: order.version.next(), ..order };
    assert_eq!(accepted, expected);
    for expected in [Expected::Any, Expected::OneOf(vec![]), Expected::OneOf(vec![accepted.version])] {
        let replaced = table.orders.replace(&accepted.key(), &content(7), &expected, Timestamp::now()).await;
        assert!(matches!(replaced, Err(StoreError::InProcess)), "{replaced:?}");
        let deleted = table.orders.delete(&accepted.key(), &expected).await;
        assert!(matches!(deleted, Err(StoreError::InProcess)), "{deleted:?}");
    }
    assert_eq!(table.orders.get(&accepted.key()).await.unwrap(), accepted);

    // Accepted again, it is the same.
    assert_eq!(table.orders.accept(&accepted.key(), Timestamp::now()).await.unwrap(), Some(accepted.clone()));

    // Once it is final it can be deleted, and not changed.
    table.complete(&accepted.key(), &failure(), Timestamp::now()).await.unwrap().unwrap();
    let replaced = table.orders.replace(&accepted.key(), &content(7), &Expected::Any, Timestamp::now()).await;
    assert!(matches!(replaced, Err(StoreError::NotPending)), "{replaced:?}");
    table.orders.delete(&accepted.key(), &Expected::Any).await.unwrap();
}

#[tokio::test]
async fn an_order_that_is_deleted_or_final_is_not_accepted() {
    let table = Table::new().await;
    let deleted = submitted(&table).await;
    table.orders.delete(&deleted.key(), &Expected::Any).await.unwrap();
    assert_eq!(table.orders.accept(&deleted.key(), Timestamp::now()).await.unwrap(), None);
    assert!(matches!(table.orders.get(&deleted.key()).await, Err(StoreError::NotFound)), "nothing is revived");

    let done = submitted(&table).await;
    let done = table.complete(&done.key(), &failure(), Timestamp::now()).await.unwrap().unwrap();
    assert_eq!(table.orders.accept(&done.key(), Timestamp::now()).await.unwrap(), None);
    assert_eq!(table.orders.get(&done.key()).await.unwrap(), done);
}

#[tokio::test]
async fn an_order_ends_once() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    let accepted = table.orders.accept(&order.key(), Timestamp::now()).await.unwrap().unwrap();
    let (paid_at, now) = (Timestamp::now(), Timestamp::now());
    let success = Outcome::Success { paid_at };
    let ended = table.complete(&order.key(), &success, now).await.unwrap().unwrap();
    let expected = Order {
        order_status: OrderStatus::Success,
        paid_at: Some(paid_at),
        completed_at: Some(now),
        updated_at: now,
        version: accepted.version.next(),
        ..accepted
    };
    assert_eq!(ended, expected);
    // A later attempt gets the first end, with either outcome.
    for late in [success, failure()] {
        assert_eq!(table.complete(&order.key(), &late, Timestamp::now()).await.unwrap(), Some(ended.clone()));
    }
    // Even if it has been deleted since; it stays deleted.
    table.orders.delete(&order.key(), &Expected::Any).await.unwrap();
    assert_eq!(table.complete(&order.key(), &failure(), Timestamp::now()).await.unwrap(), Some(ended));
    assert!(matches!(table.orders.get(&order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn an_order_that_was_deleted_in_its_grace_period_does_not_end() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    table.orders.delete(&order.key(), &Expected::Any).await.unwrap();
    assert_eq!(table.complete(&order.key(), &failure(), Timestamp::now()).await.unwrap(), None);
    assert!(matches!(table.orders.get(&order.key()).await, Err(StoreError::NotFound)), "nothing is revived");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_at_once_get_the_same_order() {
    let table = std::sync::Arc::new(Table::new().await);
    for _ in 0..20 {
        let order = submitted(&table).await;
        table.orders.accept(&order.key(), Timestamp::now()).await.unwrap();
        let outcomes = [Outcome::Success { paid_at: Timestamp::now() }, failure()];
        let mut endings = JoinSet::new();
        for outcome in outcomes {
            let (table, key) = (table.clone(), order.key());
            endings.spawn(async move {
                loop {
                    match table.complete(&key, &outcome, Timestamp::now()).await {
                        Err(StoreError::Stale) => {}
                        ended => return ended.unwrap().unwrap(),
                    }
                }
            });
        }
        let endings = endings.join_all().await;
        assert_eq!(endings[0], endings[1]);
        assert_eq!(table.orders.get(&order.key()).await.unwrap(), endings[0]);
    }
}

#[tokio::test]
async fn an_order_that_is_changed_while_it_ends_is_not_lost() {
    let table = Table::new().await;
    for _ in 0..20 {
        let order = submitted(&table).await;
        let (key, change) = (order.key(), content(7));
        let (ended, changed) = tokio::join!(
            async {
                match table.complete(&key, &failure(), Timestamp::now()).await {
                    Err(StoreError::Stale) => table.complete(&key, &failure(), Timestamp::now()).await,
                    ended => ended,
                }
            },
            table.orders.replace(&key, &change, &Expected::Any, Timestamp::now()),
        );
        let ended = ended.unwrap().unwrap();
        match changed {
            Ok(changed) => assert_eq!(ended.quantity, changed.quantity),
            Err(StoreError::NotPending) => assert_eq!(ended.quantity, order.quantity),
            Err(other) => panic!("{other}"),
        }
        assert_eq!(table.orders.get(&key).await.unwrap(), ended);
    }
}

#[tokio::test]
async fn a_failed_refund_is_recorded_once_and_revives_nothing() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    let ended = table.complete(&order.key(), &failure(), Timestamp::now()).await.unwrap().unwrap();
    let noted = table.orders.note_failed_refund(&ended, Timestamp::now()).await.unwrap();
    let message = "the card is declined; the refund has failed and is to be made by hand";
    assert_eq!(noted.error_message.as_deref(), Some(message));
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), noted);
    assert_eq!(table.orders.note_failed_refund(&noted, Timestamp::now()).await.unwrap(), noted);

    table.orders.delete(&order.key(), &Expected::Any).await.unwrap();
    assert_eq!(
        table.orders.note_failed_refund(&ended, Timestamp::now()).await.unwrap().error_message,
        noted.error_message
    );
    assert!(matches!(table.orders.get(&order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_failure_says_why() {
    let table = Table::new().await;
    let order = submitted(&table).await;
    let ended = table.complete(&order.key(), &failure(), Timestamp::now()).await.unwrap().unwrap();
    assert_eq!(ended.order_status, OrderStatus::Failure);
    assert_eq!((ended.error_message.as_deref(), ended.paid_at), (Some("the card is declined"), None));
}

#[tokio::test]
async fn accepting_and_changing_at_once_never_pays_for_what_was_not_ordered() {
    let table = Table::new().await;
    for _ in 0..20 {
        let order = submitted(&table).await;
        let (key, change) = (order.key(), content(7));
        let (accepted, changed) = tokio::join!(
            table.orders.accept(&key, Timestamp::now()),
            table.orders.replace(&key, &change, &Expected::Any, Timestamp::now()),
        );
        let paid = accepted.unwrap().unwrap();
        match changed {
            Ok(changed) => assert_eq!(paid.quantity, changed.quantity),
            Err(StoreError::InProcess) => assert_eq!(paid.quantity, order.quantity),
            Err(other) => panic!("{other}"),
        }
        assert_eq!(table.orders.get(&key).await.unwrap(), paid);
    }
}
