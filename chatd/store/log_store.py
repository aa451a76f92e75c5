"""The logs of a store: appending, following, reading; and its cursors."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TypeVar

from chatd.protocol.entries import Draft, Entry
from chatd.store.commands import Command
from chatd.store.jobs import Append
from chatd.store.values import Change, Effect

T = TypeVar("T")

# Called on the event loop with everything that one commit made visible.
Follower = Callable[[list[Effect]], None]


class Executor(ABC):
    """Carries out commands, in the order of the calls."""

    @abstractmethod
    async def execute(self, command: Command[T]) -> T:
        """Carry out a command, and return its outcome once it is on stable storage.

        Raises:
            ChatError: See the command; or that it could not be stored.
        """


class LogStore(Executor):
    """The logs of the chats."""

    log_id: str

    @abstractmethod
    def set_follower(self, follower: Follower) -> None:
        """Set the callback that is given what every commit made visible.

        Those are the committed entries of followed chats, and of all chats those by
        which a user gains the chat; and every other effect.
        """

    @abstractmethod
    def follow(self, chat: int) -> None:
        """Give the follower the chat's entries from now on; calls are counted."""

    @abstractmethod
    def unfollow(self, chat: int) -> None:
        """Undo one ``follow``."""

    @abstractmethod
    def append_nowait(self, append: Append) -> None:
        """Queue an entry for the next commit; ``append.on_done`` reports the outcome.

        Appends are committed in the order of these calls. If a commit fails, all that
        were queued by then fail with it.
        """

    async def append(
        self, chat: int, draft: Draft, change: Change | None = None
    ) -> Append:
        """Append an entry and wait until it is on stable storage.

        Raises:
            KeyReusedError: The key stands for a different content.
            ChatError: The change is not possible, see its class.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        append = Append(chat, draft, lambda _: _settle(done), change)
        self.append_nowait(append)
        await done
        if append.error is not None:
            raise append.error
        return append

    @abstractmethod
    async def read(
        self, chat: int, after: int, limit: int, max_bytes: int | None = None
    ) -> list[Entry]:
        """Return the oldest entries with a seq over ``after``, oldest first.

        With ``max_bytes``, no more than so many bytes of tails, but at least one entry
        if there is any.
        """

    @abstractmethod
    async def history(
        self,
        chat: int,
        before: int | None,
        limit: int,
        first: int = 0,
        max_bytes: int | None = None,
    ) -> list[Entry]:
        """Return the newest entries below ``before`` (None: of all), oldest first.

        Entries below ``first`` are left out; ``max_bytes`` is as for ``read``.
        """

    @abstractmethod
    async def tail(self, chat: int, count: int) -> int:
        """Return the seq after which the newest ``count`` entries are, for ``read``."""

    @abstractmethod
    async def count(self, chat: int, after: int, user: str, cap: int) -> int:
        """Return how many messages others than ``user`` wrote after ``after``.

        Messages are the entries of a kind in ``MESSAGE_KINDS``; at most ``cap`` are
        counted.
        """

    @abstractmethod
    async def heads(self, chats: Iterable[int]) -> dict[int, int]:
        """Return the newest seq of each chat, 0 where it is empty."""


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
