"""Dashboard and saved queries: each metric, dimension, id and field exists, and everything that should be there is.

CloudWatch shows a widget with a name that is misspelled without data, and the emulator's Logs Insights answers with all
lines, whatever it is asked.
"""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

import signals
from test_alarms import alarms, of_type, operators
from test_docs import FENCE

BY_FUNCTION = {"Errors": "Sum", "Throttles": "Sum", "ConcurrentExecutions": "Maximum", "Duration": "p99"}


@pytest.fixture(scope="module")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


def widgets(template: dict, kind: str = "metric") -> list[dict]:
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::ToJsonString"]
    return [widget for widget in body["widgets"] if widget["type"] == kind]


def shown(template: dict) -> list[signals.Row]:
    """Returns the rows of all widgets that are metrics."""
    return [row for widget in widgets(template) for row in signals.rows(widget) if row.metric]


def problems(template: dict) -> dict[str, list[str]]:
    """Returns what is wrong with each widget, by its title."""
    found = {str(w["properties"]["title"]): signals.widget_problems(template, w) for w in widgets(template)}
    return {title: of_widget for title, of_widget in found.items() if of_widget}


def by_dimension(template: dict, dimension: str, metric: str, stat: str) -> list[dict]:
    """Returns the values of a dimension for which the dashboard shows a metric."""
    rows = [row for row in shown(template) if (row.metric["MetricName"], row.options["stat"]) == (metric, stat)]
    return [d["Value"] for row in rows for d in row.metric["Dimensions"] if d["Name"] == dimension]


def test_every_widget_shows_metrics_that_exist(template: dict) -> None:
    assert problems(template) == {}
    assert shown(template)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[AWS/ApiGateway, 5XXError, ApiName", "[AWS/ApiGateway, 5xxError, ApiName"),
        ("[AWS/ApiGateway, Count, ApiName", "[AWS/APIGateway, Count, ApiName"),
        ("[AWS/ApiGateway, Count, ApiName", "[AWS/ApiGateway, Count, ApiId"),
        ('[".", 4XXError, ".", ".", ".", ".",', '[".", 4XXErrors, ".", ".", ".", ".",'),
        ("!Ref AWS::StackName, Stage, !Ref StageName,", "!Ref AWS::StackName, Stage, !Ref Environment,"),
        ("[AWS/Lambda, Invocations, FunctionName", "[AWS/Lambda, Invocations, Function"),
        ('".", ".", ".", !Ref PutOrderFunction', '".", ".", ".", !Ref PutOrder'),
        ("QueueName, !GetAtt OrdersQueue.QueueName", "QueueName, !GetAtt OrdersQueue.Arn"),
        ('[".", ExecutionsTimedOut,', '[".", ExecutionsTimeOut,'),
        ('[".", OrdersFailed,', '[".", OrdersFailure,'),
        ("{ id: oldest, visible: false }", "{ id: eldest, visible: false }"),
        ("&ErrorsPercent IF(", "&ErrorsPercent WHEN("),
        ("{ id: requests, stat: SampleCount", "{ id: request, stat: SampleCount"),
        ("stat: p99\n", "stat: 99\n"),
        ("stat: Maximum\n", "stat: Max\n"),
    ],
)
def test_a_mistyped_metric_is_found(root: Path, right: str, wrong: str) -> None:
    text = (root / "template.yaml").read_text()
    assert right in text
    assert problems(yaml_parse(text.replace(right, wrong)))


def test_a_metric_that_no_expression_uses_is_shown(root: Path) -> None:
    text = (root / "template.yaml").read_text()
    changed = text.replace("expression: *PaymentFailuresPercent", "expression: 100 * failures")
    assert problems(yaml_parse(changed)) == {
        "Payments without success, percent": ["payments is neither shown nor used"]
    }


