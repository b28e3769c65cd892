"""Creates, lists, reads, changes and deletes an order with models that `run` generates from openapi.yaml."""

import os

import pytest
import requests
from models import Order, ProblemDetails, PutOrder, UpdateOrder
from pydantic import BaseModel, TypeAdapter, ValidationError

API = os.environ["API_URL"]
USER = "Python"

http = requests.Session()
http.headers["Authorization"] = f"Bearer {os.environ['API_TOKEN']}"


def send(status: int, method: str, path: str, body: BaseModel | None = None, **headers: str) -> requests.Response:
    """Sends a request and returns the response, which must have this status."""
    json = body and body.model_dump(mode="json", exclude_none=True)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    response = http.request(method, f"{API}{path}", json=json, headers=headers, timeout=30)
    assert response.status_code == status, response.text
    return response


def problem(response: requests.Response) -> str:
    """Returns the kind of the problem."""
    return ProblemDetails.model_validate_json(response.content).type.value.rpartition(":")[2]


# A quantity may be a number or a string of digits.
for quantity in (3, "3"):
    new = PutOrder(user_id=USER, restaurant_id="Restaurant 3", quantity=quantity)
    order = Order.model_validate_json(send(201, "PUT", "/orders", new).content)
    assert order.quantity.root == "3"
    path = f"/orders/{USER}/order/{order.id.root}"

    listed = send(200, "GET", f"/orders?user_id={USER}&limit=1")
    assert TypeAdapter(list[Order]).validate_json(listed.content) == [order]

    read = send(200, "GET", path)
    assert Order.model_validate_json(read.content) == order

    change = UpdateOrder(restaurant_id="Restaurant 4", quantity=1)
    changed = Order.model_validate_json(send(200, "PUT", path, change, If_Match=read.headers["ETag"]).content)
    assert (changed.restaurant_id.root, changed.version.root) == ("Restaurant 4", order.version.root + 1)
    assert problem(send(412, "PUT", path, change, If_Match=read.headers["ETag"])) == "stale-version"

    send(204, "DELETE", path)
    assert problem(send(404, "GET", path)) == "not-found"

# The models know the rules.
for wrong in ({"quantity": 1001}, {"quantity": "many"}, {"user_id": "a/b"}, {"restaurant_id": " "}, {"colour": "red"}):
    with pytest.raises(ValidationError):
        PutOrder.model_validate({"user_id": USER, "restaurant_id": "Restaurant 3", "quantity": 3} | wrong)
