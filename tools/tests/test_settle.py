"""The settlement of a refund made by hand, with real AWS clients and stubbed responses."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from settle import ONCE, OUTPUT, QUESTION, settle

STACK = "order-api-dev"
FUNCTION = "order-api-dev-SettleOrderFunction-1ABC"
KEY = {"id": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b2"}
ORDER = KEY | {"order_status": "FAILURE", "refund": "MADE"}


class Aws:
    """CloudFormation and Lambda, which accept only the requests that a test expects."""

    def __init__(self) -> None:
        self.clients = [boto3.client("cloudformation"), boto3.client("lambda", config=ONCE)]
        self.cloudformation, self.functions = self.stubs = [Stubber(client) for client in self.clients]

    def stack(self, *names: str) -> None:
        """Expects a request for the stack, which has these outputs."""
        described = {"StackName": STACK, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_COMPLETE"}
        described["Outputs"] = [{"OutputKey": name, "OutputValue": FUNCTION} for name in names]
        self.cloudformation.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": STACK})

    def answer(self, payload: str, **more: str) -> None:
        """Expects an invocation of the function and answers it."""
        self.stack(OUTPUT)
        body = payload.encode()
        response = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body))} | more
        expected = {"FunctionName": FUNCTION, "Payload": json.dumps(KEY).encode()}
        self.functions.add_response("invoke", response, expected)

    def settle(self) -> dict:
        order = settle(*self.clients, STACK, KEY)
        for stub in self.stubs:
            stub.assert_no_pending_responses()
        return order


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    with aws.cloudformation, aws.functions:
        yield aws


def test_the_template_has_the_output(root: Path) -> None:
    assert f"  {OUTPUT}:\n" in (root / "template.yaml").read_text()


def test_the_sample_event_has_the_form_of_the_request(root: Path) -> None:
    assert json.loads((root / "events/settle-order.json").read_text()).keys() == KEY.keys()


def test_the_settled_order_is_returned(aws) -> None:
    aws.answer(json.dumps({"order": ORDER}))
    assert aws.settle() == {"order": ORDER}


@pytest.mark.parametrize(
    ("payload", "more", "error"),
    [
        ('{"error": "the refund is OWED"}', {}, "the refund is OWED"),
        ('{"errorType": "Panic", "errorMessage": "it crashed"}', {"FunctionError": "Unhandled"}, "it crashed"),
        (json.dumps({"order": ORDER}), {"FunctionError": "Unhandled"}, f"{FUNCTION} answered"),
        ("null", {}, f"{FUNCTION} answered null"),
        ("<html>", {}, f"{FUNCTION} answered <html>"),
        ('{"order": null}', {}, f"{FUNCTION} answered"),
    ],
)
def test_any_other_answer_is_an_error(aws, payload: str, more: dict, error: str) -> None:
    aws.answer(payload, **more)
    answer = aws.settle()
    assert answer.keys() == {"error"}
    assert answer["error"].startswith(error)


def test_a_missing_output_is_an_error(aws) -> None:
    aws.stack("SweepFunctionName")
    assert aws.settle() == {"error": f"stack {STACK} has no output {OUTPUT}"}


def test_a_missing_stack_is_an_error(aws) -> None:
    aws.cloudformation.add_client_error("describe_stacks", "ValidationError", "Stack with id it does not exist")
    with pytest.raises(ClientError, match="does not exist"):
        aws.settle()


def test_the_function_is_invoked_once(aws) -> None:
    # A repeat after a lost answer would report as an error what the first invocation has done.
    assert aws.clients[1].meta.config.retries["total_max_attempts"] == 1


def run(root: Path, home: Path, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/settle.py", *arguments],
        cwd=root,
        env={"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "order", "error"),
    [
        ("dev", "7", "error: Unable to locate credentials\n"),
        ("dev", "", "error: name the order: make settle ORDER=id\n"),
        ("none", "7", "error: samconfig.toml has no environment none\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    environment: str, order: str, error: str, root: Path, tmp_path: Path
) -> None:
    ended = run(root, tmp_path, "--config-env", environment, "--order", order, "--yes")
    assert (ended.returncode, ended.stderr) == (1, error)


def test_on_a_terminal_it_warns_and_asks(root: Path, tmp_path: Path) -> None:
    terminal, stdin = pty.openpty()
    os.write(terminal, b"no\n")
    ended = run(root, tmp_path, "--config-env", "dev", "--order", "7", stdin=stdin)
    os.close(terminal)
    os.close(stdin)
    assert (ended.returncode, ended.stderr) == (1, "error: not confirmed; nothing has changed\n")
    assert ended.stdout.startswith("Order 7\nLook at the payment provider's account first. ")
    assert ended.stdout.endswith(QUESTION)
