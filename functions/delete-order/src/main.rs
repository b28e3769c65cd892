//! `DELETE /orders/{userId}/order/{id}` and `DELETE /order/{userId}/id/{id}`: deletes an order.

use lambda_http::{Error, Request};
use shared::caller::Caller;
use shared::http::{self, Problem, Response, request, request::Conditions, response};
use shared::order::Timestamp;
use shared::store::{IdempotencyRecords, Orders};
use shared::{aws, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let records = &IdempotencyRecords::from_environment(&sdk)?;
    orders.connect().await;
    http::serve(env!("CARGO_PKG_NAME"), |caller, request| delete_order(orders, records, caller, request)).await
}

async fn delete_order(
    orders: &Orders,
    records: &IdempotencyRecords,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let key = request::order_key(&request, &caller)?;
    let expected = Conditions::parse(&request)?.expected();
    orders.delete(records, &key, &expected, Timestamp::now()).await?;
    Ok(response::no_content())
}
