"""Reads the raw bytes of an upload from the transport into two reused buffers.

Streams are made for messages: they hand over each read as a new object, and copy it
twice. With large reads, most of the time would go into mapping fresh memory.
"""

import asyncio
from typing import cast

# How much is written at once, and how long a smaller piece waits for more bytes.
PIECE_BYTES = 524_288
PIECE_SECONDS = 0.2


class Intake(asyncio.BufferedProtocol):
    """Reads a transport in place of its protocol, from ``begin`` to ``end``.

    There are two buffers: one fills while the other is written to disk. When both are
    in use the transport is not read, and the peer has to wait.

    Args:
        transport: What to read; its protocol still gets all events but the bytes.
        left: How many bytes are to come; with one more, ``has_excess`` is set.
    """

    def __init__(self, transport: asyncio.WriteTransport, left: int) -> None:
        # The transports of streams go both ways.
        self._transport = cast(asyncio.Transport, transport)
        self._stream = cast(asyncio.Protocol, transport.get_protocol())
        self._left = left
        capacity = min(PIECE_BYTES, left + 1)
        self._filling = memoryview(bytearray(capacity))
        self._other = memoryview(bytearray(capacity))
        self._filled = 0
        # One byte more than is to come, so that an excess is noticed.
        self._limit = capacity
        self._is_ended = False
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_excess(self) -> bool:
        """Whether more bytes came than were to come."""
        return self._filled > self._left

    def begin(self) -> None:
        """Start to read the transport in place of the stream."""
        self._switch(self)

    def end(self) -> None:
        """Give the reading back to the stream; safe to call twice."""
        if self._transport.get_protocol() is self:
            self._switch(self._stream)
        if self._timer is not None:
            self._timer.cancel()

    def _switch(self, protocol: asyncio.BaseProtocol) -> None:
        if self._transport.is_closing():
            return
        # Some loops choose how to read (into a buffer or not) only when reading starts.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    async def ready(self) -> None:
        """Wait for a full piece, the last byte, the end of the stream, or a timeout.

        The timeout is ``PIECE_SECONDS`` after the first byte of the piece.
        """
        while not (self._is_due or self._is_ended or self._is_complete()):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def take(self) -> memoryview:
        """Return the bytes received, without an excess, and switch to the other buffer.

        They stay unchanged until the next ``take``. An empty result after ``ready``
        means that the stream has ended.
        """
        count = min(self._filled, self._left)
        taken = self._filling[:count]
        excess = self._filled - count
        self._left -= count
        self._filling, self._other = self._other, self._filling
        self._filled = excess
        self._limit = min(PIECE_BYTES, self._left + 1)
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not excess and not self._transport.is_closing():
            self._transport.resume_reading()
        return taken

    def _is_complete(self) -> bool:
        return self._filled >= min(self._left, PIECE_BYTES)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _be_due(self) -> None:
        self._is_due = True
        self._wake()

    # Called by the transport --------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self._filling[self._filled : self._limit]

    def buffer_updated(self, nbytes: int) -> None:
        """Count bytes that were received into the buffer."""
        if not self._filled:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PIECE_SECONDS, self._be_due)
        self._filled += nbytes
        if self._filled == self._limit:
            self._transport.pause_reading()
        if self._is_complete():
            self._wake()

    def eof_received(self) -> bool | None:
        """Record the end of the stream, and pass it on to the stream's protocol."""
        self._is_ended = True
        self._wake()
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record the end of the connection, and pass it on to the stream's protocol."""
        self._is_ended = True
        self._wake()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on to the stream's protocol."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on to the stream's protocol."""
        self._stream.resume_writing()
