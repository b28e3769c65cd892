"""Writes the tables of docs/costs.md: what a stack costs a month without traffic, and what a million orders cost.

Counts come from what the system is: the state machine, the template, and the samples of events/release/. What can't be
counted without traffic on AWS is assumed, and the document says so.
"""

import json
import re
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import NamedTuple

from samtranslator.yaml_helper import yaml_parse

MILLION = 1_000_000
DAYS = 30
KIB, GIB = 1024, 1024**3
DOCUMENT = Path("docs/costs.md")


class Price(NamedTuple):
    """A price in USD without free tiers, for the use of the first tier."""

    usd: float
    unit: str
    source: str
    published: str


def listed(usd: float, unit: str, service: str, published: str) -> Price:
    """Returns a price of AWS's price list for the region."""
    url = f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{service}/current/eu-west-1/index.json"
    return Price(usd, unit, f"[{service}]({url})", published)


def on_page(usd: float, unit: str, service: str) -> Price:
    """Returns a price of a page of AWS that gives one price for all regions."""
    return Price(usd, unit, f"[{service}](https://aws.amazon.com/{service}/pricing/)", "no date")


PRICES = {
    "API Gateway, REST": listed(3.50, "million requests", "AmazonApiGateway", "2026-09-21"),
    "Lambda, invocations": listed(0.20, "million", "AWSLambda", "2026-10-01"),
    "Lambda, arm64": listed(0.0000133334, "GB-second", "AWSLambda", "2026-10-01"),
    "SQS, standard": listed(0.40, "million requests", "AWSQueueService", "2026-09-11"),
    "SNS": listed(0.50, "million messages", "AmazonSNS", "2026-09-15"),
    "Step Functions": listed(25.00, "million transitions", "AmazonStates", "2026-09-11"),
    "DynamoDB, writes": listed(0.705, "million units", "AmazonDynamoDB", "2026-09-11"),
    "DynamoDB, reads": listed(0.1415, "million units", "AmazonDynamoDB", "2026-09-11"),
    "DynamoDB, storage": listed(0.283, "GB and month", "AmazonDynamoDB", "2026-09-11"),
    "DynamoDB, recovery to a point in time": listed(0.22, "GB and month", "AmazonDynamoDB", "2026-09-11"),
    "Logs, ingestion": listed(0.57, "GB", "AmazonCloudWatch", "2026-09-22"),
    "Logs, storage": listed(0.03, "GB and month", "AmazonCloudWatch", "2026-09-22"),
    "Alarms": listed(0.10, "metric and month", "AmazonCloudWatch", "2026-09-22"),
    "Metrics": on_page(0.30, "metric and month", "cloudwatch"),
    "Dashboards": on_page(3.00, "dashboard and month", "cloudwatch"),
    "Data sent to the internet": listed(0.09, "GB", "AWSDataTransfer", "2026-09-16"),
    "Secrets Manager": listed(0.40, "secret and month", "AWSSecretsManager", "2026-09-11"),
    "S3": listed(0.023, "GB and month", "AmazonS3", "2026-09-28"),
    "X-Ray": on_page(5.00, "million traces", "xray"),
    "KMS": on_page(1.00, "key and month", "kms"),
    "CodePipeline V2": on_page(0.002, "minute of an action", "codepipeline"),
}

# Assumptions.
INVOCATION_SECONDS = 0.05
PROVIDER_SECONDS = 0.5
SWEEP_SECONDS = 1
LOG_BYTES_OF_INVOCATION = KIB
LOG_BYTES_OF_REQUEST = KIB // 2
HEADER_BYTES = KIB // 2
BUILD_MINUTES, OTHER_MINUTES = 30, 30
FILES_GIB, FILES_MONTHS = 0.2, 3

