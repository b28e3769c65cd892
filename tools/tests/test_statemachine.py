"""The state machine: every task is bounded, tried again and caught, every path ends, and AWS would take it."""

import copy
import json
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def machine(root: Path) -> dict:
    return json.loads((root / "statemachine/order.asl.json").read_text())


# A call that is throttled has done nothing: an order waits for room, some minutes, rather than fail for want of it.
THROTTLED = {
    "ErrorEquals": ["Lambda.TooManyRequestsException"],
    "IntervalSeconds": 1,
    "BackoffRate": 2,
    "MaxAttempts": 30,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}

# What else every task is tried again for, and how: apart from how often, and up to which wait.
RETRY = {
    "ErrorEquals": [
        "Retryable",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Sandbox.Timedout",
        "States.Timeout",
    ],
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}


def next_states(state: dict) -> list[str]:
    """Where a state can lead."""
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    targets = [branch["Next"] for branch in branches if "Next" in branch]
    return targets + [state[key] for key in ("Default",) if key in state]


def is_end(state: dict) -> bool:
    return state.get("End") is True or state["Type"] in ("Succeed", "Fail")


def problems(machine: dict) -> list[str]:
    """What is wrong with a state machine."""
    states = machine["States"]
    found = []
    for name, state in states.items():
        if state["Type"] == "Task":
            found += [f"{name} has no {key}" for key in ("TimeoutSeconds", "Retry", "Catch") if not state.get(key)]
            match state.get("Retry", []):
                case [throttled, other] if throttled == THROTTLED and RETRY.items() <= other.items():
                    pass
                case [_, *_]:
                    found.append(f"{name} tries again otherwise")
            caught = [error for catch in state.get("Catch", []) for error in catch["ErrorEquals"]]
            found += [] if "States.ALL" in caught else [f"{name} does not catch everything"]
        found += [f"{name} leads to {to}, which is not there" for to in next_states(state) if to not in states]
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

    # Backwards from the ends: whatever is not met can go round for ever.
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
        (
            lambda states: states["SaveOrder"]["Retry"][1]["ErrorEquals"].remove("Retryable"),
            "SaveOrder tries again otherwise",
        ),
        (lambda states: states["CompleteOrder"]["Retry"].pop(0), "CompleteOrder tries again otherwise"),
        (lambda states: states["IsItPaid"].pop("Default"), "IsItPaid has no Default"),
        (lambda states: states["GracePeriod"].update(Next="SaveOrder"), "AcceptOrder is never reached"),
        (lambda states: states["GracePeriod"].update(Next="Lunch"), "GracePeriod leads to Lunch, which is not there"),
        (lambda states: states["CompleteOrder"].pop("End"), "CompleteOrder leads nowhere"),
    ],
)
def test_a_mistake_is_noticed(machine: dict, break_it: callable, problem: str) -> None:
    broken = copy.deepcopy(machine)
    break_it(broken["States"])
    assert problem in problems(broken)


def test_nobody_is_charged_before_acceptance_or_without_a_way_to_a_refund(machine: dict) -> None:
    states = machine["States"]
    before = {name for name, state in states.items() if "ProcessPayment" in next_states(state)}
    assert before == {"IsItStillThere"}
    # Once the payment is on its way, what fails goes by the refund.
    for name in ("ProcessPayment", "SendOrderToRestaurant"):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["RefundPayment"]
    assert states["IsItDelivered"]["Default"] == "RefundPayment"


def test_the_picture_in_the_readme_has_its_states_in_its_order(machine: dict, root: Path) -> None:
    picture = re.search(r"```mermaid\n(sequenceDiagram.*?)```", (root / "README.md").read_text(), re.DOTALL).group(1)
    shown = list(dict.fromkeys(re.findall(r"M(?:->>\w)?: (\w+):", picture)))
    # What decides, and what only says how it goes on, is drawn as alternatives.
    drawn = [n for n, s in machine["States"].items() if s["Type"] in ("Task", "Wait") or n == "Deleted"]
    assert [state for state in shown if state in machine["States"]] == drawn
    for function in ("submit-order", "start-order", "recover-order"):
        assert function in picture


def lint(definition: dict, folder: Path) -> str:
    """What cfn-lint says of that definition in a template, with something in the place of its substitutions."""
    text = json.dumps(definition).replace("${GracePeriodSeconds}", "30")
    text = re.sub(r"\$\{\w+Function\}", "arn:aws:lambda:eu-west-1:123456789012:function:f", text)
    machine = {"DefinitionString": text, "RoleArn": "arn:aws:iam::123456789012:role/order"}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return subprocess.run(["cfn-lint", "--", str(path)], check=False, capture_output=True, text=True).stdout


def test_it_is_in_the_language_of_step_functions(machine: dict, tmp_path: Path) -> None:
    assert lint(machine, tmp_path) == ""
    broken = copy.deepcopy(machine)
    broken["States"]["GracePeriod"]["Secondes"] = broken["States"]["GracePeriod"].pop("Seconds")
    assert lint(broken, tmp_path) != ""
