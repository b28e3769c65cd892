//! `GET /orders`: lists orders.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::config::Config;
use shared::http::{self, Problem, Response, request::ListOrders, response};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let orders = &Orders::new(&aws::sdk_config().await, &config.tables);
    http::serve(env!("CARGO_PKG_NAME"), &config, |caller, request| get_orders(orders, caller, request)).await
}

async fn get_orders(orders: &Orders, caller: Caller, request: Request) -> Result<Response, Problem> {
    let ListOrders { list, limit, cursor } = ListOrders::parse(&request, &caller)?;
    let page = orders.list(&list, limit.unwrap_or_default(), cursor.as_ref()).await?;
    response::page(&page, &list, limit)
}
