"""Runs the pipeline's buildspecs, as they are written, against the emulated AWS of this machine: make pipeline-local.

The commands are read from the buildspecs of HEAD. What can't run here is replaced; REPLACEMENTS and EDITS say by what
and why, and each replacement is printed where it happens. Then faults are planted, and each must stop the pipeline at
its command, with nothing deployed. CodePipeline itself does not run: the stages and their variables are repeated here
from pipeline/delivery.ts.

The environment must lead to an empty emulator: `local run --empty` gives it.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

import codebuild
from codebuild import Build, BuildspecError, Replacement, Step
from edge import edge
from samconfig import outputs

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "target/pipeline-local"
# A clone of HEAD, as CODEBUILD_CLONE_REF gives one.
SOURCE = FOLDER / "source"
# Artifacts of the builds, by run of the pipeline.
ARTIFACTS = FOLDER / "artifacts"
# Where the later projects unpack an artifact.
UNPACKED = FOLDER / "unpacked"
LOGS = FOLDER / "logs"
# The functions' builds for this machine, under the paths that the template names: `make host-build` fills it.
HOST = SOURCE / "target/local"
# What `sam package` reads, besides the zips.
PACKAGED_FROM = ("template.yaml", "samconfig.toml", "statemachine/order.asl.json")
BUILD = "buildspec.yml"
PACKAGED = "packaged-template.yaml"

CARGO_HOME = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
SMOKE_TEST = 'python tools/smoke.py --config-env "$DEPLOY_ENV"'
REPLACEMENTS = (
    Replacement("CARGO_HOME=/root/.cargo", f"CARGO_HOME={CARGO_HOME}", "Rust is installed here already"),
    Replacement(
        "curl --proto '=https' --tlsv1.2 --fail --silent --show-error https://sh.rustup.rs | "
        "sh -s -- -y --default-toolchain none --profile minimal",
        "rustup --version",
        "rustup is installed here already",
    ),
    Replacement("rustup toolchain install", "rustc --version", "the toolchain of this machine is left as it is"),
    Replacement(
        SMOKE_TEST,
        f'{SMOKE_TEST} --api-url "$LOCAL_API_URL" --sign-in-url "$LOCAL_SIGN_IN_URL" --web-url "$LOCAL_WEB_URL"',
        "the stack's outputs are addresses of AWS",
    ),
)


@dataclass(frozen=True)
class Edit:
    """A change of a file's text."""

    file: str
    written: str
    instead: str
    reason: str

    def apply(self, folder: Path) -> None:
        """Changes the file in the folder; refuses a text that it does not contain exactly once."""
        path = folder / self.file
        text = path.read_text()
        if text.count(self.written) != 1:
            message = f"{self.file} must contain {self.written!r} once: correct the edit in tools/pipeline_local.py"
            raise BuildspecError(message)
        path.write_text(text.replace(self.written, self.instead))
        print(f"  {self.file}: {self.written}\n    replaced by: {self.instead}\n    because {self.reason}")


EMULATOR = "the emulator runs the functions as processes of this machine, and lacks some of AWS's resource types"
EDITS = (
    Edit(
        "samconfig.toml",
        '"Environment=dev",',
        '"Environment=local", "Architecture=x86_64",',
        EMULATOR,
    ),
    Edit(
        "samconfig.toml",
        '"Environment=prod",',
        '"Environment=local", "Architecture=x86_64", "PaymentUrl=https://payments.invalid",'
        ' "RestaurantUrl=https://restaurants.invalid",',
        f"{EMULATOR}; and prod needs providers, which the smoke test must never reach",
    ),
    Edit("samconfig.toml", '"Canary=true"', '"Canary=false"', "the emulator has no CodeDeploy"),
)

# Where faults are planted and seen.
FUNCTION = "GetOrderFunction"
CHECK_ZIPS = "make check-zips ENV=dev"
ANY_GLIBC = ("RELEASE_TARGET := aarch64-unknown-linux-gnu.2.26\n", "RELEASE_TARGET := aarch64-unknown-linux-gnu\n")

# CloudFormation's role and the boundary: resources of the Pulumi program.
ACCOUNT = "arn:aws:iam::000000000000"


@dataclass(frozen=True)
class Stage:
    """A stage of pipeline/delivery.ts, with its buildspecs in the order of its actions."""

    name: str
    env: str
    actions: tuple[str, ...]


DEPLOY_DEV = Stage("DeployDev", "dev", ("prepare", "execute", "web", "smoke"))
STAGES = (
    DEPLOY_DEV,
    # A person approves the change set here.
    Stage("Approval", "prod", ("prepare",)),
    Stage("DeployProd", "prod", ("execute", "web", "smoke")),
)


