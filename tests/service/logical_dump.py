"""All that a database holds, without how it is cut into rows: to compare two."""

import sqlite3

from chatd.store.sqlite.log import find_key, unpack_block

_TABLES = {
    "chats": "SELECT * FROM chats ORDER BY id",
    "members": "SELECT * FROM members ORDER BY chat, user",
    "invitations": "SELECT * FROM invitations ORDER BY user, chat",
    "records": "SELECT * FROM records ORDER BY kind, key",
    "files": "SELECT * FROM files ORDER BY id",
    "contents": "SELECT * FROM contents ORDER BY sha256",
    "file_sums": "SELECT * FROM file_sums ORDER BY owner",
}


def dump(connection: sqlite3.Connection) -> dict[str, list[object]]:
    """Return every row of the plain tables, every entry, and what each key finds."""
    found: dict[str, list[object]] = {
        name: list(connection.execute(query)) for name, query in _TABLES.items()
    }
    entries = [
        (chat, entry)
        for chat, data in connection.execute(
            "SELECT chat, data FROM blocks ORDER BY chat, first"
        )
        for entry in unpack_block(data)
    ]
    found["entries"] = list(entries)
    found["keys"] = [
        find_key(connection, chat, entry.sender, entry.key)
        for chat, entry in entries
        if entry.key is not None
    ]
    return found
