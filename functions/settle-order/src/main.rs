//! Called by an operator (`make settle`): records a refund that was made by hand, and publishes it.

use lambda_runtime::Error;
use serde::{Deserialize, Serialize};
use shared::aws::{self, Topic};
use shared::order::{Order, OrderId, Refund, Timestamp};
use shared::store::Orders;
use shared::{Cause, lambda, steps, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init()?;
    let sdk = aws::sdk_config()?;
    let orders = &Orders::from_environment(&sdk)?;
    let topic = &Topic::from_environment(&sdk)?;
    tokio::join!(orders.connect(), topic.connect());
    lambda::serve_calls(env!("CARGO_PKG_NAME"), |call| settle_order(orders, topic, call)).await
}

#[derive(Deserialize)]
struct Call {
    id: OrderId,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Order(Order),
    Error(String),
}

async fn settle_order(orders: &Orders, topic: &Topic, Call { id }: Call) -> Result<Answer, Cause> {
    telemetry::set_order_id(id);
    let Some(key) = orders.find_unsettled(id).await? else {
        return Ok(Answer::Error("no order with that id waits to be settled".into()));
    };
    let before = orders.get(&key).await?;
    if before.settled_by_hand(Timestamp::now()).is_none() {
        let refund = before.refund().map_or("none", |refund| refund.as_str());
        let status = before.status().as_str();
        return Ok(Answer::Error(format!(
            "only a FAILURE whose refund is FAILED or UNKNOWN can be settled: this order is {status}, its refund {refund}"
        )));
    }
    orders.record(&key, |order| order.settled_by_hand(Timestamp::now())).await?;
    steps::complete(orders, topic, &key).await?;
    let after = orders.get(&key).await?;
    Ok(match after.refund() {
        Some(Refund::Made) => Answer::Order(after),
        _ => Answer::Error("the order has changed meanwhile: look at it, and at the provider's account, again".into()),
    })
}
