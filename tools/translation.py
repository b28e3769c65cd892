"""SAM's translation of template.yaml: the resources that AWS creates. As a program, it prints the translation."""

import copy
import json
import os
import re
from pathlib import Path

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


def translate(template: dict, **parameters: str) -> dict:
    """Returns the template after both transforms: the resources that AWS creates. `parameters` replace the defaults."""

    class NoManagedPolicies(ManagedPolicyLoader):
        def __init__(self) -> None: ...

        def load(self) -> dict:
            return {}

    values = {name: p.get("Default") for name, p in template["Parameters"].items()} | parameters
    template = copy.deepcopy(template)
    # cfn-lint warns that provided.al2 is deprecated. That is known, and must not hide other warnings.
    for name, value in (parameters | {"Runtime": "provided.al2023"}).items():
        # So that cfn-lint sees these values only.
        if "AllowedValues" in template["Parameters"][name]:
            template["Parameters"][name] |= {"Default": value, "AllowedValues": [value]}
    for resource in template["Resources"].values():
        # The uses of AWS::LanguageExtensions: a DeletionPolicy looked up in a map, and an object as a JSON string.
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if isinstance(resource.get(policy), dict):
                table, environment, key = resource[policy]["Fn::FindInMap"]
                resource[policy] = template["Mappings"][table][values[environment["Ref"]]][key]
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            resource["Properties"]["DashboardBody"] = json_string(resource["Properties"]["DashboardBody"])
    del template["Mappings"]["DataByEnvironment"]
    return transform(packaged(template), values, NoManagedPolicies())


def json_string(function: dict) -> dict:
    """Returns what AWS makes of Fn::ToJsonString: a string into which CloudFormation puts what it knows later."""
    later = {}

    def stands_for(value: object) -> object:
        if isinstance(value, list):
            return [stands_for(item) for item in value]
        if not isinstance(value, dict):
            return value
        if re.fullmatch(r"Ref|Fn::\w+", next(iter(value))):
            later[f"Value{len(later)}"] = value
            return f"${{Value{len(later) - 1}}}"
        return {key: stands_for(item) for key, item in value.items()}

    return {"Fn::Sub": [json.dumps(stands_for(function["Fn::ToJsonString"])), later]}


def packaged(template: dict) -> dict:
    """Returns the template with the files in a bucket, as `sam package` does."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        for file in ("CodeUri", "DefinitionUri"):
            path = resource.get("Properties", {}).get(file)
            if path and not path.startswith("s3://"):
                resource["Properties"][file] = f"s3://bucket/{path}"
    return template


def main() -> None:
    # SAM's translator needs a region; any region will do.
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    root = Path(__file__).parents[1]
    print(json.dumps(translate(yaml_parse((root / "template.yaml").read_text()))))


if __name__ == "__main__":
    main()
