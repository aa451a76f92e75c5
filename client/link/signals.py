"""Sends signals, requests without a reply: cursors, typing and the user's status.

Each is sent only so often, and what has to last is sent again after a reconnect.
"""

import asyncio
from collections.abc import Callable, Iterable

from chatd.protocol.messages import Read, Request, SetStatus, Typing
from client.model.chat import Chat

READ_DELAY_SECONDS = 0.05
"""How long the moves of cursors are gathered before they are sent."""


class SignalSender:
    """Sends signals while there is a connection.

    Args:
        tell: Sends a request that has no reply, or does nothing while offline.
        typing_seconds: Least time between two typing signals in one chat.
    """

    def __init__(self, tell: Callable[[Request], None], typing_seconds: float) -> None:
        self._tell = tell
        self._typing_seconds = typing_seconds
        self._reads: dict[str, int] = {}
        self._typed_at: dict[str, float] = {}
        self._status: SetStatus | None = None

    def read(self, chat: str, seq: int) -> None:
        """Send a cursor soon, together with others."""
        if not self._reads:
            loop = asyncio.get_running_loop()
            loop.call_later(READ_DELAY_SECONDS, self.flush)
        self._reads[chat] = seq

    def flush(self) -> None:
        """Send the cursors that were moved, now."""
        reads, self._reads = self._reads, {}
        for chat, seq in reads.items():
            self._tell(Read(chat=chat, seq=seq))

    def typing(self, chat: str, now: float) -> None:
        """Send that the user is typing, unless that was sent just now."""
        last = self._typed_at.get(chat)
        if last is None or now - last >= self._typing_seconds:
            self._typed_at[chat] = now
            self._tell(Typing(chat=chat))

    def keep_status(self, status: SetStatus) -> None:
        """Keep a status that the server accepted, for the next connection."""
        self._status = status

    def disconnected(self) -> None:
        """Forget what belonged to the connection."""
        self._reads.clear()

    def logged_in(self, chats: Iterable[Chat]) -> None:
        """Send what the server does not know, or not any more.

        It has not heard of cursors that were moved while offline, and it forgets a
        user's status with their last connection.
        """
        for chat in chats:
            if chat.read > chat.read_at_server:
                self._tell(Read(chat=chat.address, seq=chat.read))
        if self._status is not None and self._status.status != "online":
            self._tell(self._status)