class PipelineError(Exception):
    """A step that failed, or a planted fault that did not stop the pipeline as it must."""


@dataclass(frozen=True)
class Row:
    """A line of the summary."""

    name: str
    seconds: float
    result: str


def buildspec_of(action: str) -> str:
    return f"pipeline/buildspecs/{action}.yml"


def all_buildspecs(folder: Path) -> list[Path]:
    """The buildspecs of the pipeline."""
    return [folder / BUILD, *sorted((folder / buildspec_of("*")).parent.glob("*.yml"))]


def environment() -> dict[str, str]:
    """The environment that make was given, without what the Makefile adds."""
    tools = str(ROOT / ".tools")
    path = [entry for entry in os.environ["PATH"].split(":") if not entry.startswith(tools)]
    added = {"CARGO_TARGET_DIR", "MFLAGS", "MAKEFLAGS", "MAKELEVEL", "MAKE_TERMOUT", "MAKE_TERMERR"}
    return {name: value for name, value in os.environ.items() if name not in added} | {"PATH": ":".join(path)}


@dataclass
class Pipeline:
    """One run after another of the pipeline, against one emulator."""

    endpoint: str
    rows: list[Row] = field(default_factory=list)
    # By environment: the variables that its change set has exported.
    exported: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: list[tuple[str, str, str]] = field(default_factory=list)

    # --- Projects ---

    def new_build(self, name: str, folder: Path, spec: str, variables: dict[str, str]) -> Build:
        """Returns a build of CodeBuild that has not begun."""
        print(f"\n=== {name}")
        log = LOGS / f"{name.replace(' ', '-').lower()}.log"
        return codebuild.prepare(codebuild.read(folder / spec), folder, variables, log, REPLACEMENTS)

    def record(self, name: str, build: Build) -> None:
        """Notes the time and the result of each phase."""
        for phase in codebuild.PHASES:
            steps = [step for step in build.steps if step.phase == phase]
            if steps:
                failed = [step for step in steps if step.status]
                result = f"failed: {failed[0].command}" if failed else "passed"
                self.rows.append(Row(f"{name} {phase}", sum(step.seconds for step in steps), result))

    @contextmanager
    def own_step(self, name: str) -> Iterator[None]:
        """Times a step that is no command of a buildspec."""
        print(f"\n=== {name}")
        started = time.monotonic()
        yield
        self.rows.append(Row(name, time.monotonic() - started, "passed"))

    # --- Build ---

    def build(self) -> Build:
        """Builds and packages the clone for AWS."""
        build = self.new_build("Build", SOURCE, BUILD, environment())
        build.run_phases()
        self.record("Build", build)
        expect_success(build)
        return build

    def check_packages(self) -> None:
        """Checks that the packages in the local S3 are the zips that were built for AWS."""
        built, packaged = functions(SOURCE / "template.yaml"), functions(SOURCE / PACKAGED)
        s3 = boto3.client("s3")
        for name, zip_file in built.items():
            uri = urlsplit(packaged[name])
            uploaded = s3.get_object(Bucket=uri.netloc, Key=uri.path.removeprefix("/"))["Body"].read()
            if uploaded != (SOURCE / zip_file).read_bytes():
                message = f"{packaged[name]} is not {zip_file}"
                raise PipelineError(message)
        print(f"  {len(built)} arm64 zips are in the local S3")

    def artifact(self, build: Build) -> Path:
        """Returns the folder of the files that the build passes on to the stages, by the buildspec's `artifacts`.

        It has a package for this machine: made by the same commands, from other zips.
        """
        for name in PACKAGED_FROM:
            copy = HOST / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SOURCE / name, copy)
        host = codebuild.prepare(build.spec, HOST, build.environment, LOGS / "package.log")
        host.run_phases(start=build.spec.phases["post_build"][0])
        expect_success(host)
        folder = ARTIFACTS / "good"
        codebuild.collect(build.spec, SOURCE, folder)
        shutil.copyfile(HOST / PACKAGED, folder / PACKAGED)
        for change in EDITS:
            change.apply(folder)
        return folder

    # --- Deployment ---

    def deploy(self, stage: Stage, artifact: Path, run: str, title: str = "") -> Build:
        """Runs the actions of a stage until one fails; returns the last build."""
        for action in stage.actions:
            name = f"{title or stage.name} {action}"
            unpack(artifact)
            with self.variables(stage.env, action, run) as variables:
                build = self.new_build(name, UNPACKED, buildspec_of(action), variables)
                build.run_phases()
            self.record(name, build)
            self.exported.setdefault(stage.env, {}).update(build.exported)
            if build.failure:
                break
        return build

    @contextmanager
    def variables(self, env: str, action: str, run: str) -> Iterator[dict[str, str]]:
        """Gives the variables of a project: those of pipeline/environment.ts and of the action in delivery.ts."""
        own = environment() | {"DEPLOY_ENV": env, "RUN": run} | self.exported.get(env, {})
        own |= {
            "STACK_ROLE": f"{ACCOUNT}:role/order-api-pipeline-{env}-stack",
            "STACK_BOUNDARY": f"{ACCOUNT}:policy/order-api-pipeline-{env}-stack",
        }
        if action != "smoke":
            yield own
            return
        stack = outputs(boto3.client("cloudformation"), stack_of(env))
        name = urlsplit(stack["ApiUrl"]).path
        api = f"{self.endpoint}/_aws/execute-api/{stack['ApiId']}{name}"
        host = stack["WebUrl"].removeprefix("https://").replace(".cloudfront.net", ".cloudfront.localhost")
        with edge(api, f"http://{host}:{urlsplit(self.endpoint).port}") as web:
            yield own | {"LOCAL_API_URL": api, "LOCAL_SIGN_IN_URL": self.endpoint, "LOCAL_WEB_URL": web}

    # --- Faults ---

    def stops(self, fault: str, failure: Step | None, command: str, message: str) -> None:
        """Notes where a fault has stopped the pipeline; fails if it did not, or elsewhere, or for another reason."""
        lines = failure.output.splitlines() if failure else []
        said = next((line.strip() for line in lines if message in line), None)
        if failure is None or failure.command != command or said is None:
            where = f"{failure.command} with:\n{tail(failure)}" if failure else "nowhere"
            problem = f"{fault}: must stop at {command} with {message!r}, but stopped at {where}"
            raise PipelineError(problem)
        self.faults.append((fault, f"{failure.phase}: {failure.command}", said))
        print(f"  stopped as expected: {said}")

    def break_build(self, good: Build, fault: str, start: str, command: str, message: str) -> None:
        """Repeats the build with a planted fault, from a command on; nothing may be packaged or deployed."""
        (SOURCE / PACKAGED).unlink(missing_ok=True)
        before = deployments()
        build = self.new_build(f"Fault: {fault}", SOURCE, BUILD, dict(good.environment))
        build.run_phases(start)
        self.record(f"Fault: {fault}", build)
        self.stops(fault, build.failure, command, message)
        if (SOURCE / PACKAGED).exists() or deployments() != before:
            problem = f"{fault}: something was packaged or deployed"
            raise PipelineError(problem)

    def broken_test(self, good: Build) -> None:
        planted = SOURCE / "shared/tests/planted.rs"
        planted.write_text('//! A planted fault.\n\n#[test]\nfn planted() {\n    assert_eq!("right", "wrong");\n}\n')
        self.break_build(good, "a unit test fails", "make check", "make check", "assertion `left == right` failed")
        planted.unlink()

    def wrong_architecture(self, good: Build) -> None:
        zip_file = Path(functions(SOURCE / "template.yaml")[FUNCTION])
        saved = (SOURCE / zip_file).read_bytes()
        shutil.copyfile(HOST / zip_file, SOURCE / zip_file)
        self.break_build(good, "a zip is built for this machine", CHECK_ZIPS, CHECK_ZIPS, "is built for EM_X86_64")
        (SOURCE / zip_file).write_bytes(saved)

    def wrong_glibc(self, good: Build) -> None:
        makefile = (SOURCE / "Makefile").read_text()
        Edit("Makefile", *ANY_GLIBC, "this fault is planted").apply(SOURCE)
        self.break_build(good, "the zips are built for any glibc", "make release-build", CHECK_ZIPS, "needs glibc")
        (SOURCE / "Makefile").write_text(makefile)

    def broken_function(self, artifact: Path) -> None:
        """Releases a function with a wrong variable: the smoke test stops dev, and a rollback repairs it."""
        fault = "a function has a wrong variable"
        before = deployments()[stack_of("prod")]
        build = self.deploy(DEPLOY_DEV, broken_artifact(artifact), "run-2", f"Fault: {fault}:")
        self.stops(fault, build.failure, SMOKE_TEST, "expected 200, but got 500")
        if deployments()[stack_of("prod")] != before:
            problem = f"{fault}: prod was changed"
            raise PipelineError(problem)
        # What CodePipeline then does by itself: it repeats the stage with the artifact of the last good run.
        expect_success(self.deploy(DEPLOY_DEV, artifact, "run-3", "Rollback of DeployDev:"))


