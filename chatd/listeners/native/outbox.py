"""The outbox of a connection: frames to be written, joined into few writes.

Each write is a system call, and those decide how fast the daemon is. So all frames that
one turn of the loop has for a connection go out in one write at the end of it.
"""

import asyncio
from struct import Struct

import msgspec

from chatd.core.chats import Page, Sending
from chatd.core.feed import Delivery
from chatd.protocol.entries import (
    Entry,
    encode_entry,
    encode_head,
    encode_place,
    encode_places,
    with_key,
)
from chatd.protocol.messages import Sent

_pack = Struct(">I").pack
_encode = msgspec.json.Encoder().encode

# Far enough below the 1 MiB of a frame for the members around the entries.
MAX_PAGE_BYTES = 1_000_000


# More bytes than one request can add to an outbox that was not full.
MAX_REPLY_BYTES = 2_097_152


class Flusher:
    """Flushes the outboxes that have frames, once per turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Outbox] = []

    def add(self, outbox: "Outbox") -> None:
        """Have an outbox flushed at the end of this turn."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(outbox)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            outbox.flush()


class Outbox:
    """Frames on their way to one connection.

    Args:
        writer: The connection's stream.
        flusher: The loop's flusher.
        limit: With more bytes than this waiting, it is full.
    """

    __slots__ = (
        "_chunks",
        "_flusher",
        "_is_ended",
        "_queued",
        "_transport",
        "_writer",
        "limit",
    )

    def __init__(
        self, writer: asyncio.StreamWriter, flusher: Flusher, limit: int
    ) -> None:
        self._writer = writer
        self._transport = writer.transport
        self._flusher = flusher
        self._chunks: list[bytes] = []
        self._queued = 0
        self._is_ended = False
        self.limit = limit
        self._transport.set_write_buffer_limits(limit, limit // 4)

    @property
    def is_full(self) -> bool:
        """Whether more than the limit waits."""
        return self._queued + self._transport.get_write_buffer_size() > self.limit

    def write(self, frames: bytes) -> None:
        """Queue whole frames; after ``end`` they are dropped."""
        if self._is_ended:
            return
        if not self._chunks:
            self._flusher.add(self)
        self._chunks.append(frames)
        self._queued += len(frames)

    def write_body(self, body: bytes) -> None:
        """Queue one body as a frame."""
        self.write(_pack(len(body)) + body)

    def flush(self) -> None:
        """Hand all queued frames to the transport; abort a peer that never reads."""
        chunks = self._chunks
        if not chunks:
            return
        self._chunks = []
        self._queued = 0
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if transport.get_write_buffer_size() > 2 * self.limit + MAX_REPLY_BYTES:
            # A full outbox is only sent what may not be left out, and this peer does
            # not even read that. The log has everything, so it can reconnect for it.
            transport.abort()

    def end(self) -> None:
        """Write what is queued, and drop all later frames."""
        self.flush()
        self._is_ended = True

    async def drained(self) -> None:
        """Flush, and wait until the transport accepts more.

        Raises:
            ConnectionError: The connection is closed.
        """
        self.flush()
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        await self._writer.drain()


def encode_delivery(address: str, delivery: Delivery) -> bytes:
    """Return a delivery as frames; encoded once for all that address the chat alike."""
    frames = delivery.encoded.get(address)
    if frames is None:
        bodies = delivery.bodies
        if bodies is None:
            owner = delivery.repeat_key_of
            if owner is None:
                bodies = encode_places(delivery.entries)
            else:
                bodies = [
                    encode_place(entry.seq, entry.prev, tail_for(entry, owner))
                    for entry in delivery.entries
                ]
            delivery.bodies = bodies
        head = encode_head(address)
        length = len(head)
        # Cache of length prefix and head, by the length of the body: lengths repeat.
        starts: dict[int, bytes] = {}
        parts: list[bytes] = []
        add = parts.append
        for body in bodies:
            size = len(body)
            start = starts.get(size)
            if start is None:
                start = starts[size] = _pack(length + size) + head
            add(start)
            add(body)
        frames = delivery.encoded[address] = b"".join(parts)
    return frames


def tail_for(entry: Entry, user: str) -> bytes:
    """Return an entry's tail, with its key if the user is its sender."""
    if entry.key is None or entry.sender != user:
        return entry.tail
    return with_key(entry.tail, entry.key)


class _PlainSent(msgspec.Struct, tag="sent", gc=False):
    # Without optional members, encoding it is faster than formatting bytes.
    re: int
    chat: str
    seq: int
    time: int


def encode_sent(sendings: list[Sending]) -> bytes:
    """Return a ``sent`` reply for each, as frames."""
    parts: list[bytes] = []
    for sending in sendings:
        re = sending.request_id
        if re is None or sending.duplicate:
            message = Sent(
                re=re,
                chat=sending.address,
                seq=sending.seq,
                time=sending.time_ms,
                duplicate=sending.duplicate,
            )
            body = _encode(message)
        else:
            body = _encode(
                _PlainSent(re, sending.address, sending.seq, sending.time_ms)
            )
        parts.append(_pack(len(body)))
        parts.append(body)
    return b"".join(parts)


def encode_history(
    page: Page, user: str, *, from_newest: bool, re: int | None
) -> bytes:
    """Return the body of a ``history`` reply, cut at the far end to fit a frame."""
    head = encode_head(page.address)
    bodies: list[bytes] = []
    size = 0
    more = page.more
    for entry in reversed(page.entries) if from_newest else page.entries:
        body = encode_entry(head, entry.seq, entry.prev, tail_for(entry, user))
        size += len(body) + 1
        if size > MAX_PAGE_BYTES and bodies:
            more = True
            break
        bodies.append(body)
    if from_newest:
        bodies.reverse()
    return b'{"type":"history",%b"chat":%b,"messages":[%b],"more":%b}' % (
        b"" if re is None else b'"re":%d,' % re,
        _encode(page.address),
        b",".join(bodies),
        b"true" if more else b"false",
    )
