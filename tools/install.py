"""Installs pinned tools. Usage: `install.py .tools/aws tools/requirements.txt`.

Does nothing if they are installed and start. They no longer start once the checkout was moved or copied, or Python was
upgraded: an environment of Python has its own path and Python's version in it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

PIP = ("install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement")


def starts(environment: Path) -> bool:
    """Returns true if the environment's commands start, and in this environment."""
    python, pip = environment / "bin/python", environment / "bin/pip"
    try:
        # Its first lines name the interpreter; a copy's would still name that of the original.
        is_here = str(environment).encode() in pip.read_bytes()[:1000]
        ran = subprocess.run([python, "-c", "import pip"], check=False, capture_output=True)
    except OSError:
        return False
    return is_here and ran.returncode == 0


def is_installed(environment: Path, requirements: Path) -> bool:
    stamp = environment / ".installed"
    return stamp.is_file() and stamp.read_text() == digest(requirements) and starts(environment)


def digest(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def install(environment: Path, requirements: Path) -> None:
    print(f"Installing {requirements} into {environment} ...", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin/python", "-m", "pip", *PIP, requirements], check=True)
    (environment / ".installed").write_text(digest(requirements))


def lock(file: TextIO) -> None:
    """Waits until no other start in this checkout installs these tools."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Waiting for another start, which has locked {file.name} ...", flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)


def main() -> int:
    environment, requirements = map(Path, sys.argv[1:])
    environment.parent.mkdir(exist_ok=True)
    # Its commands name the path by which it was made.
    environment = environment.resolve()
    with environment.with_suffix(".lock").open("w") as file:
        lock(file)
        try:
            if not is_installed(environment, requirements):
                install(environment, requirements)
        except subprocess.CalledProcessError:
            print(f"error: {requirements} can't be installed: see above", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
