"""Tests a deployed stack over HTTPS, signed in as a machine: the smoke test of the pipeline and of `make smoke`.

It compares the functions' aliases with what was released, visits the web UI, creates, reads, changes, lists and deletes
an order, and submits one. The first difference from what is expected ends it. The orders that it made are deleted on
the way out.

A submitted order runs to its end only with simulators, or for the restaurant that the parameter TestRestaurant names.
Everywhere else it is deleted in its grace period, so that nobody is charged.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import NoReturn, TypeVar
from urllib.parse import quote, urljoin
from uuid import uuid4

import boto3
import requests
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from requests.adapters import HTTPAdapter, Retry
from samtranslator.yaml_helper import yaml_parse

from check_parameters import deployed_parameters
from samconfig import outputs, parser, settings

T = TypeVar("T")

# Not orders/admin: without it the machine is a user, who is named by its client id.
SCOPES = "orders/read orders/write"
# Alias by which everything calls a function.
ALIAS = "live"
# Outputs of the stack that are needed.
OUTPUTS = ["ApiUrl", "SignInUrl", "WebUrl", "UserPoolId", "MachineClientId", "WebClientId", "Issuer"]
OUTPUTS += ["StateMachineArn", "UnitPrice", "Currency"]
# Fields that no step of the workflow changes.
UNCHANGED = ("id", "user_id", "restaurant_id", "quantity", "created_at", "processing")
PROVIDERS = ("PaymentUrl", "RestaurantUrl")
# Restaurant of orders that are deleted, or that only simulators see.
NO_RESTAURANT = "smoke test"
# In the error_message of an order that a simulator has declined.
SIMULATED = "the simulator refuses"

# All times are in seconds. To connect, and to read: the functions take at most 10.
TIMEOUT = (3, 15)
POLL = 1
# Lists may lag behind.
LISTED = 30
# From the answer 202 to the saved order, with a cold start and a repeated delivery of the message.
SAVED = 120
# Added to the grace period and the time of delivery while the execution is awaited.
SPARE = 180
# End of the grace period, reserved for the deletion of the order.
DELETION = 10
# The shortest grace period in which an order can be saved, read and deleted.
SHORTEST_GRACE = 20
# The longest one, so that the test ends in time.
LONGEST_GRACE = 3600

# A request whose connection fails has not been sent. 429 is API Gateway's limit for all callers, and says nothing about
# the release. 503 is not repeated: API Gateway answers it for a function that crashes.
REPEATS = Retry(
    total=None,
    connect=4,
    read=0,
    other=0,
    status=4,
    status_forcelist={429},
    allowed_methods=None,
    backoff_factor=0.5,
    retry_after_max=5,
    raise_on_status=False,
)
# Fields of an error that are shown: those of problems, of API Gateway and of the token endpoint. Never the rest.
SAID = ("type", "detail", "message", "error", "request_id")
NOT_FOUND = 404
CLIENT_ERRORS = range(400, 500)


class UnexpectedError(Exception):
    """Something is not as expected."""


def unexpected(message: str) -> NoReturn:
    raise UnexpectedError(message)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Prints the step with its time, or adds its name to the failure."""
    started = monotonic()
    try:
        yield
    except (UnexpectedError, requests.RequestException, BotoCoreError, ClientError) as error:
        message = f"{name}: {error}"
        raise UnexpectedError(message) from error
    print(f"{name}: {monotonic() - started:.1f} s", flush=True)


def wait(what: str, seconds: float, ask: Callable[[], tuple[T | None, str]]) -> T:
    """Asks until there is something, and returns it. `ask` also returns what came instead."""
    end = monotonic() + seconds
    while True:
        found, came = ask()
        if found is not None:
            return found
        if monotonic() >= end:
            unexpected(f"expected {what} within {seconds:.0f} s, but {came}")
        sleep(POLL)


def compare(what: str, got: dict, expected: dict) -> None:
    """Fails for the first field that differs."""
    for name, value in expected.items():
        if got.get(name) != value:
            unexpected(f"expected {what} with {name} {value!r}, but it is {got.get(name)!r}")


def told(answer: requests.Response) -> str:
    """Returns the status of an answer, and what it says about an error."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = None
    body = body if isinstance(body, dict) else {}
    said = {name: body[name] for name in SAID if name in body}
    said.setdefault("request_id", answer.headers.get("x-amzn-RequestId", "unknown"))
    return ", ".join([str(answer.status_code), *(f"{name} {value}" for name, value in said.items())])


def content(answer: requests.Response, kind: type[T]) -> T:
    """Returns the JSON of an answer."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = None
    if not isinstance(body, kind):
        unexpected(f"expected a JSON {kind.__name__}, but got {answer.headers.get('Content-Type')}")
    return body


