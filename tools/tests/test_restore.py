"""The copy of lost orders from a restored table, with a real AWS client and stubbed responses.

local/tests/e2e/workflow/data.rs runs the command on the local stack.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from restore import OUTPUT, Restored, restore

KEY = {"user_id": {"S": "Ann"}, "id": {"S": "01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"}}
FINAL = KEY | {"order_status": {"S": "SUCCESS"}}
SUBMITTED = KEY | {"order_status": {"S": "PENDING"}, "unsettled": {"S": "1"}}
ACCEPTED = SUBMITTED | {"accepted_at": {"S": "2023-01-02T22:06:33.637839308Z"}}


class Tables:
    """DynamoDB, which accepts only the requests that a test expects."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb")
        self.stub = Stubber(self.client)

    def holds(self, item: dict, *, is_lost: bool) -> None:
        """Expects a scan of the restored table, which has this item, and a look for it in the other one."""
        self.stub.add_response("scan", {"Items": [item]}, {"TableName": "restored", "ConsistentRead": True})
        look = {"TableName": "orders", "Key": KEY, "ConsistentRead": True, "ProjectionExpression": "id"}
        self.stub.add_response("get_item", {} if is_lost else {"Item": {"id": KEY["id"]}}, look)

    def put(self, item: dict) -> dict:
        return {"TableName": "orders", "Item": item, "ConditionExpression": "attribute_not_exists(id)"}

    def restored(self) -> Restored:
        restored = restore(self.client, "restored", "orders")
        self.stub.assert_no_pending_responses()
        return restored


@pytest.fixture
def tables() -> Iterator[Tables]:
    tables = Tables()
    with tables.stub:
        yield tables


def test_the_template_has_the_output(root: Path) -> None:
    assert f"  {OUTPUT}:\n" in (root / "template.yaml").read_text()


@pytest.mark.parametrize("item", [FINAL, ACCEPTED])
def test_a_lost_order_is_copied(tables: Tables, item: dict) -> None:
    tables.holds(item, is_lost=True)
    tables.stub.add_response("put_item", {}, tables.put(item))
    assert tables.restored() == Restored(copied=1)


@pytest.mark.parametrize("item", [FINAL, SUBMITTED])
def test_an_order_that_is_there_stays(tables: Tables, item: dict) -> None:
    tables.holds(item, is_lost=False)
    assert tables.restored() == Restored(kept=1)


def test_an_order_that_is_saved_meanwhile_stays(tables: Tables) -> None:
    tables.holds(FINAL, is_lost=True)
    tables.stub.add_client_error("put_item", "ConditionalCheckFailedException", expected_params=tables.put(FINAL))
    assert tables.restored() == Restored(kept=1)


def test_an_order_that_was_not_accepted_is_left_out(tables: Tables) -> None:
    tables.holds(SUBMITTED, is_lost=True)
    assert tables.restored() == Restored(left_out=[KEY["id"]["S"]])


def run(root: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/restore.py", *arguments],
        cwd=root,
        env={"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "table", "error"),
    [
        ("dev", "t", "error: Unable to locate credentials\n"),
        ("dev", "", "error: name the restored table: make restore TABLE=name\n"),
        ("none", "t", "error: samconfig.toml has no environment none\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    environment: str, table: str, error: str, root: Path, tmp_path: Path
) -> None:
    ended = run(root, tmp_path, "--config-env", environment, "--table", table, "--yes")
    assert (ended.returncode, ended.stderr) == (1, error)
