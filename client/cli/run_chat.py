"""The chat commands for scripts, executed: from a login to the end of the process.

Each ``run_`` function opens a link, does its work and closes the link. Its status goes
to stderr; stdout has nothing but what was asked for.
"""

import asyncio
import json
import os
import platform
import stat
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TextIO, TypeVar

from chatd.text.safe import clean, pad, width
from client.cli import chat_io
from client.cli.first_run import PROGRAM, Login
from client.cli.script_status import ScriptStatus
from client.link.link import Link
from client.model.changes import Change
from client.storage.paths import Paths
from client.storage.preferences import Preferences
from client.text.entries import Look

if sys.platform != "win32":
    import fcntl

R = TypeVar("R")


def run_send(
    paths: Paths,
    login: Login,
    chat: str,
    texts: Sequence[str],
    timeout_seconds: float | None,
) -> None:
    """Send messages; return once all are confirmed.

    Raises:
        TimeoutError: Not confirmed in time.
        ChatError: A message or the login was refused.
        LinkError: See ``client.errors``.
    """

    async def work(link: Link) -> None:
        await chat_io.send(link, chat, texts, timeout_seconds)

    asyncio.run(with_link(paths, login, work, is_waiting=False))


def run_history(
    paths: Paths, login: Login, chat: str, *, is_json: bool, **bounds: int | None
) -> None:
    """Print entries of a chat; ``bounds`` are those of ``chat_io.history``."""

    async def work(link: Link) -> None:
        await chat_io.history(link, chat, printer_for(paths, is_json), **bounds)

    asyncio.run(with_link(paths, login, work))


def run_tail(
    paths: Paths,
    login: Login,
    chat: str,
    *,
    is_json: bool,
    count: int | None,
    since_ms: int | None,
) -> None:
    """Print the last entries of a chat, then new ones, until interrupted."""

    async def follow() -> None:
        wake = asyncio.Event()

        def changed(change: Change) -> None:
            if chat_io.wakes(change, chat):
                wake.set()

        async def work(link: Link) -> None:
            printer = printer_for(paths, is_json)
            printing = chat_io.tail(
                link, chat, printer, wake, count=count, since_ms=since_ms
            )
            await while_linked(link, printing, _until_unread(sys.stdout))

        await with_link(paths, login, work, sync="ask", on_change=changed)

    asyncio.run(follow())


def run_rooms(paths: Paths, login: Login, is_json: bool) -> None:
    """Print the public rooms."""

    async def work(link: Link) -> None:
        rooms = await chat_io.list_rooms(link)
        size = max((width(clean(room.room)) for room in rooms), default=0)
        out = printer_for(paths, is_json)
        for room in rooms:
            if is_json:
                members = {
                    "room": room.room,
                    "members": room.members,
                    "topic": room.topic,
                    "joined": room.room in link.model.chats,
                }
                out.line(json.dumps(members))
                continue
            mark = "*" if room.room in link.model.chats else " "
            name, topic = pad(clean(room.room), size), clean(room.topic)
            out.line(f"{mark} {name}  {room.members:>5}  {topic}".rstrip())

    asyncio.run(with_link(paths, login, work))


def run_who(paths: Paths, login: Login, room: str | None, is_json: bool) -> None:
    """Print the users in a room, or in any of the user's chats, with their status."""

    async def work(link: Link) -> None:
        people = await chat_io.list_people(link, room)
        size = max((width(clean(name)) for name in people), default=0)
        out = printer_for(paths, is_json)
        for name, status in sorted(people.items()):
            if is_json:
                out.line(json.dumps({"user": name, "status": status}))
            else:
                out.line(f"{pad(clean(name), size)}  {clean(status)}")

    asyncio.run(with_link(paths, login, work))


async def with_link(
    paths: Paths,
    login: Login,
    work: Callable[[Link], Awaitable[None]],
    *,
    is_waiting: bool = True,
    on_change: Callable[[Change], None] | None = None,
    stderr: ScriptStatus | None = None,
    **options: Any,
) -> None:
    """Start a link, run ``work`` over it, and close it.

    Args:
        paths: Where the client's files are.
        login: The server and the user.
        work: Called with the link.
        is_waiting: Whether to wait until the link is online before.
        on_change: Called with each change.
        stderr: Reports the status to the user; None makes one.
        options: Further arguments of the ``Link``.

    Raises:
        ChatError: The login was refused, or what ``work`` raises.
        LinkError: See ``client.errors``.
    """
    said = stderr or ScriptStatus()
    server = str(login.address)

    def changed(change: Change) -> None:
        said.changed(change)
        if on_change is not None:
            on_change(change)

    link = Link(
        login.address,
        login.user,
        password=login.password,
        paths=paths,
        device=platform.node() or None,
        program=PROGRAM,
        on_change=changed,
        on_state=lambda state: said.state_changed(server, state),
        **{"sync": "none", **options},
    )
    link.start()
    try:
        if is_waiting:
            await link.wait_online()
        await work(link)
    finally:
        await link.close()
        said.clear()


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
    working = asyncio.create_task(work)
    guarding = [asyncio.create_task(each) for each in (_until_stopped(link), *guards)]
    tasks: list[asyncio.Task[Any]] = [working, *guarding]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        return await working
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_stopped(link: Link) -> None:
    """Wait until the link stops for good, and raise the reason."""
    async for _ in link.events():
        pass


async def _until_unread(out: TextIO) -> None:
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


def printer_for(paths: Paths, is_json: bool) -> chat_io.Printer:
    """Return a printer to stdout, with times in the user's format."""
    look = Look(time_format=Preferences(paths).time_format)
    return chat_io.Printer(sys.stdout, look, is_json)
