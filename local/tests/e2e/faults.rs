//! What the API answers when something under it is broken. Each test breaks a stack of its own.

use aws_sdk_lambda::types::Environment;
use local::{Stack, deploy};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn stack(name: &str) -> Stack {
    deploy(&Stack::from_environment().unwrap().endpoint, name).await.unwrap()
}

/// All five functions, asked once.
async fn ask_all(stack: &Stack) -> Vec<Response> {
    let (http, api) = (Client::new(), &stack.api_url);
    let order = format!("{api}/orders/Ann/order/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1");
    let body = json!({"user_id": "Ann", "restaurant_id": "R", "quantity": 1});
    let requests = [
        http.get(format!("{api}/orders")),
        http.put(format!("{api}/orders")).json(&body),
        http.get(&order),
        http.put(&order).json(&body),
        http.delete(&order),
    ];
    let mut responses = Vec::new();
    for request in requests {
        responses.push(request.send().await.unwrap());
    }
    responses
}

/// Lets the stack's functions find DynamoDB at that address.
async fn redirect_dynamodb(stack: &Stack, url: &str) {
    let lambda = aws_sdk_lambda::Client::new(&stack.sdk_config().await);
    let functions = lambda.list_functions().send().await.unwrap().functions.unwrap_or_default();
    for function in functions.iter().filter_map(|f| f.function_name()).filter(|f| f.starts_with(&stack.name)) {
        let variables = [
            ("ORDERS_TABLE", stack.orders_table.as_str()),
            ("IDEMPOTENCY_TABLE", &stack.idempotency_table),
            ("AWS_ENDPOINT_URL_DYNAMODB", url),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let environment = Environment::builder().set_variables(Some(variables)).build();
        lambda.update_function_configuration().function_name(function).environment(environment).send().await.unwrap();
    }
}

async fn assert_unavailable(stack: &Stack) {
    for response in ask_all(stack).await {
        assert_eq!(response.status(), 503, "{}", response.url());
        assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.json::<Value>().await.unwrap()["type"], "urn:problem-type:order-api:unavailable");
    }
}

#[tokio::test]
async fn while_dynamodb_is_away_it_is_503_with_retry_after() {
    let stack = stack("order-api-away").await;
    // Nobody listens on the port of a listener that is gone.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    redirect_dynamodb(&stack, &format!("http://{address}")).await;
    assert_unavailable(&stack).await;
}

#[tokio::test]
async fn while_dynamodb_throttles_it_is_503_with_retry_after() {
    let stack = stack("order-api-throttled").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    redirect_dynamodb(&stack, &format!("http://{}", listener.local_addr().unwrap())).await;
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
    assert_unavailable(&stack).await;
}

#[tokio::test]
async fn a_mistake_of_ours_is_500_and_says_nothing_of_the_inside() {
    let stack = stack("order-api-broken").await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_config().await);
    dynamodb.delete_table().table_name(&stack.orders_table).send().await.unwrap();
    for response in ask_all(&stack).await {
        assert_eq!(response.status(), 500, "{}", response.url());
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = response.text().await.unwrap();
        assert!(body.contains("urn:problem-type:order-api:internal") && body.contains("request_id"), "{body}");
        for inside in [stack.orders_table.as_str(), "DynamoDB", "ResourceNotFound", "Exception", "rust"] {
            assert!(!body.contains(inside), "{inside} in {body}");
        }
    }
}
