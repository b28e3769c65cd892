"""Measures the API of the local stack under load, by autocannon. `make load` starts the stack and runs this.

Each route gets 1, 4, 16 and 64 clients, one number after the other. First come requests that the gateway refuses, so
that no function is called: they show what the emulator alone can do, as do the processor times.

The command fails if an answer has another status than the route's own, if a connection fails, or if the number of
orders is not the one that the answers promise: under plain load nothing may fail.
"""

import json
import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter, Retry

# Sends the requests.
TOOL = ("node", "tools/autocannon/run.mjs")
CLIENTS = (1, 4, 16, 64)
# Requests of each client before a measurement: they start the functions' processes, and tell how fast the route is.
WARM_UP = 3
# Time of a measurement, by the speed of its warm-up, and the most requests.
SECONDS, MOST = 5, 2000
# Orders that are there before the first measurement, and those on the page of a list.
PREPARED, LISTED = 200, 25
# Orders that are submitted in each measurement. They are few, because each starts a workflow of six more calls.
SUBMITTED = 64
# Time until all submitted orders are final.
SETTLED = 300
# Time for an answer, longer than a function has, and for all answers of a measurement.
TIMEOUT, ALL = 30, 300
# Names of the users who have the orders.
USER, SUBMITTER = "Load", "Load, submitted"
# The only hosts that get load.
LOOPBACK = ("localhost", "127.0.0.1")
# Lists are read while workflows still take the functions that Lambda allows.
REPEATS = Retry(total=10, status_forcelist={429, 503}, backoff_factor=0.5, raise_on_status=False)
# Unit of the times in /proc.
TICKS = os.sysconf("SC_CLK_TCK")

HEAD = ("clients", "answers", "a second", "p50 ms", "p99 ms", "emulator CPU ms", "functions CPU ms", "by status")


@dataclass
class Route:
    """A route of the API, and the status that it answers with. Its paths are asked in turn."""

    name: str
    method: str
    paths: deque[str]
    status: int
    body: dict | None = None
    most: int = MOST
    warm_up: int = WARM_UP
    has_token: bool = True


@dataclass
class Measured:
    """What came back: times in milliseconds, answers by status, failures by their message."""

    seconds: float
    p50: float
    p99: float
    statuses: Counter[int]
    errors: Counter[str] = field(default_factory=Counter)

    @classmethod
    def parse(cls, report: str) -> "Measured":
        read = json.loads(report)
        statuses = Counter({int(status): count for status, count in read["statuses"].items()})
        return cls(read["seconds"], read["p50"], read["p99"], statuses, Counter(read["errors"]))

    @property
    def per_second(self) -> float:
        return self.statuses.total() / self.seconds

    def failures(self, route: Route, sent: int) -> list[str]:
        """What is not as it should be, with the number of times."""
        failures = [f"{count} x status {status}" for status, count in self.statuses.items() if status != route.status]
        failures += [f"{count} x {message}" for message, count in self.errors.items()]
        lost = sent - self.statuses.total() - self.errors.total()
        return [*failures, f"{lost} x no answer"] if lost > 0 else failures


def ticks() -> dict[int, tuple[int, int]]:
    """The parent of each process, and the processor time that it has used."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the program, in parentheses, may have spaces.
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended.
        found[int(file.parent.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]))
    return found


def processor_times() -> tuple[float, float]:
    """Seconds of the emulator, which is this process's sibling, and of the functions, which are its children."""
    processes = ticks()
    emulators = {pid for pid, (parent, _) in processes.items() if parent == os.getppid() and pid != os.getpid()}
    emulator = sum(processes[pid][1] for pid in emulators)
    functions = sum(used for parent, used in processes.values() if parent in emulators)
    return emulator / TICKS, functions / TICKS


