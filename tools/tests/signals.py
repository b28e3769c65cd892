"""What the system reports: the lines that the functions log, and the metrics that AWS and the template make.

A name that is misspelled in an alarm, a metric filter or a query raises no error anywhere: it only has no data. These
functions find it.
"""

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
AWS_METRICS = tomllib.loads((ROOT / "tools/aws_metrics.toml").read_text())
OWN_NAMESPACE = {"Fn::Sub": "OrderApi/${AWS::StackName}"}
FUNCTIONS = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
# Fields of every line (tracing-subscriber's format::Json, with the settings of shared/src/telemetry.rs).
FIELDS_OF_ALL = {"timestamp", "level", "message"}
STRING = r'"((?:[^"\\]|\\.)*)"'


class Line(NamedTuple):
    """A kind of line that the functions log."""

    # Each field with its expression, which is its name if the field is a variable.
    fields: dict[str, str]
    message: str
    # Strings that may be put into the message: of the source file, and of functions that have the name of a variable.
    strings: frozenset[str]

    def has(self, field: str) -> bool:
        return field in self.fields or field in FIELDS_OF_ALL or field in SPAN_FIELDS

    def can_say(self, text: str) -> bool:
        """Returns true if the message may be this one: what is inserted is a string of the file or a number."""
        parts = re.split(r"\{[^}]*\}", self.message)
        found = re.fullmatch("(.+)".join(map(re.escape, parts)), text)
        return found is not None and all(part in self.strings or part.isdigit() for part in found.groups())

    def can_be(self, field: str, text: str) -> bool:
        """Returns true if the field may have this text."""
        if field == "message":
            return self.can_say(text)
        # The only other field whose texts are known.
        return field in {"function", "span.function"} and self.has(field) and text in FUNCTIONS


def strings(text: str) -> list[str]:
    """Returns the strings in a text."""
    return re.findall(STRING, text)


def arguments(text: str) -> list[str]:
    """Returns the arguments of a macro; `text` begins after its opening bracket."""
    found, depth, start, at = [], 0, 0, 0
    while True:
        if text[at] == '"':
            at = re.compile(STRING).match(text, at).end()
            continue
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}" and depth:
            depth -= 1
        elif text[at] in ",)" and not depth:
            found.append(text[start:at].strip())
            start = at + 1
            if text[at] == ")":
                return [argument for argument in found if argument]
        at += 1


def named(argument: str) -> tuple[str, str]:
    """Returns the name and the expression of a field."""
    name, _, expression = map(str.strip, argument.partition("="))
    return name, expression or name


def sources() -> list[str]:
    """Returns the sources of the functions without their unit tests."""
    files = [path for folder in ("functions", "shared/src") for path in sorted((ROOT / folder).rglob("*.rs"))]
    return [file.read_text().split("#[cfg(test)]\nmod ")[0] for file in files]


def returned(function: str) -> list[str]:
    """Returns the strings in the functions of that name."""
    bodies = re.compile(rf"\bfn {function}\(.*?\n    \}}\n", re.DOTALL)
    return [string for text in sources() for body in bodies.findall(text) for string in strings(body)]


def logged_lines() -> list[Line]:
    """Returns the kinds of lines that the functions log, from the macros in their sources."""
    lines = []
    for text in sources():
        of_file = frozenset(strings(text))
        for macro in re.finditer(r"\btracing::(?:error|warn|info|debug|trace)!\(", text):
            of_macro = arguments(text[macro.end() :])
            first = next(n for n, argument in enumerate(of_macro) if argument.startswith('"'))
            fields = dict(map(named, of_macro[:first]))
            message = re.fullmatch(STRING, of_macro[first])[1]
            named_after = [returned(name) for name in re.findall(r"\{(\w+)\}", message)]
            lines.append(Line(fields, message, of_file.union(*named_after)))
    return lines


def span_fields() -> set[str]:
    """Returns the fields of the spans, as the lines inside them have them."""
    spans = [arguments(text[m.end() :]) for text in sources() for m in re.finditer(r"\b\w+_span!\(", text)]
    return {f"span.{named(argument)[0]}" for span in spans for argument in span[1:]}


SPAN_FIELDS = span_fields()


class PatternError(Exception):
    """A filter pattern that this module can't read."""


COMPARISON = re.compile(rf"\$\.([\w.]+)\s*(?:(IS TRUE)|(=|!=|>=|<=|>|<)\s*(?:{STRING}|(-?[\d.]+)))")


