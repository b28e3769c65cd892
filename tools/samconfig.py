"""The environments of samconfig.toml, for the commands in tools/."""

import argparse
import sys
import tomllib
from pathlib import Path

from botocore.client import BaseClient


def parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the argument --config-env."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--config-env", required=True, help="environment of samconfig.toml")
    return arguments


def settings(env: str) -> dict:
    """Returns the settings of `sam deploy` for the environment, or exits if there is none."""
    config = tomllib.loads(Path("samconfig.toml").read_text())
    if env not in config or not isinstance(config[env], dict):
        sys.exit(f"error: samconfig.toml has no environment {env}")
    return config[env].get("global", {}).get("parameters", {}) | config[env]["deploy"]["parameters"] | {"env": env}


def settings_from_arguments(description: str) -> dict:
    """Returns the settings of `sam deploy` for the environment that --config-env names, or exits if there is none."""
    return settings(parser(description).parse_args().config_env)


def parameters(template: dict, overrides: list[str], deployed: dict[str, str] | None = None) -> dict[str, str]:
    """Returns the values of the template's parameters: the defaults, replaced by those deployed, then the overrides."""
    defaults = {name: str(p["Default"]) for name, p in template["Parameters"].items() if "Default" in p}
    return defaults | (deployed or {}) | dict(override.split("=", 1) for override in overrides)


def outputs(cloudformation: BaseClient, stack: str) -> dict[str, str]:
    """Returns the outputs of the stack."""
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
