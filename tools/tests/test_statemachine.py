"""The state machine: every task has a timeout, retries and a catch; every path ends; cfn-lint accepts it."""

import copy
import json
import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from test_template import lint


@pytest.fixture(scope="session")
def machine(root: Path) -> dict:
    return json.loads((root / "statemachine/order.asl.json").read_text())


HOUR = 60 * 60

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
    # What a step has learned must be recorded, so it waits for the table. No jitter: it would halve the 12 hours, and
    # twice the attempts could take twice the time, which does not fit into the timeout of the execution.
    {
        "ErrorEquals": ["StoreUnavailable"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 151,
        "MaxDelaySeconds": 300,
        "JitterStrategy": "NONE",
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

# Compensations are retried longer: until one is answered, the customer may be charged for nothing.
LONGER = RETRY[3] | {"MaxDelaySeconds": 300, "JitterStrategy": "NONE"}
RETRY_BY_STATE = {
    "CancelDelivery": [*RETRY[:3], LONGER | {"MaxAttempts": 151}],
    "RefundPayment": [*RETRY[:3], LONGER | {"MaxAttempts": 295}],
}

# Arguments and assignments of every task. The first one takes them from the input of the execution.
PAYLOAD = "{% {'order': $order, 'trace': $trace} %}"
ASSIGN = {"next": "{% $states.result.Payload.next %}"}
FIRST_PAYLOAD = "{% $states.input %}"
FIRST_ASSIGN = ASSIGN | {
    "order": "{% $states.input.order %}",
    "trace": "{% $exists($states.input.trace) ? $states.input.trace : null %}",
}

# State of each next step.
NEXT = {
    "CHARGE": "ProcessPayment",
    "DELIVER": "SendOrderToRestaurant",
    "CANCEL": "CancelDelivery",
    "REFUND": "RefundPayment",
    "COMPLETE": "CompleteOrder",
    "PUBLISH": "CompleteOrder",
}
CHOICES = {"Next": NEXT | {"Default": "Done"}, "IsItDelivered": {"DELIVER": "WaitForRestaurant", "Default": "Next"}}

# State that follows each task that succeeds, and state that follows one that fails for good: its compensation, or the
# failure that starts a recovery.
EDGES = {
    "SaveOrder": ("GracePeriod", "NotCompleted"),
    "AcceptOrder": ("Next", "NotCompleted"),
    "ProcessPayment": ("Next", "RefundPayment"),
    "SendOrderToRestaurant": ("IsItDelivered", "CancelDelivery"),
    "CancelDelivery": ("Next", "NotCompleted"),
    "RefundPayment": ("Next", "CompleteOrder"),
    "CompleteOrder": ("Done", "NotCompleted"),
}


def next_states(state: dict) -> list[str]:
    """Returns the states that can follow a state."""
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    targets = [branch["Next"] for branch in branches if "Next" in branch]
    return targets + [state[key] for key in ("Default",) if key in state]


def is_end(state: dict) -> bool:
    return state.get("End") is True or state["Type"] in ("Succeed", "Fail")


def cases(state: dict) -> dict[str, str]:
    """Returns the state that follows each next step that a choice names, and its default."""
    conditions = [(re.fullmatch(r"\{% \$next = '([A-Z]+)' %\}", c["Condition"]), c["Next"]) for c in state["Choices"]]
    named = {condition[1]: to for condition, to in conditions if condition}
    return named | {"Default": state.get("Default")} if len(named) == len(conditions) else {}


def task_problems(name: str, task: dict, *, is_first: bool) -> list[str]:
    """Returns the mistakes in what a task passes on and in where it leads."""
    found = []
    caught = [(catch["ErrorEquals"], catch["Next"]) for catch in task.get("Catch", [])]
    to, compensation = EDGES[name]
    if caught != [(["States.ALL"], compensation)]:
        found.append(f"{name} does not lead to {compensation} after every error")
    if task.get("Next") != to:
        found.append(f"{name} does not lead to {to}")
    if task["Arguments"]["Payload"] != (FIRST_PAYLOAD if is_first else PAYLOAD):
        found.append(f"{name} has another payload")
    # A catch assigns nothing: the steps find in the table what has happened.
    assigned = [task.get("Assign"), *(catch["Assign"] for catch in task.get("Catch", []) if "Assign" in catch)]
    if assigned != [FIRST_ASSIGN if is_first else ASSIGN]:
        found.append(f"{name} assigns something else")
    return found


def problems(machine: dict) -> list[str]:
    """Returns the mistakes in a state machine, one line each."""
    states = machine["States"]
    found = []
    for name, state in states.items():
        if state["Type"] == "Task":
            found += [f"{name} has no {key}" for key in ("TimeoutSeconds", "Retry", "Catch") if not state.get(key)]
            if state.get("Retry") != RETRY_BY_STATE.get(name, RETRY):
                found.append(f"{name} has other retriers")
            found += task_problems(name, state, is_first=name == machine["StartAt"])
        found += [f"{name} leads to {to}, which does not exist" for to in next_states(state) if to not in states]
        if state["Type"] == "Choice" and cases(state) != CHOICES.get(name):
            found.append(f"{name} has other choices")
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
            lambda states: states["AcceptOrder"]["Retry"][3]["ErrorEquals"].remove("States.Timeout"),
            "AcceptOrder has other retriers",
        ),
        (lambda states: states["RefundPayment"].update(Retry=RETRY), "RefundPayment has other retriers"),
        (lambda states: states["CancelDelivery"].update(Retry=RETRY), "CancelDelivery has other retriers"),
        (
            lambda states: states["ProcessPayment"]["Retry"][2].update(JitterStrategy="FULL"),
            "ProcessPayment has other retriers",
        ),
        (lambda states: states["Next"].pop("Default"), "Next has other choices"),
        (lambda states: states["Next"]["Choices"].pop(2), "Next has other choices"),
        (
            lambda states: states["Next"]["Choices"][0].update(Condition="{% $next != 'REFUND' %}"),
            "Next has other choices",
        ),
        (lambda states: states["IsItDelivered"].update(Default="CompleteOrder"), "IsItDelivered has other choices"),
        (
            lambda states: states["SendOrderToRestaurant"]["Catch"][0].update(Next="RefundPayment"),
            "SendOrderToRestaurant does not lead to CancelDelivery after every error",
        ),
        (
            lambda states: states["ProcessPayment"]["Catch"][0].update(ErrorEquals=["States.Timeout"]),
            "ProcessPayment does not lead to RefundPayment after every error",
        ),
        (
            lambda states: states["ProcessPayment"].update(Next="SendOrderToRestaurant"),
            "ProcessPayment does not lead to Next",
        ),
        (
            lambda states: states["CompleteOrder"]["Arguments"].update(Payload="{% {'order': $order} %}"),
            "CompleteOrder has another payload",
        ),
        (
            lambda states: states["AcceptOrder"]["Assign"].update(order="{% $states.result.Payload.order %}"),
            "AcceptOrder assigns something else",
        ),
        (
            lambda states: states["RefundPayment"]["Catch"][0].update(Assign={"next": "COMPLETE"}),
            "RefundPayment assigns something else",
        ),
        (lambda states: states["GracePeriod"].update(Next="SaveOrder"), "AcceptOrder is never reached"),
        (lambda states: states["GracePeriod"].update(Next="Lunch"), "GracePeriod leads to Lunch, which does not exist"),
        (lambda states: states["CompleteOrder"].pop("Next"), "CompleteOrder leads nowhere"),
        (lambda states: states["WaitForRestaurant"].update(Next="WaitForRestaurant"), "WaitForRestaurant never ends"),
    ],
)
def test_a_mistake_is_noticed(machine: dict, break_it: callable, problem: str) -> None:
    broken = copy.deepcopy(machine)
    break_it(broken["States"])
    assert problem in problems(broken)


