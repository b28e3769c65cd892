"""What is stored where and for how long, against the template and the code.

Checked are each row of the table in docs/data.md, and the times that the documents name elsewhere.
"""

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
EXPIRES = {"AttributeName": "expires_at", "Enabled": True}
# Times that are not ours to set. AWS documents them, and the browser forgets a closed tab.
GIVEN = {
    "NotificationsTopic": "until they are delivered, or given up: 23 days for queues and functions, 6 hours for e-mail",
    "AlarmsTopic": "the same",
    "X-Ray": "30 days",
    "CloudWatch metrics": "15 months",
    "the browser": "until the tab is closed",
}


def problems(table: dict[str, str], template: dict, code: str, machine: str) -> list[str]:
    """Resources without a row, rows without a resource, and rows with another time. `table` has the times by place."""
    stores = {name: r for name, r in template["Resources"].items() if r["Type"] in STORES}
    named = {match[1] for place in table if (match := re.match(r"`(\w+)`", place))}
    wrong = [f"{name} has no row" for name in sorted(stores.keys() - named)]
    wrong += [f"{name} is no resource that stores something" for name in sorted(named - stores.keys())]
    table = {place.replace("`", ""): time for place, time in table.items()}
    expected = GIVEN | records(code)
    for name, resource in stores.items():
        expected |= times(name, resource, template)
    running = int(re.search(r'"TimeoutSeconds": (\d+),\n  "StartAt"', machine)[1]) // DAY
    expected["OrderStateMachine"] = f"{running} days at most while they run, then 90 days"
    wrong += [f"{place}: {time}" for place, time in expected.items() if table.get(place) != time]
    wrong += [f"{place}: nothing has this time" for place in table if place not in expected]
    if template["Resources"]["IdempotencyTable"]["Properties"].get("TimeToLiveSpecification") != EXPIRES:
        wrong.append("IdempotencyTable does not expire")
    # What is kept until it is deleted outlives the stack in prod, if the template says so.
    for name, resource in stores.items():
        outlives = "outlives the stack" in table.get(name, "")
        if outlives != isinstance(resource.get("DeletionPolicy"), dict):
            wrong.append(f"{name} {'does not outlive' if outlives else 'outlives'} the stack")
    return wrong


def times(name: str, resource: dict, template: dict) -> dict[str, str]:
    """The times by place that the template gives to a resource."""
    properties = resource.get("Properties", {})
    match resource["Type"]:
        case "AWS::SQS::Queue":
            return {name: f"{properties['MessageRetentionPeriod'] // DAY} days at most"}
        case "AWS::Logs::LogGroup":
            parameter = properties["RetentionInDays"]["Ref"]
            default = template["Parameters"][parameter]["Default"]
            return {name: f"`{parameter}`, by default {default} days"}
        case "AWS::S3::Bucket" if "LifecycleConfiguration" not in properties:
            return {name: "until `make undeploy-web`"}
        case "AWS::Cognito::UserPool":
            return {name: "until they are deleted; in prod the pool outlives the stack"}
        case "AWS::DynamoDB::Table":
            kept = {}
            if "TimeToLiveSpecification" not in properties:
                kept[name] = "until they are deleted; in prod the table outlives the stack"
            recovery = properties.get("PointInTimeRecoverySpecification", {})
            if recovery.get("PointInTimeRecoveryEnabled"):
                # 35 is AWS's default.
                kept[f"{name}, point-in-time recovery"] = f"{recovery.get('RecoveryPeriodInDays', 35)} days"
            return kept
    return {}


