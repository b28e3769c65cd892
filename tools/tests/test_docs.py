"""The documents against what they speak of: commands, links, paths and kinds of problems.

The commands that call the API are run by an end-to-end test, local/tests/e2e/dev.rs. The others need an AWS account or
start servers; they are checked here.
"""

import functools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MAX_README_LINES = 200
# Services without regions.
GLOBAL_SERVICES = {"iam"}
# Options of the AWS CLI itself, which every operation takes.
GLOBAL_OPTIONS = {"output", "profile", "query", "region"}
# Tools, by the words before the subcommand.
TOOLS = ("cargo lambda", "sam local", "sam")
# Folders of the checkout whose files the documents name. What is built or installed is not there yet.
FOLDERS = (
    "bench",
    "chaos",
    "docs",
    "events",
    "functions",
    "fuzz",
    "local",
    "openapi",
    "pipeline",
    "shared",
    "statemachine",
    "tools",
    ".github",
)
BOTOCORE = botocore.session.get_session()
ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def shell_blocks(text: str) -> list[str]:
    return [body for _, language, body in FENCE.findall(text) if language == "sh"]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", FENCE.sub("", text))


def commands(line: str) -> Iterator[list[str]]:
    """Yields the words of each command of a line, of those in $(...) too."""
    while substitution := re.search(r"\$\(([^()]*)\)", line):
        yield from commands(substitution[1])
        line = line.replace(substitution[0], "substituted", 1)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    command = []
    for word in lexer:
        if set(word) <= set("|;&"):
            yield command
            command = []
        else:
            command.append(word)
    yield command


def commands_of(text: str, program: str) -> Iterator[list[str]]:
    """Yields the arguments of each command that runs the program, in shell blocks and in code spans."""
    lines = [line for block in shell_blocks(text) for line in block.splitlines()]
    spans = [span for span in code_spans(text) if span.startswith(f"{program} ")]
    for line in lines + spans:
        for command in commands(line):
            if command[:1] == [program]:
                yield command[1:]


def make_problems(text: str, makefile: str) -> list[str]:
    """Verbs and variables that the Makefile does not have."""
    verbs = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z_]+)\)", makefile))
    variables |= set(re.findall(r"^(?:[a-z-]+: )?override export ([A-Z_]+) :=", makefile, re.MULTILINE))
    wrong = []
    for arguments in commands_of(text, "make"):
        if arguments[:1] == ["-sC"]:
            wrong += function_problems(arguments)
            continue
        for argument in arguments:
            name, is_variable, _ = argument.partition("=")
            if name not in (variables if is_variable else verbs):
                wrong.append(f"make {argument}")
    return wrong


def function_problems(arguments: list[str]) -> list[str]:
    """Folders without a Makefile and verbs that it does not have, after `make -sC`."""
    _, folder, *verbs = arguments
    known = re.findall(r"^([a-z]+):", (ROOT / "functions/function.mk").read_text(), re.MULTILINE)
    names_a_function = folder.startswith("functions/") and (ROOT / folder / "Makefile").exists()
    return [f"make -sC {folder} {verb}" for verb in verbs if not (names_a_function and verb in known)]


def polled_by(service: str, waiter: str) -> str:
    """The operation that a waiter of the AWS CLI polls; the name of the waiter itself if there is none."""
    model = BOTOCORE.get_waiter_model(service)
    names = {xform_name(name, "-"): name for name in model.waiter_names}
    return xform_name(model.get_waiter(names[waiter]).operation, "-") if waiter in names else waiter


def aws_problems(text: str) -> list[str]:
    """Commands of the AWS CLI that it does not have, by the model of the services that it shares with botocore."""
    wrong = []
    for service, *words in commands_of(text, "aws"):
        is_waiter = words[0] == "wait"
        operation, *arguments = words[is_waiter:]
        try:
            if is_waiter:
                operation = polled_by(service, operation)
            model = BOTOCORE.get_service_model(service)
            names = {xform_name(name, "-"): name for name in model.operation_names}
            shape = model.operation_model(names.get(operation, operation)).input_shape
        except (UnknownServiceError, OperationNotFoundError):
            wrong.append(f"aws {service} {operation}")
            continue
        options = {argument.removeprefix("--") for argument in arguments if argument.startswith("--")}
        members = {xform_name(name, "-"): member.type_name for name, member in shape.members.items()}
        members |= {f"no-{name}": kind for name, kind in members.items() if kind == "boolean"}
        unknown = options - GLOBAL_OPTIONS - members.keys()
        wrong += [f"aws {service} {operation} --{option}" for option in sorted(unknown)]
        # A command that is only named in the text has no options.
        if options:
            required = {xform_name(name, "-") for name in shape.required_members}
            missing = (required if service in GLOBAL_SERVICES else required | {"region"}) - options
            wrong += [f"aws {service} {operation} without --{option}" for option in sorted(missing)]
    return wrong


@functools.cache
def help_of(*command: str) -> str | None:
    """The help of a command; none if there is no such command."""
    shown = subprocess.run([*command, "--help"], check=False, capture_output=True, text=True)
    return shown.stdout if shown.returncode == 0 else None


