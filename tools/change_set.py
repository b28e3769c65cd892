"""Creates or executes a change set of a stack; the stages of the pipeline call it.

`prepare` stamps the packaged template with the releases of its functions (release.py), runs `sam deploy` without
executing anything, and prints shell variables: CHANGE_SET is the ARN of the change set, or `none` if nothing changes;
CHANGE_SET_URL shows it in the console; PREPARED_BY is the run of the pipeline. `execute` executes that change set and
waits for the stack.

If CodePipeline rolls a stage back, it repeats the stage of an earlier run with that run's artifacts and variables. The
change set of that run is used up then, so `execute` creates another one, of the same packaged template.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

import release
from samconfig import parser, settings

# CodePipeline has no empty variables.
NOTHING = "none"
# A canary may take half an hour.
WAIT = {"Delay": 15, "MaxAttempts": 400}


def sam_deploy(environment: dict, role: str, overrides: list[str]) -> list[str]:
    """Returns the command that creates a change set."""
    command = ["sam", "deploy", "--config-env", environment["env"], "--stack-name", environment["stack_name"]]
    command += ["--template-file", str(release.RELEASE)]
    command += ["--no-execute-changeset", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    return [*command, "--role-arn", role, "--output", "json", "--parameter-overrides", *overrides]


def created(output: str) -> str:
    """Returns the ARN of the change set in what `sam deploy --output json` has printed; `none` if nothing changes."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    results = [result for result in map(json.loads, lines) if result.get("type") == "result"]
    match results:
        case [{"status": "changeset_created", "changeset_id": arn}]:
            return arn
        case [{"status": "no_changes"}]:
            return NOTHING
    sys.exit(f"error: sam deploy has printed no result: {output}")


def wait_for_others(cloudformation: BaseClient, stack: str) -> None:
    """Waits until nobody changes the stack: CloudFormation refuses a change set meanwhile.

    A run of the pipeline prepares its change of prod while the approved run before it is still being deployed there.
    """
    for _ in range(WAIT["MaxAttempts"]):
        try:
            status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return
            raise
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            return
        print(f"waiting: {stack} is {status}", file=sys.stderr)
        time.sleep(WAIT["Delay"])
    sys.exit(f"error: {stack} is still {status}")


def create(cloudformation: BaseClient, environment: dict, role: str, boundary: str) -> str:
    """Creates a change set and returns its ARN, or `none`."""
    wait_for_others(cloudformation, environment["stack_name"])
    # On the command line they replace those of samconfig.toml, so both are here.
    overrides = [*environment["parameter_overrides"], f"PermissionsBoundary={boundary}"]
    release.write(cloudformation, environment["stack_name"], overrides)
    command = sam_deploy(environment, role, overrides)
    ran = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(ran.stdout, file=sys.stderr)
    if ran.returncode != 0:
        sys.exit(f"error: sam deploy has failed with status {ran.returncode}")
    return created(ran.stdout)


def url(change_set: str, environment: dict, stack_id: str) -> str:
    """Returns the page of the change set in the console; that of the stack if nothing changes."""
    region = environment["region"]
    console = f"https://{region}.console.aws.amazon.com/cloudformation/home?region={region}#/stacks"
    if change_set == NOTHING:
        return f"{console}?filteringText={quote(environment['stack_name'], safe='')}"
    return f"{console}/changesets/changes?stackId={quote(stack_id, safe='')}&changeSetId={quote(change_set, safe='')}"


def prepare(cloudformation: BaseClient, environment: dict, create: Callable[[], str], run: str) -> dict[str, str]:
    """Creates a change set and returns the variables for the later stages."""
    change_set = create()
    stack_id = ""
    if change_set != NOTHING:
        stack_id = cloudformation.describe_change_set(ChangeSetName=change_set)["StackId"]
    return {
        "CHANGE_SET": change_set,
        "CHANGE_SET_URL": url(change_set, environment, stack_id),
        "PREPARED_BY": run,
    }


def execute(cloudformation: BaseClient, change_set: str, create: Callable[[], str]) -> None:
    """Executes the change set and waits for the stack.

    If it has been executed already, nothing is done; or, if the stack has changed since, another one is created.
    """
    if change_set == NOTHING:
        print("nothing changes")
        return
    try:
        described = cloudformation.describe_change_set(ChangeSetName=change_set)
    except cloudformation.exceptions.ChangeSetNotFoundException:
        sys.exit(f"error: {change_set} is gone, because the stack has changed since: start another run of the pipeline")
    stack = described["StackId"]
    now = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    if described["ExecutionStatus"] == "EXECUTE_COMPLETE":
        if now.get("ChangeSetId") == change_set:
            print(f"{change_set} has been executed already")
        else:
            execute(cloudformation, create(), create)
        return
    kind = "create" if now["StackStatus"] == "REVIEW_IN_PROGRESS" else "update"
    cloudformation.execute_change_set(ChangeSetName=change_set)
    cloudformation.get_waiter(f"stack_{kind}_complete").wait(StackName=stack, WaiterConfig=WAIT)
    print(f"{change_set} has been executed")


def failures(cloudformation: BaseClient, stack: str) -> list[str]:
    """Returns the resources that failed in the latest change of the stack, the first failure first."""
    failed = []
    for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]:
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if name == stack and status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
            break
        if status.endswith("_FAILED"):
            failed.insert(0, f"{name}: {event.get('ResourceStatusReason', status)}")
    return failed


def arguments() -> argparse.Namespace:
    commands = parser(__doc__.splitlines()[0])
    commands.add_argument("command", choices=["prepare", "execute"])
    commands.add_argument("--role", required=True, help="ARN of the role by which CloudFormation changes the stack")
    commands.add_argument("--boundary", required=True, help="ARN of the boundary of the stack's roles")
    commands.add_argument("--run", required=True, help="id of the pipeline's run")
    commands.add_argument("--change-set", help="ARN of the change set to execute, or none")
    commands.add_argument("--prepared-by", help="id of the run that created the change set")
    return commands.parse_args()


def main() -> int:
    given = arguments()
    environment = settings(given.config_env, given.stack)

    def create_now() -> str:
        return create(cloudformation, environment, given.role, given.boundary)

    try:
        cloudformation = boto3.client("cloudformation", region_name=environment["region"])
        if given.command == "prepare":
            variables = prepare(cloudformation, environment, create_now, given.run)
            print(*(f"export {name}='{value}'" for name, value in variables.items()), sep="\n")
            return 0
        is_rollback = given.prepared_by != given.run
        execute(cloudformation, create_now() if is_rollback else given.change_set, create_now)
    except WaiterError as error:
        print(f"error: {error}", *failures(cloudformation, environment["stack_name"]), sep="\n", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
