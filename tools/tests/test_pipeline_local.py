"""What runs the buildspecs here: it must do as CodeBuild does, and leave nothing out."""

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import codebuild
import pipeline_local
from codebuild import Build, BuildspecError, Replacement, Step
from edge import edge
from pipeline_local import Pipeline, PipelineError

SPEC = """
version: 0.2
env:
  shell: bash
  variables: {{ HOME_OF_TOOLS: /root/tools, STAGE: theirs }}
  exported-variables: [MADE]
phases:
  post_build:
    commands: [{post_build}]
  install:
    commands: [{install}]
  build:
    commands: [{build}]
  pre_build:
    commands: [{pre_build}]
artifacts:
  files: ["made.txt", "flat/*", "deep/**/*"]
"""


def spec_file(folder: Path, **commands: str) -> Path:
    path = folder / "buildspec.yml"
    named = {phase: commands.get(phase, "echo $0") for phase in codebuild.PHASES}
    path.write_text(SPEC.format_map({phase: f"'{command}'" for phase, command in named.items()}))
    return path


def build(folder: Path, *replacements: Replacement, start: str | None = None, **commands: str) -> Build:
    spec = codebuild.read(spec_file(folder, **commands))
    variables = {"PATH": "/usr/bin:/bin", "STAGE": "ours"}
    started = codebuild.prepare(spec, folder, variables, folder / "log", replacements)
    started.run_phases(start)
    return started


def outputs(build: Build) -> list[tuple[str, str]]:
    return [(step.phase, step.output.strip()) for step in build.steps]


