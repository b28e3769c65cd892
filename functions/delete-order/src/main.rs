//! `DELETE /orders/{userId}/order/{id}` and `DELETE /order/{userId}/id/{id}`: deletes an order.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::config::Config;
use shared::http::{self, Problem, Response, request, response};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let orders = &Orders::new(&aws::sdk_config().await, &config.tables);
    http::serve(env!("CARGO_PKG_NAME"), &config, |caller, request| delete_order(orders, caller, request)).await
}

async fn delete_order(orders: &Orders, caller: Caller, request: Request) -> Result<Response, Problem> {
    let key = request::order_key(&request, &caller)?;
    let expected = request::if_match(request.headers())?;
    orders.delete(&key, &expected).await?;
    Ok(response::no_content())
}
