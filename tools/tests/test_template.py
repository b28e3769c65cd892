"""What template.yaml says of the things that no local run shows: rights, protection, logs, and what SAM makes of it."""

import copy
import json
import subprocess
from pathlib import Path

import pytest
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

# What each function may do, and on what: all of it.
RIGHTS = {
    "GetOrdersFunction": {("dynamodb:Query", "OrdersTable"), ("dynamodb:Scan", "OrdersTable")},
    "GetOrderFunction": {("dynamodb:GetItem", "OrdersTable")},
    "PutOrderFunction": {
        ("dynamodb:PutItem", "OrdersTable"),
        ("dynamodb:UpdateItem", "OrdersTable"),
        ("dynamodb:PutItem", "IdempotencyTable"),
    },
    "UpdateOrderFunction": {("dynamodb:UpdateItem", "OrdersTable")},
    "DeleteOrderFunction": {("dynamodb:DeleteItem", "OrdersTable")},
}


@pytest.fixture(scope="session")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


def translate(template: dict) -> dict:
    """What CloudFormation is given to create: both transforms carried out, as AWS does it, for the defaults."""

    class NoManagedPolicies(ManagedPolicyLoader):
        def __init__(self) -> None: ...

        def load(self) -> dict:
            return {}

    values = {name: p.get("Default") for name, p in template["Parameters"].items()}
    template = copy.deepcopy(template)
    # provided.al2 is deprecated, as its parameter says: that warning is known, and no other is to hide behind it.
    template["Parameters"]["Runtime"] |= {"Default": "provided.al2023", "AllowedValues": ["provided.al2023"]}
    for resource in template["Resources"].values():
        # AWS::LanguageExtensions, as far as it is used here: a DeletionPolicy looked up in a map.
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if isinstance(resource.get(policy), dict):
                table, environment, key = resource[policy]["Fn::FindInMap"]
                resource[policy] = template["Mappings"][table][values[environment["Ref"]]][key]
    del template["Mappings"]["DataByEnvironment"]
    for function in of_type(template, "AWS::Serverless::Function").values():
        function["CodeUri"] = f"s3://bucket/{function['CodeUri']}"  # as `sam package` does
    return transform(template, values, NoManagedPolicies())


@pytest.fixture(scope="session")
def translated(template: dict) -> dict:
    return translate(template)


def lint(template: dict, folder: Path) -> str:
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    command = ["cfn-lint", "--", str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def of_type(template: dict, kind: str) -> dict[str, dict]:
    return {n: r.get("Properties", {}) for n, r in template["Resources"].items() if r["Type"] == kind}


def as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def test_each_function_may_do_what_it_does_and_nothing_else(template: dict) -> None:
    rights = {}
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        statements = [s for policy in function["Policies"] for s in policy["Statement"]]
        assert all(s["Effect"] == "Allow" for s in statements)
        rights[name] = {
            (action, resource["Fn::GetAtt"][0])
            for s in statements
            for action in as_list(s["Action"])
            for resource in as_list(s["Resource"])
        }
    assert rights == RIGHTS


def test_sam_adds_no_rights_but_logs_and_traces(translated: dict) -> None:
    for role in of_type(translated, "AWS::IAM::Role").values():
        managed = {arn["Fn::Sub"] if isinstance(arn, dict) else arn for arn in role["ManagedPolicyArns"]}
        assert {arn.rsplit("/", 1)[-1] for arn in managed} == {
            "AWSLambdaBasicExecutionRole",
            "AWSXrayWriteOnlyAccess",
        }


def test_every_function_is_traced_and_has_a_log_group_with_retention(template: dict, translated: dict) -> None:
    retention = {
        group["LogGroupName"]["Fn::Sub"]: group["RetentionInDays"]
        for group in of_type(template, "AWS::Logs::LogGroup").values()
    }
    functions = of_type(translated, "AWS::Lambda::Function")
    assert functions.keys() == RIGHTS.keys()
    for name, function in functions.items():
        assert retention[f"/aws/lambda/${{{name}}}"] == {"Ref": "LogRetentionDays"}
        assert function["TracingConfig"] == {"Mode": "Active"}


def test_the_api_has_one_stage_that_is_logged_and_traced(translated: dict) -> None:
    (stage,) = of_type(translated, "AWS::ApiGateway::Stage").values()
    assert stage["StageName"] in ("Dev", {"Ref": "StageName"})
    assert stage["TracingEnabled"] is True
    assert '"request_id":"$context.requestId"' in stage["AccessLogSetting"]["Format"]


def test_the_account_wide_logging_role_is_not_ours(translated: dict) -> None:
    assert not of_type(translated, "AWS::ApiGateway::Account")


def test_orders_are_protected(template: dict) -> None:
    table = template["Resources"]["OrdersTable"]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}
    policy = {"Fn::FindInMap": ["DataByEnvironment", {"Ref": "Environment"}, "DeletionPolicy"]}
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == policy
    assert template["Mappings"]["DataByEnvironment"]["prod"]["DeletionPolicy"] == "Retain"


def test_what_sam_makes_of_it_is_fine(translated: dict, tmp_path: Path) -> None:
    assert lint(translated, tmp_path) == ""


# cfn-lint does not follow references in a SAM template. In the translated one it does.
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("KeyType: HASH", "KeyType: HASHED"),
        ("ORDERS_TABLE: !Ref OrdersTable", "ORDERS_TABLE: !Ref OrderTable"),
        ("DestinationArn: !GetAtt ApiAccessLogs.Arn", "DestinationArn: !GetAtt AccessLogs.Arn"),
    ],
)
def test_a_mistake_is_noticed(root: Path, tmp_path: Path, right: str, wrong: str) -> None:
    text = (root / "template.yaml").read_text()
    assert right in text
    assert lint(translate(yaml_parse(text.replace(right, wrong))), tmp_path) != ""
