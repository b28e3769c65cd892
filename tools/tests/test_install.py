import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import install


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of Python with a stand-in for pip, which is slow to install."""
    environment = tmp_path_factory.mktemp("tools") / "aws"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (environment / "bin/pip").write_text(f"#!{environment}/bin/python\n")
    (next((environment / "lib").iterdir()) / "site-packages/pip.py").touch()
    return environment


@pytest.fixture
def requirements(environment: Path, tmp_path: Path) -> Path:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\n")
    (environment / ".installed").write_text(install.digest(requirements))
    return requirements


def test_tools_that_start_are_installed(environment: Path, requirements: Path) -> None:
    assert install.is_installed(environment, requirements)


def test_other_requirements_are_installed(environment: Path, requirements: Path) -> None:
    requirements.write_text("a==2\n")
    assert not install.is_installed(environment, requirements)


def test_an_interrupted_installation_is_repeated(environment: Path, requirements: Path) -> None:
    (environment / ".installed").unlink()
    assert not install.is_installed(environment, requirements)


def test_a_copied_checkout_gets_tools_of_its_own(environment: Path, requirements: Path, tmp_path: Path) -> None:
    copy = tmp_path / "aws"
    shutil.copytree(environment, copy, symlinks=True)
    assert not install.is_installed(copy, requirements)


def test_an_upgraded_python_gets_new_tools(environment: Path, requirements: Path) -> None:
    libraries = next((environment / "lib").iterdir())
    older = libraries.rename(libraries.with_name("python3.0"))
    assert not install.is_installed(environment, requirements)
    older.rename(libraries)


def test_a_second_start_waits_for_the_first(environment: Path, requirements: Path, root: Path) -> None:
    (environment / ".installed").unlink()
    command = [sys.executable, root / "tools/install.py", environment, requirements]
    with environment.with_suffix(".lock").open("w") as file:
        install.lock(file)
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert second.stdout.readline().startswith("Waiting for another start")
        (environment / ".installed").write_text(install.digest(requirements))
    rest, _ = second.communicate(timeout=60)
    assert (second.returncode, rest) == (0, "")


def test_a_removed_python_gets_new_tools(environment: Path, requirements: Path) -> None:
    python = environment / "bin/python"
    target = python.readlink()
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert not install.is_installed(environment, requirements)
    python.unlink()
    python.symlink_to(target)
