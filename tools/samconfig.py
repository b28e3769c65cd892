"""The environments of samconfig.toml, for the commands in tools/."""

import argparse
import sys
import tomllib
from pathlib import Path


def settings_from_arguments(description: str) -> dict:
    """Returns the settings of `sam deploy` for the environment that --config-env names, or exits if there is none."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config-env", required=True, help="environment of samconfig.toml")
    env = parser.parse_args().config_env
    config = tomllib.loads(Path("samconfig.toml").read_text())
    if env not in config or not isinstance(config[env], dict):
        sys.exit(f"error: samconfig.toml has no environment {env}")
    return config[env].get("global", {}).get("parameters", {}) | config[env]["deploy"]["parameters"] | {"env": env}
