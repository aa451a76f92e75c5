"""Start of the interactive chat: the first run's questions, then a frontend."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from chatd.protocol.errors import AuthFailedError
from client.cli import gc_tuning
from client.cli.first_run import PROGRAM, FirstRun, Login, Options
from client.cli.questions import NoAnswerError, TerminalQuestions
from client.config.config_file import ClientConfig, client_file, load_client_file
from client.errors import NoLoginError, UnknownKeyError
from client.frontend.runtime import Runtime
from client.link.link import Link
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.notify.notifier import Notified
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.storage.saved_logins import SavedLogins

FrontendName = Literal["full", "line", "plain"]


class RunningFrontend(Protocol):
    """A frontend that can be run, from the first line to the end of the program."""

    async def run(self) -> Exception | None:
        """Run until the user quits; return what stopped the link, if that was why."""


def chat(paths: Paths, options: Options, frontend: FrontendName | None = None) -> None:
    """Chat until the user quits.

    Args:
        paths: Where the client's files are.
        options: What was given on the command line.
        frontend: Which one to run; None for the one that suits the terminal.

    Raises:
        NoAnswerError: There is no terminal, or a question was not answered.
        LinkError: The server cannot be used, or is not the one it should be; or
            ``client.toml`` has a mistake in it.
        ChatError: The server refused the login.
    """
    if frontend != "plain" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoAnswerError(
            "chatting needs a terminal; for scripts there are chat send, chat tail and "
            "more: chat --help"
        )
    frontend = frontend or default_frontend(os.environ)
    config = load_client_file(client_file(paths))
    setup = FirstRun(paths, options, TerminalQuestions())
    login = setup.remembered() or setup.run()
    error = _chat_as(paths, login, options, config, frontend)
    has_token = SavedLogins(paths.logins).token(str(login.address), login.user)
    is_over = isinstance(error, AuthFailedError | NoLoginError) and not has_token
    if is_over or isinstance(error, UnknownKeyError):
        # The remembered login or key is not valid any more: ask anew, for the same
        # server and user, and start again.
        setup.questions.say(f"{error}.")
        again = msgspec.structs.replace(options, address=login.address, user=login.user)
        login = FirstRun(paths, again, setup.questions).run()
        error = _chat_as(paths, login, options, config, frontend)
    if error is not None:
        raise error


def default_frontend(environment: Mapping[str, str]) -> FrontendName:
    """Return the default frontend: plain mode where the terminal cannot be drawn on."""
    is_dumb = environment.get("TERM", "") in ("", "dumb", "unknown")
    return "plain" if is_dumb else "full"


def _chat_as(
    paths: Paths,
    login: Login,
    options: Options,
    config: ClientConfig,
    frontend: FrontendName,
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
    runtime = Runtime(
        make_link=make_link,
        server=server,
        room=options.address.room if options.address is not None else None,
        paths=paths,
        preferences=make_preferences(paths, config),
        config=config,
        notified=make_notified(paths, server, login.user),
        environment=os.environ,
    )
    gc_tuning.disable()
    try:
        return asyncio.run(_run(make_frontend(frontend, runtime)))
    finally:
        gc_tuning.begin()


async def _run(frontend: RunningFrontend) -> Exception | None:
    asyncio.get_running_loop().call_later(gc_tuning.START_SECONDS, gc_tuning.begin)
    return await frontend.run()


def make_preferences(paths: Paths, config: ClientConfig) -> Preferences:
    """Return the remembered preferences, with those of ``client.toml`` applied."""
    preferences = Preferences(paths)
    form = config.general.time_format
    if form and form != preferences.time_format:
        # The file applies at each start; /time changes the format until the next one.
        preferences.time_format = form
    return preferences


def make_notified(paths: Paths, server: str, user: str) -> Notified:
    """Return what the user was notified of before, in all processes."""
    return Notified(paths.state / "rung.json", server, user)


def make_frontend(name: FrontendName, runtime: Runtime) -> RunningFrontend:
    """Return a frontend; only the one that is wanted is imported."""
    match name:
        case "full":
            from client.ui.app import FullScreen

            return FullScreen(runtime)
        case "line":
            from client.line.app import LineMode

            return LineMode(runtime)
        case "plain":
            from client.plain.app import PlainMode

            return PlainMode(runtime)
