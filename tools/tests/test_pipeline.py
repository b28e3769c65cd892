"""The files of the pipeline that are not TypeScript: what its builds run, and the rights of its roles."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse

from translation import translate

BUILD = "buildspec.yml"
DEPLOY = ["prepare", "execute", "web", "smoke"]


def buildspec(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def commands(spec: dict) -> list[str]:
    return [command for phase in spec["phases"].values() for command in phase["commands"]]


@pytest.fixture(scope="module")
def translated(root: Path) -> dict:
    return translate(yaml_parse((root / "template.yaml").read_text()), Canary="true")


@pytest.fixture
def artifact(root: Path, tmp_path: Path) -> Path:
    """A folder with the files that the build passes on to the stages that deploy. Some of them are not built here."""
    for pattern in buildspec(root / BUILD)["artifacts"]["files"]:
        for path in root.glob(pattern):
            if path.is_file():
                copy = tmp_path / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    return tmp_path


def test_the_build_runs_verbs_of_the_makefile(root: Path) -> None:
    verbs = re.findall(r"^([a-z0-9-]+):", (root / "Makefile").read_text(), re.MULTILINE)
    lines = "\n".join(commands(buildspec(root / BUILD)))
    called = re.findall(r"^make ([a-z-]+)", lines, re.MULTILINE)
    assert set(called) <= set(verbs)
    # In this order: nothing is packaged that was not checked.
    assert called == ["tools", "check", "release-build", "check-zips", "check-zips", "web"]
    assert lines.index("make web") < lines.index('test "$CODEBUILD_BUILD_SUCCEEDING" = 1') < lines.index("sam package")


def test_the_build_passes_on_what_it_has_built(root: Path) -> None:
    files = buildspec(root / BUILD)["artifacts"]["files"]
    assert {"packaged-template.yaml", "web/dist/**/*"} < set(files)
    assert "--output-template-file packaged-template.yaml" in commands(buildspec(root / BUILD))[-1]


@pytest.mark.parametrize("name", DEPLOY)
def test_a_stage_finds_its_commands_in_the_artifact(name: str, artifact: Path) -> None:
    lines = commands(buildspec(artifact / f"pipeline/buildspecs/{name}.yml"))
    assert lines[0] == "python3 tools/install.py .tools/aws tools/requirements.txt"
    assert (artifact / "tools/requirements.txt").is_file()
    scripts = re.findall(r"^python (tools/\w+\.py)", "\n".join(lines), re.MULTILINE)
    assert scripts
    for script in scripts:
        subprocess.run([sys.executable, script, "--help"], cwd=artifact, check=True, capture_output=True)


@pytest.mark.parametrize("name", DEPLOY)
def test_a_stage_stops_at_the_first_failure(name: str, artifact: Path) -> None:
    for line in commands(buildspec(artifact / f"pipeline/buildspecs/{name}.yml")):
        # CodeBuild looks at the status of each command; that of a pipe or of a list is the status of its last.
        assert not re.search(r"\||;|\$\(", line), line


# Instead of tools/*.py.
PYTHON = """#!/usr/bin/env bash
[ "$1" = tools/change_set.py ] || exit 0
echo "$@" >&2
printf "export %s='%s'\\n" CHANGE_SET arn CHANGE_SET_URL 'https://a/#/b?c&d=%3A' PREPARED_BY "${@: -1}"
"""


def test_the_change_set_is_exported(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(PYTHON)
    (tmp_path / "bin/python").chmod(0o755)
    spec = buildspec(artifact / "pipeline/buildspecs/prepare.yml")
    script = "\n".join([*spec["phases"]["build"]["commands"], "env"])
    variables = {"DEPLOY_ENV": "prod", "STACK_ROLE": "role", "STACK_BOUNDARY": "boundary", "RUN": "run-1"}
    environment = variables | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    ran = subprocess.run(
        ["bash", "-euc", script], cwd=artifact, env=environment, check=True, capture_output=True, text=True
    )
    exported = dict(line.split("=", 1) for line in ran.stdout.splitlines())
    assert {name: exported.get(name) for name in spec["env"]["exported-variables"]} == {
        "CHANGE_SET": "arn",
        "CHANGE_SET_URL": "https://a/#/b?c&d=%3A",
        "PREPARED_BY": "run-1",
    }
    assert "prepare --config-env prod --role role --boundary boundary --run run-1" in ran.stderr


def test_the_stacks_and_the_region_are_those_of_samconfig(root: Path) -> None:
    region = yaml.safe_load((root / "pipeline/Pulumi.yaml").read_text())["config"]["aws:region"]
    config = tomllib.loads((root / "samconfig.toml").read_text())
    for name in ("dev", "prod"):
        assert config[name]["global"]["parameters"]["region"] == region
        assert config[name]["deploy"]["parameters"]["stack_name"] == f"order-api-{name}"
    assert "`order-api-${name}`" in (root / "pipeline/environment.ts").read_text()


# Rights that the resource types declare for what the template does not use, by the name of the feature.
UNUSED = {
    "foreign services": r"(ec2|elasticfilesystem|firehose|kinesis|kms|s3files|s3tables):.+",
    "another service's logs and keys": r"logs:(.*LogDelivery|.*KmsKey|.*DataProtectionPolicy|.*IndexPolicy|"
    r".*ResourcePolicy|PutBearerTokenAuthentication|PutLogGroupDeletionProtection|CreateLogStream|PutLogEvents)",
    "items": r"dynamodb:(BatchWriteItem|DeleteItem|GetItem|PutItem|Query|Scan|UpdateItem)",
    "replicas, imports, streams": r"dynamodb:(.*TableReplica|.*Import.*|.*able.*Kinesis.*|UpdateKinesis.*|"
    r"UpdateContributorInsights|(Put|Delete)ResourcePolicy)",
    "other settings of buckets": r"s3:(((Put|Create|Delete|Update)(Bucket)?(Accelerate|Analytics|Abac|Acl|CORS|Cors|"
    r"Logging|Metadata|Metrics|Notification|ObjectLock|Replication|Versioning|Website|Intelligent|Inventory|Lifecycle|"
    r"Encryption).*)|DeleteObject|GetObject.+|PutObject.*|REST.*)",
    "capacity, layers, signing, recursion": r"lambda:(.*Provisioned.*Config|.*CodeSigningConfig|GetLayerVersion|"
    r"PassCapacityProvider|AssociateRuntimeAlias|Put(FunctionRecursion|FunctionScaling|RuntimeManagement)Config)",
    "other distributions": r"cloudfront:(.*ConnectionGroup|GetVpcOrigin|.*StagingConfig|updateDistribution)",
    "data protection of topics": r"sns:PutDataProtectionPolicy",
    "own servers": r"codedeploy:RegisterOnPremisesInstance",
    "attributes of users": r"cognito-idp:AddCustomAttributes",
    "roles outside the boundary": r"iam:(DeleteRolePermissionsBoundary|CreateServiceLinkedRole)",
}


def test_cloudformation_may_do_what_the_resource_types_declare(root: Path, translated: dict) -> None:
    allowed = set(re.findall(r'"([a-z0-9-]+:[A-Za-z]+)"', (root / "pipeline/stack-rights.ts").read_text()))
    types = {resource["Type"] for resource in translated["Resources"].values()}
    assert {"AWS::CodeDeploy::DeploymentGroup", "AWS::Lambda::Alias", "AWS::Lambda::Version"} < types
    declared = set()
    for name in types:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", name).schema.get("handlers", {})
        for verb in handlers.keys() - {"list"}:
            declared |= set(handlers[verb]["permissions"])
    unused = re.compile("|".join(UNUSED.values()))
    assert {right for right in declared - allowed if not unused.fullmatch(right)} == set()
