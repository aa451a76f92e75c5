"""Receive buffers, which take bytes from the network without copying; sans I/O.

``FrameBuffer`` asks for exactly the bytes of a frame, so that raw bytes behind it are
never touched. ``RawBuffer`` takes as much as has arrived, into large buffers in turn:
while a thread writes one, another one fills.
"""

from collections import deque

from chatd.protocol.frames import MAX_BODY_FROM_SERVER, PREFIX_BYTES
from client.errors import PeerError

BUFFER_BYTES = 1 << 20

Piece = tuple[bytearray, int]
"""A buffer, and how many of its bytes are filled."""


class FrameBuffer:
    """Collects one frame after another."""

    def __init__(self) -> None:
        self._buffer = bytearray(PREFIX_BYTES)
        self._filled = 0
        self._is_prefix = True

    def free(self) -> memoryview:
        """Return the space for the next bytes, never more than the frame has."""
        return memoryview(self._buffer)[self._filled :]

    def added(self, count: int) -> bytes | None:
        """Count received bytes; return a body if they complete one.

        Raises:
            PeerError: A frame announces an impossible length.
        """
        self._filled += count
        if self._filled < len(self._buffer):
            return None
        whole = self._buffer
        self._filled = 0
        if self._is_prefix:
            length = int.from_bytes(whole, "big")
            if not 0 < length <= MAX_BODY_FROM_SERVER:
                raise PeerError("the server sent what is no message")
            self._buffer, self._is_prefix = bytearray(length), False
            return None
        self._buffer, self._is_prefix = bytearray(PREFIX_BYTES), True
        return bytes(whole)


class RawBuffer:
    """Collects a known number of bytes; what comes after them is dropped.

    Attributes:
        missing: How many are still to come.
    """

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self._buffer = bytearray()
        self._filled = 0
        self._full: list[Piece] = []
        self._spare: deque[bytearray] = deque()

    @property
    def has_pieces(self) -> bool:
        """Whether there are bytes to be written."""
        return self._filled > 0 or bool(self._full)

    @property
    def is_full(self) -> bool:
        """Whether reading should pause until pieces were written."""
        return self._filled == len(self._buffer) > 0

    def free(self) -> memoryview:
        """Return the space for the next bytes."""
        if self._filled == len(self._buffer):
            if self._filled:
                self._full.append((self._buffer, self._filled))
            self._take_spare()
        return memoryview(self._buffer)[self._filled :]

    def added(self, count: int) -> None:
        """Count received bytes."""
        count = min(count, self.missing)
        self._filled += count
        self.missing -= count

    def take(self) -> list[Piece]:
        """Return all received pieces, for ``give_back`` once they were written."""
        pieces, self._full = self._full, []
        if self._filled:
            pieces.append((self._buffer, self._filled))
            self._take_spare()
        return pieces

    def give_back(self, pieces: list[Piece]) -> None:
        """Return buffers for reuse."""
        self._spare.extend(buffer for buffer, _ in pieces)

    def _take_spare(self) -> None:
        self._buffer = self._spare.popleft() if self._spare else bytearray(BUFFER_BYTES)
        self._filled = 0
