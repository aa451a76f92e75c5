"""The records of files; functions that write run inside a write transaction.

A change that is not possible raises before it writes anything, as in ``changes``. Sums
and counts are kept by the triggers in schema.sql.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from chatd.protocol.errors import NotAllowedError, TooManyError
from chatd.store.commands import BeginFile, DropFile, ExpireFiles
from chatd.store.values import FileRecord, FileUsage

_COLUMNS = "id, chat, owner, key, name, size, sha256, time_ms, text, seq"


def begin(connection: sqlite3.Connection, command: BeginFile) -> FileRecord:
    """Apply the command."""
    file = command.file
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM files"  # noqa: S608 - constants
        " WHERE chat = ? AND owner = ? AND key = ?",
        (file.chat, file.owner, file.key),
    ).fetchone()
    if row is not None:
        return _record(row)
    held = connection.execute(
        "SELECT count(*) FROM files WHERE owner = ? AND seq = 0", (file.owner,)
    ).fetchone()[0]
    if held >= command.cap:
        raise TooManyError(
            f"you have {held} unfinished uploads already: finish or cancel some first"
        )
    connection.execute(
        f"INSERT INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",  # noqa: S608
        (
            file.id,
            file.chat,
            file.owner,
            file.key,
            file.name,
            file.size,
            file.sha256,
            file.time_ms,
            file.text,
        ),
    )
    return file


def seal(
    connection: sqlite3.Connection, chat: int, seq: int, time_ms: int, file: str
) -> None:
    """Make a begun upload the file of the entry at ``seq``.

    Raises:
        NotAllowedError: It is not there any more; nothing was written.
    """
    sealed = connection.execute(
        "UPDATE files SET seq = ?, time_ms = ? WHERE id = ? AND chat = ? AND seq = 0",
        (seq, time_ms, file, chat),
    )
    if sealed.rowcount == 0:
        raise NotAllowedError("that upload was cancelled, or has expired")


def expire(connection: sqlite3.Connection, command: ExpireFiles) -> list[FileRecord]:
    """Apply the command; begun ones come first."""
    rows: list[Sequence[Any]] = []
    for state, before_ms in (
        ("= 0", command.begun_before_ms),
        ("> 0", command.stored_before_ms),
    ):
        rows += connection.execute(
            "DELETE FROM files WHERE rowid IN (SELECT rowid FROM files"  # noqa: S608
            f" WHERE seq {state} AND time_ms < ? ORDER BY time_ms, id LIMIT ?)"
            f" RETURNING {_COLUMNS}",
            (before_ms, command.limit - len(rows)),
        ).fetchall()
    return sorted(
        map(_record, rows), key=lambda file: (file.is_stored, file.time_ms, file.id)
    )


def drop(connection: sqlite3.Connection, command: DropFile) -> bool:
    """Apply the command."""
    dropped = connection.execute(
        "DELETE FROM files WHERE id = ? AND seq = 0", (command.file,)
    )
    return dropped.rowcount > 0


def find(connection: sqlite3.Connection, file: str) -> FileRecord | None:
    """Return a file by its id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM files WHERE id = ?",  # noqa: S608 - constants
        (file,),
    ).fetchone()
    return None if row is None else _record(row)


def files_of(
    connection: sqlite3.Connection,
    chat: int,
    before: int | None,
    limit: int,
    first: int = 0,
) -> list[FileRecord]:
    """Return stored files of a chat with ``first <= seq < before``, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM files WHERE chat = ? AND seq > 0"  # noqa: S608
        " AND seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?",
        (chat, 1 << 62 if before is None else before, first, limit),
    )
    return [_record(row) for row in rows]


def begun(connection: sqlite3.Connection) -> list[FileRecord]:
    """Return all uploads that are not complete, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM files WHERE seq = 0 ORDER BY time_ms, id"  # noqa: S608
    )
    return [_record(row) for row in rows]


