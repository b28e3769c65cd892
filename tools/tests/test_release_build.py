"""The dependencies and features of the release build."""

import re
import subprocess
import sys
from pathlib import Path

from release_build import environment


def features(root: Path, *arguments: str) -> set[str]:
    """Features, as `crate/feature`, of the packages that cargo builds with these arguments."""
    tree = subprocess.run(
        [
            "cargo",
            "tree",
            "--locked",
            "--edges",
            "features,normal",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
            *arguments,
        ],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    listed = re.findall(r"^(\S+) v[^|]*\|(\S+)", tree, re.MULTILINE)
    return {f"{crate}/{feature}" for crate, names in listed for feature in names.split(",")}


def test_tools_and_tests_add_no_features_to_the_functions(root: Path) -> None:
    functions = features(root)
    assert "lambda_http/apigw_rest" in functions
    alone = [features(root, "--package", path.parent.name) for path in root.glob("functions/*/Cargo.toml")]
    assert functions == set().union(*alone)
    for crate, feature in [
        ("shared", "unauthenticated"),
        ("tokio", "full"),
        ("tokio", "process"),
    ]:
        assert f"{crate}/{feature}" not in functions


def test_the_feature_unauthenticated_is_visible_here(root: Path) -> None:
    assert "shared/unauthenticated" in features(root, "--package", "get-order", "--features", "unauthenticated")


def test_the_whole_workspace_adds_features(root: Path) -> None:
    assert "tokio/process" in features(root, "--workspace")


def test_there_is_one_http_and_one_tls_stack(root: Path) -> None:
    command = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    versions = set(re.findall(r"^(\S+) v(\S+)", tree, re.MULTILINE))
    for crate in ("hyper", "hyper-rustls", "http", "rustls", "tokio"):
        assert len([name for name, _ in versions if name == crate]) == 1, crate
    assert not {name for name, _ in versions} & {"aws-lc-rs", "openssl", "native-tls"}


def test_code_in_c_does_not_know_the_time_of_the_build() -> None:
    command = [sys.executable, "-m", "ziglang", "cc", "-E", "-P", "-x", "c", "-"]
    source = "__DATE__ __TIME__\n"
    made = subprocess.run(command, input=source, env=environment(), check=True, capture_output=True, text=True).stdout
    assert made.strip() == '"Jan  1 1970" "00:00:00"'
