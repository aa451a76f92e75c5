"""SQLite files of the client: private, in WAL mode, moved aside when damaged."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from chatd.system.file_lock import locked
from client.errors import LinkError
from client.storage.paths import make_private_file

BUSY_SECONDS = 5.0


class NewerDatabaseError(LinkError):
    """The file was made by a newer version of this program."""


def open_database(
    path: Path | None, schema: str, version: int, synchronous: str
) -> sqlite3.Connection:
    """Open a database, made from its schema if it is new.

    Processes that open the same file do so one after the other: two that make one at
    the same time would refuse each other at once, whatever time a lock may take.

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
    with _alone(path):
        return _open(path, schema, version, synchronous)


def _alone(path: Path | None) -> contextlib.AbstractContextManager[None]:
    if path is None:
        return contextlib.nullcontext()
    make_private_file(path)
    return locked(path)


def _open(
    path: Path | None,
    schema: str,
    version: int,
    synchronous: str,
    upgrades: Mapping[int, str] = {},
) -> sqlite3.Connection:
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
            if found in upgrades:
                schema = "; ".join(upgrades[old] for old in range(found, version))
            db.executescript(
                f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT"
            )
    except BaseException:
        db.close()
        raise
    return db


class Damage(NamedTuple):
    """A damaged database that was moved aside.

    Attributes:
        reason: What is wrong with it.
        aside: Where it is now.
        saved: How many rows could be saved from it.
    """

    reason: str
    aside: Path
    saved: int


def open_or_salvage(
    path: Path | None,
    schema: str,
    version: int,
    salvage: Callable[[Path, sqlite3.Connection], int],
    upgrades: Mapping[int, str] = {},
) -> tuple[sqlite3.Connection, Damage | None]:
    """Open a database of which there is no other copy, with ``synchronous`` FULL.

    A damaged one is moved aside, and what can still be read of it goes into a new one.

    Args:
        path: The file; None for one in memory.
        schema: See ``open_database``.
        version: See ``open_database``.
        salvage: Copies rows of a damaged file; returns how many.
        upgrades: By version, the statements that make the next version of it.

    Raises:
        sqlite3.DatabaseError: It cannot be used, and is not damaged.
        NewerDatabaseError: Its schema is newer than this program.
    """
    with _alone(path):
        return _open_or_salvage(path, schema, version, salvage, upgrades)


def _open_or_salvage(
    path: Path | None,
    schema: str,
    version: int,
    salvage: Callable[[Path, sqlite3.Connection], int],
    upgrades: Mapping[int, str],
) -> tuple[sqlite3.Connection, Damage | None]:
    try:
        db = _open(path, schema, version, "FULL", upgrades)
        broken = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        if broken == "ok":
            return db, None
        db.close()
    except sqlite3.DatabaseError as error:
        if path is None or not is_damage(error):
            raise
        broken = str(error)
    assert path is not None
    aside = move_aside(path)
    db = _open(path, schema, version, "FULL")
    return db, Damage(broken, aside, salvage(aside, db))


def checkpoint(path: Path) -> None:
    """Move what was committed from the write-ahead log into the database.

    It takes as long as the disk does, and blocks neither readers nor writers. What
    cannot be moved now stays in the log.
    """
    with contextlib.suppress(sqlite3.Error, OSError):
        address = f"{path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, timeout=0, uri=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def move_aside(path: Path) -> Path:
    """Rename a damaged database and its WAL files, and return the new name."""
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