class Api:
    """The API of the local stack under load, and what has failed."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.path = urlsplit(url).path
        self.http = requests.Session()
        self.http.mount("http://", HTTPAdapter(max_retries=REPEATS))
        self.failures: list[str] = []

    def load(self, route: Route, clients: int, count: int) -> Measured:
        """Sends this number of requests, and records what fails."""
        headers = {"Authorization": f"Bearer {self.token}"} if route.has_token else {}
        headers |= {"Content-Type": "application/json"} if route.body else {}
        body = json.dumps(route.body) if route.body else None
        task = {"url": self.url, "method": route.method, "paths": list(route.paths), "headers": headers, "body": body}
        task |= {"clients": clients, "requests": count, "timeout": TIMEOUT}
        ran = subprocess.run(TOOL, check=True, input=json.dumps(task), stdout=subprocess.PIPE, text=True, timeout=ALL)
        route.paths.rotate(-count)
        measured = Measured.parse(ran.stdout)
        self.failures += [f"{route.name}, {clients} clients: {failure}" for failure in measured.failures(route, count)]
        return measured

    def measure(self, route: Route, settle: Callable[[int], None] | None = None) -> int:
        """Prints the figures of a route; returns the number of its good answers, those of the warm-up included.

        `settle` waits for the work that so many good answers have left behind.
        """
        print(f"\n{route.name}", flush=True)
        rows, good = [HEAD], 0
        for clients in CLIENTS:
            warm_up = self.load(route, clients, route.warm_up * clients)
            good += warm_up.statuses[route.status]
            if settle:
                settle(good)
            before = processor_times()
            measured = self.load(route, clients, max(clients, min(int(warm_up.per_second * SECONDS), route.most)))
            used = [after - start for start, after in zip(before, processor_times(), strict=True)]
            rows.append(row(clients, measured, used))
            good += measured.statuses[route.status]
            if settle:
                settle(good)
        print(table(rows), flush=True)
        return good

    def orders(self, user: str) -> list[dict]:
        """A user's orders."""
        url, found = f"{self.url}/orders?user_id={quote(user)}&limit=1000", []
        while url:
            # As `auth`: requests replaces a header of this name by what ~/.netrc has.
            page = self.http.get(url, auth=self.sign, timeout=TIMEOUT)
            page.raise_for_status()
            found += page.json()
            more = page.links.get("next")
            url = more and f"{self.url}/orders{more['url']}"
        return found

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def paths(self, user: str) -> deque[str]:
        """The paths of a user's orders."""
        return deque(f"{self.path}/orders/{quote(user)}/order/{order['id']}" for order in self.orders(user))

    def expect(self, user: str, count: int) -> None:
        """Records a failure if the user has another number of orders."""
        there = len(self.orders(user))
        print(f"By their answers, {count} orders are there; {there} are.", flush=True)
        if there != count:
            self.failures.append(f"{count} orders of {user} should be there by their answers, but {there} are")

    def settle(self, user: str, count: int) -> None:
        """Waits until the user has this number of orders and all are final; records a failure if that takes long."""
        end = monotonic() + SETTLED
        while True:
            states = Counter(order["order_status"] for order in self.orders(user))
            if states.total() >= count and not states["PENDING"]:
                return
            if monotonic() > end:
                self.failures.append(f"after {SETTLED} s, {count} orders of {user} should be final: {dict(states)}")
                return
            sleep(1)


def row(clients: int, measured: Measured, used: Sequence[float]) -> list[str]:
    answers = measured.statuses.total()
    per_answer = [f"{1000 * seconds / answers:.1f}" if answers else "-" for seconds in used]
    by_status = [f"{status}: {count}" for status, count in sorted(measured.statuses.items())]
    by_status += [f"{message}: {count}" for message, count in measured.errors.items()]
    figures = (f"{measured.per_second:.0f}", f"{measured.p50:.0f}", f"{measured.p99:.0f}")
    return [str(clients), str(answers), *figures, *per_answer, ", ".join(by_status)]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines of columns, aligned to the right, but for the last one."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([*(cell.rjust(width) for cell, width in zip(cells[:-1], widths, strict=False)), cells[-1]])
        for cells in rows
    )


def load(api: Api) -> None:
    """Measures all routes. The same number of orders is read and changed, whatever the speed of the routes before."""
    path = f"{api.path}/orders"
    order = {"user_id": USER, "restaurant_id": "Restaurant 3", "quantity": 3}
    create = Route("PUT /orders: create", "PUT", deque([path]), 201, order)
    made = api.load(create, 4, PREPARED).statuses[201]
    orders, page = api.paths(USER), deque([f"{path}?user_id={quote(USER)}&limit={LISTED}"])

    gateway = "GET /orders without a token: the gateway refuses it"
    api.measure(Route(gateway, "GET", deque([path]), 401, has_token=False))
    api.measure(Route(f"GET /orders: list {LISTED}", "GET", page, 200))
    api.measure(Route("GET /orders/{userId}/order/{id}: read", "GET", orders, 200))
    change = {"restaurant_id": "Restaurant 4", "quantity": 4}
    api.measure(Route("PUT /orders/{userId}/order/{id}: change", "PUT", orders, 200, change))
    made += api.measure(create)
    api.expect(USER, made)
    # Each order once.
    orders = api.paths(USER)
    most = (len(orders) - WARM_UP * sum(CLIENTS)) // len(CLIENTS)
    made -= api.measure(Route("DELETE /orders/{userId}/order/{id}: delete", "DELETE", orders, 204, most=most))
    api.expect(USER, made)
    body = order | {"user_id": SUBMITTER}
    submit = Route("POST /orders: submit", "POST", deque([path]), 202, body, most=SUBMITTED, warm_up=1)
    # Else the workflows of one measurement would slow the next one.
    api.expect(SUBMITTER, api.measure(submit, lambda count: api.settle(SUBMITTER, count)))


def running() -> list[str]:
    """The URL of the API of the enclosing `local run`, and a token."""
    commands = (["tools/run", "local", verb] for verb in ("url", "token"))
    asked = [subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True) for command in commands]
    return [ran.stdout.strip() for ran in asked]


def main() -> int:
    url, token = running()
    if urlsplit(url).hostname not in LOOPBACK:
        print(f"error: only a system on this machine gets load, and not {url}", file=sys.stderr)
        return 1
    started = monotonic()
    api = Api(url, token)
    load(api)
    print(f"\nMeasured in {monotonic() - started:.0f} s.")
    for failure in api.failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if api.failures else 0


if __name__ == "__main__":
    sys.exit(main())
