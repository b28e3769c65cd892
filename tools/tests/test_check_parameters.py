"""The check of the parameters, with a stubbed CloudFormation; and the template that is deployed."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import boto3
import click
import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from click.testing import CliRunner
from samcli.commands.deploy import command as deploy
from samcli.commands.package import command as package
from samtranslator.yaml_helper import yaml_parse

from check_parameters import check

STACK = "order-api-prod"
PROVIDERS = ["PaymentUrl=https://pay.example.com/v1", "RestaurantUrl=https://restaurants.example.com"]
EARLY, CREATION_ENDED, UPDATES_ENDED = date(2027, 1, 31), date(2027, 2, 1), date(2027, 3, 3)


class Aws:
    """CloudFormation, which knows of one stack."""

    def __init__(self, root: Path) -> None:
        self.client = boto3.client("cloudformation")
        self.stub = Stubber(self.client)
        self.template = yaml_parse((root / "template.yaml").read_text())

    def has_stack(self, status: str, **parameters: str) -> None:
        """Expects a request for the stack, and describes it."""
        values = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        stack = {"StackName": STACK, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}
        self.stub.add_response("describe_stacks", {"Stacks": [stack | {"Parameters": values}]}, {"StackName": STACK})

    def has_none(self) -> None:
        """Expects a request for the stack, which does not exist."""
        self.stub.add_client_error("describe_stacks", "ValidationError", f"Stack with id {STACK} does not exist")

    def check(self, *overrides: str, today: date = EARLY) -> list[str]:
        settings = {"env": "prod", "stack_name": STACK, "parameter_overrides": list(overrides)}
        with self.stub:
            problems = check(self.client, settings, self.template, today)
        self.stub.assert_no_pending_responses()
        return problems


@pytest.fixture
def aws(root: Path) -> Aws:
    return Aws(root)


@pytest.mark.parametrize(
    ("overrides", "problems"),
    [
        (PROVIDERS, []),
        ([], ["PaymentUrl", "RestaurantUrl"]),
        ([*PROVIDERS, "PaymentUrl=http://pay.example.com"], ["PaymentUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://localhost:8443"], ["RestaurantUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://localhost."], ["RestaurantUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://0.0.0.0"], ["RestaurantUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://[::ffff:127.0.0.1]"], ["RestaurantUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://[no"], ["RestaurantUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://127.example.com"], []),
        ([*PROVIDERS, "WebOrigin=http://localhost:5173"], ["WebOrigin"]),
        ([*PROVIDERS, "WebOrigin=http://orders.example.com"], ["WebOrigin"]),
        ([*PROVIDERS, "WebOrigin=https://127.0.0.1:5173"], ["WebOrigin"]),
        ([*PROVIDERS, "CallbackUrls=https://orders.example.com/,http://localhost:5173/"], ["CallbackUrls"]),
        ([*PROVIDERS, "LogoutUrls=http://localhost:5173/"], ["LogoutUrls"]),
        ([*PROVIDERS, "LogoutUrls=https://[no"], ["LogoutUrls"]),
        ([*PROVIDERS, "CallbackUrls=com.example.orders://signed-in"], []),
    ],
)
def test_prod_has_https_only_and_nothing_of_this_machine(aws: Aws, overrides: list[str], problems: list[str]) -> None:
    aws.has_none()
    assert [line.split()[0] for line in aws.check("Environment=prod", *overrides)] == problems
    aws.has_none()
    assert aws.check("Environment=dev", *overrides) == []


def test_a_deployed_value_counts_until_samconfig_replaces_it(aws: Aws) -> None:
    aws.has_stack("UPDATE_COMPLETE", WebOrigin="http://localhost:5173")
    (problem,) = aws.check("Environment=prod", *PROVIDERS)
    assert problem.startswith("WebOrigin must ")
    aws.has_stack("UPDATE_COMPLETE", WebOrigin="http://localhost:5173")
    assert aws.check("Environment=prod", *PROVIDERS, "WebOrigin=https://orders.example.com") == []


def test_a_new_stack_and_later_every_stack_needs_another_runtime(aws: Aws) -> None:
    advice = "add Runtime=provided.al2023 to the parameter_overrides of prod in samconfig.toml"
    creation, update = (
        f"AWS no longer {verb} functions with provided.al2: {advice}" for verb in ("creates", "updates")
    )
    expected = {EARLY: ([], []), CREATION_ENDED: ([creation], []), UPDATES_ENDED: ([creation], [update])}
    for today, (new, deployed) in expected.items():
        aws.has_none()
        assert aws.check("Environment=dev", today=today) == new
        aws.has_stack("UPDATE_COMPLETE", Runtime="provided.al2")
        assert aws.check("Environment=dev", today=today) == deployed
        aws.has_none()
        assert aws.check("Environment=dev", "Runtime=provided.al2023", today=today) == []


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_was_never_deployed_is_new(aws: Aws, status: str) -> None:
    aws.has_stack(status, Runtime="provided.al2")
    (problem,) = aws.check("Environment=dev", today=CREATION_ENDED)
    assert problem.startswith("AWS no longer creates functions")


def test_an_error_of_cloudformation_is_raised(aws: Aws) -> None:
    aws.stub.add_client_error("describe_stacks", "AccessDenied", "not authorized")
    with pytest.raises(ClientError, match="not authorized"):
        aws.check("Environment=dev")


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ("prod", "error: Unable to locate credentials\n"),
        ("none", "error: samconfig.toml has no environment none\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(environment: str, error: str, root: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "tools/check_parameters.py", "--config-env", environment],
        cwd=root,
        env={"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", error)


def commands_of_make(root: Path) -> list[str]:
    """Returns what `make deploy` would run."""
    make = ["make", "--dry-run", "--no-print-directory", "deploy", "ENV=prod"]
    return subprocess.run(make, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()


def commands_of_codebuild(buildspec: Path) -> list[str]:
    """Returns what CodeBuild runs."""
    phases = yaml.safe_load(buildspec.read_text())["phases"]
    return [command for phase in phases.values() for command in phase["commands"]]


def assert_order(commands: list[str], *patterns: str) -> None:
    """Asserts that the first command of each pattern comes after that of the pattern before it."""
    first = [next(n for n, command in enumerate(commands) if re.search(pattern, command)) for pattern in patterns]
    assert first == sorted(first)


def test_the_parameters_are_checked_before_anything_is_built_or_deployed(root: Path) -> None:
    assert_order(
        commands_of_make(root), "check.parameters", "release_build.py", "sam package", "release.py", "sam deploy"
    )
    # The build is the same for all environments.
    assert_order(
        commands_of_codebuild(root / "pipeline/buildspecs/prepare.yml"), "check.parameters", "change_set.py prepare"
    )


def chosen_template(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the template that this command of the SAM CLI takes in that folder."""
    chosen = []

    def stop(template_file: str, *_: object, **__: object) -> None:
        chosen.append(folder / template_file)
        # Nothing is to be sent.
        raise click.Abort

    monkeypatch.chdir(folder)
    monkeypatch.setenv("SAM_CLI_TELEMETRY", "0")
    _, name, *arguments = line.split()
    module = {"deploy": deploy, "package": package}[name]
    monkeypatch.setattr(module, "do_cli", stop)
    ended = CliRunner().invoke(module.cli, arguments)
    assert chosen, ended.output
    return chosen[0]


def test_an_old_build_of_the_sam_cli_is_not_deployed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(root / name, tmp_path)
    old = tmp_path / ".aws-sam/build/template.yaml"
    old.parent.mkdir(parents=True)
    shutil.copy(root / "template.yaml", old)
    # The SAM CLI prefers it.
    assert chosen_template("sam package --config-env prod", tmp_path, monkeypatch) == old

    for commands in (commands_of_make(root), commands_of_codebuild(root / "buildspec.yml")):
        (packaged,) = [line for line in commands if line.startswith("sam package")]
        assert chosen_template(packaged, tmp_path, monkeypatch) == tmp_path / "template.yaml"
    shutil.copy(root / "template.yaml", tmp_path / "release-template.yaml")
    (deployed,) = [line for line in commands_of_make(root) if line.startswith("sam deploy")]
    assert chosen_template(deployed, tmp_path, monkeypatch) == tmp_path / "release-template.yaml"


def test_make_asks_before_a_deployment_to_prod(root: Path) -> None:
    (made,) = [line for line in commands_of_make(root) if line.startswith("sam deploy")]
    assert "--no-confirm-changeset" not in made.split()
