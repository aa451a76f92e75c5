"""Chatting in a terminal: the questions of the first run, then the line mode."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable

import msgspec

from chatd.protocol.errors import AuthFailedError
from client.changes import Change
from client.errors import NoLoginError, UnknownKeyError
from client.line import LineMode
from client.link import Link, LinkState
from client.paths import Paths
from client.profile import Logins
from client.questions import NobodyToAskError, TerminalQuestions
from client.settings import Settings
from client.setup import PROGRAM, Login, Setup, Wishes


def chat(paths: Paths, wishes: Wishes) -> None:
    """Chat until the person quits.

    Raises:
        NobodyToAskError: There is no terminal, or a question was not answered.
        LinkError: The server cannot be used, or is not the one it should be.
        ChatError: The server refused the login.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NobodyToAskError(
            "chatting needs a terminal; for scripts there are chat send, chat tail and "
            "more: chat --help"
        )
    setup = Setup(paths, wishes, TerminalQuestions())
    login = setup.remembered() or setup.run()
    error = _chat_as(paths, login, wishes)
    has_token = Logins(paths.logins).token(str(login.address), login.user)
    is_over = isinstance(error, AuthFailedError | NoLoginError) and not has_token
    if is_over or isinstance(error, UnknownKeyError):
        # The remembered login is not valid any more: ask, and go on where one was.
        setup.questions.say(f"{error}.")
        again = msgspec.structs.replace(wishes, address=login.address, user=login.user)
        login = Setup(paths, again, setup.questions).run()
        error = _chat_as(paths, login, wishes)
    if error is not None:
        raise error


def _chat_as(paths: Paths, login: Login, wishes: Wishes) -> Exception | None:
    room = wishes.address.room if wishes.address is not None else None
    server = str(login.address)

    def make_link(
        on_change: Callable[[Change], None], on_state: Callable[[LinkState], None]
    ) -> Link:
        return Link(
            login.address,
            login.user,
            password=login.password,
            paths=paths,
            device=platform.node() or None,
            program=PROGRAM,
            on_change=on_change,
            on_state=on_state,
        )

    Logins(paths.logins).remember(server, login.user, None)
    mode = LineMode(
        make_link, server, Settings(paths), room=room, environment=os.environ
    )
    return asyncio.run(mode.run())
