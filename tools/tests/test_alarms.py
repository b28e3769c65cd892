"""Alarms: each metric, dimension and log field exists, each alarm has a runbook, and each decides whom it calls.

The emulator evaluates neither metric filters nor alarms with metric math, so nothing else would notice a name that is
misspelled.
"""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import signals
from test_docs import FENCE, anchors

# Alarms that call nobody.
SHOWN = {"ThrottlesAlarm", "LostEventsAlarm"}
# Alarms of single events: their end says nothing about the order.
EVENTS = {"NeedsOperatorAlarm", "DeadLettersAlarm", "ExecutionsAlarm"}
MINUTE = 60


@pytest.fixture
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


def of_type(template: dict, kind: str) -> dict[str, dict]:
    return {name: template["Resources"][name]["Properties"] for name in signals.names_of(template, kind)}


def alarms(template: dict) -> dict[str, dict]:
    return of_type(template, "AWS::CloudWatch::Alarm")


def operators(template: dict) -> dict[str, dict]:
    """Returns the alarms without those of the canary, which CodeDeploy reads (tools/tests/test_release.py)."""
    return {name: alarm for name, alarm in alarms(template).items() if not name.startswith("Canary")}


def description(alarm: dict) -> str:
    return alarm["AlarmDescription"]["Fn::Sub"]


def test_every_alarm_watches_metrics_that_exist(template: dict) -> None:
    problems = {name: signals.alarm_problems(template, alarm) for name, alarm in alarms(template).items()}
    assert {name: found for name, found in problems.items() if found} == {}
    assert problems


def test_every_metric_filter_matches_lines_that_are_logged(template: dict) -> None:
    filters = of_type(template, "AWS::Logs::MetricFilter")
    problems = {name: signals.filter_problems(one) for name, one in filters.items()}
    assert {name: found for name, found in problems.items() if found} == {}
    assert problems
    for one in filters.values():
        assert one["LogGroupName"] == {"Ref": "FunctionLogs"}
        assert {m["MetricNamespace"]["Fn::Sub"] for m in one["MetricTransformations"]} == {"OrderApi/${AWS::StackName}"}


def test_every_query_of_the_document_names_fields_that_are_logged(root: Path) -> None:
    blocks = [body for _, language, body in FENCE.findall((root / "docs/operations.md").read_text()) if not language]
    assert [block for block in blocks if signals.query_problems(block)] == []
    assert blocks


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("MetricName: 5XXError\n", "MetricName: 5xxError\n"),
        ("Namespace: AWS/States, MetricName: ExecutionsTimedOut", "Namespace: AWS/SFN, MetricName: ExecutionsTimedOut"),
        ("MetricName: ExecutionsTimedOut", "MetricName: ExecutionsTimeOut"),
        ("{ Name: ApiName, Value", "{ Name: ApiId, Value"),
        ("- { Name: ApiName, Value: !Ref AWS::StackName }\n                - { Name: Stage", "- { Name: Stage"),
        ("{ Name: Stage, Value: !Ref StageName }", "{ Name: Stage, Value: !Ref Environment }"),
        ("Value: !GetAtt RecoveryQueue.QueueName", "Value: !GetAtt RecoveryQueue.Arn"),
        ("Value: !Ref FailedExecutionsRule", "Value: !GetAtt FailedExecutionsRule.Arn"),
        ("Value: !GetAtt PutOrderFunction.Version.Version", "Value: !Ref PutOrderFunction.Version"),
        ("MetricName: OldestUnsettledSeconds }", "MetricName: OldestUnsettled }"),
        ("100 * errors / requests", "100 * faults / requests"),
        ("SUM([failed, timedOut, aborted])", "SUM([failed, timedOut])"),
        ("SUM([failed, timedOut, aborted])", "SUMS([failed, timedOut, aborted])"),
        ("!Sub oldest - ", "!Sub eldest - "),
    ],
)
def test_a_mistyped_metric_is_found(root: Path, right: str, wrong: str) -> None:
    text = (root / "template.yaml").read_text()
    assert right in text
    changed = yaml_parse(text.replace(right, wrong))
    assert any(signals.alarm_problems(changed, alarm) for alarm in alarms(changed).values())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("$.needs_operator IS TRUE", "$.need_operator IS TRUE"),
        ("$.needs_operator IS TRUE", "$.error IS TRUE"),
        ("$.needs_operator IS TRUE", "$.needs_operator IS"),
        ("$.oldest_unsettled_seconds >= 0", "$.oldest_unsettled >= 0"),
        ("MetricValue: $.oldest_unsettled_seconds", "MetricValue: $.seconds"),
        ('"process-payment"', '"process-payments"'),
        ('$.message = "done"', '$.message = "succeeded"'),
        ('$.message = "failed") }', '$.msg = "failed") }'),
        ('"charges: 402"', '"charge: 402"'),
        ('"charges: 402"', '"charges 402"'),
        ('"charges: 402"', '"charges: declined"'),
        ('"published: SUCCESS"', '"published: success"'),
        ('"published: FAILURE"', '"published: FAILED"'),
        ('"submit-order" && $.status', '"submit-order" && $.code'),
        ("$.refunds_owed > 0", "$.refund_owed > 0"),
        ("MetricValue: $.owed_minor_units", "MetricValue: $.minor_units"),
    ],
)
def test_a_mistyped_field_of_a_filter_is_found(root: Path, right: str, wrong: str) -> None:
    text = (root / "template.yaml").read_text()
    assert right in text
    filters = of_type(yaml_parse(text.replace(right, wrong)), "AWS::Logs::MetricFilter")
    assert any(signals.filter_problems(one) for one in filters.values())


