"""The same command given again: it goes on with what a killed one has begun.

What a process that is gone has left is adopted by the next one that opens the journal,
which may be busy with something else and live on. Nobody waits for it there, so whoever
asks for the same takes it over, with its key: however far others have got with it,
also if it was sent meanwhile, the server stores it once. The one that it was taken from
notices by its next look at the journal.

These are steps of a transaction of the journal.
"""

import sqlite3
import time
from collections.abc import Callable

import msgspec

from client.transfers.records import INSERT, TransferRecord, values_of

KEPT_SECONDS = 86_400
"""For how long it is known that what was adopted was sent."""

_UP = ("chat", "name", "path", "text", "size", "mtime_ns")
_DOWN = ("file", "folder", "name")


def same_upload(one: TransferRecord, other: TransferRecord) -> bool:
    """Whether both are one file to one chat, as far as one can see without reading."""
    return values_of(one, _UP) == values_of(other, _UP)


def same_download(one: TransferRecord, other: TransferRecord) -> bool:
    """Whether both are one file to be saved under one name."""
    return values_of(one, _DOWN) == values_of(other, _DOWN)


def adopt(db: sqlite3.Connection, owner: str, gone: str) -> None:
    """Make everything that a process has left the owner's, who goes on with it."""
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
    """Make what others have left of the same transfer one's own; return its id.

    Args:
        db: The journal's.
        owner: Whose it is to be.
        record: What is asked for.
        is_gone: Tells whether the process of another owner has ended.
    """
    found = _left(db, owner, record, is_gone)
    if found is not None:
        db.execute("UPDATE transfers SET owner = ? WHERE id = ?", (owner, found))
        db.execute("DELETE FROM adopted WHERE id = ?", (found,))
        return found
    return _again(db, owner, record) if record.direction == "up" else None


def note_sent(db: sqlite3.Connection, record: TransferRecord) -> None:
    """Remember an adopted file that was sent, if it can be asked for again."""
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
    """Forget what nobody has asked for in all that time."""
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
    """Write down once more what was sent; the server says then what became of it."""
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
