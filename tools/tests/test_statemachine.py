"""The state machine: every task has a timeout, retries and a catch; every path ends; cfn-lint accepts it."""

import copy
import json
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def machine(root: Path) -> dict:
    return json.loads((root / "statemachine/order.asl.json").read_text())


# Retriers of every task, in this order: the first that matches an error decides.
RETRY = [
    # States.TaskFailed would match it.
    {"ErrorEquals": ["NonRetryable"], "MaxAttempts": 0},
    # A throttled call did nothing. Counted apart, so that orders wait some minutes for capacity instead of failing.
    {
        "ErrorEquals": ["Lambda.TooManyRequestsException"],
        "IntervalSeconds": 1,
        "BackoffRate": 2,
        "MaxAttempts": 30,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
    # States.TaskFailed does not match timeouts.
    {
        "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
]

# A refund is retried longer: if it fails, a person must refund by hand.
RETRY_BY_STATE = {"RefundPayment": [*RETRY[:2], RETRY[2] | {"MaxAttempts": 12, "MaxDelaySeconds": 300}]}


def next_states(state: dict) -> list[str]:
    """Returns the states that can follow a state."""
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    targets = [branch["Next"] for branch in branches if "Next" in branch]
    return targets + [state[key] for key in ("Default",) if key in state]


def is_end(state: dict) -> bool:
    return state.get("End") is True or state["Type"] in ("Succeed", "Fail")


def problems(machine: dict) -> list[str]:
    """Returns the mistakes in a state machine, one line each."""
    states = machine["States"]
    found = []
    for name, state in states.items():
        if state["Type"] == "Task":
            found += [f"{name} has no {key}" for key in ("TimeoutSeconds", "Retry", "Catch") if not state.get(key)]
            if state.get("Retry") != RETRY_BY_STATE.get(name, RETRY):
                found.append(f"{name} has other retriers")
            caught = [error for catch in state.get("Catch", []) for error in catch["ErrorEquals"]]
            found += [] if "States.ALL" in caught else [f"{name} does not catch everything"]
        found += [f"{name} leads to {to}, which does not exist" for to in next_states(state) if to not in states]
        if state["Type"] == "Choice" and "Default" not in state:
            found.append(f"{name} has no Default")
        if state["Type"] != "Choice" and "Next" not in state and not is_end(state):
            found.append(f"{name} leads nowhere")

    reached, ahead = set(), [machine["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += [to for to in next_states(states[name]) if to in states]
    found += [f"{name} is never reached" for name in states.keys() - reached]

    # Backwards from the ends: a state that is not reached this way can loop for ever.
    ending = {name for name, state in states.items() if is_end(state)}
    while more := {n for n, s in states.items() if n not in ending and set(next_states(s)) & ending}:
        ending |= more
    return found + [f"{name} never ends" for name in states.keys() - ending]


def test_every_task_is_bounded_and_every_path_ends(machine: dict) -> None:
    assert problems(machine) == []


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda states: states["ProcessPayment"].pop("TimeoutSeconds"), "ProcessPayment has no TimeoutSeconds"),
        (lambda states: states["RefundPayment"].pop("Catch"), "RefundPayment has no Catch"),
        (lambda states: states["SaveOrder"].pop("Retry"), "SaveOrder has no Retry"),
        (lambda states: states["SaveOrder"]["Retry"].pop(0), "SaveOrder has other retriers"),
        (lambda states: states["SendOrderToRestaurant"]["Retry"].pop(1), "SendOrderToRestaurant has other retriers"),
        (lambda states: states["CompleteOrder"]["Retry"].reverse(), "CompleteOrder has other retriers"),
        (
            lambda states: states["AcceptOrder"]["Retry"][2]["ErrorEquals"].remove("States.Timeout"),
            "AcceptOrder has other retriers",
        ),
        (lambda states: states["RefundPayment"].update(Retry=RETRY), "RefundPayment has other retriers"),
        (lambda states: states["IsItPaid"].pop("Default"), "IsItPaid has no Default"),
        (lambda states: states["GracePeriod"].update(Next="SaveOrder"), "AcceptOrder is never reached"),
        (lambda states: states["GracePeriod"].update(Next="Lunch"), "GracePeriod leads to Lunch, which does not exist"),
        (lambda states: states["CompleteOrder"].pop("End"), "CompleteOrder leads nowhere"),
    ],
)
def test_a_mistake_is_noticed(machine: dict, break_it: callable, problem: str) -> None:
    broken = copy.deepcopy(machine)
    break_it(broken["States"])
    assert problem in problems(broken)


def test_customers_are_charged_after_acceptance_and_refunded_after_failures(machine: dict) -> None:
    states = machine["States"]
    before = {name for name, state in states.items() if "ProcessPayment" in next_states(state)}
    assert before == {"IsItStillThere"}
    # After a payment was requested, every failure leads to the refund.
    for name in ("ProcessPayment", "SendOrderToRestaurant"):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["RefundPayment"]
    assert states["IsItDelivered"]["Default"] == "RefundPayment"


def test_the_sequence_diagram_has_the_states_in_their_order(machine: dict, root: Path) -> None:
    text = (root / "docs/architecture.md").read_text()
    diagram = re.search(r"```mermaid\n(sequenceDiagram.*?)```", text, re.DOTALL).group(1)
    shown = list(dict.fromkeys(re.findall(r"M(?:->>\w)?: (\w+):", diagram)))
    # The diagram shows choices and passes as alternatives.
    drawn = [n for n, s in machine["States"].items() if s["Type"] in ("Task", "Wait") or n == "Deleted"]
    assert [state for state in shown if state in machine["States"]] == drawn
    for function in ("submit-order", "start-order", "recover-order"):
        assert function in diagram


def lint(definition: dict, folder: Path) -> str:
    """Returns the output of cfn-lint for the definition, inline in a template, with its substitutions filled in."""
    text = json.dumps(definition).replace("${GracePeriodSeconds}", "30")
    text = re.sub(r"\$\{\w+Function\}", "arn:aws:lambda:eu-west-1:123456789012:function:f", text)
    machine = {"DefinitionString": text, "RoleArn": "arn:aws:iam::123456789012:role/order"}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return subprocess.run(["cfn-lint", "--", str(path)], check=False, capture_output=True, text=True).stdout


def test_cfn_lint_accepts_the_definition(machine: dict, tmp_path: Path) -> None:
    assert lint(machine, tmp_path) == ""
    broken = copy.deepcopy(machine)
    broken["States"]["GracePeriod"]["Secondes"] = broken["States"]["GracePeriod"].pop("Seconds")
    assert lint(broken, tmp_path) != ""
