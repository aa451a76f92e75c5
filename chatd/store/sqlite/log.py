"""What one commit appends to the logs; runs in the writer's thread.

Appends are gathered per chat, in the order they came, and written as blocks: seqs are
given out here, inside the write transaction, and only here. Keys are resolved here too,
one after the other, so two sends with one key can never both be new.
"""

import re
import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from chatd.protocol.entries import (
    TALK,
    Entry,
    has_same_content,
    tail_time,
)
from chatd.protocol.errors import ChatError, KeyReusedError
from chatd.store.base import Append, Committed
from chatd.store.sqlite.changes import apply_change

# A block stays a bite: a page of history decodes few entries that it does not want.
MAX_BLOCK_ENTRIES = 128
MAX_BLOCK_BYTES = 65_536

# A counter that rises within a prefix of at least 96 random bits (16 characters of
# base64url) proves a key new. Shorter prefixes might serve two outboxes.
_STREAM_KEY = re.compile(r"(.{16,})-(0|[1-9][0-9]{0,14})", re.DOTALL).fullmatch

_MAX_CACHED = 65_536


class PackedEntry(Struct, array_like=True, gc=False):
    """An entry as it stands in a block; its seq follows from its position."""

    tail: bytes
    sender: str
    kind: str
    key: str | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[PackedEntry]).decode


def unpack_block(first: int, prev: int, data: bytes) -> list[Entry]:
    """Return the entries of a block, oldest first."""
    entries = []
    seq = first
    for packed in _unpack(data):
        entries.append(
            Entry(seq, prev, packed.sender, packed.kind, packed.tail, packed.key)
        )
        prev = seq
        seq += 1
    return entries


def parse_stream_key(key: str) -> tuple[str, int] | None:
    """Return prefix and counter of a key that has them."""
    match = _STREAM_KEY(key)
    return (match[1], int(match[2])) if match else None


class _Stream:
    """The highest counter of a prefix, and its run in the block being filled."""

    __slots__ = ("high", "id", "low")

    def __init__(self, id_: int, high: int) -> None:
        self.id = id_
        self.high = high
        self.low = -1


