"""Builds the functions for this machine, and zips them for the local stack. Arguments go to cargo: `--bin get-order`.

cargo says where the executables are: the user's configuration may name a target, and so another folder. cargo-lambda
builds for Linux only; the emulator runs the functions as processes of this machine, whatever its system is.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

BUILD = ("cargo", "build", "--locked", "--message-format", "json-render-diagnostics")
# Under the paths that the template names; local/src/environment.rs describes the folder.
ZIPS = Path("target/local/target/lambda")
MODE = 0o755


def executables(messages: str) -> dict[str, Path]:
    """The executables by name, from cargo's messages."""
    artifacts = [json.loads(line) for line in messages.splitlines()]
    return {one["target"]["name"]: Path(one["executable"]) for one in artifacts if one.get("executable")}


def zip_bootstrap(executable: Path, archive: Path) -> None:
    """Zips an executable as Lambda expects it. Readers of the archive get the old one or the new one, never a part."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = MODE << 16
    draft = archive.with_suffix(f".{os.getpid()}")
    built = executable.stat()
    with zipfile.ZipFile(draft, "w") as new:
        # Little compression, because the archive stays on this machine.
        new.writestr(entry, executable.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    os.utime(draft, ns=(built.st_atime_ns, built.st_mtime_ns))
    draft.replace(archive)


def is_current(executable: Path, archive: Path) -> bool:
    """Compares the time of the build. It may be older than that of the archive: cargo brings back an earlier build."""
    return archive.exists() and archive.stat().st_mtime_ns == executable.stat().st_mtime_ns


def main() -> int:
    built = subprocess.run((*BUILD, *sys.argv[1:]), check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode == 0:
        for name, executable in executables(built.stdout).items():
            archive = ZIPS / name / "bootstrap.zip"
            if not is_current(executable, archive):
                zip_bootstrap(executable, archive)
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
