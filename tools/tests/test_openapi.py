"""The OpenAPI document against the template: the same operations, each by the function that it is named for.

And the JSON Schema of the topic's messages against its examples.
"""

import copy
import json
import re
from pathlib import Path

import pytest
import schemathesis
import yaml
from jsonschema import Draft202012Validator
from samtranslator.yaml_helper import yaml_parse


@pytest.fixture(scope="session")
def document(root: Path) -> dict:
    return yaml.safe_load((root / "openapi.yaml").read_text())


def test_it_has_the_templates_operations_and_scopes(document: dict, root: Path) -> None:
    def any_of(operation: dict) -> frozenset[str]:
        return frozenset(scope for requirement in operation["security"] for scope in requirement["sign-in"])

    documented = {
        (method.upper(), path, operation["operationId"].removesuffix("-as-published"), any_of(operation))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    template = yaml_parse((root / "template.yaml").read_text())
    functions = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    events = [
        (event["Properties"], Path(function["CodeUri"]).parent.name)
        for function in functions
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    ]
    routed = {
        (event["Method"], event["Path"], function, frozenset(event["Auth"]["AuthorizationScopes"]))
        for event, function in events
    }
    assert documented == routed


def test_every_problem_of_the_catalogue_is_an_answer_of_an_operation_or_of_the_gateway(document: dict) -> None:
    catalogue = {e["type"].rsplit(":", 1)[-1] for e in document["components"]["schemas"]["ProblemDetails"]["examples"]}
    answered = {
        kind
        for operations in document["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        for kind in re.findall(r"`([a-z-]+)`:", response["description"])
    }
    assert catalogue - answered == {"no-such-route"}
    assert answered <= catalogue


@pytest.mark.parametrize("name", ["openapi.yaml", "docs/providers.yaml"])
def test_it_is_openapi(root: Path, name: str) -> None:
    document = yaml.safe_load((root / name).read_text())
    schemathesis.openapi.from_dict(document).validate()
    broken = copy.deepcopy(document)
    operation = next(iter(next(iter(broken["paths"].values())).values()))
    operation["parameters"][0] = {"name": "nowhere"}
    with pytest.raises(Exception, match=r"\"in\" is a required property"):
        schemathesis.openapi.from_dict(broken).validate()


def test_the_schema_of_notifications_accepts_its_examples_and_no_others(root: Path) -> None:
    schema = json.loads((root / "docs/notification.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for example in schema["examples"]:
        assert list(validator.iter_errors(example)) == []
        for field, bad in [("refund", "PAID"), ("total", {"amount": -1, "currency": "EUR"}), ("quantity", "0")]:
            assert not validator.is_valid({**example, "order": {**example["order"], field: bad}})
        assert not validator.is_valid({**example, "id": f"{example['order']['id']}:PENDING"})
        assert not validator.is_valid({"id": example["id"]})
