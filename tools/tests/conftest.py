import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
# SAM's translator wants a region, though nothing here depends on which.
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