def tool_problems(text: str) -> list[str]:
    """Commands and options of cargo-lambda and the SAM CLI that their help does not have."""
    wrong = []
    for program in ("cargo", "sam"):
        for arguments in commands_of(text, program):
            words = [program, *arguments]
            tool = next((tool.split() for tool in TOOLS if words[: len(tool.split())] == tool.split()), None)
            if tool is None:
                continue
            command = words[: len(tool) + 1]
            shown = help_of(*command)
            if shown is None:
                wrong.append(" ".join(command))
                continue
            options = {word.partition("=")[0] for word in words[len(command) :] if word.startswith("-")}
            known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", shown))
            wrong += [f"{' '.join(command)} {option}" for option in sorted(options - known)]
    return wrong


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def link_problems(text: str, path: Path) -> list[str]:
    """Links in the document at that path that lead to no file or to no heading."""
    wrong = []
    for link in re.findall(r"\]\(([^)]+)\)", FENCE.sub("", text)):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


def path_problems(text: str) -> list[str]:
    """Files and folders of the checkout that are named in code spans and are not there; `*` stands for any name."""
    paths = [span for span in code_spans(text) if span.startswith(tuple(f"{folder}/" for folder in FOLDERS))]
    return [path for path in paths if not list(ROOT.glob(path))]


def kinds_of_problems(text: str) -> list[tuple[int, str, str]]:
    """The rows of the table of kinds: status, kind, and when it is sent."""
    table = text.partition("| status | kind | when |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \| ([^|]+) \|$", table, re.MULTILINE)
    return [(int(status), kind, when) for status, kind, when in rows]


def kinds_of_responses(document: dict) -> set[tuple[int, str, str]]:
    """The same from the descriptions of the responses: "`kind`: when. `kind`: when."."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    return {
        (int(status), kind, when)
        for operation in operations
        for status, response in operation["responses"].items()
        for kind, when in re.findall(r"`([a-z-]+)`: (.+?)\.(?= `|$)", response["description"])
    }


@every_document
def test_shell_blocks_are_bash(path: Path) -> None:
    for block in shell_blocks(path.read_text()):
        checked = subprocess.run(["bash", "-n"], input=block, check=False, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, ""), block


@every_document
def test_commands_exist(path: Path) -> None:
    text = path.read_text()
    assert make_problems(text, (ROOT / "Makefile").read_text()) == []
    assert aws_problems(text) == []
    assert tool_problems(text) == []


@every_document
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    assert link_problems(text, path) == []
    assert path_problems(text) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_the_readme_says_whether_a_release_has_been_tried_on_aws() -> None:
    """`make verify` writes a report of each complete run on AWS."""
    says_none = "**No release has been tried on AWS yet.**" in (ROOT / "README.md").read_text()
    assert says_none == (list((ROOT / "docs/verified").glob("*.md")) == [])


def test_the_api_document_has_every_kind_of_problem() -> None:
    rows = kinds_of_problems((ROOT / "docs/api.md").read_text())
    described = [(status, kind) for status, kind, _ in rows]
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    examples = document["components"]["schemas"]["ProblemDetails"]["examples"]
    prefix = "urn:problem-type:order-api:"
    catalogue = [(example["status"], example["type"].removeprefix(prefix)) for example in examples]
    assert len(set(described)) == len(described)
    assert set(described) == set(catalogue)
    # An unknown route is of no operation.
    assert {row for row in rows if row[1] != "no-such-route"} == kinds_of_responses(document)


def test_the_api_document_has_every_field_of_an_order() -> None:
    table = (ROOT / "docs/api.md").read_text().partition("| field | set by | meaning |\n")[2].partition("\n\n")[0]
    described = [name for row in table.splitlines() for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    assert sorted(described) == sorted(document["components"]["schemas"]["Order"]["properties"])


@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ("`make deply ENV=dev`", "make deply"),
        ("```sh\nmake deploy STAGE=dev\n```", "make STAGE=dev"),
        ("```sh\nA=$(make tokn | tr a b)\n```", "make tokn"),
        ("`make -sC functions/get-order invok`", "make -sC functions/get-order invok"),
        ("`make -sC functions/nowhere invoke`", "make -sC functions/nowhere invoke"),
        ("`aws dynamodb wait table-exist`", "aws dynamodb table-exist"),
        ("```sh\naws dynamodb wait table-exists --table t\n```", "aws dynamodb describe-table --table"),
        ("`aws stepfunction stop-execution`", "aws stepfunction stop-execution"),
        ("`aws stepfunctions stop-executions`", "aws stepfunctions stop-executions"),
        ("```sh\naws sqs send-message --queue-url u --body b\n```", "aws sqs send-message --body"),
        ("```sh\naws sqs send-message --queue-url u\n```", "aws sqs send-message without --message-body"),
        ("```sh\naws sqs send-message --queue-url u\n```", "aws sqs send-message without --region"),
        ('  ```sh\n  X="$(aws iam get-role --name r)"\n  ```', "aws iam get-role --name"),
        ("```sh\ncargo lambda invoke get-orders --datafile e.json\n```", "cargo lambda invoke --datafile"),
        ("`cargo lambda invok get-orders`", "cargo lambda invok"),
        ("`sam delete --environment dev`", "sam delete --environment"),
        ("`sam local start-apis`", "sam local start-apis"),
        ("[deploying](docs/deployment.md)", "docs/deployment.md"),
        ("[deploying](docs/deploy.md#nowhere)", "docs/deploy.md#nowhere"),
        ("[here](#nowhere)", "#nowhere"),
        ("`shared/src/nowhere.rs`", "shared/src/nowhere.rs"),
    ],
)
def test_a_mistake_is_noticed(mistake: str, problem: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = [
        *make_problems(mistake, makefile),
        *aws_problems(mistake),
        *tool_problems(mistake),
        *link_problems(mistake, ROOT / "README.md"),
        *path_problems(mistake),
    ]
    assert any(problem in one for one in found), found
