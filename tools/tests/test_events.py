"""The sample events: one for each function, and one input for all tasks of the state machine."""

import hashlib
import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def events(root: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (root / "events").glob("*.json")}


def test_every_function_has_a_sample_event(events: dict[str, dict], root: Path) -> None:
    template = (root / "template.yaml").read_text()
    assert events.keys() == set(re.findall(r"CodeUri: target/lambda/([a-z-]+)/bootstrap\.zip", template))


def test_all_tasks_have_the_input_of_the_execution(events: dict[str, dict], root: Path) -> None:
    machine = (root / "statemachine/order.asl.json").read_text()
    tasks = re.findall(r"\$\{(\w+)Function\}", machine)
    submission = json.loads(events["start-order"]["Records"][0]["body"])
    assert submission.keys() == {"order", "trace"}
    assert submission["order"]["total"] == {"amount": 3000, "currency": "EUR"}
    for task in tasks:
        name = re.sub(r"(?<!^)([A-Z])", r"-\1", task).lower()
        assert events[name] == submission, name
    status_change = json.loads(events["recover-order"]["Records"][0]["body"])
    assert json.loads(status_change["detail"]["input"]) == submission


def test_messages_have_the_hash_of_their_body(events: dict[str, dict]) -> None:
    for name in ("start-order", "recover-order"):
        (record,) = events[name]["Records"]
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest(), name  # noqa: S324
