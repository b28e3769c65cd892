//! Exhaustive model of the life of one order.
//!
//! A state is what the table, the providers, the topic and AWS hold, and how far each running step is. The world may do
//! anything between two atomic parts of a step: run another step, lose an answer, stop the execution, let time pass. The
//! checker visits every state that can be reached, and holds each against the properties below.
//!
//! Decisions are not modelled: the transitions call the functions of `shared` that decide ([`item`]), and the edges of the
//! state machine are read from its definition ([`machine`]). The steps are mirrored in their atomic parts ([`steps`]).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod item;
mod machine;
mod steps;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use shared::order::{Expected, OrderStatus, Refund, Step};
use stateright::{Checker, HasDiscoveries, Model, Property};

use item::Transition;
use machine::{Execution, Machine};
use steps::{Age, Contract, Failure, Part, Payment, Restaurant, Then, World, recovery_after, run};

/// A cure of a fault, which a test takes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// The decision to fail is recorded before a refund is asked for.
    DecisionBeforeRefund,
    /// A payment that is learned late is recorded.
    LatePayment,
    /// A "yes" to a delivery that is being cancelled does not count.
    LateConfirmation,
    /// The recovery cancels a delivery that is not settled.
    RecoveryCancels,
    /// A deletion that finds no order leaves a record.
    RecordOfDeletion,
    /// A cancellation without an answer is not granted.
    SilenceIsNoAnswer,
    /// The sweep looks for orders that are not settled.
    Sweep,
}

/// What may happen at most, in one run of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Faults {
    /// All of these together.
    total: u8,
    /// Steps and recoveries that are cut off, and may go on beside what follows.
    crashes: u8,
    /// Requests that a provider does not answer, or takes for a mistake.
    silences: u8,
    /// Stops of the execution, or its time-out.
    stops: u8,
    /// Status events that are lost.
    lost_events: u8,
}

impl Faults {
    const NONE: Self = Self { total: 0, crashes: 0, silences: 0, stops: 0, lost_events: 0 };

    /// The faults that are left after that one; none if it may not happen any more.
    fn after(mut self, fault: impl Fn(&mut Self) -> &mut u8) -> Option<Self> {
        self.total = self.total.checked_sub(1)?;
        let left = fault(&mut self);
        *left = left.checked_sub(1)?;
        // Once no fault may happen at all, it does not matter which ones could.
        Some(if self.total == 0 { Self::NONE } else { self })
    }
}

/// A model of an order's life.
struct Life {
    machine: Machine,
    faults: Faults,
    /// Steps that were cut off, and may go on at the same time.
    zombies: usize,
    /// Recoveries, by an event or the sweep, at the same time.
    recoveries: usize,
    deletions: u8,
    changes: u8,
    redrives: u8,
    contracts: &'static [(Contract, Contract)],
    without: Option<Cure>,
    settling: Mutex<HashMap<(World, bool), bool>>,
}

/// Status event of an execution that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    None,
    InFlight,
    Lost,
    Acknowledged,
}

/// Cause of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Trigger {
    Event,
    Sweep,
}

/// `Orders::delete`, in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Deletion {
    Delete,
    SaveRecord,
    DeleteAgain,
}

const ZOMBIES: usize = 2;
const RECOVERIES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    world: World,
    execution: Execution,
    event: Event,
    /// Steps of the execution that were cut off, and may go on at any time.
    zombies: [Option<Part>; ZOMBIES],
    recoveries: [Option<(Trigger, Part)>; RECOVERIES],
    deletion: Option<Deletion>,
    deletions_left: u8,
    changes_left: u8,
    redrives_left: u8,
    faults_left: Faults,
}

/// An event, with the state after it.
#[derive(Clone, PartialEq)]
struct Action {
    who: &'static str,
    what: &'static str,
    after: State,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.who, self.what)
    }
}

/// The arrays are sets.
fn sorted<T: Ord, const N: usize>(mut set: [T; N]) -> [T; N] {
    set.sort_unstable();
    set
}

