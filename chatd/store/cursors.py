"""Cursors that have moved and are not written yet.

A client moves one with every message that it shows. They are kept here and written
together, in one command; until then, queries of cursors have to look here as well.
"""

import logging
from collections.abc import Awaitable, Callable

from chatd.protocol.errors import TemporaryError
from chatd.store.commands import MoveCursors
from chatd.system.tasks import Drain

# How long a moved cursor waits to be written; a crash loses at most this much.
CURSOR_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Cursors:
    """The moved cursors of a store.

    Args:
        write: Carries out the command that writes them.

    Attributes:
        moved: The seqs, by user and chat.
    """

    def __init__(self, write: Callable[[MoveCursors], Awaitable[None]]) -> None:
        self.moved: dict[str, dict[int, int]] = {}
        self._write = write
        self._drain = Drain(self._flush_and_retry, CURSOR_SECONDS)

    async def close(self) -> None:
        """Write them a last time."""
        await self._drain.idle()
        try:
            await self.flush()
        except TemporaryError as error:
            _log.warning("the latest read positions are lost: %s", error.reason)

    def advance(self, chat: int, user: str, seq: int) -> None:
        """Move a cursor forward."""
        mine = self.moved.setdefault(user, {})
        if seq > mine.get(chat, 0):
            mine[chat] = seq
        self._drain.wake()

    async def flush(self) -> None:
        """Write those that have moved."""
        written = [
            (chat, user, seq)
            for user, chats in self.moved.items()
            for chat, seq in chats.items()
        ]
        if not written:
            return
        await self._write(MoveCursors(written))
        for chat, user, seq in written:
            mine = self.moved.get(user)
            if mine is not None and mine.get(chat) == seq:
                del mine[chat]
                if not mine:
                    del self.moved[user]

    async def _flush_and_retry(self) -> None:
        try:
            await self.flush()
        except TemporaryError:
            # They stay in memory: the next move, or ``close``, tries again.
            _log.debug("read positions could not be written yet")
