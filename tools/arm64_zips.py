"""Prepares the zips in target/lambda for the emulator of this machine. Usage: `arm64_zips.py target/arm64`.

The emulator runs each bootstrap as a process. On another machine than Linux on arm64, a bootstrap is therefore a script
that starts the arm64 executable in QEMU's user mode emulation, with Debian's glibc for arm64.
"""

import platform
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

from release_build import PROCESSOR, ZIPS
from zips import MODE, zip_bootstrap

QEMU = "qemu-aarch64-static"
# Debian's packages, with a file of each.
LIBRARIES = Path("/usr/aarch64-linux-gnu")
PACKAGES = {"qemu-user-static": Path("/usr/bin") / QEMU, "libc6-arm64-cross": LIBRARIES / "lib/ld-linux-aarch64.so.1"}


def obstacle(packages: dict[str, Path] = PACKAGES) -> str | None:
    """Returns the reason why this machine can't run the executables, or None."""
    if platform.system() != "Linux":
        return f"the executables are for Linux, and this is {platform.system()}"
    missing = [package for package, file in packages.items() if not file.exists()]
    return f"QEMU or glibc for arm64 is missing: apt-get install {' '.join(missing)}" if missing else None


def is_native() -> bool:
    return (platform.system(), platform.machine()) == ("Linux", "aarch64")


def emulate(archive: Path, folder: Path, staged: Path) -> None:
    """Unpacks the executable into the folder, and zips a script that runs it there."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(archive) as opened:
        executable = Path(opened.extract("bootstrap", folder)).resolve()
    executable.chmod(MODE)
    command = [PACKAGES["qemu-user-static"], "-cpu", PROCESSOR, "-L", LIBRARIES, executable]
    script = folder / "script"
    script.write_text(f"#!/bin/sh\nexec {shlex.join(map(str, command))}\n")
    zip_bootstrap(staged, script, 1)


def prepare(folder: Path) -> list[str]:
    """Writes the zips for the emulator into the folder, if there are any; returns the names of their functions."""
    archives = sorted(ZIPS.glob("*/bootstrap.zip"))
    if not archives:
        return []
    shutil.rmtree(folder, ignore_errors=True)
    for archive in archives:
        staged = folder / archive
        if is_native():
            staged.parent.mkdir(parents=True)
            shutil.copy(archive, staged)
        else:
            emulate(archive, folder / "executables" / archive.parent.name, staged)
    return [archive.parent.name for archive in archives]


def main() -> int:
    problem = None if is_native() else obstacle()
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    names = prepare(Path(sys.argv[1]))
    if not names:
        print(f"error: {ZIPS} has no zips: run `make release-build`", file=sys.stderr)
        return 1
    print(f"{len(names)} arm64 builds, {'without emulation' if is_native() else f'emulated as {PROCESSOR}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
