"""Log entries as JSON, encoded once and then only joined (protocol README, section 5).

An entry is stored as its *tail*: the JSON members that depend neither on its place in
the log nor on the reader, up to and including the closing brace. The rest is put in
front: ``type``, the ``chat`` as the reader addresses it, ``seq`` and ``prev``.

    {"type":"message","chat":"@bob","seq":121,"prev":120,   <- the head, made per reader
    "time":1790000000000,"from":"alice","kind":"text","text":"hello"}      <- the tail

``time`` comes first in the tail, so that all after its comma is the content, which must
always be the same for the same key.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

EntryKind = Literal["text", "action", "file", "create", "join", "leave", "topic"]

# Kinds of messages, as opposed to events of the log: these count as unread.
MESSAGE_KINDS: frozenset[str] = frozenset({"text", "action", "file"})

_encode = msgspec.json.Encoder().encode


class Draft(Struct, frozen=True, gc=False):
    """An entry without a place in a log yet.

    ``tail`` is final: it is stored and delivered byte by byte.
    """

    sender: str
    kind: str
    time_ms: int
    tail: bytes
    key: str | None = None


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """One item of a log, at its place: ``prev`` is the seq before it, 0 for none."""

    seq: int
    prev: int
    sender: str
    kind: str
    tail: bytes
    key: str | None = None


def encode_text(sender: str, kind: EntryKind, time_ms: int, text: str) -> bytes:
    """Return the tail of a text or action; ``sender`` is a canonical name."""
    return finish_text(begin_text(sender, kind, time_ms), text)


def begin_text(sender: str, kind: EntryKind, time_ms: int) -> bytes:
    """Return a tail up to its text, for ``finish_text``; texts of one time share it."""
    return b'"time":%d,"from":%b,"kind":"%b","text":' % (
        time_ms,
        _encode(sender),
        kind.encode(),
    )


def finish_text(begun: bytes, text: str) -> bytes:
    """Return the tail of a text, given what ``begin_text`` returned."""
    return begun + _encode(text) + b"}"


def encode_tail(
    sender: str, kind: EntryKind, time_ms: int, members: dict[str, object]
) -> bytes:
    """Return the tail of an entry with further members, in the order given."""
    head = b'"time":%d,"from":%b,"kind":"%b"' % (
        time_ms,
        _encode(sender),
        kind.encode(),
    )
    rest = _encode(members)
    return head + (b"," + rest[1:] if members else b"}")


def with_members(draft: Draft, members: dict[str, object]) -> Draft:
    """Return a draft whose tail has further members, behind those it has."""
    tail = b"%b,%b" % (draft.tail[:-1], _encode(members)[1:])
    return msgspec.structs.replace(draft, tail=tail)


def has_same_content(one: bytes, other: bytes) -> bool:
    """Whether two tails are the same apart from their times."""
    return one[one.index(b",") :] == other[other.index(b",") :]


def tail_time(tail: bytes) -> int:
    """Return the time (ms) that a tail carries."""
    return int(tail[7 : tail.index(b",")])


def encode_head(address: str) -> bytes:
    """Return the constant beginning of every ``message`` of one chat for one reader."""
    return b'{"type":"message","chat":%b,' % _encode(address)


def encode_place(seq: int, prev: int, tail: bytes) -> bytes:
    """Return what follows the head in the body of a ``message``."""
    return b'"seq":%d,"prev":%d,%b' % (seq, prev, tail)


def encode_places(entries: Iterable[Entry]) -> list[bytes]:
    """Return ``encode_place`` of each entry, without the cost of a call for each."""
    return [
        b'"seq":%d,"prev":%d,%b' % (entry.seq, entry.prev, entry.tail)
        for entry in entries
    ]


def encode_entry(head: bytes, seq: int, prev: int, tail: bytes) -> bytes:
    """Return the body of a ``message``; ``head`` comes from ``encode_head``."""
    return head + encode_place(seq, prev, tail)


def with_key(tail: bytes, key: str) -> bytes:
    """Return a tail that also carries its sender's key, for the sender alone."""
    return b'%b,"key":%b}' % (tail[:-1], _encode(key))


def decode_members(tail: bytes) -> dict[str, object]:
    """Return the members of a tail as a dictionary."""
    members: dict[str, object] = msgspec.json.decode(b"{" + tail)
    return members
