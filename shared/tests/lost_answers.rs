//! Requests whose answer gets lost: a proxy before the DynamoDB engine forwards the request, lets another writer come in
//! between, and drops the answer.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod table;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use futures_util::future::BoxFuture;
use shared::fixtures::{self, content, euros, new_order};
use shared::idempotency::{IdempotencyKey, Operation};
use shared::order::{Expected, Order, OrderKey, Processing, Step, Timestamp};
use shared::page::{Limit, List};
use shared::store::StoreError;
use table::Table;
use tokio::net::TcpListener;

/// Work of another writer, between a write and its repeat.
type InBetween = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// The engine behind a proxy that loses the answer to one write.
struct Lossy {
    /// The tables, reached through the proxy.
    table: Table,
    /// The same tables, reached directly.
    direct: Arc<Table>,
    armed: Arc<Mutex<Option<InBetween>>>,
}

impl Lossy {
    async fn new() -> Self {
        let direct = Arc::new(Table::new().await);
        let armed: Arc<Mutex<Option<InBetween>>> = Arc::default();
        let (engine, http, trigger) =
            (direct.endpoint.clone(), shared::aws::http_builder().unwrap().build().unwrap(), armed.clone());
        let forward = move |headers: HeaderMap, body: Bytes| {
            let (engine, http, trigger) = (engine.clone(), http.clone(), trigger.clone());
            async move {
                let target = headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
                let is_write = !target.unwrap_or_default().ends_with("GetItem");
                let answer = http.post(engine).headers(headers).body(body).send().await.unwrap();
                let lose = if is_write { trigger.lock().unwrap().take() } else { None };
                let mut response = Response::builder().status(answer.status());
                response.headers_mut().unwrap().extend(answer.headers().clone());
                let Some(in_between) = lose else {
                    return response.body(Body::from(answer.bytes().await.unwrap())).unwrap();
                };
                in_between().await;
                let dropped = std::io::Error::other("the connection is dropped in the middle of the answer");
                response
                    .body(Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>(dropped) })))
                    .unwrap()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let table = Table::at(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(forward)).await.unwrap() });
        Self { table, direct, armed }
    }

    /// Loses the answer to the next write, after the work of another writer.
    fn lose_next<F: Future<Output = ()> + Send + 'static>(&self, other: impl FnOnce(Arc<Table>) -> F + Send + 'static) {
        let direct = self.direct.clone();
        *self.armed.lock().unwrap() = Some(Box::new(move || Box::pin(other(direct))));
    }

    fn assert_lost(&self) {
        assert!(self.armed.lock().unwrap().is_none(), "an answer was lost");
    }

    async fn get(&self, key: &OrderKey) -> Result<Order, StoreError> {
        self.direct.orders.get(key).await
    }
}

/// Another writer that does nothing.
async fn nobody(_: Arc<Table>) {}

#[tokio::test]
async fn a_list_is_read_again() {
    let lossy = Lossy::new().await;
    let order = lossy.direct.created("Ann").await;
    lossy.lose_next(nobody);
    let page = lossy.table.orders.list(&List::All, Limit::default(), None).await.unwrap();
    lossy.assert_lost();
    assert_eq!(page.orders, [order]);
}

