"""Moves what is in the dead-letter queues of a deployed stack back to the queues it came from.

SQS moves it (StartMessageMoveTask); this starts the tasks and waits for them. Each task is given its destination: among
failed executions are events that EventBridge could not deliver and put straight into the dead-letter queue. SQS knows
no source of those, and a task without a destination fails at them (CouldNotDetermineMessageSource).
"""

import sys
import time
from collections.abc import Callable

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from samconfig import asked_for

# Each dead-letter queue, and where its messages go: names of resources, whose URLs the stack puts out.
QUEUES = {"OrdersDeadLetterQueue": "OrdersQueue", "RecoveryDeadLetterQueue": "RecoveryQueue"}
POLL_SECONDS = 2
# The count of what is moved may lag behind a completed task: so many polls it is given.
COUNT_POLLS = 10


def outputs(cloudformation: BaseClient, stack: str) -> dict[str, str]:
    """The outputs of the stack."""
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def arn(sqs: BaseClient, url: str) -> str:
    """The ARN of the queue."""
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def counts(task: dict) -> tuple[int, int]:
    """How many messages the task has moved, and how many it found."""
    return task.get("ApproximateNumberOfMessagesMoved", 0), task.get("ApproximateNumberOfMessagesToMove", 0)


def move(sqs: BaseClient, source: str, destination: str, sleep: Callable[[float], None]) -> dict:
    """Moves the messages of one queue to another; returns the task, once it has ended."""
    sqs.start_message_move_task(SourceArn=source, DestinationArn=destination)
    polls = 0
    while True:
        sleep(POLL_SECONDS)
        # Only the most recent task is listed.
        task = next(iter(sqs.list_message_move_tasks(SourceArn=source).get("Results", [])), {"Status": "RUNNING"})
        if task["Status"] in {"RUNNING", "CANCELLING"}:
            continue
        moved, found = counts(task)
        polls += 1
        if task["Status"] != "COMPLETED" or moved >= found or polls == COUNT_POLLS:
            return task


def redrive(
    cloudformation: BaseClient, sqs: BaseClient, stack: str, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Redrives every dead-letter queue of the stack and prints what is moved; returns what is wrong, a line each."""
    urls = outputs(cloudformation, stack)
    if missing := [f"{name}Url" for pair in QUEUES.items() for name in pair if f"{name}Url" not in urls]:
        return [f"stack {stack} has no output {', '.join(missing)}"]
    wrong = []
    for name, destination in QUEUES.items():
        try:
            task = move(sqs, arn(sqs, urls[f"{name}Url"]), arn(sqs, urls[f"{destination}Url"]), sleep)
        except (BotoCoreError, ClientError) as error:
            wrong.append(f"{name}: {error}")
            continue
        moved, found = counts(task)
        if task["Status"] != "COMPLETED":
            reason = task.get("FailureReason", "no reason is given")
            wrong.append(f"{name}: {task['Status']} after {moved} of {found} messages: {reason}")
        elif moved or found:
            print(f"{name}: moved {moved} of {found} messages")
        else:
            print(f"{name}: no messages to move")
    return wrong


def main() -> int:
    settings = asked_for(__doc__.splitlines()[0])
    try:
        cloudformation = boto3.client("cloudformation", region_name=settings["region"])
        sqs = boto3.client("sqs", region_name=settings["region"])
        wrong = redrive(cloudformation, sqs, settings["stack_name"])
    except (BotoCoreError, ClientError) as error:
        wrong = [str(error)]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
