"""Creates and upgrades the database schema, and refuses one that is newer.

``PRAGMA user_version`` counts the migrations a database has seen. Each migration runs
in the same transaction as its count: a kill in the middle leaves the old schema whole.
"""

import secrets
import sqlite3
from importlib.resources import files
from pathlib import Path

from chatd.store.base import StoreError

# SQL that turns version n + 1 into n + 2; the newest schema is schema.sql itself.
MIGRATIONS: list[str] = [
    # 2: files
    """
CREATE TABLE files (
    id      TEXT NOT NULL UNIQUE,
    chat    INTEGER NOT NULL,
    owner   TEXT NOT NULL,
    key     TEXT NOT NULL,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    sha256  TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    text    TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    UNIQUE (chat, owner, key)
);

CREATE INDEX stored_files_by_chat ON files (chat, seq) WHERE seq > 0;

CREATE INDEX stored_files_by_time ON files (time_ms) WHERE seq > 0;

CREATE INDEX begun_files_by_time ON files (time_ms) WHERE seq = 0;

CREATE INDEX begun_files_by_owner ON files (owner) WHERE seq = 0;

CREATE TABLE contents (
    sha256 TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    files  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE file_sums (
    owner TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER file_begun AFTER INSERT ON files
BEGIN
    INSERT INTO file_sums (owner, bytes)
        VALUES (new.owner, new.size), ('', new.size)
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER file_stored AFTER UPDATE OF seq ON files
    WHEN old.seq = 0 AND new.seq > 0
BEGIN
    UPDATE file_sums SET bytes = bytes - new.size
        WHERE owner = '' AND EXISTS
        (SELECT 1 FROM contents WHERE sha256 = new.sha256);
    INSERT INTO contents (sha256, size, files) VALUES (new.sha256, new.size, 1)
        ON CONFLICT (sha256) DO UPDATE SET files = files + 1;
END;

CREATE TRIGGER file_removed AFTER DELETE ON files
BEGIN
    UPDATE contents SET files = files - 1
        WHERE sha256 = old.sha256 AND old.seq > 0;
    UPDATE file_sums SET bytes = bytes - old.size
        WHERE owner = old.owner OR (owner = '' AND (old.seq = 0 OR EXISTS
        (SELECT 1 FROM contents WHERE sha256 = old.sha256 AND files = 0)));
    DELETE FROM contents WHERE sha256 = old.sha256 AND files = 0;
    DELETE FROM file_sums WHERE owner = old.owner AND bytes = 0;
END;
""",
    # 3: seqs in the order of the commands, so that those of a block may have gaps
    """
ALTER TABLE blocks ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

ALTER TABLE blocks ADD COLUMN
    last INTEGER GENERATED ALWAYS AS (first + count + skipped - 1) VIRTUAL;

DROP INDEX blocks_by_chat;

CREATE INDEX blocks_by_chat ON blocks (chat, first, count, last, talk, sender);
""",
]

VERSION = 1 + len(MIGRATIONS)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to this version's schema.

    Raises:
        StoreError: It was written by a newer chatd.
        sqlite3.Error: It is damaged, or cannot be written.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer chatd (its schema is {version}, this one "
            f"knows {VERSION}): start that version, or restore an older backup"
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            schema = files(__package__).joinpath("schema.sql").read_text("utf-8")
            _run(connection, schema)
            connection.execute(
                "INSERT INTO meta (key, value) VALUES ('log', ?)", (new_log_id(),)
            )
        else:
            for migration in MIGRATIONS[version - 1 :]:
                _run(connection, migration)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def new_log_id() -> str:
    """Return a random id for a data folder's logs (protocol README, section 4)."""
    return secrets.token_hex(16)


def _run(connection: sqlite3.Connection, script: str) -> None:
    # Not executescript, which would commit the transaction that we are in.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