def test_every_function_is_there(template: dict) -> None:
    functions = of_type(template, "AWS::Serverless::Function")
    for metric, stat in BY_FUNCTION.items():
        named = by_dimension(template, "FunctionName", metric, stat)
        assert sorted(value["Ref"] for value in named) == sorted(functions), metric
    for row in shown(template):
        for dimension in row.metric["Dimensions"]:
            if dimension["Name"] == "FunctionName":
                code = functions[dimension["Value"]["Ref"]]["CodeUri"]
                assert code == f"target/lambda/{row.options['label']}/bootstrap.zip"


def test_every_operation_of_the_api_is_there(template: dict) -> None:
    # Each has a function of its own.
    operations = [
        name
        for name, function in of_type(template, "AWS::Serverless::Function").items()
        if any(event["Type"] == "Api" for event in function.get("Events", {}).values())
    ]
    counted = by_dimension(template, "FunctionName", "Invocations", "Sum")
    assert sorted(value["Ref"] for value in counted) == sorted(operations)


def test_every_queue_is_there(template: dict) -> None:
    queues = sorted(of_type(template, "AWS::SQS::Queue"))
    for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
        named = by_dimension(template, "QueueName", metric, "Maximum")
        assert sorted(value["Fn::GetAtt"][0] for value in named) == queues, metric


def test_every_end_of_an_execution_is_there(template: dict) -> None:
    names = {row.metric["MetricName"] for row in shown(template) if row.metric["Namespace"] == "AWS/States"}
    ends = {"Started", "Succeeded", "Failed", "TimedOut", "Aborted"}
    assert names == {f"Executions{end}" for end in ends} | {"ExecutionThrottled"}


def test_every_metric_from_log_lines_is_there(template: dict) -> None:
    filters = of_type(template, "AWS::Logs::MetricFilter").values()
    made = {metric["MetricName"] for one in filters for metric in one["MetricTransformations"]}
    assert made == {r.metric["MetricName"] for r in shown(template) if r.metric["Namespace"] == signals.OWN_NAMESPACE}


def test_every_alarm_is_there(template: dict) -> None:
    (widget,) = widgets(template, "alarm")
    assert [arn["Fn::GetAtt"] for arn in widget["properties"]["alarms"]] == [[n, "Arn"] for n in operators(template)]