impl State {
    fn with_zombie(mut self, zombie: Part, most: usize) -> Option<Self> {
        if self.zombies.iter().flatten().count() >= most || self.zombies.contains(&Some(zombie)) {
            return None;
        }
        *self.zombies.iter_mut().find(|it| it.is_none())? = Some(zombie);
        self.zombies = sorted(self.zombies);
        Some(self)
    }

    /// Nothing runs, or will run except the sweep.
    fn is_quiet(&self) -> bool {
        let is_over = match self.execution {
            Execution::NotStarted | Execution::Task(..) | Execution::Wait(_) => false,
            Execution::Failed | Execution::Succeeded => true,
        };
        is_over
            && self.event != Event::InFlight
            && self.zombies.iter().all(Option::is_none)
            && self.recoveries.iter().all(Option::is_none)
            && self.deletion.is_none()
    }
}

/// Whether nothing is left to do, except by an operator.
fn is_settled(world: &World) -> bool {
    match world.table {
        None => world.is_gone,
        Some(order) => {
            let waits = matches!(order.refund, Some(Refund::Failed | Refund::Unknown)) && order.next == Step::Nothing;
            let is_published = match order.status {
                OrderStatus::Pending => false,
                OrderStatus::Success => world.is_success_published,
                OrderStatus::Failure => world.is_failure_published,
            };
            is_published && (waits || !order.is_unsettled)
        }
    }
}

impl Life {
    /// First part of a sweep, if it finds the order.
    fn sweep(&self, world: &World, execution: Execution) -> Option<Part> {
        match world.table {
            _ if self.without == Some(Cure::Sweep) => None,
            Some(order) if order.is_unsettled => Some(Part::Read),
            // An execution that failed; if the order was saved, this changes nothing.
            None if execution == Execution::Failed && !world.record => Some(Part::Save),
            _ => None,
        }
    }

    /// Whether sweeps alone settle the order, if no fault happens.
    fn is_settled_by_sweeps(&self, world: World, execution: Execution) -> bool {
        let key = (world, execution == Execution::Failed);
        if let Some(known) = self.settling.lock().unwrap().get(&key) {
            return *known;
        }
        // A day passes between two sweeps.
        let mut worlds = vec![world];
        for _ in 0..3 {
            let mut swept = Vec::new();
            for mut world in worlds {
                world.table = world.table.and_then(|item| item.after(Transition::Aged));
                if is_settled(&world) {
                    continue;
                }
                match self.sweep(&world, execution) {
                    None => swept.push(world),
                    Some(first) => self.run_alone(first, world, 60, &mut swept),
                }
            }
            worlds = swept;
        }
        let settled = worlds.iter().all(is_settled);
        self.settling.lock().unwrap().insert(key, settled);
        settled
    }

    fn run_alone(&self, part: Part, world: World, steps: u8, ends: &mut Vec<World>) {
        for outcome in run(part, world, self.without) {
            match recovery_after(part, outcome.then, self.without) {
                _ if outcome.is_fault => {}
                Ok(Some(next)) if steps > 0 => self.run_alone(next, outcome.world, steps - 1, ends),
                _ => ends.push(outcome.world),
            }
        }
    }

    fn execution(&self, state: &State, actions: &mut Vec<Action>) {
        let mut act = |what, after| actions.push(Action { who: "execution:", what, after });
        match state.execution {
            Execution::NotStarted => {
                // `start-order`. A second message finds the name in use.
                if !state.world.age.is_too_old() {
                    act("starts", State { execution: self.machine.start(), ..*state });
                }
            }
            Execution::Wait(place) => {
                act("waited", State { execution: self.machine.waited(place), ..*state });
                self.stop(state, None, actions);
            }
            Execution::Task(place, part) => {
                for outcome in run(part, state.world, self.without) {
                    let mut after = State { world: outcome.world, ..*state };
                    if outcome.is_fault {
                        let Some(left) = state.faults_left.after(|left| &mut left.silences) else { continue };
                        after.faults_left = left;
                    }
                    let executions = match outcome.then {
                        Then::Go(part) => vec![Execution::Task(place, part)],
                        Then::Next(next) => vec![self.machine.returned(place, next)],
                        Then::Fail(failure) => self.machine.failed(place, failure),
                    };
                    for execution in executions {
                        act(outcome.what, over(State { execution, ..after }));
                    }
                }
                if let Some(faults_left) = state.faults_left.after(|left| &mut left.crashes) {
                    for failure in [Failure::Timeout, Failure::StoreUnavailable] {
                        for execution in self.machine.failed(place, failure) {
                            let after = over(State { execution, faults_left, ..*state });
                            act("crashes", after);
                            if let Some(after) = after.with_zombie(part, self.zombies) {
                                act("times out, and its step goes on", after);
                            }
                        }
                    }
                }
                self.stop(state, Some(part), actions);
            }
            Execution::Failed if state.redrives_left > 0 => {
                act(
                    "is redriven",
                    State {
                        // From the start: the steps that are done find their work done.
                        execution: self.machine.start(),
                        redrives_left: state.redrives_left - 1,
                        ..*state
                    },
                );
            }
            Execution::Failed | Execution::Succeeded => {}
        }
    }

