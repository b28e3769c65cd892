"""The publication of the web UI, with real AWS clients and stubbed responses.

botocore's Stubber validates requests and responses against AWS's own model, and checks their order. The browser tests
publish to the emulator.
"""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.stub import ANY, Stubber

import deploy_web
from deploy_web import CONFIG, HOSTING, QUESTION, run

STACK = "order-api-dev"
OUTPUTS = {
    "Issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool",
    "WebClientId": "client",
    "SignInUrl": "https://order-api-dev-123456789012.auth.eu-west-1.amazoncognito.com",
    "UnitPrice": "1000",
    "Currency": "EUR",
    "WebUrl": "https://d111111abcdef8.cloudfront.net",
    "WebBucketName": "bucket",
    "WebDistributionId": "E1234567890ABC",
}
FOR_A_YEAR = "public, max-age=31536000, immutable"


class Aws:
    """CloudFormation, S3 and CloudFront, which accept only the requests that a test expects."""

    def __init__(self) -> None:
        self.clients = [boto3.client(service) for service in ("cloudformation", "s3", "cloudfront")]
        self.cloudformation, self.s3, self.cloudfront = self.stubs = [Stubber(client) for client in self.clients]

    def stack(self, name: str = STACK, **outputs: str) -> None:
        """Expects a request for the stack, which has these outputs."""
        described = {"StackName": name, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_COMPLETE"}
        described["Outputs"] = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        self.cloudformation.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": name})

    def files(self, prefix: str, *pages: list[str]) -> None:
        """Expects requests for the keys with this prefix, and answers with these pages."""
        for number, page in enumerate(pages):
            request = {"Bucket": "bucket", "Prefix": prefix}
            if number:
                request["ContinuationToken"] = f"page {number}"
            response = {"Contents": [{"Key": key} for key in page], "IsTruncated": number + 1 < len(pages)}
            if response["IsTruncated"]:
                response["NextContinuationToken"] = f"page {number + 1}"
            self.s3.add_response("list_objects_v2", response, request)

    def upload(self, key: str, kind: str, cache: str, body: object) -> None:
        """Expects the upload of one file."""
        request = {"Bucket": "bucket", "Key": key, "Body": body, "ContentType": kind, "CacheControl": cache}
        self.s3.add_response("put_object", {}, request)

    def invalidation(self, *paths: str) -> None:
        """Expects the invalidation of these paths."""
        batch = {"Paths": {"Quantity": len(paths), "Items": list(paths)}, "CallerReference": ANY}
        request = {"DistributionId": OUTPUTS["WebDistributionId"], "InvalidationBatch": batch}
        self.cloudfront.add_response("create_invalidation", {}, request)

    def deletion(self, *keys: str, errors: tuple[dict, ...] = ()) -> None:
        """Expects the deletion of these files, and answers with these errors."""
        request = {"Bucket": "bucket", "Delete": {"Objects": [{"Key": key} for key in keys], "Quiet": True}}
        self.s3.add_response("delete_objects", {"Errors": list(errors)}, request)

    def run(self, dist: Path | None) -> list[str]:
        problems = run(*self.clients, STACK, dist)
        for stub in self.stubs:
            stub.assert_no_pending_responses()
        return problems


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    with aws.cloudformation, aws.s3, aws.cloudfront:
        yield aws


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A build: a page, an icon, a script that an earlier build has, too, and a new font."""
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "icon.svg", "assets/old-1.js", "assets/new-2.woff2"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def test_the_template_has_every_output(root: Path) -> None:
    template = (root / "template.yaml").read_text()
    _, outputs = template.split("\nOutputs:\n")
    assert all(f"  {name}:\n" in outputs for name in CONFIG + HOSTING)
    assert set(CONFIG + HOSTING) == OUTPUTS.keys()


def test_new_assets_come_first_and_the_page_that_loads_them_last(aws: Aws, dist: Path, capsys) -> None:
    aws.stack(**OUTPUTS)
    # Two pages of assets from earlier builds. They stay.
    aws.files("assets/", ["assets/older-0.js"], ["assets/old-1.js"])
    aws.upload("assets/new-2.woff2", "font/woff2", FOR_A_YEAR, b"content of assets/new-2.woff2")
    aws.upload("icon.svg", "image/svg+xml; charset=utf-8", "no-cache", b"content of icon.svg")
    config = {
        "authority": OUTPUTS["Issuer"],
        "clientId": "client",
        "signInUrl": OUTPUTS["SignInUrl"],
        "unitPrice": {"amount": 1000, "currency": "EUR"},
    }
    aws.upload("config.json", "application/json; charset=utf-8", "no-cache", json.dumps(config, indent=2).encode())
    aws.upload("index.html", "text/html; charset=utf-8", "no-cache", b"content of index.html")
    aws.invalidation("/icon.svg", "/config.json", "/index.html")
    assert aws.run(dist) == []
    assert capsys.readouterr().out == (
        "https://d111111abcdef8.cloudfront.net: published 1 new of 2 assets, and 3 other files\n"
    )


def test_nothing_is_uploaded_if_a_file_has_no_known_type(aws: Aws, dist: Path) -> None:
    (dist / "assets/data-3.unknown").touch()
    aws.stack(**OUTPUTS)
    with pytest.raises(SystemExit, match=r"the media type of assets/data-3.unknown is unknown"):
        aws.run(dist)


def test_a_missing_build_is_reported(aws: Aws, tmp_path: Path) -> None:
    aws.stack(**OUTPUTS)
    assert aws.run(tmp_path) == [f"{tmp_path} has no index.html: build the web UI first"]


def test_a_stack_without_hosting_is_reported(aws: Aws, dist: Path) -> None:
    aws.stack(**{name: value for name, value in OUTPUTS.items() if name not in HOSTING})
    missing = "WebUrl, WebBucketName, WebDistributionId"
    assert aws.run(dist) == [f"stack order-api-dev has no output {missing}: run make deploy first"]


def test_all_files_are_deleted_in_batches_and_errors_are_reported(aws: Aws, capsys) -> None:
    assets = [f"assets/{number:04}.js" for number in range(1000)]
    aws.stack(**OUTPUTS)
    aws.files("", assets, ["index.html"])
    aws.deletion(*assets)
    aws.deletion("index.html", errors=({"Key": "index.html", "Code": "InternalError", "Message": "Try again."},))
    assert aws.run(None) == ["index.html: InternalError: Try again."]
    assert capsys.readouterr().out == "bucket: deleted 1000 files\n"


def test_an_empty_bucket_stays_empty(aws: Aws, capsys) -> None:
    aws.stack(**OUTPUTS)
    aws.files("", [])
    assert aws.run(None) == []
    assert capsys.readouterr().out == "bucket: deleted 0 files\n"


def script(root: Path, home: Path, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/deploy_web.py", *arguments],
        cwd=root,
        env={"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


# Only prod asks, and only before it is emptied.
@pytest.mark.parametrize("arguments", [["dev"], ["dev", "--empty"], ["prod"]])
def test_an_error_is_one_line_and_an_exit_code(arguments: list[str], root: Path, tmp_path: Path) -> None:
    ended = script(root, tmp_path, "--config-env", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "error: Unable to locate credentials\n")


def test_without_a_terminal_prod_is_not_emptied(root: Path, tmp_path: Path) -> None:
    ended = script(root, tmp_path, "--config-env", "prod", "--empty")
    assert (ended.returncode, ended.stderr) == (1, "error: there is no terminal to ask on: give --yes to confirm\n")
    assert ended.stdout.startswith("After this nobody can use the web UI of order-api-prod")


def test_on_a_terminal_prod_asks(root: Path, tmp_path: Path) -> None:
    terminal, stdin = pty.openpty()
    os.write(terminal, b"no\n")
    ended = script(root, tmp_path, "--config-env", "prod", "--empty", stdin=stdin)
    os.close(terminal)
    os.close(stdin)
    assert (ended.returncode, ended.stderr) == (1, "error: not confirmed; nothing has changed\n")
    assert ended.stdout.endswith(QUESTION)


def test_prod_is_emptied_if_it_is_confirmed(aws: Aws, root: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    aws.stack("order-api-prod", **OUTPUTS)
    aws.files("", ["index.html"])
    aws.deletion("index.html")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["deploy_web.py", "--config-env", "prod", "--empty", "--yes"])
    clients = iter(aws.clients)
    monkeypatch.setattr(deploy_web.boto3, "client", lambda *_, **__: next(clients))
    assert deploy_web.main() == 0
    assert capsys.readouterr().out.endswith("bucket: deleted 1 files\n")
    aws.s3.assert_no_pending_responses()
