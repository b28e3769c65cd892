//! Responses of the API while something that it depends on is broken. Each test breaks a stack of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use local::logs::lines;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::events::FUNCTIONS;
use crate::support::{Answer, Api, eventually, send, set_variable, unreachable_url};

/// The variable with the URL of DynamoDB.
const DYNAMODB: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// Sends one request to each function of the API.
async fn request_all(api: &Api) -> Vec<Answer> {
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
    for answer in request_all(api).await {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:unavailable");
        answer.problem(503);
    }
}

#[tokio::test]
async fn responses_are_503_with_retry_after_while_dynamodb_is_unreachable() {
    let api = Api::of_own_stack("order-api-away", &[]).await;
    set_variable(&api.stack, &FUNCTIONS, DYNAMODB, Some(&unreachable_url())).await;
    assert_unavailable(&api).await;
}

#[tokio::test]
async fn responses_are_503_with_retry_after_while_dynamodb_throttles() {
    let api = Api::of_own_stack("order-api-throttled", &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    set_variable(&api.stack, &FUNCTIONS, DYNAMODB, Some(&format!("http://{}", listener.local_addr().unwrap()))).await;
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

/// While it starts, a function opens a connection to DynamoDB (`shared::aws::connect`).
#[tokio::test]
async fn functions_start_and_answer_although_their_first_request_is_never_answered() {
    let api = Api::of_own_stack("order-api-silent", &[]).await;
    let emulator = api.stack.emulator().unwrap().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = Arc::new(AtomicUsize::new(0));
    let pings = silent.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (emulator, pings) = (emulator.clone(), pings.clone());
            tokio::spawn(async move {
                let mut start = [0; 9];
                client.read_exact(&mut start).await?;
                if start == *b"GET /ping" {
                    pings.fetch_add(1, Ordering::Relaxed);
                    // Until the function gives up.
                    return client.read_to_end(&mut Vec::new()).await.map(drop);
                }
                let mut server = TcpStream::connect(emulator).await?;
                server.write_all(&start).await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    set_variable(&api.stack, &FUNCTIONS, DYNAMODB, Some(&url)).await;
    let statuses: Vec<_> = request_all(&api).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 201, 202, 404, 404, 404]);
    assert!(silent.load(Ordering::Relaxed) >= statuses.len());
}

#[tokio::test]
async fn requests_beyond_the_limit_of_the_stage_are_429() {
    let api = Api::of_own_stack("order-api-limited", &["RequestsPerSecond=1", "RequestBurst=2"]).await;
    let mut answers = JoinSet::new();
    for _ in 0..20 {
        let api = api.clone();
        answers.spawn(async move { api.get("/orders").await.status.as_u16() });
    }
    let statuses = answers.join_all().await;
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn an_internal_error_is_500_and_reveals_nothing_internal() {
    let api = Api::of_own_stack("order-api-broken", &[]).await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&api.stack.sdk_config().await);
    for table in [&api.stack.orders_table, &api.stack.idempotency_table] {
        dynamodb.delete_table().table_name(table).send().await.unwrap();
    }
    for answer in request_all(&api).await {
        assert_eq!(answer.json()["type"], "urn:problem-type:order-api:internal");
        for internal in [api.stack.orders_table.as_str(), "DynamoDB", "ResourceNotFound", "Exception", "rust"] {
            assert!(!answer.body.contains(internal), "{internal} in {answer:?}");
        }
        answer.problem(500);
    }
}

#[tokio::test]
async fn an_unreadable_item_is_skipped_in_lists_and_logged() {
    let api = Api::of_own_stack("order-api-unreadable", &[]).await;
    let order = api.order("Ann").await;
    let id = "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1";
    let dynamodb = aws_sdk_dynamodb::Client::new(&api.stack.sdk_config().await);
    let put = dynamodb.put_item().table_name(&api.stack.orders_table).item("user_id", AttributeValue::S("Ann".into()));
    put.item("id", AttributeValue::S(id.into())).send().await.unwrap();

    for list in ["/orders", "/orders?user_id=Ann"] {
        assert_eq!(api.get(list).await.is(200).json(), json!([order]), "{list}");
    }
    let logged = eventually("the item is logged", || async {
        let lines = lines(&api.stack).await.unwrap();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["unreadable_item"] == true)
    });
    let logged = logged.await;
    assert_eq!(logged["level"], "ERROR");
    assert!(["Ann", id].iter().all(|part| logged.to_string().contains(part)), "{logged}");
    // On its own, it is an error.
    api.get(&format!("/orders/Ann/order/{id}")).await.problem(500);
}
