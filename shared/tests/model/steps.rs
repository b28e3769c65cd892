//! The steps of `shared/src/steps.rs`, in their atomic parts: a read, a request to a provider, a conditional write. The
//! world may do anything between two parts.

use std::sync::LazyLock;

use lambda_runtime::Diagnostic;
use reqwest::StatusCode;
use shared::lambda::TaskError;
use shared::order::{OrderStatus, Step, Timestamp};
use shared::providers::{Cancellation, ProviderError};
use shared::recovery::{self, Way};
use shared::{steps, store};

use crate::Cure;
use crate::item::{Item, NOW, Transition};

/// A part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Save,
    Accept,
    ChargeRead,
    ChargeAsk(Held),
    ChargeRecord {
        paid: bool,
    },
    DeliverRead,
    DeliverAsk,
    DeliverRecord(Said),
    CancelDecide,
    CancelAsk(Held),
    CancelRecord {
        granted: bool,
    },
    RefundDecide,
    RefundAsk(Held),
    RefundRecord,
    RefundNotFound(Held),
    Complete,
    Publish(Held),
    Published(Held),
    /// Of the recovery only.
    Read,
    Fail,
    RefundFailed,
    FailWithoutCancelling,
}

/// The order that a step holds between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held(pub Item);

impl Part {
    /// The part after some time: the order that it holds is older, too.
    pub fn aged(self) -> Self {
        let aged = |Held(item): Held| Held(item.after(Transition::Aged).unwrap_or(item));
        match self {
            Self::ChargeAsk(held) => Self::ChargeAsk(aged(held)),
            Self::CancelAsk(held) => Self::CancelAsk(aged(held)),
            Self::RefundAsk(held) => Self::RefundAsk(aged(held)),
            Self::RefundNotFound(held) => Self::RefundNotFound(aged(held)),
            Self::Publish(held) => Self::Publish(aged(held)),
            Self::Published(held) => Self::Published(aged(held)),
            part => part,
        }
    }
}

/// A restaurant's answer to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Said {
    Confirmed,
    Refused,
    NotYet,
}

/// A step's failure, as the state machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    Retryable,
    NonRetryable,
    StoreUnavailable,
    Timeout,
}

impl Failure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Retryable => "Retryable",
            Self::NonRetryable => "NonRetryable",
            Self::StoreUnavailable => "StoreUnavailable",
            Self::Timeout => "States.Timeout",
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let name = Diagnostic::from(TaskError::from(error)).error_type;
        let all = [Self::Retryable, Self::NonRetryable, Self::StoreUnavailable];
        *all.iter().find(|failure| failure.name() == name).unwrap()
    }
}

/// An order's account at the payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payment {
    Unseen,
    Declined,
    /// That amount is charged.
    Charged(u16),
    /// Nothing is charged, and nothing will be.
    Closed,
}

/// An order at the restaurant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restaurant {
    Unseen,
    /// It answered 202.
    Thinking,
    Confirmed,
    /// It answered that it is too late for a cancellation.
    TooLate,
    Refused,
    Cancelled,
}

/// A provider's answers to a refund or a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    Kept,
    /// It answers 404 if it never saw the order, and forgets the request.
    NotFoundIfUnseen,
    /// It always answers 404.
    NotFound,
}

impl Contract {
    fn is_not_found(self, is_unseen: bool) -> bool {
        match self {
            Self::Kept => false,
            Self::NotFoundIfUnseen => is_unseen,
            Self::NotFound => true,
        }
    }
}

/// Age of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Age {
    Young,
    /// 61 days: too old to be saved.
    Old,
    /// 160 days: the records have expired.
    Expired,
}

static PRESENT: LazyLock<[Timestamp; 3]> = LazyLock::new(|| {
    ["2023-01-03", "2023-03-05", "2023-06-12"]
        .map(|day| serde_json::from_value(format!("{day}T00:00:00.000000000Z").into()).unwrap())
});

impl Age {
    pub fn is_too_old(self) -> bool {
        store::is_too_old(Item::submitted().order.id(), PRESENT[self as usize])
    }
}

