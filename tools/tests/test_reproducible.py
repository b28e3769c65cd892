"""`make reproducible`, with a build that takes no time."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit: its build zips the file `program`."""
    folder = tmp_path / "checkout"
    (folder / ".tools/aws").mkdir(parents=True)
    (folder / "program").write_text("committed")
    settings = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for command in (("init", "--quiet"), ("add", "program"), (*settings, "commit", "--quiet", "--message", "First")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "program").write_text("edited")
    return folder


def reproducible(root: Path, checkout: Path, build: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "tools/reproducible.py", "sh", "-c", build]
    return subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)


def zips(contents: str) -> str:
    """A build that uses the tools, and writes what this command prints."""
    zipped = "target/lambda/get-order/bootstrap.zip"
    return f"ls .tools/aws && mkdir -p target/lambda/get-order && {contents} >{zipped}"


def test_equal_zips_of_the_last_commit_are_listed(root: Path, checkout: Path) -> None:
    ran = reproducible(root, checkout, zips("cat program"))
    committed = hashlib.sha256(b"committed").hexdigest()
    assert ran.stdout.splitlines()[-2:] == [f"get-order  {committed}", "all 1 zips are the same in both folders"], ran
    assert ran.returncode == 0
    # The builds are gone, and the tools to which they have led are not.
    assert [path.name for path in (checkout / "target").iterdir()] == []
    assert (checkout / ".tools/aws").exists()


@pytest.mark.parametrize("path", ["pwd", 'echo "$CARGO_HOME"', 'echo "$ZIG_GLOBAL_CACHE_DIR"'])
def test_zips_that_depend_on_a_folder_are_refused(root: Path, checkout: Path, path: str) -> None:
    ran = reproducible(root, checkout, zips(path))
    assert re.search(r"^get-order  \w{64} differs from \w{64}$", ran.stdout, re.MULTILINE), ran
    assert (ran.returncode, ran.stderr) == (1, "error: the zips are not reproducible: see the lines with `differs`\n")


def test_a_build_without_zips_is_refused(root: Path, checkout: Path) -> None:
    ran = reproducible(root, checkout, "true")
    assert (ran.returncode, ran.stderr) == (1, "error: the build makes no zips\n")


def test_a_build_that_fails_is_refused(root: Path, checkout: Path) -> None:
    ran = reproducible(root, checkout, "exit 3")
    expected = "error: the build in target/reproducible/one failed with status 3\n"
    assert (ran.returncode, ran.stderr) == (1, expected)
