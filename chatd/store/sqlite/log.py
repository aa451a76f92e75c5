"""Writes what a commit appends to the logs; runs in the writer's thread.

Appends are taken in the order they came, and written as blocks, each of one chat: seqs
are assigned here, inside the write transaction, and only here. Keys are resolved here
too, one after the other, so two sends with one key can never both be new. Most keys are
proved new without a lookup, by the counter in them; see ``streams`` in schema.sql.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from chatd.protocol.entries import (
    MESSAGE_KINDS,
    Entry,
    has_same_content,
    tail_time,
    with_members,
)
from chatd.protocol.errors import ChatError, KeyReusedError
from chatd.store.jobs import Append
from chatd.store.sqlite.changes import apply_change, find_chat
from chatd.store.values import AddMember, Change, Committed

# Blocks are small, so that a page of history decodes few entries it does not need.
MAX_BLOCK_ENTRIES = 128
MAX_BLOCK_BYTES = 65_536

# A counter that rises within a prefix of at least 96 random bits (16 characters of
# base64url) proves a key new. Two outboxes might have the same shorter prefix.
MIN_PREFIX = 16
# SQLite's integers hold any counter of at most this many digits.
MAX_DIGITS = 15

_MAX_CACHED = 65_536
# The rows of the newest commits tell the next seq, unless they span more seqs.
_MAX_SPAN = 16_384


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Entry]).decode


def unpack_block(data: bytes) -> list[Entry]:
    """Return the entries of a block, oldest first."""
    return _unpack(data)


def parse_stream_key(key: str) -> tuple[str, int] | None:
    """Return prefix and counter of a key that has them, else None."""
    prefix, _, digits = key.rpartition("-")
    if len(prefix) < MIN_PREFIX or len(digits) > MAX_DIGITS or not digits.isdecimal():
        return None
    # "-7" and "-07" are two keys with one counter. That is harmless: only a counter
    # above all others proves a key new, and any other key is looked up as a whole.
    return prefix, int(digits)


class _Stream:
    """The highest counter of a prefix, and its run in the block being filled."""

    __slots__ = ("high", "id", "low")

    def __init__(self, id_: int, high: int) -> None:
        self.id = id_
        self.high = high
        self.low = -1


class LogWriter:
    """Writes the entries of one commit after another.

    Caches what the next append needs (heads of chats, highest counters); after a failed
    commit the cache may be ahead of the database: call ``forget``.

    Every append takes the next seq, whatever becomes of it: so the seqs, and all else
    that it leads to, do not depend on which appends shared a commit.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._heads: dict[int, int] = {}
        self._streams: dict[tuple[int, str, str], _Stream] = {}
        # The next seq, 0 if it has to be loaded; the one when it was last stored; the
        # highest in a row.
        self._next_seq = 0
        self._stored_seq = 0
        self.high = 0
        self._blocks: dict[int, _Block] = {}

    def forget(self) -> None:
        """Drop the cache and what was gathered, after a commit that failed."""
        self._heads.clear()
        self._streams.clear()
        self._blocks = {}
        self._next_seq = self.high = 0

    def add(self, append: Append) -> None:
        """Give an append its seq, and apply it; its outcome is final after ``write``.

        What it records is applied at once, in the order of the commands; its entry, and
        its key where no counter proves it new, are written with others of its chat.
        """
        block = self._blocks.get(append.chat)
        if block is None:
            if self._next_seq == 0:
                self._next_seq = self._stored_seq = self._load_next_seq()
            block = self._blocks[append.chat] = _Block(self, append.chat)
        append.seq = self._next_seq
        self._next_seq += 1
        try:
            block.take(append)
        except ChatError as error:
            append.seq = 0
            append.error = error

    def write(self) -> list[Committed]:
        """Write what was added; the caller commits."""
        if not self._blocks:
            return []
        blocks, self._blocks = self._blocks, {}
        if len(self._heads) > _MAX_CACHED:
            self._heads.clear()
        if len(self._streams) > _MAX_CACHED:
            self._streams.clear()
        committed = []
        for block in blocks.values():
            part = block.finish()
            if part is not None:
                committed.append(part)
        last = self._next_seq - 1
        if self.high < last or last > self._stored_seq + _MAX_SPAN:
            # The rows would not tell it.
            self.connection.execute(
                "INSERT INTO meta (key, value) VALUES ('next_seq', ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (str(self._next_seq),),
            )
        self._stored_seq = self._next_seq
        return committed

    def head(self, chat: int) -> int:
        """Return the newest seq of a chat, 0 if it is empty."""
        head = self._heads.get(chat)
        if head is None:
            row = self.connection.execute(
                "SELECT last FROM blocks WHERE chat = ? ORDER BY first DESC LIMIT 1",
                (chat,),
            ).fetchone()
            head = self._heads[chat] = row[0] if row else 0
        return head

    def set_head(self, chat: int, seq: int) -> None:
        """Remember the newest seq of a chat."""
        self._heads[chat] = seq

    def _load_next_seq(self) -> int:
        # Only rows of the last commit can have the highest seq.
        row = self.connection.execute(
            "SELECT max(coalesce((SELECT CAST(value AS INTEGER) FROM meta"
            " WHERE key = 'next_seq'), 1), coalesce((SELECT max(last) + 1 FROM blocks"
            " WHERE first >= (SELECT max(first) FROM blocks) - ?), 1))",
            (_MAX_SPAN,),
        ).fetchone()
        next_seq: int = row[0]
        return next_seq

    def stream(self, chat: int, sender: str, prefix: str) -> _Stream:
        """Return the stream of a prefix, created if it is new."""
        name = (chat, sender, prefix)
        stream = self._streams.get(name)
        if stream is None:
            row = self.connection.execute(
                "SELECT id, (SELECT high FROM runs WHERE stream = id"
                " ORDER BY low DESC LIMIT 1)"
                " FROM streams WHERE chat = ? AND sender = ? AND prefix = ?",
                name,
            ).fetchone()
            if row is None:
                inserted = self.connection.execute(
                    "INSERT INTO streams (chat, sender, prefix) VALUES (?, ?, ?)", name
                )
                row = (inserted.lastrowid, None)
            stream = _Stream(row[0], -1 if row[1] is None else row[1])
            self._streams[name] = stream
        return stream


