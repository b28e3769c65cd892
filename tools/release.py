"""Stamps the packaged template for an environment: each function gets an id of its release.

The id is a hash of all that makes the function: its zip, its part of the template, and what that refers to, parameters
with their values. SAM publishes a version of a function whenever its id changes, so a change of one function leaves the
others alone, and a changed parameter publishes all functions that use it. Without an id, SAM publishes for a new zip
only.

The id is also a variable of the function, RELEASE. So each version differs from the one before, as Lambda demands, and
its logs can name it.
"""

import json
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

from check_parameters import deployed_parameters
from samconfig import parameters, settings_from_arguments

# Written by `sam package`; the same for all environments.
PACKAGED = Path("packaged-template.yaml")
# In the folder of samconfig.toml, because the SAM CLI looks for that file beside the template.
RELEASE = Path("release-template.yaml")
FUNCTION = "AWS::Serverless::Function"
# Functions that refer to one of these depend on its ARN only, and so on what makes CloudFormation replace it.
REPLACED_BY = {FUNCTION: ("FunctionName", "PackageType"), "AWS::Serverless::StateMachine": ("Name", "Type")}
# How a function is called and released, which is no part of a version.
NOT_IN_A_VERSION = {"Events", "DeploymentPreference"}


def references(part: object) -> Iterator[str]:
    """Returns the names to which a part of the template refers: parameters, conditions, mappings and resources."""
    if isinstance(part, list):
        for item in part:
            yield from references(item)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        match key, value:
            case ("Ref" | "Fn::GetAtt", str(name)) | ("Fn::GetAtt", [str(name), *_]):
                yield name.partition(".")[0]
            case ("Condition" | "DependsOn", str(name)) | ("Fn::If" | "Fn::FindInMap", [str(name), *_]):
                yield name
            case "DependsOn", list(names):
                yield from names
            case ("Fn::Sub", str(text)) | ("Fn::Sub", [str(text), _]):
                yield from re.findall(r"\$\{(\w+)", text)
        yield from references(value)


def counts(resource: dict) -> dict:
    """Returns the part of a resource that counts for the functions that refer to it."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind not in REPLACED_BY:
        return resource
    return {"Type": kind, "Properties": {name: properties.get(name) for name in REPLACED_BY[kind]}}


def ids(template: dict, values: dict[str, str]) -> dict[str, str]:
    """Returns the id of each function, by its logical id. `values` are those of the template's parameters."""
    resources = template["Resources"]
    counted = {name: counts(resource) for name, resource in resources.items()}
    definitions = template.get("Mappings", {}) | template.get("Conditions", {}) | counted | values

    def release(resource: dict) -> str:
        properties = {n: value for n, value in resource["Properties"].items() if n not in NOT_IN_A_VERSION}
        function = {**resource, "Properties": properties, "Globals": template.get("Globals", {}).get("Function")}
        used, names = {}, set(references(function))
        while names:
            used |= {name: definitions.get(name) for name in names}
            names = set(references([used[name] for name in names])) - used.keys()
        text = json.dumps([function, used], sort_keys=True)
        # SAM takes the first ten characters. One of them is no digit, so that no YAML parser reads a number.
        return f"r{sha256(text.encode()).hexdigest()[:9]}"

    return {name: release(resource) for name, resource in resources.items() if resource["Type"] == FUNCTION}


def stamp(template: dict, values: dict[str, str]) -> dict:
    """Returns the template with the id of each function."""
    resources = dict(template["Resources"])
    for name, release in ids(template, values).items():
        properties = resources[name]["Properties"]
        environment = properties.get("Environment", {})
        # Nothing is changed in place: functions with one YAML anchor share their variables.
        variables = environment.get("Variables", {}) | {"RELEASE": release}
        stamped = {"AutoPublishCodeSha256": release, "Environment": environment | {"Variables": variables}}
        resources[name] = resources[name] | {"Properties": properties | stamped}
    return template | {"Resources": resources}


def write(cloudformation: BaseClient, stack: str, overrides: list[str]) -> None:
    """Writes the stamped template for the stack, whose deployed parameters count unless they are overridden."""
    if not PACKAGED.exists():
        sys.exit(f"error: {PACKAGED} is missing: run sam package")
    template = yaml_parse(PACKAGED.read_text())
    values = parameters(template, overrides, deployed_parameters(cloudformation, stack))
    # JSON is YAML, too.
    RELEASE.write_text(json.dumps(stamp(template, values), indent=2))


def main() -> int:
    settings = settings_from_arguments(__doc__.splitlines()[0])
    try:
        cloudformation = boto3.client("cloudformation", region_name=settings["region"])
        write(cloudformation, settings["stack_name"], settings["parameter_overrides"])
    except (BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{RELEASE} is stamped for {settings['env']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
