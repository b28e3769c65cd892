//! Sample orders for a new table.

use aws_config::SdkConfig;
use serde_json::json;
use shared::order::{Order, Timestamp};
use shared::store::Orders;

use crate::{Stack, sign_in};

/// Saves the sample orders, including the order that the files in `events/` name.
pub async fn save(stack: &Stack) -> anyhow::Result<()> {
    let client = stack.http().build()?;
    let token = sign_in::machine_token(stack, None).await?;
    for (user, restaurant, quantity) in [
        ("Burger_1", "Restaurant 1", 1),
        ("Burger_1", "Restaurant 2", 2),
        ("Burger_2", "Restaurant 3", 3),
        ("Café 東京", "Sushi ya", 12),
    ] {
        let order = json!({"user_id": user, "restaurant_id": restaurant, "quantity": quantity});
        client
            .put(format!("{}/orders", stack.api_url))
            .bearer_auth(&token)
            .json(&order)
            .send()
            .await?
            .error_for_status()?;
    }
    save_order_of_events(&stack.sdk_config().await, stack).await
}

/// Submits an order.
pub async fn submit(stack: &Stack, token: &str) -> anyhow::Result<()> {
    let order = json!({"user_id": "Burger_2", "restaurant_id": "Restaurant 3", "quantity": 3});
    let submit = stack.http().build()?.post(format!("{}/orders", stack.api_url)).bearer_auth(token).json(&order);
    submit.send().await?.error_for_status()?;
    Ok(())
}

/// Saves the order that the files in `events/` name, as if it had just been created.
pub async fn save_order_of_events(sdk: &SdkConfig, stack: &Stack) -> anyhow::Result<()> {
    let order: Order = serde_json::from_value(json!({
        "user_id": "Burger_2", "restaurant_id": "Restaurant 3", "quantity": "3",
        "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "created_at": "2023-01-02T22:06:33.637839308Z",
        "order_status": "PENDING", "updated_at": Timestamp::now(), "version": 1, "processing": "none",
        "total": {"amount": 3000, "currency": "EUR"},
    }))?;
    Ok(Orders::new(sdk, stack.orders_table.as_str()).create(&order).await?)
}
