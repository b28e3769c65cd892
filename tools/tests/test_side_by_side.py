"""Verbs that run at the same time, with another program in the place of make."""

import subprocess
import sys
from pathlib import Path

# Each verb ends only after the other has started; `bad` fails then.
MAKE = """#!/usr/bin/env bash
cd "$(dirname "$0")"
echo "$1 starts"
touch "$1"
until [ -e good ] && [ -e bad ]; do sleep 0.01; done
echo "$1 ends" >&2
[ "$1" = good ]
"""


def run(root: Path, folder: Path, *verbs: str) -> subprocess.CompletedProcess[str]:
    program = folder / "make"
    program.write_text(MAKE)
    program.chmod(0o755)
    command = [sys.executable, "tools/side_by_side.py", program, *verbs]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=60)


def test_all_run_at_once_and_each_prints_in_one_piece(root: Path, tmp_path: Path) -> None:
    ran = run(root, tmp_path, "good", "bad")
    for verb in ("good", "bad"):
        assert f"\n=== {verb}\n{verb} starts\n{verb} ends\n=== {verb}: " in ran.stdout


def test_a_failure_is_named_and_is_the_result(root: Path, tmp_path: Path) -> None:
    ran = run(root, tmp_path, "good", "bad")
    assert (ran.returncode, ran.stderr) == (1, "\nerror: failed: bad\n")
    # Both have started now.
    ran = run(root, tmp_path, "good")
    assert (ran.returncode, ran.stderr) == (0, "")
