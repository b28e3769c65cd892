"""Builds the functions for this machine, and zips them for the local stack. Arguments go to cargo: `--bin get-order`.

cargo-lambda builds for Linux only. The emulator runs the functions as processes of this machine, whatever its system.
"""

import sys
from pathlib import Path

from zips import build

# Under the paths that the template names; local/src/environment.rs describes the folder.
ZIPS = Path("target/local/target/lambda")
# Little compression, because the zips stay on this machine.
LEVEL = 1

if __name__ == "__main__":
    sys.exit(build(["cargo", "build", *sys.argv[1:]], ZIPS, LEVEL))
