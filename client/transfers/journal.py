"""The journal of transfers on disk: what has to be known to go on after a kill.

How many bytes are through is not in here: of a download that is the size of its partial
file, of an upload the server knows it. Rows belong to the process that holds the lock
file of their owner's name, so that two processes of one user never move the same file;
the rows of a process that died are adopted by the next one that opens the journal.

All calls block (a commit waits for the disk) and may come from any thread.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from client.database import (
    NewerDatabaseError,
    is_damage,
    move_aside,
    open_database,
)
from client.errors import TransferError
from client.lockfile import FileLock

R = TypeVar("R")

_VERSION = 1
# Paths are blobs, as a file's name may be no valid Unicode.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL,
    direction TEXT NOT NULL, chat TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, key TEXT NOT NULL UNIQUE, sha256 TEXT, file TEXT,
    seq INTEGER, text TEXT NOT NULL, path BLOB, mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, is_spool INTEGER NOT NULL, folder BLOB, partial BLOB,
    is_cancelled INTEGER NOT NULL
)
"""
_PATHS = frozenset({"path", "folder", "partial"})

# 16 bytes are 128 random bits: more than the 96 that a key has to begin with.
_RANDOM_BYTES = 16


class JournalError(TransferError):
    """The journal of transfers cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "unwritable")


class Row(Struct, frozen=True, kw_only=True):
    """A transfer as the journal knows it.

    Attributes:
        id: Unique among all processes of the user.
        direction: up or down.
        chat: Where the file is sent to, or was sent to.
        name: For others (up), or to be saved under (down).
        size: In bytes; of a spool that is still written, 0.
        key: Makes the upload idempotent.
        sha256: Of the content; None until an upload's is known.
        file: The server's id of it; None until an upload has begun.
        seq: Of the file's entry, where it is known.
        text: The caption.
        path: Up: what is read. Down: the final name, once it is claimed.
        mtime_ns: Of what is read, to notice changes; inode likewise.
        is_spool: Whether what is read is our own, to be removed when it is over.
        folder: Down: where it is to be saved.
        partial: Down: the file that it is gathered in.
        is_cancelled: Whether only the server is to be told that nothing more comes.
    """

    direction: Literal["up", "down"]
    chat: str
    name: str
    size: int = 0
    key: str = ""
    sha256: str | None = None
    file: str | None = None
    seq: int | None = None
    text: str = ""
    path: Path | None = None
    mtime_ns: int = 0
    inode: int = 0
    is_spool: bool = False
    folder: Path | None = None
    partial: Path | None = None
    is_cancelled: bool = False
    id: int = 0


_FIELDS = tuple(name for name in Row.__struct_fields__ if name != "id")
_LIST = ", ".join(_FIELDS)
_INSERT = (
    f"INSERT INTO transfers (owner, {_LIST}) "  # noqa: S608
    f"VALUES (?, {', '.join('?' * len(_FIELDS))})"
)
_UPDATE = (
    f"UPDATE transfers SET {', '.join(f'{name} = ?' for name in _FIELDS)} "  # noqa: S608
    "WHERE id = ?"
)


class Journal:
    """The transfers of this process that are not over; made by opening it.

    Args:
        path: The file; None keeps the rows in memory alone.
        on_notice: Told, in a sentence, when something was wrong with the file.

    Attributes:
        adopted: The rows of processes that are gone, oldest first.

    Raises:
        JournalError: The file cannot be opened or made.
    """

    def __init__(
        self, path: Path | None, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._on_notice = on_notice
        self._prefix = secrets.token_urlsafe(_RANDOM_BYTES)
        self._counter = 0
        self._guard = threading.Lock()
        self._lock: FileLock | None = None
        self.adopted: list[Row] = []
        try:
            self._db = self._open()
            try:
                self._adopt()
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error, NewerDatabaseError) as error:
            raise JournalError(
                f"the journal of transfers {path} cannot be used: {error}"
            ) from error

    def close(self) -> None:
        """Leave what is not over to the next process."""
        with self._guard:
            rest = self._owned()
            self._db.close()
            if self._lock is not None:
                self._lock.release(is_removed=not rest)

    def new_key(self) -> str:
        """Return a key that was never used."""
        with self._guard:
            self._counter += 1
            return f"{self._prefix}-{self._counter}"

    def add(self, row: Row) -> Row:
        """Write a transfer down, and return it with its id and a key.

        Raises:
            JournalError: It could not be written.
        """
        row = msgspec.structs.replace(row, key=row.key or self.new_key())
        found = self._execute(_INSERT, (self._prefix, *_values(row)))
        return msgspec.structs.replace(row, id=found)

    def update(self, row: Row) -> None:
        """Replace what is known of a transfer.

        Raises:
            JournalError: It could not be written.
        """
        self._execute(_UPDATE, (*_values(row), row.id))

    def remove(self, row: Row) -> None:
        """Forget a transfer that is over.

        Raises:
            JournalError: It could not be written.
        """
        self._execute("DELETE FROM transfers WHERE id = ?", (row.id,))

    def paths(self) -> set[Path]:
        """Return everything that transfers of any process read."""
        with self._guard:
            rows = self._db.execute(
                "SELECT path FROM transfers WHERE path IS NOT NULL"
            ).fetchall()
        return {Path(os.fsdecode(path)) for (path,) in rows}

    # Inside ---------------------------------------------------------------------------

    def _execute(self, statement: str, values: tuple[Any, ...]) -> int:
        try:
            with self._guard:
                return self._db.execute(statement, values).lastrowid or 0
        except sqlite3.Error as error:
            raise JournalError(
                f"the transfer could not be written down: {error}"
            ) from error

    def _open(self) -> sqlite3.Connection:
        try:
            db = open_database(self._path, _SCHEMA, _VERSION, "FULL")
            broken = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if broken == "ok":
                return db
            db.close()
        except sqlite3.DatabaseError as error:
            if self._path is None or not is_damage(error):
                raise
            broken = str(error)
        assert self._path is not None
        aside = move_aside(self._path)
        db = open_database(self._path, _SCHEMA, _VERSION, "FULL")
        saved = _salvage(aside, db)
        if self._on_notice is not None:
            self._on_notice(
                f"the journal of transfers was damaged ({broken}) and moved to {aside};"
                f" {saved} transfers could be saved from it"
            )
        return db

    def _adopt(self) -> None:
        """Take over the rows of processes that are gone."""
        if self._path is None:
            return
        db = self._db
        # Lock files are made and removed only under the lock of the database, so that
        # nobody removes one which another process is about to hold.
        db.execute("BEGIN IMMEDIATE")
        lock = self._lock = self._lock_of(self._prefix)
        try:
            if not lock.acquire():
                raise OSError("its lock file cannot be locked")
            for owner in self._owners() - {self._prefix}:
                other = self._lock_of(owner)
                if other.acquire():
                    db.execute(
                        "UPDATE transfers SET owner = ? WHERE owner = ?",
                        (self._prefix, owner),
                    )
                    other.release(is_removed=True)
            self.adopted = self._owned()
        except BaseException:
            db.rollback()
            lock.release(is_removed=True)
            raise
        db.execute("COMMIT")

    def _owners(self) -> set[str]:
        """Return all who have rows or a lock file."""
        assert self._path is not None
        found = self._db.execute("SELECT DISTINCT owner FROM transfers").fetchall()
        start, end = f"{self._path.name}.", ".lock"
        names = [path.name for path in self._path.parent.iterdir()]
        locks = {
            name[len(start) : -len(end)]
            for name in names
            if name.startswith(start) and name.endswith(end)
        }
        return locks | {owner for (owner,) in found}

    def _owned(self) -> list[Row]:
        rows = self._db.execute(
            f"SELECT id, {_LIST} FROM transfers WHERE owner = ? ORDER BY id",  # noqa: S608
            (self._prefix,),
        )
        return [_row(values) for values in rows.fetchall()]

    def _lock_of(self, owner: str) -> FileLock:
        assert self._path is not None
        return FileLock(self._path.with_name(f"{self._path.name}.{owner}.lock"))


def _values(row: Row) -> tuple[Any, ...]:
    found = []
    for name in _FIELDS:
        value = getattr(row, name)
        is_path = name in _PATHS and value is not None
        found.append(os.fsencode(value) if is_path else value)
    return tuple(found)


def _row(values: tuple[Any, ...]) -> Row:
    found = dict(zip(("id", *_FIELDS), values, strict=True))
    for name in _PATHS:
        if found[name] is not None:
            found[name] = Path(os.fsdecode(found[name]))
    for name in ("is_spool", "is_cancelled"):
        found[name] = bool(found[name])
    return Row(**found)


def _salvage(damaged: Path, db: sqlite3.Connection) -> int:
    """Copy what can be read of a damaged journal; return how many rows."""
    saved = 0
    columns = f"id, owner, {_LIST}"
    marks = ", ".join("?" * (len(_FIELDS) + 2))
    try:
        old = sqlite3.connect(damaged)
    except sqlite3.Error:
        return 0
    try:
        # Row by row, so that those before a broken page are kept.
        for row in old.execute(f"SELECT {columns} FROM transfers ORDER BY id"):  # noqa: S608
            db.execute(
                f"INSERT OR IGNORE INTO transfers ({columns}) VALUES ({marks})",  # noqa: S608
                row,
            )
            saved += 1
    except sqlite3.Error:
        pass  # what lies behind the damage cannot be read
    finally:
        old.close()
    return saved
