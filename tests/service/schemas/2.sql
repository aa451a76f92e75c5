-- The schema of version 2, as databases in the field have it.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE chats (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    visibility TEXT NOT NULL,
    topic      TEXT NOT NULL,
    UNIQUE (kind, name)
);

CREATE INDEX public_rooms ON chats (name)
    WHERE kind = 'room' AND visibility = 'public';

CREATE TABLE members (
    chat  INTEGER NOT NULL,
    user  TEXT NOT NULL,
    role  TEXT NOT NULL,
    first INTEGER NOT NULL,
    read  INTEGER NOT NULL,
    PRIMARY KEY (chat, user)
) WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user);

CREATE TABLE invitations (
    user TEXT NOT NULL,
    chat INTEGER NOT NULL,
    by   TEXT NOT NULL,
    PRIMARY KEY (user, chat)
) WITHOUT ROWID;

CREATE TABLE blocks (
    first  INTEGER PRIMARY KEY,
    chat   INTEGER NOT NULL,
    prev   INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    talk   INTEGER NOT NULL,
    sender TEXT,
    data   BLOB NOT NULL
);

CREATE INDEX blocks_by_chat ON blocks (chat, first, count, talk, sender);

CREATE TABLE streams (
    id     INTEGER PRIMARY KEY,
    chat   INTEGER NOT NULL,
    sender TEXT NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (chat, sender, prefix)
);

CREATE TABLE runs (
    stream INTEGER NOT NULL,
    low    INTEGER NOT NULL,
    high   INTEGER NOT NULL,
    block  INTEGER NOT NULL,
    PRIMARY KEY (stream, low)
) WITHOUT ROWID;

CREATE TABLE keys (
    chat   INTEGER NOT NULL,
    sender TEXT NOT NULL,
    key    TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (chat, sender, key)
) WITHOUT ROWID;

CREATE TABLE records (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

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

INSERT INTO meta (key, value) VALUES ('log', '0123456789abcdef0123456789abcdef');

PRAGMA user_version = 2;
