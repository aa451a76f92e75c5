"""The interface of every store, and the rules that its callers may rely on.

- Every write is a command (see ``commands``): a value that is applied by a machine,
  which reads nothing but the state and the command.
- ``seq`` is an int that strictly increases within a chat and is otherwise opaque: not
  dense, and not comparable between chats. ``prev`` links an entry to its predecessor.
- An append is answered only once its entry is on stable storage. The same key by the
  same sender in the same chat is answered with the first seq, and stored once.
- Readers are sent what the follower is given: every committed entry of a followed
  chat, in order, exactly once, whichever process appended it. Nothing may assume that
  only one process writes to a chat.
- After an awaited command, the state may be many commands further: what must not be
  missed is set up before, or comes from what the follower is given.
- A read is never silently short: fewer entries than the limit mean that there are no
  more.
- Cursors only move forward and are written lazily: a crash may show an entry again, but
  never skip one.

Every implementation has to pass ``tests/service/store_conformance.py``.

Errors of every write: ``StorageFullError`` (nothing was written),
``UnavailableError`` (the outcome is unknown: ask again with the same key).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path

from chatd.store.chat_store import ChatStore
from chatd.store.commands import CreateRecord, ReplaceRecord
from chatd.store.file_store import FileStore
from chatd.store.log_store import Executor, LogStore


class RecordStore(Executor):
    """Small records by kind and key; how accounts keep tokens and invite codes."""

    @abstractmethod
    async def get_record(self, kind: str, key: str) -> bytes | None:
        """Return the value of a record."""

    @abstractmethod
    async def list_records(
        self, kind: str, prefix: str = ""
    ) -> list[tuple[str, bytes]]:
        """Return the records of a kind whose keys begin with ``prefix``, by key."""

    async def create_record(self, kind: str, key: str, value: bytes) -> bool:
        """Create a record, see ``CreateRecord``."""
        return await self.execute(CreateRecord(kind, key, value))

    async def replace_record(
        self, kind: str, key: str, old: bytes, new: bytes | None
    ) -> bool:
        """Change a record, see ``ReplaceRecord``."""
        return await self.execute(ReplaceRecord(kind, key, old, new))


class Maintenance(ABC):
    """What has to be done for a store from time to time."""

    @abstractmethod
    async def backup(self, path: Path) -> None:
        """Write a consistent copy of everything into a new file, for ``Copy``.

        Raises:
            FileExistsError: There is something at ``path``.
            OSError: The copy could not be written; nothing is left at ``path``.
        """

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """Return a sentence for every damage found."""


class Store(LogStore, ChatStore, FileStore, RecordStore, Maintenance):
    """Stores logs, memberships, cursors, records of files, and small records.

    All coroutines may be cancelled: a write that has begun is carried out all the same.
    """

    @abstractmethod
    async def close(self) -> None:
        """Commit what was accepted, write the cursors, and close the files."""


class Copy(ABC):
    """A file that ``backup`` wrote, served by nobody; the methods block on the disk.

    All raise ``StoreError`` if it is damaged, or of another schema.
    """

    @abstractmethod
    def contents(self) -> dict[str, int]:
        """Return what ``FileStore.contents`` does, in order."""

    @abstractmethod
    def name_files(self, contents: Collection[str]) -> dict[str, str]:
        """Return what ``FileStore.name_files`` does."""

    @abstractmethod
    def forget_begun_files(self) -> None:
        """Delete the records of incomplete uploads."""

    @abstractmethod
    def renew_log_id(self) -> None:
        """Give it a new log id: its logs may lack what clients have seen."""


class StoreError(Exception):
    """A store or copy cannot be opened; the text says why and what to do."""
