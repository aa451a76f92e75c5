"""Questions to the user at the terminal, one at a time, in plain words."""

import getpass
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

from chatd.protocol.errors import ChatError
from chatd.text.safe import clean
from client.errors import LinkError

T = TypeVar("T")

MAX_TRIES = 5


class NoAnswerError(Exception):
    """Something is missing, and there is no terminal to ask for it."""


class Questions(Protocol):
    """A way to ask the user."""

    @property
    def is_there(self) -> bool:
        """Whether there is a user who can be asked."""

    def say(self, text: str) -> None:
        """Show a text."""

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer to a question; an empty one is the default."""

    def ask_secret(self, question: str) -> str:
        """Return an answer that is not to be seen."""


class TerminalQuestions:
    """Asks on the terminal.

    Raises (from each question):
        NoAnswerError: There is no terminal, or the input has ended.
    """

    @property
    def is_there(self) -> bool:
        """Whether there is a terminal."""
        return sys.stdin.isatty()

    def say(self, text: str) -> None:
        """Write a text to stderr, so that pipes stay clean."""
        sys.stderr.write(f"{clean(text)}\n")
        sys.stderr.flush()

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer to a question; an empty one is the default."""
        self._check(question)
        shown = f" [{default}]" if default else ""
        colon = "" if question.endswith(("?", ")")) else ":"
        sys.stderr.write(f"{clean(question)}{clean(shown)}{colon} ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise NoAnswerError("the input has ended before everything was answered")
        return line.strip() or default

    def ask_secret(self, question: str) -> str:
        """Return an answer that is not to be seen."""
        self._check(question)
        try:
            return getpass.getpass(f"{clean(question)}: ", sys.stderr)
        except EOFError as error:
            raise NoAnswerError("no password was given") from error

    def _check(self, question: str) -> None:
        if not self.is_there:
            raise NoAnswerError(
                f'there is no terminal to ask on: "{clean(question)}" Run chat in a '
                "terminal once, or give what is missing with options (--help)"
            )


def ask_yes_or_no(questions: Questions, question: str) -> bool:
    """Return whether the answer is yes; only yes and no are accepted."""

    def understand(answer: str) -> bool:
        if answer.lower() in ("y", "yes"):
            return True
        if answer.lower() in ("n", "no"):
            return False
        raise ValueError("please write yes or no")

    return ask_until(questions, f"{question} (yes/no)", understand)


def ask_until(
    questions: Questions,
    question: str,
    understand: Callable[[str], T],
    default: str = "",
) -> T:
    """Ask until the answer is understood, at most a few times.

    Args:
        questions: Asks the user.
        question: What is asked.
        understand: Returns what the answer means, or raises ValueError, ChatError or
            LinkError, whose text says what is wrong with it.
        default: What an empty answer means.

    Raises:
        NoAnswerError: No answer was understood.
    """
    for _ in range(MAX_TRIES):
        try:
            return understand(questions.ask(question, default))
        except (ValueError, ChatError, LinkError) as error:
            questions.say(f"{error}.")
    raise NoAnswerError("too many answers that could not be understood")
