"""The SQLite implementation of ``chatd.store.base.Store``."""

import asyncio
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from chatd.protocol.entries import Draft, Entry
from chatd.protocol.errors import TemporaryError
from chatd.store.base import Follower, StoreError
from chatd.store.sqlite import changes, files, log, queries
from chatd.store.sqlite.database import Database, connect
from chatd.store.sqlite.file_records import FileRecords
from chatd.store.sqlite.log import LogWriter
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import (
    AddMember,
    Append,
    Change,
    ChatInfo,
    ChatState,
    Committed,
    Invitation,
    Membership,
    RoomSummary,
    Visibility,
)

# How long a moved cursor waits to be written; a crash loses at most this much.
CURSOR_SECONDS = 1.0

_log = logging.getLogger(__name__)


class SqliteStore(FileRecords):
    """Keeps all of the store's state in one SQLite database; made by ``open``."""

    def __init__(self, path: Path, log_id: str) -> None:
        self.log_id = log_id
        self._path = path
        self._follower: Follower | None = None
        self._followed: Counter[int] = Counter()
        # Cursors not written yet, by user and chat.
        self._moved: dict[str, dict[int, int]] = {}
        self._counted: queries.Counted = {}
        self._cursor_timer: asyncio.TimerHandle | None = None
        self._cursor_task: asyncio.Task[None] | None = None
        self._database = Database(path, self._hand_over)

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
        if self._cursor_timer is not None:
            self._cursor_timer.cancel()
            self._cursor_timer = None
        if self._cursor_task is not None:
            await asyncio.gather(self._cursor_task, return_exceptions=True)
        try:
            await self.flush_cursors()
        except TemporaryError as error:
            _log.warning("the latest read positions are lost: %s", error.reason)
        await self._database.close()

    # The log ------------------------------------------------------------------------

    def set_follower(self, follower: Follower) -> None:
        """Set the callback that is given the committed entries of followed chats."""
        self._follower = follower

    def follow(self, chat: int) -> None:
        """Give the follower the chat's entries from now on; counted."""
        self._followed[chat] += 1

    def unfollow(self, chat: int) -> None:
        """Undo one ``follow``."""
        self._followed[chat] -= 1
        if self._followed[chat] <= 0:
            del self._followed[chat]

    def _hand_over(self, committed: list[Committed]) -> None:
        followed = self._followed
        batch = [part for part in committed if part.chat in followed]
        if batch and self._follower is not None:
            self._follower(batch)

    def append_nowait(self, append: Append) -> None:
        """Queue an entry for the next commit."""
        self._database.write_nowait(append)

    async def append(
        self, chat: int, draft: Draft, change: Change | None = None
    ) -> Append:
        """Append an entry and wait until it is on stable storage."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        append = Append(chat, draft, lambda _: _settle(done), change)
        self.append_nowait(append)
        await done
        if append.error is not None:
            raise append.error
        return append

    async def find_key(self, chat: int, sender: str, key: str) -> Entry | None:
        """Return the entry that the sender's key stands for in the chat."""
        # In the writer's thread, after the appends of the commit: a key that is being
        # committed while this is called is found.
        return await self._database.transact(
            lambda connection, _: log.find_key(connection, chat, sender, key),
            after_appends=True,
        )

    async def read(
        self, chat: int, after: int, limit: int, max_bytes: int | None = None
    ) -> list[Entry]:
        """Return the oldest entries after a seq, oldest first."""
        return await self._database.read(
            lambda connection: queries.read(connection, chat, after, limit, max_bytes)
        )

    async def history(
        self,
        chat: int,
        before: int | None,
        limit: int,
        first: int = 0,
        max_bytes: int | None = None,
    ) -> list[Entry]:
        """Return the newest entries below a seq, oldest first."""
        return await self._database.read(
            lambda connection: queries.history(
                connection, chat, before, limit, first, max_bytes
            )
        )

    async def tail(self, chat: int, count: int) -> int:
        """Return the seq after which the newest ``count`` entries begin."""
        return await self._database.read(
            lambda connection: queries.tail(connection, chat, count)
        )

    async def count(self, chat: int, after: int, user: str, cap: int) -> int:
        """Return how many messages others than the user wrote after a seq."""
        return await self._database.read(
            lambda connection: queries.count(connection, chat, after, user, cap)
        )

    async def heads(self, chats: Iterable[int]) -> dict[int, int]:
        """Return the newest seq of each chat, 0 where it is empty."""
        wanted = list(chats)
        return await self._database.read(
            lambda connection: queries.heads(connection, wanted)
        )

    # Chats and members --------------------------------------------------------------

    async def open_direct(self, one: str, other: str) -> ChatInfo:
        """Return the direct chat of two users, created if there was none."""
        return await self._database.transact(
            lambda connection, _: changes.open_direct(connection, one, other)
        )

    async def create_room(
        self, name: str, visibility: Visibility, topic: str, owner: str, draft: Draft
    ) -> tuple[ChatInfo, Append]:
        """Create a room with one member and one entry."""

        def create(
            connection: sqlite3.Connection, writer: LogWriter
        ) -> tuple[ChatInfo, Append]:
            chat = changes.insert_room(connection, name, visibility, topic)
            append = Append(chat.id, draft, lambda _: None, AddMember(owner, "owner"))
            writer.add(append)
            return chat, append

        return await self._database.transact(create)

    async def find_room(self, name: str) -> ChatInfo | None:
        """Return a room by its name."""
        return await self._database.read(
            lambda connection: queries.find_room(connection, name)
        )

    async def chats_of(self, user: str) -> list[ChatState]:
        """Return all of a user's chats that have entries."""
        return await self._database.read(
            lambda connection: queries.chats_of(
                connection, user, self._moved, self._counted
            )
        )

    async def chat_of(self, user: str, chat: int) -> ChatState | None:
        """Return one chat as the user has it; None if the user is not a member."""
        found = await self._database.read(
            lambda connection: queries.chats_of(
                connection, user, self._moved, self._counted, chat
            )
        )
        return found[0] if found else None

    async def members(
        self, chat: int, after: str | None, limit: int
    ) -> list[Membership]:
        """Return members, sorted by name, after the name ``after``."""
        return await self._database.read(
            lambda connection: queries.members(connection, chat, after, limit)
        )

    async def rooms(self, after: str | None, limit: int) -> list[RoomSummary]:
        """Return public rooms, sorted by name, after the name ``after``."""
        return await self._database.read(
            lambda connection: queries.rooms(connection, after, limit)
        )

    # Cursors ------------------------------------------------------------------------

    def advance(self, chat: int, user: str, seq: int) -> None:
        """Move a cursor forward; written soon."""
        mine = self._moved.setdefault(user, {})
        if seq > mine.get(chat, 0):
            mine[chat] = seq
        if self._cursor_timer is None:
            loop = asyncio.get_running_loop()
            self._cursor_timer = loop.call_later(CURSOR_SECONDS, self._flush_soon)

    async def flush_cursors(self) -> None:
        """Write the cursors that have moved."""
        written = [
            (chat, user, seq)
            for user, chats in self._moved.items()
            for chat, seq in chats.items()
        ]
        if not written:
            return
        await self._database.transact(
            lambda connection, _: changes.write_cursors(connection, written)
        )
        for chat, user, seq in written:
            mine = self._moved.get(user)
            if mine is not None and mine.get(chat) == seq:
                del mine[chat]
                if not mine:
                    del self._moved[user]

    def _flush_soon(self) -> None:
        self._cursor_timer = None
        self._cursor_task = asyncio.create_task(self._flush_and_retry())

    async def _flush_and_retry(self) -> None:
        try:
            await self.flush_cursors()
        except TemporaryError:
            # They stay in memory: the next move, or ``close``, tries again.
            _log.debug("read positions could not be written yet")

    # Invitations --------------------------------------------------------------------

    async def invite(self, chat: int, user: str, by: str, cap: int) -> bool:
        """Store an invitation; return False if there was one already."""
        return await self._database.transact(
            lambda connection, _: changes.insert_invitation(
                connection, chat, user, by, cap
            )
        )

    async def uninvite(self, chat: int, user: str) -> bool:
        """Remove an invitation; return whether there was one."""
        return await self._database.transact(
            lambda connection, _: (
                connection.execute(
                    "DELETE FROM invitations WHERE user = ? AND chat = ?", (user, chat)
                ).rowcount
                > 0
            )
        )

    async def is_invited(self, chat: int, user: str) -> bool:
        """Return whether the user may join the room."""
        return await self._database.read(
            lambda connection: queries.is_invited(connection, chat, user)
        )

    async def invitations_of(self, user: str) -> list[Invitation]:
        """Return the user's invitations, sorted by room."""
        return await self._database.read(
            lambda connection: queries.invitations_of(connection, user)
        )

    # Records ------------------------------------------------------------------------

    async def get_record(self, kind: str, key: str) -> bytes | None:
        """Return the value of a record."""
        return await self._database.read(
            lambda connection: queries.get_record(connection, kind, key)
        )

    async def create_record(self, kind: str, key: str, value: bytes) -> bool:
        """Create a record; False if there is one."""
        return await self._database.transact(
            lambda connection, _: (
                connection.execute(
                    "INSERT INTO records (kind, key, value) VALUES (?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (kind, key, value),
                ).rowcount
                > 0
            )
        )

    async def replace_record(
        self, kind: str, key: str, old: bytes, new: bytes | None
    ) -> bool:
        """Change a record from ``old`` to ``new``, or delete it."""
        where = (kind, key, old)

        def replace(connection: sqlite3.Connection, _: LogWriter) -> bool:
            if new is None:
                done = connection.execute(
                    "DELETE FROM records WHERE kind = ? AND key = ? AND value = ?",
                    where,
                )
            else:
                done = connection.execute(
                    "UPDATE records SET value = ?"
                    " WHERE kind = ? AND key = ? AND value = ?",
                    (new, *where),
                )
            return done.rowcount > 0

        return await self._database.transact(replace)

    async def list_records(
        self, kind: str, prefix: str = ""
    ) -> list[tuple[str, bytes]]:
        """Return the records of a kind whose keys begin with a prefix."""
        return await self._database.read(
            lambda connection: queries.list_records(connection, kind, prefix)
        )

    # Operations ---------------------------------------------------------------------

    async def forget_user(self, user: str) -> None:
        """Remove a deleted user's memberships, invitations and begun uploads."""

        def forget(connection: sqlite3.Connection, _: LogWriter) -> None:
            connection.execute("DELETE FROM members WHERE user = ?", (user,))
            connection.execute("DELETE FROM invitations WHERE user = ?", (user,))
            files.forget_begun(connection, user)

        await self._database.transact(forget)
        self._moved.pop(user, None)

    async def backup(self, path: Path) -> None:
        """Write a consistent copy of the database into a new file."""
        await self.flush_cursors()
        connection = connect(self._path)
        copying = asyncio.ensure_future(asyncio.to_thread(_copy, connection, path))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            # The daemon stops, which must not wait for gigabytes to be copied.
            connection.interrupt()
            await asyncio.wait([copying])
            raise
        finally:
            connection.close()

    async def check(self) -> Sequence[str]:
        """Return a sentence for every damage found."""
        return await asyncio.to_thread(_check, self._path)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


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
