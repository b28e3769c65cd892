"""Runs the tests of the API on a deployed stack, and writes a report.

They are the end-to-end tests of local/tests/e2e, unchanged. They make people and orders, so the stack must not be prod
and its providers must be simulators. At the end, what they have made is deleted. The report names what is left.

If the environment has AWS_ENDPOINT_URL, the stack is one of the emulator there.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from samconfig import parser, settings

# Modules of local/tests/e2e.
SUITES = ("api", "auth", "idempotency", "simulated")
# With more tests at once, their requests would exceed the limits of a stack with the parameters of dev.
THREADS = 2
SUITE_SECONDS = 3600
WEB_ORIGIN = "http://localhost:5173"
# Orders that are being paid and sent can be deleted once they are final.
DELETION_SECONDS = 300
POLL_SECONDS = 5
HTTP_SECONDS = 30
DELETIONS_AT_ONCE = 8
# Reports of complete runs on AWS. Others prove less, so they are not kept with the documents.
KEPT, OTHERS = Path("docs/verified"), Path("target/verified")
# What must not be in a report, and what replaces it.
HIDDEN = (
    # Signed in three parts, encrypted in five.
    (re.compile(r"eyJ[\w-]+(\.[\w-]*){2,}"), "<token>"),
    (re.compile(r"Order-[0-9a-f-]{36}"), "<password>"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(\.[\w-]+)+"), "<e-mail>"),
    (re.compile(r"(?<![\w.])\d{12}(?![\w.])"), "<account>"),
    (re.compile(r"(?<=-)\d{12}(?=\.auth\.)"), "<account>"),
)
GONE = {"ResourceNotFoundException", "UserNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "NotFound"}


@dataclass
class Suite:
    """The result of one suite."""

    name: str
    seconds: float
    passed: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def hidden(text: str) -> str:
    """Returns the text without tokens, passwords, addresses and account ids."""
    for pattern, replacement in HIDDEN:
        text = pattern.sub(replacement, text)
    return text


def objections(stack: dict) -> list[str]:
    """Returns the reasons why the tests must not, or can't, run on the stack."""
    values = {p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])}
    problems = []
    if values.get("Environment") == "prod":
        problems.append("Environment is prod: the tests make people and orders, so they run on other stacks only")
    problems += [
        f"{name} is set: the tests make orders, so the providers must be simulators"
        for name in ("PaymentUrl", "RestaurantUrl")
        if values.get(name)
    ]
    if values.get("WebOrigin") != WEB_ORIGIN:
        problems.append(f"WebOrigin must be {WEB_ORIGIN}, as samconfig.toml has it for dev")
    if f"{WEB_ORIGIN}/" not in values.get("CallbackUrls", "").split(","):
        problems.append(f"CallbackUrls must contain {WEB_ORIGIN}/, as samconfig.toml has it for dev")
    return problems


def result(name: str, output: str, status: int, seconds: float) -> Suite:
    """Reads what `cargo test` has printed."""
    suite = Suite(name.removesuffix("::"), seconds)
    ended = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", output, re.MULTILINE))
    messages = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^----|^failures:)", output, re.MULTILINE | re.DOTALL))
    suite.passed = list(ended.values()).count("ok")
    suite.failures = {test: messages.get(test, "").strip() for test, end in ended.items() if end == "FAILED"}
    # It did not compile, was killed, or has no tests.
    if not suite.failures and (status != 0 or not ended):
        suite.failures[suite.name] = f"cargo test ended with status {status}:\n" + "\n".join(output.splitlines()[-20:])
    return suite


