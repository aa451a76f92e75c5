"""What the commands for scripts share: the login, a link for their work, the output.

Their status goes to stderr; stdout has nothing but what was asked for.
"""

import asyncio
import functools
import os
import platform
import stat
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TextIO, TypeVar

import click

from chatd.system.tasks import race
from client.cli.chat_io import Printer
from client.cli.first_run import PROGRAM, FirstRun, Login, Options
from client.cli.options import ADDRESS, identity, password_source, with_plain_errors
from client.cli.questions import TerminalQuestions
from client.cli.script_status import ScriptStatus
from client.errors import NotConnectedError
from client.link.link import Link
from client.model.changes import Change
from client.net.address import ServerAddress
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.text.entries import Look

if sys.platform != "win32":
    import fcntl

R = TypeVar("R")


class Script:
    """A command for scripts, while it is executed.

    Args:
        server: The server that was named, None for the last one.
        user: The user that was named.
        password_command: Prints the password.

    Attributes:
        paths: Where the client's files are.
        status: Reports to the user on stderr.
    """

    def __init__(
        self,
        server: ServerAddress | None,
        user: str | None,
        password_command: str | None,
    ) -> None:
        self.paths = Paths.from_environment()
        self.status = ScriptStatus()
        self._options = Options(
            address=server, user=user, password=password_source(password_command)
        )

    def printer(self, is_json: bool) -> Printer:
        """Return a printer to stdout, with times in the user's format."""
        look = Look(time_format=Preferences(self.paths).time_format)
        return Printer(sys.stdout, look, is_json)

    def run(
        self,
        work: Callable[[Link], Awaitable[R]],
        *,
        is_waiting: bool = True,
        on_change: Callable[[Change], None] | None = None,
        **options: Any,
    ) -> R:
        """Start a link, run ``work`` over it, close it, and return what it returned.

        Args:
            work: Called with the link.
            is_waiting: Whether to wait until the link is online before.
            on_change: Called with each change.
            options: Further arguments of the ``Link``.

        Raises:
            ChatError: The login was refused, or what ``work`` raises.
            LinkError: See ``client.errors``.
        """
        login = self._login()
        return asyncio.run(self._run(login, work, is_waiting, on_change, options))

    def _login(self) -> Login:
        """Return the login: remembered, with a given password, or asked for."""
        options = self._options
        setup = FirstRun(self.paths, options, TerminalQuestions())
        found = setup.remembered()
        if found is not None:
            return found
        if options.user is None and options.password is not None:
            raise click.UsageError("with a password a name is needed too: --user NAME")
        return setup.run()

    async def _run(
        self,
        login: Login,
        work: Callable[[Link], Awaitable[R]],
        is_waiting: bool,
        on_change: Callable[[Change], None] | None,
        options: dict[str, Any],
    ) -> R:
        server = str(login.address)

        def changed(change: Change) -> None:
            self.status.changed(change)
            if on_change is not None:
                on_change(change)

        link = Link(
            login.address,
            login.user,
            password=login.password,
            paths=self.paths,
            device=platform.node() or None,
            program=PROGRAM,
            on_change=changed,
            on_state=lambda state: self.status.state_changed(server, state),
            **{"sync": "none", **options},
        )
        link.start()
        try:
            if is_waiting:
                await link.wait_online()
            return await work(link)
        finally:
            await link.close()
            self.status.clear()


def for_pipes(function: Callable[..., None]) -> Callable[..., Any]:
    """Give a command its ``Script``, the common options, and error reporting."""

    @functools.wraps(function)
    def execute(
        server: ServerAddress | None,
        user: str | None,
        password_command: str | None,
        **given: Any,
    ) -> None:
        function(Script(server, user, password_command), **given)

    option = click.option(
        "--server",
        type=ADDRESS,
        metavar="ADDRESS",
        help="The server, if it is not the one you were at last.",
    )
    return option(identity(with_plain_errors(execute)))


async def while_linked(
    link: Link, work: Coroutine[Any, Any, R], *guards: Coroutine[Any, Any, None]
) -> R:
    """Return what ``work`` returns, unless the link stops for good before.

    Args:
        link: Started.
        work: Cancelled if something else comes to an end first.
        guards: What else ends the work, by raising.

    Raises:
        ChatError: The login was refused, or what ``work`` raises.
        LinkError: The link was stopped.
    """
    found: list[R] = []

    async def working() -> None:
        found.append(await work)

    await race(working(), _until_stopped(link), *guards)
    if not found:
        raise NotConnectedError("the link was closed")
    return found[0]


async def _until_stopped(link: Link) -> None:
    """Wait until the link stops for good, and raise the reason."""
    async for _ in link.events():
        pass


async def until_unread(out: TextIO) -> None:
    """Raise BrokenPipeError once the reader of a pipe is gone.

    Writing to it would raise it too, but only when there is something to write. An
    output that is no pipe has no reader to lose: then this waits for ever.
    """
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    watched = _write_end(out)
    if watched is not None:
        loop.add_reader(watched, closed.set)
    try:
        await closed.wait()
    finally:
        if watched is not None:
            loop.remove_reader(watched)
    raise BrokenPipeError("nobody reads the output any more")


def _write_end(out: TextIO) -> int | None:
    """Return the descriptor of an output that is a pipe's write end, else None.

    Such a descriptor becomes readable only when the last reader is gone.
    """
    if sys.platform == "win32":
        return None
    try:
        number = out.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(number).st_mode)
        access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, ValueError):
        return None
    return number if is_pipe and access == os.O_WRONLY else None