    fn stop(&self, state: &State, part: Option<Part>, actions: &mut Vec<Action>) {
        let Some(faults_left) = state.faults_left.after(|left| &mut left.stops) else { return };
        let stopped = over(State { execution: Execution::Failed, faults_left, ..*state });
        actions.push(Action { who: "execution:", what: "is stopped", after: stopped });
        if let Some(after) = part.and_then(|part| stopped.with_zombie(part, self.zombies)) {
            actions.push(Action { who: "execution:", what: "is stopped, and its step goes on", after });
        }
    }

    fn zombies(&self, state: &State, actions: &mut Vec<Action>) {
        for (n, zombie) in state.zombies.iter().enumerate() {
            let Some(part) = *zombie else { continue };
            for outcome in run(part, state.world, self.without) {
                let mut after = State { world: outcome.world, ..*state };
                after.zombies[n] = match outcome.then {
                    Then::Go(part) => Some(part),
                    Then::Next(_) | Then::Fail(_) => None,
                };
                if outcome.is_fault {
                    // Its answer is read by nobody: this is the same as if it went on later, or never.
                    continue;
                }
                after.zombies = sorted(after.zombies);
                actions.push(Action { who: "zombie:", what: outcome.what, after });
            }
            let mut after = *state;
            after.zombies[n] = None;
            after.zombies = sorted(after.zombies);
            actions.push(Action { who: "zombie:", what: "dies", after });
        }
    }

    fn recoveries(&self, state: &State, actions: &mut Vec<Action>) {
        let running = state.recoveries.iter().flatten().count();
        let start = |trigger, part| {
            let mut recoveries = state.recoveries;
            let free = recoveries.iter_mut().find(|it| it.is_none())?;
            *free = Some((trigger, part));
            Some(State { recoveries: sorted(recoveries), ..*state })
        };
        if running < self.recoveries {
            if let Some(after) =
                self.sweep(&state.world, state.execution).and_then(|first| start(Trigger::Sweep, first))
            {
                actions.push(Action { who: "sweep:", what: "finds the order", after });
            }
            if state.event == Event::InFlight && !state.world.age.is_too_old() {
                let after = start(Trigger::Event, Part::Save);
                actions.extend(after.map(|after| Action { who: "event:", what: "arrives", after }));
            }
        }
        // `Recovery::recover` leaves an order alone whose execution is running. The order is safe even if it does not: a
        // recovery may run beside everything else.
        let is_running = matches!(state.execution, Execution::Task(..) | Execution::Wait(_));
        if state.event == Event::InFlight && (is_running || state.world.age.is_too_old()) {
            let after = State { event: Event::Acknowledged, ..*state };
            actions.push(Action { who: "event:", what: "is acknowledged", after });
        }
        for (n, recovery) in state.recoveries.iter().enumerate() {
            let Some((trigger, part)) = *recovery else { continue };
            for outcome in run(part, state.world, self.without) {
                let mut after = State { world: outcome.world, ..*state };
                if outcome.is_fault {
                    let Some(left) = state.faults_left.after(|left| &mut left.silences) else { continue };
                    after.faults_left = left;
                }
                let result = recovery_after(part, outcome.then, self.without);
                after.recoveries[n] = result.ok().flatten().map(|part| (trigger, part));
                if result == Ok(None) && trigger == Trigger::Event {
                    after.event = Event::Acknowledged;
                }
                after.recoveries = sorted(after.recoveries);
                actions.push(Action { who: "recovery:", what: outcome.what, after });
            }
            if let Some(faults_left) = state.faults_left.after(|left| &mut left.crashes) {
                let mut after = State { faults_left, ..*state };
                after.recoveries[n] = None;
                after.recoveries = sorted(after.recoveries);
                actions.push(Action { who: "recovery:", what: "crashes", after });
            }
        }
        if state.event == Event::InFlight
            && let Some(faults_left) = state.faults_left.after(|left| &mut left.lost_events)
        {
            actions.push(Action {
                who: "event:",
                what: "is lost",
                after: State { event: Event::Lost, faults_left, ..*state },
            });
        }
    }