@contextmanager
def held_signals() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back until the end of the block: what it starts can then be ended."""
    held = []
    handlers = {
        number: signal.signal(number, lambda *_: held.append(True)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if held:
        raise KeyboardInterrupt


def run_suite(name: str, environment: dict[str, str]) -> Suite:
    """Runs the tests whose names contain this name."""
    command = ["cargo", "test", "--locked", "--workspace", "--test", "e2e", name, "--", "--test-threads", str(THREADS)]
    started = time.monotonic()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = None
    try:
        with held_signals():
            # In a group, because cargo leaves the tests running when it is killed.
            running = subprocess.Popen(command, env=environment, process_group=0, **pipes)
        output, _ = running.communicate(timeout=SUITE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as reason:
        if running:
            os.killpg(running.pid, signal.SIGKILL)
            output, _ = running.communicate()
        if isinstance(reason, KeyboardInterrupt):
            raise
        output += f"\nstopped after {SUITE_SECONDS} seconds"
    return result(name, output, running.returncode, time.monotonic() - started)


def printed_by(*command: str) -> str:
    """Returns what a program prints."""
    ran = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return ran.stdout.strip()


# --- What the tests have made ---


def deletions(region: str, user_pool: str) -> dict[str, Callable[[str], object]]:
    """Returns the function that deletes each kind of thing, except orders."""
    cognito, sqs, sns = (boto3.client(service, region_name=region) for service in ("cognito-idp", "sqs", "sns"))

    def delete_user_pool(name: str) -> None:
        domain, pool = name.split(" ")
        cognito.delete_user_pool_domain(Domain=domain, UserPoolId=pool)
        cognito.delete_user_pool(UserPoolId=pool)

    return {
        "person": lambda name: cognito.admin_delete_user(UserPoolId=user_pool, Username=name),
        "client": lambda name: cognito.delete_user_pool_client(UserPoolId=user_pool, ClientId=name),
        "user-pool": delete_user_pool,
        "queue": lambda name: sqs.delete_queue(QueueUrl=name),
        "subscription": lambda name: sns.unsubscribe(SubscriptionArn=name),
    }


def delete_order(api_url: str, token: str, path: str) -> int:
    """Deletes an order by the API and returns the status of the answer."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{api_url}{path}", method="DELETE", headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as answer:  # noqa: S310
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def delete_orders(paths: list[str], delete: Callable[[str], int], clock: Callable[[], float] = time.monotonic) -> list:
    """Deletes the orders, those in process once they are final, and returns the others."""
    deadline = clock() + DELETION_SECONDS
    with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
        while paths:
            statuses = pool.map(delete, paths)
            # 404 is final: a submitted order that is not saved yet will not be saved.
            paths = [path for path, status in zip(paths, statuses, strict=True) if status not in {204, 404}]
            if paths and clock() >= deadline:
                break
            if paths:
                time.sleep(POLL_SECONDS)
    return paths


