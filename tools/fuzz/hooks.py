"""What openapi.yaml can't say: which values go together. Only requests that are meant to be good are touched."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

import requests
import schemathesis
import yaml
from schemathesis import GenerationMode

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())
IF_MATCH = DOCUMENT["components"]["schemas"]["IfMatch"]["pattern"]
API = os.environ["API_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['API_TOKEN']}"}


def cursor(user_id: str | None) -> str | None:
    """A cursor of that list, as the API gives it, if the list has more than one page."""
    query = {"limit": "1"} | ({} if user_id is None else {"user_id": user_id})
    link = requests.get(f"{API}/orders", params=query, headers=HEADERS, timeout=30).links.get("next")
    return link and link["url"].removeprefix("?cursor=").split("&")[0]


def order_of(user_id: str) -> str:
    """The id of a new order of that user."""
    order = {"user_id": user_id, "restaurant_id": "Restaurant 3", "quantity": 3}
    answer = requests.put(f"{API}/orders", json=order, headers=HEADERS, timeout=30)
    answer.raise_for_status()
    return answer.json()["id"]


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    query, path = case.query or {}, case.path_parameters or {}
    body = case.body if isinstance(case.body, dict) else {}
    if "cursor" in query:
        # A cursor is one that the API has given, and of the same list.
        query["cursor"] = cursor(query.get("user_id"))
        if query["cursor"] is None:
            del query["cursor"]
    if case.meta.phase.name == "fuzzing" and "userId" in path:
        # An order that is there: a random id would be 404 and nothing more.
        path["userId"] = unquote(path["userId"])
        path["id"] = order_of(path["userId"])
    if "userId" in path and body.get("user_id") is not None:
        # It may name the path's user, and no other one.
        body["user_id"] = unquote(path["userId"])
    if "userId" not in path and body and body.get("user_id") is None:
        # The token is a machine's that is an admin: it must say whose order it is.
        body["user_id"] = "Fuzz"
    # The coverage phase knows no good value for a pattern with quotes in it, and takes a bad one for good.
    condition = case.headers.get("If-Match")
    if condition is not None and not re.search(IF_MATCH, condition):
        del case.headers["If-Match"]
