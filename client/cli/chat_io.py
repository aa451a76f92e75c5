"""Chat operations of scripts: send, tail, history, rooms and who, over a link.

Each function does one thing over a link and returns, or raises; ``client.cli.options``
turns errors into sentences and exit statuses. Lines are written one by one and flushed.
Nothing here, and nothing that it imports, knows of a screen.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TextIO

from msgspec import Struct

from chatd.protocol.messages import (
    MAX_ID,
    History,
    HistoryPage,
    RoomInfo,
    Rooms,
    RoomsPage,
    Whois,
    WhoisReply,
)
from chatd.system.tasks import Tasks
from chatd.text.safe import clean, pad, width
from client.errors import NotConnectedError, PeerError
from client.link.link import Link
from client.model.changes import Change, EntriesAdded, LoggedIn, Reset
from client.model.entries import Entry, entry_from_message
from client.text.entries import Look, entry_json, entry_text

PAGE = 200
WINDOW = 32
"""How many messages ``send`` has under way at once."""


class Printer(Struct, frozen=True):
    """Writes entries as lines.

    Attributes:
        out: Where to; each line is flushed.
        look: How times are shown.
        is_json: Whether each entry is written as a JSON object instead.
    """

    out: TextIO
    look: Look = Look()
    is_json: bool = False

    def line(self, text: str) -> None:
        """Write a line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    def entry(self, entry: Entry) -> None:
        """Write an entry."""
        if self.is_json:
            self.line(entry_json(entry))
        else:
            self.line(entry_text(entry, self.look, is_day_shown=True))


async def send(
    link: Link, chat: str, texts: Sequence[str], timeout_seconds: float | None = None
) -> None:
    """Send messages, in order, and return once the server has confirmed each.

    If this fails or is cancelled, what is not confirmed is discarded, not sent later.

    Raises:
        TimeoutError: Not confirmed in time.
        ChatError: One was refused.
        LinkError: The link was stopped.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            for begin in range(0, len(texts), WINDOW):
                window = texts[begin : begin + WINDOW]
                await _send_window(link, chat, window)
    except TimeoutError as error:
        raise TimeoutError(f"not confirmed within {timeout_seconds:g} s") from error


async def _send_window(link: Link, chat: str, texts: Sequence[str]) -> None:
    before = {item.id for item in link.outbox.items}
    try:
        async with Tasks() as tasks:
            sends = [
                tasks.start(link.send_and_wait(chat, text), is_awaited=True)
                for text in texts
            ]
            await asyncio.gather(*sends)
    except BaseException:
        for item in link.outbox.items:
            if item.id not in before:
                link.outbox.discard(item.id)
        raise


async def history(
    link: Link,
    chat: str,
    printer: Printer,
    *,
    count: int | None = 50,
    before: int | None = None,
    after: int | None = None,
    since_ms: int | None = None,
) -> None:
    """Print entries of a chat, oldest first.

    Args:
        link: Online.
        chat: The address.
        printer: Prints them.
        count: The most entries to print: the newest, or with ``after`` the oldest; None
            is all.
        before: Only entries with a lower seq.
        after: Only entries with a higher seq.
        since_ms: Only entries that are not older.
    """
    if after is not None:
        async for entry in _forwards(link, chat, after, count):
            if (before is None or entry.seq < before) and (
                since_ms is None or entry.time_ms >= since_ms
            ):
                printer.entry(entry)
        return
    for entry in await _newest(link, chat, count, before, since_ms):
        printer.entry(entry)


async def tail(
    link: Link,
    chat: str,
    printer: Printer,
    wake: asyncio.Event,
    *,
    count: int | None = None,
    since_ms: int | None = None,
) -> None:
    """Print the last entries of a chat and then new ones, each once, until cancelled.

    Args:
        link: Online; its ``on_change`` sets ``wake`` at each change that ``wakes``.
        chat: The address.
        printer: Prints them.
        wake: Set when there may be something new, or the link is back.
        count: The most existing entries to print; None is 10, or with ``since_ms`` all.
        since_ms: Only entries that are not older.
    """
    if count is None and since_ms is None:
        count = 10
    entries = await _newest(link, chat, count, None, since_ms)
    found = link.model.chats.get(chat)
    last = entries[-1].seq if entries else (found.last if found else 0)
    log = link.model.log
    for entry in entries:
        printer.entry(entry)
    while True:
        wake.clear()
        if link.model.log != log:
            log, last = link.model.log, 0
        for entry in _following(link, chat, last):
            printer.entry(entry)
            last = entry.seq
        try:
            async for entry in _forwards(link, chat, last, None):
                printer.entry(entry)
                last = entry.seq
        except NotConnectedError:
            pass  # continues after the next login
        await wake.wait()


def wakes(change: Change, chat: str) -> bool:
    """Whether ``tail`` has to look at a change."""
    if isinstance(change, EntriesAdded):
        return change.chat == chat and change.origin in ("live", "backlog")
    return isinstance(change, LoggedIn | Reset)


async def list_rooms(link: Link) -> list[RoomInfo]:
    """Return all public rooms."""
    rooms: list[RoomInfo] = []
    while True:
        after = rooms[-1].room if rooms else None
        page = await link.request(Rooms(after=after))
        if not isinstance(page, RoomsPage):
            raise PeerError("the server answers with something else")
        rooms += page.rooms
        if not page.more or not page.rooms:
            return rooms


async def list_people(link: Link, room: str | None = None) -> dict[str, str]:
    """Return the users in a room, or in any of the user's chats, with their status."""
    chats = [room] if room else sorted(link.model.chats)
    people: dict[str, str] = {}
    for chat in chats:
        if chat.startswith("#"):
            for member in await link.load_members(chat):
                people[member.user] = member.status
    for chat in chats:
        if chat.startswith("@") and chat[1:] not in people:
            reply = await link.request(Whois(user=chat[1:]))
            if isinstance(reply, WhoisReply):
                people[reply.user] = reply.status
    return people


