"""Transfer records: the rows of the journal's database, and its schema."""

import os
import sqlite3
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from client.storage.row_owner import salvage_rows

VERSION = 2
# Paths are blobs, as a file's name may be no valid Unicode. ``adopted`` has the
# transfers of ended processes, until they are requested again; ``sent`` those of them
# that were sent before that.
SCHEMA = """
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL,
    direction TEXT NOT NULL, chat TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, key TEXT NOT NULL UNIQUE, sha256 TEXT, file TEXT,
    seq INTEGER, text TEXT NOT NULL, path BLOB, mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, is_spool INTEGER NOT NULL, folder BLOB, partial BLOB,
    is_cancelled INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS adopted (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sent (
    key TEXT PRIMARY KEY, sha256 TEXT NOT NULL, chat TEXT NOT NULL, name TEXT NOT NULL,
    path BLOB NOT NULL, text TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, sent_at INTEGER NOT NULL
)
"""
_PATHS = frozenset({"path", "folder", "partial"})


class TransferRecord(Struct, frozen=True, kw_only=True):
    """A transfer as the journal knows it.

    Attributes:
        id: Unique among all processes of the user; negative if it is not kept.
        direction: up or down.
        chat: The chat that the file is sent to, or was sent to.
        name: For the recipients (up), or to be saved under (down).
        size: In bytes; 0 while a stream is still copied.
        key: Makes the upload idempotent.
        sha256: Of the content; None until an upload's is known.
        file: The server's id of it; None until an upload has begun.
        seq: Of the file's entry, where it is known.
        text: The caption.
        path: Up: the file that is read. Down: the final name, once it is claimed.
        mtime_ns: Of the file that is read, to notice changes; inode likewise.
        is_spool: Whether that file is our own copy of a stream, to be removed when the
            transfer is over.
        folder: Down: where it is to be saved.
        partial: Down: the file that collects its bytes.
        is_cancelled: Whether all that is left to do is to tell the server that no more
            bytes come.
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


_FIELDS = tuple(name for name in TransferRecord.__struct_fields__ if name != "id")
COLUMNS = ", ".join(("id", *_FIELDS))
INSERT = (
    f"INSERT INTO transfers (owner, {', '.join(_FIELDS)}) "  # noqa: S608
    f"VALUES (?, {', '.join('?' * len(_FIELDS))})"
)
UPDATE = (
    f"UPDATE transfers SET {', '.join(f'{name} = ?' for name in _FIELDS)} "  # noqa: S608
    "WHERE id = ? AND owner = ?"
)


def values_of(
    record: TransferRecord, names: tuple[str, ...] = _FIELDS
) -> tuple[Any, ...]:
    """Return a record's values for the database, without its id."""
    found = []
    for name in names:
        value = getattr(record, name)
        is_path = name in _PATHS and value is not None
        found.append(os.fsencode(value) if is_path else value)
    return tuple(found)


def record_from(values: tuple[Any, ...]) -> TransferRecord:
    """Return the record that a row of ``COLUMNS`` holds."""
    found = dict(zip(("id", *_FIELDS), values, strict=True))
    for name in _PATHS:
        if found[name] is not None:
            found[name] = Path(os.fsdecode(found[name]))
    for name in ("is_spool", "is_cancelled"):
        found[name] = bool(found[name])
    return TransferRecord(**found)


def salvage(damaged: Path, db: sqlite3.Connection) -> int:
    """Copy the readable rows of a damaged journal; return how many."""
    return salvage_rows(damaged, db, "transfers", f"owner, {COLUMNS}")
