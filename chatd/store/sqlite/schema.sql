-- The newest schema. A fresh database is made from this file; an older one is brought
-- here by migrations.py, and a test checks that both ways end at the same schema.

-- log: the id of the logs. next_seq: the next seq to give, if no row tells it.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A chat is a log with an address. name: of a room without '#'; of a direct chat both
-- users' names, sorted, joined by one space.
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

-- first: the lowest seq that the user may see. read: the user's cursor.
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

-- The logs. What one commit appended to one chat is one row (or several if it is much):
-- count entries, packed into data. All chats are numbered from one counter, so first,
-- the seq of the first entry, is unique, and the key of the table.
-- prev:    the seq before the first entry, 0 if there is none.
-- talk:    how many of the entries are messages (they count as unread).
-- sender:  who sent all of them, NULL if there were several.
-- skipped: how many seqs from first to last, that of the last entry, are not in it.
CREATE TABLE blocks (
    first  INTEGER PRIMARY KEY,
    chat   INTEGER NOT NULL,
    prev   INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    talk   INTEGER NOT NULL,
    sender TEXT,
    data   BLOB NOT NULL,
    skipped INTEGER NOT NULL DEFAULT 0,
    last    INTEGER GENERATED ALWAYS AS (first + count + skipped - 1) VIRTUAL
);

-- Carries all that finding a page, the newest seq and counting unread entries need.
CREATE INDEX blocks_by_chat ON blocks (chat, first, count, last, talk, sender);

-- Keys of sends that look like PREFIX-COUNTER, with counters that rise within one prefix
-- (a stream): the highest counter seen proves a higher one new without looking further.
CREATE TABLE streams (
    id     INTEGER PRIMARY KEY,
    chat   INTEGER NOT NULL,
    sender TEXT NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (chat, sender, prefix)
);

-- Which block holds the counters low … high of a stream (some may be missing in it).
-- The runs of a stream never overlap: each begins above the one before.
CREATE TABLE runs (
    stream INTEGER NOT NULL,
    low    INTEGER NOT NULL,
    high   INTEGER NOT NULL,
    block  INTEGER NOT NULL,
    PRIMARY KEY (stream, low)
) WITHOUT ROWID;

-- All other keys: of any form, or with a counter that did not rise.
CREATE TABLE keys (
    chat   INTEGER NOT NULL,
    sender TEXT NOT NULL,
    key    TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (chat, sender, key)
) WITHOUT ROWID;

-- Small values by key: login tokens, invite codes.
CREATE TABLE records (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- Files and begun uploads. owner: the user who uploads it. seq: that of the file's
-- entry, 0 until it is complete. The begun ones, which are few, have their own indexes.
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

-- The contents of stored files, and how many files have each.
CREATE TABLE contents (
    sha256 TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    files  INTEGER NOT NULL
) WITHOUT ROWID;

-- How many bytes the files of an owner take together; '' is for all, where the same
-- stored content counts once. Kept so that no upload has to sum them up.
CREATE TABLE file_sums (
    owner TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;

-- These triggers keep contents and file_sums in step with files.
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
