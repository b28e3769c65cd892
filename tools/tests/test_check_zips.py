"""The check of the zips, with real ELF files that zig makes for the architecture and the glibc that a test names."""

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
        path = folder / f"{target}{contents}.zip"
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


def test_a_zip_that_fits_is_fine(bootstrap) -> None:
    assert problem(bootstrap("aarch64-linux-gnu.2.26"), "arm64", "provided.al2") is None
    assert problem(bootstrap("aarch64-linux-gnu.2.34"), "arm64", "provided.al2023") is None


def test_too_young_a_glibc_is_told(bootstrap) -> None:
    told = problem(bootstrap("aarch64-linux-gnu.2.34"), "arm64", "provided.al2")
    assert told == "needs glibc 2.34, and provided.al2 has 2.26"


def test_a_build_for_development_is_told(bootstrap) -> None:
    told = problem(bootstrap("aarch64-linux-gnu.2.26", "ApiGatewayV2httpRequestContext"), "arm64", "provided.al2")
    assert told == "is built with the cargo feature unauthenticated, which lets everybody in"


def test_another_architecture_is_told(bootstrap) -> None:
    told = problem(bootstrap("x86_64-linux-gnu.2.26"), "arm64", "provided.al2")
    assert told == "is built for EM_X86_64, and the template's architecture is arm64"
    assert problem(bootstrap("x86_64-linux-gnu.2.26"), "x86_64", "provided.al2") is None


def test_what_is_no_bootstrap_is_told(tmp_path: Path) -> None:
    assert "is missing" in problem(tmp_path / "none.zip", "arm64", "provided.al2")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    assert "no zip of an ELF" in problem(broken, "arm64", "provided.al2")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("other", "")
    assert problem(tmp_path / "empty.zip", "arm64", "provided.al2") == "holds no bootstrap"
    with zipfile.ZipFile(tmp_path / "script.zip", "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    assert "no zip of an ELF" in problem(tmp_path / "script.zip", "arm64", "provided.al2")


def test_every_function_is_checked_for_what_is_deployed(bootstrap, tmp_path: Path) -> None:
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
