"""Relations between values that openapi.yaml can't express."""

import os
import re
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import requests
import schemathesis
import yaml
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())
IF_MATCH = DOCUMENT["components"]["schemas"]["IfMatch"]["pattern"]
IDEMPOTENCY_KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"  # the document's example
API = os.environ["API_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['API_TOKEN']}"}


def text(value: str) -> str:
    """Returns the text without what the API refuses although the pattern in the document allows it."""
    allowed = value.translate({0xFFFD: None, 0xFFFE: None, 0xFFFF: None}).strip()
    return "Fuzz" if allowed in ("", ".", "..") else allowed


def cursor(user_id: str | None) -> str | None:
    """Returns a cursor of this list from the API, or None if the list has only one page."""
    query = {"limit": "1"} | ({} if user_id is None else {"user_id": user_id})
    link = requests.get(f"{API}/orders", params=query, headers=HEADERS, timeout=30).links.get("next")
    return link and link["url"].removeprefix("?cursor=").split("&")[0]


def order_of(user_id: str) -> str:
    """Creates an order of this user and returns its id."""
    order = {"user_id": user_id, "restaurant_id": "Restaurant 3", "quantity": 3}
    answer = requests.put(f"{API}/orders", json=order, headers=HEADERS, timeout=30)
    answer.raise_for_status()
    return answer.json()["id"]


def drop_bad_conditions(case: schemathesis.Case, broken: str | None) -> None:
    """Removes conditions that are invalid by mistake, not on purpose as the broken parameter is."""
    for header in ("If-Match", "If-None-Match"):
        condition = case.headers.get(header)
        if broken != header and condition is not None and not re.search(IF_MATCH, str(condition)):
            # Schemathesis finds no valid value for a pattern with quotes, and sends an invalid one.
            del case.headers[header]


def is_good(case: schemathesis.Case, location: ParameterLocation) -> bool:
    """Returns true if this part of the request was made to fit the document."""
    return case.meta.components.get(location, case.meta.generation).mode is GenerationMode.POSITIVE


def repair_texts(case: schemathesis.Case) -> None:
    """Changes no text that is not a name or the like: it has none of these characters, or the server ignores it."""
    for location, values in ((ParameterLocation.QUERY, case.query), (ParameterLocation.BODY, case.body)):
        if isinstance(values, dict) and is_good(case, location):
            values.update({key: text(value) for key, value in values.items() if isinstance(value, str)})


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    if case.meta is None:
        return
    query, path = case.query or {}, case.path_parameters or {}
    body = case.body if isinstance(case.body, dict) else {}
    repair_texts(case)

    # An order that does not exist and a missing user would hide everything else that is wrong with a request.
    if case.meta.phase.name != "stateful" and "userId" in path and is_good(case, ParameterLocation.PATH):
        path["userId"] = text(unquote(path["userId"]))
        path["id"] = order_of(path["userId"])
    if body and "userId" not in path and body.get("user_id") is None:
        # The token is an admin machine's, which must name the user.
        body["user_id"] = "Fuzz"

    # The parameter that the coverage phase has made invalid, if it is this phase.
    broken = getattr(case.meta.phase.data, "parameter", None)
    drop_bad_conditions(case, broken)
    if broken != "Idempotency-Key" and case.headers.get("Idempotency-Key") == IDEMPOTENCY_KEY:
        # Schemathesis sends the example with every body.
        case.headers["Idempotency-Key"] = str(uuid4())

    if case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "cursor" in query:
        # A cursor must come from the API and belong to the same list.
        query["cursor"] = cursor(query.get("user_id"))
        if query["cursor"] is None:
            del query["cursor"]
    if "userId" in path and body.get("user_id") is not None:
        # The body may only name the user of the path.
        body["user_id"] = unquote(path["userId"])