    fn client(&self, state: &State, actions: &mut Vec<Action>) {
        if state.changes_left > 0
            && let Some(changed) = state.world.table.and_then(|item| item.after(Transition::Replaced))
        {
            let mut after = State { changes_left: state.changes_left - 1, ..*state };
            after.world.table = Some(changed);
            actions.push(Action { who: "client:", what: "changes the order", after });
        }
        let mut act = |what, deletion, after: State| {
            actions.push(Action { who: "client:", what, after: State { deletion, ..after } });
        };
        match state.deletion {
            None if state.deletions_left > 0 && !state.world.is_gone => {
                let after = State { deletions_left: state.deletions_left - 1, ..*state };
                act("wants to delete the order", Some(Deletion::Delete), after);
            }
            None => {}
            Some(deletion @ (Deletion::Delete | Deletion::DeleteAgain)) => {
                let mut after = *state;
                match state.world.table {
                    Some(order) if order.order.may_be_deleted(&Expected::Any).is_ok() => {
                        after.world.table = None;
                        after.world.is_gone = true;
                        act("deletes the order", None, after);
                    }
                    Some(_) => act("may not delete the order", None, after),
                    None if deletion == Deletion::Delete
                        && !state.world.age.is_too_old()
                        && self.without != Some(Cure::RecordOfDeletion) =>
                    {
                        act("finds no order", Some(Deletion::SaveRecord), after);
                    }
                    None => {
                        after.world.is_gone = true;
                        act("finds no order, for good", None, after);
                    }
                }
            }
            Some(Deletion::SaveRecord) => {
                let mut after = *state;
                if state.world.record {
                    act("finds the record", Some(Deletion::DeleteAgain), after);
                } else {
                    after.world.record = true;
                    after.world.is_gone = true;
                    act("saves the record", None, after);
                }
            }
        }
    }

    fn time(state: &State, actions: &mut Vec<Action>) {
        let aged = State {
            world: World { table: state.world.table.and_then(|item| item.after(Transition::Aged)), ..state.world },
            execution: match state.execution {
                Execution::Task(place, part) => Execution::Task(place, part.aged()),
                execution => execution,
            },
            zombies: sorted(state.zombies.map(|zombie| zombie.map(Part::aged))),
            recoveries: sorted(state.recoveries.map(|it| it.map(|(trigger, part)| (trigger, part.aged())))),
            ..*state
        };
        if aged != *state {
            actions.push(Action { who: "time:", what: "a day passes", after: aged });
        }
        // No function runs for two months, and the sweeps have settled the order by then.
        let is_over = state.is_quiet() && is_settled(&state.world);
        let is_stuck = state.execution == Execution::NotStarted && state.deletion.is_none();
        if is_over || is_stuck {
            let (what, age) = match state.world.age {
                Age::Young => ("61 days pass", Age::Old),
                Age::Old => ("160 days pass", Age::Expired),
                Age::Expired => return,
            };
            let mut after = *state;
            after.world.age = age;
            after.world.record &= age != Age::Expired;
            // Names of executions are remembered for 90 days, and messages may be redriven.
            if age == Age::Expired {
                after.execution = Execution::NotStarted;
            }
            actions.push(Action { who: "time:", what, after });
        }
    }
}