def clean_up(
    ledger: list[dict], delete: dict[str, Callable[[str], object]], delete_order: Callable[[str], int]
) -> list[str]:
    """Deletes what the ledger names, and returns a line for each thing that is left."""
    made = list(dict.fromkeys((entry["kind"], entry["name"]) for entry in ledger))
    left = []
    for kind, name in made:
        if kind == "order":
            continue
        try:
            delete[kind](name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                left.append(f"{kind} {name}: {error}")
        except BotoCoreError as error:
            left.append(f"{kind} {name}: {error}")
    orders = [name for kind, name in made if kind == "order"]
    return left + [f"order {path}" for path in delete_orders(orders, delete_order)]


# --- The report ---


def report(facts: dict[str, str], suites: list[Suite], left: list[str]) -> str:
    """Returns the report in Markdown."""
    lines = [f"# Verification of {facts['stack']}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "## Suites", "", "| suite | passed | failed | seconds |", "|---|---|---|---|"]
    lines += [f"| {s.name} | {s.passed} | {len(s.failures)} | {s.seconds:.1f} |" for s in suites]
    failures = [(test, message) for suite in suites for test, message in suite.failures.items()]
    if failures:
        lines += ["", "## Failures"]
    for test, message in failures:
        lines += ["", f"### {test}", "", "~~~", message, "~~~"]
    lines += ["", "## Left in the stack", ""]
    lines += [f"- {line}" for line in left] or ["Nothing but logs, and records of idempotency keys, which expire."]
    return hidden("\n".join(lines) + "\n")


def facts(stack: dict, region: str, started: datetime, suites: list[Suite]) -> dict[str, str]:
    """Returns what the report says about the run."""
    values = {p["ParameterKey"]: p.get("ParameterValue", "") for p in stack["Parameters"]}
    changed = stack.get("LastUpdatedTime") or stack["CreationTime"]
    changes = printed_by("git", "status", "--porcelain")
    return {
        "result": "passed" if succeeded(suites) else "failed",
        "stack": stack["StackName"],
        "place": "the emulator, not AWS" if "AWS_ENDPOINT_URL" in os.environ else f"AWS, {region}",
        "started": f"{started:%Y-%m-%d %H:%M} UTC",
        "seconds": f"{(datetime.now(UTC) - started).total_seconds():.0f}",
        "stack changed": f"{changed.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "parameters": ", ".join(f"{name}={values.get(name)}" for name in ("Environment", "Runtime", "Architecture")),
        "commit of the tests": f"{printed_by('git', 'rev-parse', 'HEAD')}, {'with changes' if changes else 'clean'}",
        "versions": f"{printed_by('rustc', '-V')}, Python {platform.python_version()}, boto3 {boto3.__version__}",
    }


def succeeded(suites: list[Suite]) -> bool:
    return bool(suites) and not any(suite.failures for suite in suites)


def arguments() -> argparse.Namespace:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--only", action="append", metavar="TEST", help="run only tests whose names contain this")
    return options.parse_args()


def verify(environment: dict, names: list[str]) -> tuple[list[Suite], list[str]]:
    """Runs the tests; returns their results, and what is left of what they have made."""
    chosen = ("--config-env", environment["env"], "--stack", environment["stack_name"])
    described = printed_by("tools/run", "local", "stack", *chosen)
    stack = json.loads(described)
    delete = deletions(environment["region"], stack["user_pool_id"])
    suites = []
    with TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger"
        ledger.touch()
        variables = os.environ | {"ORDER_API_STACK": described, "ORDER_API_LEDGER": str(ledger)}
        try:
            for name in names:
                suites.append(run_suite(name, variables))
                print(f"{suites[-1].name}: {suites[-1].passed} passed, {len(suites[-1].failures)} failed", flush=True)
        except KeyboardInterrupt:
            suites.append(Suite("interrupted", 0, failures={"interrupted": f"{name} was stopped"}))
        print("deleting what the tests have made", flush=True)
        try:
            # An earlier token may have expired.
            token = printed_by("tools/run", "local", "token", *chosen)
        except subprocess.CalledProcessError:
            # Every order is refused then, and named as left.
            token = ""
        made = [json.loads(line) for line in ledger.read_text().splitlines()]
    return suites, clean_up(made, delete, lambda path: delete_order(stack["api_url"], token, path))


def main() -> int:
    given = arguments()
    environment = settings(given.config_env, given.stack)
    started = datetime.now(UTC)
    # As Ctrl-C, so that what the tests have made is deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cloudformation = boto3.client("cloudformation", region_name=environment["region"])
        (stack,) = cloudformation.describe_stacks(StackName=environment["stack_name"])["Stacks"]
        if problems := objections(stack):
            sys.exit("\n".join(f"error: {line}" for line in problems))
        suites, left = verify(environment, given.only or [f"{suite}::" for suite in SUITES])
        for line in left:
            # In full, to be deleted by hand: the report hides addresses and account ids.
            print(f"left: {line}")
        text = report(facts(stack, environment["region"], started, suites), suites, left)
    except (BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    is_kept = not given.only and "AWS_ENDPOINT_URL" not in os.environ
    folder = KEPT if is_kept else OTHERS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{started:%Y-%m-%d}-{environment['stack_name']}.md"
    path.write_text(text)
    print(f"{'passed' if succeeded(suites) else 'failed'}: see {path}")
    return 0 if succeeded(suites) else 1


if __name__ == "__main__":
    sys.exit(main())
