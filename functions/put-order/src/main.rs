//! `PUT /orders`: creates an order, or with an `id` replaces the content of that order.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::http::request::{NewOrder, PutOrder, UpdateOrder};
use shared::http::response::SavedAnswer;
use shared::http::{self, Problem, Response, response};
use shared::money::Pricing;
use shared::order::{Order, Processing, Timestamp};
use shared::store::{IdempotencyRecords, Orders};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    let pricing = &Pricing::from_environment()?;
    orders.connect().await;
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| put_order(orders, records, pricing, caller, request)).await
}

async fn put_order(
    orders: &Orders,
    records: &IdempotencyRecords,
    pricing: &Pricing,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    match PutOrder::parse(&request, &caller)? {
        PutOrder::Create(NewOrder { user_id, content, operation }) => {
            let total = pricing.total(&content);
            let order = Order::new(user_id, content, total, Processing::None, now);
            let response = response::created(&order)?;
            let Some(operation) = operation else {
                orders.create(&order).await?;
                return Ok(response);
            };
            let answer = SavedAnswer::new(&order, &response);
            orders.create_once(records, &order, &operation, answer, now).await?.try_into()
        }
        PutOrder::Replace(key, UpdateOrder { content, expected }) => {
            let order = orders.replace(&key, &content, pricing.total(&content), &expected, now).await?;
            response::order(&order)
        }
    }
}
