"""Delivers the logs to one connection: first the backlog, then live entries.

A chat is in one of these states for a connection:

    live        entries are delivered as they are committed
    lagging     some entries were not delivered; ``_lagging`` has the seq of the last
                one that was, and the pump reads the log from there
    ahead       the client has more than the fan-out has passed; ``_ahead`` has the seq
                up to which the fan-out is dropped

All three are the same thing, a position in a log, and a slow reader is nothing but a
connection whose chats fall back to lagging. Nothing is queued for it: the log is the
queue. A chat becomes live in the same step of the loop in which a read, begun after the
chat was followed, has reached what the fan-out has passed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from chatd.protocol.entries import Entry
from chatd.protocol.errors import TemporaryError
from chatd.protocol.messages import ServerMessage, Synced
from chatd.store.log_store import LogStore

T = TypeVar("T")

# Read and delivered at once: a slow reader costs little more than the outbox's limit.
PAGE = 100
PAGE_BYTES = 262_144
RETRY_SECONDS = 1.0
_MAX_LATEST = 10_000


class Delivery:
    """Entries of one chat on their way to connections.

    ``bodies`` and ``encoded`` are caches for listeners: what was encoded for one
    connection serves all others, or all that have the same codec and address the chat
    alike. ``repeat_key_of`` names the user whose own entries carry their keys, as they
    do in a backlog.
    """

    __slots__ = ("bodies", "encoded", "entries", "repeat_key_of")

    def __init__(self, entries: list[Entry], repeat_key_of: str | None = None) -> None:
        self.entries = entries
        self.repeat_key_of = repeat_key_of
        self.bodies: list[bytes] | None = None
        self.encoded: dict[tuple[str, str], Any] = {}


class Sink(Protocol):
    """What a feed writes to: a listener's connection."""

    @property
    def is_full(self) -> bool:
        """Whether more waits to be sent than ``limits.outbox``."""

    async def drained(self) -> None:
        """Wait until it is not full any more.

        Raises:
            ConnectionError: The connection is closed.
        """

    def deliver(self, address: str, delivery: Delivery) -> None:
        """Queue entries of a chat."""

    def push(self, message: ServerMessage) -> None:
        """Queue a push."""


class Position(Protocol):
    """A followed chat, as a feed sees it; ``last`` is what the fan-out has passed."""

    id: int
    last: int

    def address_for(self, user: str) -> str:
        """Return the chat's address as a user sees it."""


class _Lag:
    """How far behind a connection is with a chat.

    ``until`` is the seq of the entry that ended the user's membership, if one did: the
    connection still gets the entries up to it, and then ``farewell``.
    """

    __slots__ = ("chat", "farewell", "position", "until")

    def __init__(self, chat: Position, position: int) -> None:
        self.chat = chat
        self.position = position
        self.until: int | None = None
        self.farewell: ServerMessage | None = None

    @property
    def end(self) -> int:
        """The seq up to which to deliver: never more than the fan-out has passed.

        The log can be a step ahead of the fan-out. Those entries are left to it, since
        it is what ends memberships: after leaving, the user may see nothing more.
        """
        return self.chat.last if self.until is None else self.until


