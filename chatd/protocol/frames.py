"""Framing: a length of four bytes, then a body (protocol README, section 1).

The decoder is sans-I/O: bytes go in as the network delivered them, bodies come out.
It never holds more than one incomplete frame, and it refuses a frame as soon as its
length is known: memory is bounded by ``max_body_bytes``, not by what is announced.
"""

import struct

from chatd.protocol.errors import EmptyFrameError, FrameTooLargeError

PREFIX_BYTES = 4
MAX_BODY_BEFORE_LOGIN = 4_096
MAX_BODY_DEFAULT = 131_072
MAX_BODY_FROM_SERVER = 1 << 20

_LENGTH = struct.Struct(">I")
_pack = _LENGTH.pack
_unpack_from = _LENGTH.unpack_from


def encode_frame(body: bytes) -> bytes:
    """Return ``body`` with its length in front."""
    return _pack(len(body)) + body


class FrameDecoder:
    """Splits a stream of bytes into the bodies of frames.

    Args:
        max_body_bytes: The longest body allowed; may be raised between frames, as
            happens after a login.
    """

    __slots__ = ("_buffer", "_error", "max_body_bytes")

    def __init__(self, max_body_bytes: int) -> None:
        self.max_body_bytes = max_body_bytes
        self._buffer = b""
        self._error: EmptyFrameError | FrameTooLargeError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return every body that ``data`` completes, oldest first.

        Bodies that came before a broken frame are returned; the error is raised by
        the next call (also ``feed(b"")``), and by every call after it.

        Args:
            data: Bytes as they came from the network; any split is fine.

        Raises:
            EmptyFrameError: A prefix announces a body of zero bytes.
            FrameTooLargeError: A prefix announces more than ``max_body_bytes``; raised
                before the body is read. The stream cannot be resumed: close it.
        """
        if self._error is not None:
            raise self._error
        if self._buffer:
            data = self._buffer + data
        bodies: list[bytes] = []
        position = 0
        end = len(data)
        limit = self.max_body_bytes
        while end - position >= PREFIX_BYTES:
            length = _unpack_from(data, position)[0]
            if not 0 < length <= limit:
                self._fail(length)
                if not bodies and self._error is not None:
                    raise self._error
                return bodies
            start = position + PREFIX_BYTES
            position = start + length
            if position > end:
                position = start - PREFIX_BYTES
                break
            bodies.append(data[start:position])
        self._buffer = data[position:] if position < end else b""
        return bodies

    @property
    def is_broken(self) -> bool:
        """Whether an impossible length was seen, so that ``feed`` only raises."""
        return self._error is not None

    @property
    def buffered_bytes(self) -> int:
        """The number of bytes held of an incomplete frame."""
        return len(self._buffer)

    def _fail(self, length: int) -> None:
        self._buffer = b""
        if length == 0:
            self._error = EmptyFrameError("a frame must hold at least one byte")
        else:
            self._error = FrameTooLargeError(
                f"a frame of {length} bytes is over the limit of {self.max_body_bytes}"
            )
