"""The check of the zips, with real ELF files that zig builds for a given architecture and glibc."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from check_zips import check, problem


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("elf")
    source = folder / "main.c"

    def build(target: str, contents: str = "") -> Path:
        path = folder / f"{target}{hash(contents)}.zip"
        if not path.exists():
            binary = folder / target
            source.write_text(f'const char *volatile text = "{contents}";\nint main(void) {{ return text == 0; }}\n')
            subprocess.run(
                [sys.executable, "-m", "ziglang", "cc", "-target", target, "-o", str(binary), str(source)], check=True
            )
            with zipfile.ZipFile(path, "w") as archive:
                archive.write(binary, "bootstrap")
        return path

    return build


def test_a_matching_zip_is_accepted(bootstrap) -> None:
    assert problem(bootstrap("aarch64-linux-gnu.2.26"), "arm64", "provided.al2") is None
    assert problem(bootstrap("aarch64-linux-gnu.2.34"), "arm64", "provided.al2023") is None


def test_a_newer_glibc_is_reported(bootstrap) -> None:
    reported = problem(bootstrap("aarch64-linux-gnu.2.34"), "arm64", "provided.al2")
    assert reported == "needs glibc 2.34, but provided.al2 has 2.26"


def test_a_development_build_is_reported(bootstrap, root: Path) -> None:
    # The warning as the source has it.
    [warning] = re.findall(r'"(built with the feature .*)"', (root / "shared/src/http/mod.rs").read_text())
    reported = problem(bootstrap("aarch64-linux-gnu.2.26", warning), "arm64", "provided.al2")
    assert reported == "is built with the cargo feature unauthenticated, which turns authentication off"


def test_a_path_of_this_machine_is_reported(bootstrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = bootstrap("aarch64-linux-gnu.2.26", f"{tmp_path}/shared/src/lib.rs, /ann/.cargo/registry/src/lib.rs")
    for checkout, cargo_home, expected in (
        (tmp_path, "/bob/.cargo", f"{tmp_path}/shared"),
        (elsewhere, "/ann/.cargo", "/ann/.cargo/registry"),
    ):
        monkeypatch.chdir(checkout)
        monkeypatch.setenv("CARGO_HOME", cargo_home)
        reported = problem(archive, "arm64", "provided.al2")
        assert reported == f"holds the path of the machine that built it: {expected}"
    monkeypatch.setenv("CARGO_HOME", "/bob/.cargo")
    assert problem(archive, "arm64", "provided.al2") is None


def test_another_architecture_is_reported(bootstrap) -> None:
    reported = problem(bootstrap("x86_64-linux-gnu.2.26"), "arm64", "provided.al2")
    assert reported == "is built for EM_X86_64, but the template's architecture is arm64"
    assert problem(bootstrap("x86_64-linux-gnu.2.26"), "x86_64", "provided.al2") is None


def test_a_missing_or_broken_bootstrap_is_reported(tmp_path: Path) -> None:
    assert "is missing" in problem(tmp_path / "none.zip", "arm64", "provided.al2")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    assert "not a zip with an ELF" in problem(broken, "arm64", "provided.al2")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("other", "")
    assert problem(tmp_path / "empty.zip", "arm64", "provided.al2") == "has no bootstrap"
    with zipfile.ZipFile(tmp_path / "script.zip", "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    assert "not a zip with an ELF" in problem(tmp_path / "script.zip", "arm64", "provided.al2")


def test_every_function_of_the_template_is_checked(bootstrap, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(
        """
        Parameters:
          Architecture: { Type: String, Default: arm64 }
          Runtime: { Type: String, Default: provided.al2 }
        Resources:
          Table: { Type: AWS::DynamoDB::Table }
          A: { Type: AWS::Serverless::Function, Properties: { CodeUri: a.zip, Role: !GetAtt R.Arn } }
          B: { Type: AWS::Serverless::Function, Properties: { CodeUri: b.zip } }
        """
    )
    (tmp_path / "a.zip").write_bytes(bootstrap("aarch64-linux-gnu.2.26").read_bytes())
    template = tmp_path / "template.yaml"
    assert check(template, []) == ["b.zip is missing: run `make release-build`"]
    assert len(check(template, ["Architecture=x86_64"])) == len(["a.zip", "b.zip"])
