"""The OpenAPI document against the template: the same operations, each by the function that it is named for.

And the JSON Schema of the topic's messages against its examples, and all documents against what other tools can read.
"""

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import schemathesis
import yaml
from jsonschema import Draft202012Validator
from pydantic import StringConstraints, TypeAdapter
from samtranslator.yaml_helper import yaml_parse

# The syntax of patterns that JavaScript, Python, Rust and Go share: characters, classes, groups, repetitions. They do
# not share look-around, references to groups, \u (not in Go), more than 999 repetitions (Go takes 1000), \d and \s (of
# Unicode or of ASCII), && in a class (an intersection in Rust).
COMMON_SYNTAX = re.compile(
    r"(?:[^\\({&]|\{(?!\d*,?\d{4})|&(?!&)|\((?:\?:|(?!\?))|\\x[0-9a-f]{2}|\\[trn]|\\[^a-zA-Z0-9])*"
)


def objects(node: object) -> Iterator[dict]:
    """Yields all objects of a document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from objects(child)


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


@pytest.mark.parametrize("name", ["openapi.yaml", "docs/providers.yaml", "docs/notification.schema.json"])
def test_its_patterns_compile_in_all_languages(root: Path, name: str) -> None:
    document = yaml.safe_load((root / name).read_text())
    patterns = sorted({one["pattern"] for one in objects(document) if "pattern" in one})
    assert patterns
    for pattern in patterns:
        assert COMMON_SYNTAX.fullmatch(pattern), pattern
        re.compile(pattern)
        # Pydantic compiles it by the crate regex of Rust.
        TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
        subprocess.run(["node", "--eval", "new RegExp(process.argv[1], 'u')", pattern], check=True)


@pytest.mark.parametrize("pattern", ["(?!a)b", "(?<=a)b", r"(a)\1", r"\u00a0", r"\d", r"[\s]", "a{1,1001}", "[a&&b]"])
def test_a_pattern_of_some_languages_only_is_noticed(pattern: str) -> None:
    assert not COMMON_SYNTAX.fullmatch(pattern)


@pytest.mark.parametrize("name", ["openapi.yaml", "docs/providers.yaml", "docs/notification.schema.json"])
def test_no_schema_has_a_list_of_types(root: Path, name: str) -> None:
    # Generators of clients take the first type, or any.
    document = yaml.safe_load((root / name).read_text())
    assert [one for one in objects(document) if isinstance(one.get("type"), list)] == []


def test_readers_of_yaml_1_1_get_the_types_of_the_schemas(document: dict) -> None:
    # Fails if a string without quotes was read as a date.
    json.dumps(document)
    described = [one for one in objects(document) if "example" in one and one.get("type") in ("string", "integer")]
    assert {one["type"] for one in described} == {"string", "integer"}
    for schema in described:
        Draft202012Validator(schema).validate(schema["example"])
