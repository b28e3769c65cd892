"""The change sets of the pipeline, with real AWS clients and stubbed responses, and with another program as `sam`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import WaiterError
from botocore.stub import Stubber
from samtranslator.yaml_helper import yaml_parse

import change_set
import release
from change_set import NOTHING, create, execute, failures, prepare
from samconfig import parameters, settings

REGION = "eu-west-1"
CHANGE_SET = f"arn:aws:cloudformation:{REGION}:123456789012:changeSet/samcli-deploy1/0a"
STACK = f"arn:aws:cloudformation:{REGION}:123456789012:stack/order-api-prod/0b"
ROLE = "arn:aws:iam::123456789012:role/order-api-pipeline-prod-stack"
BOUNDARY = "arn:aws:iam::123456789012:policy/order-api-pipeline-prod-stack"
CREATED = json.dumps({"type": "result", "status": "changeset_created", "changeset_id": CHANGE_SET})
UNCHANGED = json.dumps({"type": "result", "status": "no_changes", "message": "No changes to deploy."})
# Prints what a test wants, and keeps its arguments.
SAM = """#!{python}
import json, pathlib, sys
pathlib.Path({folder!r}, "arguments").write_text(json.dumps(sys.argv[1:]))
print({output!r})
sys.exit({status})
"""


class CloudFormation:
    """CloudFormation, which accepts only the requests that a test expects."""

    def __init__(self) -> None:
        self.client = boto3.client("cloudformation")
        self.stub = Stubber(self.client)

    def parameters(self, **values: str) -> None:
        """Expects questions for the state of the stack and for the deployed parameters, and answers them."""
        stack = {
            "StackName": "order-api-prod",
            "CreationTime": "2026-01-01T00:00:00Z",
            "StackStatus": "UPDATE_COMPLETE",
        }
        stack["Parameters"] = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
        for _ in range(2):
            self.stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "order-api-prod"})

    def change_set(self, execution: str, name: str = CHANGE_SET) -> None:
        described = {"StackId": STACK, "ExecutionStatus": execution}
        self.stub.add_response("describe_change_set", described, {"ChangeSetName": name})

    def stack(self, status: str, name: str = STACK, **more: str) -> None:
        stack = {"StackName": "order-api-prod", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status} | more
        self.stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": name})

    def executed(self, name: str = CHANGE_SET) -> None:
        self.stub.add_response("execute_change_set", {}, {"ChangeSetName": name})


def refuse() -> str:
    pytest.fail("another change set is created")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudFormation]:
    monkeypatch.setattr(change_set, "WAIT", {"Delay": 0, "MaxAttempts": 3})
    aws = CloudFormation()
    with aws.stub:
        yield aws
        aws.stub.assert_no_pending_responses()


@pytest.fixture
def environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The settings of prod, in a folder with the files that a stage has."""
    shutil.copy(root / "samconfig.toml", tmp_path)
    shutil.copy(root / "template.yaml", tmp_path / "packaged-template.yaml")
    monkeypatch.chdir(tmp_path)
    return settings("prod")


def sam(folder: Path, monkeypatch: pytest.MonkeyPatch, output: str, status: int = 0) -> Path:
    """Makes a `sam` that prints the output, and returns the file that gets its arguments."""
    program = folder / "sam"
    program.write_text(SAM.format(python=sys.executable, folder=str(folder), output=output, status=status))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "arguments"


