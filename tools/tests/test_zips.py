import os
import stat
import zipfile
from pathlib import Path

from zips import zip_bootstrap


def test_a_zip_holds_an_executable_bootstrap(tmp_path: Path) -> None:
    built, archive = tmp_path / "built", tmp_path / "get-orders/bootstrap.zip"
    built.write_bytes(b"program")
    zip_bootstrap(archive, built, 9)
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
        zip_bootstrap(archive, built, 9)
        zips.append(archive.read_bytes())
    assert zips[0] == zips[1]


def contents(archive: Path) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return opened.read("bootstrap")


def test_only_another_build_is_zipped(tmp_path: Path) -> None:
    built, archive = tmp_path / "built", tmp_path / "bootstrap.zip"

    def build(program: bytes, seconds: int) -> None:
        built.write_bytes(program)
        os.utime(built, (seconds, seconds))
        zip_bootstrap(archive, built, 9)

    build(b"one", 1_000_000_000)
    # The same time is that of the same build.
    build(b"other", 1_000_000_000)
    assert contents(archive) == b"one"
    build(b"later", 1_000_000_001)
    assert contents(archive) == b"later"
    build(b"earlier", 999_999_999)
    assert contents(archive) == b"earlier"