/// The state with the event of an execution that has just failed.
fn over(state: State) -> State {
    let event = if state.execution == Execution::Failed { Event::InFlight } else { state.event };
    State { event, ..state }
}

impl Model for Life {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |&(payment_contract, restaurant_contract): &(Contract, Contract)| State {
            world: World {
                table: None,
                record: false,
                age: Age::Young,
                payment: Payment::Unseen,
                payment_contract,
                restaurant: Restaurant::Unseen,
                restaurant_contract,
                is_success_published: false,
                is_failure_published: false,
                end: None,
                is_gone: false,
                is_payment_learned: false,
                is_amount_wrong: false,
            },
            execution: Execution::NotStarted,
            event: Event::None,
            zombies: [None; ZOMBIES],
            recoveries: [None; RECOVERIES],
            deletion: None,
            deletions_left: self.deletions,
            changes_left: self.changes,
            redrives_left: self.redrives,
            faults_left: self.faults,
        };
        self.contracts.iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.execution(state, actions);
        self.zombies(state, actions);
        self.recoveries(state, actions);
        self.client(state, actions);
        Self::time(state, actions);
        // An operator looks after a refund that waits for them; a sweep publishes that.
        if let Some(order) = state.world.table
            && order.after(Transition::SettledByHand).is_some()
        {
            let mut after = *state;
            after.world.settle();
            actions.push(Action { who: "operator:", what: "settles the refund", after });
        }
    }

    fn next_state(&self, _: &State, action: Action) -> Option<State> {
        Some(action.after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("charged only if SUCCESS, or refunded, or owed and findable", |_, state: &State| {
                let World { table, end, is_gone, .. } = state.world;
                let is_success = match table {
                    Some(order) => order.status == OrderStatus::Success,
                    None => is_gone && end == Some(OrderStatus::Success),
                };
                !state.world.is_charged() || is_success || table.is_some_and(|order| order.is_unsettled)
            }),
            Property::always("a refund that is made is made", |_, State { world, .. }: &State| {
                !world.is_charged() || world.table.is_none_or(|order| order.refund != Some(Refund::Made))
            }),
            Property::always("a refund is what was charged", |_, state: &State| !state.world.is_amount_wrong),
            Property::always("a SUCCESS is paid and delivered", |_, State { world, .. }: &State| {
                world.table.is_none_or(|order| order.status != OrderStatus::Success)
                    || (world.is_charged() && world.is_delivered())
            }),
            Property::always("a FAILURE is not delivered", |_, State { world, .. }: &State| {
                world.table.is_none_or(|order| order.status != OrderStatus::Failure)
                    || !world.is_delivered()
                    // It may deliver what it has said that it does not know.
                    || world.restaurant_contract != Contract::Kept
            }),
            Property::always("an order ends once", |_, State { world, .. }: &State| {
                world.table.is_none_or(|order| world.end.is_none_or(|end| order.status == end))
                    && !(world.is_success_published && world.is_failure_published)
            }),
            Property::always("nothing that was deleted comes back", |_, State { world, .. }: &State| {
                !(world.is_gone && world.table.is_some())
            }),
            Property::always("a payment that was learned is recorded", |_, State { world, .. }: &State| {
                !world.is_payment_learned || world.table.is_none_or(|order| order.is_paid)
            }),
            Property::always("an order that is final was published before it left the index", |_, state: &State| {
                let World { table, is_success_published, is_failure_published, .. } = state.world;
                table.is_none_or(|order| {
                    order.status == OrderStatus::Pending
                        || order.is_unsettled
                        || is_success_published
                        || is_failure_published
                })
            }),
            Property::always("what is quiet is settled, or the sweep settles it", |model: &Life, state: &State| {
                !state.is_quiet()
                    || is_settled(&state.world)
                    || model.is_settled_by_sweeps(state.world, state.execution)
            }),
            Property::sometimes("SUCCESS", |_, state: &State| {
                state.is_quiet() && state.world.end == Some(OrderStatus::Success)
            }),
            Property::sometimes("FAILURE", |_, state: &State| {
                state.is_quiet() && state.world.end == Some(OrderStatus::Failure)
            }),
        ]
    }
}

