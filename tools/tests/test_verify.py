"""The verification of a deployed stack: what it refuses, reads, deletes and reports. An end-to-end test runs it."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from select import select

import pytest
from botocore.exceptions import ClientError

import verify
from verify import Suite, clean_up, delete_orders, hidden, objections, report, result, succeeded

DEV = {
    "Environment": "dev",
    "PaymentUrl": "",
    "RestaurantUrl": "",
    "WebOrigin": "http://localhost:5173",
    "CallbackUrls": "http://localhost:5173/",
}
OUTPUT = """
running 3 tests
test api::a_good_one ... ok
test api::another ... FAILED
test api::one_without_a_message ... FAILED

failures:

---- api::another stdout ----
thread 'api::another' panicked at tests/e2e/api.rs:7:5:
assertion failed: 500
note: run with `RUST_BACKTRACE=1`


failures:
    api::another
    api::one_without_a_message

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 90 filtered out; finished in 3.21s
"""


def stack(**changed: str) -> dict:
    values = DEV | changed
    return {"Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]}


def test_a_stack_with_the_parameters_of_dev_is_verified(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert objections(stack()) == []
    monkeypatch.chdir(root)
    overrides = dict(override.split("=", 1) for override in verify.settings("dev")["parameter_overrides"])
    assert objections(stack(**overrides)) == []
    assert objections(stack(CallbackUrls="http://localhost:7/,http://localhost:5173/")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Environment", "prod"),
        ("PaymentUrl", "https://pay.example.com"),
        ("RestaurantUrl", "https://restaurants.example.com"),
        ("WebOrigin", "https://nobody.invalid"),
        ("CallbackUrls", "http://localhost:51730/"),
    ],
)
def test_a_stack_on_which_the_tests_must_not_run_is_refused(name: str, value: str) -> None:
    (problem,) = objections(stack(**{name: value}))
    assert problem.startswith(f"{name} ")


def test_the_results_and_messages_of_cargo_are_read() -> None:
    suite = result("api::", OUTPUT, 101, 3.5)
    assert (suite.passed, set(suite.failures)) == (1, {"api::another", "api::one_without_a_message"})
    assert "assertion failed: 500" in suite.failures["api::another"]
    assert "running 3 tests" not in suite.failures["api::another"]
    assert not succeeded([Suite("auth", 1, passed=1), suite])


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("error: could not compile `local`", 101),
        ("running 0 tests\n\ntest result: ok. 0 passed; 0 failed", 0),
        ("running 1 test\ntest api::a_good_one ... ok\n", -9),
    ],
)
def test_a_suite_without_results_has_failed(output: str, status: int) -> None:
    suite = result("api::", output, status, 0.1)
    assert output.splitlines()[-1] in suite.failures["api"]
    assert not succeeded([suite])


def test_no_suite_is_no_success() -> None:
    assert not succeeded([])
    assert succeeded([Suite("api", 1, passed=1)])


# Notes what it has made, and runs until it is killed. All its processes hold the pipe.
ENDLESS = """#!/bin/sh
echo '{"kind": "person", "name": "ann@example.com"}' >>"$ORDER_API_LEDGER"
echo "test api::a_good_one ... ok"
exec 3>alive
echo started >&3
sleep 600 &
wait
"""
# Limit of what takes a moment, in seconds.
LONG = 60
# Verifies a stack whose people can't be deleted.
VERIFY = """
import verify
verify.printed_by = lambda *command: '{"user_pool_id": "pool", "api_url": "http://localhost:1"}'
verify.deletions = lambda *_: {"person": lambda name: (_ for _ in ()).throw(verify.BotoCoreError())}
verify.boto3.client = lambda *_, **__: verify
verify.describe_stacks = lambda StackName: {"Stacks": [STACK | {"StackName": StackName}]}
verify.facts = lambda stack, region, started, suites: {"stack": stack["StackName"]}
verify.SUITE_SECONDS = SECONDS
raise SystemExit(verify.main())
"""


@pytest.mark.parametrize(
    ("number", "seconds", "suites"),
    [
        (signal.SIGTERM, 600, ["interrupted"]),
        (signal.SIGINT, 600, ["interrupted"]),
        (None, 1, ["api", "auth", "idempotency", "simulated"]),
    ],
)
def test_what_stopped_tests_have_made_is_reported(
    root: Path, tmp_path: Path, number: signal.Signals | None, seconds: int, suites: list[str]
) -> None:
    (tmp_path / "samconfig.toml").write_text((root / "samconfig.toml").read_text())
    (tmp_path / "cargo").write_text(ENDLESS)
    (tmp_path / "cargo").chmod(0o755)
    code = VERIFY.replace("STACK |", f"{stack()} |").replace("SECONDS = SECONDS", f"SECONDS = {seconds}")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(root / "tools")}
    environment["AWS_ENDPOINT_URL"] = "http://localhost:1"
    command = [sys.executable, "-c", code, "--config-env", "dev", "--stack", "order-api-ann"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as running:
        assert select([alive], [], [], LONG)[0]
        if number:
            running.send_signal(number)
        printed, _ = running.communicate(timeout=LONG)
    assert "left: person ann@example.com: " in printed, printed
    report = (tmp_path / printed.rpartition("failed: see ")[2].strip()).read_text()
    assert re.findall(r"^\| (\w+) \| \d \| 1 \|", report, re.MULTILINE) == suites
    assert running.returncode == 1
    # Its end comes with the end of the last process.
    while select([alive], [], [], LONG)[0] and os.read(alive, 100):
        pass
    assert select([alive], [], [], 0)[0]
    os.close(alive)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_tests_have_started(number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    started = []

    def start() -> None:
        with verify.held_signals():
            signal.raise_signal(number)
            started.append("cargo test")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["cargo test"]
    assert signal.getsignal(number) is handler


def test_every_suite_is_a_module_of_the_tests(root: Path) -> None:
    for suite in verify.SUITES:
        text = (root / f"local/tests/e2e/{suite}.rs").read_text()
        # These are for the emulator only.
        assert not [word for word in ("of_own_stack", "set_variable", "scratch", "/proc") if word in text]


class Deleter:
    """Notes what is deleted; things have errors, and orders the statuses of their answers."""

    def __init__(self, errors: dict[str, str], statuses: dict[str, list[int]]) -> None:
        self.errors, self.statuses, self.deleted = errors, statuses, []

    def thing(self, name: str) -> None:
        self.deleted.append(name)
        if name in self.errors:
            raise ClientError({"Error": {"Code": self.errors[name], "Message": "no"}}, "Delete")

    def order(self, path: str) -> int:
        self.deleted.append(path)
        return self.statuses[path].pop(0)


def test_what_the_tests_have_made_is_deleted_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)
    monkeypatch.setattr(verify, "DELETION_SECONDS", 0)
    deleter = Deleter(
        {"gone@example.com": "UserNotFoundException", "pool": "AccessDenied"},
        {"/orders/a": [204], "/orders/b": [404], "/orders/c": [409]},
    )
    ledger = [
        {"kind": "person", "name": "ann@example.com"},
        {"kind": "order", "name": "/orders/a"},
        {"kind": "order", "name": "/orders/a"},
        {"kind": "person", "name": "gone@example.com"},
        {"kind": "order", "name": "/orders/b"},
        {"kind": "order", "name": "/orders/c"},
        {"kind": "user-pool", "name": "pool"},
    ]
    left = clean_up(ledger, dict.fromkeys(("person", "user-pool"), deleter.thing), deleter.order)
    assert [line.partition(":")[0] for line in left] == ["user-pool pool", "order /orders/c"]
    assert sorted(deleter.deleted) == [
        "/orders/a",
        "/orders/b",
        "/orders/c",
        "ann@example.com",
        "gone@example.com",
        "pool",
    ]


def test_an_order_in_process_is_deleted_once_it_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)
    deleter = Deleter({}, {"/orders/a": [409, 409, 204], "/orders/b": [204]})
    assert delete_orders(["/orders/a", "/orders/b"], deleter.order) == []
    assert deleter.deleted.count("/orders/a") == len([409, 409, 204])


def test_the_deletion_covers_every_kind_that_the_tests_note(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    texts = [path.read_text() for path in (root / "local/tests/e2e").glob("*.rs")]
    noted = {kind for text in texts for kind in re.findall(r'\bmade\(\s*"([a-z-]+)"', text)}
    assert noted == {"order", *verify.deletions("eu-west-1", "pool")}


def test_a_report_has_the_facts_and_the_failures() -> None:
    suites = [Suite("auth", 2.25, passed=4), result("api::", OUTPUT, 101, 3.5)]
    text = report({"stack": "order-api-ann", "result": "failed"}, suites, ["order /orders/c"])
    assert text.startswith("# Verification of order-api-ann\n")
    assert "| result | failed |\n" in text
    assert "| auth | 4 | 0 | 2.2 |\n| api | 1 | 2 | 3.5 |\n" in text
    assert "### api::another\n\n~~~\nthread 'api::another' panicked" in text
    assert text.endswith("## Left in the stack\n\n- order /orders/c\n")


def test_a_report_has_no_secrets_addresses_and_account_ids() -> None:
    text = (
        "eyJhbGciOi.eyJzdWIi.c2ln eyJjdHki.a_-.b.c.d Order-83acfa51-0811-4965-ba75-50653e0edf39 ann.1f-2@example.com "
        "arn:aws:sqs:eu-west-1:123456789012:q "
        "https://order-api-ann-123456789012.auth.eu-west-1.amazoncognito.com 01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"
    )
    assert hidden(text) == (
        "<token> <token> <password> <e-mail> arn:aws:sqs:eu-west-1:<account>:q "
        "https://order-api-ann-<account>.auth.eu-west-1.amazoncognito.com 01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"
    )


def test_the_facts_of_a_run_on_aws(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    started = datetime(2026, 11, 26, 8, 5, tzinfo=UTC)
    described = stack(Runtime="provided.al2", Architecture="arm64")
    described |= {"StackName": "order-api-ann", "CreationTime": datetime(2026, 11, 25, 7, 0, tzinfo=UTC)}
    facts = verify.facts(described, "eu-west-1", started, [Suite("api", 1, passed=1)])
    assert facts["result"] == "passed"
    assert facts["place"] == "AWS, eu-west-1"
    assert (facts["started"], facts["stack changed"]) == ("2026-11-26 08:05 UTC", "2026-11-25 07:00 UTC")
    assert facts["parameters"] == "Environment=dev, Runtime=provided.al2, Architecture=arm64"
    assert re.fullmatch(r"[0-9a-f]{40}, (clean|with changes)", facts["commit of the tests"])
