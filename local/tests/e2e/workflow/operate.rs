//! `make status` and `make follow`, on a stack with orders in every state. Their output in `docs/operations.md` is what
//! these tests print.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::order::Order;
use shared::store::Orders;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{accepted, failed, hours_ago, id, order_when, published, requested, stack, submit, succeeded};
use crate::alarms::put_metric;
use crate::dev::in_a_terminal;
use crate::providers::ACCEPTED;
use crate::support::{Api, eventually, on_the_emulator, path_of, text, user};

/// The stack, with a dead letter and orders in the states that last.
struct Operated {
    api: Api,
    recorded: Value,
    success: Value,
    declined: Value,
    refunded: Value,
    owed: Value,
    failed: Value,
    unknown: Value,
}

impl Operated {
    async fn start() -> Self {
        let api = stack("order-api-operate", &["GracePeriodSeconds=15"]).await;
        let recorded = api.order(&user("Ann")).await;
        let success = submit(&api, ACCEPTED).await;
        let declined = submit(&api, "charges 402").await;
        let refunded = submit(&api, "deliveries 503 422").await;
        let owed = submit(&api, "deliveries 422, refunds 400").await;
        let lost = submit(&api, "deliveries 422, refunds 404").await;
        let unknown = submit(&api, "charges 400, refunds 404").await;
        let undelivered = submit(&api, "deliveries 202").await;
        let cancelling = submit(&api, "deliveries 400, cancellations 503").await;
        let sqs = aws_sdk_sqs::Client::new(&api.stack.sdk_config().await);
        sqs.send_message().queue_url(&api.stack.orders_queue).message_body("no order").send().await.unwrap();
        put_metric(&api.stack, "NeedsOperator").await;

        for order in [&lost, &unknown] {
            order_when(&api, order, "owed", |order| order["refund"] == "OWED").await;
            api.set(order, "failing_since", &hours_ago(25)).await;
        }
        let failed = failed(&api, &lost, "the restaurant refused: the test says so", Some("FAILED")).await;
        let unknown = published(&api, &unknown, "FAILURE:UNKNOWN").await;
        let success = succeeded(&api, &success).await;
        requested(&undelivered, "deliveries", 1).await;
        requested(&cancelling, "cancellations", 1).await;
        // These states are over in a moment, unless something is broken.
        let at = hours_ago(2);
        save_paid(&api, &json!({"delivered_at": at})).await;
        let end = json!({"delivered_at": at, "completed_at": at, "order_status": "SUCCESS", "unsettled": "0"});
        save_paid(&api, &end).await;
        let refunded = published(&api, &refunded, "FAILURE:MADE").await;
        let declined = published(&api, &declined, "FAILURE").await;
        let owed = published(&api, &owed, "FAILURE:OWED").await;
        Self { api, recorded, success, declined, refunded, owed, failed, unknown }
    }

    async fn get() -> &'static Self {
        static STACK: OnceCell<Operated> = OnceCell::const_new();
        STACK.get_or_init(Self::start).await
    }
}

/// Saves an order that was paid two hours ago, with more fields.
async fn save_paid(api: &Api, more: &Value) {
    let at = hours_ago(2);
    let mut order = json!({"user_id": user("Ann"), "restaurant_id": ACCEPTED, "quantity": "3", "id": Uuid::now_v7(),
        "created_at": at, "order_status": "PENDING", "updated_at": at, "version": 4, "processing": "workflow",
        "total": {"amount": 3000, "currency": "EUR"}, "accepted_at": at, "paid_at": at});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let saved: Order = serde_json::from_value(order).unwrap();
    Orders::new(&api.stack.sdk_config().await, api.stack.orders_table.as_str()).create(&saved).await.unwrap();
}

/// Runs a verb of the Makefile for the stack, as a user does; returns what it prints, or its error.
async fn make(api: &Api, verb: &str, variables: &[&str]) -> Result<String, String> {
    let mut make = in_a_terminal("make");
    on_the_emulator(&mut make, &api.stack).current_dir("..");
    let stack = format!("STACK={}", api.stack.name);
    make.args(["--silent", verb, &stack, "ENV=local"]).args(variables);
    let ran = make.output().await.unwrap();
    let [printed, error] = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap());
    if ran.status.success() { Ok(printed) } else { Err(error) }
}

async fn follow(api: &Api, order: &str) -> String {
    let printed = make(api, "follow", &[&format!("ORDER={order}")]).await.unwrap();
    println!("{printed}");
    printed
}

/// The same once it has this line of the log. The emulator may keep a line until the function is called again.
async fn follow_when(api: &Api, order: &str, logged: &str) -> String {
    let look = || async { Some(follow(api, order).await).filter(|story| story.contains(logged)) };
    eventually(&format!("{logged} is printed"), look).await
}

