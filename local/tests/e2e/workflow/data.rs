//! A person's data and lost orders, as `docs/data.md` says. The commands that call the API are taken from there; the
//! requests of the AWS CLI are made by the SDK.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use aws_sdk_cognitoidentityprovider::Client as Cognito;
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType};
use aws_sdk_dynamodb::types::{ReturnValue, ScalarAttributeType};
use aws_sdk_sfn::types::ExecutionStatus;
use reqwest::Method;
use serde_json::{Value, json};
use shared::order::Order;
use shared::store::Orders;
use uuid::Uuid;

use super::faults::EVENTS;
use super::{CANCELLED, NOTHING, balance, execution_ended, failed, hours_ago, id, requested, submit, succeeded, sweep};
use crate::dev::{behind_a_proxy, in_a_terminal};
use crate::providers::ACCEPTED;
use crate::support::{
    Api, claims, machine_token, of_user, on_the_emulator, path_of, person, person_token, send, text, user,
};

type Item = HashMap<String, AttributeValue>;

fn document() -> String {
    std::fs::read_to_string("../docs/data.md").unwrap()
}

/// Returns the document's text between these two.
fn between<'a>(document: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = document.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap().0
}

/// The commands about one person's orders, in a folder of its own.
struct Shell {
    folder: PathBuf,
    variables: [(&'static str, String); 3],
}

impl Shell {
    async fn new(api: &Api, user_id: &str) -> Self {
        let folder = api.stack.scratch().unwrap().join(Uuid::new_v4().to_string());
        std::fs::create_dir(&folder).unwrap();
        let authorization = format!("Authorization: Bearer {}", machine_token(&api.stack, None).await);
        let variables = [("API", api.stack.api_url.clone()), ("AUTH", authorization), ("USER_ID", user_id.to_owned())];
        Self { folder, variables }
    }

    async fn paste(&self, commands: &str) -> String {
        let mut bash = in_a_terminal("bash");
        behind_a_proxy(&mut bash);
        bash.args(["-euc", commands]).current_dir(&self.folder).envs(self.variables.clone());
        let ran = bash.output().await.unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Exports the person's orders, two on a page.
    async fn export(&self) -> Vec<Value> {
        let document = document();
        let commands = between(&document, "### Export it\n", "### Erase it\n");
        self.paste(&between(commands, "```sh\n", "```").replace("limit=1000", "limit=2")).await;
        let pages = std::fs::read_to_string(self.folder.join("orders.jsonl")).unwrap();
        pages.lines().flat_map(|page| serde_json::from_str::<Vec<Value>>(page).unwrap()).collect()
    }

    /// Deletes the exported orders, and returns the status of each.
    async fn erase(&self) -> HashMap<String, String> {
        let document = document();
        let commands = format!("for ID in {}", between(&document, "for ID in ", "```"));
        let printed = self.paste(&commands).await;
        let lines = printed.lines().map(|line| line.split_once(' ').unwrap());
        lines.map(|(status, id)| (id.to_owned(), status.to_owned())).collect()
    }
}

/// Returns all items of a table that match the filter, or all of them.
async fn items(dynamodb: &DynamoDb, table: &str, filter: Option<(&str, &str)>) -> Vec<Item> {
    let mut scan = dynamodb.scan().table_name(table).consistent_read(true);
    if let Some((expression, user)) = filter {
        scan = scan.filter_expression(expression);
        scan = scan.expression_attribute_values(":user", AttributeValue::S(user.into()));
    }
    scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
}

#[tokio::test]
async fn a_person_is_exported_and_erased() {
    // Alone on its stack while it sweeps: two sweeps at once may publish an order twice.
    let (api, _turn) = EVENTS.take().await;
    let ann = person(&api.stack, "erased", false).await;
    let token = person_token(&api.stack, &ann, None).await;
    let user_id = text(&claims(&token)["sub"]);
    let own = api.with_token(token);
    let bobs = api.order(&user("Bob")).await;
    let send = async |method: Method, plan: &str| {
        let body = json!({"restaurant_id": plan, "quantity": 3});
        let key = Uuid::new_v4().to_string();
        send(own.request(method, "/orders").header("Idempotency-Key", key).json(&body)).await.json()
    };
    let recorded = send(Method::PUT, "Restaurant 3").await;
    let delivered = send(Method::POST, ACCEPTED).await;
    let owed = send(Method::POST, "deliveries 422, refunds 400 201").await;
    succeeded(&api, &delivered).await;
    let message = "the restaurant refused: the test says so";
    failed(&api, &owed, message, Some("OWED")).await;

    let shell = Shell::new(&api, &user_id).await;
    let exported = shell.export().await;
    assert_eq!(exported.len(), 3);
    assert_eq!(exported, api.list(&of_user(&user_id)).await);

    // Money that is owed keeps its order.
    let erased = shell.erase().await;
    let status = |order: &Value| erased[id(order)].as_str();
    assert_eq!([&recorded, &delivered, &owed].map(status), ["204", "204", "409"]);
    sweep(&api, &owed).await;
    failed(&api, &owed, message, Some("MADE")).await;
    assert_eq!(shell.export().await.len(), 1);
    assert_eq!(shell.erase().await, HashMap::from([(text(&owed["id"]), "204".to_owned())]));
    assert!(shell.export().await.is_empty());

    let dynamodb = DynamoDb::new(&api.stack.sdk_config().await);
    let table = &api.stack.idempotency_table;
    let document = document();
    let filter = between(&document, "--filter-expression \"", "\"");
    let records = items(&dynamodb, table, Some((filter, &user_id))).await;
    assert_eq!(records.len(), 3, "those of the three requests");
    for record in records {
        let delete = dynamodb.delete_item().table_name(table).key("id", record["id"].clone());
        let deleted = delete.return_values(ReturnValue::AllOld).send().await.unwrap().attributes.unwrap();
        assert!(format!("{deleted:?}").contains(&user_id), "{deleted:?}");
    }
    for table in [table, &api.stack.orders_table] {
        let left = items(&dynamodb, table, None).await;
        assert!(!left.is_empty(), "other people's data stays");
        assert!(left.iter().all(|item| !format!("{item:?}").contains(&user_id)), "{table}");
    }
    api.get(&path_of(&bobs)).await.is(200);

    let cognito = Cognito::new(&api.stack.sdk_config().await);
    let pool = &api.stack.user_pool_id;
    cognito.admin_disable_user().user_pool_id(pool).username(&ann.email).send().await.unwrap();
    cognito.admin_user_global_sign_out().user_pool_id(pool).username(&ann.email).send().await.unwrap();
    cognito.admin_delete_user().user_pool_id(pool).username(&ann.email).send().await.unwrap();
    let gone = cognito.admin_get_user().user_pool_id(pool).username(&ann.email).send().await.unwrap_err();
    assert!(gone.as_service_error().unwrap().is_user_not_found_exception(), "{gone:?}");
}

/// Creates a table with the keys of the orders table.
async fn copy_of_the_table(dynamodb: &DynamoDb) -> String {
    let name = format!("orders-restored-{}", Uuid::new_v4());
    let mut create = dynamodb.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("user_id", KeyType::Hash), ("id", KeyType::Range)] {
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind);
        create = create
            .attribute_definitions(definition.attribute_type(ScalarAttributeType::S).build().unwrap())
            .key_schema(key.build().unwrap());
    }
    create.send().await.unwrap();
    name
}

fn key(order: &Value) -> Item {
    ["user_id", "id"].map(|name| (name.to_owned(), AttributeValue::S(text(&order[name])))).into()
}

/// Runs `tools/restore.py`, and returns what it prints after its warning, or its error.
async fn restore(api: &Api, options: &[&str]) -> Result<Vec<String>, String> {
    let mut python = in_a_terminal(".tools/aws/bin/python");
    on_the_emulator(&mut python, &api.stack).current_dir("..").stdin(Stdio::null());
    let stack = ["--config-env", "local", "--stack", &api.stack.name];
    let ran = python.arg("tools/restore.py").args(stack).args(options).output().await.unwrap();
    let [printed, error] = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap());
    if ran.status.success() { Ok(printed.lines().skip(2).map(str::to_owned).collect()) } else { Err(error) }
}