def usage(connection: sqlite3.Connection, user: str) -> FileUsage:
    """Return how many bytes the files of one owner and of all take."""
    return FileUsage(_sum(connection, user), _sum(connection, ""))


def is_content_used(connection: sqlite3.Connection, sha256: str) -> bool:
    """Whether a stored file has that content."""
    row = connection.execute(
        "SELECT 1 FROM contents WHERE sha256 = ?", (sha256,)
    ).fetchone()
    return row is not None


def contents(connection: sqlite3.Connection) -> dict[str, int]:
    """Return every content of a stored file, with its size."""
    return dict(connection.execute("SELECT sha256, size FROM contents").fetchall())


def name_files(
    connection: sqlite3.Connection, contents: Collection[str]
) -> dict[str, str]:
    """Return a description of the stored files that have each of these contents."""
    rows = connection.execute(
        "SELECT f.sha256, f.name, f.owner, c.kind, c.name, count(*), max(f.seq)"
        " FROM files f JOIN chats c ON c.id = f.chat"
        " WHERE f.seq > 0 AND f.sha256 IN (SELECT value FROM json_each(?))"
        " GROUP BY f.sha256",
        (json.dumps(sorted(contents)),),
    ).fetchall()
    return {
        sha256: f"'{name}' of {owner} {_place(kind, chat)}"
        + (f" and {count - 1} more" if count > 1 else "")
        for sha256, name, owner, kind, chat, count, _ in rows
    }


def check(connection: sqlite3.Connection) -> list[str]:
    """Return a sentence for every damage found in the records of files."""
    lost = connection.execute(
        "SELECT f.name, c.name, f.seq FROM files f LEFT JOIN chats c ON c.id = f.chat"
        " WHERE f.seq > 0 AND f.seq > coalesce((SELECT b.last"
        " FROM blocks b WHERE b.chat = f.chat AND b.first <= f.seq"
        " ORDER BY b.first DESC LIMIT 1), 0) LIMIT 20"
    )
    found = [
        f"the file '{name}' belongs to entry {seq} of '{chat}', which is not there"
        for name, chat, seq in lost
    ]
    wrong = connection.execute(
        "SELECT count(*) FROM (SELECT sha256, size, files FROM contents EXCEPT"
        " SELECT sha256, max(size), count(*) FROM files WHERE seq > 0 GROUP BY sha256)"
        " UNION ALL SELECT count(*) FROM (SELECT sha256 FROM files WHERE seq > 0"
        " EXCEPT SELECT sha256 FROM contents)"
        " UNION ALL SELECT count(*) FROM (SELECT owner, bytes FROM file_sums"
        " WHERE owner <> '' AND bytes <> 0 EXCEPT"
        " SELECT owner, sum(size) FROM files GROUP BY owner)"
        " UNION ALL SELECT (SELECT coalesce(sum(size), 0) FROM files WHERE seq = 0)"
        " + (SELECT coalesce(sum(size), 0) FROM contents)"
        " <> coalesce((SELECT bytes FROM file_sums WHERE owner = ''), 0)"
    )
    if any(count for (count,) in wrong):
        found.append("the sums of the files' sizes are wrong: restore a backup")
    return found


def _place(kind: str, chat: str) -> str:
    if kind == "room":
        return f"in #{chat}"
    one, other = chat.split(" ")
    return "in a note to self" if one == other else f"in the chat of {one} and {other}"


def _sum(connection: sqlite3.Connection, owner: str) -> int:
    row = connection.execute(
        "SELECT bytes FROM file_sums WHERE owner = ?", (owner,)
    ).fetchone()
    return row[0] if row else 0


def _record(row: Sequence[Any]) -> FileRecord:
    id_, chat, owner, key, name, size, sha256, time_ms, text, seq = row
    return FileRecord(
        id=id_,
        chat=chat,
        owner=owner,
        key=key,
        name=name,
        size=size,
        sha256=sha256,
        time_ms=time_ms,
        text=text,
        seq=seq,
    )