class _Block:
    """Writes the entries of one chat in a commit, cut into rows as they grow."""

    def __init__(self, writer: LogWriter, chat: int) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._chat = chat
        self._prev = writer.head(chat)
        # Whether a user gains the chat by what is written here.
        self._is_gained = self._prev == 0
        self._written: list[Entry] = []
        # Accepted, and not in a row yet.
        self._waiting: list[Append] = []
        self._bytes = 0
        # The streams that have a run in this row.
        self._streams: list[_Stream] = []
        self._prefix = self._sender = ""
        self._stream: _Stream | None = None
        # By sender and key, once a key had to be looked up; till then, those in rows.
        self._known: dict[tuple[str, str], Append] | None = None
        self._taken: list[Append] = []
        # Those waiting whose keys are not proved new yet.
        self._loose: list[Append] = []

    def take(self, append: Append) -> None:
        """Accept an append; if its key is known, make it a duplicate instead.

        Raises:
            ChatError: Its change is not possible, or its key stands for something else;
                nothing was written for it.
        """
        draft = append.draft
        key = draft.key
        is_loose = False
        if key is not None:
            goes_on = self._goes_on(draft.sender, key)
            is_loose = not goes_on
            if is_loose and self._is_known(append, key, goes_on is not None):
                return
        if append.change is not None:
            if key is not None and is_loose and self._is_stored(append, key):
                return
            self._apply(append, append.change)
        append.time_ms = draft.time_ms
        if is_loose:
            self._loose.append(append)
        if key is not None and self._known is not None:
            self._known[draft.sender, key] = append
        self._waiting.append(append)
        self._bytes += len(draft.tail)
        if len(self._waiting) >= MAX_BLOCK_ENTRIES or self._bytes >= MAX_BLOCK_BYTES:
            self._write_row()

    def finish(self) -> Committed | None:
        """Write the last row; return all entries, if there are any."""
        self._write_row()
        for stream in self._streams:
            # Its only append failed for another reason: no row has its run.
            stream.low = -1
        if not self._written:
            return None
        info = find_chat(self._connection, self._chat) if self._is_gained else None
        return Committed(self._chat, self._written, info)

    def _apply(self, append: Append, change: Change) -> None:
        draft = append.draft
        said = apply_change(
            self._connection, self._chat, append.seq, draft.time_ms, change
        )
        if said:
            append.draft = with_members(draft, said)
        if isinstance(change, AddMember):
            self._is_gained = True

    def _goes_on(self, sender: str, key: str) -> bool | None:
        """Whether its counter, above all others, proves a key new; None without one."""
        parsed = parse_stream_key(key)
        if parsed is None:
            return None
        prefix, counter = parsed
        stream = self._stream
        if stream is None or prefix != self._prefix or sender != self._sender:
            stream = self._stream = self._writer.stream(self._chat, sender, prefix)
            self._prefix, self._sender = prefix, sender
        if counter <= stream.high:
            return False
        if stream.low < 0:
            stream.low = counter
            self._streams.append(stream)
        stream.high = counter
        return True

    def _is_known(self, append: Append, key: str, has_counter: bool) -> bool:
        """Whether the key is that of an earlier entry, as far as that is known now.

        Others are proved new, or not, by ``_prove_keys``: many with one statement.
        """
        if self._known is None:
            self._known = {
                (each.draft.sender, each.draft.key): each
                for each in (*self._taken, *self._waiting)
                if each.draft.key is not None
            }
        earlier = self._known.get((append.draft.sender, key))
        if earlier is None:
            return has_counter and self._is_stored(append, key)
        self._prove_keys()
        if earlier.error is not None:
            return self._is_stored(append, key)
        _make_duplicate(append, earlier.draft.tail, earlier.seq, earlier.time_ms)
        return True

    def _is_stored(self, append: Append, key: str) -> bool:
        entry = find_key(self._connection, self._chat, append.draft.sender, key)
        if entry is None:
            return False
        _make_duplicate(append, entry.tail, entry.seq, tail_time(entry.tail))
        return True

    def _prove_keys(self) -> None:
        """Store the keys that no counter proves new; take out appends of known ones."""
        loose, self._loose = self._loose, []
        if not loose:
            return
        connection = self._connection
        rows = [
            (self._chat, append.draft.sender, append.draft.key, append.seq)
            for append in loose
        ]
        before = connection.total_changes
        connection.executemany(
            "INSERT OR IGNORE INTO keys (chat, sender, key, seq) VALUES (?, ?, ?, ?)",
            rows,
        )
        if connection.total_changes - before == len(rows):
            return
        connection.executemany(
            "DELETE FROM keys WHERE chat = ? AND sender = ? AND key = ? AND seq = ?",
            rows,
        )
        known = {id(append) for append in loose if self._is_settled(append)}
        self._waiting = [each for each in self._waiting if id(each) not in known]
        self._loose = [append for append in loose if id(append) not in known]
        self._prove_keys()

    def _is_settled(self, append: Append) -> bool:
        key = append.draft.key
        assert key is not None
        try:
            return self._is_stored(append, key)
        except ChatError as error:
            append.seq = 0
            append.error = error
            return True

    def _write_row(self) -> None:
        self._prove_keys()
        appends = self._waiting
        if not appends:
            return
        writer = self._writer
        first = appends[0].seq
        prev = self._prev
        talk = 0
        senders = set()
        entries = []
        for append in appends:
            draft = append.draft
            kind = draft.kind
            sender = draft.sender
            seq = append.seq
            entries.append(Entry(seq, prev, sender, kind, draft.tail, draft.key))
            prev = seq
            senders.add(sender)
            if kind in MESSAGE_KINDS:
                talk += 1
        self._connection.execute(
            "INSERT INTO blocks (first, chat, prev, count, talk, sender, data, skipped)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                first,
                self._chat,
                self._prev,
                len(entries),
                talk,
                senders.pop() if len(senders) == 1 else None,
                _pack(entries),
                prev + 1 - first - len(entries),
            ),
        )
        if self._streams:
            self._connection.executemany(
                "INSERT INTO runs (stream, low, high, block) VALUES (?, ?, ?, ?)",
                [(s.id, s.low, s.high, first) for s in self._streams],
            )
            for stream in self._streams:
                stream.low = -1
            self._streams = []
        if self._known is None:
            self._taken += appends
        self._waiting = []
        self._bytes = 0
        self._prev = prev
        writer.high = max(writer.high, prev)
        writer.set_head(self._chat, prev)
        self._written = self._written + entries if self._written else entries