/// Everything that the parts read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct World {
    /// The order in the table.
    pub table: Option<Item>,
    /// The record that keeps the order from being saved again.
    pub record: bool,
    pub age: Age,
    pub payment: Payment,
    pub payment_contract: Contract,
    pub restaurant: Restaurant,
    pub restaurant_contract: Contract,
    pub is_success_published: bool,
    pub is_failure_published: bool,
    /// The first end of the order.
    pub end: Option<OrderStatus>,
    /// A client was told that the order is gone.
    pub is_gone: bool,
    /// A step got the answer that the order is paid.
    pub is_payment_learned: bool,
    /// A refund was not of the amount that was charged.
    pub is_amount_wrong: bool,
}

impl World {
    /// Reads the table, makes the transition and saves the result; returns the order after it.
    fn record(&mut self, transition: Transition) -> Option<Item> {
        if let Some(after) = self.table?.after(transition) {
            self.table = Some(after);
            if after.status != OrderStatus::Pending {
                self.end = self.end.or(Some(after.status));
            }
        }
        self.table
    }

    fn next(&self) -> Step {
        steps::next(self.table.as_ref().map(|item| &item.order))
    }

    pub fn is_delivered(&self) -> bool {
        matches!(self.restaurant, Restaurant::Confirmed | Restaurant::TooLate)
    }

    pub fn is_charged(&self) -> bool {
        matches!(self.payment, Payment::Charged(_))
    }

    /// An operator looks at the provider's account, refunds the payment by hand if it was made, and records that.
    pub fn settle(&mut self) {
        self.payment = Payment::Closed;
        self.record(Transition::SettledByHand);
    }
}

/// How a step goes on after a part.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    Go(Part),
    Next(Step),
    Fail(Failure),
}

/// A way in which a part may go.
#[derive(Debug)]
pub struct Outcome {
    pub what: &'static str,
    pub world: World,
    pub then: Then,
    /// The provider did not answer as it should.
    pub is_fault: bool,
}

