//! What is written is read as the same value, for any value: in JSON, in an item of the table, in a message and in a cursor.

#![expect(clippy::unwrap_used, reason = "a test that can't continue has failed")]

use std::fmt::Debug;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use lambda_http::Response;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::http::response::{self, SavedAnswer, SavedSubmission};
use shared::idempotency::{IdempotencyKey, IdempotencyRecord, Operation};
use shared::money::{Currency, Money};
use shared::order::{
    Expected, Order, OrderContent, OrderForm, OrderId, OrderKey, Processing, Quantity, RestaurantId, Timestamp, UserId,
    Version,
};
use shared::page::{Cursor, Limit, List};
use shared::workflow::Submission;
use uuid::Uuid;

/// Seconds since 1970 of the first and the last instant that RFC 3339 can write.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (INSTANTS, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        let at = DateTime::from_timestamp(seconds, nanos).unwrap();
        at.to_rfc3339_opts(SecondsFormat::Nanos, true).try_into().unwrap()
    })
}

fn name<T: TryFrom<String> + Debug>() -> impl Strategy<Value = T> {
    // Character by character, because hardly any long text has only good ones.
    let is_good = |char: &char| T::try_from(format!("a{char}a")).is_ok();
    let chars = vec(any::<char>().prop_filter("a character of a name", is_good), 1..=128);
    chars.prop_filter_map("a name", |chars| chars.into_iter().collect::<String>().try_into().ok())
}

fn user_id() -> impl Strategy<Value = UserId> {
    name()
}

fn order_id() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string().try_into().unwrap())
}

fn money() -> impl Strategy<Value = Money> {
    (any::<u64>(), vec(b'A'..=b'Z', 3)).prop_map(|(amount, letters)| Money {
        amount,
        currency: Currency::try_from(String::from_utf8(letters).unwrap()).unwrap(),
    })
}

fn content() -> impl Strategy<Value = OrderContent> {
    (name::<RestaurantId>(), 1..=1000_u64)
        .prop_map(|(restaurant_id, quantity)| OrderContent { restaurant_id, quantity: quantity.try_into().unwrap() })
}

fn new_order() -> impl Strategy<Value = Order> {
    (user_id(), content(), money(), any::<bool>(), timestamp()).prop_map(
        |(user_id, content, total, is_submitted, at)| {
            let processing = if is_submitted { Processing::Workflow } else { Processing::None };
            Order::new(user_id, content, total, processing, at)
        },
    )
}

/// An order after some transitions, whichever are possible.
fn order() -> impl Strategy<Value = Order> {
    (new_order(), vec((0..17_usize, timestamp()), 0..12), any::<String>(), content()).prop_map(
        |(new, steps, reason, content)| {
            steps.into_iter().fold(new, |order, (step, now)| {
                let after = match step {
                    0 => order.replaced(&content, order.total().unwrap(), &Expected::Any, now).ok(),
                    1 => order.not_accepted(&reason, now),
                    2 => order.declined(&reason, now),
                    3 => order.payment_unknown(now),
                    4 => order.refused(&reason, now),
                    5 => order.cancelling(now),
                    6 => order.cancelled(now),
                    7 => order.too_late_to_cancel(now),
                    8 => order.refunded(now),
                    9 => order.refund_not_found(&order, now),
                    10 => order.settled_by_hand(now),
                    11 => order.published(&order, now),
                    // The usual ways are more frequent.
                    12 => order.accepted(now),
                    13 => order.paid(now),
                    14 => order.delivered(now),
                    15 => order.not_delivered_yet(Duration::ZERO, now),
                    _ => order.completed(now),
                };
                after.unwrap_or(order)
            })
        },
    )
}