def check(answer: requests.Response, status: int) -> requests.Response:
    """Returns the answer if it has that status."""
    if answer.status_code != status:
        unexpected(f"{answer.request.method} {answer.url}: expected {status}, but got {told(answer)}")
    return answer


class Http(requests.Session):
    """A session that repeats what is safe to repeat, follows no redirects, and gives up in time."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(max_retries=REPEATS))

    def request(self, method: str, url: str, **more: object) -> requests.Response:
        return super().request(method, url, **(more | {"timeout": TIMEOUT, "allow_redirects": False}))


@dataclass
class Attempt:
    """A request that creates or submits an order. Its key makes a repeat lead to the same order."""

    method: str
    status: int
    body: dict
    key: str = field(default_factory=lambda: str(uuid4()))
    order: dict | None = None


class Orders:
    """The API's orders of one machine."""

    def __init__(self, http: Http, api_url: str, user: str) -> None:
        self.http, self.url, self.user = http, f"{api_url}/orders", user
        self.token = ""
        # Attempts whose orders may exist.
        self.left: list[Attempt] = []

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth` of a request: requests replaces a header of this name by what ~/.netrc has.
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    def ask(self, method: str, url: str, **more: object) -> requests.Response:
        return self.http.request(method, url, auth=self.sign, **more)

    def url_of(self, order: dict) -> str:
        return f"{self.url}/{quote(self.user, safe='')}/order/{quote(str(order.get('id')), safe='')}"

    def make(self, method: str, status: int, restaurant: str) -> dict:
        """Creates (PUT) or submits (POST) an order, and returns it."""
        attempt = Attempt(method, status, {"restaurant_id": restaurant, "quantity": 1})
        self.left.append(attempt)
        return self.send(attempt)

    def send(self, attempt: Attempt) -> dict:
        headers = {"Idempotency-Key": attempt.key}
        answer = self.ask(attempt.method, self.url, json=attempt.body, headers=headers)
        if answer.status_code in CLIENT_ERRORS:
            # Such an error has changed nothing.
            self.left.remove(attempt)
        if answer.ok:
            attempt.order = content(answer, dict)
        check(answer, attempt.status)
        new = {"user_id": self.user, "order_status": "PENDING", "version": 1}
        compare("an order", attempt.order, new | attempt.body | {"quantity": str(attempt.body["quantity"])})
        location = answer.headers.get("Location", "")
        if urljoin(self.url, location) != self.url_of(attempt.order):
            unexpected(f"expected a Location that leads to the order, but it is {location!r}")
        return attempt.order

    def get(self, order: dict) -> dict:
        return content(check(self.ask("GET", self.url_of(order)), 200), dict)

    def change(self, order: dict, quantity: int) -> dict:
        body = {"restaurant_id": order["restaurant_id"], "quantity": quantity}
        headers = {"If-Match": f'"{order["version"]}"'}
        return content(check(self.ask("PUT", self.url_of(order), json=body, headers=headers), 200), dict)

    def newest(self) -> list[dict]:
        return content(check(self.ask("GET", self.url), 200), list)

    def delete(self, order: dict) -> None:
        check(self.ask("DELETE", self.url_of(order)), 204)
        self.left = [attempt for attempt in self.left if attempt.order != order]

    def check_gone(self, order: dict) -> None:
        check(self.ask("GET", self.url_of(order)), 404)

    def clean_up(self) -> None:
        """Deletes the orders that are left, and names those that can't be deleted."""
        for attempt in list(self.left):
            try:
                # The key brings back an answer that was lost.
                order = attempt.order or self.send(attempt)
                answer = self.ask("DELETE", self.url_of(order))
                if answer.status_code != NOT_FOUND:
                    check(answer, 204)
            except (UnexpectedError, requests.RequestException) as error:
                name = attempt.order.get("id") if attempt.order else f"with the Idempotency-Key {attempt.key}"
                print(f"the order {name} may be left: {error}", file=sys.stderr)


@dataclass
class Aws:
    """Clients of the services that are asked about the stack."""

    cloudformation: BaseClient
    functions: BaseClient
    users: BaseClient
    executions: BaseClient

    @classmethod
    def connect(cls, region: str) -> "Aws":
        services = ("cloudformation", "lambda", "cognito-idp", "stepfunctions")
        return cls(*(boto3.client(service, region_name=region) for service in services))


class Smoke:
    """The smoke test of one stack. `urls` replace outputs."""

    def __init__(self, aws: Aws, stack: str, urls: dict[str, str]) -> None:
        self.aws, self.stack = aws, stack
        parameters = deployed_parameters(aws.cloudformation, stack)
        if parameters is None:
            unexpected(f"stack {stack} is not deployed")
        self.parameters = parameters
        self.outputs = outputs(aws.cloudformation, stack) | urls
        if missing := [name for name in OUTPUTS if name not in self.outputs]:
            unexpected(f"stack {stack} has no output {', '.join(missing)}: run make deploy first")
        self.http = Http()
        self.orders = Orders(self.http, self.url("ApiUrl"), self.outputs["MachineClientId"])

    def url(self, output: str) -> str:
        return self.outputs[output].rstrip("/")

    @property
    def test_restaurant(self) -> str | None:
        return self.outputs.get("TestRestaurant")

    @property
    def restaurant(self) -> str:
        return self.test_restaurant or NO_RESTAURANT

    @property
    def runs_to_the_end(self) -> bool:
        return self.test_restaurant is not None or not any(self.parameters[name] for name in PROVIDERS)

    @property
    def grace(self) -> int:
        return int(self.parameters["GracePeriodSeconds"])

    def run(self, *, with_releases: bool) -> None:
        self.check_grace()
        if with_releases:
            with step("releases"):
                self.check_releases()
        with step("web UI"):
            self.check_web()
        try:
            with step("sign-in"):
                self.sign_in()
            self.check_order()
            self.check_submission()
        finally:
            self.orders.clean_up()

    def check_grace(self) -> None:
        shortest = 0 if self.runs_to_the_end else SHORTEST_GRACE
        if not shortest <= self.grace <= LONGEST_GRACE:
            advice = "" if self.runs_to_the_end else ", or TestRestaurant must name a restaurant for a full order"
            allowed = f"{shortest} to {LONGEST_GRACE}{advice}"
            unexpected(f"GracePeriodSeconds is {self.grace}: for the smoke test it must be {allowed}")

    def check_releases(self) -> None:
        """Compares each function's alias with the deployed template."""
        template = self.aws.cloudformation.get_template(StackName=self.stack, TemplateStage="Original")["TemplateBody"]
        # botocore has parsed it if it is JSON.
        template = yaml_parse(template) if isinstance(template, str) else template
        pages = self.aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.stack)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        names = {resource["LogicalResourceId"]: resource.get("PhysicalResourceId") for resource in resources}
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] == "AWS::Serverless::Function":
                self.check_release(names[logical_id], logical_id, resource["Properties"])

    def check_release(self, function: str, logical_id: str, properties: dict) -> None:
        released = properties.get("Environment", {}).get("Variables", {}).get("RELEASE")
        if released is None:
            unexpected(f"{logical_id} was not released by make deploy or the pipeline: its template has no RELEASE")
        alias = self.aws.functions.get_alias(FunctionName=function, Name=ALIAS)
        version = alias["FunctionVersion"]
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights")
        if weights or not version.isdigit():
            also = "".join(f" and {name} ({weight:.0%})" for name, weight in (weights or {}).items())
            unexpected(f"expected one version behind {function}:{ALIAS}, but got {version}{also}")
        deployed = self.aws.functions.get_function_configuration(FunctionName=function, Qualifier=version)
        running = deployed.get("Environment", {}).get("Variables", {}).get("RELEASE")
        if running != released:
            unexpected(f"expected release {released} behind {function}:{ALIAS}, but version {version} has {running}")

    def check_web(self) -> None:
        """Visits the web UI, without a token."""
        url = self.url("WebUrl")
        page = check(self.http.get(f"{url}/"), 200)
        if '<div id="root">' not in page.text:
            unexpected(f"expected index.html at {url}/, but got another {page.headers.get('Content-Type')}")
        config = content(check(self.http.get(f"{url}/config.json"), 200), dict)
        expected = {"clientId": self.outputs["WebClientId"], "authority": self.outputs["Issuer"]}
        compare("config.json", config, expected)
        check(self.http.get(f"{url}/api/orders"), 401)

    def sign_in(self) -> None:
        client = self.outputs["MachineClientId"]
        described = self.aws.users.describe_user_pool_client(UserPoolId=self.outputs["UserPoolId"], ClientId=client)
        answer = self.http.post(
            f"{self.url('SignInUrl')}/oauth2/token",
            auth=(client, described["UserPoolClient"]["ClientSecret"]),
            data={"grant_type": "client_credentials", "scope": SCOPES},
        )
        match content(check(answer, 200), dict):
            case {"access_token": str(token)}:
                self.orders.token = token
            case _:
                unexpected("expected an access_token, but got none")

    def check_order(self) -> None:
        """Creates, reads, changes, lists and deletes an order."""
        orders = self.orders
        with step("request without a token"):
            check(self.http.get(orders.url), 401)
        with step("create"):
            order = orders.make("PUT", 201, self.restaurant)
            price = {"amount": int(self.outputs["UnitPrice"]), "currency": self.outputs["Currency"]}
            compare("an order", order, {"total": price})
        with step("read"):
            compare("the created order", orders.get(order), order)
        with step("change"):
            changed = orders.change(order, 2)
            total = price | {"amount": 2 * price["amount"]}
            different = {"quantity": "2", "version": 2, "total": total, "updated_at": changed.get("updated_at")}
            compare("the changed order", changed, order | different)
            compare("the changed order", orders.get(order), changed)
        with step("list"):
            wait("the changed order in the list", LISTED, lambda: self.listed(changed))
        with step("delete"):
            orders.delete(order)
            orders.check_gone(order)

    def listed(self, order: dict) -> tuple[bool | None, str]:
        newest = self.orders.newest()
        return (True if order in newest else None), f"it is not among the {len(newest)} newest"

    def check_submission(self) -> None:
        """Submits an order and sees it end: run to its end, or deleted in its grace period."""
        orders = self.orders
        with step("submit"):
            # An order is accepted one grace period after it was saved. So one that is deleted within that time of its
            # submission is not charged, even if it was never seen in between.
            seconds = SAVED if self.runs_to_the_end else min(SAVED, self.grace - DELETION)
            end = monotonic() + seconds
            order = orders.make("POST", 202, self.restaurant)
            saved = wait("the submitted order to be saved", end - monotonic(), lambda: self.saved(order))
            compare("the saved order", saved, {name: order[name] for name in UNCHANGED})
        if self.runs_to_the_end:
            with step("end of the submitted order"):
                minutes = int(self.parameters["DeliveryMinutes"])
                self.wait_for_execution(order, self.grace + 60 * minutes + SPARE)
                self.sign_in()
                self.check_end(orders.get(order))
            with step("delete the submitted order"):
                orders.delete(order)
                orders.check_gone(order)
            return
        with step("delete the submitted order in its grace period"):
            orders.delete(order)
        with step("end of the deleted order"):
            self.wait_for_execution(order, self.grace + SPARE)
            self.sign_in()
            orders.check_gone(order)

    def saved(self, order: dict) -> tuple[dict | None, str]:
        answer = self.orders.ask("GET", self.orders.url_of(order))
        if answer.status_code == NOT_FOUND:
            return None, f"got {told(answer)}"
        return content(check(answer, 200), dict), ""

    def wait_for_execution(self, order: dict, seconds: float) -> None:
        machine = self.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
        execution = f"{machine}:{order['id']}"

        def ask() -> tuple[str | None, str]:
            status = self.aws.executions.describe_execution(executionArn=execution)["status"]
            return (None if status == "RUNNING" else status), f"it is {status}"

        status = wait(f"the execution {execution} to end", seconds, ask)
        if status != "SUCCEEDED":
            unexpected(f"expected the execution {execution} to end as SUCCEEDED, but it is {status}")

    def check_end(self, order: dict) -> None:
        reason = order.get("error_message")
        match order.get("order_status"):
            case "SUCCESS":
                return
            case "FAILURE" if self.test_restaurant is None and SIMULATED in str(reason):
                return
        unexpected(f"expected order {order.get('id')} as SUCCESS, but it is {order.get('order_status')}: {reason}")


def stop(number: int, _: object) -> NoReturn:
    # As an error, so that the orders are deleted.
    unexpected(f"stopped by {signal.Signals(number).name}")


def main() -> int:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--api-url", help="URL of the API, instead of the output ApiUrl")
    arguments.add_argument("--sign-in-url", help="URL of the sign-in, instead of the output SignInUrl")
    arguments.add_argument("--web-url", help="URL of the web UI, instead of the output WebUrl")
    arguments.add_argument(
        "--without-releases", action="store_true", help="do not compare the aliases: the stack was not released"
    )
    given = arguments.parse_args()
    environment = settings(given.config_env, given.stack)
    urls = {"ApiUrl": given.api_url, "SignInUrl": given.sign_in_url, "WebUrl": given.web_url}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        aws = Aws.connect(environment["region"])
        smoke = Smoke(aws, environment["stack_name"], {name: url for name, url in urls.items() if url})
        smoke.run(with_releases=not given.without_releases)
    except (UnexpectedError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
