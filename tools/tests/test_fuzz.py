"""The fuzz targets: each has a function, a program for libFuzzer and a corpus."""

import re
import tomllib
from pathlib import Path

MAX_FILES = 300
MAX_BYTES = 500_000


def test_each_target_has_a_program_and_a_corpus(root: Path) -> None:
    fuzz = root / "fuzz"
    targets = sorted(re.findall(r'^    \("(\w+)", \w+::\w+\),$', (fuzz / "src/lib.rs").read_text(), re.MULTILINE))
    assert targets
    bins = tomllib.loads((fuzz / "Cargo.toml").read_text())["bin"]
    assert [(one["name"], one["path"]) for one in bins] == [(name, f"fuzz_targets/{name}.rs") for name in targets]
    assert sorted(path.name for path in (fuzz / "corpus").iterdir()) == targets
    for name in targets:
        program = (fuzz / f"fuzz_targets/{name}.rs").read_text()
        assert program == f'#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::run("{name}", data));\n'
    assert sorted(path.stem for path in (fuzz / "fuzz_targets").iterdir()) == targets


def test_the_corpus_is_small(root: Path) -> None:
    files = [path for path in (root / "fuzz/corpus").rglob("*") if path.is_file()]
    assert len(files) <= MAX_FILES
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