/// Asserts that the value is the same after a way through JSON, and through an item of the table.
fn is_same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value, "{json}");
    let attribute: serde_dynamo::AttributeValue = serde_dynamo::to_attribute_value(value).unwrap();
    assert_eq!(serde_dynamo::from_attribute_value::<_, T>(attribute).unwrap(), *value, "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn a_field_is_read_as_it_was_written(
        user_id in user_id(), restaurant_id in name::<RestaurantId>(), id in order_id(), at in timestamp(),
        total in money(), version in 1..=u64::MAX,
    ) {
        is_same(&OrderKey { user_id, id });
        is_same(&restaurant_id);
        is_same(&at);
        is_same(&total);
        is_same(&Version::from(version));
    }

    #[test]
    fn a_quantity_is_a_number_or_its_digits_and_nothing_else(number: u64) {
        let parsed = [number.to_string(), format!("\"{number}\"")].map(|json| serde_json::from_str::<Quantity>(&json));
        match parsed {
            [Ok(one), Ok(other)] => {
                is_same(&one);
                assert_eq!((one, u64::from(one.get())), (other, number));
            }
            [Err(_), Err(_)] => assert!(!(1..=1000).contains(&number)),
            parsed => panic!("{parsed:?}"),
        }
    }

    #[test]
    fn a_limit_is_its_digits(number: u16) {
        let limit = number.to_string().parse::<Limit>();
        assert_eq!(limit.map(Limit::get).ok(), Some(number).filter(|number| (1..=1000).contains(number)));
    }

    #[test]
    fn an_id_is_as_old_as_its_order(at in timestamp(), age in 0..1_000_000_000_u64) {
        // Ids can't be from before 1970.
        prop_assume!(at.epoch_seconds() >= 1_000_000_000);
        let id = OrderId::new(at.before(Duration::from_secs(age)));
        let difference = id.age(at).abs_diff(Duration::from_secs(age));
        assert!(difference < Duration::from_millis(1), "{id}: {difference:?}");
        is_same(&id);
    }

    #[test]
    fn ids_sort_by_time(one in timestamp(), other in timestamp()) {
        let is_after_1970 = |at: Timestamp| at.epoch_seconds() >= 0;
        prop_assume!(is_after_1970(one) && is_after_1970(other) && one.epoch_seconds() != other.epoch_seconds());
        let [first, second] = [one, other].map(|at| OrderId::new(at).to_string());
        assert_eq!(first < second, one < other);
    }

    #[test]
    fn an_order_is_read_from_the_table_as_it_was_stored(order in order()) {
        let form = OrderForm::stored(&order);
        let item: serde_dynamo::Item = serde_dynamo::to_item(&form).unwrap();
        assert_eq!(serde_dynamo::from_item::<_, Order>(item).unwrap(), order);
        let json = serde_json::to_string(&form).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
    }

    #[test]
    fn a_submission_and_its_saved_answer_are_read_as_they_were_written(order in new_order(), trace: Option<String>) {
        is_same(&order);
        let submission = Submission { order, trace };
        let message = serde_json::to_string(&submission).unwrap();
        assert_eq!(Submission::parse(&message).unwrap(), submission);

        for response in [response::created(&submission.order), response::submitted(&submission.order)] {
            let response = response.unwrap();
            let saved = SavedSubmission {
                message: message.clone(), answer: SavedAnswer::new(&submission.order, &response),
            };
            is_same(&saved);
            let replayed: Response<_> = saved.answer.try_into().unwrap();
            assert_eq!(
                (replayed.status(), replayed.headers(), replayed.body().as_ref()),
                (response.status(), response.headers(), response.body().as_ref())
            );
        }
    }

    #[test]
    fn a_record_is_of_its_request(key in vec(b'!'..=b'~', 1..=255), body: Vec<u8>, answer: String, now in timestamp()) {
        let key = IdempotencyKey::try_from(&key[..]).unwrap();
        let operation = |caller| Operation::request(caller, &key, "POST /orders", &body, Processing::Workflow);
        let record = operation("Ann").record(answer, now);
        is_same(&record);
        let read: IdempotencyRecord<String> = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        assert!(read.is_of(&operation("Ann")) && !read.is_of(&operation("Bob")));
    }

    #[test]
    fn a_cursor_is_for_its_list_only(order in new_order(), other in user_id()) {
        let own = order.user_id().clone();
        prop_assume!(own != other);
        let lists = [List::All, List::Of(own)];
        for list in &lists {
            let cursor = Cursor::after(list.clone(), &order);
            let text = cursor.encode();
            assert_eq!(Cursor::decode(&text, list).as_ref(), Ok(&cursor));
            for wrong in lists.iter().filter(|wrong| *wrong != list).chain([&List::Of(other.clone())]) {
                assert!(Cursor::decode(&text, wrong).is_err(), "{wrong:?}");
            }
        }
    }
}
