"""The Makefile's commands up to the moment at which they start something, with other programs in the place of cargo."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Status of a make that has failed.
FAILED = 2
# Prints its arguments. tools/run asks cargo for the program that it starts, so this is the program, too.
PROGRAM = "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
# Writes that it was called, and names the program.
CARGO = """#!/usr/bin/env bash
echo "$@" >>'{folder}/calls'
echo '{{"reason": "compiler-artifact", "executable": null}}'
echo '{{"reason": "compiler-artifact", "executable": "{folder}/somewhere else/program"}}'
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def cargo(tmp_path: Path) -> Path:
    """A folder with a cargo that builds nothing; its calls are in the file `calls`."""
    executable(tmp_path / "cargo", CARGO.format(folder=tmp_path))
    executable(tmp_path / "somewhere else/program", PROGRAM)
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def make(folder: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs make in `cwd`, with the programs of the folder before all others."""
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment = {name: value for name, value in environment.items() if not name.startswith("MAKE")}
    command = ["make", "--silent", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True
    )


def test_values_reach_the_program_as_they_were_typed(root: Path, cargo: Path) -> None:
    password, scope = "-Pa$word-1 $(HOME) `id` \"'#", "orders/read orders/write"
    ran = make(cargo, "token", "PERSON=ann", f"PASSWORD={password}", f"SCOPE={scope}", cwd=root)
    # By a `=`: a value that starts with a hyphen would be taken for an option.
    expected = ["token", "--port", "4566", f"--scope={scope}", "--person=ann", f"--password={password}"]
    assert json.loads(ran.stdout) == expected
    assert json.loads(make(cargo, "token", cwd=root).stdout) == expected[:3]
    assert "Order a$b\n" in make(cargo, "settle", "ORDER=a$b", cwd=root).stdout
    ran = make(cargo, "follow", "ORDER=orders/a$b/order/1", "PORT=4600", cwd=root)
    assert json.loads(ran.stdout) == ["follow", "--port", "4600", "--order=orders/a$b/order/1"]
    ran = make(cargo, "status", "STACK=mine", "ENV=prod", cwd=root)
    assert json.loads(ran.stdout) == ["status", "--config-env", "prod", "--stack=mine"]


@pytest.mark.parametrize(
    ("verb", "variable"),
    [
        ("dev", "PORT"),
        ("dev", "WEB_PORT"),
        ("watch", "WATCH_PORT"),
        ("start-api", "START_API_PORT"),
        ("docs", "DOCS_PORT"),
    ],
)
def test_a_port_is_checked_before_anything_starts(
    root: Path, cargo: Path, taken_port: int, verb: str, variable: str
) -> None:
    ran = make(cargo, verb, f"PORT={free_port()}", f"{variable}={taken_port}", cwd=root)
    assert ran.stderr.startswith(f"error: port {taken_port} is in use: "), ran.stderr
    assert (ran.returncode, ran.stdout) == (FAILED, "")
    assert not (cargo / "calls").exists()


def test_two_servers_on_one_port_are_refused_before_anything_starts(root: Path, cargo: Path) -> None:
    port = free_port()
    ran = make(cargo, "dev", f"PORT={port}", f"WEB_PORT={port}", cwd=root)
    assert ran.stderr.startswith(f"error: PORT and WEB_PORT are both {port}: "), ran.stderr
    assert (ran.returncode, ran.stdout, (cargo / "calls").exists()) == (FAILED, "", False)


@pytest.mark.parametrize(("verb", "steps"), [("dev", 5), ("watch", 4), ("start-api", 5)])
def test_a_start_counts_its_steps(root: Path, cargo: Path, verb: str, steps: int) -> None:
    planned = make(cargo, "--dry-run", verb, cwd=root).stdout
    assert re.findall(r"Step (\d) of (\d): \w", planned) == [(str(n), str(steps)) for n in range(1, steps + 1)]


def test_an_old_make_is_told_in_one_line(root: Path, cargo: Path) -> None:
    ran = make(cargo, "MAKE_VERSION=3.81", "help", cwd=root)
    assert "GNU make 4 or newer is needed, and this is 3.81" in ran.stderr
    assert (ran.returncode, len(ran.stderr.splitlines())) == (FAILED, 1)


def test_the_makefile_of_another_folder_is_refused(root: Path, cargo: Path) -> None:
    ran = make(cargo, "--file", str(root / "Makefile"), "help", cwd=cargo)
    assert "Run make in the root folder of the checkout" in ran.stderr
    assert ran.returncode == FAILED


def test_clean_leaves_nothing_that_git_ignores_and_everything_else(root: Path, cargo: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    sources = ["Makefile", "template.yaml", "web/src/main.tsx", "web/e2e/package.json", "tools/tests/test_make.py"]
    leftovers = []
    for pattern in (root / ".gitignore").read_text().split():
        # A pattern without a slash before its end is for every folder.
        folders = [""] if pattern.startswith("/") else ["web", "web/e2e", "openapi", "tools/clients", "tools/tests"]
        name = f"{pattern}file" if pattern.endswith("/") else pattern
        leftovers += [f"{folder}/{name}".lstrip("/") for folder in folders]
    for path in [*sources, *leftovers]:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).touch()
    shutil.copy(root / "Makefile", checkout)
    assert make(cargo, "clean", cwd=checkout).returncode == 0
    left = [path.relative_to(checkout).as_posix() for path in checkout.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(sources)


# Answers to `docker info` and `docker context inspect`.
DOCKER = """#!/usr/bin/env bash
case "$*" in
  info) echo {info} >&2; exit {status} ;;
  'context inspect '*) echo unix:///run/user/1000/docker.sock ;;
esac
"""


def docker_host(root: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([root / "tools/docker-host"], env={"PATH": path}, check=False, capture_output=True, text=True)


def test_sam_gets_the_engine_of_dockers_context(root: Path, cargo: Path) -> None:
    executable(cargo / "docker", DOCKER.format(info="", status=0))
    executable(cargo / "somewhere else/program", '#!/usr/bin/env bash\necho "$1 $DOCKER_HOST"\n')
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # In the place of make, for the steps that install and compile.
    ran = make(cargo, "start-api", "MAKE=true", f"START_API_PORT={port}", cwd=root)
    assert ran.stdout.splitlines()[-1:] == ["start-api unix:///run/user/1000/docker.sock"], ran


def test_the_reason_why_docker_does_not_answer_is_shown(root: Path, tmp_path: Path) -> None:
    executable(tmp_path / "docker", DOCKER.format(info="permission denied", status=1))
    ran = docker_host(root, f"{tmp_path}:/usr/bin:/bin")
    assert ran.stderr == "error: make start-api needs Docker: docker info says: permission denied\n"
    assert (ran.returncode, ran.stdout) == (1, "")


def test_an_interrupted_installation_leaves_no_folder_that_looks_complete(root: Path, tmp_path: Path) -> None:
    for path in ("template.yaml", "tools/requirements.txt", "web/package-lock.json"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    shutil.copy(root / "Makefile", tmp_path)
    installed = tmp_path / "web/node_modules"
    # The signal that a terminal sends to all processes of a command.
    executable(tmp_path / ".tools/aws/bin/npm", "#!/usr/bin/env bash\nmkdir node_modules\nkill -TERM 0\nsleep 60\n")
    command = ["make", "--silent", "web/node_modules"]
    stopped = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, start_new_session=True)
    assert stopped.returncode != 0
    assert not installed.exists()
    executable(tmp_path / ".tools/aws/bin/npm", "#!/usr/bin/env bash\nmkdir node_modules\n")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert installed.is_dir()
