"""The table in docs/data.md of what is stored where and for how long, against the template and the code."""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

# Types of resources that store something.
STORES = (
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::Serverless::StateMachine",
)
HEAD = "| where | what | how long | personal |\n|---|---|---|---|\n"
DAY = 24 * 60 * 60


def problems(table: dict[str, str], template: dict, code: str, machine: str) -> list[str]:
    """Resources without a row, rows without a resource, and rows with another time. `table` has the times by place."""
    stores = {name: r for name, r in template["Resources"].items() if r["Type"] in STORES}
    named = {match[1] for place in table if (match := re.match(r"`(\w+)`", place))}
    wrong = [f"{name} has no row" for name in sorted(stores.keys() - named)]
    wrong += [f"{name} is no resource that stores something" for name in sorted(named - stores.keys())]
    table = {place.replace("`", ""): time for place, time in table.items()}
    expected = {}
    for name, resource in stores.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::Queue":
                expected[name] = f"{properties['MessageRetentionPeriod'] // DAY} days at most"
            case "AWS::Logs::LogGroup":
                parameter = properties["RetentionInDays"]["Ref"]
                default = template["Parameters"][parameter]["Default"]
                expected[name] = f"`{parameter}`, by default {default} days"
            case "AWS::DynamoDB::Table":
                recovery = properties.get("PointInTimeRecoverySpecification", {})
                if recovery.get("PointInTimeRecoveryEnabled"):
                    # 35 is AWS's default.
                    expected[f"{name}, point-in-time recovery"] = f"{recovery.get('RecoveryPeriodInDays', 35)} days"
    records = template["Resources"]["IdempotencyTable"]["Properties"]
    if records.get("TimeToLiveSpecification") != {"AttributeName": "expires_at", "Enabled": True}:
        wrong.append("IdempotencyTable does not expire")
    of_put, of_post = (
        int(re.search(rf"const {name}: i64 = (?:(\d+) \* )?24 \* 60 \* 60;", code)[1] or 1)
        for name in ("LIFETIME_SECONDS", "WORKFLOW_LIFETIME_SECONDS")
    )
    expected["IdempotencyTable, requests"] = f"{of_put} day after a `PUT`, {of_post} days after a `POST`"
    expected["IdempotencyTable, saved orders"] = f"{of_post} days"
    running = int(re.search(r'"TimeoutSeconds": (\d+),\n  "StartAt"', machine)[1]) // DAY
    expected["OrderStateMachine"] = f"{running} days at most while they run, then 90 days"
    wrong += [f"{place}: {time}" for place, time in expected.items() if table.get(place) != time]
    # What is kept until it is deleted outlives the stack in prod, if the template says so.
    for name, resource in stores.items():
        outlives = "outlives the stack" in table.get(name, "")
        if outlives != isinstance(resource.get("DeletionPolicy"), dict):
            wrong.append(f"{name} {'does not outlive' if outlives else 'outlives'} the stack")
    return wrong


@pytest.fixture(scope="session")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


def table_of(document: str) -> dict[str, str]:
    """The third column by the first, without links."""
    rows = document.partition(HEAD)[2].partition("\n\n")[0].splitlines()
    cells = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", row).strip("| ").split(" | ") for row in rows]
    return {where: time for where, _, time, _ in cells}


def problems_in(document: str, template: dict, root: Path) -> list[str]:
    code = (root / "shared/src/idempotency.rs").read_text()
    return problems(table_of(document), template, code, (root / "statemachine/order.asl.json").read_text())


def test_everything_that_is_stored_has_a_row_with_its_time(template: dict, root: Path) -> None:
    assert problems_in((root / "docs/data.md").read_text(), template, root) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("| `WebBucket` |", "| `Bucket` |", "WebBucket has no row"),
        ("| `WebBucket` |", "| `Bucket` |", "Bucket is no resource that stores something"),
        ("not started | 14 days", "not started | 13 days", "OrdersQueue: 14 days at most"),
        ("routes | `LogRetentionDays`, by default 30", "routes | `LogRetentionDays`, by default 7", "ApiAccessLogs: "),
        ("| 35 days |", "| 30 days |", "OrdersTable, point-in-time recovery: 35 days"),
        ("| 1 day after", "| 2 days after", "IdempotencyTable, requests: 1 day after a `PUT`, 90 days after"),
        ("twice | 90 days", "twice | 60 days", "IdempotencyTable, saved orders: 90 days"),
        ("| 7 days at most", "| 8 days at most", "OrderStateMachine: 7 days at most while they run, then 90 days"),
        ("; in prod the table outlives the stack", "", "OrdersTable outlives the stack"),
    ],
)
def test_a_wrong_row_is_noticed(before: str, after: str, problem: str, template: dict, root: Path) -> None:
    document = (root / "docs/data.md").read_text()
    assert before in document
    found = problems_in(document.replace(before, after, 1), template, root)
    assert any(one.startswith(problem) for one in found), found


def test_a_new_store_is_noticed(template: dict, root: Path) -> None:
    more = template | {"Resources": template["Resources"] | {"Pictures": {"Type": "AWS::S3::Bucket"}}}
    assert problems_in((root / "docs/data.md").read_text(), more, root) == ["Pictures has no row"]
