//! `GET /orders/{userId}/order/{id}`: returns an order.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::http::{self, Problem, Response, request, request::Conditions, response};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let orders = &Orders::from_environment(&aws::sdk_config()?)?;
    orders.connect().await;
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| get_order(orders, caller, request)).await
}

async fn get_order(orders: &Orders, caller: Caller, request: Request) -> Result<Response, Problem> {
    let key = request::order_key(&request, &caller)?;
    let conditions = Conditions::parse(&request)?;
    let order = orders.get(&key).await?;
    response::read(&order, &conditions)
}
