"""The outbox of a connection: frames to be written, joined into few writes.

Each write is a system call, and those decide how fast the daemon is. So all frames that
one turn of the loop has for a connection go out in one write at the end of it.
"""

import asyncio
from struct import Struct

from chatd.core.feed import Delivery
from chatd.listeners.native.bodies import delivery_bodies
from chatd.protocol.entries import encode_head
from chatd.protocol.messages import ServerMessage, encode_message

_pack = Struct(">I").pack

# Names this encoding in the cache of a delivery.
_CODEC = "frames"

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

    def write_bodies(self, bodies: list[bytes]) -> None:
        """Queue encoded messages, each as a frame."""
        self.write(b"".join([_pack(len(body)) + body for body in bodies]))

    def push(self, message: ServerMessage) -> None:
        """Queue a message."""
        body = encode_message(message)
        self.write(_pack(len(body)) + body)

    def deliver(self, address: str, delivery: Delivery) -> None:
        """Queue entries of a chat, encoded once for all who address it alike."""
        frames = delivery.encoded.get((_CODEC, address))
        if frames is None:
            frames = _frames(encode_head(address), delivery_bodies(delivery))
            delivery.encoded[_CODEC, address] = frames
        self.write(frames)

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


def _frames(head: bytes, bodies: list[bytes]) -> bytes:
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
    return b"".join(parts)
