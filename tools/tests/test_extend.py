"""docs/extend.md: the recipe for a field still applies, and the recipe for a name finds the name everywhere."""

import re
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

import extend

# The name in each of its spellings.
NAME = re.compile("order[-_ ]?api", re.IGNORECASE)
MAX_FILES = 5
# What `make openapi samples costs` and npm write.
GENERATED = ("openapi.yaml", "docs/notification.schema.json", "docs/costs.md", "events/release/*", "*/schema.d.ts")


@pytest.fixture(scope="module")
def recipe(root: Path) -> Callable[[str], str]:
    """Returns a section of the document."""
    sections = (root / "docs/extend.md").read_text().split("\n## ")
    return lambda title: next(section for section in sections if section.startswith(f"{title}\n"))


def names_of(patch: str) -> list[str]:
    """The files that a patch changes."""
    return re.findall(r"^\+\+\+ b/(.+)$", patch, re.MULTILINE)


def test_the_patch_applies(root: Path, tmp_path: Path) -> None:
    for name in names_of(extend.PATCH.read_text()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    extend.apply(extend.PATCH, tmp_path)
    for name in names_of(extend.PATCH.read_text()):
        assert "note" in (tmp_path / name).read_text().lower(), name


def test_a_field_takes_few_files_and_none_that_is_generated() -> None:
    names = names_of(extend.PATCH.read_text())
    assert 0 < len(names) <= MAX_FILES
    assert [name for name in names if any(fnmatch(name, pattern) for pattern in GENERATED)] == []


def test_the_document_names_each_file_of_the_patch(recipe: Callable[[str], str]) -> None:
    section = recipe("Add a field")
    assert [name for name in names_of(extend.PATCH.read_text()) if f"`{name}`" not in section] == []


def test_the_lines_that_the_document_shows_are_in_the_patch(recipe: Callable[[str], str]) -> None:
    blocks = re.findall(r"^   ```(?:rust|ts)\n(.*?)^   ```$", recipe("Add a field"), re.MULTILINE | re.DOTALL)
    added = {line[1:].strip() for line in extend.PATCH.read_text().splitlines() if line.startswith("+")}
    shown = [line.strip() for block in blocks for line in block.splitlines()]
    assert shown != []
    assert [line for line in shown if line not in added] == []


def named(folder: Path) -> list[Path]:
    """The files with the name. Those of the fuzz corpus may keep it: any bytes are an input."""
    files = [path for path in extend.tracked(folder) if not path.is_relative_to("fuzz/corpus")]
    return [path for path in files if NAME.search((folder / path).read_bytes().decode("latin-1"))]


def test_the_table_names_each_file_that_has_the_name(root: Path, recipe: Callable[[str], str]) -> None:
    rows = re.findall(r"^\| (.+?) \|", recipe("Rename it"), re.MULTILINE)
    patterns = [span for row in rows for span in re.findall(r"`([^`]+)`", row)]
    found = [str(path) for path in named(root)]
    assert [name for name in found if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in found)] == []


def test_the_commands_rename_everything(root: Path, tmp_path: Path, recipe: Callable[[str], str]) -> None:
    extend.copy_files(root, tmp_path)
    for command in (("init", "--quiet"), ("add", "--all")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    block = re.search(r"^```sh\n(.*?)^make ", recipe("Rename it"), re.MULTILINE | re.DOTALL)
    subprocess.run(("bash", "-euo", "pipefail", "-c", block[1]), cwd=tmp_path, check=True)
    assert named(tmp_path) == [Path("docs/extend.md")]
    assert 'stack_name = "lunch-desk-dev"' in (tmp_path / "samconfig.toml").read_text()