async def print_rooms(link: Link, printer: Printer) -> None:
    """Print the public rooms."""
    rooms = await list_rooms(link)
    size = max((width(clean(room.room)) for room in rooms), default=0)
    for room in rooms:
        if printer.is_json:
            members = {
                "room": room.room,
                "members": room.members,
                "topic": room.topic,
                "joined": room.room in link.model.chats,
            }
            printer.line(json.dumps(members))
            continue
        mark = "*" if room.room in link.model.chats else " "
        name, topic = pad(clean(room.room), size), clean(room.topic)
        printer.line(f"{mark} {name}  {room.members:>5}  {topic}".rstrip())


async def print_people(link: Link, room: str | None, printer: Printer) -> None:
    """Print the users in a room, or in any of the user's chats, with their status."""
    people = await list_people(link, room)
    size = max((width(clean(name)) for name in people), default=0)
    for name, status in sorted(people.items()):
        if printer.is_json:
            printer.line(json.dumps({"user": name, "status": status}))
        else:
            printer.line(f"{pad(clean(name), size)}  {clean(status)}")


def _following(link: Link, chat: str, last: int) -> Iterator[Entry]:
    """Yield the entries that the model has right after ``last``, up to a gap."""
    found = link.model.chats.get(chat)
    if found is None:
        return
    for entry in found.entries[found.index(last + 1) :]:
        if entry.prev > last:
            return
        yield entry
        last = entry.seq


async def _forwards(
    link: Link, chat: str, after: int, count: int | None
) -> AsyncIterator[Entry]:
    while count is None or count > 0:
        found = link.model.chats.get(chat)
        if found is not None and link.model.is_synced and found.last <= after:
            return  # no later entry is known: no need to ask
        limit = PAGE if count is None else min(PAGE, count)
        page = await _page(link, History(chat=chat, after=after, limit=limit))
        for message in page.messages:
            yield entry_from_message(message, chat)
            after = message.seq
        if count is not None:
            count -= len(page.messages)
        if not page.more or not page.messages:
            return


async def _newest(
    link: Link,
    chat: str,
    count: int | None,
    before: int | None,
    since_ms: int | None,
) -> list[Entry]:
    entries: list[Entry] = []
    while count is None or len(entries) < count:
        limit = PAGE if count is None else min(PAGE, count - len(entries))
        page = await _page(
            link, History(chat=chat, before=before or MAX_ID, limit=limit)
        )
        found = [entry_from_message(message, chat) for message in page.messages]
        entries[:0] = found
        is_old = bool(found) and since_ms is not None and found[0].time_ms < since_ms
        if is_old or not page.more or not found:
            break
        before = found[0].seq
    return [e for e in entries if since_ms is None or e.time_ms >= since_ms]


async def _page(link: Link, request: History) -> HistoryPage:
    reply = await link.request(request)
    if not isinstance(reply, HistoryPage):
        raise PeerError("the server answers with something else")
    return reply
