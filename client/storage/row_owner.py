"""Rows of a shared database that belong to one process, as long as it lives.

Each process holds the lock file of its own name, so that two processes of one user
never work on the same row; the rows of a process that died are taken over by the next
one that opens the database.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from chatd.system.file_lock import FileLock


class RowOwner:
    """This process as the owner of rows.

    Args:
        path: The database.
        table: Its table; the column ``owner`` has the owners' names.
        name: The name of this process: random, and never used before.
    """

    def __init__(self, path: Path, table: str, name: str) -> None:
        self._path = path
        self._table = table
        self._name = name
        self._lock = self._lock_of(name)

    @contextlib.contextmanager
    def claiming(self, db: sqlite3.Connection) -> Iterator[list[str]]:
        """Begin to own rows; yield the owners that have ended, in a transaction.

        Raises:
            OSError: The lock file cannot be locked.
        """
        # Lock files are made and removed only under the lock of the database, so that
        # no process removes one that another is about to hold.
        db.execute("BEGIN IMMEDIATE")
        gone: list[str] = []
        try:
            if not self._lock.acquire():
                raise OSError("its lock file cannot be locked")
            gone += filter(self.is_gone, self._owners(db) - {self._name})
            yield gone
        except BaseException:
            db.rollback()
            self._lock.release(is_removed=True)
            raise
        db.execute("COMMIT")

    def release(self, has_rows: bool) -> None:
        """End; rows that are left go to the next process."""
        self._lock.release(is_removed=not has_rows)

    def is_gone(self, owner: str) -> bool:
        """Whether the process of an owner has ended; only in a transaction."""
        lock = self._lock_of(owner)
        is_gone = lock.acquire()
        lock.release(is_removed=True)
        return is_gone

    def _owners(self, db: sqlite3.Connection) -> set[str]:
        """Return all owners that have rows or a lock file."""
        found = db.execute(f"SELECT DISTINCT owner FROM {self._table}").fetchall()  # noqa: S608
        start, end = f"{self._path.name}.", ".lock"
        names = [path.name for path in self._path.parent.iterdir()]
        locks = {
            name[len(start) : -len(end)]
            for name in names
            if name.startswith(start) and name.endswith(end)
        }
        return locks | {owner for (owner,) in found}

    def _lock_of(self, owner: str) -> FileLock:
        return FileLock(self._path.with_name(f"{self._path.name}.{owner}.lock"))


def salvage_rows(
    damaged: Path, db: sqlite3.Connection, table: str, columns: str
) -> int:
    """Copy the readable rows of a damaged database; return how many."""
    saved = 0
    marks = ", ".join("?" * (columns.count(",") + 1))
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(damaged)) as old,
    ):
        # Row by row, so that those before a broken page are kept.
        for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY id"):  # noqa: S608
            db.execute(
                f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
                row,
            )
            saved += 1
    return saved
