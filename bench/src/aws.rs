//! The canned AWS: DynamoDB, SQS, Step Functions, SNS and Secrets Manager at one address, over TLS.
//!
//! It knows one list of orders, and one order that the steps of the workflow read and write. A request that it has no
//! answer to is refused by name, so a function that asks for more fails.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde_json::{Map, Value, json};

use crate::tls::TlsListener;

/// Name of the table of orders, by which writes to other tables are told apart.
pub const ORDERS_TABLE: &str = "orders";

/// The user whose orders are listed, as in the sample events.
const USER: &str = "Burger_2";

/// An order of the list has its position as the end of its id.
const ID_START: &str = "01857488-ed35-7c3a-b3a1-";

const PUBLISHED: &str = r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
<PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
<ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>"#;

/// What the orders table holds before each call.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Number of orders in the list.
    pub listed: usize,
    /// The order that the steps read, as an item.
    pub order: Option<Map<String, Value>>,
}

/// The running server.
pub struct Aws {
    /// Its URL.
    pub endpoint: String,
    /// File of the certificates that a function must trust.
    pub bundle: PathBuf,
    connections: Arc<AtomicUsize>,
    table: Arc<Mutex<Table>>,
}

impl Aws {
    /// Starts the server. `listed` is the order that the list has many times; `bundle` will be written.
    pub async fn start(listed: &Value, bundle: &Path) -> anyhow::Result<Self> {
        let listener = TlsListener::bind(bundle).await?;
        let endpoint = format!("https://localhost:{}", listener.local_addr()?.port());
        let (connections, table) = (listener.connections.clone(), Arc::new(Mutex::new(Table::new(listed)?)));
        let app = Router::new().fallback(answer).with_state(table.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(Self { endpoint, bundle: bundle.to_owned(), connections, table })
    }

    /// Number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Number of requests so far, without those that only open a connection.
    pub fn requests(&self) -> u32 {
        locked(&self.table).requests
    }

    /// Sets what the table holds.
    pub fn fill(&self, content: &Content) {
        locked(&self.table).fill(content);
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Table {
    /// An item of the list, before and after the end of its id.
    item: (String, String),
    listed: usize,
    /// The order that the steps read, as the JSON of its item.
    order: Option<String>,
    requests: u32,
    /// The last page of the list, with the length of the list and the request: it is sent again without any work.
    last_page: Option<(usize, Bytes, Bytes)>,
}

impl Table {
    fn new(listed: &Value) -> anyhow::Result<Self> {
        let mut listed = listed.clone();
        listed["user_id"] = USER.into();
        listed["id"] = ID_START.into();
        let item = Value::Object(item(&listed)?).to_string();
        let (start, end) = item.split_once(ID_START).context("a sample without an id")?;
        Ok(Self {
            item: (format!("{start}{ID_START}"), end.to_owned()),
            listed: 0,
            order: None,
            requests: 0,
            last_page: None,
        })
    }

    fn fill(&mut self, content: &Content) {
        self.listed = content.listed;
        self.order = content.order.as_ref().map(json_of);
    }

    /// A page of the list, as DynamoDB answers a Query or a Scan.
    fn page(&self, request: &Value) -> String {
        let start = request.pointer("/ExclusiveStartKey/id/S").and_then(Value::as_str);
        let start = start.and_then(|id| id.strip_prefix(ID_START)?.parse::<usize>().ok()).map_or(0, |last| last + 1);
        let limit = request["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let end = self.listed.min(start.saturating_add(limit));
        let (before, after) = &self.item;
        let mut page = String::from(r#"{"Items":["#);
        for n in start..end {
            let comma = if n == start { "" } else { "," };
            let _ = write!(page, "{comma}{before}{n:012}{after}");
        }
        let count = end.saturating_sub(start);
        let _ = write!(page, r#"],"Count":{count},"ScannedCount":{count}"#);
        // DynamoDB gives a last key as soon as the limit is reached, even if nothing follows.
        if count == limit {
            let key = json!({"user_id": {"S": USER}, "id": {"S": format!("{ID_START}{:012}", end - 1)}});
            let _ = write!(page, r#","LastEvaluatedKey":{key}"#);
        }
        page + "}"
    }

    /// What the index of unsettled orders holds: the order, in one of its partitions.
    fn unsettled(&self, request: &Value) -> Value {
        let has_filter = !request["FilterExpression"].is_null();
        let is_its_partition = request["ExpressionAttributeValues"][":partition"]["S"] == "1";
        let order = self.order.as_ref().filter(|_| has_filter || is_its_partition);
        let order = order.and_then(|order| serde_json::from_str::<Value>(order).ok());
        let key = order.map(|order| ["user_id", "id", "updated_at"].map(|name| (name.to_owned(), order[name].clone())));
        let items: Vec<_> = key.into_iter().map(Map::from_iter).collect();
        json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items})
    }

    fn put(&mut self, put: &Value) {
        if put["TableName"] == ORDERS_TABLE {
            self.order = put["Item"].as_object().map(json_of);
        }
    }

    /// The answer to an operation of a JSON protocol; none if there is none. It takes as little time as it can, because that
    /// time is not the function's.
    fn answer(&mut self, target: &str, request: Bytes) -> Option<Bytes> {
        let parsed = || serde_json::from_slice::<Value>(&request).unwrap_or_default();
        let answer = match target {
            "DynamoDB_20120810.Query" | "DynamoDB_20120810.Scan" => return Some(self.found(request)),
            "DynamoDB_20120810.GetItem" => match &self.order {
                Some(order) => return Some(format!(r#"{{"Item":{order}}}"#).into()),
                None => json!({}),
            },
            "DynamoDB_20120810.PutItem" => {
                self.put(&parsed());
                json!({})
            }
            "DynamoDB_20120810.TransactWriteItems" => {
                for item in parsed()["TransactItems"].as_array()? {
                    self.put(&item["Put"]);
                }
                json!({})
            }
            "DynamoDB_20120810.UpdateItem" => {
                return Some(format!(r#"{{"Attributes":{}}}"#, self.order.as_deref().unwrap_or("null")).into());
            }
            "DynamoDB_20120810.DeleteItem" => json!({}),
            "DynamoDB_20120810.DescribeEndpoints" => {
                json!({"Endpoints": [{"Address": "localhost", "CachePeriodInMinutes": 1440}]})
            }
            "AmazonSQS.SendMessage" => json!({"MessageId": "219f8380-5770-4cc2-8c3e-5c715e145f5e"}),
            "AWSStepFunctions.StartExecution" => json!({"executionArn": "arn", "startDate": 1_672_697_194}),
            "AWSStepFunctions.DescribeExecution" => json!({
                "executionArn": "arn", "stateMachineArn": "arn", "status": "FAILED", "startDate": 1_672_697_194,
            }),
            "AWSStepFunctions.ListExecutions" => json!({"executions": []}),
            "secretsmanager.GetSecretValue" => json!({"SecretString": "key"}),
            _ => return None,
        };
        Some(answer.to_string().into())
    }

    /// The answer to a request for a page of the list or of the index.
    fn found(&mut self, request: Bytes) -> Bytes {
        if let Some((listed, last, page)) = &self.last_page
            && (*listed, last) == (self.listed, &request)
        {
            return page.clone();
        }
        let parsed = serde_json::from_slice::<Value>(&request).unwrap_or_default();
        if !parsed["IndexName"].is_null() {
            return self.unsettled(&parsed).to_string().into();
        }
        let page = Bytes::from(self.page(&parsed));
        self.last_page = Some((self.listed, request, page.clone()));
        page
    }
}

async fn answer(State(table): State<Arc<Mutex<Table>>>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    if method == Method::GET {
        return "healthy".into_response();
    }
    locked(&table).requests += 1;
    let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) else {
        let is_publish = body.starts_with(b"Action=Publish&");
        let answer = if is_publish { (StatusCode::OK, PUBLISHED) } else { (StatusCode::BAD_REQUEST, "no answer") };
        return ([(header::CONTENT_TYPE, "text/xml")], answer).into_response();
    };
    let answer = locked(&table).answer(target, body).ok_or_else(|| {
        let refusal = json!({"__type": "UnknownOperation", "message": format!("no canned answer to {target}")});
        (StatusCode::BAD_REQUEST, refusal.to_string())
    });
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer).into_response()
}

fn json_of(item: &Map<String, Value>) -> String {
    json!(item).to_string()
}

/// A JSON object as an item of DynamoDB.
pub fn item(object: &Value) -> anyhow::Result<Map<String, Value>> {
    let fields = object.as_object().context("an item is an object")?;
    Ok(fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(value) => json!({"BOOL": value}),
        Value::Number(value) => json!({"N": value.to_string()}),
        Value::String(value) => json!({"S": value}),
        Value::Array(values) => json!({"L": values.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(fields) => {
            let fields: Map<_, _> = fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
            json!({"M": fields})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(listed: usize) -> Table {
        let mut table = Table::new(&json!({"total": {"amount": 3000}})).unwrap();
        table.listed = listed;
        table
    }

    #[test]
    fn a_value_becomes_an_attribute_of_its_type() {
        let order = json!({"total": {"amount": 3000, "currency": "EUR"}, "tags": ["a"], "paid": true, "note": null});
        let expected = json!({
            "total": {"M": {"amount": {"N": "3000"}, "currency": {"S": "EUR"}}},
            "tags": {"L": [{"S": "a"}]},
            "paid": {"BOOL": true},
            "note": {"NULL": true},
        });
        assert_eq!(Value::Object(item(&order).unwrap()), expected);
    }

    #[test]
    fn the_pages_of_a_list_have_each_order_once() {
        let table = table(5);
        let (mut ids, mut request) = (Vec::new(), json!({"Limit": 2}));
        loop {
            let page: Value = serde_json::from_str(&table.page(&request)).unwrap();
            let items = page["Items"].as_array().unwrap();
            assert_eq!(page["Count"], items.len());
            ids.extend(items.iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()));
            let Some(last) = page.get("LastEvaluatedKey") else { break };
            request["ExclusiveStartKey"] = last.clone();
        }
        let expected: Vec<_> = (0..5).map(|n| format!("{ID_START}00000000000{n}")).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn a_page_that_is_asked_for_again_is_that_of_the_list_as_it_is() {
        let mut table = table(1);
        let query = "DynamoDB_20120810.Query";
        let count = |table: &mut Table, target, request: &Value| {
            let answer = table.answer(target, request.to_string().into()).unwrap();
            serde_json::from_slice::<Value>(&answer).unwrap()["Count"].clone()
        };
        let (list, index) = (json!({"Limit": 9}), json!({"IndexName": "unsettled", "FilterExpression": "x"}));
        assert_eq!([count(&mut table, query, &list), count(&mut table, query, &list)], [1, 1]);
        assert_eq!(count(&mut table, query, &index), 0);
        let order = json!({"user_id": "Ann", "id": "1", "updated_at": "2023-01-02T22:06:33Z"});
        table.fill(&Content { listed: 2, order: order.as_object().cloned() });
        assert_eq!(count(&mut table, query, &list), 2);
        assert_eq!(count(&mut table, query, &index), 1);
        assert_eq!(count(&mut table, query, &list), 2);
    }

    #[test]
    fn a_step_reads_what_the_one_before_has_written() {
        let mut table = table(0);
        assert_eq!(table.answer("DynamoDB_20120810.GetItem", Bytes::new()).unwrap(), "{}");
        let put = |name: &str| json!({"TableName": name, "Item": {"id": {"S": name}}});
        let write = json!({"TransactItems": [{"Put": put("records")}, {"Put": put(ORDERS_TABLE)}]});
        table.answer("DynamoDB_20120810.TransactWriteItems", write.to_string().into()).unwrap();
        let read = table.answer("DynamoDB_20120810.GetItem", Bytes::new()).unwrap();
        assert_eq!(read, r#"{"Item":{"id":{"S":"orders"}}}"#);
    }

    #[test]
    fn an_operation_without_an_answer_is_refused() {
        assert_eq!(table(0).answer("DynamoDB_20120810.CreateTable", Bytes::new()), None);
    }
}
