"""Runs a buildspec on this machine as CodeBuild does.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html is the reference. A buildspec that uses what
is not handled here is refused, so nothing in it is silently left out.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import yaml

# In the order of their execution.
PHASES = ("install", "pre_build", "build", "post_build")
STRINGS = {"type": "array", "items": {"type": "string"}}


def mapping(properties: dict[str, dict], *required: str) -> dict:
    """Returns the schema of a mapping that has no other keys than these."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


# What is handled. Version 0.1 keeps no variables between commands. A cache only saves time, so it is left out.
ENV = {"shell": {"const": "bash"}, "variables": {"type": "object"}, "exported-variables": STRINGS}
SCHEMA = mapping(
    {
        "version": {"const": 0.2},
        "env": mapping(ENV, "shell"),
        "phases": mapping(dict.fromkeys(PHASES, mapping({"commands": STRINGS}, "commands"))),
        "artifacts": mapping({"files": STRINGS}, "files"),
        "cache": {"type": "object"},
    },
    "version",
    "env",
    "phases",
)
# CodeBuild runs all commands of a build in one shell. Here each has a shell of its own, and the next one gets its
# exported variables, among them PWD.
SCRIPT = '{command}\nstatus=$?\nenv -0 >"{state}"\nexit $status'


class BuildspecError(Exception):
    """A buildspec, or a table of replacements, that can't be used."""


@dataclass(frozen=True)
class Buildspec:
    """The parts of a buildspec that are run."""

    variables: dict[str, str]
    exported: list[str]
    phases: dict[str, list[str]]
    artifacts: list[str]

    def lines(self) -> list[str]:
        """All that a replacement may name: variables, as NAME=value, and commands."""
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return variables + [command for phase in PHASES for command in self.phases.get(phase, [])]


def read(path: Path) -> Buildspec:
    """Reads a buildspec; refuses one that needs what is not handled here."""
    try:
        spec = yaml.safe_load(path.read_text())
        jsonschema.validate(spec, SCHEMA)
    except yaml.YAMLError as error:
        message = f"{path}: {error}"
        raise BuildspecError(message) from error
    except jsonschema.ValidationError as error:
        message = f"{path}: tools/codebuild.py does not handle {error.json_path}: {error.message}"
        raise BuildspecError(message) from error
    return Buildspec(
        variables=spec["env"].get("variables", {}),
        exported=spec["env"].get("exported-variables", []),
        phases={phase: part["commands"] for phase, part in spec["phases"].items()},
        artifacts=spec.get("artifacts", {}).get("files", []),
    )


@dataclass(frozen=True)
class Replacement:
    """A line of a buildspec that this machine can't use as it is written, and what takes its place."""

    written: str
    instead: str
    reason: str


def check_replacements(replacements: Sequence[Replacement], specs: Sequence[Buildspec]) -> None:
    """Refuses a table of replacements with a line that no buildspec contains any more."""
    lines = {line for spec in specs for line in spec.lines()}
    for replacement in replacements:
        if replacement.written not in lines:
            message = f"no buildspec contains the line {replacement.written!r} any more: correct its replacement"
            raise BuildspecError(message)


@dataclass(frozen=True)
class Step:
    """A command that has run."""

    phase: str
    command: str
    seconds: float
    status: int
    output: str


@dataclass
class Build:
    """One run of a buildspec: its steps so far, and the environment that they have left."""

    spec: Buildspec
    environment: dict[str, str]
    log: Path
    replacements: Mapping[str, Replacement]
    steps: list[Step] = field(default_factory=list)

    @property
    def failure(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.status != 0), None)

    @property
    def exported(self) -> dict[str, str]:
        """The variables that later stages get."""
        return {name: self.environment[name] for name in self.spec.exported if name in self.environment}

    def run_phases(self, start: str | None = None) -> None:
        """Runs the phases, from the command `start` on if it is given."""
        for phase in PHASES:
            # After a failed build, CodeBuild still runs post_build. After another failed phase it runs none.
            if self.failure and (self.failure.phase, phase) != ("build", "post_build"):
                continue
            for command in self.spec.phases.get(phase, []):
                if start not in (None, command):
                    continue
                start = None
                if self.run(phase, command).status != 0:
                    break
        if start is not None:
            message = f"the buildspec has no command {start!r} to start at"
            raise BuildspecError(message)

    def run(self, phase: str, command: str) -> Step:
        """Runs one command, or its replacement."""
        print(f"  {phase}: {command}")
        replacement = self.replacements.get(command)
        if replacement:
            print(f"    replaced by: {replacement.instead}\n    because {replacement.reason}")
        self.environment["CODEBUILD_BUILD_SUCCEEDING"] = "0" if self.failure else "1"
        started = time.monotonic()
        status, output = self.shell(replacement.instead if replacement else command)
        step = Step(phase, command, time.monotonic() - started, status, output)
        self.steps.append(step)
        print(f"    {f'failed with status {status}' if status else 'passed'} in {step.seconds:.0f} s")
        return step

    def shell(self, command: str) -> tuple[int, str]:
        """Runs a command in the environment and takes over what it exports; returns its status and its output."""
        with tempfile.NamedTemporaryFile() as state, self.log.open("ab") as log:
            start = log.tell()
            ran = subprocess.run(
                ["bash", "-c", SCRIPT.format(command=command, state=state.name)],
                cwd=self.environment["PWD"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
            # It is empty if the command has ended the shell.
            entries = Path(state.name).read_text().rstrip("\0")
        if entries:
            self.environment = dict(entry.split("=", 1) for entry in entries.split("\0"))
        with self.log.open("rb") as log:
            log.seek(start)
            return ran.returncode, log.read().decode(errors="replace")


def prepare(
    spec: Buildspec, folder: Path, variables: Mapping[str, str], log: Path, replacements: Sequence[Replacement] = ()
) -> Build:
    """Returns a build that has not begun. The project's variables replace those of the buildspec."""
    table = {replacement.written: replacement for replacement in replacements}
    own = {}
    for name, value in spec.variables.items():
        replacement = table.get(f"{name}={value}")
        if replacement:
            print(f"  {replacement.written}\n    replaced by: {replacement.instead}\n    because {replacement.reason}")
        own[name] = replacement.instead.partition("=")[2] if replacement else str(value)
    places = {"CODEBUILD_SRC_DIR": str(folder), "PWD": str(folder)}
    return Build(spec, own | dict(variables) | places, log, table)


def collect(spec: Buildspec, folder: Path, artifact: Path) -> None:
    """Copies the files of `artifacts` to a new folder. As in a zip, they may lose the right to be executed."""
    for pattern in spec.artifacts:
        # `*` stays in its folder, `**/*` means all below.
        found = [path for path in folder.glob(pattern) if path.is_file()]
        if not found:
            message = f"artifacts.files: nothing matches {pattern}"
            raise BuildspecError(message)
        for path in found:
            copy = artifact / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
