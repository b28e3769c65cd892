"""The environments of samconfig.toml, for the commands in tools/."""

import argparse
import re
import sys
import tomllib
from pathlib import Path

from botocore.client import BaseClient

# The name, a hyphen and the 12 digits of the account are the first label of the address of the sign-in page. Labels
# have at most 63 characters, and Cognito reserves the words.
NAME = re.compile(r"[a-z][a-z0-9-]{0,49}")
RESERVED = ("aws", "amazon", "cognito")


def parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the arguments --config-env and --stack."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--config-env", required=True, help="environment of samconfig.toml")
    arguments.add_argument("--stack", help="name of the stack, by default that of the environment")
    return arguments


def name_problem(name: str) -> str | None:
    """Returns the reason why a stack can't have that name, if there is one."""
    if not NAME.fullmatch(name):
        return f"STACK must have at most 50 lower-case letters, digits and hyphens, and start with a letter: {name!r}"
    if found := next((word for word in RESERVED if word in name), None):
        return f"STACK must not contain {', '.join(RESERVED[:-1])} or {RESERVED[-1]}, but contains {found}: {name!r}"
    return None


def settings(env: str, stack: str | None = None) -> dict:
    """Returns the settings of `sam deploy` for the environment, or for this stack. Exits if they can't be used."""
    file = Path("samconfig.toml")
    if not file.exists():
        sys.exit(f"error: {file} is missing: run this in the root folder of the checkout")
    config = tomllib.loads(file.read_text())
    if env not in config or not isinstance(config[env], dict):
        sys.exit(f"error: samconfig.toml has no environment {env}")
    found = config[env].get("global", {}).get("parameters", {}) | config[env]["deploy"]["parameters"] | {"env": env}
    if stack is None:
        return found
    if problem := name_problem(stack):
        sys.exit(f"error: {problem}")
    return found | {"stack_name": stack}


def settings_from_arguments(description: str) -> dict:
    """Returns the settings of `sam deploy` that the command line names, or exits as `settings` does."""
    given = parser(description).parse_args()
    return settings(given.config_env, given.stack)


def parameters(template: dict, overrides: list[str], deployed: dict[str, str] | None = None) -> dict[str, str]:
    """Returns the values of the template's parameters: the defaults, replaced by those deployed, then the overrides."""
    defaults = {name: str(p["Default"]) for name, p in template["Parameters"].items() if "Default" in p}
    return defaults | (deployed or {}) | dict(override.split("=", 1) for override in overrides)


def outputs(cloudformation: BaseClient, stack: str) -> dict[str, str]:
    """Returns the outputs of the stack."""
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


if __name__ == "__main__":
    print(settings_from_arguments("Checks and prints the name of the stack")["stack_name"])
