"""The environments of samconfig.toml, as a command of tools/ is asked for one."""

import argparse
import sys
import tomllib
from pathlib import Path


def asked_for(description: str) -> dict:
    """What `sam deploy` would take for the environment that --config-env names; ends the program if there is none."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config-env", required=True, help="environment of samconfig.toml")
    env = parser.parse_args().config_env
    config = tomllib.loads(Path("samconfig.toml").read_text())
    if env not in config or not isinstance(config[env], dict):
        sys.exit(f"error: samconfig.toml has no environment {env}")
    return config[env].get("global", {}).get("parameters", {}) | config[env]["deploy"]["parameters"] | {"env": env}
