"""The load's side of connections: many of them on one epoll, nothing parsed.

What arrives is counted by searching for needles: byte strings of one length that occur
once in every frame of a kind and nowhere else (a quote within a text is escaped, so no
text can contain one). What is sent was encoded beforehand and is only sliced.
"""

import select
import socket
import ssl
from collections.abc import Callable, Sequence

from tests.bench.process import BenchError

BUFFER_BYTES = 262_144
# If nothing arrives for so long, whatever is missing then is lost.
STALL_SECONDS = 10.0

_buffer = bytearray(BUFFER_BYTES)
_view = memoryview(_buffer)


class Supply:
    """Frames of one size, prepared beforehand and taken in order.

    Args:
        frames: All of them, one after the other.
        size: Bytes of one.
        endless: They are all the same and may be repeated for ever.
    """

    __slots__ = ("_at", "_endless", "_frames", "_size", "count", "left")

    def __init__(self, frames: bytes, size: int, endless: bool = False) -> None:
        self._frames = memoryview(frames)
        self._size = size
        self._endless = endless
        self._at = 0
        self.count = len(frames) // size
        self.left = self.count

    def take(self, count: int) -> memoryview:
        """Return the next frames: ``count`` of them, or what is left."""
        count = min(count, self.left)
        start = self._at
        end = start + count * self._size
        if not self._endless:
            self._at = end
            self.left -= count
        return self._frames[start:end]

    def frames_in(self, chunk: memoryview) -> int:
        """Return how many frames a chunk contains."""
        return len(chunk) // self._size


class Connection:
    """A logged-in connection that counts what arrives.

    ``counts`` has one number per needle given to ``watch``; ``on_receipt`` is called
    after each read that found something.
    """

    __slots__ = (
        "_is_tls",
        "_needles",
        "_poller",
        "_recv_into",
        "_send",
        "_tail",
        "_unsent",
        "counts",
        "fd",
        "forbidden",
        "on_receipt",
        "sock",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self._recv_into = sock.recv_into
        self._send = sock.send
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._poller: Poller | None = None
        self._unsent = b""
        self._tail = b""
        self._needles: tuple[bytes, ...] = ()
        self.counts: list[int] = []
        self.forbidden: bytes | None = None
        self.on_receipt: Callable[[], None] | None = None

    def watch(self, *needles: bytes, forbidden: bytes | None = None) -> None:
        """Count needles of one length from now on; ``forbidden`` must not occur."""
        self._needles = needles
        self.forbidden = forbidden
        self._tail = b""
        self.counts = [0] * len(needles)
        self.on_receipt = None

    def watch_also(self, needle: bytes) -> None:
        """Count one more needle, of the same length, as the last of ``counts``."""
        self._needles += (needle,)
        self.counts.append(0)

    def unwatch_last(self) -> None:
        """Stop counting the needle that was added last."""
        self._needles = self._needles[:-1]
        self.counts.pop()

    def read(self) -> None:
        """Read what has arrived and count it."""
        while True:
            kept = len(self._tail)
            _buffer[:kept] = self._tail
            try:
                received = self._recv_into(_view[kept:])
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not received:
                raise BenchError("the server closed a connection")
            self._count(kept + received)
            if self.on_receipt is not None:
                self.on_receipt()
            if not self._is_tls:
                return

    def write(self, data: memoryview | bytes) -> None:
        """Send now, or as soon as the server accepts it."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        if sent < len(data):
            self._unsent = bytes(data[sent:])
            if self._poller is not None:
                self._poller.watch_writing(self, True)

    def flush(self) -> None:
        """Send what could not be sent before."""
        data, self._unsent = self._unsent, b""
        if data:
            self.write(data)
        if not self._unsent and self._poller is not None:
            self._poller.watch_writing(self, False)

    def attach(self, poller: "Poller") -> None:
        """Register with a poller, which reads and flushes from now on."""
        self._poller = poller

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _count(self, end: int) -> None:
        needles = self._needles
        if not needles:
            return
        counts = self.counts
        for index, needle in enumerate(needles):
            counts[index] += _buffer.count(needle, 0, end)
        if self.forbidden is not None:
            at = _buffer.find(self.forbidden, 0, end)
            if at >= 0:
                excerpt = bytes(_buffer[at : min(end, at + 300)])
                raise BenchError(f"the server refused: {excerpt!r}")
        # One byte less than a needle: a needle cut in two is found, none twice.
        self._tail = bytes(_buffer[max(0, end - len(needles[0]) + 1) : end])


class Poller:
    """Reads from any of its connections that are readable."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._epoll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        for connection in connections:
            connection.sock.setblocking(False)
            self._by_fd[connection.fd] = connection
            self._epoll.register(connection.fd, select.EPOLLIN)
            connection.attach(self)

    def once(self, timeout_seconds: float = STALL_SECONDS) -> bool:
        """Handle what has arrived, or wait for it; return whether there was any."""
        events = self._epoll.poll(timeout_seconds)
        by_fd = self._by_fd
        for fd, mask in events:
            connection = by_fd[fd]
            if mask & select.EPOLLOUT:
                connection.flush()
            if mask & ~select.EPOLLOUT:
                connection.read()
        return bool(events)

    def step(self) -> None:
        """Handle what arrives next.

        Raises:
            BenchError: Nothing arrives any more.
        """
        if not self.once():
            raise BenchError("nothing arrives any more")

    def until(self, is_done: Callable[[], bool], what: str) -> None:
        """Run until a condition holds.

        Raises:
            BenchError: Nothing arrives any more; ``what`` says what was waited for.
        """
        while not is_done():
            if not self.once():
                raise BenchError(f"nothing arrives any more: {what}")

    def watch_writing(self, connection: Connection, wanted: bool) -> None:
        """Set whether ``flush`` is called as soon as the socket is writable."""
        mask = select.EPOLLIN | (select.EPOLLOUT if wanted else 0)
        self._epoll.modify(connection.fd, mask)

    def close(self) -> None:
        """Close the epoll; the connections stay open."""
        self._epoll.close()
