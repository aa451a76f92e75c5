"""Queries on logs and memberships; each function runs in a reader's thread."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, takewhile

from chatd.protocol.entries import MESSAGE_KINDS, Entry
from chatd.store.sqlite import files
from chatd.store.sqlite.log import unpack_block
from chatd.store.values import (
    UNREAD_CAP,
    ChatInfo,
    ChatState,
    Invitation,
    Membership,
    RoomSummary,
)

_CHAT = "c.id, c.kind, c.name, c.visibility, c.topic"
_LAST = (
    "coalesce((SELECT b.last FROM blocks b WHERE b.chat = c.id"
    " ORDER BY b.first DESC LIMIT 1), 0)"
)


def read(
    connection: sqlite3.Connection,
    chat: int,
    after: int,
    limit: int,
    max_bytes: int | None = None,
) -> list[Entry]:
    """Return the oldest entries after a seq, oldest first."""
    rows = connection.execute(
        "SELECT data FROM blocks WHERE chat = ?1 AND first >= coalesce("
        "(SELECT max(first) FROM blocks WHERE chat = ?1 AND first <= ?2), 0)"
        " ORDER BY first",
        (chat, after),
    )
    found = (e for row in rows for e in unpack_block(row[0]) if e.seq > after)
    entries = _cut(found, limit, max_bytes)
    rows.close()
    return entries


def history(
    connection: sqlite3.Connection,
    chat: int,
    before: int | None,
    limit: int,
    first: int = 0,
    max_bytes: int | None = None,
) -> list[Entry]:
    """Return the newest entries below a seq, oldest first."""
    bound = 1 << 62 if before is None else before
    rows = connection.execute(
        "SELECT data FROM blocks WHERE chat = ? AND first < ? ORDER BY first DESC",
        (chat, bound),
    )
    newest_first = (e for row in rows for e in reversed(unpack_block(row[0])))
    below = (e for e in newest_first if e.seq < bound)
    entries = _cut(takewhile(lambda e: e.seq >= first, below), limit, max_bytes)
    rows.close()
    return entries[::-1]


def tail(connection: sqlite3.Connection, chat: int, count: int) -> int:
    """Return the seq after which the newest ``count`` entries begin."""
    rows = connection.execute(
        "SELECT first, count FROM blocks WHERE chat = ? ORDER BY first DESC", (chat,)
    )
    start = 0
    for first, number in rows:
        if number >= count:
            found = connection.execute(
                "SELECT data FROM blocks WHERE first = ?", (first,)
            ).fetchone()
            start = unpack_block(found[0])[number - count].prev
            break
        count -= number
    rows.close()
    return start


def _cut(found: Iterator[Entry], limit: int, max_bytes: int | None) -> list[Entry]:
    entries: list[Entry] = []
    size = 0
    for entry in islice(found, limit):
        size += len(entry.tail)
        if max_bytes is not None and size > max_bytes and entries:
            break
        entries.append(entry)
    return entries


def count(
    connection: sqlite3.Connection, chat: int, after: int, user: str, cap: int
) -> int:
    """Return how many messages others wrote after a seq, at most ``cap``."""
    found: int = 0
    row = connection.execute(
        "SELECT last, data FROM blocks"
        " WHERE chat = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (chat, after),
    ).fetchone()
    if row is not None and row[0] > after:
        found += _talk_of_others(unpack_block(row[1]), after, user)
    # Blocks of one sender are summed without decoding them, in C and off the GIL.
    row = connection.execute(
        "SELECT coalesce(sum(talk), 0) FROM (SELECT talk FROM blocks"
        " WHERE chat = ? AND first > ? AND sender <> ? AND talk > 0 LIMIT ?)",
        (chat, after, user, cap),
    ).fetchone()
    found += int(row[0])
    if found < cap:
        rows = connection.execute(
            "SELECT data FROM blocks WHERE first IN (SELECT first"
            " FROM blocks WHERE chat = ? AND first > ? AND sender IS NULL"
            " AND talk > 0 ORDER BY first)",
            (chat, after),
        )
        for mixed in rows:
            found += _talk_of_others(unpack_block(mixed[0]), after, user)
            if found >= cap:
                break
        rows.close()
    return min(found, cap)


def _talk_of_others(entries: list[Entry], after: int, user: str) -> int:
    return sum(
        1
        for entry in entries
        if entry.seq > after and entry.sender != user and entry.kind in MESSAGE_KINDS
    )


def heads(connection: sqlite3.Connection, chats: Iterable[int]) -> dict[int, int]:
    """Return the newest seq of each chat."""
    found = {}
    for chat in chats:
        row = connection.execute(
            "SELECT last FROM blocks WHERE chat = ? ORDER BY first DESC LIMIT 1",
            (chat,),
        ).fetchone()
        found[chat] = row[0] if row else 0
    return found


Cursors = Mapping[str, Mapping[int, int]]

# By chat and user: after which seq, up to which, and how many others wrote in between.
Counted = dict[tuple[int, str], tuple[int, int, int]]
MAX_COUNTED = 20_000


def count_on(
    connection: sqlite3.Connection,
    counted: Counted,
    chat: int,
    user: str,
    after: int,
    last: int,
) -> int:
    """Return how much is unread after a seq, continuing the count of an earlier call.

    Otherwise, for a user who writes a lot and never reads, it would be counted from the
    start each time.
    """
    start, found = after, 0
    known = counted.get((chat, user))
    if known is not None and known[0] == after:
        start, found = known[1:]
    if start < last and found < UNREAD_CAP:
        found += count(connection, chat, start, user, UNREAD_CAP - found)
    if len(counted) >= MAX_COUNTED:
        counted.clear()
    counted[chat, user] = (after, last, found)
    return found


def chats_of(
    connection: sqlite3.Connection,
    user: str,
    moved: Cursors,
    counted: Counted,
    only: int | None = None,
) -> list[ChatState]:
    """Return a user's chats; ``moved`` holds cursors that are not written yet.

    The event loop changes ``moved`` meanwhile: only single look-ups in it are safe.
    """
    # Read before the database: a cursor written meanwhile is then in one or both.
    mine = dict(moved.get(user, {}))
    rows = connection.execute(
        f"SELECT {_CHAT}, m.role, m.first, m.read, {_LAST}"  # noqa: S608 - constants
        " FROM members m JOIN chats c ON c.id = m.chat WHERE m.user = ?1"
        " AND (?2 IS NULL OR m.chat = ?2)",
        (user, only),
    ).fetchall()
    states = []
    for id_, kind, name, visibility, topic, role, first, cursor, last in rows:
        if last == 0 and only is None:
            continue
        read_up_to = max(cursor, mine.get(id_, 0))
        unread = 0
        if last > read_up_to:
            after = max(read_up_to, first - 1)
            unread = count_on(connection, counted, id_, user, after, last)
        peer_read = None
        if kind == "direct":
            peer = _peer(name, user)
            if peer != user:
                peer_read = _cursor(connection, id_, peer, moved)
        chat = ChatInfo(id_, kind, name, visibility, topic)
        membership = Membership(chat, user, role, first, read_up_to)
        states.append(ChatState(membership, last, unread, peer_read))
    return states


def _peer(name: str, user: str) -> str:
    low, _, high = name.partition(" ")
    return high if low == user else low


def _cursor(
    connection: sqlite3.Connection, chat: int, user: str, moved: Cursors
) -> int:
    row = connection.execute(
        "SELECT read FROM members WHERE chat = ? AND user = ?", (chat, user)
    ).fetchone()
    return max(row[0] if row else 0, moved.get(user, {}).get(chat, 0))


def find_room(connection: sqlite3.Connection, name: str) -> ChatInfo | None:
    """Return a room by its name."""
    row = connection.execute(
        f"SELECT {_CHAT} FROM chats c WHERE c.kind = 'room' AND c.name = ?",  # noqa: S608
        (name,),
    ).fetchone()
    return ChatInfo(*row) if row else None


def members(
    connection: sqlite3.Connection, chat: int, after: str | None, limit: int
) -> list[Membership]:
    """Return members, sorted by name."""
    rows = connection.execute(
        f"SELECT {_CHAT}, m.user, m.role, m.first, m.read"  # noqa: S608 - constants
        " FROM members m JOIN chats c ON c.id = m.chat"
        " WHERE m.chat = ? AND m.user > ? ORDER BY m.user LIMIT ?",
        (chat, after or "", limit),
    )
    return [
        Membership(ChatInfo(*row[:5]), row[5], row[6], row[7], row[8]) for row in rows
    ]


def rooms(
    connection: sqlite3.Connection, after: str | None, limit: int
) -> list[RoomSummary]:
    """Return public rooms, sorted by name."""
    rows = connection.execute(
        "SELECT c.name, c.topic, (SELECT count(*) FROM members m WHERE m.chat = c.id)"
        " FROM chats c WHERE c.kind = 'room' AND c.visibility = 'public'"
        " AND c.name > ? ORDER BY c.name LIMIT ?",
        (after or "", limit),
    )
    return [RoomSummary(*row) for row in rows]


def invitations_of(connection: sqlite3.Connection, user: str) -> list[Invitation]:
    """Return a user's invitations, sorted by room."""
    rows = connection.execute(
        "SELECT c.name, i.by FROM invitations i JOIN chats c ON c.id = i.chat"
        " WHERE i.user = ? ORDER BY c.name",
        (user,),
    )
    return [Invitation(*row) for row in rows]


