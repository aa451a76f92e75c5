"""Questions of the first run (client.cli.questions)."""

import pytest

from chatd.protocol.names import parse_user_name
from client.cli.questions import (
    NoAnswerError,
    TerminalQuestions,
    ask_until,
    ask_yes_or_no,
)


class Script:
    """Gives the answers that a test has written, in order."""

    is_there = True

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str, default: str = "") -> str:
        return self.answers.pop(0) or default

    def ask_secret(self, question: str) -> str:
        return self.answers.pop(0)


def test_only_yes_and_no_are_understood() -> None:
    script = Script("maybe", "sure", "YES")
    assert ask_yes_or_no(script, "Really?")
    assert script.said == ["please write yes or no."] * 2
    assert not ask_yes_or_no(Script("n"), "Really?")


def test_what_is_wrong_with_an_answer_is_said() -> None:
    script = Script("Al ice", "Alice")
    assert ask_until(script, "Name", parse_user_name) == "alice"
    assert "letters, digits" in script.said[0]


def test_an_empty_answer_is_the_default() -> None:
    assert ask_until(Script(""), "Name", parse_user_name, "bob") == "bob"


def test_it_is_not_asked_for_ever() -> None:
    with pytest.raises(NoAnswerError):
        ask_yes_or_no(Script(*["what?"] * 10), "Really?")


def test_without_a_terminal_nothing_is_asked() -> None:
    with pytest.raises(NoAnswerError, match="no terminal"):
        TerminalQuestions().ask("Your name")
    with pytest.raises(NoAnswerError, match="no terminal"):
        TerminalQuestions().ask_secret("Password")
