"""The interface of every store, and the rules that its callers may rely on.

- ``seq`` is an int that strictly increases within a chat and is otherwise opaque: not
  dense, and not comparable between chats. ``prev`` links an entry to its predecessor.
- An append is answered only once its entry is on stable storage. The same key by the
  same sender in the same chat is answered with the first seq, and stored once.
- Readers are sent what the follower is given: every committed entry of a followed
  chat, in order, exactly once, whichever process appended it. Nothing may assume that
  only one process writes to a chat.
- A read is never silently short: fewer entries than the limit mean that there are no
  more.
- Cursors only move forward and are written lazily: a crash may show an entry again, but
  never skip one.

Every implementation has to pass ``tests/service/store_conformance.py``.

Errors of every write: ``StorageFullError`` (nothing was written),
``UnavailableError`` (the outcome is unknown: ask again with the same key).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from chatd.protocol.entries import Draft, Entry
from chatd.store.values import (
    Append,
    Change,
    ChatInfo,
    ChatState,
    Committed,
    FileRecord,
    FileUsage,
    Invitation,
    Membership,
    RoomSummary,
    Visibility,
)

# Called on the event loop with everything that one commit made visible.
Follower = Callable[[list[Committed]], None]


class Store(ABC):
    """Stores logs, memberships, cursors, records of files, and small records.

    All coroutines may be cancelled: a write that has begun is carried out all the same.
    """

    log_id: str

    @abstractmethod
    async def close(self) -> None:
        """Commit what was accepted, write the cursors, and close the files."""

    # The log ------------------------------------------------------------------------

    @abstractmethod
    def set_follower(self, follower: Follower) -> None:
        """Set the callback that is given the committed entries of followed chats."""

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

    @abstractmethod
    async def append(
        self, chat: int, draft: Draft, change: Change | None = None
    ) -> Append:
        """Append an entry and wait until it is on stable storage.

        Raises:
            KeyReusedError: The key stands for a different content.
            ChatError: The change is not possible, see its class.
        """

    @abstractmethod
    async def find_key(self, chat: int, sender: str, key: str) -> Entry | None:
        """Return the entry that the sender's key stands for in the chat."""

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

    # Chats and members --------------------------------------------------------------

    @abstractmethod
    async def open_direct(self, one: str, other: str) -> ChatInfo:
        """Return the direct chat of two users (or one), created if there was none.

        A direct chat without entries is not listed for its users yet: ``chats_of``
        leaves it out.
        """

    @abstractmethod
    async def create_room(
        self,
        name: str,
        visibility: Visibility,
        topic: str,
        owner: str,
        draft: Draft,
    ) -> tuple[ChatInfo, Append]:
        """Create a room with one member and one entry.

        Raises:
            NameTakenError: There is a room of that name.
        """

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
    def advance(self, chat: int, user: str, seq: int) -> None:
        """Move a cursor forward; written soon, and by ``close`` at the latest."""

    @abstractmethod
    async def flush_cursors(self) -> None:
        """Write the cursors that have moved."""

    # Invitations to rooms -----------------------------------------------------------

    @abstractmethod
    async def invite(self, chat: int, user: str, by: str, cap: int) -> bool:
        """Store an invitation; return False if there was one already.

        Raises:
            TooManyError: The user has ``cap`` invitations already.
        """

    @abstractmethod
    async def uninvite(self, chat: int, user: str) -> bool:
        """Remove an invitation; return whether there was one."""

    @abstractmethod
    async def is_invited(self, chat: int, user: str) -> bool:
        """Return whether the user may join the room."""

    @abstractmethod
    async def invitations_of(self, user: str) -> list[Invitation]:
        """Return the user's invitations, sorted by room."""

    # Files (their contents are elsewhere, see ``chatd.store.blobs``) -----------------

    @abstractmethod
    async def begin_file(self, file: FileRecord, cap: int) -> FileRecord:
        """Store a begun upload; if its chat, owner and key have one, return that.

        Raises:
            TooManyError: The owner has ``cap`` unfinished uploads.
        """

    @abstractmethod
    async def find_file(self, file: str) -> FileRecord | None:
        """Return a file by its id, stored or begun."""

    @abstractmethod
    async def drop_file(self, file: str) -> bool:
        """Delete a begun upload's record; False if there is none, or it is stored."""

    @abstractmethod
    async def files_of(
        self, chat: int, before: int | None, limit: int, first: int = 0
    ) -> list[FileRecord]:
        """Return stored files of a chat below a seq (None: of all), newest first.

        Those with a seq below ``first`` are left out.
        """

    @abstractmethod
    async def file_usage(self, user: str) -> FileUsage:
        """Return how many bytes the files take, those of the user and those of all."""

    @abstractmethod
    async def expire_files(
        self, begun_before_ms: int, stored_before_ms: int, limit: int
    ) -> list[FileRecord]:
        """Delete and return the records of at most ``limit`` expired files.

        Those are uploads begun, and files stored, before the given times.
        """

    @abstractmethod
    async def begun_files(self) -> list[FileRecord]:
        """Return all uploads that are not complete."""

    @abstractmethod
    async def is_content_used(self, sha256: str) -> bool:
        """Whether a stored file has that content."""

    @abstractmethod
    async def contents(self) -> dict[str, int]:
        """Return the SHA-256 of every stored file's content, with its size."""

    # Small records ------------------------------------------------------------------

    @abstractmethod
    async def get_record(self, kind: str, key: str) -> bytes | None:
        """Return the value of a record."""

    @abstractmethod
    async def create_record(self, kind: str, key: str, value: bytes) -> bool:
        """Create a record; False if there is one: of several callers, one wins."""

    @abstractmethod
    async def replace_record(
        self, kind: str, key: str, old: bytes, new: bytes | None
    ) -> bool:
        """Change a record from ``old`` to ``new`` (None: delete it).

        Returns:
            False if it was not ``old`` any more, and nothing was changed.
        """

    @abstractmethod
    async def list_records(
        self, kind: str, prefix: str = ""
    ) -> list[tuple[str, bytes]]:
        """Return the records of a kind whose keys begin with ``prefix``, by key."""

    # Operations ---------------------------------------------------------------------

    @abstractmethod
    async def forget_user(self, user: str) -> None:
        """Remove a deleted user's memberships, invitations and begun uploads.

        Entries and stored files stay.
        """

    @abstractmethod
    async def backup(self, path: Path) -> None:
        """Write a consistent copy of everything into a new file.

        Raises:
            FileExistsError: There is something at ``path``.
            OSError: The copy could not be written; nothing is left at ``path``.
        """

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """Return a sentence for every damage found."""


class StoreError(Exception):
    """The store cannot be opened; the text says why and what to do."""