def ways(pattern: str) -> list[list[re.Match]]:
    """Returns the ways in which a line can match a filter pattern: in each, all of the comparisons must hold."""
    found = re.fullmatch(r"\s*\{(.*)\}\s*", pattern, re.DOTALL)
    if not found:
        raise PatternError(pattern)
    result, rest = any_of(found[1].lstrip())
    if rest:
        raise PatternError(rest)
    return result


def any_of(text: str) -> tuple[list[list[re.Match]], str]:
    found, text = all_of(text)
    while text.startswith("||"):
        more, text = all_of(text[2:].lstrip())
        found += more
    return found, text


def all_of(text: str) -> tuple[list[list[re.Match]], str]:
    found, text = one(text)
    while text.startswith("&&"):
        more, text = one(text[2:].lstrip())
        found = [left + right for left, right in product(found, more)]
    return found, text


def one(text: str) -> tuple[list[list[re.Match]], str]:
    if text.startswith("("):
        found, text = any_of(text[1:].lstrip())
        if not text.startswith(")"):
            raise PatternError(text)
        return found, text[1:].lstrip()
    comparison = COMPARISON.match(text)
    if not comparison:
        raise PatternError(text)
    return [[comparison]], text[comparison.end() :].lstrip()


def holds(line: Line, comparison: re.Match) -> bool:
    """Returns true if the comparison may hold for the line."""
    field, is_true, operator, text, _ = comparison.groups()
    if is_true:
        return line.fields.get(field) == "true"
    if operator == "=" and text is not None:
        return line.can_be(field, text)
    return line.has(field)


def filter_problems(metric_filter: dict) -> list[str]:
    """Returns the ways of a metric filter that match no line of the code, and values that no such line has."""
    try:
        pattern = ways(metric_filter["FilterPattern"])
    except PatternError as error:
        return [f"can't be read: {error}"]
    problems, lines = [], logged_lines()
    for way in pattern:
        matching = [line for line in lines if all(holds(line, comparison) for comparison in way)]
        if not matching:
            problems.append(" && ".join(comparison[0] for comparison in way))
        for metric in metric_filter["MetricTransformations"]:
            field = metric["MetricValue"].removeprefix("$.")
            if field != metric["MetricValue"] and not all(line.has(field) for line in matching):
                problems.append(metric["MetricValue"])
    return problems


def names_of(template: dict, kind: str) -> list[str]:
    return [name for name, resource in template["Resources"].items() if resource["Type"] == kind]


def values(template: dict) -> dict[str, list]:
    """Returns what each dimension may be in a template before SAM's translation."""
    functions = names_of(template, "AWS::Serverless::Function")
    return {
        "ApiName": [{"Ref": "AWS::StackName"}],
        "Stage": [{"Ref": "StageName"}],
        "QueueName": [{"Fn::GetAtt": [name, "QueueName"]} for name in names_of(template, "AWS::SQS::Queue")],
        "RuleName": [{"Ref": name} for name in names_of(template, "AWS::Events::Rule")],
        "StateMachineArn": [{"Ref": name} for name in names_of(template, "AWS::Serverless::StateMachine")],
        "FunctionName": [{"Ref": name} for name in functions],
        "Resource": [{"Fn::Sub": f"${{{name}}}:live"} for name in functions],
        "ExecutedVersion": [{"Fn::GetAtt": [name, "Version.Version"]} for name in functions],
    }


def metric_problems(template: dict, metric: dict) -> list[str]:
    """Returns what is wrong with a metric: its name, its namespace, or one of its dimensions."""
    namespace, name, dimensions = metric["Namespace"], metric["MetricName"], metric.get("Dimensions", [])
    if namespace == OWN_NAMESPACE:
        filters = [template["Resources"][n]["Properties"] for n in names_of(template, "AWS::Logs::MetricFilter")]
        made = [m for f in filters for m in f["MetricTransformations"] if m["MetricNamespace"] == namespace]
        return [] if name in {m["MetricName"] for m in made} and not dimensions else [f"no filter makes {name}"]
    listed = AWS_METRICS.get(str(namespace))
    if listed is None:
        return [f"the namespace {namespace}"]
    problems = [] if name in listed["metrics"] else [f"{namespace} has no {name}"]
    if sorted(d["Name"] for d in dimensions) not in map(sorted, listed["dimensions"]):
        problems.append(f"{name} by {', '.join(d['Name'] for d in dimensions) or 'nothing'}")
    allowed = values(template)
    wrong = [d for d in dimensions if d["Value"] not in allowed.get(d["Name"], [])]
    return problems + [f"{d['Name']} is {d['Value']}" for d in wrong]


# Functions of metric math that the template uses.
MATH = {"DIFF", "FILL", "IF", "MAX", "METRICS", "SUM"}


