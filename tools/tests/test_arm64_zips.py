"""The zips that `make arm64-check` deploys, with a program that prints its arguments in the place of QEMU."""

import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import arm64_zips


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one arm64 build, in a folder whose name has a blank."""
    folder = tmp_path / "a checkout"
    (folder / "target/lambda/get-order").mkdir(parents=True)
    with zipfile.ZipFile(folder / "target/lambda/get-order/bootstrap.zip", "w") as archive:
        archive.writestr("bootstrap", "program")
    monkeypatch.chdir(folder)
    return folder


def on(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: machine)


def test_another_machine_runs_the_executable_in_qemu(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on("x86_64", monkeypatch)
    monkeypatch.setitem(arm64_zips.PACKAGES, "qemu-user-static", Path("/bin/echo"))
    assert arm64_zips.prepare(Path("target/arm64")) == ["get-order"]
    with zipfile.ZipFile("target/arm64/target/lambda/get-order/bootstrap.zip") as archive:
        archive.extract("bootstrap", "deployed")
    Path("deployed/bootstrap").chmod(0o755)
    ran = subprocess.run(["deployed/bootstrap"], check=True, capture_output=True, text=True)
    executable = checkout / "target/arm64/executables/get-order/bootstrap"
    assert ran.stdout == f"-cpu neoverse-n1 -L /usr/aarch64-linux-gnu {executable}\n"
    assert executable.read_text() == "program"
    assert executable.stat().st_mode & 0o777 == arm64_zips.MODE


@pytest.mark.usefixtures("checkout")
def test_an_arm64_machine_runs_the_zip_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    on("aarch64", monkeypatch)
    assert arm64_zips.prepare(Path("target/arm64")) == ["get-order"]
    staged = Path("target/arm64/target/lambda/get-order/bootstrap.zip")
    assert staged.read_bytes() == Path("target/lambda/get-order/bootstrap.zip").read_bytes()


@pytest.mark.usefixtures("checkout")
def test_an_earlier_build_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    on("aarch64", monkeypatch)
    earlier = Path("target/arm64/target/lambda/earlier/bootstrap.zip")
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    arm64_zips.prepare(Path("target/arm64"))
    assert not earlier.exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on("x86_64", monkeypatch)
    packages = {"qemu-user-static": tmp_path, "libc6-arm64-cross": tmp_path / "none"}
    assert arm64_zips.obstacle(packages) == "QEMU or glibc for arm64 is missing: apt-get install libc6-arm64-cross"
    assert arm64_zips.obstacle({"qemu-user-static": tmp_path}) is None


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert arm64_zips.obstacle() == "the executables are for Linux, and this is Darwin"


def test_a_missing_build_is_reported_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on("aarch64", monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["arm64_zips.py", "target/arm64"])
    earlier = Path("target/arm64/executables")
    earlier.mkdir(parents=True)
    assert arm64_zips.main() == 1
    assert earlier.exists()
    assert capsys.readouterr().err == "error: target/lambda has no zips: run `make release-build`\n"
