"""The SQLite implementation of ``chatd.store.base.Store``."""

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from chatd.store.base import Store, StoreError
from chatd.store.commands import Command
from chatd.store.jobs import Append
from chatd.store.log_store import Follower
from chatd.store.sqlite import files, queries
from chatd.store.sqlite.database import Database, connect
from chatd.store.sqlite.machine import Machine
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import ChatState, Committed, Effect
from chatd.system.tasks import to_thread

T = TypeVar("T")
P = ParamSpec("P")


def _reads(
    query: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate["SqliteStore", P], Coroutine[Any, Any, T]]:
    """Return the method that has a query answered in a reader's thread."""

    async def ask(self: "SqliteStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(
            lambda connection: query(connection, *args, **kwargs)
        )

    return ask


class SqliteStore(Store):
    """Keeps all of the store's state in one SQLite database; made by ``open``.

    Args:
        path: The database; it exists and has the right schema.
        log_id: The id of its logs.
        make_machine: Makes what applies commands through the writer's connection.
    """

    def __init__(
        self,
        path: Path,
        log_id: str,
        make_machine: Callable[[sqlite3.Connection], Machine] = Machine,
    ) -> None:
        super().__init__()
        self.log_id = log_id
        self._path = path
        self._follower: Follower | None = None
        self._followed: Counter[int] = Counter()
        self._counted: queries.Counted = {}
        self._database = Database(path, self._hand_over, make_machine)

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the database at ``path``, created if there is none.

        Raises:
            StoreError: It is damaged, from a newer chatd, or cannot be written; the
                text names the remedy, and nothing was changed.
        """
        log_id = await asyncio.to_thread(_open_once, path)
        return cls(path, log_id)

    async def close(self) -> None:
        """Write the cursors, commit what was accepted, close the files."""
        await self._cursors.close()
        await self._database.close()

    # Writing ------------------------------------------------------------------------

    async def execute(self, command: Command[T]) -> T:
        """Carry out a command, and return its outcome."""
        return await self._database.execute(command)

    def append_nowait(self, append: Append) -> None:
        """Queue an entry for the next commit."""
        self._database.write_nowait(append)

    def set_follower(self, follower: Follower) -> None:
        """Set the callback that is given what every commit made visible."""
        self._follower = follower

    def follow(self, chat: int) -> None:
        """Give the follower the chat's entries from now on; counted."""
        self._followed[chat] += 1

    def unfollow(self, chat: int) -> None:
        """Undo one ``follow``."""
        self._followed[chat] -= 1
        if self._followed[chat] <= 0:
            del self._followed[chat]

    def _hand_over(self, effects: list[Effect]) -> None:
        followed = self._followed
        wanted = [
            effect
            for effect in effects
            if type(effect) is not Committed
            or effect.chat in followed
            or effect.info is not None
        ]
        if wanted and self._follower is not None:
            self._follower(wanted)

    # Reading ------------------------------------------------------------------------

    read = _reads(queries.read)
    history = _reads(queries.history)
    tail = _reads(queries.tail)
    count = _reads(queries.count)
    heads = _reads(queries.heads)

    find_room = _reads(queries.find_room)
    members = _reads(queries.members)
    rooms = _reads(queries.rooms)
    invitations_of = _reads(queries.invitations_of)

    find_file = _reads(files.find)
    files_of = _reads(files.files_of)
    file_usage = _reads(files.usage)
    begun_files = _reads(files.begun)
    is_content_used = _reads(files.is_content_used)
    contents = _reads(files.contents)
    name_files = _reads(files.name_files)

    get_record = _reads(queries.get_record)
    list_records = _reads(queries.list_records)

    async def chats_of(self, user: str) -> list[ChatState]:
        """Return all of a user's chats that have entries."""
        return await self._chats_of(user)

    async def chat_of(self, user: str, chat: int) -> ChatState | None:
        """Return one chat as the user has it; None if the user is not a member."""
        found = await self._chats_of(user, chat)
        return found[0] if found else None

    async def _chats_of(self, user: str, only: int | None = None) -> list[ChatState]:
        moved, counted = self._cursors.moved, self._counted
        return await self._database.read(
            lambda connection: queries.chats_of(connection, user, moved, counted, only)
        )

    # Maintenance --------------------------------------------------------------------

    async def backup(self, path: Path) -> None:
        """Write a consistent copy of the database into a new file."""
        await self.flush_cursors()
        connection = connect(self._path)
        try:
            # The daemon may stop, which must not wait for gigabytes to be copied.
            await to_thread(connection.interrupt, _copy, connection, path)
        finally:
            connection.close()

    async def check(self) -> Sequence[str]:
        """Return a sentence for every damage found."""
        return await asyncio.to_thread(_check, self._path)


def _open_once(path: Path) -> str:
    try:
        connection = connect(path)
        try:
            prepare(connection, path)
            row = connection.execute(
                "SELECT value FROM meta WHERE key = 'log'"
            ).fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"the database {path} cannot be opened: {error}; see that the folder"
            " exists, belongs to this user and has space"
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the database {path} is damaged: {error}; restore it from a backup"
        ) from error
    if row is None:
        raise StoreError(f"the database {path} has lost its id; restore a backup")
    log_id: str = row[0]
    return log_id


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    if target.exists():
        raise FileExistsError(f"there is something at {target} already")
    try:
        # One read transaction, which holds up neither the writer nor the readers.
        connection.execute("VACUUM INTO ?", (str(target),))
        with target.open("rb+") as copy:
            os.fsync(copy.fileno())
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise OSError(f"the database could not be copied: {error}") from error


def _check(path: Path) -> list[str]:
    connection = connect(path, for_reading=True)
    try:
        return queries.check(connection)
    except sqlite3.DatabaseError as error:
        return [f"the database is damaged: {error}"]
    finally:
        connection.close()