/// A line without what differs from run to run: words with digits, and units of time.
fn shape(line: &str) -> String {
    let differs = |word: &&str| word.contains(|c: char| c.is_ascii_digit()) || ["s", "min", "h", "ms"].contains(word);
    line.split_whitespace().filter(|word| !differs(word)).collect::<Vec<_>>().join(" ")
}

/// Asserts that the example in this section of `docs/operations.md` has lines of this output only, except those of the
/// log, which may be late, and those of alarms that are not raised, which depend on what else the emulator has measured.
#[track_caller]
fn assert_documented(section: &str, output: &str) {
    let document = std::fs::read_to_string("../docs/operations.md").unwrap();
    let (_, section) = document.split_once(&format!("\n## {section}\n")).unwrap();
    let (_, example) = section.split_once("\n```text\n").unwrap();
    let (example, _) = example.split_once("\n```\n").unwrap();
    let shapes: Vec<_> = output.lines().map(shape).collect();
    let varies = |line: &str| ["...", "  log  ", "  OK: ", "  no data yet: "].iter().any(|part| line.contains(part));
    for line in example.lines().filter(|line| !varies(line)) {
        assert!(shapes.contains(&shape(line)), "{line} is not printed:\n{output}");
    }
}

/// Asserts that the text has these parts, in this order. One space stands for any number of them.
#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = text.lines().map(words).collect::<Vec<_>>().join("\n") + "\n";
    let mut rest = lines.as_str();
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} is not there, or not in its place:\n{text}")).1;
    }
}

#[tokio::test]
async fn status_shows_orders_in_every_state_on_one_screen_and_follow_the_story_of_each() {
    let operated = Operated::get().await;
    let api = operated.api.with_http_of_its_own();
    let unpaid = submit(&api, "charges 503").await;
    accepted(&api, &unpaid).await;
    submit(&api, ACCEPTED).await;
    let screen = eventually("all states are shown", || async {
        let screen = make(&api, "status", &[]).await.unwrap();
        (screen.contains("submitted, in its grace period") && screen.contains("accepted, not paid")).then_some(screen)
    });
    let screen = screen.await;
    println!("{screen}");
    assert_documented("Status", &screen);
    let head = format!("{} on the emulator at {}", api.stack.name, api.stack.emulator().unwrap());
    assert_in_order(
        &screen,
        &[
            &head,
            "_COMPLETE, last updated ",
            &api.stack.web_url,
            &api.stack.api_url,
            "dead letters 1 0 0 <- dead letters",
            "Executions: ",
            " succeeded, ",
            "Orders not settled: 9\n",
            "submitted, in its grace period 1\n",
            "accepted, not paid 1\n",
            "paid, not delivered 1\n",
            "paid, its delivery being cancelled 1\n",
            "delivered or failed, not final 1\n",
            "failed, its refund being made 1\n",
            "final, not published 1\n",
            "final, its refund waits for an operator 2\n",
            "written 2 h ",
            " min ago, ",
            "FAILED 1 30.00 EUR",
            "UNKNOWN 1 30.00 EUR",
            "OWED 1 30.00 EUR",
            &format!("{} FAILED 30.00 EUR\n", id(&operated.failed)),
            &format!("{} UNKNOWN 30.00 EUR, if it was paid\n", id(&operated.unknown)),
            &format!("{} OWED 30.00 EUR\n", id(&operated.owed)),
            "ALARM NeedsOperatorAlarm\n",
            "Needs attention:\n",
            "1 dead letter: docs/operations.md#dead-letters\n",
            "2 orders not written for 50 min or longer: docs/operations.md#unsettled-orders\n",
            "2 refunds for an operator: docs/operations.md#orders-that-need-an-operator\n",
            "NeedsOperatorAlarm is raised: docs/operations.md#orders-that-need-an-operator\n",
        ],
    );

    let story = follow_when(&api, id(&operated.owed), "INFO  submit-order    202 POST /orders").await;
    assert_documented("Follow one order", &story);
    assert_in_order(
        &story,
        &[
            "table created\n",
            "log INFO submit-order 202 POST /orders",
            "execution SaveOrder begins\n",
            "execution GracePeriod begins to wait\n",
            "table accepted\n",
            "table paid: 30.00 EUR\n",
            "table decided to fail: the restaurant refused: the test says so\n",
            "execution RefundPayment failed: NonRetryable: ",
            "table final: FAILURE\n",
            "execution the execution has succeeded\n",
            "status FAILURE: the restaurant refused: the test says so\n",
            "state failed, its refund being made\n",
            "charged 30.00 EUR on ",
            "refunded nothing\n",
            "owed 30.00 EUR (OWED: requested again by the sweep)\n",
        ],
    );
    let instants: Vec<_> = story.lines().skip(2).take_while(|line| !line.is_empty()).map(|line| &line[..23]).collect();
    assert!(instants.is_sorted(), "{story}");

    for (order, charged, refunded, owed) in [
        (&operated.success, "30.00 EUR on ", "nothing\n", "nothing\n"),
        (&operated.declined, "nothing\n", "nothing\n", "nothing\n"),
        (&operated.refunded, "30.00 EUR on ", "30.00 EUR\n", "nothing\n"),
        (&operated.failed, "30.00 EUR on ", "nothing\n", "30.00 EUR (FAILED: waits for an operator)\n"),
        (&operated.unknown, "not known\n", "nothing\n", "30.00 EUR, if it was paid (UNKNOWN: waits for an operator)\n"),
        (&unpaid, "not known yet\n", "nothing\n", "nothing\n"),
    ] {
        let story = follow(&api, id(order)).await;
        let money = ["price 30.00 EUR", "charged ", charged, "refunded ", refunded, "owed ", owed];
        assert_in_order(&story, &money);
    }
    let retried = follow(&api, id(&operated.refunded)).await;
    let attempts = ["SendOrderToRestaurant failed: ", "SendOrderToRestaurant is tried again, attempt 2\n"];
    assert_in_order(&retried, &attempts);
}

