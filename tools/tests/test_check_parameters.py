"""The check of the parameters, with a stubbed CloudFormation; and the template that is deployed."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
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

from check_parameters import has_functions, runtime_problems, url_problems
from samconfig import parameters

PROVIDERS = ["PaymentUrl=https://pay.example.com/v1", "RestaurantUrl=https://restaurants.example.com"]
BEFORE, CREATION_ENDS, UPDATES_END = date(2027, 1, 31), date(2027, 2, 1), date(2027, 3, 3)


def names_of_problems(root: Path, environment: str, *overrides: str) -> list[str]:
    template = yaml_parse((root / "template.yaml").read_text())
    values = parameters(template, [f"Environment={environment}", *overrides])
    return [line.split()[0] for line in url_problems(values)]


@pytest.mark.parametrize(
    ("overrides", "problems"),
    [
        (PROVIDERS, []),
        ([], ["PaymentUrl", "RestaurantUrl"]),
        ([*PROVIDERS, "PaymentUrl=http://pay.example.com"], ["PaymentUrl"]),
        ([*PROVIDERS, "RestaurantUrl=https://localhost:8443"], ["RestaurantUrl"]),
        ([*PROVIDERS, "WebOrigin=http://localhost:5173"], ["WebOrigin"]),
        ([*PROVIDERS, "WebOrigin=http://orders.example.com"], ["WebOrigin"]),
        ([*PROVIDERS, "WebOrigin=https://127.0.0.1:5173"], ["WebOrigin"]),
        ([*PROVIDERS, "CallbackUrls=https://orders.example.com/,http://localhost:5173/"], ["CallbackUrls"]),
        ([*PROVIDERS, "LogoutUrls=http://localhost:5173/"], ["LogoutUrls"]),
        ([*PROVIDERS, "CallbackUrls=com.example.orders://signed-in"], []),
    ],
)
def test_prod_has_https_only_and_nothing_of_this_machine(root: Path, overrides: list[str], problems: list[str]) -> None:
    assert names_of_problems(root, "prod", *overrides) == problems
    assert names_of_problems(root, "dev", *overrides) == []


def test_the_runtime_is_looked_at_only_when_aws_blocks_it() -> None:
    def asked() -> bool:
        pytest.fail("CloudFormation is asked")

    assert runtime_problems("dev", "provided.al2", BEFORE, asked) == []
    for today in (BEFORE, CREATION_ENDS, UPDATES_END):
        assert runtime_problems("dev", "provided.al2023", today, asked) == []


def test_a_new_stack_and_later_every_stack_needs_another_runtime() -> None:
    advice = "add Runtime=provided.al2023 to the parameter_overrides of dev in samconfig.toml"
    (creation,) = runtime_problems("dev", "provided.al2", CREATION_ENDS, lambda: False)
    assert creation == f"AWS no longer creates functions with provided.al2: {advice}"
    assert runtime_problems("dev", "provided.al2", CREATION_ENDS, lambda: True) == []
    for is_deployed in (True, False):
        (update,) = runtime_problems("dev", "provided.al2", UPDATES_END, lambda deployed=is_deployed: deployed)
        assert update == f"AWS no longer updates functions with provided.al2: {advice}"


@pytest.fixture
def cloudformation():
    client = boto3.Session("id", "secret", region_name="eu-west-1").client("cloudformation")
    with Stubber(client) as stub:
        yield client, stub


@pytest.mark.parametrize(
    ("status", "expected"),
    [("UPDATE_COMPLETE", True), ("CREATE_COMPLETE", True), ("ROLLBACK_COMPLETE", False), ("REVIEW_IN_PROGRESS", False)],
)
def test_a_stack_that_was_never_deployed_has_no_functions(cloudformation, status: str, *, expected: bool) -> None:
    client, stub = cloudformation
    stack = {"StackName": "order-api-dev", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}
    stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "order-api-dev"})
    assert has_functions(client, "order-api-dev") is expected


def test_a_stack_that_does_not_exist_has_no_functions_and_any_other_error_is_raised(cloudformation) -> None:
    client, stub = cloudformation
    stub.add_client_error("describe_stacks", "ValidationError", "Stack with id order-api-dev does not exist")
    assert has_functions(client, "order-api-dev") is False
    stub.add_client_error("describe_stacks", "AccessDenied", "not authorized")
    with pytest.raises(ClientError, match="not authorized"):
        has_functions(client, "order-api-dev")


def test_a_problem_is_one_line_and_an_exit_code(root: Path, tmp_path: Path) -> None:
    # With the runtime that AWS does not block, so that the result does not depend on the day.
    for name in ("template.yaml", "samconfig.toml"):
        text = (root / name).read_text().replace('"Environment=', '"Runtime=provided.al2023", "Environment=')
        (tmp_path / name).write_text(text)

    def check(environment: str) -> tuple[int, str, str]:
        command = [sys.executable, str(root / "tools/check_parameters.py"), "--config-env", environment]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout, ended.stderr

    assert check("dev") == (0, "the parameters of dev may be deployed\n", "")
    missing = "must be an https URL in prod, and is ''"
    assert check("prod") == (1, "", f"error: PaymentUrl {missing}\nerror: RestaurantUrl {missing}\n")
    assert check("none") == (1, "", "error: samconfig.toml has no environment none\n")


def commands_of_make(root: Path) -> list[str]:
    """Returns what `make deploy` would run."""
    make = ["make", "--dry-run", "--no-print-directory", "deploy", "ENV=prod"]
    return subprocess.run(make, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()


def commands_of_codebuild(root: Path) -> list[str]:
    phases = yaml.safe_load((root / "buildspec.yml").read_text())["phases"]
    commands = [command for phase in phases.values() for command in phase["commands"]]
    return [command.replace('"$DEPLOY_ENV"', "prod") for command in commands]


@pytest.mark.parametrize("commands_of", [commands_of_make, commands_of_codebuild])
def test_the_parameters_are_checked_before_anything_is_built(
    commands_of: Callable[[Path], list[str]], root: Path
) -> None:
    commands = commands_of(root)
    first = {
        what: next(n for n, command in enumerate(commands) if re.search(what, command))
        for what in ("check.parameters", "cargo lambda build|make release-build", "sam deploy")
    }
    assert list(first.values()) == sorted(first.values())


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
    shutil.copy(root / "template.yaml", tmp_path / "packaged.yaml")
    # The SAM CLI prefers it.
    assert chosen_template("sam deploy --config-env prod", tmp_path, monkeypatch) == old

    (deployed,) = [line for line in commands_of_make(root) if line.startswith("sam deploy")]
    assert chosen_template(deployed, tmp_path, monkeypatch) == tmp_path / "template.yaml"
    packaged, deployed = [line for line in commands_of_codebuild(root) if line.startswith("sam ")]
    assert chosen_template(packaged, tmp_path, monkeypatch) == tmp_path / "template.yaml"
    assert chosen_template(deployed, tmp_path, monkeypatch) == tmp_path / "packaged.yaml"


def test_only_people_are_asked_before_a_deployment_to_prod(root: Path) -> None:
    (made,) = [line for line in commands_of_make(root) if line.startswith("sam deploy")]
    (built,) = [line for line in commands_of_codebuild(root) if line.startswith("sam deploy")]
    assert "--no-confirm-changeset" in built.split()
    assert "--no-confirm-changeset" not in made.split()