def ids_in(expression: str | dict) -> set[str]:
    """Returns the ids that an expression uses, and functions that are not known."""
    text = expression["Fn::Sub"] if isinstance(expression, dict) else expression
    functions = set(re.findall(r"\b[A-Z]\w*(?=\()", text))
    return set(re.findall(r"(?<![\w{:])[a-z]\w*", text)) | (functions - MATH)


def math_problems(metrics: list[dict]) -> list[str]:
    """Returns ids that the expression or the metrics have alone, and all results if there is not exactly one."""
    ids = {metric["Id"] for metric in metrics if "MetricStat" in metric}
    (expression,) = [m["Expression"] for m in metrics if "Expression" in m]
    used = ids if expression == "SUM(METRICS())" else ids_in(expression)
    results = [metric["Id"] for metric in metrics if metric.get("ReturnData", True)]
    return sorted(used ^ ids) + (results if len(results) != 1 else [])


def alarm_problems(template: dict, alarm: dict) -> list[str]:
    """Returns what is wrong with the metrics that an alarm watches."""
    if "Metrics" not in alarm:
        return metric_problems(template, alarm)
    stats = [metric["MetricStat"]["Metric"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    return [problem for stat in stats for problem in metric_problems(template, stat)] + math_problems(alarm["Metrics"])


class Row(NamedTuple):
    """A row of a widget: a metric, as an alarm would name it, or an expression."""

    metric: dict | None
    options: dict


def rows(widget: dict) -> list[Row]:
    """Returns the rows of a widget, each with what the dots in it stand for, and with the options of the widget."""
    found, above = [], []
    for row in widget["properties"]["metrics"]:
        is_plain = not isinstance(row[-1], dict) or bool({"Ref", "Fn::Sub", "Fn::GetAtt"} & row[-1].keys())
        names, options = (row, {}) if is_plain else (row[:-1], row[-1])
        options = {name: widget["properties"].get(name) for name in ("stat", "period")} | options
        above = [above[n] if name == "." else name for n, name in enumerate(names)] or above
        metric = None
        if names:
            namespace, name, *dimensions = above
            pairs = zip(dimensions[::2], dimensions[1::2], strict=True)
            named = [{"Name": dimension, "Value": value} for dimension, value in pairs]
            metric = {"Namespace": namespace, "MetricName": name, "Dimensions": named}
        found.append(Row(metric, options))
    return found


def widget_problems(template: dict, widget: dict) -> list[str]:
    """Returns what is wrong with the metrics of a widget, their statistics, and the ids in its expressions."""
    of_widget = rows(widget)
    problems = [p for row in of_widget if row.metric for p in metric_problems(template, row.metric)]
    statistics = [row.options["stat"] for row in of_widget if row.metric]
    known = re.compile(r"Average|Maximum|Minimum|SampleCount|Sum|p\d\d")
    problems += [f"the statistic {one}" for one in statistics if not known.fullmatch(str(one))]
    ids = {row.options["id"] for row in of_widget if row.metric and "id" in row.options}
    hidden = {row.options.get("id") for row in of_widget if row.options.get("visible") is False}
    used = {name for row in of_widget if "expression" in row.options for name in ids_in(row.options["expression"])}
    return problems + sorted(used - ids) + [f"{name} is neither shown nor used" for name in hidden - used]


QUERY_WORDS = {"as", "asc", "bin", "by", "count", "desc", "display", "fields", "filter", "ispresent", "like", "limit"}
QUERY_WORDS |= {"and", "avg", "in", "max", "min", "not", "or", "pct", "sort", "stats", "sum"}
# Fields that CloudWatch Logs Insights adds to each line.
QUERY_FIELDS = {"@timestamp", "@message", "@logStream", "@log"}


def query_problems(query: str) -> list[str]:
    """Returns what no line of the code has: fields, messages and functions that a Logs Insights query names."""
    lines = logged_lines()
    fields = FIELDS_OF_ALL | SPAN_FIELDS | QUERY_FIELDS | {field for line in lines for field in line.fields}
    fields |= set(re.findall(r" as (\w+)", query))
    words = re.findall(r"(?<![\w.@])[@a-zA-Z_][\w.]*", re.sub(STRING, "", query))
    compared = re.findall(rf"([\w.]+)\s*(?:!?=|like)\s*{STRING}", query)
    compared += [
        (field, text) for field, texts in re.findall(r"([\w.]+) in \[(.*?)\]", query) for text in strings(texts)
    ]
    # Any text may be the id of an order.
    texts = [(field, text) for field, text in compared if field != "span.order_id"]
    unknown = [text for field, text in texts if not any(line.can_be(field, text) for line in lines)]
    return [word for word in words if word not in fields | QUERY_WORDS] + unknown
