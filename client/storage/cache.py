"""The message cache: chats and entries in SQLite, so that a start shows them at once.

Everything in it can be fetched again, so no error here is fatal: a damaged file is
moved aside, and a full disk only means that less is cached. No list of gaps is kept:
the chain of ``prev`` shows them (``client.model.chat``).

The calls block, but each is one small transaction without waiting for the disk
(``synchronous = NORMAL``): some tens of microseconds for a few entries. Several
processes of one user may share the file.
"""

import contextlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from chatd.protocol.messages import ChatRecord
from client.model.entries import Entry
from client.storage.sqlite import (
    NewerDatabaseError,
    checkpoint,
    is_damage,
    move_aside,
    open_database,
)

R = TypeVar("R")

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chats (chat TEXT PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    chat TEXT NOT NULL, seq INTEGER NOT NULL, prev INTEGER NOT NULL,
    sender TEXT NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL, rev INTEGER NOT NULL, more BLOB,
    PRIMARY KEY (chat, seq)
) WITHOUT ROWID;
-- Version 1 kept entries of files without what is needed to fetch the file. They are
-- missing now, and what is missing is asked for again.
DELETE FROM entries WHERE kind = 'file'
"""
_COLUMNS = ("chat", "seq", "prev", "sender", "time_ms", "kind", "text", "rev")
_OTHERS = tuple(n for n in Entry.__struct_fields__ if n not in _COLUMNS)
_UPSERT = """
INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (chat, seq) DO UPDATE SET prev = excluded.prev, text = excluded.text,
    rev = excluded.rev, more = excluded.more WHERE excluded.rev > rev
