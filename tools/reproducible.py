"""Builds the last commit twice, in two folders, and compares the zips. Usage: `reproducible.py make release-build`.

Fails unless the zips are the same, byte for byte. The builds share the tools and the downloaded crates, but nothing
that a build leaves behind. The paths of the checkout and of CARGO_HOME differ, in their lengths, too.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from release_build import ZIPS, cargo_home

FOLDERS = (Path("target/reproducible/one"), Path("target/reproducible/another-folder"))
Hashes = dict[str, str]


def export(folder: Path) -> None:
    """Writes the files of the last commit into a new folder, with the tools of this checkout."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-xf", "-", "-C", folder], check=True, input=archive)
    (folder / ".tools").symlink_to(Path(".tools").resolve())
    (folder / "cargo").symlink_to(cargo_home().resolve())


def build(folder: Path, command: list[str]) -> Hashes:
    """Runs the command in the folder; returns the hashes of the zips by the names of their functions."""
    caches = {"CARGO_HOME": folder / "cargo", "ZIG_GLOBAL_CACHE_DIR": folder / "target/zig"}
    environment = os.environ | {name: str(path.absolute()) for name, path in caches.items()}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    zips = sorted((folder / ZIPS).glob("*/bootstrap.zip"))
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in zips}


def table(one: Hashes, other: Hashes) -> list[str]:
    """A line per function: its hash if both builds have the same, or else both."""
    names = sorted(one | other)
    width = max(map(len, names))
    pairs = ((name, one.get(name, "missing"), other.get(name, "missing")) for name in names)
    return [f"{name:{width}}  {a}" if a == b else f"{name:{width}}  {a} differs from {b}" for name, a, b in pairs]


def main() -> int:
    builds = []
    for folder in FOLDERS:
        start = time.monotonic()
        try:
            export(folder)
            builds.append(build(folder, sys.argv[1:]))
        except subprocess.CalledProcessError as error:
            print(f"error: the build in {folder} failed with status {error.returncode}", file=sys.stderr)
            return 1
        print(f"{len(builds[-1])} zips built in {folder} in {time.monotonic() - start:.0f} s", flush=True)
    one, other = builds
    if not one:
        print("error: the build makes no zips", file=sys.stderr)
        return 1
    print("SHA-256 of each function's zip:", *table(one, other), sep="\n")
    if one != other:
        print("error: the zips are not reproducible: see the lines with `differs`", file=sys.stderr)
        return 1
    # They take gigabytes. Builds that differ stay, to be compared.
    shutil.rmtree(FOLDERS[0].parent)
    print(f"all {len(one)} zips are the same in both folders")
    return 0


if __name__ == "__main__":
    sys.exit(main())
