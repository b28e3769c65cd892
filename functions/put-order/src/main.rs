//! `PUT /orders`: makes an order, or with an `id` replaces what is in one.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::config::Config;
use shared::http::request::{NewOrder, PutOrder, UpdateOrder};
use shared::http::response::SavedAnswer;
use shared::http::{self, Problem, Response, response};
use shared::order::{Order, Processing, Timestamp};
use shared::store::Orders;
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    telemetry::init(config.log_level);
    let orders = &Orders::new(&aws::sdk_config().await, &config.tables);
    http::serve(env!("CARGO_PKG_NAME"), &config, |caller, request| put_order(orders, caller, request)).await
}

async fn put_order(orders: &Orders, caller: Caller, request: Request) -> Result<Response, Problem> {
    match PutOrder::parse(&request, &caller)? {
        PutOrder::Create(NewOrder { user_id, content, keyed }) => {
            let now = Timestamp::now();
            let order = Order::new(user_id, content, Processing::None, now);
            let answer = response::created(&order)?;
            match keyed {
                None => orders.create(&order).await.map(|()| answer).map_err(Problem::from),
                Some(keyed) => orders.create_once(&order, &keyed, SavedAnswer::from(&answer), now).await?.try_into(),
            }
        }
        PutOrder::Replace(key, UpdateOrder { content, expected }) => {
            let order = orders.replace(&key, &content, &expected, Timestamp::now()).await?;
            response::order(&order)
        }
    }
}
