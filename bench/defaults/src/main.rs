//! The list of a user's orders with the crates' defaults: as `cargo lambda new` begins, and as the SDK's guide goes on.
//! It checks nothing, so it does less than `get-orders`.

use std::env;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn, tracing};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    user_id: String,
    restaurant_id: String,
    quantity: String,
    id: String,
    created_at: String,
    order_status: String,
    updated_at: String,
    version: u64,
    processing: String,
    total: Option<Money>,
}

#[derive(Serialize, Deserialize)]
struct Money {
    amount: u64,
    currency: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let client = &Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await);
    let table = &env::var("ORDERS_TABLE")?;
    run(service_fn(|request: Request| async move { list(client, table, &request).await })).await
}

async fn list(client: &Client, table: &str, request: &Request) -> Result<Response<Body>, Error> {
    let query = request.query_string_parameters();
    let found = client
        .query()
        .table_name(table)
        .key_condition_expression("user_id = :user_id")
        .expression_attribute_values(":user_id", AttributeValue::S(query.first("user_id").unwrap_or_default().into()))
        .scan_index_forward(false)
        .limit(query.first("limit").unwrap_or("100").parse()?)
        .send()
        .await?;
    let orders: Vec<Order> = serde_dynamo::from_items(found.items.unwrap_or_default())?;
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(serde_json::to_string(&orders)?.into())?)
}