class Feed:
    """Brings a connection up to date with its chats, and keeps it so.

    Args:
        user: The connection's user.
        sink: What to write to.
        store: What to read backlogs from.
        start_task: Starts a task; its owner cancels it at the end.
    """

    __slots__ = (
        "_ahead",
        "_backlog",
        "_closed",
        "_lagging",
        "_latest",
        "_pump_task",
        "_sink",
        "_start_task",
        "_store",
        "_syncing",
        "_user",
        "is_plain",
    )

    def __init__(
        self,
        user: str,
        sink: Sink,
        store: LogStore,
        start_task: Callable[..., "asyncio.Task[None]"],
    ) -> None:
        self._user = user
        self._sink = sink
        self._store = store
        self._start_task = start_task
        self._lagging: dict[int, _Lag] = {}
        self._ahead: dict[int, int] = {}
        self._latest: dict[tuple[str, ...], ServerMessage] = {}
        self._backlog: list[_Lag] = []
        self._syncing = False
        self._closed = False
        self._pump_task: asyncio.Task[None] | None = None
        # All chats are live: entries can be delivered if the sink is not full.
        self.is_plain = True

    def close(self) -> None:
        """Stop; nothing is written afterwards."""
        self._closed = True
        self.is_plain = False
        if self._pump_task is not None:
            self._pump_task.cancel()

    # Registering chats --------------------------------------------------------------

    def begin_sync(self) -> None:
        """Hold back live entries until ``sync`` has delivered the backlog."""
        self._syncing = True
        self.is_plain = False

    def add(self, chat: Position, position: int) -> None:
        """Deliver a chat, which must be followed, from after the seq ``position``.

        Entries after ``position`` that the fan-out has passed already are read from the
        log. A position beyond the fan-out is what the client itself reports to have:
        entries up to it are dropped when the fan-out reaches them.

        If the user left the chat and has come back while its entries were lagging, the
        rest of the earlier membership is dropped and its farewell pushed first.
        """
        lost = self._lagging.pop(chat.id, None)
        if lost is not None and lost.farewell is not None:
            self._sink.push(lost.farewell)
        if position < chat.last:
            lag = self._lagging[chat.id] = _Lag(chat, position)
            if self._syncing:
                self._backlog.append(lag)
        elif position > chat.last:
            self._ahead[chat.id] = position
        self._update_state()

    def remove(self, chat: Position, last: int, farewell: ServerMessage) -> None:
        """Stop delivering a chat that the user has left.

        Args:
            chat: The chat.
            last: The seq of the entry that ended the membership, the last to deliver.
            farewell: What to push after that entry.
        """
        self._ahead.pop(chat.id, None)
        lag = self._lagging.get(chat.id)
        if lag is None:
            self._sink.push(farewell)
        else:
            lag.until = last
            lag.farewell = farewell
        self._update_state()

    async def sync(self, limit: int, re: int | None) -> None:
        """Deliver the backlog, the newest ``limit`` of each chat, then ``synced``."""
        try:
            for lag in self._backlog:
                chat = lag.chat.id
                start = await self._tail(chat, limit)
                lag.position = max(lag.position, start)
                until = lag.end
                while lag.position < until and self._lagging.get(chat) is lag:
                    if self._sink.is_full:
                        await self._sink.drained()
                    await self._pump_page(lag)
                    if self._closed:
                        return
        except ConnectionError:
            self._closed = True
            return
        finally:
            self._backlog = []
        self.end_sync(re)

    def end_sync(self, re: int | None) -> None:
        """Push that the backlog is complete, and go live."""
        if not self._closed:
            self._sink.push(Synced(re=re))
        self._syncing = False
        self._update_state()

    # Fan-out ------------------------------------------------------------------------

    def deliver(self, chat: Position, address: str, delivery: Delivery) -> None:
        """Deliver entries that were just committed, or let the chat fall behind."""
        if self.is_plain and not self._sink.is_full:
            self._sink.deliver(address, delivery)
            return
        if self._closed or chat.id in self._lagging:
            return
        entries = delivery.entries
        position = self._ahead.get(chat.id)
        if position is not None:
            if entries[-1].seq <= position:
                if entries[-1].seq == position:
                    del self._ahead[chat.id]
                    self._update_state()
                return
            del self._ahead[chat.id]
            if entries[0].seq <= position:
                entries = [entry for entry in entries if entry.seq > position]
                delivery = Delivery(entries)
        if self._syncing or self._sink.is_full:
            self._lagging[chat.id] = _Lag(chat, entries[0].prev)
        else:
            self._sink.deliver(address, delivery)
        self._update_state()

    def push_latest(self, subject: tuple[str, ...], message: ServerMessage) -> None:
        """Push a message that replaces earlier ones of its subject (presence, cursors).

        When the connection is slow, only the newest of each subject is kept.
        """
        if self._closed:
            return
        if self._sink.is_full or self._latest:
            if subject in self._latest or len(self._latest) < _MAX_LATEST:
                self._latest[subject] = message
            self._update_state()
        else:
            self._sink.push(message)

    # The pump -----------------------------------------------------------------------

    def _update_state(self) -> None:
        waiting = bool(self._lagging or self._latest)
        self.is_plain = not (waiting or self._ahead or self._syncing or self._closed)
        if waiting and self._pump_task is None and not (self._syncing or self._closed):
            self._pump_task = self._start_task(self._pump())

    async def _pump(self) -> None:
        try:
            while (self._lagging or self._latest) and not self._closed:
                await self._sink.drained()
                latest, self._latest = self._latest, {}
                for message in latest.values():
                    self._sink.push(message)
                if self._lagging:
                    await self._pump_page(next(iter(self._lagging.values())))
        except ConnectionError:
            self._closed = True
        finally:
            self._pump_task = None
            if not self._closed:
                self._update_state()

    async def _pump_page(self, lag: _Lag) -> None:
        chat = lag.chat.id
        entries = await _retry_temporary(
            lambda: self._store.read(chat, lag.position, PAGE, PAGE_BYTES)
        )
        # The user may have left meanwhile, and come back.
        if not self._closed and self._lagging.get(chat) is lag:
            self._pass_on(lag, entries)

    async def _tail(self, chat: int, limit: int) -> int:
        return await _retry_temporary(lambda: self._store.tail(chat, limit))

    def _pass_on(self, lag: _Lag, entries: list[Entry]) -> None:
        end = lag.end
        if entries and entries[-1].seq > end:
            entries = [entry for entry in entries if entry.seq <= end]
        if entries:
            address = lag.chat.address_for(self._user)
            self._sink.deliver(address, Delivery(entries, repeat_key_of=self._user))
            lag.position = entries[-1].seq
        del self._lagging[lag.chat.id]
        if lag.position < end:
            # To the end of the line, so that one busy chat does not starve others.
            self._lagging[lag.chat.id] = lag
        elif lag.farewell is not None:
            self._sink.push(lag.farewell)


async def _retry_temporary(read: Callable[[], Awaitable[T]]) -> T:
    # A temporary failure of a read must not cost a connection its entries.
    while True:
        try:
            return await read()
        except TemporaryError:
            await asyncio.sleep(RETRY_SECONDS)
