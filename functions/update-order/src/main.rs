//! `PUT /orders/{userId}/order/{id}`: replaces the content of an order.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::http::{self, Problem, Response, request, request::UpdateOrder, response};
use shared::money::Pricing;
use shared::order::Timestamp;
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let orders = &Orders::from_environment(&aws::sdk_config()?)?;
    let pricing = &Pricing::from_environment()?;
    orders.connect().await;
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| update_order(orders, pricing, caller, request)).await
}

async fn update_order(
    orders: &Orders,
    pricing: &Pricing,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let key = request::order_key(&request, &caller)?;
    let UpdateOrder { content, expected } = UpdateOrder::parse(&request, &key, &caller)?;
    let order = orders.replace(&key, &content, pricing.total(&content), &expected, Timestamp::now()).await?;
    response::order(&order)
}
