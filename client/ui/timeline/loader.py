"""Loads what is about to be visible: older pages, gaps, members, the context of a hit.

Of each kind one request per chat is under way at a time, and nothing waits for it: what
arrives changes the model, which is then drawn. What fails is not retried by itself
before the next login, or before the chat is opened again: it would be requested in each
frame.
"""

from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any, Literal

from chatd.protocol.errors import ChatError
from chatd.protocol.messages import History
from chatd.system.tasks import Tasks
from client.errors import LinkError
from client.link.link import Link
from client.model.entries import Gap
from client.ui.timeline.items import NearGap, day_of

PAGE = 100
MAX_PAGES = 200
"""How many pages ``until_day`` loads at most."""

_Key = tuple[Literal["older", "gap", "members"], str]
_Work = Callable[[], Coroutine[Any, Any, bool]]


class Loader:
    """Loads in the background, for one frontend.

    Args:
        link: Loads from the cache first, then from the server.
        on_loaded: Called at the end of each load, also if it failed.
    """

    def __init__(self, link: Link, on_loaded: Callable[[], None]) -> None:
        self._link = link
        self._on_loaded = on_loaded
        self._tasks = Tasks()
        self._loading: set[_Key] = set()
        # What has no more to load, or failed to load.
        self._exhausted: set[_Key] = set()
        self._open: str | None = None

    def older(self, chat: str) -> None:
        """Load the page before the oldest loaded entry, unless there is none."""
        self._start(("older", chat), lambda: self._link.history.load_older(chat, PAGE))

    def fill(self, gap: Gap) -> None:
        """Load entries of a gap, if online."""
        if self._link.state.name == "online":
            self._start(("gap", gap.chat), lambda: self._fill(gap))

    def members(self, chat: str) -> None:
        """Fetch the members of a room, if online."""
        if self._link.state.name == "online":
            self._start(("members", chat), lambda: self._load_members(chat))

    def came_online(self) -> None:
        """Allow again what failed to load, as it may work with a new connection."""
        self._exhausted.clear()

    def opened(self, chat: str) -> None:
        """Allow again what failed to load of a chat, which is the open one now.

        Entries of the chat before, beyond the usual bound, are dropped from memory.
        """
        if self._open is not None and self._open != chat:
            self._link.model.shrink(self._open)
        self._open = chat
        self._exhausted = {key for key in self._exhausted if key[1] != chat}

    async def until_day(
        self, chat: str, day: date, is_wanted: Callable[[], bool]
    ) -> None:
        """Load older pages until a day is complete, or there are no more.

        It also ends after ``MAX_PAGES``, and when a page cannot be loaded.

        Args:
            chat: The address of the chat.
            day: The first day that is wanted.
            is_wanted: Returns whether to go on; called before each page.
        """
        for _ in range(MAX_PAGES):
            found = self._link.model.chats.get(chat)
            entries = found.entries if found is not None else []
            if entries and day_of(entries[0]) < day:
                return
            if not is_wanted():
                return
            if not await _succeeds(self._link.history.load_older(chat, PAGE)):
                return

    async def around(self, chat: str, seq: int) -> bool:
        """Load a message and what is around it; return whether it is loaded now.

        Entries after it may be loaded only when they become visible.
        """
        await _succeeds(self._link.history.load_around(chat, seq))
        found = self._link.model.chats.get(chat)
        return found is not None and found.entry(seq) is not None

    async def close(self) -> None:
        """Cancel all loads, and wait until they have ended."""
        await self._tasks.close()

    # Inside ---------------------------------------------------------------------------

    async def _fill(self, gap: Gap) -> bool:
        # An empty gap is closed by its reply, so it is requested only once.
        link = self._link
        chat = link.model.chats.get(gap.chat)
        if chat is None:
            return True
        # Otherwise the next message would push the oldest loaded entries out again.
        link.model.expect_older(gap.chat, PAGE)
        if not isinstance(gap, NearGap) or not gap.is_from_above:
            await link.history.fill(gap)
            return True
        count = len(chat.entries)
        await link.request(History(chat=gap.chat, after=gap.after, limit=PAGE))
        if len(chat.entries) == count:
            link.model.sever(gap.chat, gap.before)
        return True

    async def _load_members(self, chat: str) -> bool:
        await self._link.load_members(chat)
        return True

    def _start(self, key: _Key, work: _Work) -> None:
        if key not in self._loading and key not in self._exhausted:
            self._loading.add(key)
            self._tasks.spawn(self._load(key, work))

    async def _load(self, key: _Key, work: _Work) -> None:
        try:
            if not await _succeeds(work()):
                self._exhausted.add(key)
        finally:
            # Before the next frame, which may request the next page.
            self._loading.discard(key)
            self._on_loaded()


async def _succeeds(work: Coroutine[Any, Any, bool]) -> bool:
    try:
        return await work
    except (ChatError, LinkError):
        # The status line shows what is wrong with the link.
        return False
