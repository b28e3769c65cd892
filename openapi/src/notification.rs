//! The JSON Schema of the topic's messages, for their subscribers.

use serde_json::{Map, Value, json};
use shared::order::{OrderContent, OrderForm};
use utoipa::{PartialSchema, ToSchema};

/// Message of the topic: an order that became final, or whose refund changed afterwards.
// Without the content of the orders, which `notification_schema` adds.
#[derive(serde::Serialize, ToSchema)]
#[schema(title = "Notification", examples(
    json!({
        "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1:SUCCESS",
        "order": {
            "user_id": "Burger_2",
            "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1",
            "created_at": "2023-01-02T22:06:33.637839308Z",
            "order_status": "SUCCESS",
            "updated_at": "2023-01-02T22:07:06.204518927Z",
            "version": 5,
            "processing": "workflow",
            "total": { "amount": 3000, "currency": "EUR" },
            "accepted_at": "2023-01-02T22:07:04.118273645Z",
            "paid_at": "2023-01-02T22:07:04.951736284Z",
            "delivered_at": "2023-01-02T22:07:05.673920518Z",
            "completed_at": "2023-01-02T22:07:06.204518927Z",
        },
    }),
    json!({
        "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1:FAILURE:MADE",
        "order": {
            "user_id": "Burger_2",
            "id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1",
            "created_at": "2023-01-02T22:06:33.637839308Z",
            "order_status": "FAILURE",
            "updated_at": "2023-01-03T09:41:20.507182936Z",
            "version": 7,
            "processing": "workflow",
            "total": { "amount": 3000, "currency": "EUR" },
            "accepted_at": "2023-01-02T22:07:04.118273645Z",
            "paid_at": "2023-01-02T22:07:04.951736284Z",
            "completed_at": "2023-01-02T22:07:06.204518927Z",
            "error_message": "the restaurant refused: the kitchen is closed",
            "refund": "MADE",
        },
    })
))]
struct Notification {
    /// `{order id}:SUCCESS` or `{order id}:FAILURE` at the end of the order; `{order id}:FAILURE:{refund}` when its refund
    /// changed afterwards. A message may arrive more than once.
    #[schema(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:(SUCCESS|FAILURE(:(OWED|MADE|FAILED|UNKNOWN))?)$")]
    id: String,
    order: OrderForm,
}

/// The schema, as `docs/notification.schema.json` holds it.
pub fn notification_schema() -> serde_json::Result<String> {
    let mut types = Vec::new();
    Notification::schemas(&mut types);
    let definitions = types.into_iter().map(|(name, schema)| Ok((name, serde_json::to_value(schema)?)));
    let mut schema = serde_json::to_value(Notification::schema())?;
    let content: Map<String, Value> = serde_json::from_value(serde_json::to_value(OrderContent::example())?)?;
    for order in schema["examples"].as_array_mut().into_iter().flatten().map(|example| &mut example["order"]) {
        order.as_object_mut().into_iter().for_each(|order| order.extend(content.clone()));
    }
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["$defs"] = Value::Object(definitions.collect::<serde_json::Result<_>>()?);
    Ok(serde_json::to_string_pretty(&plain(schema))? + "\n")
}

/// The schema without what only OpenAPI has, sorted by key: `serde_json` keeps either their order or the keys', as the
/// features of other crates have it.
fn plain(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| plain_entry(key, value)).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        other => other,
    }
}

fn plain_entry(key: String, value: Value) -> (String, Value) {
    match (key.as_str(), &value) {
        ("example", _) => ("examples".to_owned(), json!([plain(value)])),
        ("$ref", Value::String(path)) => (key, path.replace("#/components/schemas/", "#/$defs/").into()),
        _ => (key, plain(value)),
    }
}
