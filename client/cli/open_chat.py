"""Chatting in a terminal: the questions of the first run, then the face one wants."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from chatd.protocol.errors import AuthFailedError
from client.cli import gc_tuning
from client.cli.first_run import PROGRAM, Login, Setup, Wishes
from client.cli.questions import NobodyToAskError, TerminalQuestions
from client.config.config_file import ClientSettings, client_file, load_client_file
from client.errors import NoLoginError, UnknownKeyError
from client.link.link import Link, MakeLink
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.notify.notifier import Rung
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.storage.saved_logins import SavedLogins

FaceName = Literal["full", "line", "plain"]


class RunningFace(Protocol):
    """A face that can be run, from the first line to the end of the program."""

    async def run(self) -> Exception | None:
        """Run until the person quits; return what stopped the link, if that was why."""


class Start(Struct, frozen=True, kw_only=True):
    """What a face is made of.

    Attributes:
        make_link: Makes the link, which the face starts and closes.
        server: The server's address as preferences know it.
        user: Who one is there.
        room: A room to be entered once online, as a join link asks for.
        paths: Where things are kept.
        preferences: What the client remembers of how a person likes it.
        wishes: What ``client.toml`` says.
    """

    make_link: MakeLink
    server: str
    user: str
    room: str | None
    paths: Paths
    preferences: Preferences
    wishes: ClientSettings

    def rung(self) -> Rung:
        """Return what one was notified of before."""
        return Rung(self.paths.state / "rung.json", self.server, self.user)


def chat(paths: Paths, wishes: Wishes, face: FaceName | None = None) -> None:
    """Chat until the person quits.

    Args:
        paths: Where things are kept.
        wishes: What the person said already.
        face: Which face; None for the one that suits the terminal.

    Raises:
        NobodyToAskError: There is no terminal, or a question was not answered.
        LinkError: The server cannot be used, or is not the one it should be; or
            ``client.toml`` has a mistake in it.
        ChatError: The server refused the login.
    """
    if face != "plain" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NobodyToAskError(
            "chatting needs a terminal; for scripts there are chat send, chat tail and "
            "more: chat --help"
        )
    face = face or usual_face(os.environ)
    client_settings = load_client_file(client_file(paths))
    setup = Setup(paths, wishes, TerminalQuestions())
    login = setup.remembered() or setup.run()
    error = _chat_as(paths, login, wishes, client_settings, face)
    has_token = SavedLogins(paths.logins).token(str(login.address), login.user)
    is_over = isinstance(error, AuthFailedError | NoLoginError) and not has_token
    if is_over or isinstance(error, UnknownKeyError):
        # The remembered login is not valid any more: ask, and go on where one was.
        setup.questions.say(f"{error}.")
        again = msgspec.structs.replace(wishes, address=login.address, user=login.user)
        login = Setup(paths, again, setup.questions).run()
        error = _chat_as(paths, login, wishes, client_settings, face)
    if error is not None:
        raise error


def usual_face(environment: Mapping[str, str]) -> FaceName:
    """Return the face for who asked for none: not every terminal can be drawn on."""
    is_dumb = environment.get("TERM", "") in ("", "dumb", "unknown")
    return "plain" if is_dumb else "full"


def _chat_as(
    paths: Paths,
    login: Login,
    wishes: Wishes,
    client_settings: ClientSettings,
    face: FaceName,
) -> Exception | None:
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

    SavedLogins(paths.logins).remember(server, login.user, None)
    start = Start(
        make_link=make_link,
        server=server,
        user=login.user,
        room=wishes.address.room if wishes.address is not None else None,
        paths=paths,
        preferences=make_preferences(paths, client_settings),
        wishes=client_settings,
    )
    gc_tuning.put_off()
    try:
        return asyncio.run(_run(make_face(face, start)))
    finally:
        gc_tuning.begin()


async def _run(face: RunningFace) -> Exception | None:
    asyncio.get_running_loop().call_later(gc_tuning.START_SECONDS, gc_tuning.begin)
    return await face.run()


def make_preferences(paths: Paths, client_settings: ClientSettings) -> Preferences:
    """Return what the client remembers, with what ``client.toml`` says of it."""
    preferences = Preferences(paths)
    form = client_settings.general.time_format
    if form and form != preferences.time_format:
        # What is written in the file counts at each start; /time changes it until then.
        preferences.time_format = form
    return preferences


def make_face(name: FaceName, start: Start) -> RunningFace:
    """Return a face; only the one that is wanted is imported."""
    match name:
        case "full":
            from client.ui.app import FullScreen

            return FullScreen(
                start.make_link,
                start.server,
                start.preferences,
                room=start.room,
                paths=start.paths,
                wishes=start.wishes,
                rung=start.rung(),
                environment=os.environ,
            )
        case "line":
            from client.line.app import LineMode

            return LineMode(
                start.make_link,
                start.server,
                start.preferences,
                room=start.room,
                wishes=start.wishes,
                rung=start.rung(),
                environment=os.environ,
            )
        case "plain":
            from client.plain.app import PlainMode

            return PlainMode(
                start.make_link,
                start.server,
                start.preferences,
                room=start.room,
                wishes=start.wishes,
                rung=start.rung(),
            )