def test_a_change_set_is_created_but_not_executed(
    aws, environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = sam(tmp_path, monkeypatch, f"Managed S3 bucket: b\n{CREATED}")
    aws.parameters()
    assert create(aws.client, environment, ROLE, BOUNDARY) == CHANGE_SET
    given = json.loads(arguments.read_text())
    assert given[:5] == ["deploy", "--config-env", "prod", "--stack-name", "order-api-prod"]
    assert given[given.index("--template-file") + 1] == "release-template.yaml"
    assert {"--no-execute-changeset", "--no-confirm-changeset", "--no-fail-on-empty-changeset"} < set(given)
    assert given[given.index("--role-arn") + 1] == ROLE


def test_the_functions_are_stamped_for_the_parameters_that_are_deployed(
    aws, environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, CREATED)
    aws.parameters(UnitPrice="3")
    create(aws.client, environment, ROLE, BOUNDARY)
    template = yaml_parse(Path("packaged-template.yaml").read_text())
    overrides = [*environment["parameter_overrides"], f"PermissionsBoundary={BOUNDARY}"]
    expected = release.stamp(template, parameters(template, overrides, {"UnitPrice": "3"}))
    assert yaml_parse(Path("release-template.yaml").read_text()) == expected


def test_the_boundary_is_added_to_the_parameters_of_samconfig(
    aws, environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = sam(tmp_path, monkeypatch, CREATED)
    aws.parameters()
    create(aws.client, environment, ROLE, BOUNDARY)
    given = json.loads(arguments.read_text())
    overrides = given[given.index("--parameter-overrides") + 1 :]
    assert overrides == [*environment["parameter_overrides"], f"PermissionsBoundary={BOUNDARY}"]
    assert "Environment=prod" in overrides


def test_sam_knows_the_options(environment: dict, root: Path) -> None:
    command = change_set.sam_deploy(environment, ROLE, [])
    shown = subprocess.run(["sam", "deploy", "--help"], check=True, capture_output=True, text=True, cwd=root).stdout
    for option in [word for word in command if word.startswith("--")]:
        assert option in shown


def test_no_changes_is_success(environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws) -> None:
    sam(tmp_path, monkeypatch, UNCHANGED)
    aws.parameters()
    assert create(aws.client, environment, ROLE, BOUNDARY) == NOTHING
    execute(aws.client, NOTHING, refuse)


def test_a_change_set_waits_for_the_run_before(
    aws, environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, CREATED)
    aws.stack("UPDATE_IN_PROGRESS", "order-api-prod")
    aws.stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "order-api-prod")
    aws.parameters()
    assert create(aws.client, environment, ROLE, BOUNDARY) == CHANGE_SET


def test_a_change_set_does_not_wait_for_ever(aws, environment: dict) -> None:
    for _ in range(change_set.WAIT["MaxAttempts"]):
        aws.stack("UPDATE_IN_PROGRESS", "order-api-prod")
    with pytest.raises(SystemExit, match="error: order-api-prod is still UPDATE_IN_PROGRESS"):
        create(aws.client, environment, ROLE, BOUNDARY)


def test_the_first_change_set_of_a_stack_waits_for_nobody(
    aws, environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, CREATED)
    for _ in range(2):
        aws.stub.add_client_error("describe_stacks", "ValidationError", "Stack order-api-prod does not exist")
    assert create(aws.client, environment, ROLE, BOUNDARY) == CHANGE_SET
    aws.stack("REVIEW_IN_PROGRESS", "order-api-prod")
    aws.stack("REVIEW_IN_PROGRESS", "order-api-prod")
    assert create(aws.client, environment, ROLE, BOUNDARY) == CHANGE_SET


def test_a_change_set_that_another_change_has_removed_is_named(aws) -> None:
    aws.stub.add_client_error("describe_change_set", "ChangeSetNotFound")
    with pytest.raises(SystemExit, match=f"error: {CHANGE_SET} is gone, .* start another run"):
        execute(aws.client, CHANGE_SET, refuse)


@pytest.mark.parametrize("answer", [(CREATED, 1), ("", 0), ('{"type": "changeset"}', 0)])
def test_a_failure_of_sam_stops_the_stage(
    aws, answer: tuple[str, int], environment: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam(tmp_path, monkeypatch, *answer)
    aws.parameters()
    with pytest.raises(SystemExit, match="error: sam deploy has"):
        create(aws.client, environment, ROLE, BOUNDARY)


def test_the_later_stages_get_the_change_set_its_page_and_the_run(aws, environment: dict) -> None:
    aws.change_set("AVAILABLE")
    variables = prepare(aws.client, environment, lambda: CHANGE_SET, "run-1")
    assert variables == {
        "CHANGE_SET": CHANGE_SET,
        "CHANGE_SET_URL": f"https://{REGION}.console.aws.amazon.com/cloudformation/home?region={REGION}"
        "#/stacks/changesets/changes"
        "?stackId=arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack%2Forder-api-prod%2F0b"
        "&changeSetId=arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3AchangeSet%2Fsamcli-deploy1%2F0a",
        "PREPARED_BY": "run-1",
    }


def test_the_approval_links_the_stack_if_nothing_changes(aws, environment: dict) -> None:
    variables = prepare(aws.client, environment, lambda: NOTHING, "run-1")
    assert variables["CHANGE_SET"] == "none"
    assert variables["CHANGE_SET_URL"].endswith("#/stacks?filteringText=order-api-prod")


@pytest.mark.parametrize(
    ("before", "after"),
    [("REVIEW_IN_PROGRESS", "CREATE_COMPLETE"), ("UPDATE_COMPLETE", "UPDATE_COMPLETE")],
)
def test_the_stage_ends_with_the_change_of_the_stack(aws, before: str, after: str) -> None:
    aws.change_set("AVAILABLE")
    aws.stack(before)
    aws.executed()
    aws.stack(before.replace("REVIEW", "CREATE").replace("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS"))
    aws.stack(after)
    execute(aws.client, CHANGE_SET, refuse)


def test_a_stack_that_rolls_back_fails_the_stage(aws) -> None:
    aws.change_set("AVAILABLE")
    aws.stack("UPDATE_COMPLETE")
    aws.executed()
    aws.stack("UPDATE_ROLLBACK_COMPLETE")
    with pytest.raises(WaiterError):
        execute(aws.client, CHANGE_SET, refuse)


def test_a_repeated_stage_executes_a_change_set_once(aws) -> None:
    aws.change_set("EXECUTE_COMPLETE")
    aws.stack("UPDATE_COMPLETE", ChangeSetId=CHANGE_SET)
    execute(aws.client, CHANGE_SET, refuse)


def test_a_change_set_that_is_not_the_latest_of_the_stack_is_created_again(aws) -> None:
    later, again = f"{CHANGE_SET}-later", f"{CHANGE_SET}-again"
    aws.change_set("EXECUTE_COMPLETE")
    aws.stack("UPDATE_COMPLETE", ChangeSetId=later)
    aws.change_set("AVAILABLE", again)
    aws.stack("UPDATE_COMPLETE", ChangeSetId=later)
    aws.executed(again)
    aws.stack("UPDATE_COMPLETE", ChangeSetId=again)
    execute(aws.client, CHANGE_SET, lambda: again)


def test_a_failure_names_the_resources(aws) -> None:
    def event(resource: str, status: str, **more: str) -> dict:
        ids = {"StackId": STACK, "EventId": resource, "StackName": "order-api-prod", "LogicalResourceId": resource}
        return ids | {"Timestamp": "2026-01-01T00:00:00Z", "ResourceStatus": status} | more

    events = [
        event("order-api-prod", "UPDATE_ROLLBACK_IN_PROGRESS"),
        event("Second", "UPDATE_FAILED"),
        event("First", "CREATE_FAILED", ResourceStatusReason="AccessDenied"),
        event("order-api-prod", "UPDATE_IN_PROGRESS"),
        event("Fixed", "CREATE_FAILED"),
    ]
    aws.stub.add_response("describe_stack_events", {"StackEvents": events}, {"StackName": "order-api-prod"})
    assert failures(aws.client, "order-api-prod") == ["First: AccessDenied", "Second: UPDATE_FAILED"]


@pytest.mark.parametrize(("prepared_by", "executed"), [("run-1", "approved"), ("an-earlier-run", "created")])
def test_a_rollback_creates_a_change_set_of_its_own(
    prepared_by: str, executed: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    monkeypatch.chdir(root)
    monkeypatch.setattr(change_set, "create", lambda *_: "created")
    monkeypatch.setattr(change_set, "execute", lambda _, name, __: done.append(name))
    options = ["execute", "--config-env", "prod", "--role", ROLE, "--boundary", BOUNDARY, "--run", "run-1"]
    monkeypatch.setattr(sys, "argv", ["", *options, "--change-set", "approved", "--prepared-by", prepared_by])
    assert change_set.main() == 0
    assert done == [executed]
