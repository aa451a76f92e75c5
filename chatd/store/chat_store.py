"""The chats of a store: rooms and direct chats, members, invitations, cursors."""

from abc import abstractmethod

from chatd.store.cursors import Cursors
from chatd.store.log_store import Executor
from chatd.store.values import (
    ChatInfo,
    ChatState,
    Invitation,
    Membership,
    RoomSummary,
)


class ChatStore(Executor):
    """The chats, and who is in them."""

    def __init__(self) -> None:
        super().__init__()
        self._cursors = Cursors(self.execute)

    @abstractmethod
    async def find_room(self, name: str) -> ChatInfo | None:
        """Return a room by its name."""

    @abstractmethod
    async def chats_of(self, user: str) -> list[ChatState]:
        """Return all of a user's chats that have entries, in no particular order."""

    @abstractmethod
    async def chat_of(self, user: str, chat: int) -> ChatState | None:
        """Return one chat as ``user`` has it; None if ``user`` is not a member."""

    @abstractmethod
    async def members(
        self, chat: int, after: str | None, limit: int
    ) -> list[Membership]:
        """Return members, sorted by name, after the name ``after``."""

    @abstractmethod
    async def rooms(self, after: str | None, limit: int) -> list[RoomSummary]:
        """Return public rooms, sorted by name, after the name ``after``."""

    @abstractmethod
    async def invitations_of(self, user: str) -> list[Invitation]:
        """Return the user's invitations, sorted by room."""

    def advance(self, chat: int, user: str, seq: int) -> None:
        """Move a cursor forward; written soon, and by ``close`` at the latest."""
        self._cursors.advance(chat, user, seq)

    async def flush_cursors(self) -> None:
        """Write the cursors that have moved.

        Raises:
            TemporaryError: They could not be written, and are kept.
        """
        await self._cursors.flush()
