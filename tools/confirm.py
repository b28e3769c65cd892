"""The question that a command asks an operator before it goes on."""

import argparse
from collections.abc import Callable


def add_yes(arguments: argparse.ArgumentParser) -> None:
    """Adds the option that leaves the question out."""
    arguments.add_argument("--yes", action="store_true", help="does not ask")


def refusal(
    warning: str, question: str, read: Callable[[str], str], *, is_terminal: bool, is_confirmed: bool
) -> str | None:
    """Warns the operator, asks unless --yes was given, and returns the reason not to go on, if there is one."""
    print(warning, flush=True)
    if is_confirmed:
        return None
    if not is_terminal:
        return "there is no terminal to ask on: give --yes to confirm"
    try:
        answer = read(question)
    except EOFError:
        answer = ""
    return None if answer.strip() == "yes" else "not confirmed; nothing has changed"
