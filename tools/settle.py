"""Closes a refund that an operator has made by hand: the order of a deployed stack then says that it is made.

The function settle-order decides and records; this asks the operator first, invokes it and prints its answer.
"""

import argparse
import json
import sys

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from confirm import add_yes, refusal
from samconfig import outputs, parser, settings

OUTPUT = "SettleFunctionName"
# A repeat after a lost answer would find the refund made, and report that as an error.
ONCE = Config(retries={"total_max_attempts": 1})
WARNING = """Order {id}
Look at the payment provider's account first. If the payment is there without its refund, refund it now, by hand."""
QUESTION = "Is everything that was paid for this order refunded? Type yes: "


def settle(cloudformation: BaseClient, functions: BaseClient, stack: str, key: dict) -> dict:
    """Invokes the function of the stack for that order; returns its `order`, or an `error`."""
    function = outputs(cloudformation, stack).get(OUTPUT)
    if function is None:
        return {"error": f"stack {stack} has no output {OUTPUT}"}
    invoked = functions.invoke(FunctionName=function, Payload=json.dumps(key).encode())
    payload = invoked["Payload"].read().decode()
    try:
        answer = json.loads(payload)
    except ValueError:
        answer = None
    match answer:
        case {"order": dict()} if "FunctionError" not in invoked:
            return answer
        case {"error": str(error)} | {"errorMessage": str(error)}:
            return {"error": error}
        case _:
            return {"error": f"{function} answered {payload}"}


def run(arguments: argparse.Namespace, config: dict) -> dict:
    """Asks and settles; returns the `order`, or an `error`."""
    key = {"id": arguments.order}
    if not arguments.order:
        return {"error": "name the order: make settle ORDER=id"}
    warning = WARNING.format_map(key)
    if error := refusal(warning, QUESTION, input, is_terminal=sys.stdin.isatty(), is_confirmed=arguments.yes):
        return {"error": error}
    cloudformation = boto3.client("cloudformation", region_name=config["region"])
    functions = boto3.client("lambda", region_name=config["region"], config=ONCE)
    return settle(cloudformation, functions, config["stack_name"], key)


def main() -> int:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--order", required=True, help="id of the order")
    add_yes(arguments)
    given = arguments.parse_args()
    try:
        answer = run(given, settings(given.config_env, given.stack))
    except (BotoCoreError, ClientError) as error:
        answer = {"error": str(error)}
    if "error" in answer:
        print(f"error: {answer['error']}", file=sys.stderr)
        return 1
    print(json.dumps(answer["order"], indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
