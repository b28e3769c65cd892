"""The question before a command goes on."""

from collections.abc import Callable

import pytest

from confirm import refusal

WARNING, QUESTION = "It will hurt.", "Really? "


def never(question: str) -> str:
    raise AssertionError(question)


def end_of_file(_: str) -> str:
    raise EOFError


@pytest.mark.parametrize("answer", ["yes", " yes \n"])
def test_an_operator_is_warned_and_confirms(answer: str, capsys) -> None:
    asked = []
    read = lambda question: asked.append(question) or answer  # noqa: E731
    assert refusal(WARNING, QUESTION, read, is_terminal=True, is_confirmed=False) is None
    assert (asked, capsys.readouterr().out) == ([QUESTION], f"{WARNING}\n")


@pytest.mark.parametrize("read", [lambda _: "no", lambda _: "", lambda _: "y", end_of_file])
def test_anything_but_yes_changes_nothing(read: Callable[[str], str]) -> None:
    reason = refusal(WARNING, QUESTION, read, is_terminal=True, is_confirmed=False)
    assert reason == "not confirmed; nothing has changed"


def test_yes_on_the_command_line_warns_and_does_not_ask(capsys) -> None:
    assert refusal(WARNING, QUESTION, never, is_terminal=False, is_confirmed=True) is None
    assert capsys.readouterr().out == f"{WARNING}\n"


def test_without_a_terminal_nobody_is_asked() -> None:
    reason = refusal(WARNING, QUESTION, never, is_terminal=False, is_confirmed=False)
    assert reason == "there is no terminal to ask on: give --yes to confirm"
