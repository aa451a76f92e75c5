"""Takes the raw bytes of an upload off the network, into buffers of its own.

Streams are made for messages: they hand over each read as a new object, and copy it
twice. Of large ones most of the time goes into having the system map fresh memory.
"""

import asyncio
from typing import cast

# What is written at once, and how long less than that waits for more.
PIECE_BYTES = 524_288
PIECE_SECONDS = 0.2


class Intake(asyncio.BufferedProtocol):
    """Reads a transport instead of its protocol, from ``begin`` to ``end``.

    There are two buffers: one fills while what is in the other is written. When both
    are in use the transport is not read, and the peer has to wait.

    Args:
        transport: What to read; its protocol is told of all but the bytes.
        left: How many bytes are to come; with one more, ``has_excess`` is set.
    """

    def __init__(self, transport: asyncio.WriteTransport, left: int) -> None:
        # Those of streams go both ways.
        self._transport = cast(asyncio.Transport, transport)
        self._stream = cast(asyncio.Protocol, transport.get_protocol())
        self._left = left
        capacity = min(PIECE_BYTES, left + 1)
        self._filling = memoryview(bytearray(capacity))
        self._other = memoryview(bytearray(capacity))
        self._filled = 0
        # One byte more than is to come would show that there is too much.
        self._limit = capacity
        self._is_ended = False
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_excess(self) -> bool:
        """Whether more came than was to come."""
        return self._filled > self._left

    def begin(self) -> None:
        """Read from now on."""
        self._switch(self)

    def end(self) -> None:
        """Leave the reading to the stream again; twice is fine."""
        if self._transport.get_protocol() is self:
            self._switch(self._stream)
        if self._timer is not None:
            self._timer.cancel()

    def _switch(self, protocol: asyncio.BaseProtocol) -> None:
        if self._transport.is_closing():
            return
        # Some loops choose how to read only when they begin to.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    async def ready(self) -> None:
        """Wait for a full piece, the last byte, the end of the stream, or a while."""
        while not (self._is_due or self._is_ended or self._is_complete()):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def take(self) -> memoryview:
        """Return what has come, without the excess; go on with the other buffer.

        It stays as it is until the next ``take``. Nothing means, after ``ready``, that
        the stream has ended.
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

    # What the transport calls -------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self._filling[self._filled : self._limit]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that have come."""
        if not self._filled:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PIECE_SECONDS, self._be_due)
        self._filled += nbytes
        if self._filled == self._limit:
            self._transport.pause_reading()
        if self._is_complete():
            self._wake()

    def eof_received(self) -> bool | None:
        """Take note of the end of the stream."""
        self._is_ended = True
        self._wake()
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end of the connection."""
        self._is_ended = True
        self._wake()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._stream.resume_writing()