def records(code: str) -> dict[str, str]:
    """The times of the idempotency records, which the code sets."""
    of_put, of_post = (
        int(re.search(rf"const {name}: i64 = (?:(\d+) \* )?24 \* 60 \* 60;", code)[1] or 1)
        for name in ("LIFETIME_SECONDS", "WORKFLOW_LIFETIME_SECONDS")
    )
    return {
        "IdempotencyTable, requests": f"{of_put} day after a `PUT`, {of_post} days after a `POST`",
        "IdempotencyTable, saved orders": f"{of_post} days",
    }


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
        ("groups | until they are deleted", "groups | for a year", "UserPool: until they are deleted"),
        ("orders | until they are deleted", "orders | for a year", "OrdersTable: until they are deleted"),
        ("until `make undeploy-web`", "for ever", "WebBucket: until `make undeploy-web`"),
        ("| the same |", "| a day |", "AlarmsTopic: the same"),
        ("| [30 days]", "| [20 days]", "X-Ray: 30 days"),
        ("| X-Ray |", "| X-rays |", "X-rays: nothing has this time"),
        (
            "| `OrdersTable`, point-in-time recovery |",
            "| `OrdersTable`, backups |",
            "OrdersTable, backups: nothing has",
        ),
    ],
)
def test_a_wrong_row_is_noticed(before: str, after: str, problem: str, template: dict, root: Path) -> None:
    document = (root / "docs/data.md").read_text()
    assert before in document
    found = problems_in(document.replace(before, after, 1), template, root)
    assert any(one.startswith(problem) for one in found), found


def test_a_new_store_is_noticed(template: dict, root: Path) -> None:
    more = template | {"Resources": template["Resources"] | {"Pictures": {"Type": "AWS::S3::Bucket"}}}
    assert "Pictures has no row" in problems_in((root / "docs/data.md").read_text(), more, root)


@pytest.mark.parametrize(
    ("resource", "properties", "problem"),
    [
        ("OrdersQueue", {"MessageRetentionPeriod": 13 * DAY}, "OrdersQueue: 13 days at most"),
        ("FunctionLogs", {"RetentionInDays": {"Ref": "RequestBurst"}}, "FunctionLogs: `RequestBurst`"),
        ("OrdersTable", {"PointInTimeRecoverySpecification": {}}, "OrdersTable, point-in-time recovery: nothing has"),
        (
            "OrdersTable",
            {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}},
            "OrdersTable, point-in-time recovery: 7 days",
        ),
        ("OrdersTable", {"TimeToLiveSpecification": {}}, "OrdersTable: nothing has this time"),
        ("IdempotencyTable", {"TimeToLiveSpecification": {}}, "IdempotencyTable does not expire"),
        ("WebBucket", {"LifecycleConfiguration": {}}, "WebBucket: nothing has this time"),
    ],
)
def test_a_changed_template_is_noticed(
    resource: str, properties: dict, problem: str, template: dict, root: Path
) -> None:
    before = template["Resources"][resource]
    after = before | {"Properties": before["Properties"] | properties}
    changed = template | {"Resources": template["Resources"] | {resource: after}}
    found = problems_in((root / "docs/data.md").read_text(), changed, root)
    assert any(one.startswith(problem) for one in found), found


def test_the_times_in_the_text_are_those_of_the_table(template: dict, root: Path) -> None:
    data = (root / "docs/data.md").read_text()
    table, text = table_of(data), data.partition(HEAD)[2].partition("\n\n")[2]
    operations = " ".join((root / "docs/operations.md").read_text().split())
    executions = table["`OrderStateMachine`"]
    [running, ended] = map(
        int, re.fullmatch(r"(\d+) days at most while they run, then (\d+) days", executions).groups()
    )
    [recovery] = re.findall(r"\d+", table["`OrdersTable`, point-in-time recovery"])
    [retention] = {r["Properties"]["MessageRetentionPeriod"] // DAY for r in queues(template)}
    [saved] = re.findall(r"MAX_SAVE_AGE: Duration = Duration::from_hours\((\d+) \* 24\)", store(root))
    for document, sentence in [
        (text, f"expire: after {running + ended} days"),
        (text, f"id of an erased account for {recovery} days"),
        (text, f"point-in-time recovery, of the last {recovery} days"),
        (operations, f"it is kept until {retention} days after it was sent"),
        (operations, f"an order older than {saved} days"),
        (operations, f"AWS forgets an execution {ended} days after its end"),
        (operations, "`LogRetentionDays` how long all logs are kept"),
    ]:
        assert sentence in document, sentence


def queues(template: dict) -> list[dict]:
    return [resource for resource in template["Resources"].values() if resource["Type"] == "AWS::SQS::Queue"]


def store(root: Path) -> str:
    return (root / "shared/src/store/mod.rs").read_text()
