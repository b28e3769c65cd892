"""Checks the recipe for a field in docs/extend.md. Usage: `extend.py`, by `make extend-check`.

Applies the patch to a copy of the checkout, in target/extend, and tests the copy: its units, its web UI, and the new
field on a local stack. The copy shares the tools, the packages and the compiled dependencies with the checkout. What is
compiled in the copy stays there.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPY = ROOT / "target/extend"
PATCH = ROOT / "docs/extend/note.patch"
SPEC = ROOT / "docs/extend/note.spec.ts"
INSTALLED = (".tools", "web/node_modules", "web/e2e/node_modules")
UNIT_TESTS = ("--lib", "--test=life", "--test=release", "--test=store", "--test=providers", "--test=up_to_date")
STEPS = {
    "generate": ("make", "openapi", "samples", "costs"),
    "format": ("cargo", "fmt", "--all", "--check"),
    "unit": ("cargo", "test", "--quiet", "--locked", "--workspace", *UNIT_TESTS),
    "documents": ("pytest", "--quiet", *(f"tools/tests/test_{name}.py" for name in ("docs", "openapi", "costs"))),
    "web": ("make", "web"),
    "host-build": ("make", "host-build"),
    "e2e": (
        "tools/run",
        "local",
        "run",
        "--",
        "npm",
        "--prefix",
        "web/e2e",
        "run",
        "test",
        "--",
        f"--grep={SPEC.name}",
    ),
}


def tracked(root: Path) -> list[Path]:
    """The files of the checkout, with those that are not committed yet."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sorted({Path(name) for name in listed.split("\0")[:-1] if (root / name).is_file()})


def copy_files(root: Path, folder: Path) -> None:
    """Copies the files with their times, so that cargo compiles only what has changed since the last copy."""
    for old in folder.iterdir() if folder.exists() else ():
        if old.is_dir() and not old.is_symlink() and old.name != "target":
            shutil.rmtree(old)
        elif old.name != "target":
            old.unlink()
    for name in tracked(root):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, folder / name)


def share_installed(root: Path, folder: Path) -> None:
    """Gives the copy the tools, the packages and, once, the compiled dependencies of the checkout."""
    for name in INSTALLED:
        (folder / name).symlink_to(root / name)
    compiled, own = root / "target/debug", folder / "target/debug"
    if compiled.exists() and not own.exists():
        # The crates of the workspace have other names in the copy, because its path is another one.
        shutil.copytree(compiled / "deps", own / "deps", copy_function=os.link)
        for name in ("build", ".fingerprint"):
            shutil.copytree(compiled / name, own / name)


def apply(patch: Path, folder: Path) -> None:
    # Without the repository around the folder, whose paths would be others.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    subprocess.run(("git", "apply", patch), cwd=folder, env=environment, check=True)


def main() -> int:
    copy_files(ROOT, COPY)
    share_installed(ROOT, COPY)
    apply(PATCH, COPY)
    shutil.copy2(SPEC, COPY / "web/e2e")
    environment = os.environ | {"CARGO_TARGET_DIR": str(COPY / "target")}
    for name, command in STEPS.items():
        start = time.monotonic()
        print(f"--- {name}", flush=True)
        if subprocess.run(command, cwd=COPY, env=environment, check=False).returncode != 0:
            print(
                f"error: {name} has failed in target/extend, where docs/extend/note.patch is applied", file=sys.stderr
            )
            return 1
        print(f"--- {name}: {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
