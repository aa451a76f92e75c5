-- The schema of version 1, as databases in the field have it.

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

-- The logs. What one commit brought to one chat is one row (or several, if it was much):
-- count entries with the seqs first, first + 1, …, packed into data. All chats are
-- numbered from one counter, so first is unique, and the key of the table.
-- prev:   the seq before the first entry, 0 if there is none.
-- talk:   how many of the entries people wrote (they count as unread).
-- sender: who sent all of them, NULL if there were several.
CREATE TABLE blocks (
    first  INTEGER PRIMARY KEY,
    chat   INTEGER NOT NULL,
    prev   INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    talk   INTEGER NOT NULL,
    sender TEXT,
    data   BLOB NOT NULL
);

-- Carries all that finding a page, the newest seq and counting unread entries need.
CREATE INDEX blocks_by_chat ON blocks (chat, first, count, talk, sender);

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

-- Small values by key: login tokens, invitation codes.
CREATE TABLE records (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('log', '0123456789abcdef0123456789abcdef');

PRAGMA user_version = 1;
