"""Zips of functions, as Lambda expects them. The same executable makes the same zip, byte for byte.

cargo-lambda's own zips hold the time of the build, so each build would deploy all functions anew.
"""

import json
import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

MODE = 0o755


def build(command: list[str], folder: Path, level: int, environment: Mapping[str, str] = os.environ) -> int:
    """Runs cargo, and zips each executable that it has built as `folder/NAME/bootstrap.zip`; returns cargo's status.

    cargo says where the executables are: the user's configuration may name a target, and so another folder.
    """
    command = [*command, "--locked", "--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode == 0:
        for name, executable in executables(built.stdout).items():
            archive = folder / name / "bootstrap.zip"
            if not is_current(executable, archive):
                zip_bootstrap(executable, archive, level)
    return built.returncode


def executables(messages: str) -> dict[str, Path]:
    """The executables by name, from cargo's messages."""
    artifacts = [json.loads(line) for line in messages.splitlines()]
    return {one["target"]["name"]: Path(one["executable"]) for one in artifacts if one.get("executable")}


def zip_bootstrap(executable: Path, archive: Path, level: int) -> None:
    """Zips an executable as `bootstrap`. Readers of the archive get the old one or the new one, never a part."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    # Its date is 1980-01-01, the first that a zip can hold.
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = MODE << 16
    draft = archive.with_suffix(f".{os.getpid()}")
    built = executable.stat()
    with zipfile.ZipFile(draft, "w") as new:
        new.writestr(entry, executable.read_bytes(), zipfile.ZIP_DEFLATED, level)
    os.utime(draft, ns=(built.st_atime_ns, built.st_mtime_ns))
    draft.replace(archive)


def is_current(executable: Path, archive: Path) -> bool:
    """Compares the time of the build. It may be older than that of the archive: cargo brings back an earlier build."""
    return archive.exists() and archive.stat().st_mtime_ns == executable.stat().st_mtime_ns
