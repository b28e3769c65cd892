"""Zips of functions, as Lambda expects them. The same executable makes the same zip, byte for byte.

cargo-lambda's own zips hold the time of the build, so each build would deploy all functions anew.
"""

import os
import zipfile
from pathlib import Path

MODE = 0o755


def is_current(archive: Path, executable: Path) -> bool:
    """Returns true if the archive is of this build. The times must be equal: cargo may restore an older build."""
    return archive.exists() and archive.stat().st_mtime_ns == executable.stat().st_mtime_ns


def zip_bootstrap(archive: Path, executable: Path, level: int) -> None:
    """Zips an executable as `bootstrap`, unless the archive is made from this build of it.

    Readers of the archive get the old one or the new one, never a part.
    """
    if is_current(archive, executable):
        return
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
