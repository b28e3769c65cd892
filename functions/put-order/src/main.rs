//! `PUT /orders`: makes an order, or with an `id` replaces what is in one.

use lambda_http::{Error, Request};
use shared::config::Config;
use shared::http::{self, Problem, Response, request, request::PutOrder, response};
use shared::order::{Order, Timestamp};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let orders = &Orders::new(&aws::sdk_config().await, config.orders_table);
    http::serve(env!("CARGO_PKG_NAME"), |request| put_order(orders, request)).await
}

async fn put_order(orders: &Orders, request: Request) -> Result<Response, Problem> {
    let expected = request::if_match(request.headers())?;
    match PutOrder::parse(&request)? {
        PutOrder::Create(user_id, content) => {
            let order = Order::new(user_id, content, Timestamp::now());
            orders.create(&order).await?;
            response::created(&order)
        }
        PutOrder::Replace(key, content) => {
            let order = orders.replace(&key, &content, &expected, Timestamp::now()).await?;
            response::order(&order)
        }
    }
}