def get_record(connection: sqlite3.Connection, kind: str, key: str) -> bytes | None:
    """Return the value of a record."""
    row = connection.execute(
        "SELECT value FROM records WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    return row[0] if row else None


def list_records(
    connection: sqlite3.Connection, kind: str, prefix: str = ""
) -> list[tuple[str, bytes]]:
    """Return the records of a kind whose keys begin with a prefix."""
    rows = connection.execute(
        "SELECT key, value FROM records WHERE kind = ? AND key >= ? ORDER BY key",
        (kind, prefix),
    )
    found = list(takewhile(lambda row: row[0].startswith(prefix), rows))
    rows.close()
    return found


def check(connection: sqlite3.Connection) -> list[str]:
    """Return a sentence for every damage found in the database."""
    found = [
        f"the database is damaged: {row[0]}"
        for row in connection.execute("PRAGMA integrity_check(20)")
        if row[0] != "ok"
    ]
    if found:
        return found
    broken = connection.execute(
        "SELECT name, first FROM (SELECT c.name, b.first, b.prev, lag(b.last, 1, 0)"
        " OVER (PARTITION BY b.chat ORDER BY b.first) AS expected"
        " FROM blocks b LEFT JOIN chats c ON c.id = b.chat)"
        " WHERE prev <> expected LIMIT 20"
    )
    found = [
        f"the log of '{name}' is broken before entry {first}" for name, first in broken
    ]
    return found + files.check(connection)