# Steps that wait for a provider.
ASK_PROVIDER = {"ProcessPayment", "SendOrderToRestaurant"}
# How often each step reads the order (shared/src/steps.rs): before it records a fact, and before it asks a provider.
# CompleteOrder records two facts.
READS = {"SaveOrder": 0, "AcceptOrder": 1, "ProcessPayment": 2, "SendOrderToRestaurant": 2, "CompleteOrder": 2}
# States of a submitted order that succeeds, in the samples.
LIFE = ("submitted", "accepted", "paid", "delivered", "success", "success, published")
# A message is sent, received and deleted. Several may share a request.
REQUESTS_OF_MESSAGE = 3
# Lambda polls a queue with five requests at a time, which wait 20 seconds each.
POLLS_A_MINUTE = 5 * 3
# What DynamoDB adds to the size of an item that is stored, in bytes.
STORED_ITEM_BYTES = 100
# Partitions of the index, each of which the sweep queries.
PARTITIONS = 16


def sample(name: str) -> dict:
    """Returns a sample of events/release/."""
    return json.loads(Path(f"events/release/{name}.json").read_text())


def happy_path(machine: dict, answers: list[str]) -> list[str]:
    """Returns the states that an execution enters if its tasks give these answers, one after the other."""
    states, path, answers = machine["States"], [machine["StartAt"]], iter(answers)
    answer = ""
    while "Next" in (state := states[path[-1]]) or state["Type"] == "Choice":
        if state["Type"] == "Task":
            answer = next(answers)
        following = state.get("Next", state.get("Default"))
        for choice in state.get("Choices", []):
            if choice["Condition"] == f"{{% $next = '{answer}' %}}":
                following = choice["Next"]
                break
        path.append(following)
    return path


def size(value: object) -> int:
    """Returns the size of a value in DynamoDB, in bytes ("DynamoDB item sizes and formats", Developer Guide)."""
    match value:
        case str():
            return len(value.encode())
        case bool() | None:
            return 1
        case int():
            return (len(str(value)) + 1) // 2 + 1
        case dict():
            return 3 + sum(1 + size(name) + size(inner) for name, inner in value.items())
        case list():
            return 3 + sum(1 + size(inner) for inner in value)
    raise TypeError(value)


def item_size(item: dict) -> int:
    """Returns the size of an item, in bytes."""
    return sum(size(name) + size(value) for name, value in item.items())


def units(item: dict) -> int:
    """Returns the units of a write of the item."""
    return ceil(item_size(item) / KIB)


def index_units(before: dict | None, after: dict) -> int:
    """Returns the units of a write in the index, where an entry moves with each write: `updated_at` is in its key."""
    return sum("unsettled" in (item or {}) for item in (before, after))