def test_a_field_that_is_no_longer_logged_is_found(template: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = [text.replace("oldest_unsettled_seconds =", "oldest_seconds =") for text in signals.sources()]
    monkeypatch.setattr(signals, "sources", lambda: renamed)
    assert signals.filter_problems(of_type(template, "AWS::Logs::MetricFilter")["OldestUnsettledSeconds"])
    assert signals.query_problems("stats max(oldest_unsettled_seconds)") == ["oldest_unsettled_seconds"]


@pytest.mark.parametrize(
    "query",
    [
        'filter order_id = "x"',
        "filter ispresent(needs_operators)",
        "sort @time",
        'filter message = "not recoverd"',
        'filter message="not recoverd"',
        'filter message != "not recoverd"',
        'filter message like "not recoverd"',
        'filter span.function = "process-payments"',
        'filter function in ["start-order", "recover-orders"]',
    ],
)
def test_a_mistyped_field_of_a_query_is_found(query: str) -> None:
    assert signals.query_problems(query)


def test_the_lines_are_read_with_all_of_their_fields() -> None:
    lines = {line.message: line for line in signals.logged_lines()}
    request = {"function", "request_id", "message_id", "route", "status", "duration_ms"}
    request |= {"aws_calls", "aws_ms", "provider_calls", "provider_ms"}
    assert lines["done"].fields.keys() == request
    assert lines["failed"].fields.keys() == request | {"error"}
    assert lines["unsettled"].fields["orders"] == "unsettled.len()"
    assert lines["an operator is needed: {reason}"].fields == {"needs_operator": "true"}
    assert {"span.function", "span.order_id"} == signals.SPAN_FIELDS


def test_each_metric_of_aws_has_its_source() -> None:
    for namespace, listed in signals.AWS_METRICS.items():
        assert namespace.startswith("AWS/")
        assert re.fullmatch(r"https://docs\.aws\.amazon\.com/\S+\.html", listed["source"])


def test_each_alarm_leads_to_its_section(template: dict, root: Path) -> None:
    known = anchors(root / "docs/operations.md")
    for name, alarm in operators(template).items():
        found = re.fullmatch(r"[^#$]+\. \$\{RunbookUrl\}#([a-z-]+)", description(alarm))
        assert found, name
        assert found[1] in known, f"{name}: docs/operations.md has no section #{found[1]}"


def test_each_alarm_is_in_the_table_of_the_document(template: dict, root: Path) -> None:
    rows = re.findall(r"^\| `(\w+Alarm)` .*\(#([a-z-]+)\)", (root / "docs/operations.md").read_text(), re.MULTILINE)
    assert dict(rows) == {name: description(alarm).split("#")[1] for name, alarm in operators(template).items()}


def test_each_alarm_decides_whom_it_calls(template: dict) -> None:
    topic = [{"Ref": "AlarmsTopic"}]
    for name, alarm in operators(template).items():
        assert alarm.get("AlarmActions") == (None if name in SHOWN else topic), name
        assert alarm.get("OKActions") == (None if name in SHOWN | EVENTS else topic), name
    assert operators(template).keys() > SHOWN | EVENTS


def test_only_a_sweep_that_is_missing_raises_an_alarm_without_data(template: dict) -> None:
    treated = {name: alarm["TreatMissingData"] for name, alarm in alarms(template).items()}
    assert [name for name, way in treated.items() if way == "breaching"] == ["UnsettledOrdersAlarm"]
    assert set(treated.values()) == {"breaching", "notBreaching"}
    (stat,) = [m["MetricStat"] for m in alarms(template)["UnsettledOrdersAlarm"]["Metrics"] if "MetricStat" in m]
    # Each period has a sweep, whenever it starts.
    assert stat["Period"] == 2 * 15 * MINUTE


def test_paid_monitoring_is_one_parameter_which_dev_turns_off(template: dict, root: Path) -> None:
    assert template["Conditions"]["HasAlarms"] == {"Fn::Equals": [{"Ref": "PaidMonitoring"}, "true"]}
    assert template["Conditions"]["HasMathAlarms"] == {
        "Fn::And": [{"Condition": "HasAlarms"}, {"Condition": "IsAws"}],
    }
    for name, alarm in operators(template).items():
        condition = "HasMathAlarms" if "Metrics" in alarm else "HasAlarms"
        assert template["Resources"][name]["Condition"] == condition, name
    # A filter is free, but the metric that it makes is billed.
    for name in of_type(template, "AWS::Logs::MetricFilter"):
        assert template["Resources"][name]["Condition"] == "HasAlarms", name
    text = (root / "samconfig.toml").read_text()
    dev = text[text.index("[dev.") : text.index("[prod.")]
    assert '"PaidMonitoring=false"' in dev
    assert text.count("PaidMonitoring") == 1


def test_the_lines_that_alarms_watch_are_logged(template: dict) -> None:
    rule = template["Rules"]["LinesOfAlarms"]
    assert rule["RuleCondition"] == template["Conditions"]["HasAlarms"]
    (asserted,) = rule["Assertions"]
    levels = template["Parameters"]["LogLevel"]["AllowedValues"]
    assert asserted["Assert"] == {"Fn::Contains": [levels[levels.index("info") :], {"Ref": "LogLevel"}]}


def test_the_runbook_is_a_url_or_the_path(template: dict, root: Path) -> None:
    parameter = template["Parameters"]["RunbookUrl"]
    assert (root / parameter["Default"]).is_file()
    good = [parameter["Default"], "https://example.com/o/r/blob/main/docs/operations.md"]
    bad = ["", "docs/operations.html", "https://example.com/#top", "https://example.com/a b", "ftp://example.com"]
    assert [value for value in good + bad if re.fullmatch(parameter["AllowedPattern"], value)] == good


def test_an_order_may_wait_for_its_customer_and_its_restaurant(template: dict) -> None:
    alarm = alarms(template)["UnsettledOrdersAlarm"]
    (expression,) = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
    assert expression == {"Fn::Sub": "oldest - ${GracePeriodSeconds} - 60 * ${DeliveryMinutes}"}
    # The sweep takes an order up 15 minutes after its last write, and runs every 15 minutes.
    assert alarm["Threshold"] == 2 * 15 * MINUTE


def test_a_percentage_needs_some_traffic_and_a_percentile_much(template: dict) -> None:
    for name in ("ApiErrorsAlarm", "PaymentsAlarm"):
        (expression,) = [m["Expression"] for m in alarms(template)[name]["Metrics"] if "Expression" in m]
        assert re.fullmatch(r"IF\((\w+) >= 10, 100 \* \w+ / \1, 0\)", expression)
    latency = alarms(template)["ApiLatencyAlarm"]
    assert (latency["ExtendedStatistic"], latency["EvaluateLowSampleCountPercentile"]) == ("p99", "ignore")


def test_a_dead_letter_is_seen_long_before_it_is_deleted(template: dict) -> None:
    age = alarms(template)["DeadLettersAgeAlarm"]["Threshold"]
    queues = of_type(template, "AWS::SQS::Queue")
    assert all(age * 5 < queue["MessageRetentionPeriod"] for queue in queues.values())


def test_every_queue_is_watched(template: dict) -> None:
    dimensions = [
        d["Value"]["Fn::GetAtt"][0]
        for name in ("DeadLettersAlarm", "DeadLettersAgeAlarm", "QueuesAlarm")
        for metric in alarms(template)[name]["Metrics"]
        for d in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", [])
    ]
    dead = ["OrdersDeadLetterQueue", "RecoveryDeadLetterQueue"]
    assert sorted(dimensions) == sorted([*dead, *dead, "OrdersQueue", "RecoveryQueue"])
