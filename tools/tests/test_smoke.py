"""The smoke test against a small system of its own: an HTTP server in a thread, and AWS clients that it answers.

The clients are real, so botocore checks the requests; the answers are checked against AWS's model here. An end-to-end
test runs the smoke test against the local stack.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.validate import validate_parameters

import smoke
from smoke import OUTPUTS, Aws, Smoke, UnexpectedError

STACK = "order-api-prod"
CLIENT, SECRET, TOKEN = "machine", "the-secret-of-24-characters", "the-token"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:OrderStateMachine-1"
GRACE = 30
EXECUTION_TIME = 5
REAL = {"PaymentUrl": "https://pay.example.com", "RestaurantUrl": "https://cook.example.com"}
SIMULATORS = {"PaymentUrl": "", "RestaurantUrl": ""}
PAGE = '<!doctype html><div id="root"></div>'


@dataclass
class System:
    """A deployed stack that works, and what a test breaks in it."""

    aws: Aws
    parameters: dict = field(default_factory=lambda: REAL | {"GracePeriodSeconds": str(GRACE), "DeliveryMinutes": "20"})
    outputs: dict = field(default_factory=dict)
    template: dict = field(default_factory=dict)
    # Of the alias of each function.
    alias: dict = field(default_factory=lambda: {"FunctionVersion": "7"})
    release: str = "r0123"
    # Instead of the next answers: another one, a function of the right one, or None. By method and end of the path;
    # that of an order is `order`.
    answers: dict[tuple[str, str], list] = field(default_factory=dict)
    # How a full order ends.
    end: dict = field(default_factory=lambda: {"order_status": "SUCCESS"})
    execution_status: str = "SUCCEEDED"
    queue_seconds: int = 2

    now: float = 0
    orders: dict[str, dict] = field(default_factory=dict)
    saved_at: dict[str, float] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    charged: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ends_at(self, order: str) -> float:
        return self.saved_at[order] + int(self.parameters["GracePeriodSeconds"])

    def advance(self) -> None:
        """Accepts, charges and ends the submitted orders whose grace period is over."""
        for name, order in self.orders.items():
            is_accepted = order["processing"] == "workflow" and self.now >= self.ends_at(name)
            if is_accepted and name not in self.charged:
                self.charged.append(name)
            if is_accepted and self.now >= self.ends_at(name) + EXECUTION_TIME:
                order.update(self.end)

    # --- HTTP ---

    def answer(self, method: str, path: str, headers: dict, body: bytes) -> tuple:
        """Returns status, headers and content."""
        self.advance()
        self.requests.append((method, path))
        replacements = self.answers.get((method, "order" if "/order/" in path else path.rpartition("/")[2]))
        replacement = replacements.pop(0) if replacements else None
        if isinstance(replacement, tuple):
            return replacement
        right = self.right_answer(method, path, headers, body)
        return replacement(right) if replacement else right

    def right_answer(self, method: str, path: str, headers: dict, body: bytes) -> tuple:
        match method, path.strip("/").split("/"):
            case "POST", ["oauth2", "token"]:
                known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
                assert headers["Authorization"] == f"Basic {known}"
                assert body == b"grant_type=client_credentials&scope=orders%2Fread+orders%2Fwrite"
                return 200, {}, {"access_token": TOKEN}
            case "GET", ["web"]:
                return 200, {"Content-Type": "text/html"}, PAGE
            case "GET", ["web", "config.json"]:
                return 200, {}, {"clientId": "web-client", "authority": "https://issuer", "signInUrl": "https://s"}
            case _, ["web", "api", *rest] | ["Prod", *rest]:
                is_signed_in = headers.get("Authorization") == f"Bearer {TOKEN}"
                return self.api(method, rest, headers, body) if is_signed_in else problem(401, "unauthenticated")
        raise AssertionError((method, path))

    def api(self, method: str, path: list[str], headers: dict, body: bytes) -> tuple:
        match method, path:
            case "PUT" | "POST", ["orders"]:
                return self.create(method, headers["Idempotency-Key"], json.loads(body))
            case "GET", ["orders"]:
                return 200, {}, [order for name, order in self.orders.items() if self.is_saved(name)]
            case "DELETE", ["orders", "machine", "order", name]:
                return self.delete(name)
            case "GET" | "PUT", ["orders", "machine", "order", name]:
                if name not in self.orders or not self.is_saved(name):
                    return problem(404, "not-found")
                if method == "PUT":
                    self.change(self.orders[name], headers["If-Match"], json.loads(body))
                return 200, {}, self.orders[name]
        raise AssertionError((method, path))

    def is_saved(self, name: str) -> bool:
        return self.now >= self.saved_at[name]

    def create(self, method: str, key: str, body: dict) -> tuple:
        if key not in self.keys:
            self.keys[key] = name = f"order-{len(self.keys)}"
            self.saved_at[name] = self.now + (self.queue_seconds if method == "POST" else 0)
            self.orders[name] = {
                "id": name,
                "user_id": CLIENT,
                "restaurant_id": body["restaurant_id"],
                "quantity": str(body["quantity"]),
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z",
                "order_status": "PENDING",
                "version": 1,
                "processing": "workflow" if method == "POST" else "none",
                "total": {"amount": 1000 * body["quantity"], "currency": "EUR"},
            }
        name = self.keys[key]
        return 201 if method == "PUT" else 202, {"Location": f"orders/{CLIENT}/order/{name}"}, self.orders[name]

    def change(self, order: dict, if_match: str, body: dict) -> None:
        assert if_match == f'"{order["version"]}"'
        order |= {"quantity": str(body["quantity"]), "version": order["version"] + 1, "updated_at": "later"}
        order["total"] = {"amount": 1000 * body["quantity"], "currency": "EUR"}

    def delete(self, name: str) -> tuple:
        order = self.orders.get(name)
        if order is None:
            return problem(404, "not-found")
        if name in self.charged and order["order_status"] == "PENDING":
            return problem(409, "in-process")
        del self.orders[name]
        return 204, {}, None

    # --- AWS ---

    def DescribeStacks(self, params: dict) -> dict:  # noqa: N802
        assert params == {"StackName": STACK}
        stack = {"StackName": STACK, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_COMPLETE"}
        stack["Outputs"] = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        stack["Parameters"] = [{"ParameterKey": key, "ParameterValue": v} for key, v in self.parameters.items()]
        return {"Stacks": [stack]}

    def GetTemplate(self, params: dict) -> dict:  # noqa: N802
        assert params == {"StackName": STACK, "TemplateStage": "Original"}
        return {"TemplateBody": yaml.safe_dump(self.template)}

    def ListStackResources(self, params: dict) -> dict:  # noqa: N802
        # On two pages.
        names = list(self.template["Resources"])
        first, second = names[:1], names[1:]
        page = second if "NextToken" in params else first
        summaries = [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": f"{STACK}-{name}",
                "ResourceType": "AWS::Lambda::Function",
                "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
                "ResourceStatus": "UPDATE_COMPLETE",
            }
            for name in page
        ]
        more = {} if "NextToken" in params else {"NextToken": "second"}
        return {"StackResourceSummaries": summaries} | more

    def GetAlias(self, params: dict) -> dict:  # noqa: N802
        assert params["Name"] == "live"
        assert params["FunctionName"].startswith(f"{STACK}-")
        return self.alias

    def GetFunctionConfiguration(self, params: dict) -> dict:  # noqa: N802
        assert params["Qualifier"] == self.alias["FunctionVersion"]
        return {"Environment": {"Variables": {"RELEASE": self.release}}}

    def DescribeUserPoolClient(self, params: dict) -> dict:  # noqa: N802
        assert params == {"UserPoolId": "eu-west-1_Pool", "ClientId": CLIENT}
        return {"UserPoolClient": {"ClientSecret": SECRET}}

    def DescribeExecution(self, params: dict) -> dict:  # noqa: N802
        machine, _, name = params["executionArn"].rpartition(":")
        assert machine == MACHINE.replace(":stateMachine:", ":execution:")
        is_over = self.now >= self.ends_at(name) + EXECUTION_TIME
        return EXECUTION | {"status": self.execution_status if is_over else "RUNNING"}


EXECUTION = {
    "executionArn": f"{MACHINE}:order-1".replace(":stateMachine:", ":execution:"),
    "stateMachineArn": MACHINE,
    "startDate": 0,
}


class Clients:
    """Real clients, whose requests the system answers. They are made once, because that takes long."""

    def __init__(self) -> None:
        self.system, self.params = None, {}
        services = ("cloudformation", "lambda", "cognito-idp", "stepfunctions")
        self.aws = Aws(*map(boto3.client, services))
        for client in vars(self.aws).values():
            client.meta.events.register("provide-client-params.*.*", self.remember)
            client.meta.events.register("before-call.*.*", self.respond)

    def remember(self, params: dict, **_: object) -> None:
        self.params = params

    def respond(self, model: OperationModel, **_: object) -> tuple[AWSResponse, dict]:
        response = getattr(self.system, model.name)(self.params)
        validate_parameters(response, model.output_shape)
        return AWSResponse("", 200, {}, None), response


@pytest.fixture(scope="module")
def clients() -> Clients:
    return Clients()


def problem(status: int, kind: str) -> tuple:
    content = {"type": f"urn:problem-type:order-api:{kind}", "status": status, "detail": "Why.", "request_id": "r-1"}
    return status, {"Content-Type": "application/problem+json"}, content


def serve(system: System) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Without it, the content of each answer waits for the acknowledgement of its headers.
        disable_nagle_algorithm = True

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = system.answer(self.command, self.path, dict(self.headers), body)
            if answer is LOST:
                self.close_connection = True
                return
            status, headers, content = answer
            text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


# The request is carried out, but its answer does not arrive.
LOST = object()


@pytest.fixture
def system(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    clients.system = system = System(clients.aws)
    server = serve(system)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    values = (
        f"{url}/Prod",
        url,
        f"{url}/web",
        "eu-west-1_Pool",
        CLIENT,
        "web-client",
        "https://issuer",
        MACHINE,
        "1000",
        "EUR",
    )
    system.outputs = dict(zip(OUTPUTS, values, strict=True))
    function = {"Type": "AWS::Serverless::Function", "Properties": {"Environment": {"Variables": {"RELEASE": "r0123"}}}}
    system.template = {
        "Resources": {"GetOrderFunction": function, "PutOrderFunction": function, "Table": {"Type": "T"}}
    }
    monkeypatch.setattr(smoke, "monotonic", lambda: system.now)
    monkeypatch.setattr(smoke, "sleep", system.sleep)
    monkeypatch.setattr(smoke, "REPEATS", smoke.REPEATS.new(backoff_factor=0))
    yield system
    server.shutdown()
    server.server_close()


def run(system: System) -> None:
    Smoke(system.aws, STACK, {}).run(with_releases=True)


def sent(system: System, method: str) -> list[str]:
    return [path.removeprefix("/Prod") for verb, path in system.requests if verb == method and "/Prod" in path]


def failure(system: System) -> str:
    """Runs the smoke test, which fails, and returns its error. Nothing is left behind."""
    with pytest.raises(UnexpectedError) as failed:
        run(system)
    assert system.orders == {}
    return str(failed.value)


def changed(**fields: object) -> Callable[[tuple], tuple]:
    return lambda right: (right[0], right[1], right[2] | fields)


def lost(_: tuple) -> object:
    return LOST


# --- A system that works ---


def test_the_template_has_every_output_and_parameter(root: Path) -> None:
    parameters, outputs = (root / "template.yaml").read_text().split("\nOutputs:\n")
    assert all(f"  {name}:\n" in outputs for name in [*OUTPUTS, "TestRestaurant"])
    assert all(f"\n  {name}:\n" in parameters for name in [*REAL, "GracePeriodSeconds", "DeliveryMinutes"])


def test_where_orders_cost_something_none_is_charged(system: System, capsys) -> None:
    run(system)
    assert (system.charged, system.orders) == ([], {})
    # The deleted order was seen to end.
    assert system.now >= GRACE + EXECUTION_TIME
    assert sent(system, "POST") == ["/orders"]
    assert sent(system, "DELETE") == ["/orders/machine/order/order-0", "/orders/machine/order/order-1"]
    shown = capsys.readouterr()
    steps = [line.partition(":")[0] for line in shown.out.splitlines()]
    assert steps == [
        "releases",
        "web UI",
        "sign-in",
        "request without a token",
        "create",
        "read",
        "change",
        "list",
        "delete",
        "submit",
        "delete the submitted order in its grace period",
        "end of the deleted order",
    ]
    assert "submit: 2.0 s\n" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("end", [{"order_status": "SUCCESS"}, {"order_status": "FAILURE", "error_message": None}])
def test_with_simulators_an_order_runs_to_its_end(system: System, end: dict) -> None:
    system.parameters |= SIMULATORS | {"GracePeriodSeconds": "0"}
    if "error_message" in end:
        end["error_message"] = "the payment was declined: the simulator refuses 10 % of all charges"
    system.end = end
    run(system)
    assert (system.charged, system.orders) == (["order-1"], {})


def test_an_order_for_the_test_restaurant_runs_to_its_end(system: System) -> None:
    system.outputs["TestRestaurant"] = "Restaurant of tests"
    restaurants = []
    system.answers["POST", "orders"] = [lambda right: restaurants.append(right[2]["restaurant_id"]) or right]
    run(system)
    assert (system.charged, restaurants) == (["order-1"], ["Restaurant of tests"])


def test_lists_may_lag_behind(system: System) -> None:
    system.answers["GET", "orders"] = [None, None, (200, {}, []), (200, {}, [])]
    run(system)


def throttled() -> tuple:
    status, headers, content = problem(429, "too-many-requests")
    return status, headers | {"Retry-After": "0"}, content


def test_a_throttled_request_is_repeated(system: System) -> None:
    system.answers["DELETE", "order"] = [throttled()]
    run(system)


def test_a_request_that_stays_throttled_fails(system: System) -> None:
    system.answers["PUT", "order"] = [throttled()] * 5
    assert "expected 200, but got 429, type urn:problem-type:order-api:too-many-requests" in failure(system)


# --- What fails ---


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (
            {("PUT", "orders"): [problem(500, "internal")]},
            (
                "create: PUT {api}/orders: expected 201, but got 500, type urn:problem-type:order-api:internal, "
                "detail Why., request_id r-1"
            ),
        ),
        # API Gateway answers so for a function that crashes.
        (
            {("PUT", "order"): [(503, {"Retry-After": "0", "x-amzn-RequestId": "r-2"}, {"message": "No."})]},
            "change: PUT {api}/orders/machine/order/order-0: expected 200, but got 503, message No., request_id r-2",
        ),
        (
            {("GET", "order"): [changed(quantity="4")]},
            "read: expected the created order with quantity '1', but it is '4'",
        ),
        (
            {("PUT", "order"): [changed(total={"amount": 1000, "currency": "EUR"})]},
            (
                "change: expected the changed order with total {{'amount': 2000, 'currency': 'EUR'}}, "
                "but it is {{'amount': 1000, 'currency': 'EUR'}}"
            ),
        ),
        (
            {("PUT", "orders"): [lambda right: (right[0], {"Location": "https://elsewhere"}, right[2])]},
            "create: expected a Location that leads to the order, but it is 'https://elsewhere'",
        ),
        (
            {("GET", "orders"): [None, (200, {}, {})]},
            "request without a token: GET {api}/orders: expected 401, but got 200, request_id unknown",
        ),
        (
            {("GET", "orders"): [None, None, *[(200, {}, [])] * 60]},
            "list: expected the changed order in the list within 30 s, but it is not among the 0 newest",
        ),
        (
            {("DELETE", "order"): [problem(404, "not-found")]},
            "delete: DELETE {api}/orders/machine/order/order-0: expected 204, but got 404",
        ),
        (
            {("GET", "order"): [None, None, (200, {}, {"id": "order-0"})]},
            "delete: GET {api}/orders/machine/order/order-0: expected 404, but got 200",
        ),
        ({("POST", "orders"): [problem(503, "unavailable")]}, "submit: POST {api}/orders: expected 202, but got 503"),
        (
            {("POST", "orders"): [lambda right: (200, *right[1:])]},
            "submit: POST {api}/orders: expected 202, but got 200",
        ),
        (
            {("GET", "order"): [None, None, None, *[problem(404, "not-found")] * 300]},
            "submit: expected the submitted order to be saved within 20 s, but got 404",
        ),
        (
            {("DELETE", "order"): [None, problem(409, "in-process")]},
            (
                "delete the submitted order in its grace period: DELETE {api}/orders/machine/order/order-1: "
                "expected 204, but got 409"
            ),
        ),
        (
            {("POST", "token"): [(400, {}, {"error": "invalid_client"})]},
            "sign-in: POST {sign_in}/oauth2/token: expected 200",
        ),
        ({("POST", "token"): [(200, {}, {"token": TOKEN})]}, "sign-in: expected an access_token, but got none"),
        ({("GET", ""): [(403, {}, {})]}, "web UI: GET {web}/: expected 200, but got 403"),
        ({("GET", ""): [(200, {"Content-Type": "text/html"}, "<p>")]}, "web UI: expected index.html at {web}/"),
        (
            {("GET", "config.json"): [changed(clientId="another")]},
            "web UI: expected config.json with clientId 'web-client', but it is 'another'",
        ),
        ({("GET", "config.json"): [(200, {}, PAGE)]}, "web UI: expected a JSON dict"),
        ({("GET", "orders"): [(200, {}, [])]}, "web UI: GET {web}/api/orders: expected 401, but got 200"),
    ],
)
def test_the_first_difference_ends_it(system: System, answers: dict, error: str) -> None:
    system.answers = {key: list(replacements) for key, replacements in answers.items()}
    urls = {"api": system.outputs["ApiUrl"], "sign_in": system.outputs["SignInUrl"], "web": system.outputs["WebUrl"]}
    assert failure(system).startswith(error.format_map(urls))
    assert system.charged == []


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_order_whose_answer_was_lost_is_deleted(system: System, method: str) -> None:
    system.answers[method, "orders"] = [lost]
    assert "Remote end closed connection" in failure(system)
    # It was asked for again, by its key.
    assert len(system.keys) == len(sent(system, "PUT") + sent(system, "POST")) - (1 if method == "PUT" else 2)
    assert system.charged == []


def test_an_order_that_cannot_be_deleted_is_named(system: System, capsys) -> None:
    system.parameters |= SIMULATORS
    system.execution_status = "FAILED"
    system.end = {}
    with pytest.raises(UnexpectedError, match="to end as SUCCEEDED, but it is FAILED"):
        run(system)
    assert "the order order-1 may be left: DELETE" in capsys.readouterr().err


@pytest.mark.parametrize("parameters", [REAL, SIMULATORS])
def test_an_order_that_never_ends_fails(system: System, monkeypatch: pytest.MonkeyPatch, parameters: dict) -> None:
    system.parameters |= parameters
    monkeypatch.setattr(System, "DescribeExecution", lambda *_: {"status": "RUNNING"} | EXECUTION)
    with pytest.raises(UnexpectedError, match=r"end of the \w+ order: expected .* within \d+ s, but it is RUNNING"):
        run(system)
    # It gives up in time.
    minutes = 20 if parameters is SIMULATORS else 0
    assert system.now < GRACE + 60 * minutes + 300


@pytest.mark.parametrize(
    ("restaurant", "reason"),
    [
        ("Restaurant of tests", "the payment was declined: the simulator refuses 10 % of all charges"),
        (None, "the payment is not known"),
    ],
)
def test_any_other_end_fails(system: System, restaurant: str | None, reason: str) -> None:
    system.parameters |= SIMULATORS
    if restaurant:
        system.outputs["TestRestaurant"] = restaurant
    system.end = {"order_status": "FAILURE", "error_message": reason}
    assert (
        failure(system) == f"end of the submitted order: expected order order-1 as SUCCESS, but it is FAILURE: {reason}"
    )


@pytest.mark.parametrize(("seconds", "parameters"), [("19", REAL), ("3601", REAL), ("3601", SIMULATORS)])
def test_a_grace_period_that_does_not_fit_is_refused_first(system: System, seconds: str, parameters: dict) -> None:
    system.parameters |= parameters | {"GracePeriodSeconds": seconds}
    error = failure(system)
    assert error.startswith(f"GracePeriodSeconds is {seconds}: for the smoke test it must be ")
    assert ("TestRestaurant" in error) == (parameters is REAL)
    assert system.requests == []


@pytest.mark.parametrize(
    ("alias", "release", "error"),
    [
        (
            {"FunctionVersion": "7", "RoutingConfig": {"AdditionalVersionWeights": {"8": 0.1}}},
            "r0123",
            "expected one version behind order-api-prod-GetOrderFunction:live, but got 7 and 8 (10%)",
        ),
        (
            {"FunctionVersion": "$LATEST"},
            "r0123",
            "expected one version behind order-api-prod-GetOrderFunction:live, but got $LATEST",
        ),
        (
            {"FunctionVersion": "6"},
            "r9999",
            "expected release r0123 behind order-api-prod-GetOrderFunction:live, but version 6 has r9999",
        ),
    ],
)
def test_an_alias_that_is_not_at_the_release_fails(system: System, alias: dict, release: str, error: str) -> None:
    system.alias, system.release = alias, release
    assert failure(system) == f"releases: {error}"
    assert system.requests == []


def test_a_stack_that_was_not_released_fails(system: System) -> None:
    system.template["Resources"]["PutOrderFunction"] = {"Type": "AWS::Serverless::Function", "Properties": {}}
    assert failure(system).startswith("releases: PutOrderFunction was not released by make deploy or the pipeline")


def test_a_missing_stack_is_named(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> dict:
        error = {"Code": "ValidationError", "Message": f"Stack with id {STACK} does not exist"}
        raise ClientError({"Error": error}, "DescribeStacks")

    monkeypatch.setattr(System, "DescribeStacks", missing)
    assert failure(system) == "stack order-api-prod is not deployed"


def test_a_missing_output_is_named(system: System) -> None:
    del system.outputs["WebUrl"]
    assert failure(system) == "stack order-api-prod has no output WebUrl: run make deploy first"


# --- The command ---


def main(system: System, root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["smoke.py", "--config-env", "prod", *arguments])
    monkeypatch.setattr(Aws, "connect", lambda _: system.aws)
    # The handlers of this process stay.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return smoke.main()


def test_addresses_replace_the_outputs(system: System, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"--api-url": "ApiUrl", "--sign-in-url": "SignInUrl", "--web-url": "WebUrl"}
    given = [word for option, output in options.items() for word in (option, f"{system.outputs[output]}/")]
    system.outputs |= dict.fromkeys(options.values(), "https://unknown.invalid")
    system.template["Resources"]["PutOrderFunction"]["Properties"] = {}
    assert main(system, root, monkeypatch, *given, "--without-releases") == 0


@pytest.mark.parametrize("broken", [None, ("GET", "order"), ("POST", "orders"), ("DELETE", "order")])
def test_no_secret_is_shown(
    system: System, root: Path, monkeypatch: pytest.MonkeyPatch, capsys, broken: tuple | None
) -> None:
    if broken:
        system.answers[broken] = [(500, {}, {"echo": TOKEN}), lost]
    assert main(system, root, monkeypatch) == (1 if broken else 0)
    shown = capsys.readouterr()
    assert len([line for line in shown.err.splitlines() if line.startswith("error: ")]) == (1 if broken else 0)
    for secret in (TOKEN, SECRET, base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()):
        assert secret not in shown.out + shown.err


def test_a_signal_ends_it_and_the_order_is_deleted(system: System) -> None:
    def interrupt(right: tuple) -> tuple:
        os.kill(os.getpid(), signal.SIGTERM)
        return right

    system.answers["POST", "orders"] = [interrupt]
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, smoke.stop)
    try:
        assert failure(system) == "submit: stopped by SIGTERM"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_error_of_aws_is_one_line_and_an_exit_code(root: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "tools/smoke.py", "--config-env", "dev"],
        cwd=root,
        env={"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "error: Unable to locate credentials\n")
