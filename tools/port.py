"""Checks that servers of this machine can use these ports. Usage: `port.py PORT=4566 WEB_PORT=5173`.

make calls it before it compiles or starts anything.
"""

import errno
import socket
import sys

LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def answers(family: int, host: str, port: int) -> bool:
    """Returns true if something listens there. Some systems let a second server use the port of another address."""
    try:
        with socket.socket(family) as client:
            return client.connect_ex((host, port)) == 0
    except OSError:
        return False  # This machine has no IPv6.


def problem(name: str, value: str) -> str | None:
    """The reason why nothing can listen on that port, if there is one."""
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 1 << 16):
        return f"{name}={value} is not a port: choose a number from 1024 to 65535"
    other = f"choose another port, such as {name}=4600"
    in_use = f"port {value} is in use: stop the program that listens there, or {other}"
    if any(answers(family, host, int(value)) for family, host in LOOPBACK):
        return in_use
    try:
        with socket.create_server(("127.0.0.1", int(value))):
            return None
    except PermissionError:
        return f"port {value} needs the rights of root: {other}"
    except OSError as error:
        return in_use if error.errno == errno.EADDRINUSE else f"port {value}: {error.strerror}: {other}"


def main() -> int:
    names = {}
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        found = problem(name, value)
        if not found and (other := names.setdefault(int(value), name)) != name:
            found = f"{other} and {name} are both {value}: choose another port for one of them"
        if found:
            print(f"error: {found}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