def test_phases_run_in_order_and_share_what_they_export(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    ran = build(
        tmp_path,
        install='export MADE="a=b $STAGE"; cd inside; NOT_EXPORTED=1',
        pre_build="echo $HOME_OF_TOOLS $NOT_EXPORTED",
        build="pwd; echo $CODEBUILD_SRC_DIR",
        post_build="echo $MADE; echo $CODEBUILD_BUILD_SUCCEEDING >&2",
    )
    assert outputs(ran) == [
        ("install", ""),
        ("pre_build", "/root/tools"),
        ("build", f"{tmp_path}/inside\n{tmp_path}"),
        ("post_build", "a=b ours\n1"),
    ]
    assert ran.failure is None
    assert ran.exported == {"MADE": "a=b ours"}
    assert "a=b ours" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("phase", ["install", "pre_build"])
def test_nothing_runs_after_a_failure_before_the_build(tmp_path: Path, phase: str) -> None:
    ran = build(tmp_path, **{phase: "false"})
    assert ran.steps[-1].phase == phase
    assert ran.failure == ran.steps[-1]


def test_post_build_runs_after_a_failed_build_and_can_see_it(tmp_path: Path) -> None:
    path = spec_file(tmp_path, build="exit 3")
    path.write_text(
        path.read_text()
        .replace("'exit 3'", "exit 3, echo never")
        .replace("post_build:\n    commands: [", "post_build:\n    commands: ['test $CODEBUILD_BUILD_SUCCEEDING = 1', ")
    )
    ran = codebuild.prepare(codebuild.read(path), tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "log")
    ran.run_phases()
    assert [(step.phase, step.status) for step in ran.steps[-2:]] == [("build", 3), ("post_build", 1)]
    assert ran.failure is not None
    assert ran.failure.command == "exit 3"


def test_a_build_can_start_at_a_command(tmp_path: Path) -> None:
    ran = build(tmp_path, start="echo from here", pre_build="echo from here")
    assert [step.phase for step in ran.steps] == ["pre_build", "build", "post_build"]
    with pytest.raises(BuildspecError, match="no command 'echo elsewhere'"):
        build(tmp_path, start="echo elsewhere")


def test_replacements_take_the_place_of_commands_and_variables_and_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = build(
        tmp_path,
        Replacement("curl a | sh", "echo $HOME_OF_TOOLS", "it is here already"),
        Replacement("HOME_OF_TOOLS=/root/tools", "HOME_OF_TOOLS=/home/tools", "of another home"),
        install="curl a | sh",
    )
    assert outputs(ran)[0] == ("install", "/home/tools")
    shown = capsys.readouterr().out
    assert "install: curl a | sh\n    replaced by: echo $HOME_OF_TOOLS\n    because it is here already" in shown
    assert "HOME_OF_TOOLS=/root/tools\n    replaced by: HOME_OF_TOOLS=/home/tools\n    because of another home" in shown


def test_a_replacement_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    spec = codebuild.read(spec_file(tmp_path, install="curl a"))
    codebuild.check_replacements([Replacement("curl a", "true", "")], [spec])
    with pytest.raises(BuildspecError, match="no buildspec contains the line 'curl b' any more"):
        codebuild.check_replacements([Replacement("curl b", "true", "")], [spec])


@pytest.mark.parametrize(
    ("written", "instead", "named"),
    [
        ("shell: bash", "shell: bash\n  parameter-store: {}", "$.env: "),
        ("  build:\n", "  build:\n    on-failure: CONTINUE\n", "$.phases.build: "),
        ("artifacts:\n", "artifacts:\n  discard-paths: yes\n", "$.artifacts: "),
        ("artifacts:\n", "reports: {}\nartifacts:\n", "('reports' was unexpected)"),
        ("shell: bash", "shell: /bin/sh", "$.env.shell: 'bash' was expected"),
        ("version: 0.2", "version: 0.1", "$.version: 0.2 was expected"),
        ("version: 0.2", "", "'version' is a required property"),
        # A string is no list of commands, and a command with a colon is a mapping.
        ("['echo $0']", "make", "$.phases.post_build.commands: 'make' is not of type 'array'"),
        ("['echo $0']", "[make: all]", "$.phases.post_build.commands[0]: "),
        ("phases:", "phases: [", "buildspec.yml: while parsing"),
    ],
)
def test_a_buildspec_that_needs_more_is_refused(tmp_path: Path, written: str, instead: str, named: str) -> None:
    path = spec_file(tmp_path)
    assert written in path.read_text()
    path.write_text(path.read_text().replace(written, instead, 1))
    with pytest.raises(BuildspecError, match=re.escape(named)):
        codebuild.read(path)


def test_artifacts_are_matched_as_codebuild_does(tmp_path: Path) -> None:
    for name in ("made.txt", "other.txt", "flat/a", "flat/sub/b", "deep/c", "deep/sub/sub/d"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o755)
    spec = codebuild.read(spec_file(tmp_path))
    codebuild.collect(spec, tmp_path / "source", tmp_path / "artifact")
    copied = [path for path in (tmp_path / "artifact").rglob("*") if path.is_file()]
    names = {path.relative_to(tmp_path / "artifact").as_posix() for path in copied}
    assert names == {"made.txt", "flat/a", "deep/c", "deep/sub/sub/d"}
    # Nothing later may need the right to execute a file.
    assert not any(path.stat().st_mode & 0o111 for path in copied)
    (tmp_path / "source/made.txt").unlink()
    with pytest.raises(BuildspecError, match=r"nothing matches made\.txt"):
        codebuild.collect(spec, tmp_path / "source", tmp_path / "artifact")


def test_the_pipelines_buildspecs_and_edits_can_be_used(root: Path, tmp_path: Path) -> None:
    specs = [codebuild.read(path) for path in pipeline_local.all_buildspecs(root)]
    codebuild.check_replacements(pipeline_local.REPLACEMENTS, specs)
    for edit in pipeline_local.EDITS:
        (tmp_path / edit.file).write_text((root / edit.file).read_text())
        edit.apply(tmp_path)
        assert edit.instead in (tmp_path / edit.file).read_text()
        with pytest.raises(BuildspecError, match="must contain"):
            edit.apply(tmp_path)


def test_the_stages_are_those_of_the_pipeline(root: Path) -> None:
    run = {action for stage in pipeline_local.STAGES for action in stage.actions}
    assert run == {path.stem for path in pipeline_local.all_buildspecs(root)[1:]}
    delivery = (root / "pipeline/delivery.ts").read_text()
    actions = re.findall(r'run\("\w+", environment\.(\w+)', delivery)
    assert tuple(actions) == pipeline_local.DEPLOY_DEV.actions
    names = re.findall(r'\{ name: "(\w+)", actions', delivery)
    assert names == ["Source", "Build", *(stage.name for stage in pipeline_local.STAGES)]


def test_a_fault_must_stop_at_its_command_with_its_message() -> None:
    pipeline = Pipeline("http://localhost:1")
    stopped = Step("build", "make check-zips", 1, 1, "first\nerror: needs glibc 2.30\n")
    pipeline.stops("fault", stopped, "make check-zips", "needs glibc")
    assert pipeline.faults == [("fault", "build: make check-zips", "error: needs glibc 2.30")]
    for failure, command, message, said in [
        (None, "make check-zips", "needs glibc", "stopped at nowhere"),
        (stopped, "make check", "needs glibc", "stopped at make check-zips"),
        (stopped, "make check-zips", "EM_X86_64", "error: needs glibc 2.30"),
    ]:
        with pytest.raises(PipelineError, match=re.escape(said)):
            pipeline.stops("fault", failure, command, message)
    assert len(pipeline.faults) == 1


def test_the_planted_fault_of_a_function_is_its_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_local, "ARTIFACTS", tmp_path / "artifacts")
    good = tmp_path / "good"
    good.mkdir()
    (good / pipeline_local.PACKAGED).write_text((root / "template.yaml").read_text())
    (good / "samconfig.toml").write_text("edited")
    broken = pipeline_local.broken_artifact(good)
    assert (broken / "samconfig.toml").read_text() == "edited"
    templates = [folder / pipeline_local.PACKAGED for folder in (good, broken)]
    before, after = (yaml_parse(path.read_text())["Resources"] for path in templates)
    assert {name for name in before if before[name] != after[name]} == {pipeline_local.FUNCTION}
    assert pipeline_local.functions(templates[0]) == pipeline_local.functions(templates[1])


