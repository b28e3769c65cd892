"""Builds the functions for this machine, and zips them for the local stack. Arguments go to cargo: `--bin get-order`.

cargo says where the executables are: the user's configuration may name a target, and so another folder. cargo-lambda
builds for Linux only; the emulator runs the functions as processes of this machine, whatever its system is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from zips import zip_bootstrap

BUILD = ("cargo", "build", "--locked", "--message-format", "json-render-diagnostics")
# Under the paths that the template names; local/src/environment.rs describes the folder.
ZIPS = Path(os.environ.get("ORDER_API_STAGING", "target/local")) / "target/lambda"
# Little compression, because the zips stay on this machine.
LEVEL = 1


def executables(messages: str) -> dict[str, Path]:
    """The executables by name, from cargo's messages."""
    artifacts = [json.loads(line) for line in messages.splitlines()]
    return {one["target"]["name"]: Path(one["executable"]) for one in artifacts if one.get("executable")}


def main() -> int:
    built = subprocess.run((*BUILD, *sys.argv[1:]), check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode == 0:
        for name, executable in executables(built.stdout).items():
            zip_bootstrap(ZIPS / name / "bootstrap.zip", executable, LEVEL)
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
