"""Checks that the parameters of an environment may be deployed.

In prod, providers and web UIs are reached by https and are not on this machine. The rules of CloudFormation can't say
that: they compare whole values. From 2027-02-01 on, AWS creates no function with provided.al2; this says so before
anything is built.

`sam deploy` keeps the deployed value of a parameter that samconfig.toml leaves out, so the deployed values count, too.
"""

import sys
from datetime import UTC, date, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

from samconfig import parameters, settings_from_arguments

PROVIDERS = ("PaymentUrl", "RestaurantUrl")
# Each is one URL or several, separated by commas.
WEB = ("WebOrigin", "CallbackUrls", "LogoutUrls")
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
AL2_NOT_CREATED = date(2027, 2, 1)
AL2_NOT_UPDATED = date(2027, 3, 3)
# Stacks that have no functions yet.
EMPTY = {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"}


def scheme_and_host(text: str) -> tuple[str, str | None]:
    """Returns the scheme and the host of the URL; without a host if it is no URL."""
    try:
        url = urlsplit(text)
    except ValueError:
        return text.partition(":")[0].lower(), None
    return url.scheme, url.hostname


def is_here(host: str | None) -> bool:
    """Returns true if the host is the reader's own machine, or if there is none."""
    if not host:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        name = host.removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def url_problems(values: dict[str, str]) -> list[str]:
    """Returns one line for each URL that is not for the environment."""
    if values["Environment"] != "prod":
        return []
    problems = []
    for name in PROVIDERS:
        scheme, host = scheme_and_host(values[name])
        if scheme != "https" or is_here(host):
            problems.append(f"{name} must be an https URL of another machine in prod, but is {values[name]!r}")
    for name in WEB:
        for text in map(str.strip, values[name].split(",")):
            scheme, host = scheme_and_host(text)
            # An app on a phone may have a scheme of its own as its callback.
            if scheme == "http" or (scheme == "https" and is_here(host)):
                problems.append(f"{name} must not contain an http URL or one of this machine in prod: {text!r}")
    return problems


def deployed_parameters(cloudformation: BaseClient, stack: str) -> dict[str, str] | None:
    """Returns the parameters of the deployed stack, or None if it has no functions yet."""
    try:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if described["StackStatus"] in EMPTY:
        return None
    return {p["ParameterKey"]: p["ParameterValue"] for p in described.get("Parameters", [])}


def runtime_problems(env: str, runtime: str, today: date, *, is_deployed: bool) -> list[str]:
    """Returns a line if AWS refuses functions of that runtime today."""
    blocked_from, verb = (AL2_NOT_UPDATED, "updates") if is_deployed else (AL2_NOT_CREATED, "creates")
    if runtime != "provided.al2" or today < blocked_from:
        return []
    advice = f"add Runtime=provided.al2023 to the parameter_overrides of {env} in samconfig.toml"
    return [f"AWS no longer {verb} functions with provided.al2: {advice}"]


def check(cloudformation: BaseClient, settings: dict, template: dict, today: date) -> list[str]:
    """Returns one line for each parameter that may not be deployed."""
    deployed = deployed_parameters(cloudformation, settings["stack_name"])
    values = parameters(template, settings["parameter_overrides"], deployed)
    is_deployed = deployed is not None
    return url_problems(values) + runtime_problems(settings["env"], values["Runtime"], today, is_deployed=is_deployed)


def main() -> int:
    settings = settings_from_arguments(__doc__.splitlines()[0])
    template = yaml_parse(Path("template.yaml").read_text())
    try:
        cloudformation = boto3.client("cloudformation", region_name=settings["region"])
        problems = check(cloudformation, settings, template, datetime.now(UTC).date())
    except (BotoCoreError, ClientError) as error:
        problems = [str(error)]
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    if not problems:
        print(f"the parameters of {settings['env']} may be deployed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
