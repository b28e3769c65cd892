//! `GET /orders`: lists orders.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::http::{self, Problem, Response, request::ListOrders, response};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let orders = &Orders::from_environment(&aws::sdk_config()?)?;
    orders.connect().await;
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| get_orders(orders, caller, request)).await
}

async fn get_orders(orders: &Orders, caller: Caller, request: Request) -> Result<Response, Problem> {
    let ListOrders { list, limit, cursor } = ListOrders::parse(&request, &caller)?;
    let page = orders.list(&list, limit.unwrap_or_default(), cursor.as_ref()).await?;
    response::page(&page, &list, limit)
}
