import gc
import os
import signal
import sys
from pathlib import Path

import boto3
import pytest
import yaml

# A shell makes what it starts in the background ignore SIGINT, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
# SAM's translator needs a region; any region will do.
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
# One session for all clients, which reads the models of the services once.
boto3.setup_default_session(aws_access_key_id="id", aws_secret_access_key="secret")  # noqa: S106
# The parser in C, for SAM's helper too: the one in Python takes a tenth of a second for each reading of template.yaml.
yaml.SafeLoader = yaml.CSafeLoader


def pytest_collection_finish() -> None:
    # All modules are imported, and stay. Otherwise the garbage collector walks them again and again.
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
