"""The static gates: each one finds what it is there for. The commands are those of the Makefile."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

# Cargo's manifest of a crate without code of others.
MANIFEST = """[package]
name = "{name}"
version = "{version}"
edition = "2024"
license = "{license}"
publish = false

[dependencies]
{dependencies}
"""


@pytest.fixture(scope="session")
def allowed_licenses(root: Path) -> str:
    """An expression with every allowed license: one that no crate has is an error, too."""
    return " AND ".join(tomllib.loads((root / "deny.toml").read_text())["licenses"]["allow"])


@pytest.fixture(scope="session")
def crates(root: Path, allowed_licenses: str):
    """Returns a function that writes a crate with its dependencies, and the rules of this repository."""

    def write(folder: Path, dependencies: str = "", **fields: str) -> Path:
        manifest = {"name": "sample", "version": "0.1.0", "license": allowed_licenses, "dependencies": dependencies}
        (folder / "src").mkdir(parents=True)
        (folder / "Cargo.toml").write_text(MANIFEST.format(**manifest | fields))
        (folder / "src/lib.rs").write_text("//! A sample.\n")
        for name in ("deny.toml", "rust-toolchain.toml"):
            shutil.copy(root / name, folder)
        return folder

    return write


def lint(root: Path, tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the tool's command of `make lint` in the folder of a crate."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "CARGO_TARGET"))}
    planned = subprocess.run(
        ["make", "--dry-run", "--silent", "lint"], cwd=root, env=environment, check=True, capture_output=True, text=True
    ).stdout
    [command] = [line for line in planned.splitlines() if f"cargo {tool} " in line]
    subprocess.run(
        ["cargo", "generate-lockfile", "--offline"], cwd=folder, env=environment, check=True, capture_output=True
    )
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_a_crate_that_keeps_the_rules_is_accepted(root: Path, crates, tmp_path: Path) -> None:
    # The mock of HTTP in the tests of the SDK may use an old http.
    crates(tmp_path / "http", name="http", version="0.2.0")
    crates(tmp_path / "mock", 'http = { path = "../http" }', name="aws-smithy-protocol-test")
    ran = lint(root, "deny", crates(tmp_path / "sample", 'aws-smithy-protocol-test = { path = "../mock" }'))
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", ["aws-lc-sys", "native-tls", "openssl-sys", "ureq", "http"])
def test_another_http_or_tls_stack_is_refused(root: Path, crates, tmp_path: Path, name: str) -> None:
    crates(tmp_path / name, name=name, version="0.2.0")
    ran = lint(root, "deny", crates(tmp_path / "sample", f'{name} = {{ path = "../{name}" }}'))
    assert ran.returncode != 0
    assert "error[banned]" in ran.stderr, ran.stderr


def test_a_second_version_of_a_big_crate_is_refused(root: Path, crates, tmp_path: Path) -> None:
    crates(tmp_path / "old", name="rustls", version="0.22.0")
    crates(tmp_path / "new", name="rustls", version="0.23.0")
    dependencies = 'rustls = { path = "../new" }\nold = { package = "rustls", path = "../old" }'
    ran = lint(root, "deny", crates(tmp_path / "sample", dependencies))
    assert ran.returncode != 0
    assert "error[duplicate]" in ran.stderr, ran.stderr


def test_a_license_that_is_not_allowed_is_refused(root: Path, crates, tmp_path: Path) -> None:
    crates(tmp_path / "copyleft", name="copyleft", license="GPL-3.0-only")
    ran = lint(root, "deny", crates(tmp_path / "sample", 'copyleft = { path = "../copyleft" }'))
    assert ran.returncode != 0
    assert "error[rejected]" in ran.stderr, ran.stderr


def test_a_crate_from_elsewhere_is_refused(root: Path, crates, tmp_path: Path) -> None:
    elsewhere = crates(tmp_path / "elsewhere", name="elsewhere")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "A crate"]):
        subprocess.run([*git, *command], cwd=elsewhere, check=True)
    sample = crates(tmp_path / "sample", f'elsewhere = {{ git = "file://{elsewhere}" }}')
    # Cargo's copy of that repository is put among the files of this test.
    home = tmp_path / "cargo"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARGO_HOME", str(home))
        subprocess.run(["cargo", "fetch"], cwd=sample, check=True, capture_output=True)
        ran = lint(root, "deny", sample)
    assert ran.returncode != 0
    assert "error[source-not-allowed]" in ran.stderr, ran.stderr


@pytest.mark.parametrize(
    ("link", "is_accepted"),
    [("[`Kept`]", True), ("[`Private`]", True), ("[`Removed`]", False)],
    ids=["public", "private", "broken"],
)
def test_a_broken_link_in_the_documentation_is_refused(
    root: Path, crates, tmp_path: Path, link: str, *, is_accepted: bool
) -> None:
    lints = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["lints"]["rustdoc"]
    sample = crates(tmp_path / "sample")
    with (sample / "Cargo.toml").open("a") as manifest:
        manifest.write("[lints.rustdoc]\n" + "".join(f'{name} = "{level}"\n' for name, level in lints.items()))
    (sample / "src/lib.rs").write_text(f"//! See {link}.\n/// Kept.\npub struct Kept;\nstruct Private;\n")
    ran = lint(root, "doc", sample)
    assert (ran.returncode == 0) == is_accepted, ran.stderr
    assert ("unresolved link to `Removed`" in ran.stderr) != is_accepted


def test_a_queue_without_a_dead_letter_queue_is_reported(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / ".cfnlintrc", tmp_path)
    (tmp_path / "queue.yaml").write_text("Resources: { Queue: { Type: AWS::SQS::Queue } }\n")
    ran = subprocess.run(["cfn-lint", "queue.yaml"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "ES6000" in ran.stdout


def test_cfn_lint_reads_every_template(root: Path) -> None:
    templates = yaml.safe_load((root / ".cfnlintrc").read_text())["templates"]
    found = [root / "template.yaml", *(root / "pipeline").glob("*.yaml")]
    known = [path for path in found if re.search(r"^Resources:$", path.read_text(), re.MULTILINE)]
    assert sorted(templates) == sorted(path.relative_to(root).as_posix() for path in known)


# --- Dependabot ---


@pytest.fixture(scope="module")
def updates(root: Path) -> dict[str, dict]:
    """The updates by their ecosystem."""
    text = (root / ".github/dependabot.yml").read_text()
    # Dependabot refuses aliases.
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)]
    return {update["package-ecosystem"]: update for update in yaml.safe_load(text)["updates"]}


def test_dependabot_updates_every_lock(root: Path, updates: dict) -> None:
    files = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout.split()
    locks = {"cargo": "Cargo.lock", "npm": "package-lock.json", "uv": "requirements.txt", "github-actions": "ci.yml"}
    assert set(updates) == set(locks)
    for ecosystem, lock in locks.items():
        folders = {
            f"/{Path(file).parent.as_posix()}".removesuffix("/.") or "/" for file in files if file.endswith(lock)
        }
        update = updates[ecosystem]
        # The workflows are in the one place where GitHub looks for them.
        expected = {"/"} if ecosystem == "github-actions" else folders
        assert set(update.get("directories", [update.get("directory")])) == expected


def test_dependabot_finds_the_options_of_the_locks(root: Path) -> None:
    [command] = re.findall(r"uv pip compile (.*?); done", (root / "Makefile").read_text().replace("\\\n", ""))
    for name in ("requirements", "emulator-requirements"):
        options = command.replace("$$name", name).split()
        # uv leaves out those that say nothing on the lock.
        kept = [option for option in options if option not in {"--quiet", "--upgrade"}]
        head = (root / f"tools/{name}.txt").read_text().splitlines()[1]
        assert head.split() == ["#", "uv", "pip", "compile", *kept]