def test_customers_are_charged_after_acceptance(machine: dict) -> None:
    states = machine["States"]
    before = {name for name, state in states.items() if "ProcessPayment" in next_states(state)}
    assert before == {"Next"}
    # Without AcceptOrder, no state with a decision is reached.
    reached, ahead = {"AcceptOrder"}, [machine["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += next_states(states[name])
    assert reached == {"SaveOrder", "GracePeriod", "AcceptOrder", "NotCompleted"}


# --- Times ---

# Quotas of Step Functions: events in the history of an execution; events of a task that is invoked once.
HISTORY_EVENTS = 25_000
EVENTS_PER_ATTEMPT = 5


def longest_delays(retrier: dict) -> int:
    """Returns the sum of the delays of a retrier in seconds; jitter only shortens them."""
    if retrier["MaxAttempts"] == 0:
        return 0
    delay, rate, longest = retrier["IntervalSeconds"], retrier["BackoffRate"], retrier["MaxDelaySeconds"]
    return sum(min(delay * rate**attempt, longest) for attempt in range(retrier["MaxAttempts"]))


def retrier_of(task: dict, error: str) -> dict:
    """Returns the retrier of an error that a function has reported."""
    return next(r for r in task["Retry"] if {error, "States.TaskFailed"} & set(r["ErrorEquals"]))


def tasks_of(machine: dict) -> dict[str, dict]:
    return {name: state for name, state in machine["States"].items() if state["Type"] == "Task"}


@pytest.fixture(scope="session")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


def longest(template: dict, parameter: str) -> int:
    return template["Parameters"][parameter]["MaxValue"]


@pytest.mark.parametrize(
    ("error", "hours"),
    [
        ("StoreUnavailable", dict.fromkeys(EDGES, 12)),
        ("Retryable", {"CancelDelivery": 12, "RefundPayment": 24}),
        ("NonRetryable", dict.fromkeys(EDGES, 0)),
    ],
)
def test_steps_are_retried_for_hours(machine: dict, error: str, hours: dict[str, int]) -> None:
    for name, least in hours.items():
        retrier = retrier_of(machine["States"][name], error)
        assert least * HOUR <= longest_delays(retrier) <= least * HOUR + 300, name
        # With jitter, the delays would be half as long on average.
        assert retrier.get("JitterStrategy", "NONE") == "NONE", name


def test_the_retries_fit_into_the_timeout_of_the_execution(machine: dict, template: dict) -> None:
    assert longest(template, "GracePeriodSeconds") == 24 * HOUR
    assert len(tasks_of(machine)) == 7  # noqa: PLR2004
    assert machine["TimeoutSeconds"] >= (24 + 7 * 12 + 24) * HOUR


def test_even_the_longest_execution_fits_into_its_timeout_and_its_history(machine: dict, template: dict) -> None:
    # Every retrier of every task is used up, and every attempt but the throttled ones takes as long as it may.
    delivery, poll = 60 * longest(template, "DeliveryMinutes"), 30
    seconds = longest(template, "GracePeriodSeconds") + delivery
    attempts = delivery // poll
    for task in tasks_of(machine).values():
        seconds += sum(longest_delays(retrier) for retrier in task["Retry"])
        throttled = retrier_of(task, "Lambda.TooManyRequestsException")["MaxAttempts"]
        retries = sum(retrier["MaxAttempts"] for retrier in task["Retry"])
        seconds += (1 + retries - throttled) * task["TimeoutSeconds"]
        attempts += 1 + retries
    assert seconds <= machine["TimeoutSeconds"]
    # A poll also enters and leaves a choice and a wait.
    assert attempts * EVENTS_PER_ATTEMPT + delivery // poll * 4 <= HISTORY_EVENTS


def test_the_sequence_diagram_has_the_states_in_their_order(machine: dict, root: Path) -> None:
    text = (root / "docs/architecture.md").read_text()
    diagram = re.search(r"```mermaid\n(sequenceDiagram.*?)```", text, re.DOTALL).group(1)
    shown = list(dict.fromkeys(re.findall(r"M(?:->>\w)?: (\w+):", diagram)))
    # The diagram shows choices as alternatives.
    drawn = [name for name, state in machine["States"].items() if state["Type"] in ("Task", "Wait")]
    assert [state for state in shown if state in machine["States"]] == drawn
    for function in ("submit-order", "start-order", "recover-order", "sweep-orders"):
        assert function in diagram


def inline(definition: dict) -> dict:
    """Returns a template with the definition, with its substitutions filled in."""
    text = re.sub(r"\$\{\w+Seconds\}", "30", json.dumps(definition))
    text = re.sub(r"\$\{\w+Function\}", "arn:aws:lambda:eu-west-1:123456789012:function:f", text)
    machine = {"DefinitionString": text, "RoleArn": "arn:aws:iam::123456789012:role/order"}
    return {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}


def test_cfn_lint_accepts_the_definition(machine: dict, tmp_path: Path) -> None:
    assert lint(inline(machine), tmp_path) == []
    broken = copy.deepcopy(machine)
    broken["States"]["GracePeriod"]["Secondes"] = broken["States"]["GracePeriod"].pop("Seconds")
    assert lint(inline(broken), tmp_path) != []