/// Runs a part: each way in which it may go, if `world` was as it is.
#[expect(clippy::too_many_lines, reason = "the parts stand in the order of `shared/src/steps.rs`")]
pub fn run(part: Part, mut world: World, without: Option<Cure>) -> Vec<Outcome> {
    use Then::{Fail, Go, Next};
    let one = |what, world, then| vec![Outcome { what, world, then, is_fault: false }];
    match part {
        Part::Save => {
            // `Orders::save`
            if world.age.is_too_old() {
                return one("is too old to be saved", world, Fail(Failure::NonRetryable));
            }
            if !world.record {
                // The transaction's other condition: `create_once` never overwrites an order.
                assert!(world.table.is_none(), "an order without a record");
                (world.record, world.table) = (true, Some(Item::submitted()));
            }
            one("saves", world, Next(Step::Accept))
        }

        // `accept`
        Part::Accept => {
            world.record(Transition::Accepted);
            one("accepts", world, Next(world.next()))
        }

        // `charge`
        Part::ChargeRead => match steps::due(order(world.table), Step::Charge) {
            Ok(_) => one("reads", world, Go(Part::ChargeAsk(Held(world.table.unwrap())))),
            Err(next) => one("reads", world, Next(next)),
        },
        Part::ChargeAsk(Held(asked)) => {
            let answers: &[Payment] = match world.payment {
                Payment::Unseen => &[Payment::Charged(asked.amount), Payment::Declined],
                Payment::Charged(amount) => &[Payment::Charged(amount)],
                Payment::Declined => &[Payment::Declined],
                Payment::Closed => &[Payment::Closed],
            };
            ask(
                world,
                answers,
                |world, payment| {
                    world.payment = payment;
                    Go(Part::ChargeRecord { paid: world.is_charged() })
                },
                |error| Fail(error.into()),
            )
        }
        Part::ChargeRecord { paid } => {
            let transition = match paid {
                true if without == Some(Cure::LatePayment) => Transition::PaidInTime,
                true => Transition::Paid,
                false => Transition::Declined,
            };
            world.record(transition);
            world.is_payment_learned |= paid;
            let then = if world.next() == Step::Refund { Go(Part::RefundDecide) } else { Next(world.next()) };
            one(if paid { "records the payment" } else { "records that it is declined" }, world, then)
        }

        // `deliver`
        Part::DeliverRead => match steps::due(order(world.table), Step::Deliver) {
            Ok(_) => one("reads", world, Go(Part::DeliverAsk)),
            Err(next) => one("reads", world, Next(next)),
        },
        Part::DeliverAsk => {
            let answers: &[Restaurant] = match world.restaurant {
                Restaurant::Unseen | Restaurant::Thinking => {
                    &[Restaurant::Confirmed, Restaurant::Refused, Restaurant::Thinking]
                }
                Restaurant::Confirmed => &[Restaurant::Confirmed],
                Restaurant::TooLate => &[Restaurant::TooLate],
                Restaurant::Refused => &[Restaurant::Refused],
                Restaurant::Cancelled => &[Restaurant::Cancelled],
            };
            ask(
                world,
                answers,
                |world, restaurant| {
                    world.restaurant = restaurant;
                    Go(Part::DeliverRecord(match restaurant {
                        Restaurant::Confirmed | Restaurant::TooLate => Said::Confirmed,
                        Restaurant::Refused | Restaurant::Cancelled => Said::Refused,
                        Restaurant::Unseen | Restaurant::Thinking => Said::NotYet,
                    }))
                },
                |error| Fail(error.into()),
            )
        }
        Part::DeliverRecord(said) => {
            world.record(match said {
                Said::Confirmed if without == Some(Cure::LateConfirmation) => Transition::ConfirmedLate,
                Said::Confirmed => Transition::Confirmed,
                Said::Refused => Transition::Refused,
                Said::NotYet => Transition::NotYet,
            });
            one("records the restaurant's answer", world, Next(world.next()))
        }

        // `cancel`
        Part::CancelDecide => match world.record(Transition::Cancelling) {
            Some(order) if order.next == Step::Cancel => {
                one("decides to cancel", world, Go(Part::CancelAsk(Held(order))))
            }
            order => one("does not cancel", world, Next(steps::next(order.as_ref().map(|item| &item.order)))),
        },
        Part::CancelAsk(Held(asked)) => {
            let answers: &[Restaurant] = match world.restaurant {
                Restaurant::Unseen | Restaurant::Cancelled => &[Restaurant::Cancelled],
                Restaurant::Thinking | Restaurant::Confirmed => &[Restaurant::Cancelled, Restaurant::TooLate],
                Restaurant::TooLate => &[Restaurant::TooLate],
                Restaurant::Refused => &[Restaurant::Refused],
            };
            let judge = |answer| {
                let answer = match (answer, without) {
                    (Err(_), Some(Cure::SilenceIsNoAnswer)) if asked.order.is_cancellation_overdue(*NOW) => {
                        Ok(Cancellation::Granted)
                    }
                    (answer, _) => steps::cancellation(&asked.order, answer, *NOW),
                };
                match answer {
                    Ok(answer) => Go(Part::CancelRecord { granted: answer == Cancellation::Granted }),
                    Err(error) => Fail(error.into()),
                }
            };
            if world.restaurant_contract.is_not_found(world.restaurant == Restaurant::Unseen) {
                return one("is answered 404", world, judge(Err(ProviderError::NotFound)));
            }
            ask(
                world,
                answers,
                |world, restaurant| {
                    world.restaurant = restaurant;
                    judge(Ok(if world.is_delivered() { Cancellation::TooLate } else { Cancellation::Granted }))
                },
                |error| judge(Err(error)),
            )
        }
        Part::CancelRecord { granted } => {
            world.record(if granted { Transition::Granted } else { Transition::TooLate });
            one("records the answer to the cancellation", world, Next(world.next()))
        }

        // `refund`
        Part::RefundDecide => {
            if without != Some(Cure::DecisionBeforeRefund) {
                world.record(Transition::PaymentUnknown);
            }
            match world.table {
                Some(order) if order.next == Step::Refund || order.next == Step::Charge => {
                    one("decides to refund", world, Go(Part::RefundAsk(Held(order))))
                }
                _ => one("does not refund", world, Next(world.next())),
            }
        }
        Part::RefundAsk(Held(asked)) => {
            if world.payment_contract.is_not_found(world.payment == Payment::Unseen) {
                return one("is answered 404", world, Go(Part::RefundNotFound(Held(asked))));
            }
            world.is_amount_wrong |= matches!(world.payment, Payment::Charged(amount) if amount != asked.amount);
            ask(
                world,
                &[Payment::Closed],
                |world, payment| {
                    world.payment = payment;
                    Go(Part::RefundRecord)
                },
                |error| Fail(error.into()),
            )
        }
        Part::RefundRecord => {
            world.record(Transition::Refunded);
            one("records the refund", world, Next(world.next()))
        }
        Part::RefundNotFound(Held(asked)) => {
            world.record(Transition::RefundNotFound(asked));
            let next = world.next();
            let then = if next == Step::Refund { Fail(ProviderError::NotFound.into()) } else { Next(next) };
            one("records the 404", world, then)
        }

        // `complete`
        Part::Complete => match world.record(Transition::Completed) {
            Some(order) if order.next == Step::Publish => one("completes", world, Go(Part::Publish(Held(order)))),
            _ => one("finds it completed", world, Next(world.next())),
        },
        Part::Publish(Held(order)) => {
            world.is_success_published |= order.status == OrderStatus::Success;
            world.is_failure_published |= order.status == OrderStatus::Failure;
            one("publishes", world, Go(Part::Published(Held(order))))
        }
        Part::Published(Held(order)) => {
            world.record(Transition::Published(order));
            one("records the publication", world, Next(world.next()))
        }

        // `Recovery`
        Part::Read => one("reads", world, Next(world.next())),
        Part::Fail => {
            world.record(Transition::NotAccepted);
            one("ends the order", world, Next(world.next()))
        }
        Part::RefundFailed => {
            let next = recovery::after_failed_refund(world.table.as_ref().map(|item| &item.order));
            one("reads after a failed refund", world, next.map_or(Fail(Failure::Retryable), Next))
        }
        // Without its cure, the recovery does not ask the restaurant.
        Part::FailWithoutCancelling => {
            world.record(Transition::Refused);
            one("fails the order", world, Next(world.next()))
        }
    }
}

