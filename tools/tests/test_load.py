"""The load on the API, with a stand-in for the tool and a small API of orders: a failure that is planted is found."""

import json
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import load
from load import Api, Measured, Route

# A stand-in for the tool: records what it is asked for, and prints an answer with one status for all requests but the
# last one, which has the status that is planted.
TOOL = """
import json, pathlib, sys
here = pathlib.Path(sys.argv[1])
task = json.load(sys.stdin)
with (here / "tasks").open("a") as tasks:
    print(json.dumps(task), file=tasks)
usual, planted = json.loads((here / "statuses").read_text())
statuses = {usual: task["requests"] - 1}
statuses[planted] = statuses.get(planted, 0) + 1
print(json.dumps({"seconds": 0.5, "p50": 2, "p99": 3, "statuses": statuses, "errors": {}}))
"""
# The token, the orders of the small API, and the number of them on a page.
TOKEN, IDS, PAGE = "the-token", ["1", "2", "3"], 2
STATUSES = {"1": "SUCCESS", "2": "PENDING", "3": "FAILURE"}
SUBMIT = {"name": "submit", "method": "POST", "status": 202, "body": {"quantity": 3}}


def route(**more: object) -> Route:
    fields = {"name": "read", "method": "GET", "paths": deque("abc"), "status": 200}
    return Route(**fields | more)


class Orders(BaseHTTPRequestHandler):
    """An API with three orders, in two pages."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if is_known else 401)
        if start + PAGE < len(IDS):
            self.send_header("Link", f'<?cursor={start + PAGE}>; rel="next"')
        self.end_headers()
        self.wfile.write(
            json.dumps([{"id": one, "order_status": STATUSES[one]} for one in IDS[start : start + PAGE]]).encode()
        )

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Orders) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/Dev"
        server.shutdown()


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in; what it answers is in the file `statuses`."""
    (tmp_path / "tool.py").write_text(TOOL)
    monkeypatch.setattr(load, "TOOL", (sys.executable, tmp_path / "tool.py", tmp_path))
    return tmp_path


def answer(tool: Path, usual: int, planted: int) -> None:
    (tool / "statuses").write_text(json.dumps([str(usual), str(planted)]))


def tasks(tool: Path) -> list[dict]:
    return [json.loads(line) for line in (tool / "tasks").read_text().splitlines()]


def test_a_report_is_read() -> None:
    report = {"seconds": 2, "p50": 1, "p99": 3, "statuses": {"200": 5, "503": 1}, "errors": {"closed": 2}}
    measured = Measured.parse(json.dumps(report))
    assert measured == Measured(2, 1, 3, Counter({200: 5, 503: 1}), Counter({"closed": 2}))
    assert measured.per_second == (5 + 1) / 2


@pytest.mark.parametrize(
    ("statuses", "errors", "failures"),
    [
        ({200: 6}, {}, []),
        ({200: 5, 503: 1}, {}, ["1 x status 503"]),
        ({200: 3, 500: 2, 429: 1}, {}, ["2 x status 500", "1 x status 429"]),
        ({404: 6}, {}, ["6 x status 404"]),
        ({200: 3}, {"connect ECONNREFUSED": 3}, ["3 x connect ECONNREFUSED"]),
        ({200: 4}, {}, ["2 x no answer"]),
        ({}, {}, ["6 x no answer"]),
    ],
)
def test_whatever_is_not_the_answer_of_the_route_is_a_failure(
    statuses: dict[int, int], errors: dict[str, int], failures: list[str]
) -> None:
    measured = Measured(1, 1, 1, Counter(statuses), Counter(errors))
    assert measured.failures(route(), 6) == failures


