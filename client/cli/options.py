"""What the commands of ``chat`` share: parameter types, options, error reporting."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from chatd.protocol.errors import BadNameError, ChatError
from chatd.protocol.names import parse_address
from chatd.text.safe import clean
from client.cli.questions import NoAnswerError
from client.errors import (
    BadAddressError,
    ChangedKeyError,
    LinkError,
    ServerKeyError,
)
from client.net.address import ServerAddress, parse_server_address
from client.text.times import BadTimeError, parse_since

TIMED_OUT = 75


class TimedOutError(click.ClickException):
    """The answer did not come in time."""

    exit_code = TIMED_OUT


def with_plain_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of a command into one sentence and an exit status."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (BadAddressError, BadNameError, BadTimeError) as error:
            raise click.UsageError(sentence(error)) from error
        except TimeoutError as error:
            raise TimedOutError(sentence(error)) from error
        except ServerKeyError as error:
            raise click.ClickException(key_trouble(error)) from error
        except (ChatError, LinkError, NoAnswerError) as error:
            raise click.ClickException(sentence(error)) from error
        except BrokenPipeError:
            # The reader of the output is gone; Python would complain at exit, when it
            # writes what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            sys.exit(130)

    return run


def key_trouble(error: ServerKeyError) -> str:
    """Return the error text for a server's key that is unknown or has changed."""
    if isinstance(error, ChangedKeyError):
        lines = [
            f"the key of {error.server} has changed, so nothing was sent to it.",
            f"  expected  {error.old}",
            f"  it shows  {error.fingerprint}",
            "Either the server has a new key, or somebody stands in between.",
            "Ask whoever runs the server; if the new key is right, accept it with:",
        ]
    else:
        lines = [
            f"{error.server} is not known yet, so nothing was sent to it.",
            f"  its key  {error.fingerprint}",
            "If whoever runs the server tells you the same, accept it with:",
        ]
    lines.append(f"  chat trust {error.server} {error.fingerprint}")
    return clean("\n".join(lines), is_multiline=True)


def sentence(error: Exception) -> str:
    """Return the text of an error, safe for a terminal; without one, its class."""
    return clean(str(error)) or type(error).__name__


class _Address(click.ParamType):  # type: ignore[type-arg]
    name = "address"

    def convert(self, value: Any, *_: Any) -> ServerAddress:
        if isinstance(value, ServerAddress):
            return value
        try:
            return parse_server_address(str(value))
        except BadAddressError as error:
            raise click.UsageError(sentence(error)) from error


class _Chat(click.ParamType):  # type: ignore[type-arg]
    name = "chat"

    def convert(self, value: Any, *_: Any) -> str:
        try:
            kind, name = parse_address(str(value))
        except BadNameError as error:
            raise click.UsageError(
                f"'{clean(str(value))}' is no chat: {error.reason} (quote a room's "
                "name for the shell: '#ops')"
            ) from error
        return f"{'#' if kind == 'room' else '@'}{name}"


class _Since(click.ParamType):  # type: ignore[type-arg]
    name = "time"

    def convert(self, value: Any, *_: Any) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_since(str(value))
        except BadTimeError as error:
            raise click.UsageError(sentence(error)) from error


ADDRESS = _Address()
CHAT = _Chat()
SINCE = _Since()


TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long, with exit status 75.",
)
"""How long a command that sends or fetches may take."""


def password_source(command: str | None) -> Callable[[], str] | None:
    """Return a function that gives the password without asking; None to ask the user.

    Args:
        command: Run without a shell; the first line that it prints is the password.
            None takes ``CHAT_PASSWORD``, if it is set.
    """
    if command is not None:
        return lambda: _run_password_command(command)
    given = os.environ.get("CHAT_PASSWORD")
    return None if given is None else lambda: given


def _run_password_command(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise click.UsageError(f"--password-command: {error}") from error
    if not words:
        raise click.UsageError("--password-command is empty")
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)  # noqa: S603
    except OSError as error:
        raise click.ClickException(
            f"the password command cannot be run: {words[0]}: {error.strerror}"
        ) from error
    if done.returncode != 0:
        raise click.ClickException(
            f"the password command failed with status {done.returncode}"
        )
    password = done.stdout.decode(errors="replace").split("\n", 1)[0].rstrip("\r")
    if not password:
        raise click.ClickException("the password command printed no password")
    return password


def identity(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that identify the user: ``--user``, ``--password-command``."""
    for option in (
        click.option(
            "--password-command",
            metavar="CMD",
            help="Take the password from the first line that CMD prints.",
        ),
        click.option("--user", metavar="NAME", help="Your name at the server."),
    ):
        function = option(function)
    return function