class LogWriter:
    """Writes the entries of one commit after the other.

    Caches what the next append needs (heads of chats, highest counters); after a failed
    commit the cache may be ahead of the database: call ``forget``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._heads: dict[int, int] = {}
        self._streams: dict[tuple[int, str, str], _Stream] = {}
        self._next_seq = 0
        self._groups: dict[int, list[Append]] = {}

    def forget(self) -> None:
        """Drop the cache and what was gathered, after a commit that failed."""
        self._heads.clear()
        self._streams.clear()
        self._groups = {}
        self._next_seq = 0

    def add(self, append: Append) -> None:
        """Gather an append for this commit."""
        group = self._groups.get(append.chat)
        if group is None:
            self._groups[append.chat] = [append]
        else:
            group.append(append)

    def write(self) -> list[Committed]:
        """Write what was gathered; the caller commits.

        Sets ``seq``, ``duplicate`` or ``error`` of every append.
        """
        groups, self._groups = self._groups, {}
        if self._next_seq == 0:
            self._next_seq = self._load_next_seq()
        if len(self._heads) > _MAX_CACHED:
            self._heads.clear()
        if len(self._streams) > _MAX_CACHED:
            self._streams.clear()
        committed = []
        for chat, group in groups.items():
            entries = self._write_group(chat, group)
            if entries:
                committed.append(Committed(chat, entries))
        return committed

    def head(self, chat: int) -> int:
        """Return the newest seq of a chat, 0 if it is empty."""
        head = self._heads.get(chat)
        if head is None:
            row = self._connection.execute(
                "SELECT first + count - 1 FROM blocks WHERE chat = ?"
                " ORDER BY first DESC LIMIT 1",
                (chat,),
            ).fetchone()
            head = self._heads[chat] = row[0] if row else 0
        return head

    def _load_next_seq(self) -> int:
        row = self._connection.execute(
            "SELECT first + count FROM blocks ORDER BY first DESC LIMIT 1"
        ).fetchone()
        return row[0] if row else 1

    def _write_group(self, chat: int, group: list[Append]) -> list[Entry]:
        block = _Block(self, chat)
        known: dict[tuple[str, str], Append] | None = None
        for append in group:
            draft = append.draft
            key = draft.key
            if key is not None:
                stream_key = parse_stream_key(key)
                stream = counter = None
                if stream_key is not None:
                    prefix, counter = stream_key
                    stream = self._stream(chat, draft.sender, prefix)
                if stream is None or counter is None or counter <= stream.high:
                    if known is None:
                        known = {
                            (a.draft.sender, a.draft.key): a
                            for a in block.accepted
                            if a.draft.key is not None
                        }
                    if self._is_known(append, key, known):
                        continue
                    stream = None
            else:
                stream = counter = None
            try:
                block.accept(append, stream, counter)
            except ChatError as error:
                append.error = error
                continue
            if known is not None and key is not None:
                known[draft.sender, key] = append
        return block.finish()

    def _is_known(
        self,
        append: Append,
        key: str,
        known: dict[tuple[str, str], Append],
    ) -> bool:
        draft = append.draft
        earlier = known.get((draft.sender, key))
        if earlier is not None:
            seq, tail = earlier.seq, earlier.draft.tail
        else:
            entry = find_key(self._connection, append.chat, draft.sender, key)
            if entry is None:
                return False
            seq, tail = entry.seq, entry.tail
        if has_same_content(tail, draft.tail):
            append.seq = seq
            append.time_ms = tail_time(tail)
            append.duplicate = True
        else:
            append.error = KeyReusedError("that key has served a different message")
        return True

    def _stream(self, chat: int, sender: str, prefix: str) -> _Stream:
        name = (chat, sender, prefix)
        stream = self._streams.get(name)
        if stream is None:
            row = self._connection.execute(
                "SELECT id, (SELECT high FROM runs WHERE stream = id"
                " ORDER BY low DESC LIMIT 1)"
                " FROM streams WHERE chat = ? AND sender = ? AND prefix = ?",
                name,
            ).fetchone()
            if row is None:
                inserted = self._connection.execute(
                    "INSERT INTO streams (chat, sender, prefix) VALUES (?, ?, ?)", name
                )
                row = (inserted.lastrowid, None)
            stream = _Stream(row[0], -1 if row[1] is None else row[1])
            self._streams[name] = stream
        return stream


class _Block:
    """The entries of one chat that are being written, cut into rows as they grow."""

    def __init__(self, writer: LogWriter, chat: int) -> None:
        self._writer = writer
        self._connection = writer._connection
        self._chat = chat
        self._entries: list[Entry] = []
        self.accepted: list[Append] = []
        self._begin(writer.head(chat))

    def _begin(self, prev: int) -> None:
        self._first = self._writer._next_seq
        self._prev = prev
        self._packed: list[PackedEntry] = []
        self._bytes = 0
        self._streams: list[_Stream] = []

    def accept(
        self, append: Append, stream: _Stream | None, counter: int | None
    ) -> None:
        """Give the append its place.

        Raises:
            ChatError: Its change is not possible; nothing was written for it.
        """
        writer = self._writer
        draft = append.draft
        seq = writer._next_seq
        if append.change is not None:
            apply_change(self._connection, self._chat, seq, append.change)
        writer._next_seq = seq + 1
        append.seq = seq
        key = draft.key
        if stream is not None and counter is not None:
            if stream.low < 0:
                stream.low = counter
                self._streams.append(stream)
            stream.high = counter
        elif key is not None:
            self._connection.execute(
                "INSERT INTO keys (chat, sender, key, seq) VALUES (?, ?, ?, ?)",
                (self._chat, draft.sender, key, seq),
            )
        prev = seq - 1 if self._packed else self._prev
        self._packed.append(PackedEntry(draft.tail, draft.sender, draft.kind, key))
        self._entries.append(
            Entry(seq, prev, draft.sender, draft.kind, draft.tail, key)
        )
        self.accepted.append(append)
        self._bytes += len(draft.tail)
        if len(self._packed) >= MAX_BLOCK_ENTRIES or self._bytes >= MAX_BLOCK_BYTES:
            self._write_row()

    def finish(self) -> list[Entry]:
        """Write the last row; return all entries of the group."""
        if self._packed:
            self._write_row()
        return self._entries

    def _write_row(self) -> None:
        packed = self._packed
        sender = packed[0].sender
        talk = 0
        one_sender = True
        for entry in packed:
            if entry.kind in TALK:
                talk += 1
            if entry.sender != sender:
                one_sender = False
        self._connection.execute(
            "INSERT INTO blocks (first, chat, prev, count, talk, sender, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._first,
                self._chat,
                self._prev,
                len(packed),
                talk,
                sender if one_sender else None,
                _pack(packed),
            ),
        )
        if self._streams:
            self._connection.executemany(
                "INSERT INTO runs (stream, low, high, block) VALUES (?, ?, ?, ?)",
                [(s.id, s.low, s.high, self._first) for s in self._streams],
            )
            for stream in self._streams:
                stream.low = -1
        last = self._first + len(packed) - 1
        self._writer._heads[self._chat] = last
        self._begin(last)


def find_key(
    connection: sqlite3.Connection, chat: int, sender: str, key: str
) -> Entry | None:
    """Return the entry that a sender's key stands for in a chat."""
    row = connection.execute(
        "SELECT b.first, b.prev, b.data FROM keys k JOIN blocks b ON b.first ="
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
            "SELECT b.first, b.prev, b.data FROM runs r JOIN blocks b"
            " ON b.first = r.block WHERE r.stream = (SELECT id FROM streams"
            " WHERE chat = ? AND sender = ? AND prefix = ?) AND r.low <= ?"
            " ORDER BY r.low DESC LIMIT 1",
            (chat, sender, prefix, counter),
        ).fetchone()
    if row is None:
        return None
    return _entry_with_key(unpack_block(*row), sender, key)


def _entry_with_key(entries: Sequence[Entry], sender: str, key: str) -> Entry | None:
    for entry in entries:
        if entry.key == key and entry.sender == sender:
            return entry
    return None
