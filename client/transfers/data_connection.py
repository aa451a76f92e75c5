"""A data connection: after a few frames, the raw bytes of a file in one direction.

It begins as any connection (``client.net.connect``, which checks the key of the
server); then it takes the place of the asyncio streams as the transport's protocol, so
that bytes are not copied. This is what both directions share; ``upload_connection`` and
``download_connection`` move the bytes. Only for the worker.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from msgspec import Struct

from chatd.protocol.errors import NotAllowedError, error_from_code
from chatd.protocol.frames import encode_frame
from chatd.protocol.messages import (
    Closing,
    Data,
    DataReply,
    Error,
    InvalidBodyError,
    ServerMessage,
    Stored,
    encode_message,
    parse_server_message,
)
from chatd.system.tasks import Tasks
from client.errors import ConnectError, PeerError
from client.net.address import ServerAddress
from client.net.connect import connect
from client.net.connection import Connection
from client.storage.pins import PinStore
from client.transfers.progress import Progress
from client.transfers.receive_buffers import FrameBuffer
from client.transfers.worker_thread import Worker

# How often it is checked what has moved, in seconds.
TICK_SECONDS = 0.25
# The server may have to read again what it has of a file, at this rate or faster.
VERIFY_BYTES_PER_SECOND = 50_000_000

D = TypeVar("D", bound="DataConnection")


class Timeouts(Struct, frozen=True):
    """Timeouts of a data connection, in seconds.

    Attributes:
        connect: For the connection, its TLS and the server's hello.
        stall: How long no byte may move while some should.
    """

    connect: float
    stall: float

    def verify(self, size: int) -> float:
        """Return how long the server may take to verify a file."""
        return self.stall + size / VERIFY_BYTES_PER_SECOND


class DataConnection(asyncio.BufferedProtocol):
    """The connection of one transfer; made by ``open_data``.

    Attributes:
        offset: Where the bytes begin, from the server's reply.
        size: Of the whole file, from the server's reply.
    """

    def __init__(
        self, connection: Connection, worker: Worker, patience: Timeouts
    ) -> None:
        # Kept, as its streams would close the transport when they are collected.
        self._connection = connection
        self._transport = connection.transport
        self._worker = worker
        self._patience = patience
        self.offset = 0
        self.size = 0
        self._end: Exception | None = None
        # Set whenever there is a message, the end or progress to check.
        self._wake = asyncio.Event()
        self._messages: deque[ServerMessage] = deque()
        self._frames = FrameBuffer()

    async def begin(self, ticket: str, size: int) -> None:
        """Send the ticket, and wait for the server's reply: where the bytes begin.

        Raises:
            ChatError: The server refused for a reason that concerns the file.
            ConnectError: The server hung up, or did not accept the ticket.
        """
        if self._transport.is_closing():
            raise ConnectError("the server hung up")
        _notice_dead_peer(self._transport, self._patience.stall)
        # The server is silent until it has the ticket, so that no byte is lost here.
        self._transport.pause_reading()
        self._transport.set_protocol(self)
        self._transport.resume_reading()
        self._transport.write(encode_frame(encode_message(Data(id=1, ticket=ticket))))
        try:
            reply = await self._next_message(self._patience.verify(size))
        except NotAllowedError as error:
            raise ConnectError(f"the server did not take a ticket: {error}") from error
        if not isinstance(reply, DataReply):
            raise PeerError("the server answers a ticket with something else")
        if reply.size != size or not 0 <= reply.offset <= size:
            raise PeerError("the server speaks of another file")
        self.offset, self.size = reply.offset, reply.size

    # For the two directions -----------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        """Whether it waits for the disk rather than for the network."""
        return False

    async def _watch(self, work: Coroutine[Any, Any, None], progress: Progress) -> None:
        """Run ``work``, as long as bytes move or ``_is_busy``.

        Raises:
            ConnectError: Nothing has moved for too long.
        """
        loop = asyncio.get_running_loop()
        patience = self._patience.stall
        seen, since = progress.gained, loop.time()
        async with Tasks() as tasks:
            task = tasks.start(work, is_awaited=True)
            while not task.done():
                await asyncio.wait([task], timeout=min(TICK_SECONDS, patience / 4))
                if progress.gained != seen or self._is_busy:
                    seen, since = progress.gained, loop.time()
                elif loop.time() - since > patience and not task.done():
                    raise ConnectError(f"no byte has moved for {patience:g} s")
        task.result()

    async def _next_message(self, seconds: float) -> ServerMessage:
        """Wait for the next message and return it, unless it is a refusal.

        Raises:
            ChatError: The server refused.
            ConnectError: It hung up, or did not reply in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._messages:
                    if self._end is not None:
                        raise self._end
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError as error:
            raise ConnectError("the server does not answer about the file") from error
        message = self._messages.popleft()
        if isinstance(message, Error):
            raise error_from_code(message.code, message.reason, message.retry_after)
        if isinstance(message, Closing):
            wait_ms = message.retry_after
            raise ConnectError(
                f"the server hung up: {message.reason}",
                None if wait_ms is None else wait_ms / 1_000,
            )
        return message

    def _take_message(self, message: ServerMessage) -> None:
        self._messages.append(message)
        self._wake.set()

    # What the transport calls ---------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        return self._frames.free()

    def buffer_updated(self, nbytes: int) -> None:
        """Handle received bytes of frames."""
        try:
            body = self._frames.added(nbytes)
            message = None if body is None else parse_server_message(body)
        except (PeerError, InvalidBodyError) as error:
            self._end = PeerError(f"the server sent what is no message: {error}")
            self._transport.abort()
            self._wake.set()
            return
        # Anything else is a ping, or of a later version.
        if isinstance(message, Error | Closing | DataReply | Stored):
            self._take_message(message)

    def eof_received(self) -> None:
        """Let the transport close itself: the server sends no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Record the end of the connection."""
        text = "the server hung up" if exc is None else f"the connection broke: {exc}"
        self._end = self._end or ConnectError(text)
        self._wake.set()


@contextlib.asynccontextmanager
async def open_data(
    kind: type[D],
    address: ServerAddress,
    ticket: str,
    size: int,
    worker: Worker,
    patience: Timeouts,
) -> AsyncIterator[D]:
    """Connect for one file; the connection is closed at the end.

    Args:
        kind: The class for the direction.
        address: The server's, with the pin of the one key that it may have.
        ticket: From the server, for this file and direction.
        size: The file's.
        worker: The one whose loop runs this; it also has the threads for the disk.
        patience: The timeouts.

    Raises:
        ChatError: The server refused.
        LinkError: The server cannot be reached, or has another key.
    """
    connection = await connect(address, PinStore(None), patience.connect)
    try:
        data = kind(connection, worker, patience)
        await data.begin(ticket, size)
        yield data
    finally:
        connection.abort()


def _notice_dead_peer(transport: asyncio.Transport, seconds: float) -> None:
    """Have the system break a connection whose peer is gone while no byte moves."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    whole = max(1, int(seconds))
    wanted = {
        "TCP_USER_TIMEOUT": whole * 1_000,
        "TCP_KEEPIDLE": max(1, whole // 2),
        "TCP_KEEPINTVL": max(1, whole // 6),
        "TCP_KEEPCNT": 3,
    }
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in wanted.items():
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