def test_each_number_of_clients_is_measured_and_every_answer_counts(
    tool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(tool, 202, 503)
    api = Api("http://localhost/Dev", TOKEN)
    good = api.measure(route(**SUBMIT, most=100))
    # The warm-up tells how fast the route is: 3 requests in half a second.
    counts = [(3, 30), (12, 100), (48, 100), (192, 100)]
    assert [task["requests"] for task in tasks(tool)] == [count for pair in counts for count in pair]
    assert good == sum(map(sum, counts)) - 2 * len(counts)
    assert api.failures == [f"submit, {n} clients: 1 x status 503" for n in load.CLIENTS for _ in range(2)]
    lines = capsys.readouterr().out.splitlines()[3:]
    expected = [[n, sent, sent * 2, 2, 3] for n, (_, sent) in zip(load.CLIENTS, counts, strict=True)]
    assert [[int(cell) for cell in line.split()[:5]] for line in lines] == expected
    assert all(line.endswith(f"202: {sent - 1}, 503: 1") for line, (_, sent) in zip(lines, counts, strict=True))


def test_the_tool_is_told_what_the_route_is(tool: Path) -> None:
    answer(tool, 200, 200)
    api = Api("http://localhost/Dev", TOKEN)
    read = route()
    api.load(read, 16, 2)
    api.load(read, 1, 2)
    api.load(route(**SUBMIT), 1, 9)
    api.load(route(has_token=False), 1, 1)
    first, second, submit, nobody = tasks(tool)
    assert [first[name] for name in ("url", "method", "clients", "requests")] == ["http://localhost/Dev", "GET", 16, 2]
    # The paths go on where the requests before have ended: no order is deleted twice.
    assert [first["paths"], second["paths"]] == [["a", "b", "c"], ["c", "a", "b"]]
    assert (submit["body"], submit["headers"]["Content-Type"]) == ('{"quantity": 3}', "application/json")
    authorizations = [task["headers"].get("Authorization") for task in (first, submit, nobody)]
    assert authorizations == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", None]


def test_orders_are_found_on_all_pages(url: str) -> None:
    assert list(Api(url, TOKEN).paths("A B")) == [f"/Dev/orders/A%20B/order/{one}" for one in IDS]


@pytest.mark.parametrize(("count", "failures"), [(3, 0), (2, 1), (4, 1)])
def test_a_lost_or_extra_order_is_a_failure(url: str, count: int, failures: int) -> None:
    api = Api(url, TOKEN)
    api.expect("A", count)
    assert len(api.failures) == failures, api.failures


@pytest.mark.parametrize(("count", "status", "failures"), [(3, "SUCCESS", 0), (3, "PENDING", 1), (4, "SUCCESS", 1)])
def test_a_submitted_order_that_is_lost_or_never_final_is_a_failure(
    url: str, monkeypatch: pytest.MonkeyPatch, count: int, status: str, failures: int
) -> None:
    monkeypatch.setattr(load, "SETTLED", 0)
    monkeypatch.setitem(STATUSES, "2", status)
    api = Api(url, TOKEN)
    api.settle("A", count)
    assert len(api.failures) == failures, api.failures


@pytest.mark.parametrize(("planted", "status"), [(200, 0), (503, 1)])
def test_a_failure_ends_the_command_with_1(
    tool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], planted: int, status: int
) -> None:
    answer(tool, 200, planted)
    monkeypatch.setattr(load, "running", lambda: ["http://localhost:4566/Dev", TOKEN])
    monkeypatch.setattr(load, "load", lambda api: api.measure(route()))
    assert load.main() == status
    assert ("error: read, 64 clients: 1 x status 503" in capsys.readouterr().err) == (status == 1)


def test_a_system_elsewhere_gets_no_load(
    tool: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load, "running", lambda: ["https://a1b2.execute-api.eu-west-1.amazonaws.com/Dev", TOKEN])
    assert load.main() == 1
    assert "only a system on this machine gets load" in capsys.readouterr().err
    assert not (tool / "tasks").exists()


def test_columns_are_aligned() -> None:
    assert load.table([("clients", "ms", "by status"), ("1", "1000", "200: 7")]) == (
        "clients    ms  by status\n      1  1000  200: 7"
    )
