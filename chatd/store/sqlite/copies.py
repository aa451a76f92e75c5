"""Functions for a database file given by its path, for backups and checks.

Nothing here goes through the store's threads: the file is a copy that no daemon serves,
or is only read while the daemon runs.
"""

import contextlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from chatd.store.sqlite import files


def read_contents(path: Path) -> dict[str, int]:
    """Return the SHA-256 of every stored file's content, with its size, in order.

    Raises:
        sqlite3.Error: The database is damaged or of another schema.
    """
    with _reading(path) as connection:
        return dict(sorted(files.contents(connection).items()))


def name_files(path: Path, contents: Collection[str]) -> dict[str, str]:
    """Return a description of the stored files that have each of these contents.

    Of several files one is named, as in ``'core.tar' of alice in #ops and 2 more``.
    Contents that no file has are left out.

    Raises:
        sqlite3.Error: The database is damaged or of another schema.
    """
    with _reading(path) as connection:
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


def forget_begun_files(path: Path) -> None:
    """Delete the records of incomplete uploads, in a database that no daemon serves.

    Raises:
        sqlite3.Error: The database cannot be written.
    """
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute("DELETE FROM files WHERE seq = 0")
    finally:
        connection.close()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def _place(kind: str, chat: str) -> str:
    if kind == "room":
        return f"in #{chat}"
    one, other = chat.split(" ")
    return "in a note to self" if one == other else f"in the chat of {one} and {other}"
