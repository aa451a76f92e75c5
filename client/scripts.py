"""The commands for scripts, from a login to the end of the process.

Each ``run_`` function opens a link, does its work and closes the link. What a person
should know meanwhile goes to stderr; stdout has nothing but what was asked for.
"""

import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from client import pipes
from client.changes import Change, ItemChanged
from client.formatting import Look
from client.link import Link, LinkState
from client.paths import Paths
from client.settings import Settings
from client.setup import PROGRAM, Login
from client.text import clean, pad, width


def run_send(
    paths: Paths,
    login: Login,
    chat: str,
    texts: Sequence[str],
    timeout_seconds: float | None,
) -> None:
    """Send messages; return once all are confirmed.

    Raises:
        TimeoutError: Not in time.
        ChatError: One was refused, or the login.
        LinkError: See ``client.errors``.
    """

    async def work(link: Link) -> None:
        await pipes.send(link, chat, texts, timeout_seconds)

    told = _WaitsOnStderr().changed
    asyncio.run(_with_link(paths, login, work, is_waiting=False, on_change=told))


def run_history(
    paths: Paths, login: Login, chat: str, *, is_json: bool, **bounds: int | None
) -> None:
    """Print a part of a chat; ``bounds`` are those of ``pipes.history``."""

    async def work(link: Link) -> None:
        await pipes.history(link, chat, _printer(paths, is_json), **bounds)

    asyncio.run(_with_link(paths, login, work))


def run_tail(
    paths: Paths,
    login: Login,
    chat: str,
    *,
    is_json: bool,
    count: int | None,
    since_ms: int | None,
) -> None:
    """Print the end of a chat, and what comes, until interrupted."""

    async def follow() -> None:
        wake = asyncio.Event()

        def changed(change: Change) -> None:
            if pipes.wakes(change, chat):
                wake.set()

        async def work(link: Link) -> None:
            printer = _printer(paths, is_json)
            printing = asyncio.create_task(
                pipes.tail(link, chat, printer, wake, count=count, since_ms=since_ms)
            )
            ending = asyncio.create_task(_until_stopped(link))
            tasks = (printing, ending)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        await _with_link(paths, login, work, sync="ask", on_change=changed)

    asyncio.run(follow())


def run_rooms(paths: Paths, login: Login, is_json: bool) -> None:
    """Print the public rooms."""

    async def work(link: Link) -> None:
        rooms = await pipes.list_rooms(link)
        size = max((width(clean(room.room)) for room in rooms), default=0)
        out = _printer(paths, is_json)
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

    asyncio.run(_with_link(paths, login, work))


def run_who(paths: Paths, login: Login, room: str | None, is_json: bool) -> None:
    """Print who is in a room, or in any chat."""

    async def work(link: Link) -> None:
        people = await pipes.list_people(link, room)
        size = max((width(clean(name)) for name in people), default=0)
        out = _printer(paths, is_json)
        for name, status in sorted(people.items()):
            if is_json:
                out.line(json.dumps({"user": name, "status": status}))
            else:
                out.line(f"{pad(clean(name), size)}  {clean(status)}")

    asyncio.run(_with_link(paths, login, work))


async def _with_link(
    paths: Paths,
    login: Login,
    work: Callable[[Link], Awaitable[None]],
    *,
    is_waiting: bool = True,
    **options: Any,
) -> None:
    link = Link(
        login.address,
        login.user,
        password=login.password,
        paths=paths,
        device=platform.node() or None,
        program=PROGRAM,
        on_state=_StateOnStderr(str(login.address)).changed,
        **{"sync": "none", **options},
    )
    link.start()
    try:
        if is_waiting:
            await link.wait_online()
        await work(link)
    finally:
        await link.close()


async def _until_stopped(link: Link) -> None:
    """Raise what stops the link for good."""
    async for _ in link.events():
        pass


class _StateOnStderr:
    """Says on stderr, once for each outage, that the server is not there."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._is_told = False

    def changed(self, state: LinkState) -> None:
        if state.name == "waiting" and not self._is_told:
            self._is_told = True
            _say(f"chat: {state.reason}; trying again until it works")
        elif state.name == "online" and self._is_told:
            self._is_told = False
            _say(f"chat: {self._server} is back")


class _WaitsOnStderr:
    """Says on stderr, once, why the server lets a message wait."""

    def __init__(self) -> None:
        self._is_told = False

    def changed(self, change: Change) -> None:
        if self._is_told or not isinstance(change, ItemChanged):
            return
        if change.item.state == "waiting" and change.item.reason:
            self._is_told = True
            _say(f"chat: {change.item.reason}; the rest is sent as soon as it may be")


def _say(text: str) -> None:
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


def _printer(paths: Paths, is_json: bool) -> pipes.Printer:
    look = Look(time_format=Settings(paths).time_format)
    return pipes.Printer(sys.stdout, look, is_json)
