"""Moves the messages in the dead-letter queues of a deployed stack back to their queues.

SQS moves the messages (StartMessageMoveTask); this starts the tasks and waits for them. Each task names its
destination, because EventBridge puts events that it can't deliver straight into the dead-letter queue of failed
executions. SQS knows no source of these, so a task without a destination fails (CouldNotDetermineMessageSource).
"""

import sys
import time
from collections.abc import Callable

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from samconfig import outputs, settings_from_arguments

# Each dead-letter queue and the queue of its messages. The names are those of the stack's outputs, without `Url`.
QUEUES = {"OrdersDeadLetterQueue": "OrdersQueue", "RecoveryDeadLetterQueue": "RecoveryQueue"}
POLL_SECONDS = 2
# The count of moved messages may lag behind a completed task; it is polled this often before it is taken as it is.
COUNT_POLLS = 10


def arn(sqs: BaseClient, url: str) -> str:
    """Returns the ARN of the queue."""
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def counts(task: dict) -> tuple[int, int]:
    """Returns the number of moved messages and the number of messages to move."""
    return task.get("ApproximateNumberOfMessagesMoved", 0), task.get("ApproximateNumberOfMessagesToMove", 0)


def move(sqs: BaseClient, source: str, destination: str, sleep: Callable[[float], None]) -> dict:
    """Moves the messages of one queue to another, waits for the end of the task and returns it."""
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
    """Redrives all dead-letter queues of the stack, prints the counts, and returns one line per problem."""
    urls = outputs(cloudformation, stack)
    if missing := [f"{name}Url" for pair in QUEUES.items() for name in pair if f"{name}Url" not in urls]:
        return [f"stack {stack} has no output {', '.join(missing)}"]
    problems = []
    for name, destination in QUEUES.items():
        try:
            task = move(sqs, arn(sqs, urls[f"{name}Url"]), arn(sqs, urls[f"{destination}Url"]), sleep)
        except (BotoCoreError, ClientError) as error:
            problems.append(f"{name}: {error}")
            continue
        moved, found = counts(task)
        if task["Status"] != "COMPLETED":
            reason = task.get("FailureReason", "no reason given")
            problems.append(f"{name}: {task['Status']} after {moved} of {found} messages: {reason}")
        elif moved or found:
            print(f"{name}: moved {moved} of {found} messages")
        else:
            print(f"{name}: no messages to move")
    return problems


def main() -> int:
    settings = settings_from_arguments(__doc__.splitlines()[0])
    try:
        cloudformation = boto3.client("cloudformation", region_name=settings["region"])
        sqs = boto3.client("sqs", region_name=settings["region"])
        problems = redrive(cloudformation, sqs, settings["stack_name"])
    except (BotoCoreError, ClientError) as error:
        problems = [str(error)]
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
