//! What the API answers when something under it is broken. Each test breaks a stack of its own.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Answer, Api, send, set_variable};

/// The variable that says where DynamoDB is.
const DYNAMODB: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// All functions of the API, asked once.
async fn ask_all(api: &Api) -> Vec<Answer> {
    let order = "/orders/Ann/order/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1";
    let body = json!({"user_id": "Ann", "restaurant_id": "R", "quantity": 1});
    vec![
        api.get("/orders").await,
        api.put("/orders", &body).await,
        send(api.request(Method::POST, "/orders").header("Idempotency-Key", "k").json(&body)).await,
        api.get(order).await,
        api.put(order, &body).await,
        api.delete(order).await,
    ]
}

async fn assert_unavailable(api: &Api) {
    for answer in ask_all(api).await {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:unavailable");
        answer.problem(503);
    }
}

#[tokio::test]
async fn while_dynamodb_is_away_it_is_503_with_retry_after() {
    let api = Api::of_own_stack("order-api-away", &[]).await;
    // Nobody listens on the port of a listener that is gone.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    set_variable(&api.stack, "", DYNAMODB, Some(&format!("http://{address}"))).await;
    assert_unavailable(&api).await;
}

#[tokio::test]
async fn while_dynamodb_throttles_it_is_503_with_retry_after() {
    let api = Api::of_own_stack("order-api-throttled", &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    set_variable(&api.stack, "", DYNAMODB, Some(&format!("http://{}", listener.local_addr().unwrap()))).await;
    tokio::spawn(async move {
        let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
        let response = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let response = response.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = client.read(&mut request).await;
                let _ = client.write_all(response.as_bytes()).await;
            });
        }
    });
    assert_unavailable(&api).await;
}

#[tokio::test]
async fn a_mistake_of_ours_is_500_and_says_nothing_of_the_inside() {
    let api = Api::of_own_stack("order-api-broken", &[]).await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&api.stack.sdk_config().await);
    for table in [&api.stack.orders_table, &api.stack.idempotency_table] {
        dynamodb.delete_table().table_name(table).send().await.unwrap();
    }
    for answer in ask_all(&api).await {
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:internal");
        for inside in [api.stack.orders_table.as_str(), "DynamoDB", "ResourceNotFound", "Exception", "rust"] {
            assert!(!answer.body.contains(inside), "{inside} in {answer:?}");
        }
        answer.problem(500);
    }
}
