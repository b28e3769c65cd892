"""The environments of samconfig.toml and the names of stacks, in the tools and in the Makefile."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from samconfig import name_problem, settings

# Verbs of the Makefile that work with a deployed stack, and what comes only after the check of its name.
VERBS = {
    "deploy": "tools/release_build.py",
    "smoke": None,
    "deploy-web": "npm run",
    "undeploy-web": None,
    "verify": "tools/verify.py",
    "redrive": None,
    "settle": None,
    "check-parameters": None,
    "token": "tools/run local token",
    "url": "tools/run local url",
}

OPTIONS = ("--config-env", "dev", "--stack", "Ann")
# Prints how each of these commands ends. All run in one process, because each start of one takes a while.
ENDS = """
import json, runpy, sys
sys.path.insert(0, "tools")
ends = {}
for sys.argv in json.loads(sys.argv[1]):
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        ends[sys.argv[0]] = end.code
print(json.dumps(ends))
"""


@pytest.fixture(autouse=True)
def _here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.mark.parametrize("name", ["order-api-ann", "a", "a" * 50, "order-api-7-"])
def test_a_good_name_replaces_that_of_the_environment(name: str) -> None:
    assert settings("dev", name) == settings("dev") | {"stack_name": name}


@pytest.mark.parametrize("name", ["", "Ann", "7-up", "-ann", "ann_1", "ann bob", "ann\n", "é", "a" * 51, "$(HOME)"])
def test_a_name_has_at_most_50_lower_case_letters_digits_and_hyphens(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert problem.startswith(
        "STACK must have at most 50 lower-case letters, digits and hyphens, and start with a letter"
    )
    assert repr(name) in problem


@pytest.mark.parametrize("word", ["aws", "amazon", "cognito"])
def test_a_name_has_no_word_that_cognito_reserves(word: str) -> None:
    assert name_problem(f"my-{word}-stack") == (
        f"STACK must not contain aws, amazon or cognito, but contains {word}: 'my-{word}-stack'"
    )


def test_the_environments_have_good_names() -> None:
    assert [name_problem(settings(env)["stack_name"]) for env in ("local", "dev", "prod")] == [None] * 3


def test_the_commands_are_for_the_root_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: samconfig\.toml is missing: run this in the root folder"):
        settings("dev")


def tools_of_stacks(root: Path) -> list[str]:
    """Returns the tools whose stack a name on the command line chooses."""
    chosen = re.compile("settings_from_arguments|parser, settings|settings, parser")
    return sorted(path.name for path in (root / "tools").glob("*.py") if chosen.search(path.read_text()))


def test_every_tool_takes_the_name(root: Path, tmp_path: Path) -> None:
    more = {
        "restore.py": ["--table", "t", "--yes"],
        "settle.py": ["--order", "7", "--yes"],
        "change_set.py": ["execute", "--role", "r", "--boundary", "b", "--run", "1", "--change-set", "none"],
    }
    found = tools_of_stacks(root)
    assert {"check_parameters.py", "deploy_web.py", *more} < set(found)
    commands = [[f"tools/{tool}", *OPTIONS, *more.get(tool, [])] for tool in found]
    ran = subprocess.run(
        [sys.executable, "-c", ENDS, json.dumps(commands)],
        env={"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        check=True,
        capture_output=True,
        text=True,
    )
    problem = name_problem("Ann")
    assert json.loads(ran.stdout) == {f"tools/{tool}": f"error: {problem}" for tool in found}


def planned(verb: str, *arguments: str) -> str:
    """Returns the commands that make would run."""
    command = ["make", "--dry-run", "--no-print-directory", verb, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment["STACK"] = "of-the-shell"
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("verb", "later"), VERBS.items())
def test_make_passes_the_name_and_checks_it_first(verb: str, later: str | None) -> None:
    steps = planned(verb, "STACK=order-api-ann")
    checked = re.search(r"python tools/\w+\.py --config-env dev --stack=", steps)
    assert checked, steps
    assert later is None or checked.start() < steps.index(later)
    assert 'STACK"' not in planned(verb)


def test_the_name_is_taken_as_it_was_typed() -> None:
    steps = planned("deploy", "STACK=ann").replace("\\\n", "").splitlines()
    (deployed,) = [line for line in steps if line.startswith("sam deploy")]
    assert deployed.endswith('--stack-name="$STACK" --s3-prefix="$STACK"')
    command = ["make", "--silent", "check-parameters", "STACK=a $(HOME) `id` $HOME"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "with a letter: 'a $(HOME) `id` $HOME'\n" in ran.stderr


def test_an_empty_name_is_not_that_of_the_environment() -> None:
    assert "--stack=" in planned("redrive", "STACK=")
