"""Adoption of transfers: a command given again resumes what a killed process began.

What an ended process left is adopted by the next one that opens the journal, which may
be busy with something else and live on. Nothing waits for it there, so a process that
requests the same transfer takes it over, with its key: however far it has got, even if
it was sent meanwhile, the server stores it once. The process that it was taken from
notices at its next access to the journal.

All functions here are steps of a transaction of the journal.
"""

import sqlite3
import time
from collections.abc import Callable

import msgspec

from client.transfers.records import INSERT, TransferRecord, values_of

KEPT_SECONDS = 86_400
"""How long it is remembered that an adopted file was sent."""

_UP = ("chat", "name", "path", "text", "size", "mtime_ns")
_DOWN = ("file", "folder", "name")


def same_upload(one: TransferRecord, other: TransferRecord) -> bool:
    """Whether both send one file to one chat, as far as its metadata shows."""
    return values_of(one, _UP) == values_of(other, _UP)


def same_download(one: TransferRecord, other: TransferRecord) -> bool:
    """Whether both save one file under one name."""
    return values_of(one, _DOWN) == values_of(other, _DOWN)


def adopt(db: sqlite3.Connection, owner: str, gone: str) -> None:
    """Give the rows of an ended process to ``owner``, marked as adopted."""
    db.execute(
        "INSERT OR IGNORE INTO adopted SELECT id FROM transfers WHERE owner = ?",
        (gone,),
    )
    db.execute("UPDATE transfers SET owner = ? WHERE owner = ?", (owner, gone))


def take(
    db: sqlite3.Connection,
    owner: str,
    record: TransferRecord,
    is_gone: Callable[[str], bool],
) -> int | None:
    """Give the same transfer, as another process left it, to ``owner``.

    Args:
        db: The journal's.
        owner: The process that takes it.
        record: The transfer that is requested.
        is_gone: Returns whether the process of another owner has ended.

    Returns:
        Its id; None if there is none.
    """
    found = _left(db, owner, record, is_gone)
    if found is not None:
        db.execute("UPDATE transfers SET owner = ? WHERE id = ?", (owner, found))
        db.execute("DELETE FROM adopted WHERE id = ?", (found,))
        return found
    return _again(db, owner, record) if record.direction == "up" else None


def note_sent(db: sqlite3.Connection, record: TransferRecord) -> None:
    """Remember that an adopted file was sent, if it can be requested again."""
    if record.direction == "down" or record.is_spool or record.sha256 is None:
        return
    if db.execute("SELECT 1 FROM adopted WHERE id = ?", (record.id,)).fetchone():
        db.execute(
            "INSERT OR REPLACE INTO sent "
            "(key, sha256, sent_at, chat, name, path, text, size, mtime_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (record.key, record.sha256, int(time.time()), *values_of(record, _UP)),
        )


def forget_old(db: sqlite3.Connection) -> None:
    """Delete what was not requested again within ``KEPT_SECONDS``."""
    db.execute("DELETE FROM sent WHERE sent_at < ?", (int(time.time()) - KEPT_SECONDS,))
    db.execute("DELETE FROM adopted WHERE id NOT IN (SELECT id FROM transfers)")


def _left(
    db: sqlite3.Connection,
    owner: str,
    record: TransferRecord,
    is_gone: Callable[[str], bool],
) -> int | None:
    names = _UP if record.direction == "up" else _DOWN
    found = db.execute(
        "SELECT id, owner, id IN (SELECT id FROM adopted) FROM transfers "  # noqa: S608
        "WHERE direction = ? AND owner != ? AND NOT is_cancelled AND NOT is_spool "
        f"AND {_all(names)} ORDER BY id",
        (record.direction, owner, *values_of(record, names)),
    )
    for id_, other, is_adopted in found.fetchall():
        # Two processes must not write into one partial file.
        can_share = record.direction == "up" and is_adopted
        if can_share or is_gone(other):
            return int(id_)
    return None


def _again(db: sqlite3.Connection, owner: str, record: TransferRecord) -> int | None:
    """Insert once more what was sent; return its id, None if there is none.

    It has the key it was sent with, so the server answers that it is stored already.
    """
    found = db.execute(
        f"SELECT key, sha256 FROM sent WHERE {_all(_UP)} ORDER BY sent_at",  # noqa: S608
        values_of(record, _UP),
    ).fetchone()
    if found is None:
        return None
    key, sha256 = found
    db.execute("DELETE FROM sent WHERE key = ?", (key,))
    record = msgspec.structs.replace(record, key=key, sha256=sha256)
    return db.execute(INSERT, (owner, *values_of(record))).lastrowid


def _all(names: tuple[str, ...]) -> str:
    return " AND ".join(f"{name} = ?" for name in names)
