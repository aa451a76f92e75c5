"""Asynchronous iterators for bots: all events, or the entries of chats in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from chatd.protocol.errors import ChatError, TemporaryError
from chatd.protocol.messages import History, HistoryPage, Request, ServerMessage
from client.errors import EventsLostError, NotConnectedError
from client.model.changes import Change, EntriesAdded, LoggedIn, Reset
from client.model.entries import Entry, entry_from_message
from client.model.model import Model

E = TypeVar("E")

MAX_EVENTS = 10_000
MAX_BUFFER = 1_000
_PAGE = 200


class EventStream(Generic[E]):
    """Events from the moment it is made until the link stops, oldest first."""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._events: deque[E] = deque()
        self._max = max_events
        self._wake = asyncio.Event()
        self._end: Exception | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is added."""
        return self._end is not None

    def push(self, event: E) -> None:
        """Add an event; a reader that is too slow gets an error and slows nobody."""
        if self._end is not None:
            return
        if len(self._events) >= self._max:
            self.end(EventsLostError("events came faster than they were read"))
        else:
            self._events.append(event)
            self._wake.set()

    def end(self, error: Exception | None) -> None:
        """End the stream after what is in it, with an error if there is one."""
        if self._end is None:
            self._end = error or StopAsyncIteration()
            self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            if self._end is not None:
                raise self._end
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()


class _ChatPosition:
    """How far one chat was delivered, and what is known to follow."""

    def __init__(self, delivered: int, top: int) -> None:
        self.delivered = delivered
        self.top = top
        self.buffer: deque[Entry] = deque()

    def add(self, entry: Entry) -> None:
        self.top = max(self.top, entry.seq)
        newest = self.buffer[-1].seq if self.buffer else self.delivered
        if entry.seq > newest and len(self.buffer) < MAX_BUFFER:
            self.buffer.append(entry)

    def take(self) -> Entry | None:
        """Return the next entry if it is certain that none is before it."""
        while self.buffer and self.buffer[0].seq <= self.delivered:
            self.buffer.popleft()
        if self.buffer and self.buffer[0].prev <= self.delivered:
            entry = self.buffer.popleft()
            self.delivered = entry.seq
            return entry
        return None


class Inbox:
    """Each entry of each chat once and in order, from the cursor on, nothing missing.

    What was not pushed, or is not buffered, is fetched from the server, so a reader may
    be as slow as it likes and memory stays bounded.

    Args:
        model: For the chats and their cursors.
        request: Sends a request and returns its reply.
        include_own: Whether the user's own entries are wanted.
        include_events: Whether joins, topics and so on are wanted.
    """

    def __init__(
        self,
        model: Model,
        request: Callable[[Request], Awaitable[ServerMessage]],
        *,
        include_own: bool = False,
        include_events: bool = False,
    ) -> None:
        self._model = model
        self._request = request
        self._include_own = include_own
        self._include_events = include_events
        self._places: dict[str, _ChatPosition] = {}
        self._wake = asyncio.Event()
        self._end: Exception | None = None
        self._is_online = model.is_synced
        self._sync_chats()

    def push(self, change: Change) -> None:
        """Handle a change of the model."""
        match change:
            case EntriesAdded() if change.origin in ("live", "backlog"):
                self._sync_chats()
                place = self._places.get(change.chat)
                if place is not None:
                    for entry in change.entries:
                        place.add(entry)
            case LoggedIn():
                self._is_online = True
                self._sync_chats()
            case Reset():
                self._places.clear()
            case _:
                pass
        self._wake.set()

    def end(self, error: Exception | None) -> None:
        """End the stream."""
        self._end = self._end or error or StopAsyncIteration()
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        while True:
            self._wake.clear()
            for chat, place in list(self._places.items()):
                while (entry := place.take()) is not None:
                    if self._is_wanted(entry):
                        return entry
                if place.delivered < place.top and self._is_online:
                    await self._fetch(chat, place)
                    self._wake.set()
            if self._wake.is_set():
                continue
            if self._end is not None:
                raise self._end
            await self._wake.wait()

    def _is_wanted(self, entry: Entry) -> bool:
        if entry.sender == self._model.me and not self._include_own:
            return False
        return entry.is_message or self._include_events

    def _sync_chats(self) -> None:
        for chat in self._model.chats.values():
            place = self._places.get(chat.address)
            if place is None:
                start = max(chat.read, chat.first - 1)
                self._places[chat.address] = _ChatPosition(start, chat.last)
            else:
                place.top = max(place.top, chat.last)
        for address in self._places.keys() - self._model.chats.keys():
            del self._places[address]

    async def _fetch(self, chat: str, place: _ChatPosition) -> None:
        try:
            page = await self._request(
                History(chat=chat, after=place.delivered, limit=_PAGE)
            )
        except NotConnectedError:
            self._is_online = False  # until the next login
            return
        except TemporaryError as error:
            await asyncio.sleep((error.retry_after_ms or 1_000) / 1_000)
            return
        except ChatError:
            place.top = place.delivered  # not ours any more
            return
        if not isinstance(page, HistoryPage):
            return
        place.buffer.clear()
        first = True
        for message in page.messages:
            entry = entry_from_message(message, chat)
            if first and entry.prev > place.delivered:
                # The page is what follows: the server has nothing in between.
                place.delivered = entry.prev
            first = False
            place.add(entry)
        if not page.messages:
            place.delivered = place.top
