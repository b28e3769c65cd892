from pathlib import Path

from host_build import executables

MESSAGES = """{"reason": "compiler-artifact", "target": {"name": "serde"}, "executable": null}
{"reason": "compiler-artifact", "target": {"name": "get-orders"}, "executable": "/elsewhere/debug/get-orders"}
{"reason": "build-finished", "success": true}
"""


def test_cargo_says_where_the_executables_are() -> None:
    assert executables(MESSAGES) == {"get-orders": Path("/elsewhere/debug/get-orders")}
