//! Tables of a test's own in a real DynamoDB engine, in this process, behind the SDK that the functions use.

#![allow(dead_code, reason = "each test uses a part of it")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use dynoxide::Database;
use shared::fixtures::{euros, new_order};
use shared::order::{Expected, Order, OrderContent, OrderKey, Processing, Timestamp};
use shared::store::{IdempotencyRecords, Orders, StoreError};
use tokio::net::TcpListener;

pub const TABLE: &str = "orders";
pub const IDEMPOTENCY_TABLE: &str = "idempotency";

pub struct Table {
    pub orders: Orders,
    pub records: IdempotencyRecords,
    pub client: Client,
    /// URL of the engine.
    pub endpoint: String,
}

impl Table {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
        let table = Self::at(endpoint);
        create_tables(&table.client).await;
        table
    }

    /// The same tables, reached at that URL.
    pub fn at(endpoint: String) -> Self {
        let sdk = sdk_config(&endpoint);
        let (orders, records) = (Orders::new(&sdk, TABLE), IdempotencyRecords::new(&sdk, IDEMPOTENCY_TABLE));
        Self { orders, records, client: Client::new(&sdk), endpoint }
    }

    /// A new order that PUT has made.
    pub async fn created(&self, user: &str) -> Order {
        let order = new_order(user, Processing::None);
        self.orders.create(&order).await.unwrap();
        order
    }

    /// A submitted order that is saved.
    pub async fn submitted(&self) -> Order {
        let order = new_order("Ann", Processing::Workflow);
        self.save(&order).await.unwrap();
        order
    }

    pub async fn save(&self, order: &Order) -> Result<(), StoreError> {
        self.orders.save(&self.records, order, Timestamp::now()).await
    }

    pub async fn replace(
        &self,
        key: &OrderKey,
        content: &OrderContent,
        expected: &Expected,
    ) -> Result<Order, StoreError> {
        let total = euros(10 * u64::from(content.quantity.get()));
        self.orders.replace(key, content, total, expected, Timestamp::now()).await
    }

    pub async fn delete(&self, key: &OrderKey, expected: &Expected) -> Result<(), StoreError> {
        self.orders.delete(&self.records, key, expected, Timestamp::now()).await
    }

    pub async fn record(&self, order: &Order, transition: impl Fn(&Order) -> Option<Order>) -> Order {
        self.orders.record(order.key(), transition).await.unwrap().unwrap()
    }

    /// Makes an order final and settled.
    pub async fn finish(&self, order: &Order) -> Order {
        let now = Timestamp::now();
        self.record(order, |order| order.not_accepted("for the test", now)).await;
        self.record(order, |order| order.published(order, now)).await
    }
}

async fn create_tables(client: &Client) {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let text = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let unsettled = GlobalSecondaryIndex::builder()
        .index_name("unsettled")
        .key_schema(key("unsettled", KeyType::Hash))
        .key_schema(key("updated_at", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .unwrap();
    let create = client.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let create = ["user_id", "id", "unsettled", "updated_at"]
        .iter()
        .fold(create, |create, name| create.attribute_definitions(text(name)));
    let create = create.key_schema(key("user_id", KeyType::Hash)).key_schema(key("id", KeyType::Range));
    create.global_secondary_indexes(unsettled).send().await.unwrap();
    let create = client.create_table().table_name(IDEMPOTENCY_TABLE).billing_mode(BillingMode::PayPerRequest);
    create.attribute_definitions(text("id")).key_schema(key("id", KeyType::Hash)).send().await.unwrap();
}

pub fn sdk_config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .http_client(shared::aws::http_client().unwrap())
        .build()
}
