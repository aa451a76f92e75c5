"""Loads pages of history: older entries, and those that fill gaps."""

import asyncio
from collections.abc import Callable

from chatd.protocol.errors import ChatError
from chatd.protocol.messages import History, HistoryPage
from client.errors import NotConnectedError
from client.model.changes import Change, EntriesAdded
from client.model.entries import Entry, Gap
from client.model.model import Model
from client.net.session import Session
from client.storage.cache import Cache

PAGE = 200
MAX_PAGES = 5
"""How many pages of a gap are filled automatically; the rest is loaded on demand."""


class HistoryLoader:
    """Loads entries into the model: from the cache at once, else from the server.

    Args:
        model: What the entries are loaded into.
        cache: The entries that this device has.
        emit: Called with each list of changes.
    """

    def __init__(
        self, model: Model, cache: Cache, emit: Callable[[list[Change]], None]
    ) -> None:
        self._model = model
        self._cache = cache
        self._emit = emit
        self._session: Session | None = None
        self._suspects: dict[str, None] = {}
        # Gaps that are not filled automatically: too long, or the server refused.
        self._left: set[Gap] = set()
        self._wake = asyncio.Event()

    def load_cached(self, chat: str, count: int = 100) -> None:
        """Put the newest cached entries of a chat into the model, at once."""
        entries = self._cache.newest(chat, count)
        self._emit(self._model.load_entries(chat, entries))

    async def load_older(self, chat: str, count: int = 50) -> bool:
        """Load entries before the oldest in the model; return whether there were any.

        Raises:
            NotConnectedError: They are not in the cache, and there is no connection.
            ChatError: The server refused.
        """
        found = self._model.chats.get(chat)
        older = None if found is None else found.older()
        if found is None or older is None:
            return False
        self._model.expect_older(chat, count)
        if self._load_from_cache(chat, older.before, count):
            return True
        if await self._page(chat, older.before, min(count, PAGE)):
            return True
        if found.entries:
            self._model.sever(chat, found.entries[0].seq)
        return False

    async def load_around(self, chat: str, seq: int, count: int = 100) -> bool:
        """Load an entry and those around it; return whether the model has it then.

        Raises:
            NotConnectedError: It is not in the cache, and there is no connection.
            ChatError: The server refused.
        """
        found = self._model.chats.get(chat)
        if found is None:
            return False
        if found.entry(seq) is not None:
            return True
        self._model.expect_older(chat, count)
        half = max(1, count // 2)
        cached = _unbroken(
            self._cache.older(chat, seq + 1, half), self._cache.newer(chat, seq, half)
        )
        if cached and any(entry.seq == seq for entry in cached):
            self._emit(self._model.load_entries(chat, cached))
        else:
            await self._page(chat, seq + 1, half)
        return found.entry(seq) is not None

    async def fill(self, gap: Gap, count: int = PAGE) -> bool:
        """Load the newest entries of a gap; return whether there were any.

        Raises:
            NotConnectedError: There is no connection.
            ChatError: The server refused.
        """
        before = len(self._model.chats[gap.chat].entries)
        await self._page(gap.chat, gap.before, min(count, PAGE))
        chat = self._model.chats.get(gap.chat)
        if chat is None or len(chat.entries) > before:
            return chat is not None
        self._model.sever(gap.chat, gap.before)
        return False

    def search_cached(self, chat: str, text: str, count: int) -> list[Entry]:
        """Return the cached messages of a chat that contain a text, newest first.

        Only the end of a long chat is searched, so that this is quick.
        """
        return self._cache.search(chat, text, count)

    async def search_all_cached(self, chat: str, text: str, count: int) -> list[Entry]:
        """Search likewise, but further back, in a thread; see ``Cache.search_all``."""
        return await asyncio.to_thread(self._cache.search_all, chat, text, count)

    def has_more_to_search(self, chat: str) -> bool:
        """Whether there is more than ``search_cached`` searches."""
        return self._cache.has_more_to_search(chat)

    def suspect(self, changes: list[Change]) -> None:
        """Note the chats in which new entries left a gap, for ``keep_whole``."""
        for change in changes:
            if isinstance(change, EntriesAdded) and self._has_gap(change):
                self._suspects[change.chat] = None
                self._wake.set()

    async def keep_whole(self, session: Session) -> None:
        """Fill gaps automatically, the newest first, until cancelled."""
        self._session = session
        try:
            while True:
                while self._suspects:
                    await self._fill_chat(next(iter(self._suspects)))
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._session = None

    def _has_gap(self, change: EntriesAdded) -> bool:
        chat = self._model.chats.get(change.chat)
        if chat is None or change.origin == "history":
            return False
        places = (chat.index(entry.seq) for entry in change.entries)
        return any(
            0 < i < len(chat.entries) and chat.begins_after_gap(i) for i in places
        )

    async def _fill_chat(self, address: str) -> None:
        chat = self._model.chats.get(address)
        gaps = [] if chat is None else chat.gaps()
        gaps = [gap for gap in gaps if gap not in self._left]
        if not gaps:
            self._suspects.pop(address, None)
            return
        gap = gaps[-1]
        for _ in range(MAX_PAGES):
            try:
                if not await self.fill(gap):
                    break
            except ChatError:
                self._left.add(gap)
                return
            rest = [
                g
                for g in self._model.chats[address].gaps()
                if g.after == gap.after and g.before <= gap.before
            ]
            if not rest:
                return
            gap = rest[0]
        self._left.add(gap)

    def _load_from_cache(self, chat: str, before: int, count: int) -> bool:
        entries = self._cache.older(chat, before, count)
        whole = self._joined_to(chat, entries)
        if not whole and self._session is None:
            whole = entries  # with a gap, but offline that is all there is
        if not whole:
            return False
        self._emit(self._model.load_entries(chat, whole))
        return True

    def _joined_to(self, chat: str, entries: list[Entry]) -> list[Entry]:
        """Return the cached entries that lead up to the model's oldest, unbroken."""
        found = self._model.chats[chat]
        expected = found.entries[0].prev if found.entries else found.last
        start = len(entries)
        while start > 0 and entries[start - 1].seq == expected:
            start -= 1
            expected = entries[start].prev
        return entries[start:]

    async def _page(self, chat: str, before: int, count: int) -> bool:
        if self._session is None:
            raise NotConnectedError("older messages can be loaded once online again")
        page = await self._session.request(
            History(chat=chat, before=before, limit=count)
        )
        if not isinstance(page, HistoryPage):
            return False
        self._emit(self._model.apply(page))
        return bool(page.messages)


def _unbroken(before: list[Entry], after: list[Entry]) -> list[Entry]:
    """Return the entries around a seq that follow each other without a gap."""
    entries = before[-1:]
    for entry in reversed(before[:-1]):
        if entries[0].prev != entry.seq:
            break
        entries.insert(0, entry)
    for entry in after:
        if not entries or entry.prev != entries[-1].seq:
            break
        entries.append(entry)
    return entries
