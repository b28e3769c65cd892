import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
# SAM's translator needs a region; any region will do.
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
