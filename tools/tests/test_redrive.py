"""The redrive of the dead-letter queues, with real AWS clients and stubbed responses.

The emulator has no StartMessageMoveTask. botocore's Stubber validates requests and responses against AWS's own model.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from redrive import COUNT_POLLS, POLL_SECONDS, QUEUES, redrive

STACK = "order-api-dev"
URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/"
ARN = "arn:aws:sqs:eu-west-1:123456789012:"
RUNNING = "There is already a task running. Only one active task is allowed for a source queue arn at a given time."


class Aws:
    """CloudFormation and SQS, which accept only the requests that a test expects."""

    def __init__(self) -> None:
        self.clients = [boto3.client("cloudformation"), boto3.client("sqs")]
        self.cloudformation, self.sqs = self.stubs = [Stubber(client) for client in self.clients]
        self.slept = []

    def stack(self, *names: str) -> None:
        """Expects a request for the stack, which has the URLs of these queues as outputs."""
        described = {"StackName": STACK, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_COMPLETE"}
        described["Outputs"] = [{"OutputKey": f"{name}Url", "OutputValue": URL + name} for name in names]
        self.cloudformation.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": STACK})

    def arns(self, name: str) -> dict:
        """Expects requests for the ARNs of a dead-letter queue and its source; returns those of the task."""
        for queue in (name, QUEUES[name]):
            request = {"QueueUrl": URL + queue, "AttributeNames": ["QueueArn"]}
            self.sqs.add_response("get_queue_attributes", {"Attributes": {"QueueArn": ARN + queue}}, request)
        return {"SourceArn": ARN + name, "DestinationArn": ARN + QUEUES[name]}

    def task(self, name: str, *polls: dict) -> None:
        """Expects a task of this queue, and these polls until it ends."""
        self.sqs.add_response("start_message_move_task", {"TaskHandle": "handle"}, self.arns(name))
        for poll in polls:
            results = {"Results": [poll] if poll else []}
            self.sqs.add_response("list_message_move_tasks", results, {"SourceArn": ARN + name})

    def refused(self, name: str, code: str, message: str) -> None:
        """Expects a task of this queue and refuses it."""
        expected = self.arns(name)
        self.sqs.add_client_error("start_message_move_task", code, message, 400, expected_params=expected)

    def redrive(self) -> list[str]:
        problems = redrive(*self.clients, STACK, self.slept.append)
        for stub in self.stubs:
            stub.assert_no_pending_responses()
        return problems


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    with aws.cloudformation, aws.sqs:
        yield aws


def task(status: str, moved: int, found: int, **more: str) -> dict:
    return {
        "Status": status,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": found,
    } | more


def all_queues() -> list[str]:
    return [name for pair in QUEUES.items() for name in pair]


def test_the_template_has_an_output_for_every_url(root: Path) -> None:
    template = (root / "template.yaml").read_text()
    assert all(f"  {name}Url:\n" in template for name in all_queues())


def test_both_queues_are_moved_back_to_their_sources(aws, capsys) -> None:
    aws.stack(*all_queues())
    aws.task("OrdersDeadLetterQueue", {}, {"Status": "RUNNING"}, task("RUNNING", 1, 3), task("COMPLETED", 3, 3))
    aws.task("RecoveryDeadLetterQueue", task("COMPLETED", 1, 1))
    assert aws.redrive() == []
    assert capsys.readouterr().out == (
        "OrdersDeadLetterQueue: moved 3 of 3 messages\nRecoveryDeadLetterQueue: moved 1 of 1 messages\n"
    )
    assert aws.slept == [POLL_SECONDS] * 5


def test_an_empty_queue_is_reported(aws, capsys) -> None:
    aws.stack(*all_queues())
    aws.task("OrdersDeadLetterQueue", task("COMPLETED", 0, 0))
    aws.task("RecoveryDeadLetterQueue", {"Status": "COMPLETED"})
    assert aws.redrive() == []
    assert capsys.readouterr().out == (
        "OrdersDeadLetterQueue: no messages to move\nRecoveryDeadLetterQueue: no messages to move\n"
    )


def test_a_lagging_count_is_polled_a_limited_number_of_times(aws, capsys) -> None:
    aws.stack(*all_queues())
    aws.task("OrdersDeadLetterQueue", task("COMPLETED", 0, 2), task("COMPLETED", 2, 2))
    aws.task("RecoveryDeadLetterQueue", *[task("COMPLETED", 1, 2)] * COUNT_POLLS)
    assert aws.redrive() == []
    assert capsys.readouterr().out == (
        "OrdersDeadLetterQueue: moved 2 of 2 messages\nRecoveryDeadLetterQueue: moved 1 of 2 messages\n"
    )


def test_incomplete_tasks_are_reported(aws, capsys) -> None:
    aws.stack(*all_queues())
    reason = "AWS.SimpleQueueService.NonExistentQueue"
    aws.task("OrdersDeadLetterQueue", task("FAILED", 1, 3, FailureReason=reason))
    aws.task("RecoveryDeadLetterQueue", task("CANCELLING", 2, 9), task("CANCELLED", 2, 9))
    assert aws.redrive() == [
        f"OrdersDeadLetterQueue: FAILED after 1 of 3 messages: {reason}",
        "RecoveryDeadLetterQueue: CANCELLED after 2 of 9 messages: no reason given",
    ]
    assert capsys.readouterr().out == ""


def test_a_refused_task_is_reported_and_the_other_queue_is_moved(aws, capsys) -> None:
    aws.stack(*all_queues())
    aws.refused("OrdersDeadLetterQueue", "InvalidParameterValue", RUNNING)
    aws.task("RecoveryDeadLetterQueue", task("COMPLETED", 2, 2))
    [problem] = aws.redrive()
    assert problem.startswith("OrdersDeadLetterQueue: ")
    assert problem.endswith(RUNNING)
    assert capsys.readouterr().out == "RecoveryDeadLetterQueue: moved 2 of 2 messages\n"


def test_missing_outputs_are_reported(aws) -> None:
    aws.stack("OrdersQueue", "OrdersDeadLetterQueue", "RecoveryQueue")
    assert aws.redrive() == ["stack order-api-dev has no output RecoveryDeadLetterQueueUrl"]


def test_a_missing_stack_is_an_error(aws) -> None:
    aws.cloudformation.add_client_error("describe_stacks", "ValidationError", "Stack with id it does not exist")
    with pytest.raises(ClientError, match="does not exist"):
        aws.redrive()


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ("dev", "error: Unable to locate credentials\n"),
        ("none", "error: samconfig.toml has no environment none\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(environment: str, error: str, root: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "tools/redrive.py", "--config-env", environment],
        cwd=root,
        env={"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", error)
