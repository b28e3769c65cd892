"""Publishes the built web UI (web/dist) to the bucket of a deployed stack, or empties that bucket.

The order makes a publication safe at any moment: index.html is uploaded after everything that it needs, and the assets
of earlier builds stay, because open tabs still load them.
"""

import json
import sys
from mimetypes import MimeTypes
from pathlib import Path
from uuid import uuid4

import boto3
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from confirm import add_yes, refusal
from samconfig import outputs, parser, settings

DIST = Path("web/dist")
# Outputs of the stack that are needed: for config.json, and for its publication.
CONFIG = ["Issuer", "WebClientId", "SignInUrl", "UnitPrice", "Currency"]
HOSTING = ["WebUrl", "WebBucketName", "WebDistributionId"]
# The names of assets contain a hash of their content.
ASSETS = "assets/"
FOR_A_YEAR = "public, max-age=31536000, immutable"
# Browsers ask each time, and get a 304 if nothing has changed.
NEVER = "no-cache"
# Files that are published last. All other files keep their names, too, but nothing breaks if they are mixed.
LAST = ("config.json", "index.html")
WARNING = "After this nobody can use the web UI of {stack_name}, until make deploy-web publishes it again."
QUESTION = "Delete all its files? Type yes: "
# Limit of S3 for one request.
MOST_DELETIONS = 1000
# The machine's own tables are not read: they differ.
TYPES = MimeTypes(filenames=())
TYPES.add_type("text/javascript", ".js")
TYPES.add_type("font/woff2", ".woff2")
TYPES.add_type("application/manifest+json", ".webmanifest")


def config(stack: dict[str, str]) -> dict:
    """Returns what the web UI reads when it starts; the API is /api of its own origin."""
    return {
        "authority": stack["Issuer"],
        "clientId": stack["WebClientId"],
        "signInUrl": stack["SignInUrl"],
        "unitPrice": {"amount": int(stack["UnitPrice"]), "currency": stack["Currency"]},
    }


def content_type(name: str) -> str:
    """Returns the media type of a file, or exits if it is unknown: browsers refuse a script of the wrong type."""
    kind, _ = TYPES.guess_type(name)
    if kind is None:
        sys.exit(f"error: the media type of {name} is unknown: add it to tools/deploy_web.py")
    is_text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml", "application/manifest+json"}
    return f"{kind}; charset=utf-8" if is_text else kind


def keys(s3: BaseClient, bucket: str, prefix: str = "") -> list[str]:
    """Returns the keys in the bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def publish(s3: BaseClient, cloudfront: BaseClient, stack: dict[str, str], dist: Path) -> None:
    """Uploads the files of a build and the stack's config.json."""
    files = {path.relative_to(dist).as_posix(): path.read_bytes() for path in dist.rglob("*") if path.is_file()}
    files["config.json"] = json.dumps(config(stack), indent=2).encode()
    types = {name: content_type(name) for name in files}
    bucket = stack["WebBucketName"]
    published = set(keys(s3, bucket, ASSETS))
    assets = sorted(name for name in files if name.startswith(ASSETS))
    new = [name for name in assets if name not in published]
    others = sorted(files.keys() - set(assets) - set(LAST))
    for name in [*new, *others, *LAST]:
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=files[name],
            ContentType=types[name],
            CacheControl=FOR_A_YEAR if name in assets else NEVER,
        )
    # The template lets CloudFront keep none of these files; copies may be left from before a change of its settings.
    paths = [f"/{name}" for name in [*others, *LAST]]
    cloudfront.create_invalidation(
        DistributionId=stack["WebDistributionId"],
        InvalidationBatch={"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": str(uuid4())},
    )
    print(f"{stack['WebUrl']}: published {len(new)} new of {len(assets)} assets, and {len(paths)} other files")


def empty(s3: BaseClient, stack: dict[str, str]) -> list[str]:
    """Deletes all files in the bucket and returns one line per problem."""
    bucket, problems = stack["WebBucketName"], []
    found = keys(s3, bucket)
    for start in range(0, len(found), MOST_DELETIONS):
        batch = [{"Key": key} for key in found[start : start + MOST_DELETIONS]]
        response = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        problems += [f"{error['Key']}: {error['Code']}: {error['Message']}" for error in response.get("Errors", [])]
    print(f"{bucket}: deleted {len(found) - len(problems)} files")
    return problems


def run(cloudformation: BaseClient, s3: BaseClient, cloudfront: BaseClient, name: str, dist: Path | None) -> list[str]:
    """Publishes the build to the stack of this name, or empties its bucket if there is no build to publish."""
    stack = outputs(cloudformation, name)
    if missing := [output for output in CONFIG + HOSTING if output not in stack]:
        return [f"stack {name} has no output {', '.join(missing)}: run make deploy first"]
    if dist is None:
        return empty(s3, stack)
    if not (dist / "index.html").is_file():
        return [f"{dist} has no index.html: build the web UI first"]
    publish(s3, cloudfront, stack, dist)
    return []


def objections(environment: dict, *, is_confirmed: bool) -> list[str]:
    """Asks before the bucket is emptied, where sam deploy asks, too; returns the reason not to go on, if any."""
    if not environment.get("confirm_changeset"):
        return []
    warning, is_terminal = WARNING.format_map(environment), sys.stdin.isatty()
    reason = refusal(warning, QUESTION, input, is_terminal=is_terminal, is_confirmed=is_confirmed)
    return [reason] if reason else []


def main() -> int:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--empty", action="store_true", help="empty the bucket instead")
    add_yes(arguments)
    arguments = arguments.parse_args()
    environment = settings(arguments.config_env, arguments.stack)
    problems = objections(environment, is_confirmed=arguments.yes) if arguments.empty else []
    try:
        if not problems:
            services = ("cloudformation", "s3", "cloudfront")
            clients = [boto3.client(service, region_name=environment["region"]) for service in services]
            problems = run(*clients, environment["stack_name"], None if arguments.empty else DIST)
    except (BotoCoreError, ClientError) as error:
        problems = [str(error)]
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