const KEPT: &[(Contract, Contract)] = &[(Contract::Kept, Contract::Kept)];

const BROKEN: &[(Contract, Contract)] = &[
    (Contract::NotFoundIfUnseen, Contract::Kept),
    (Contract::NotFound, Contract::Kept),
    (Contract::Kept, Contract::NotFoundIfUnseen),
    (Contract::Kept, Contract::NotFound),
];

/// Model with that many faults in all; each of them happens twice at most, the loss of the one event once.
fn life(total: u8) -> Life {
    Life {
        machine: Machine::read(),
        faults: Faults { total, crashes: 2, silences: 2, stops: 2, lost_events: 2 },
        zombies: 1,
        recoveries: 1,
        deletions: 0,
        changes: 0,
        redrives: 0,
        contracts: KEPT,
        without: None,
        settling: Mutex::default(),
    }
}

fn holds(name: &str, life: Life) {
    let start = Instant::now();
    let checker = life.checker().threads(2).spawn_bfs().join();
    let (states, edges) = (checker.unique_state_count(), checker.state_count());
    // Not `println`, which is printed only if the test fails.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{name}: {states} states, {edges} transitions, {:.0?}", start.elapsed()).unwrap();
    checker.assert_properties();
}

#[test]
fn an_order_comes_to_its_end_even_if_each_fault_happens_twice() {
    holds("each fault twice", life(8));
}

#[test]
fn steps_and_recoveries_that_run_beside_each_other_do_no_harm() {
    holds("two zombies", Life { zombies: 2, ..life(2) });
    holds("two recoveries", Life { recoveries: 2, ..life(2) });
}

#[test]
fn a_client_may_change_and_delete_the_order_at_any_time() {
    holds("a client", Life { deletions: 2, changes: 1, ..life(1) });
}

#[test]
fn an_execution_may_be_redriven() {
    holds("a redrive", Life { redrives: 1, ..life(1) });
}

#[test]
fn a_provider_may_break_the_contract_by_404() {
    holds("a broken contract", Life { contracts: BROKEN, ..life(2) });
}

/// Without a cure, the model finds a state in which that property does not hold.
fn fails(without: Cure, property: &'static str, life: Life) {
    let life = Life { without: Some(without), ..life };
    let checker = life.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let Some(path) = found.get(property) else { panic!("without {without:?}: {:?}", found.keys()) };
    println!("without {without:?}: {property}: {} states", checker.unique_state_count());
    for action in path.clone().into_actions() {
        println!("- {action:?}");
    }
}

#[test]
fn without_the_decision_before_the_refund_an_order_is_refunded_and_delivered() {
    fails(Cure::DecisionBeforeRefund, "a SUCCESS is paid and delivered", life(1));
}

#[test]
fn without_late_payments_one_that_was_learned_is_forgotten() {
    let life = Life { contracts: BROKEN, ..life(1) };
    fails(Cure::LatePayment, "a payment that was learned is recorded", life);
}

#[test]
fn without_the_rule_for_late_confirmations_a_success_is_not_delivered() {
    fails(Cure::LateConfirmation, "a SUCCESS is paid and delivered", life(1));
}

#[test]
fn without_the_cancellation_by_the_recovery_a_failure_is_delivered() {
    fails(Cure::RecoveryCancels, "a FAILURE is not delivered", life(1));
}

#[test]
fn without_the_record_of_a_deletion_a_deleted_order_comes_back() {
    let life = Life { deletions: 1, ..life(0) };
    fails(Cure::RecordOfDeletion, "nothing that was deleted comes back", life);
}

#[test]
fn if_silence_counts_as_a_granted_cancellation_a_failure_is_delivered() {
    fails(Cure::SilenceIsNoAnswer, "a FAILURE is not delivered", life(1));
}

#[test]
fn without_the_sweep_a_lost_event_strands_an_order() {
    fails(Cure::Sweep, "what is quiet is settled, or the sweep settles it", life(2));
}