def test_a_project_begins_with_the_artifact_and_installed_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_local, "UNPACKED", tmp_path / "unpacked")
    for name in ("artifact/tools/smoke.py", "unpacked/.tools/aws/bin/sam", "unpacked/tools/old.py", "unpacked/left.sh"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    pipeline_local.unpack(tmp_path / "artifact")
    files = {path.relative_to(tmp_path / "unpacked").as_posix() for path in tmp_path.glob("unpacked/**/*.*")}
    assert files == {".tools", "tools/smoke.py"}


STACKS = """<ListStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><ListStacksResult>
<StackSummaries><member><StackName>order-api-local</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-01-01T00:00:00Z</CreationTime></member></StackSummaries></ListStacksResult></ListStacksResponse>"""


class Deployed(BaseHTTPRequestHandler):
    """An emulator with a stack."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(STACKS)))
        self.end_headers()
        self.wfile.write(STACKS.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_only_an_empty_emulator_is_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "secret", "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(pipeline_local.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(pipeline_local, "clone", lambda: pytest.fail("the run has begun"))
    with HTTPServer(("127.0.0.1", 0), Deployed) as emulator:
        threading.Thread(target=emulator.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{emulator.server_port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert pipeline_local.main() == 1
        assert f"error: {endpoint} has stacks already: run `make pipeline-local`\n" in capsys.readouterr().err
        emulator.shutdown()
    # Nothing listens there any more.
    assert pipeline_local.main() == 1
    assert f'error: Could not connect to the endpoint URL: "{endpoint}/"' in capsys.readouterr().err


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = f"{self.path} {self.headers['Host']} {self.headers['X-Forwarded-Proto']} {body}".encode()
        self.send_response(201)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(asked)))
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/orders?limit=1", "/_aws/execute-api/abc/Dev/orders?limit=1 localhost:{port} None body"),
        ("/config.json", "/config.json d1.cloudfront.localhost:{port} https body"),
    ],
)
def test_the_web_ui_and_the_api_share_an_origin(path: str, asked: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        port = upstream.server_port
        with edge(f"http://localhost:{port}/_aws/execute-api/abc/Dev", f"http://d1.cloudfront.localhost:{port}") as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"))
            connection.request("PUT", path, "body")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
            assert answer.read().decode() == asked.format(port=port)
            connection.close()
        upstream.shutdown()