def counted(number: int, noun: str) -> str:
    """Returns the number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Use(NamedTuple):
    """Use of a service: how many units a million orders use, and how it is counted."""

    price: str
    amount: float
    count: str


def use_of_million(*, invocations: int, waits: int, writes: int, reads: int, answer: dict) -> tuple[Use, ...]:
    """Returns what every kind of order uses, with one request each."""
    memory = yaml_parse(Path("template.yaml").read_text())["Globals"]["Function"]["MemorySize"]
    seconds = (invocations - waits) * INVOCATION_SECONDS + waits * PROVIDER_SECONDS
    log_gib = (invocations * LOG_BYTES_OF_INVOCATION + LOG_BYTES_OF_REQUEST) * MILLION / GIB
    sent = len(json.dumps(answer, ensure_ascii=False).encode()) + HEADER_BYTES
    return (
        Use("API Gateway, REST", 1, "1 request"),
        Use("Lambda, invocations", invocations, counted(invocations, "invocation")),
        Use(
            "Lambda, arm64",
            seconds * memory / 1024 * MILLION,
            f"{seconds:g} s with {memory} MB",
        ),
        Use("DynamoDB, writes", writes, counted(writes, "unit")),
        Use("DynamoDB, reads", reads, counted(reads, "unit")),
        Use("Logs, ingestion", log_gib, f"{log_gib * GIB / MILLION / KIB:g} KiB"),
        Use("Logs, storage", log_gib, f"for {DAYS} days"),
        Use("X-Ray", 1, "1 trace at most"),
        Use("Data sent to the internet", sent * MILLION / GIB, f"{sent} bytes"),
    )


def submitted() -> list[Use]:
    """Returns what a million submitted orders use that are paid and delivered."""
    orders, records = sample("item"), sample("record")
    # CompleteOrder answers after the publication.
    answers = [orders[state]["next"] for state in LIFE if state != "success"]
    path = happy_path(json.loads(Path("statemachine/order.asl.json").read_text()), answers)
    tasks = [state for state in path if state in READS]
    items = [orders[state]["item"] for state in LIFE]
    # In a transaction each unit counts twice, but not those of the index.
    pair = [items[0], records["a submitted order that was saved"]["item"]]
    saved = 2 * sum(map(units, pair)) + index_units(None, items[0])
    facts = sum(units(after) + index_units(before, after) for before, after in pairwise(items))
    writes = units(records["a submission by POST"]["item"]) + saved + facts
    kept = [items[-1], records["a submission by POST"]["item"], records["a submitted order that was saved"]["item"]]
    return [
        *use_of_million(
            invocations=2 + len(tasks),
            waits=sum(task in ASK_PROVIDER for task in tasks),
            writes=writes,
            reads=sum(READS[task] for task in tasks),
            answer=sample("response")["submitted just now"],
        ),
        Use("SQS, standard", REQUESTS_OF_MESSAGE, f"{REQUESTS_OF_MESSAGE} requests"),
        Use("Step Functions", len(path), f"{len(path)} transitions"),
        Use("SNS", 1, "1 message"),
        *storage(kept),
    ]


def recorded() -> list[Use]:
    """Returns what a million orders use that are recorded by PUT, with an idempotency key."""
    item, record = sample("item")["recorded"]["item"], sample("record")["a creation by PUT"]["item"]
    return [
        *use_of_million(
            invocations=1,
            waits=0,
            writes=2 * (units(item) + units(record)),
            reads=0,
            answer=sample("response")["created"],
        ),
        *storage([item]),
    ]


def storage(items: list[dict]) -> tuple[Use, ...]:
    """Returns the storage of a month; only the first item's table has recovery to a point in time."""
    sizes = [item_size(item) + STORED_ITEM_BYTES for item in items]
    return (
        Use("DynamoDB, storage", sum(sizes) * MILLION / GIB, f"{sum(sizes)} bytes for a month"),
        Use("DynamoDB, recovery to a point in time", sizes[0] * MILLION / GIB, f"{sizes[0]} bytes for a month"),
    )


def dollars(usd: float) -> str:
    """Returns an amount as the tables show it."""
    return f"{usd:,.2f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def orders_table() -> str:
    """Returns the costs of a million orders, by service."""
    kinds = [{use.price: use for use in uses} for uses in (submitted(), recorded())]
    rows, sums = [], [0.0, 0.0]
    for name, price in PRICES.items():
        if not any(name in uses for uses in kinds):
            continue
        row = [name]
        for n, uses in enumerate(kinds):
            use = uses.get(name, Use(name, 0, "-"))
            sums[n] += price.usd * use.amount
            row += [use.count if use.amount else "-", dollars(price.usd * use.amount)]
        rows.append(row)
    rows.append(["**Sum**", "", f"**{dollars(sums[0])}**", "", f"**{dollars(sums[1])}**"])
    return table(["service", "submitted: use of one", "USD a million", "recorded: use of one", "USD a million"], rows)


def metrics_of(alarm: dict) -> int:
    """Returns the metrics that an alarm watches; each one is billed."""
    metrics = alarm["Properties"].get("Metrics")
    return 1 if metrics is None else sum("MetricStat" in metric for metric in metrics)


