"""Builds the functions for AWS in target/lambda. Usage: `release_build.py aarch64-unknown-linux-gnu.2.26`.

Two clean builds of one commit make the same zips, in whatever folder; `make reproducible` shows it. So the executables
hold no path of this machine, and the zips no time.
"""

import os
import subprocess
import sys
from pathlib import Path

from zips import zip_bootstrap

ZIPS = Path("target/lambda")
BEST = 9
# The processor of Lambda's arm64. cargo-lambda would choose it, too, but only where it may set RUSTFLAGS.
PROCESSOR = "neoverse-n1"


def cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


def environment() -> dict[str, str]:
    """The environment of the build. The encoded form of the flags, unlike RUSTFLAGS, takes folders with blanks."""
    # Panics name the source, also that of a dependency.
    paths = {Path.cwd(): ".", cargo_home(): "cargo"}
    flags = [f"-Ctarget-cpu={PROCESSOR}", *(f"--remap-path-prefix={path}={name}" for path, name in paths.items())]
    # C has the time of the build as `__DATE__` and `__TIME__`: compilers take them from this.
    return os.environ | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags), "SOURCE_DATE_EPOCH": "0"}


def main() -> int:
    command = ["cargo", "lambda", "build", "--release", "--locked", "--target", sys.argv[1]]
    built = subprocess.run(command, env=environment(), check=False)
    if built.returncode == 0:
        for bootstrap in ZIPS.glob("*/bootstrap"):
            zip_bootstrap(bootstrap.with_suffix(".zip"), bootstrap, BEST)
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
