import os
import stat
import zipfile
from pathlib import Path

from zips import executables, is_current, zip_bootstrap

MESSAGES = """{"reason": "compiler-artifact", "target": {"name": "serde"}, "executable": null}
{"reason": "compiler-artifact", "target": {"name": "get-orders"}, "executable": "/elsewhere/debug/get-orders"}
{"reason": "build-finished", "success": true}
"""


def test_cargo_says_where_the_executables_are() -> None:
    assert executables(MESSAGES) == {"get-orders": Path("/elsewhere/debug/get-orders")}


def test_a_zip_holds_an_executable_bootstrap(tmp_path: Path) -> None:
    built, archive = tmp_path / "built", tmp_path / "get-orders/bootstrap.zip"
    built.write_bytes(b"program")
    zip_bootstrap(built, archive, 9)
    with zipfile.ZipFile(archive) as opened:
        (entry,) = opened.infolist()
        assert (entry.filename, opened.read(entry)) == ("bootstrap", b"program")
        assert stat.filemode(entry.external_attr >> 16)[1:] == "rwxr-xr-x"
    assert list(archive.parent.iterdir()) == [archive]


def test_a_zip_depends_on_its_executable_alone(tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.write_bytes(b"program" * 1000)
    zips = []
    for name, seconds in (("one", 1_000_000_000), ("another-folder", 2_000_000_000)):
        os.utime(built, (seconds, seconds))
        archive = tmp_path / name / "bootstrap.zip"
        zip_bootstrap(built, archive, 9)
        zips.append(archive.read_bytes())
    assert zips[0] == zips[1]


def test_only_another_build_is_zipped(tmp_path: Path) -> None:
    built, archive = tmp_path / "built", tmp_path / "bootstrap.zip"
    built.write_bytes(b"program")
    assert not is_current(built, archive)
    zip_bootstrap(built, archive, 9)
    assert is_current(built, archive)
    for seconds in (-1, 1):
        other = archive.stat().st_mtime + seconds
        os.utime(built, (other, other))
        assert not is_current(built, archive)
