//! The state machine, as `statemachine/order.asl.json` has it.

use std::collections::HashMap;

use serde::Deserialize;
use shared::order::Step;

use crate::steps::{Failure, Part};

/// Definition of the state machine, as far as the model uses it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    start_at: String,
    states: HashMap<String, StateDefinition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateDefinition {
    #[serde(rename = "Type")]
    kind: String,
    next: Option<String>,
    default: Option<String>,
    arguments: Option<Arguments>,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    retry: Vec<Retrier>,
    #[serde(default, rename = "Catch")]
    catchers: Vec<Catcher>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Arguments {
    function_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Choice {
    condition: String,
    next: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retrier {
    error_equals: Vec<String>,
    max_attempts: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Catcher {
    error_equals: Vec<String>,
    next: String,
}

/// A state of the state machine: its place among the names.
pub type Place = u8;

/// The state machine.
pub struct Machine {
    start: Place,
    states: Vec<Node>,
}

enum Node {
    Task { first: Part, next: Place, retry: Vec<Retrier>, catchers: Vec<(Vec<String>, Place)> },
    Wait { next: Place },
    Choice { choices: Vec<(Step, Place)>, default: Place },
    Succeed,
    Fail,
}

/// State of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Execution {
    NotStarted,
    /// In a task, before that part of its step.
    Task(Place, Part),
    Wait(Place),
    /// Failed, timed out or stopped.
    Failed,
    Succeeded,
}

impl Machine {
    pub fn read() -> Self {
        let definition = std::fs::read_to_string("../statemachine/order.asl.json").unwrap();
        let definition: Definition = serde_json::from_str(&definition).unwrap();
        let mut names: Vec<_> = definition.states.keys().cloned().collect();
        names.sort();
        let place = |name: &String| Place::try_from(names.binary_search(name).unwrap()).unwrap();
        let states = names.iter().map(|name| node(&definition.states[name], place)).collect();
        Self { start: place(&definition.start_at), states }
    }

    pub fn start(&self) -> Execution {
        self.enter(self.start, None)
    }

    /// Enters a state. `next` is what the task before it returned.
    fn enter(&self, place: Place, next: Option<Step>) -> Execution {
        match &self.states[usize::from(place)] {
            Node::Task { first, .. } => Execution::Task(place, *first),
            Node::Wait { .. } => Execution::Wait(place),
            Node::Succeed => Execution::Succeeded,
            Node::Fail => Execution::Failed,
            Node::Choice { choices, default } => {
                let next = next.expect("a choice comes right after a task that succeeded");
                let chosen = choices.iter().find(|(step, _)| *step == next).map_or(*default, |(_, place)| *place);
                self.enter(chosen, Some(next))
            }
        }
    }

    /// The execution after a task that returned `next`.
    pub fn returned(&self, task: Place, step: Step) -> Execution {
        let Node::Task { next, .. } = &self.states[usize::from(task)] else { unreachable!() };
        self.enter(*next, Some(step))
    }

    pub fn waited(&self, place: Place) -> Execution {
        let Node::Wait { next } = &self.states[usize::from(place)] else { unreachable!() };
        self.enter(*next, None)
    }

    /// The executions that may follow a task that failed: it is repeated, or the attempts are exhausted.
    pub fn failed(&self, task: Place, failure: Failure) -> Vec<Execution> {
        let Node::Task { first, retry, catchers, .. } = &self.states[usize::from(task)] else { unreachable!() };
        let covers = |names: &[String]| {
            names.iter().any(|name| match name.as_str() {
                "States.ALL" => true,
                // "Error names", Amazon States Language.
                "States.TaskFailed" => failure != Failure::Timeout,
                name => name == failure.name(),
            })
        };
        let mut after = Vec::new();
        if retry.iter().find(|retrier| covers(&retrier.error_equals)).is_some_and(|retrier| retrier.max_attempts > 0) {
            after.push(Execution::Task(task, *first));
        }
        let caught = catchers.iter().find(|(names, _)| covers(names));
        after.push(caught.map_or(Execution::Failed, |(_, place)| self.enter(*place, None)));
        after
    }
}

fn node(definition: &StateDefinition, place: impl Fn(&String) -> Place) -> Node {
    let next = || place(definition.next.as_ref().unwrap());
    match definition.kind.as_str() {
        "Task" => Node::Task {
            first: first(&definition.arguments.as_ref().unwrap().function_name),
            next: next(),
            retry: definition
                .retry
                .iter()
                .map(|it| Retrier { error_equals: it.error_equals.clone(), max_attempts: it.max_attempts })
                .collect(),
            catchers: definition.catchers.iter().map(|it| (it.error_equals.clone(), place(&it.next))).collect(),
        },
        "Wait" => Node::Wait { next: next() },
        "Choice" => Node::Choice {
            choices: definition.choices.iter().map(|it| (compared(&it.condition), place(&it.next))).collect(),
            default: place(definition.default.as_ref().unwrap()),
        },
        "Succeed" => Node::Succeed,
        "Fail" => Node::Fail,
        kind => panic!("the model knows no state of the type {kind}"),
    }
}

/// The step that a condition compares with `next`.
fn compared(condition: &str) -> Step {
    let step = condition.strip_prefix("{% $next = '").and_then(|rest| rest.strip_suffix("' %}"));
    let step = step.unwrap_or_else(|| panic!("the model does not know the condition {condition}"));
    serde_json::from_value(step.into()).unwrap()
}

/// First part of a function's step.
fn first(function: &str) -> Part {
    match function {
        "${SaveOrderFunction}" => Part::Save,
        "${AcceptOrderFunction}" => Part::Accept,
        "${ProcessPaymentFunction}" => Part::ChargeRead,
        "${SendOrderFunction}" => Part::DeliverRead,
        "${CancelDeliveryFunction}" => Part::CancelDecide,
        "${RefundPaymentFunction}" => Part::RefundDecide,
        "${CompleteOrderFunction}" => Part::Complete,
        function => panic!("the model knows no function {function}"),
    }
}