#[tokio::test]
async fn a_creation_is_unknown_and_not_repeated_so_nothing_deleted_comes_back() {
    let lossy = Lossy::new().await;
    let order = new_order("Ann", Processing::None);
    let key = order.key().clone();
    lossy.lose_next(|table| async move { table.delete(&key, &Expected::Any).await.unwrap() });
    let created = lossy.table.orders.create(&order).await;
    lossy.assert_lost();
    assert!(matches!(created, Err(StoreError::Unavailable(_))), "{created:?}");
    assert!(matches!(lossy.get(order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_change_is_unknown_and_not_repeated_so_no_other_change_is_overwritten() {
    let lossy = Lossy::new().await;
    for expected in [Expected::Any, Expected::OneOf(vec![1.into(), 2.into(), 3.into()])] {
        let order = lossy.direct.created("Ann").await;
        let key = order.key().clone();
        lossy.lose_next(|table| async move {
            table.replace(&key, &content(9), &Expected::OneOf(vec![2.into()])).await.unwrap();
        });
        let changed = lossy.table.replace(order.key(), &content(7), &expected).await;
        lossy.assert_lost();
        assert!(matches!(changed, Err(StoreError::Unavailable(_))), "{changed:?}");
        let current = lossy.get(order.key()).await.unwrap();
        assert_eq!((current.content(), current.version().get()), (&content(9), 3));
    }
}

#[tokio::test]
async fn a_deletion_is_unknown_and_not_repeated() {
    let lossy = Lossy::new().await;
    let order = lossy.direct.created("Ann").await;
    lossy.lose_next(nobody);
    let deleted = lossy.table.delete(order.key(), &Expected::Any).await;
    lossy.assert_lost();
    assert!(matches!(deleted, Err(StoreError::Unavailable(_))), "{deleted:?}");
    assert!(matches!(lossy.get(order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_deletion_of_a_missing_order_is_final_even_if_the_answer_to_its_record_gets_lost() {
    let lossy = Lossy::new().await;
    let order = fixtures::order();
    // Of the two writes, the record's answer is the second.
    let key = order.key().clone();
    let records = lossy.table.records.clone();
    lossy.lose_next(nobody);
    records.save_new(&Operation::save(&key), (), Timestamp::now()).await.unwrap();
    lossy.assert_lost();
    let deleted = lossy.table.delete(&key, &Expected::Any).await;
    assert!(matches!(deleted, Err(StoreError::NotFound)), "{deleted:?}");
    lossy.direct.save(&order).await.unwrap();
    assert!(matches!(lossy.get(&key).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_creation_with_a_key_is_repeated_and_recognised_even_if_the_order_was_changed_or_deleted() {
    let lossy = Lossy::new().await;
    for deletes in [false, true] {
        let order = new_order("Ann", Processing::None);
        let key = IdempotencyKey::try_from(format!("key-{deletes}").as_bytes()).unwrap();
        let operation = Operation::request("Ann", &key, "PUT /orders", b"{}", Processing::None);
        let order_key = order.key().clone();
        lossy.lose_next(move |table| async move {
            if deletes {
                table.delete(&order_key, &Expected::Any).await.unwrap();
            } else {
                table.replace(&order_key, &content(9), &Expected::Any).await.unwrap();
            }
        });
        let records = &lossy.table.records;
        let created = lossy.table.orders.create_once(records, &order, &operation, "first".to_owned(), Timestamp::now());
        assert_eq!(created.await.unwrap(), "first");
        lossy.assert_lost();
        match lossy.get(order.key()).await {
            Ok(current) => assert_eq!((deletes, current.content()), (false, &content(9))),
            Err(StoreError::NotFound) => assert!(deletes),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_record_is_repeated_and_recognised() {
    let lossy = Lossy::new().await;
    let key = IdempotencyKey::try_from(b"key".as_slice()).unwrap();
    let operation = Operation::request("Ann", &key, "POST /orders", b"{}", Processing::Workflow);
    lossy.lose_next(nobody);
    let saved = lossy.table.records.save(&operation, "first".to_owned(), Timestamp::now()).await;
    lossy.assert_lost();
    assert_eq!(saved.unwrap(), "first");
}

#[tokio::test]
async fn a_submitted_order_is_saved_once_even_if_it_was_deleted_in_between() {
    let lossy = Lossy::new().await;
    let order = fixtures::order();
    let key = order.key().clone();
    lossy.lose_next(|table| async move { table.delete(&key, &Expected::Any).await.unwrap() });
    lossy.table.save(&order).await.unwrap();
    lossy.assert_lost();
    assert!(matches!(lossy.get(order.key()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_fact_is_recorded_once_even_if_the_next_one_is_recorded_in_between() {
    let lossy = Lossy::new().await;
    let order = lossy.direct.submitted().await;
    lossy.direct.record(&order, |order| order.accepted(Timestamp::now())).await;
    let delivered = order.clone();
    lossy.lose_next(|table| async move {
        table.record(&delivered, |order| order.delivered(Timestamp::now())).await;
    });
    let recorded = lossy.table.record(&order, |order| order.paid(Timestamp::now())).await;
    lossy.assert_lost();
    assert_eq!((recorded.next(), recorded.version().get()), (Step::Complete, 4));
    assert_eq!(lossy.get(order.key()).await.unwrap(), recorded);
    assert_eq!(recorded.total(), Some(euros(30)));
}