def _make_duplicate(append: Append, tail: bytes, seq: int, time_ms: int) -> None:
    if not has_same_content(tail, append.draft.tail):
        raise KeyReusedError("that key has served a different message")
    append.seq = seq
    append.time_ms = time_ms
    append.duplicate = True


def find_key(
    connection: sqlite3.Connection, chat: int, sender: str, key: str
) -> Entry | None:
    """Return the entry that a sender's key stands for in a chat."""
    row = connection.execute(
        "SELECT b.data FROM keys k JOIN blocks b ON b.first ="
        " (SELECT max(first) FROM blocks WHERE chat = k.chat AND first <= k.seq)"
        " WHERE k.chat = ? AND k.sender = ? AND k.key = ?",
        (chat, sender, key),
    ).fetchone()
    if row is None:
        stream_key = parse_stream_key(key)
        if stream_key is None:
            return None
        prefix, counter = stream_key
        row = connection.execute(
            "SELECT b.data FROM runs r JOIN blocks b"
            " ON b.first = r.block WHERE r.stream = (SELECT id FROM streams"
            " WHERE chat = ? AND sender = ? AND prefix = ?) AND r.low <= ?"
            " ORDER BY r.low DESC LIMIT 1",
            (chat, sender, prefix, counter),
        ).fetchone()
    if row is None:
        return None
    return _entry_with_key(unpack_block(row[0]), sender, key)


def _entry_with_key(entries: Sequence[Entry], sender: str, key: str) -> Entry | None:
    for entry in entries:
        if entry.key == key and entry.sender == sender:
            return entry
    return None
