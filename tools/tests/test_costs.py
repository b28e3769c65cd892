"""docs/costs.md: its tables are those that tools/costs.py computes, from counts that are right."""

import json
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import costs


@pytest.fixture(autouse=True)
def _in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def amounts(uses: list[costs.Use]) -> dict[str, float]:
    return {use.price: use.amount for use in uses}


def test_the_document_has_the_tables_as_they_are_computed() -> None:
    document = costs.DOCUMENT.read_text()
    assert costs.written(document) == document, "run `make costs`"


def test_an_order_that_succeeds_enters_these_states() -> None:
    machine = json.loads(Path("statemachine/order.asl.json").read_text())
    answers = ["ACCEPT", "CHARGE", "DELIVER", "COMPLETE", "NOTHING"]
    assert costs.happy_path(machine, answers) == [
        "SaveOrder",
        "GracePeriod",
        "AcceptOrder",
        "Next",
        "ProcessPayment",
        "Next",
        "SendOrderToRestaurant",
        "IsItDelivered",
        "Next",
        "CompleteOrder",
        "Done",
    ]
    assert {"Step Functions": 11}.items() <= amounts(costs.submitted()).items()


def test_not_yet_of_a_restaurant_adds_three_transitions() -> None:
    machine = json.loads(Path("statemachine/order.asl.json").read_text())
    at_once = costs.happy_path(machine, ["ACCEPT", "CHARGE", "DELIVER", "COMPLETE", "NOTHING"])
    later = costs.happy_path(machine, ["ACCEPT", "CHARGE", "DELIVER", "DELIVER", "COMPLETE", "NOTHING"])
    assert len(later) == len(at_once) + 3


def test_every_task_of_the_way_has_its_reads() -> None:
    machine = json.loads(Path("statemachine/order.asl.json").read_text())
    path = costs.happy_path(machine, ["ACCEPT", "CHARGE", "DELIVER", "COMPLETE", "NOTHING"])
    tasks = [state for state in path if machine["States"][state]["Type"] == "Task"]
    assert tasks == list(costs.READS)
    assert set(tasks) >= costs.ASK_PROVIDER


def test_the_size_of_an_item_is_that_of_its_names_and_values() -> None:
    assert costs.item_size({"id": "é", "n": 1000, "list": [True, None], "map": {"a": "b"}}) == (
        (2 + 2) + (1 + 3) + (4 + 3 + 2 + 2) + (3 + 3 + 1 + 1 + 1)
    )
    assert [costs.units({"a": "b" * length}) for length in (1023, 1024)] == [1, 2]


def test_a_submitted_order_is_written_by_each_step_and_moves_in_the_index() -> None:
    # The record of the POST has more than 1 KiB. SaveOrder: two items in a transaction, and the index. Then five facts,
    # each with its entry in the index taken out and put in; the last one only takes it out.
    expected = {"DynamoDB, writes": 2 + (2 + 2 + 1) + 4 * 3 + 2, "DynamoDB, reads": 7, "Lambda, invocations": 7}
    assert expected.items() <= amounts(costs.submitted()).items()


def test_a_recorded_order_is_one_transaction_of_two_items() -> None:
    assert {"DynamoDB, writes": 4, "Lambda, invocations": 1}.items() <= amounts(costs.recorded()).items()


def test_each_metric_of_an_alarm_is_billed() -> None:
    # The canary watches six functions, one metric each, and the API. An expression is no metric.
    table = costs.idle_table()
    assert "| stack: alarms, with `PaidMonitoring` | 18 metrics | 1.80 |\n" in table
    assert "| stack: alarms of the canary, in prod | 7 metrics | 0.70 |\n" in table


def test_a_metric_from_log_lines_is_billed_if_each_sweep_reports_it() -> None:
    assert "| stack: the metric of the sweep, with `PaidMonitoring` | 1 metric | 0.30 |\n" in costs.idle_table()


def test_a_dashboard_is_billed() -> None:
    assert "| stack: dashboard, with `PaidMonitoring` | 1 dashboard | 3.00 |\n" in costs.idle_table()


def test_the_document_counts_the_other_metrics_from_log_lines() -> None:
    resources = yaml_parse(Path("template.yaml").read_text())["Resources"].values()
    filters = [resource for resource in resources if resource["Type"] == "AWS::Logs::MetricFilter"]
    count = {10: "Ten"}[len(filters) - 1]
    assert f"\n- {count} more metrics come from log lines." in costs.DOCUMENT.read_text()


def test_the_index_has_the_partitions_that_the_sweep_reads(root: Path) -> None:
    form = (root / "shared/src/order/form.rs").read_text()
    assert f"PARTITIONS: [&str; {costs.PARTITIONS}]" in form


def test_every_service_of_the_template_is_in_the_document() -> None:
    resources = yaml_parse(Path("template.yaml").read_text())["Resources"].values()
    services = {resource["Type"].split("::")[1] for resource in resources}
    # Those that are billed, and those that are free: rules for events of AWS, rights, and releases of functions.
    billed = {"CloudFront", "CloudWatch", "Cognito", "DynamoDB", "Lambda", "Logs", "S3", "SNS", "SQS", "Serverless"}
    assert services <= billed | {"CodeDeploy", "Events", "IAM"}, "does the new service cost something?"
