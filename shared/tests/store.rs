//! The order store against a real DynamoDB engine, in this process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::HashSet;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dynoxide::Database;
use shared::order::{Order, OrderContent, OrderId, OrderKey, OrderStatus, Timestamp, UserId, Version};
use shared::page::{Cursor, Limit, List};
use shared::store::{Expected, Orders, StoreError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const TABLE: &str = "orders";

/// A table of its own for each test, behind the SDK that the functions use.
struct Table {
    orders: Orders,
    client: Client,
}

impl Table {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));

        let config = sdk_config(&endpoint);
        let client = Client::new(&config);
        let attribute = |name: &str| {
            let kind = ScalarAttributeType::S;
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(vec![attribute("user_id"), attribute("id")]))
            .set_key_schema(Some(vec![key("user_id", KeyType::Hash), key("id", KeyType::Range)]))
            .send()
            .await
            .unwrap();
        Self { orders: Orders::new(&config, TABLE.into()), client }
    }

    async fn saved(&self, user: &str) -> Order {
        let order = Order::new(user_id(user), content(1), Timestamp::now());
        self.orders.create(&order).await.unwrap();
        order
    }

    /// What no request can do in this part of the system: an order that has moved on.
    async fn finish(&self, order: &Order) {
        let done = Order { order_status: OrderStatus::Success, ..order.clone() };
        let item = serde_dynamo::to_item(done).unwrap();
        self.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
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

fn user_id(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

fn content(quantity: u64) -> OrderContent {
    OrderContent {
        restaurant_id: "Restaurant 3".to_owned().try_into().unwrap(),
        quantity: quantity.try_into().unwrap(),
    }
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
async fn what_is_not_there_is_not_found() {
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
    let wished =
        Order { quantity: 7.try_into().unwrap(), updated_at: now, version: order.version.next(), ..order.clone() };
    assert_eq!(changed, wished);
    assert_eq!(table.orders.get(&order.key()).await.unwrap(), wished);
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
            serde_dynamo::to_item(Order::new(user_id("Ann"), content(1), Timestamp::now())).unwrap();
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
    let away = Orders::new(&sdk_config(&format!("http://{port}")), TABLE.into());
    assert!(matches!(away.get(&key).await, Err(StoreError::Unavailable(_))));

    table.client.delete_table().table_name(TABLE).send().await.unwrap();
    assert!(matches!(table.orders.get(&key).await, Err(StoreError::Failed(_))));
}