"""
_SELECT = f"SELECT {', '.join(_COLUMNS)}, more FROM entries "  # noqa: S608

MAX_SEARCHED = 100_000
SEARCHED_AT_ONCE = 2_000

CHECKPOINT_COMMITS = 500
"""After so many commits a thread moves the write-ahead log into the database."""

_SEARCH = f"""
SELECT * FROM ({_SELECT} WHERE chat = ? ORDER BY seq DESC LIMIT ?)
WHERE kind IN ('text', 'action', 'file')
AND (text {{like}} OR (kind = 'file' AND CAST(more AS TEXT) {{like}}))
"""  # noqa: S608
# The first is faster, the second ignores case beyond ASCII, too.
_SEARCH_ASCII = _SEARCH.format(like=r"LIKE ? ESCAPE '\'")
_SEARCH_ANY = _SEARCH.format(like="GLOB ?")


class Cache:
    """The cached chats and entries of one user at one server.

    Args:
        path: The file; None keeps it in memory alone.
        on_notice: Called with a sentence when the cache cannot be used.
    """

    def __init__(
        self, path: Path | None, on_notice: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._on_notice = on_notice
        self._is_full_said = False
        self._commits = 0
        self._checkpoint: threading.Thread | None = None
        self._db = self._open()

    def close(self) -> None:
        """Close the file; blocks for as long as the disk takes."""
        if self._checkpoint is not None:
            self._checkpoint.join()
        self._db.close()

    def log(self) -> str:
        """Return the id of the server's log that the entries belong to, or ""."""
        found = self._try(
            lambda db: db.execute(
                "SELECT value FROM meta WHERE name = 'log'"
            ).fetchone()
        )
        return str(found[0]) if found else ""

    def reset(self, log: str) -> None:
        """Delete everything; what follows belongs to another log."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM entries")
            db.execute("DELETE FROM chats")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('log', ?)", (log,))

        self._write(write)

    def chats(self) -> list[ChatRecord]:
        """Return the chats as they were when last stored."""
        rows = self._try(lambda db: db.execute("SELECT record FROM chats").fetchall())
        return [msgspec.json.decode(row[0], type=ChatRecord) for row in rows or []]

    def held(self) -> dict[str, int]:
        """Return the newest seq held of each chat that has entries."""
        rows = self._try(
            lambda db: db.execute(
                "SELECT chat, (SELECT max(seq) FROM entries e WHERE e.chat = c.chat)"
                " FROM chats c"
            ).fetchall()
        )
        return {chat: seq for chat, seq in rows or [] if seq is not None}

    def newest(self, chat: str, count: int) -> list[Entry]:
        """Return the newest entries of a chat, oldest first."""
        return self.older(chat, 1 << 62, count)

    def older(self, chat: str, before: int, count: int) -> list[Entry]:
        """Return the entries next below a seq, oldest first; gaps may be between."""
        rows = self._try(
            lambda db: db.execute(
                f"{_SELECT} WHERE chat = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                (chat, before, count),
            ).fetchall()
        )
        return [_entry(row) for row in reversed(rows or [])]

    def newer(self, chat: str, after: int, count: int) -> list[Entry]:
        """Return the entries next above a seq, oldest first; gaps may be between."""
        rows = self._try(
            lambda db: db.execute(
                f"{_SELECT} WHERE chat = ? AND seq > ? ORDER BY seq LIMIT ?",
                (chat, after, count),
            ).fetchall()
        )
        return [_entry(row) for row in rows or []]

    def search(self, chat: str, text: str, count: int) -> list[Entry]:
        """Return the newest messages of a chat that contain a text, newest first.

        Case is ignored, and the names of files are searched too. Only the newest
        ``SEARCHED_AT_ONCE`` entries are searched, so that this does not hold up the
        event loop; ``search_all`` searches further back.
        """
        return (
            self._try(lambda db: _find(db, chat, text, count, SEARCHED_AT_ONCE)) or []
        )

    def search_all(self, chat: str, text: str, count: int) -> list[Entry]:
        """Search the newest ``MAX_SEARCHED`` entries; to be called in a thread."""
        if self._path is None:
            return (
                self._try(lambda db: _find(db, chat, text, count, MAX_SEARCHED)) or []
            )
        try:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
                return _find(db, chat, text, count, MAX_SEARCHED)
        except sqlite3.Error:
            return []  # the next access through ``_db`` meets it too, and reports it

    def has_more_to_search(self, chat: str) -> bool:
        """Whether a chat has entries that ``search`` does not reach."""
        found = self._try(
            lambda db: db.execute(
                "SELECT 1 FROM entries WHERE chat = ? LIMIT 1 OFFSET ?",
                (chat, SEARCHED_AT_ONCE),
            ).fetchone()
        )
        return found is not None

    def store(
        self,
        entries: Iterable[Entry] = (),
        chats: Iterable[ChatRecord] = (),
        removed: Sequence[str] = (),
    ) -> None:
        """Store entries and chats, and delete the chats that were removed.

        Of two versions of an entry the one with the higher ``rev`` stays.
        """

        def write(db: sqlite3.Connection) -> None:
            db.executemany(_UPSERT, map(_row, entries))
            db.executemany(
                "INSERT OR REPLACE INTO chats VALUES (?, ?)",
                [(record.chat, msgspec.json.encode(record)) for record in chats],
            )
            for chat in removed:
                db.execute("DELETE FROM chats WHERE chat = ?", (chat,))
                db.execute("DELETE FROM entries WHERE chat = ?", (chat,))

        self._write(write)

    # Inside ---------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_path()
        except (sqlite3.DatabaseError, NewerDatabaseError) as error:
            return self._start_anew(error)
        except OSError as error:
            return self._use_memory(error)

    def _open_path(self) -> sqlite3.Connection:
        db = open_database(self._path, _SCHEMA, _VERSION, "NORMAL")
        # Else one commit in hundreds waits for the disk, and the event loop with it.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        return db

    def _start_anew(self, error: Exception) -> sqlite3.Connection:
        if self._path is None:
            raise error
        if isinstance(error, sqlite3.Error) and not is_damage(error):
            return self._use_memory(error)
        aside = move_aside(self._path)
        self._say(
            f"the cache of messages could not be used ({error}); it was moved to "
            f"{aside} and is filled anew from the server"
        )
        try:
            return self._open_path()
        except (sqlite3.Error, OSError) as again:
            return self._use_memory(again)

    def _use_memory(self, error: Exception) -> sqlite3.Connection:
        self._say(f"the cache of messages cannot be kept on disk: {error}")
        self._path = None
        return open_database(None, _SCHEMA, _VERSION, "NORMAL")

    def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        def transact(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            try:
                write(db)
            except BaseException:
                db.rollback()
                raise
            db.execute("COMMIT")

        self._try(transact)
        self._commits += 1
        if self._commits >= CHECKPOINT_COMMITS and self._path is not None:
            self._commits = 0
            self._begin_checkpoint(self._path)

    def _begin_checkpoint(self, path: Path) -> None:
        if self._checkpoint is None or not self._checkpoint.is_alive():
            self._checkpoint = threading.Thread(
                target=checkpoint, args=(path,), name="chat-cache", daemon=True
            )
            self._checkpoint.start()

    def _try(self, action: Callable[[sqlite3.Connection], R]) -> R | None:
        try:
            return action(self._db)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._db.close()
                self._db = self._start_anew(error)
            elif not self._is_full_said:
                self._is_full_said = True
                self._say(f"the cache of messages cannot be used just now: {error}")
            return None

    def _say(self, text: str) -> None:
        if self._on_notice is not None:
            self._on_notice(text)


def _find(
    db: sqlite3.Connection, chat: str, text: str, count: int, among: int
) -> list[Entry]:
    wanted = text.strip().casefold()
    if not wanted:
        return []
    query, pattern = _SEARCH_ASCII, f"%{_escaped(wanted)}%"
    if not text.isascii():
        query = _SEARCH_ANY
        pattern = "*" + "".join(map(_any_case, text.strip())) + "*"
    rows = db.execute(query, (chat, among, pattern, pattern))
    found = (_entry(row) for row in rows)
    return list(islice((entry for entry in found if _holds(entry, wanted)), count))


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _any_case(letter: str) -> str:
    """Return what matches a letter in upper and lower case, as a part of a GLOB."""
    if letter.upper() == letter.lower() and letter not in "*?[":
        return letter
    cases = {letter, letter.lower(), letter.upper(), letter.title(), letter.casefold()}
    return f"[{''.join(sorted(case for case in cases if len(case) == 1))}]"


def _holds(entry: Entry, wanted: str) -> bool:
    if entry.is_deleted:
        return False
    name = entry.file.name if entry.file is not None else ""
    return wanted in entry.text.casefold() or wanted in name.casefold()


def _row(entry: Entry) -> tuple[Any, ...]:
    more = {
        name: value
        for name in _OTHERS
        if (value := getattr(entry, name)) is not None and value is not False
    }
    columns = tuple(getattr(entry, name) for name in _COLUMNS)
    return (*columns, msgspec.json.encode(more) if more else None)


def _entry(row: tuple[Any, ...]) -> Entry:
    *columns, more = row
    members = dict(zip(_COLUMNS, columns, strict=True))
    if more is not None:
        members |= msgspec.json.decode(more)
    return msgspec.convert(members, Entry)
