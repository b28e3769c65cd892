import errno
import socket
from collections.abc import Callable

import pytest

import port


def refusing(number: int) -> Callable:
    def create_server(*_: object) -> socket.socket:
        raise OSError(number, "refused")

    return create_server


@pytest.mark.parametrize("value", ["", "0", "65536", "-1", "4566x", "4 566", "٤٥٦٦"])
def test_what_is_no_port_is_told(value: str) -> None:
    assert port.problem("PORT", value) == f"PORT={value} is not a port: choose a number from 1024 to 65535"


def test_a_free_port_is_no_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert port.problem("PORT", str(free)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_port_in_use_is_told(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        number = server.getsockname()[1]
        assert port.problem("PORT", str(number)).startswith(f"port {number} is in use: ")


@pytest.mark.parametrize(("reason", "told"), [(errno.EACCES, "needs the rights of root"), (errno.EADDRINUSE, "in use")])
def test_the_reason_of_the_system_is_told(monkeypatch: pytest.MonkeyPatch, reason: int, told: str) -> None:
    monkeypatch.setattr(socket, "create_server", refusing(reason))
    assert told in port.problem("PORT", "80")