def metrics_of(alarm: dict) -> list[tuple[dict, int, str]]:
    """Returns the metrics that an alarm watches, each with its period and its statistic."""
    stats = [metric["MetricStat"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
    if not stats:
        names = ("Namespace", "MetricName", "Dimensions")
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        stats = [{"Metric": {name: alarm[name] for name in names}, "Period": alarm["Period"], "Stat": statistic}]
    return [({"Dimensions": [], **stat["Metric"]}, stat["Period"], stat["Stat"]) for stat in stats]


def test_a_limit_is_that_of_its_alarm_and_is_drawn_beside_what_the_alarm_watches(template: dict) -> None:
    drawn = set()
    for widget in widgets(template):
        rows = signals.rows(widget)
        for limit in widget["properties"].get("annotations", {}).get("horizontal", []):
            alarm = alarms(template)[limit["label"]]
            drawn.add(limit["label"])
            assert limit["value"] == alarm["Threshold"], limit
            watched = [(row.metric, row.options["period"], row.options["stat"]) for row in rows if row.metric]
            assert all(metric in watched for metric in metrics_of(alarm)), limit
            expressions = {str(m["Expression"]) for m in alarm.get("Metrics", []) if "Expression" in m}
            assert {str(r.options["expression"]) for r in rows if "expression" in r.options} <= expressions, limit
    # Above a threshold of 1 is everything that these widgets show.
    assert drawn == {name for name, alarm in operators(template).items() if alarm["Threshold"] > 1}


def test_every_widget_is_of_the_region_and_of_this_stack(template: dict) -> None:
    for widget in widgets(template):
        assert widget["properties"]["region"] == {"Ref": "AWS::Region"}
        # The only metrics without a dimension are the stack's own, whose namespace has its name.
        for row in signals.rows(widget):
            assert row.metric is None or row.metric["Dimensions"] or row.metric["Namespace"] == signals.OWN_NAMESPACE
    dashboard = template["Resources"]["Dashboard"]
    assert dashboard["Properties"]["DashboardName"] == {"Ref": "AWS::StackName"}
    # Otherwise the periods, and with them the sums, would depend on the time that is shown.
    assert dashboard["Properties"]["DashboardBody"]["Fn::ToJsonString"]["periodOverride"] == "inherit"


def test_rows_are_full(template: dict) -> None:
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::ToJsonString"]
    filled = 0
    for widget in body["widgets"]:
        if widget["type"] != "metric":
            assert (filled, widget["width"]) == (0, 24)
        filled = (filled + widget["width"]) % 24
    assert filled == 0


def test_the_dashboard_is_a_paid_extra(template: dict) -> None:
    # The emulator lacks the alarms with metric math, which the dashboard names.
    assert template["Resources"]["Dashboard"]["Condition"] == "HasMathAlarms"
    assert template["Outputs"]["DashboardUrl"]["Condition"] == "HasMathAlarms"


def test_the_rows_are_those_of_the_document(template: dict, root: Path) -> None:
    headings = [w["properties"]["markdown"].removeprefix("## ") for w in widgets(template, "text")]
    text = (root / "docs/operations.md").read_text()
    section = text[text.index("## Dashboard and saved queries\n") : text.index("## Promises\n")]
    named = re.findall(r"^\| ([A-Z][a-z ]+) \|", section, re.MULTILINE)
    assert named == [heading.split(" (")[0] for heading in headings]


# --- Saved queries ---


def test_the_saved_queries_are_those_of_the_document(template: dict, root: Path) -> None:
    blocks = [body for _, language, body in FENCE.findall((root / "docs/operations.md").read_text()) if not language]
    queries = of_type(template, "AWS::Logs::QueryDefinition")
    assert sorted(query["QueryString"] for query in queries.values()) == sorted(block.strip() for block in blocks)


def test_every_saved_query_names_fields_and_texts_that_are_logged(template: dict) -> None:
    queries = of_type(template, "AWS::Logs::QueryDefinition")
    found = {name: signals.query_problems(query["QueryString"]) for name, query in queries.items()}
    assert {name: of_query for name, of_query in found.items() if of_query} == {}
    assert found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("'filter span.order_id =", "'filter order_id ="),
        ("ispresent(owed_minor_units)", "ispresent(owed_minor_unit)"),
        ('message = "not recovered"', 'message = "not_recovered"'),
        ('["start-order", "recover-order"]', '["start-order", "recover-orders"]'),
        ("by function_name, version", "by name, version"),
    ],
)
def test_a_mistyped_field_of_a_saved_query_is_found(root: Path, right: str, wrong: str) -> None:
    text = (root / "template.yaml").read_text()
    assert right in text
    queries = of_type(yaml_parse(text.replace(right, wrong)), "AWS::Logs::QueryDefinition")
    assert any(signals.query_problems(query["QueryString"]) for query in queries.values())


def test_the_saved_queries_read_the_functions_logs_and_are_in_the_folder_of_the_stack(template: dict) -> None:
    names = []
    for name, query in of_type(template, "AWS::Logs::QueryDefinition").items():
        assert query["LogGroupNames"] == [{"Ref": "FunctionLogs"}]
        # The emulator does not know this type. The queries cost nothing until they are run.
        assert template["Resources"][name]["Condition"] == "IsAws"
        # CloudWatch takes no colon and no asterisk.
        found = re.fullmatch(r"\$\{AWS::StackName\}/([^:*/]+)", query["Name"]["Fn::Sub"])
        names.append(found[1])
    assert min(names) == names[0] == "1 Follow one order"
    assert len(set(names)) == len(names)