#[tokio::test]
async fn an_order_that_only_its_location_leads_to_is_followed_by_that() {
    let operated = Operated::get().await;
    let (api, recorded) = (&operated.api.with_http_of_its_own(), &operated.recorded);
    let story = follow(api, &path_of(recorded)[1..]).await;
    let owner = text(&recorded["user_id"]);
    let parts = ["table created\n", "The order as it is\n", &owner, "nothing is left to do\n", "owed nothing\n"];
    assert_in_order(&story, &parts);
    assert!(!story.contains("execution"), "{story}");
    // Another call brings the first one's line, if the emulator has kept it.
    api.order(&user("Ann")).await;
    let by_id = follow_when(api, id(recorded), "201 PUT /orders").await;
    assert_in_order(
        &by_id,
        &[
            "201 PUT /orders",
            "The order itself was not found.\n",
            "ORDER=orders/USER/order/ID\n",
            "It has no execution. ",
        ],
    );

    let of_another = format!("ORDER=orders/Nobody/order/{}", id(recorded));
    let story = make(api, "follow", &[&of_another]).await.unwrap();
    assert_in_order(&story, &["201 PUT /orders", "Is the user in the Location its owner?"]);

    let nobody = Uuid::now_v7().to_string();
    for given in [nobody.clone(), format!("orders/Nobody/order/{nobody}")] {
        let error = make(api, "follow", &[&format!("ORDER={given}")]).await.unwrap_err();
        assert!(error.starts_with(&format!("error: nothing is known of the order {nobody}.\n")), "{error}");
    }
    // Without ORDER, too.
    for wrong in ["PORT=1", "ORDER=7", "ORDER=orders/Ann/7"] {
        let error = make(api, "follow", &[wrong]).await.unwrap_err();
        assert!(error.starts_with("error: ORDER must be the id of an order, such as "), "{error}");
    }
}

#[tokio::test]
async fn an_order_that_was_deleted_is_followed_by_its_execution() {
    let operated = Operated::get().await;
    let api = operated.api.with_http_of_its_own();
    let order = submit(&api, ACCEPTED).await;
    super::saved(&api, &order).await;
    api.delete(&path_of(&order)).await.is(204);
    let story = follow(&api, id(&order)).await;
    assert_in_order(&story, &["execution SaveOrder begins\n", "The order is not in the table: "]);
}

#[tokio::test]
async fn what_happened_to_an_order_that_cannot_be_read_is_shown() {
    let operated = Operated::get().await;
    let api = operated.api.with_http_of_its_own();
    let order = api.order(&user("Ann")).await;
    let [user_id, id] = ["user_id", "id"].map(|name| AttributeValue::S(text(&order[name])));
    let dynamodb = aws_sdk_dynamodb::Client::new(&api.stack.sdk_config().await);
    let put = dynamodb.put_item().table_name(&api.stack.orders_table).item("user_id", user_id).item("id", id);
    put.send().await.unwrap();
    // Another call brings the line of the first one.
    api.order(&user("Ann")).await;
    let story = follow_when(&api, &path_of(&order)[1..], "201 PUT /orders").await;
    let parts = ["201 PUT /orders", "The order can't be read: ", "docs/operations.md#unreadable-items\n"];
    assert_in_order(&story, &parts);
}