#[tokio::test]
async fn lost_orders_are_restored_and_come_to_their_end() {
    let (api, _turn) = EVENTS.take().await;
    let sdk = api.stack.sdk_config().await;
    let dynamodb = DynamoDb::new(&sdk);
    let restored = copy_of_the_table(&dynamodb).await;
    let back_up = async |order: &Value| {
        let get = dynamodb.get_item().table_name(&api.stack.orders_table).set_key(Some(key(order)));
        let item = get.consistent_read(true).send().await.unwrap().item;
        dynamodb.put_item().table_name(&restored).set_item(item).send().await.unwrap();
    };
    let lose = async |order: &Value| {
        let delete = dynamodb.delete_item().table_name(&api.stack.orders_table).set_key(Some(key(order)));
        delete.send().await.unwrap();
        api.get(&path_of(order)).await.problem(404);
    };

    let delivered = submit(&api, ACCEPTED).await;
    let delivered = succeeded(&api, &delivered).await;
    back_up(&delivered).await;
    lose(&delivered).await;

    // An order that is lost while its execution is running: that ends.
    let paid = submit(&api, "deliveries 503").await;
    requested(&paid, "deliveries", 1).await;
    back_up(&paid).await;
    lose(&paid).await;
    assert_eq!(execution_ended(&api, &paid).await, ExecutionStatus::Succeeded);

    let kept = api.order(&user("Ann")).await;
    back_up(&kept).await;
    let change = json!({"restaurant_id": "Elsewhere", "quantity": 7});
    let kept = api.put(&path_of(&kept), &change).await.is(200).json();

    // The backup is of its grace period. Nobody knows whether it was paid since.
    let early = json!({"user_id": user("Ann"), "restaurant_id": ACCEPTED, "quantity": "3", "id": Uuid::now_v7(),
        "created_at": hours_ago(2), "order_status": "PENDING", "updated_at": hours_ago(2), "version": 1,
        "processing": "workflow", "total": {"amount": 3000, "currency": "EUR"}});
    let saved: Order = serde_json::from_value(early.clone()).unwrap();
    Orders::new(&sdk, restored.as_str()).create(&saved).await.unwrap();

    let left_out = format!("left out, because it was not accepted: {}", id(&early));
    let (unconfirmed, confirmed) = (["--table", restored.as_str()], ["--table", restored.as_str(), "--yes"]);
    let error = "error: there is no terminal to ask on: give --yes to confirm\n";
    assert_eq!(restore(&api, &unconfirmed).await.unwrap_err(), error);
    let records = ["--table", api.stack.idempotency_table.as_str(), "--yes"];
    let error = restore(&api, &records).await.unwrap_err();
    assert!(error.ends_with("is no table of orders: its keys are id\n"), "{error}");
    let own = ["--table", api.stack.orders_table.as_str(), "--yes"];
    let error = restore(&api, &own).await.unwrap_err();
    assert!(error.ends_with("itself: name the restored one\n"), "{error}");
    let copied = restore(&api, &confirmed).await.unwrap();
    assert_eq!(copied, ["copied: 2, in the table already: 1, left out: 1", &left_out]);
    let copied = restore(&api, &confirmed).await.unwrap();
    assert_eq!(copied, ["copied: 0, in the table already: 3, left out: 1", &left_out]);
    for order in [&delivered, &kept] {
        assert_eq!(api.get(&path_of(order)).await.is(200).json(), *order);
    }
    sweep(&api, &paid).await;
    failed(&api, &paid, "the restaurant did not confirm the order", Some("MADE")).await;
    assert_eq!(balance(&paid), CANCELLED);
    api.get(&path_of(&early)).await.problem(404);
    assert_eq!(balance(&early), NOTHING);
}
