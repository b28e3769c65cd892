"""Copies the orders that a stack has lost from a restored table to the stack's own.

An order that the stack still has stays as it is. An order that was submitted and not accepted is left out: since the
backup it may have been paid, the restored item does not say so, and the sweep would end it without a refund.
"""

import argparse
import sys
from dataclasses import dataclass, field

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from confirm import add_yes, refusal
from samconfig import outputs, parser, settings

OUTPUT = "OrdersTableName"
WARNING = """Orders in {source} that are not in the table of {stack} are copied there.
Orders that were deleted after the backup come back. Delete them again, those of erased people first of all."""
QUESTION = "Copy them? Type yes: "


@dataclass
class Restored:
    """What became of the items of the restored table."""

    copied: int = 0
    kept: int = 0
    left_out: list[str] = field(default_factory=list)


def restore(dynamodb: BaseClient, source: str, target: str) -> Restored:
    """Copies the items that the target lacks. It can be repeated."""
    restored = Restored()
    for page in dynamodb.get_paginator("scan").paginate(TableName=source, ConsistentRead=True):
        for item in page["Items"]:
            key = {name: item[name] for name in ("user_id", "id")}
            if "Item" in dynamodb.get_item(TableName=target, Key=key, ConsistentRead=True, ProjectionExpression="id"):
                restored.kept += 1
            elif "unsettled" in item and "accepted_at" not in item:
                restored.left_out.append(item["id"]["S"])
            else:
                copy(dynamodb, item, target, restored)
    return restored


def copy(dynamodb: BaseClient, item: dict, target: str, restored: Restored) -> None:
    """Copies an item, unless the order has been saved meanwhile."""
    try:
        dynamodb.put_item(TableName=target, Item=item, ConditionExpression="attribute_not_exists(id)")
    except dynamodb.exceptions.ConditionalCheckFailedException:
        restored.kept += 1
    else:
        restored.copied += 1


def keys(dynamodb: BaseClient, table: str) -> list[str]:
    """Returns the names of a table's keys."""
    return [key["AttributeName"] for key in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]]


def run(given: argparse.Namespace, config: dict) -> str | None:
    """Asks, copies and prints what was done; returns the reason why nothing was copied, if there is one."""
    stack = config["stack_name"]
    if not given.table:
        return "name the restored table: make restore TABLE=name"
    target = outputs(boto3.client("cloudformation", region_name=config["region"]), stack).get(OUTPUT)
    if target is None:
        return f"stack {stack} has no output {OUTPUT}"
    if given.table == target:
        return f"{target} is the table of {stack} itself: name the restored one"
    dynamodb = boto3.client("dynamodb", region_name=config["region"])
    source_keys, target_keys = (keys(dynamodb, table) for table in (given.table, target))
    if source_keys != target_keys:
        return f"{given.table} is no table of orders: its keys are {', '.join(source_keys)}"
    warning = WARNING.format(source=given.table, stack=stack)
    if error := refusal(warning, QUESTION, input, is_terminal=sys.stdin.isatty(), is_confirmed=given.yes):
        return error
    restored = restore(dynamodb, given.table, target)
    print(f"copied: {restored.copied}, in the table already: {restored.kept}, left out: {len(restored.left_out)}")
    for order in restored.left_out:
        print(f"left out, because it was not accepted: {order}")
    return None


def main() -> int:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--table", required=True, help="name of the restored table")
    add_yes(arguments)
    given = arguments.parse_args()
    try:
        error = run(given, settings(given.config_env, given.stack))
    except (BotoCoreError, ClientError) as failure:
        error = str(failure)
    if error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