def broken_artifact(artifact: Path) -> Path:
    """Copies the artifact, and lets GET of one order read a table that does not exist."""
    broken = ARTIFACTS / "broken"
    shutil.copytree(artifact, broken)
    template = yaml_parse((broken / PACKAGED).read_text())
    properties = template["Resources"][FUNCTION]["Properties"]
    # A new mapping, because other functions share this one by an anchor.
    properties["Environment"] = {
        "Variables": properties["Environment"]["Variables"] | {"ORDERS_TABLE": "no-such-table"}
    }
    (broken / PACKAGED).write_text(json.dumps(template))
    return broken


def tail(step: Step, lines: int = 40) -> str:
    return "\n".join(step.output.splitlines()[-lines:])


def expect_success(build: Build) -> None:
    if build.failure:
        message = f"{build.failure.command} has failed:\n{tail(build.failure)}\nAll of it: {build.log}"
        raise PipelineError(message)


def functions(template: Path) -> dict[str, str]:
    """CodeUri by function."""
    resources = yaml_parse(template.read_text())["Resources"]
    return {
        name: resource["Properties"]["CodeUri"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def stack_of(env: str) -> str:
    return f"order-api-{env}"


def deployments() -> dict[str, int]:
    """Number of events by stack. It grows with each change."""
    cloudformation = boto3.client("cloudformation")
    pages = cloudformation.get_paginator("describe_stack_events")
    return {
        name: sum(len(page["StackEvents"]) for page in pages.paginate(StackName=name))
        for name in map(stack_of, ("dev", "prod"))
    }


def unpack(artifact: Path) -> None:
    """Makes the folder of a project anew. Only .tools stays: it would be installed again, the same each time."""
    UNPACKED.mkdir(exist_ok=True)
    for path in UNPACKED.iterdir():
        if path.is_dir() and path.name != ".tools":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    shutil.copytree(artifact, UNPACKED, dirs_exist_ok=True)


def clone() -> None:
    """Clones HEAD."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    LOGS.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, SOURCE], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    subprocess.run(["git", "checkout", "--quiet", "--detach", head.strip()], cwd=SOURCE, check=True)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    if changed:
        print("Changes that are not committed are left out.")


def build_host_zips(build: Build) -> None:
    """Builds the functions for this machine, in the environment of the build."""
    subprocess.run(["make", "host-build"], cwd=SOURCE, env=build.environment, stdin=subprocess.DEVNULL, check=True)


def run(pipeline: Pipeline) -> None:
    """Runs the pipeline once as it should be, then with each fault."""
    # Before what takes long. Nothing that somebody has deployed is changed.
    if boto3.client("cloudformation").list_stacks().get("StackSummaries"):
        message = f"{pipeline.endpoint} has stacks already: run `make pipeline-local`"
        raise PipelineError(message)
    with pipeline.own_step("Clone HEAD"):
        clone()
        codebuild.check_replacements(REPLACEMENTS, [codebuild.read(path) for path in all_buildspecs(SOURCE)])
    good = pipeline.build()
    with pipeline.own_step("Check the packages"):
        pipeline.check_packages()
    with pipeline.own_step("Package the functions for this machine"):
        build_host_zips(good)
        artifact = pipeline.artifact(good)
    for stage in STAGES:
        expect_success(pipeline.deploy(stage, artifact, "run-1"))
    pipeline.broken_test(good)
    pipeline.wrong_architecture(good)
    pipeline.wrong_glibc(good)
    pipeline.broken_function(artifact)


def show(pipeline: Pipeline) -> None:
    """Prints what was run and where each fault has stopped it."""
    width = max((len(row.name) for row in pipeline.rows), default=0)
    print(f"\n{'step':{width}}  seconds  result")
    for row in pipeline.rows:
        print(f"{row.name:{width}}  {row.seconds:7.0f}  {row.result}")
    print(f"{'all':{width}}  {sum(row.seconds for row in pipeline.rows):7.0f}")
    for fault, command, message in pipeline.faults:
        print(f"\nplanted:    {fault}\nstopped at: {command}\nmessage:    {message}")


def main() -> int:
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint is None:
        print("error: AWS_ENDPOINT_URL is not set: run `make pipeline-local`", file=sys.stderr)
        return 1
    if platform.machine() != "x86_64":
        message = f"pipeline-local needs an x86-64 machine, and this is {platform.machine()}: here, the functions"
        print(f"error: {message} built for the machine would pass for those of AWS", file=sys.stderr)
        return 1
    pipeline = Pipeline(endpoint)
    try:
        run(pipeline)
    except (BuildspecError, PipelineError, BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return 130
    finally:
        show(pipeline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