def idle_table() -> str:
    """Returns the costs of a stack and of the pipeline without traffic and without runs, a month."""
    template = yaml_parse(Path("template.yaml").read_text())
    resources = template["Resources"].values()
    alarms = [resource for resource in resources if resource["Type"] == "AWS::CloudWatch::Alarm"]
    canary = sum(metrics_of(alarm) for alarm in alarms if alarm.get("Condition") == "HasCanary")
    always = sum(map(metrics_of, alarms)) - canary
    # A filter that also takes zeros gets one from each sweep. The others have no data without traffic.
    filters = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::Logs::MetricFilter"]
    own = sum(">= 0" in one["FilterPattern"] for one in filters)
    dashboards = [resource["Type"] for resource in resources].count("AWS::CloudWatch::Dashboard")
    queues = [resource["Type"] for resource in resources].count("AWS::Lambda::EventSourceMapping")
    polls = queues * POLLS_A_MINUTE * 60 * 24 * DAYS
    schedule = re.search(r"Schedule: rate\((\d+) minutes\)", Path("template.yaml").read_text())
    sweeps = 60 * 24 * DAYS // int(schedule[1])
    memory = template["Globals"]["Function"]["MemorySize"]
    keys = Path("pipeline/state.yaml").read_text().count("Type: AWS::KMS::Key")
    sweep = (
        sweeps * PRICES["Lambda, invocations"].usd / MILLION
        + sweeps * SWEEP_SECONDS * memory / 1024 * PRICES["Lambda, arm64"].usd
        + sweeps * PARTITIONS * 0.5 * PRICES["DynamoDB, reads"].usd / MILLION
    )
    lines = [
        ("stack: alarms, with `PaidMonitoring`", counted(always, "metric"), always * PRICES["Alarms"].usd),
        ("stack: alarms of the canary, in prod", counted(canary, "metric"), canary * PRICES["Alarms"].usd),
        (
            "stack: dashboard, with `PaidMonitoring`",
            counted(dashboards, "dashboard"),
            dashboards * PRICES["Dashboards"].usd,
        ),
        ("stack: the metric of the sweep, with `PaidMonitoring`", counted(own, "metric"), own * PRICES["Metrics"].usd),
        (
            "stack: Lambda polls the queues",
            f"{counted(queues, 'queue')}, {counted(polls, 'request')} to SQS",
            polls * PRICES["SQS, standard"].usd / MILLION,
        ),
        ("stack: the sweep", f"{sweeps:,} runs, each with {PARTITIONS} queries", sweep),
        ("stack: keys of two providers in Secrets Manager", "2 secrets", 2 * PRICES["Secrets Manager"].usd),
        (
            "stack: API, functions, tables, topics, state machine, Cognito, CloudFront, logs",
            "billed by use",
            0.0,
        ),
        ("pipeline: the key of Pulumi's secrets", counted(keys, "key"), keys * PRICES["KMS"].usd),
    ]
    rows = [[name, count, dollars(usd)] for name, count, usd in lines]
    rows.append(["**Sum, with one stack of prod**", "", f"**{dollars(sum(usd for *_, usd in lines))}**"])
    return table(["part", "use", "USD a month"], rows)


def run_table() -> str:
    """Returns the costs of one run of the pipeline, as far as prices are known."""
    minutes = BUILD_MINUTES + OTHER_MINUTES
    files = FILES_GIB * FILES_MONTHS * PRICES["S3"].usd
    pipeline = minutes * PRICES["CodePipeline V2"].usd
    rows = [
        ["CodePipeline V2", f"{minutes} minutes of actions", dollars(pipeline)],
        ["S3: the run's files", f"{FILES_GIB} GB for {FILES_MONTHS} months", dollars(files)],
        ["CodeBuild, ARM large", f"{BUILD_MINUTES} minutes", "not known"],
        ["CodeBuild, ARM small", f"{OTHER_MINUTES} minutes", "not known"],
    ]
    return table(["part", "use", "USD a run"], rows)


def prices_table() -> str:
    """Returns the prices with their sources."""
    rows = [
        [
            name,
            max(dollars(price.usd), f"{price.usd:.10f}".rstrip("0"), key=len),
            price.unit,
            price.source,
            price.published,
        ]
        for name, price in PRICES.items()
    ]
    return table(["service", "USD", "for a", "source", "published"], rows)


def written(document: str) -> str:
    """Returns the document with its tables as they are computed now."""
    for name, content in {
        "orders": orders_table(),
        "idle": idle_table(),
        "run": run_table(),
        "prices": prices_table(),
    }.items():
        begin, end = f"<!-- {name}: written by make costs -->\n", "<!-- end -->"
        before, rest = document.split(begin)
        document = before + begin + "\n" + content + "\n" + end + rest.split(end, 1)[1]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