/// Asks a provider, which answers in one of these ways. As a fault, it does not answer (whether it did what was asked or
/// not), or takes the request for a mistake.
fn ask<A: Copy>(
    world: World,
    answers: &[A],
    effect: impl Fn(&mut World, A) -> Then,
    unanswered: impl Fn(ProviderError) -> Then,
) -> Vec<Outcome> {
    let lost = || unanswered(ProviderError::Retryable("no answer".into()));
    let mut outcomes = Vec::new();
    for answer in answers {
        let mut after = world;
        let then = effect(&mut after, *answer);
        outcomes.push(Outcome { what: "is answered", world: after, then, is_fault: false });
        if after != world {
            outcomes.push(Outcome { what: "gets no answer", world: after, then: lost(), is_fault: true });
        }
    }
    outcomes.push(Outcome { what: "does not reach the provider", world, then: lost(), is_fault: true });
    let mistake = unanswered(ProviderError::Mistake(StatusCode::FORBIDDEN));
    outcomes.push(Outcome { what: "is refused as a mistake", world, then: mistake, is_fault: true });
    outcomes
}

/// The recovery's part after a step that is next; none at its end.
pub fn recovered(next: Step, without: Option<Cure>) -> Option<Part> {
    Some(match Way::of(next)? {
        Way::Fail => Part::Fail,
        Way::Refund => Part::RefundDecide,
        Way::Cancel if without == Some(Cure::RecoveryCancels) => Part::FailWithoutCancelling,
        Way::Cancel => Part::CancelDecide,
        Way::Complete => Part::Complete,
    })
}

/// The recovery after a part: its next part, its end, or its failure.
pub fn recovery_after(part: Part, then: Then, without: Option<Cure>) -> Result<Option<Part>, ()> {
    match then {
        Then::Go(part) => Ok(Some(part)),
        // `recover_submission` saves, then reads.
        Then::Next(_) if part == Part::Save => Ok(Some(Part::Read)),
        Then::Next(next) => Ok(recovered(next, without)),
        Then::Fail(Failure::Retryable | Failure::NonRetryable)
            if matches!(part, Part::RefundAsk(_) | Part::RefundNotFound(_)) =>
        {
            Ok(Some(Part::RefundFailed))
        }
        Then::Fail(_) => Err(()),
    }
}

fn order(item: Option<Item>) -> Option<shared::order::Order> {
    item.map(|item| item.order.clone())
}
