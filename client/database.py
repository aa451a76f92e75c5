"""SQLite files of the client: private, in WAL mode, moved aside when damaged."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from client.errors import LinkError
from client.paths import make_private_file

BUSY_SECONDS = 5.0


class NewerDatabaseError(LinkError):
    """The file was made by a newer version of this program."""


def open_database(
    path: Path | None, schema: str, version: int, synchronous: str
) -> sqlite3.Connection:
    """Open a database, made from its schema if it is new.

    Args:
        path: The file; None for one in memory.
        schema: Statements that make an empty database complete.
        version: Of the schema, kept in ``user_version``.
        synchronous: FULL (a commit is on the disk) or NORMAL (after a power cut the
            latest commits may be missing).

    Raises:
        sqlite3.DatabaseError: The file is no database, or damaged.
        NewerDatabaseError: Its schema is newer than this program.
    """
    if path is not None:
        make_private_file(path)
    db = sqlite3.connect(
        path or ":memory:",
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute(f"PRAGMA synchronous = {synchronous}")
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise NewerDatabaseError(
                f"{path} was made by a newer version of chat: use that one, or move "
                "the file away"
            )
        if found < version:
            db.executescript(
                f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT"
            )
    except BaseException:
        db.close()
        raise
    return db


def checkpoint(path: Path) -> None:
    """Move what was committed from a database's log into the database.

    It takes as long as the disk does, and keeps nobody from reading or writing. What
    cannot be moved now stays in the log.
    """
    with contextlib.suppress(sqlite3.Error, OSError):
        address = f"{path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, timeout=0, uri=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def move_aside(path: Path) -> Path:
    """Rename a damaged database with its companions, and return the new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}-{os.getpid()}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(
                aside.with_name(aside.name + suffix)
            )
    return aside


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file itself is broken, not that it is in use."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
